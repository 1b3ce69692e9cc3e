//! What a user might take instead: installed by their own package managers, under the target directory, and run in their
//! own best case. None of them follows writes while it copies, routes, or guards what it writes (the conditional variant of
//! the script apart): each loses or resurrects items under a concurrent writer.

use crate::host::SOURCE;
use crate::process::{self, Ended};
use crate::stage::{Stage, target};
use crate::trouble::{Told, Tried};
use std::path::{Path, PathBuf};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A script of boto3 with threads, `BatchWriteItem`.
    Boto3Batch,
    /// The same, with a conditional put for each item.
    Boto3Conditional,
    /// `dynamodump` of PyPI: a backup to files, and a restore.
    Dynamodump,
    /// `copy-dynamodb-table` of npm.
    CopyDynamodbTable,
}

/// Where they are installed, and which could not be.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    boto3: Option<PathBuf>,
    dynamodump: Option<PathBuf>,
    node: Option<PathBuf>,
    /// What could not be installed, and why: said in the report.
    pub absent: Vec<String>,
    /// Which versions are there.
    pub versions: Vec<String>,
}

impl Peer {
    /// As reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boto3Batch => "boto3 script, BatchWriteItem",
            Self::Boto3Conditional => "boto3 script, conditional puts",
            Self::Dynamodump => "dynamodump",
            Self::CopyDynamodbTable => "copy-dynamodb-table",
        }
    }
}

impl Peers {
    /// Installs them; what is there stays.
    pub async fn install() -> Self {
        let mut peers = Self::default();
        for (package, place) in [("boto3", &mut peers.boto3), ("dynamodump", &mut peers.dynamodump)] {
            match install_python(package).await {
                Ok((python, version)) => {
                    *place = Some(python);
                    peers.versions.push(version);
                }
                Err(trouble) => peers.absent.push(format!("{package}: {trouble}")),
            }
        }
        match install_node().await {
            Ok((node, version)) => {
                peers.node = Some(node);
                peers.versions.push(version);
            }
            Err(trouble) => peers.absent.push(format!("copy-dynamodb-table: {trouble}")),
        }
        peers
    }

    /// Whether one can be run.
    pub fn has(&self, peer: Peer) -> bool {
        match peer {
            Peer::Boto3Batch | Peer::Boto3Conditional => self.boto3.is_some(),
            Peer::Dynamodump => self.dynamodump.is_some(),
            Peer::CopyDynamodbTable => self.node.is_some(),
        }
    }

    /// Copies the source to the first target. Answers each process that this took.
    pub async fn copy(&self, peer: Peer, stage: &Stage) -> Tried<Vec<Ended>> {
        let (endpoint, to) = (stage.endpoint(), target(0));
        match peer {
            Peer::Boto3Batch => self.boto3(endpoint, &to, "batch").await,
            Peer::Boto3Conditional => self.boto3(endpoint, &to, "conditional").await,
            Peer::Dynamodump => self.dynamodump(endpoint, &to).await,
            Peer::CopyDynamodbTable => {
                let modules = self.node.as_deref().told("node")?;
                let script = sources().join("copy_table.js");
                let words = words([&script.to_string_lossy(), endpoint, SOURCE, &to]);
                let path = modules.to_string_lossy();
                let ended = process::succeed("node", &words, &[("NODE_PATH", &path), QUIET]).await?;
                Ok(vec![ended])
            }
        }
    }

    async fn boto3(&self, endpoint: &str, to: &str, writes: &str) -> Tried<Vec<Ended>> {
        let python = self.boto3.as_deref().told("boto3")?;
        let script = sources().join("boto3_copy.py");
        let words = words([&script.to_string_lossy(), endpoint, SOURCE, to, writes]);
        Ok(vec![process::succeed(python.join("python"), &words, &[]).await?])
    }

    async fn dynamodump(&self, endpoint: &str, to: &str) -> Tried<Vec<Ended>> {
        let python = self.dynamodump.as_deref().told("dynamodump")?;
        let dump = tempfile::tempdir().told("a directory")?;
        let path = dump.path().to_string_lossy().into_owned();
        let (host, port) = endpoint
            .trim_start_matches("http://")
            .split_once(':')
            .told("a port")?;
        let place = [
            "-r",
            "local",
            "--host",
            host,
            "--port",
            port,
            "--accessKey",
            "a",
            "--secretKey",
            "a",
        ];
        let mut ended = Vec::new();
        let backup = ["-m", "backup", "-s", SOURCE];
        let restore = [
            "-m",
            "restore",
            "-s",
            SOURCE,
            "-d",
            to,
            "--dataOnly",
            "--noConfirm",
        ];
        for step in [&backup[..], &restore[..]] {
            let common = ["--dumpPath", &path, "--skipThroughputUpdate"];
            let all = [step, &place, &common].concat();
            let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
            ended.push(process::succeed(python.join("dynamodump"), &all, &[]).await?);
        }
        Ok(ended)
    }
}

/// It says at each start that its SDK is an old one.
const QUIET: (&str, &str) = ("AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE", "1");

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// Spark, in an environment of its own. It needs Java.
#[derive(Clone, Debug)]
pub struct Spark {
    /// Its Python.
    pub python: PathBuf,
    /// Its version.
    pub version: String,
}

impl Spark {
    /// Installs it, unless it is there.
    pub async fn install() -> Tried<Self> {
        process::succeed("java", &words(["-version"]), &[]).await?;
        let (bin, version) = install_python("pyspark").await?;
        Ok(Self {
            python: bin.join("python"),
            version,
        })
    }
}

/// The scripts.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches")
        .join("peers")
}

fn installed() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-peers")
}

/// Each package has an environment of its own, since they ask for different versions of the same things.
async fn install_python(package: &str) -> Tried<(PathBuf, String)> {
    let venv = installed().join(package);
    let bin = venv.join("bin");
    let done = venv.join("installed");
    if !done.exists() {
        process::succeed("python3", &words(["-m", "venv", &venv.to_string_lossy()]), &[]).await?;
        let requirements = sources().join(format!("{package}.txt"));
        let install = words([
            "-m",
            "pip",
            "install",
            "--quiet",
            "-r",
            &requirements.to_string_lossy(),
        ]);
        process::succeed(bin.join("python"), &install, &[]).await?;
        std::fs::write(&done, "").told("a file")?;
    }
    let code = "import platform, sys\n\
                from importlib.metadata import version\n\
                print(sys.argv[1], version(sys.argv[1]), 'on Python', platform.python_version())";
    let told = process::succeed(bin.join("python"), &words(["-c", code, package]), &[]).await?;
    Ok((bin, told.stdout.trim().to_owned()))
}

async fn install_node() -> Tried<(PathBuf, String)> {
    let root = installed().join("node");
    let modules = root.join("node_modules");
    if !modules.join("copy-dynamodb-table").exists() {
        std::fs::create_dir_all(&root).told("a directory")?;
        std::fs::copy(sources().join("package.json"), root.join("package.json")).told("package.json")?;
        let install = words([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            &root.to_string_lossy(),
        ]);
        process::succeed("npm", &install, &[]).await?;
    }
    let text =
        std::fs::read(modules.join("copy-dynamodb-table").join("package.json")).told("package.json")?;
    let package: serde_json::Value = serde_json::from_slice(&text).told("package.json")?;
    let version = package["version"].as_str().unwrap_or("?");
    let node = process::succeed("node", &words(["--version"]), &[]).await?;
    Ok((
        modules,
        format!("copy-dynamodb-table {version} on Node {}", node.stdout.trim()),
    ))
}

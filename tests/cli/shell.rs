//! Runs the binary as a shell would, in a directory and an environment of its own.

use dynasplit::fault::VARIABLE;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::{NamedTempFile, TempDir};

/// A command that does not end by itself, or does not tell what it should, fails its test.
const PATIENCE: Duration = Duration::from_secs(150);
/// How the lines begin that tell where a command works, which has tests of its own.
const WHERE: &str = "using ";
/// Marks of what is inside the SDK and its HTTP client.
const INTERNALS: [&str; 10] = [
    "nterceptor",
    "Error(",
    "Other(",
    "Error {",
    "client error (",
    "hyper::",
    "unhandled error",
    "dispatch failure",
    "construct request",
    "endpoint params",
];
/// How lines of progress begin.
const PROGRESS: [&str; 5] = ["tailing: ", "backfill: ", "verify: ", "plan: ", "init: "];

/// A directory with a plan, and an environment.
pub struct Shell {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

/// What a command printed, and how it ended.
pub struct Said {
    pub command: String,
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
    pub took: Duration,
}

impl Shell {
    /// With `plan.yaml`, a region and credentials, and nothing else of this process's environment.
    pub fn new(plan: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("plan.yaml"), plan).unwrap();
        let shell = Self {
            environment: Vec::new(),
            dir,
        };
        shell
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test")
    }

    /// With another variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a variable.
    pub fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// With an engine.
    pub fn at(self, endpoint: &str) -> Self {
        self.with("AWS_ENDPOINT_URL", endpoint)
    }

    /// Runs a command with more variables to its end.
    pub fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Said {
        self.start_with(line, variables).end()
    }

    /// Starts a command that dies at a failpoint, and waits for its end.
    pub fn run_to_death(&self, line: &str, point: &str) -> Said {
        self.start_with(line, &[(VARIABLE, &format!("{point}=kill"))])
            .end()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dynasplit"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            // Nobody asks a machine's metadata service for credentials.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    /// Starts a command.
    pub fn start(&self, line: &str) -> Running {
        self.start_with(line, &[])
    }

    fn start_with(&self, line: &str, variables: &[(&str, &str)]) -> Running {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let stderr = NamedTempFile::new().unwrap();
        let mut command = self.command(&arguments);
        command.envs(variables.iter().copied());
        let child = command.stderr(stderr.reopen().unwrap()).spawn().unwrap();
        Running {
            command: line.to_owned(),
            child,
            stderr,
            began: Instant::now(),
            patience: PATIENCE,
        }
    }

    /// Runs a command to its end.
    pub fn run(&self, line: &str) -> Said {
        self.start(line).end()
    }
}

/// A command that runs. It is killed when the test fails meanwhile.
pub struct Running {
    pub command: String,
    child: Child,
    stderr: NamedTempFile,
    began: Instant,
    patience: Duration,
}

impl Running {
    /// It may take longer than others.
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let killed = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
    }

    /// Nobody reads its results any more: what `| head` does.
    pub fn stop_reading(&mut self) {
        drop(self.child.stdout.take());
    }

    /// What it has told so far.
    pub fn told(&self) -> String {
        let told = std::fs::read(self.stderr.path()).unwrap();
        String::from_utf8_lossy(&told).into_owned()
    }

    /// Waits until it has told this.
    pub fn until_told(&self, words: &str) {
        let waited = Instant::now();
        while !self.told().contains(words) {
            assert!(
                waited.elapsed() < PATIENCE,
                "`dynasplit {}` does not tell \"{words}\":\n{}",
                self.command,
                self.told()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for its end.
    pub fn end(mut self) -> Said {
        let stdout = self.child.stdout.take().map(reader);
        let waited = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                waited.elapsed() < self.patience,
                "`dynasplit {}` did not end in {:?}:\n{}",
                self.command,
                self.patience,
                self.told()
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        let stdout = stdout.map(|read| read.join().unwrap()).unwrap_or_default();
        Said {
            command: self.command.clone(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: self.told(),
            code: status.code(),
            took: self.began.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reader(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

impl Said {
    /// As a snapshot holds it.
    pub fn shown(&self) -> String {
        let mut shown = format!("$ dynasplit {}\n", self.command);
        let told = without_progress(&self.stderr);
        for (name, text, shows) in [
            ("stdout", &self.stdout, &self.stdout),
            ("stderr", &self.stderr, &told),
        ] {
            assert!(
                !text.contains('\u{1b}'),
                "no escape codes in a pipe: {name} of {} has {text:?}",
                self.command
            );
            if !shows.is_empty() {
                writeln!(shown, "--- {name}\n{}", shows.trim_end()).unwrap();
            }
        }
        let code = self.code.map_or("killed".into(), |code| code.to_string());
        writeln!(shown, "--- exit code {code}").unwrap();
        shown
    }

    /// Its result, which has to be one JSON document and nothing else.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON document ({error}):\n{}", self.shown()))
    }

    /// That it ended with this code.
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.shown());
        let inside = INTERNALS.iter().find(|mark| self.stderr.contains(*mark));
        assert_eq!(inside, None, "of the SDK, a user sees nothing:\n{}", self.stderr);
        self
    }
}

/// A line of progress comes every five seconds: how many there are depends on the machine.
fn without_progress(told: &str) -> String {
    let is_progress =
        |line: &&str| line.starts_with(WHERE) || PROGRESS.iter().any(|title| line.starts_with(title));
    let lines = told.split_inclusive('\n');
    lines.filter(|line| !is_progress(line)).collect()
}

/// Holds several commands' words in one snapshot.
pub fn shown(said: &[Said]) -> String {
    said.iter().map(Said::shown).collect::<Vec<_>>().join("\n")
}

/// Snapshot of words in which ports and times are masked.
macro_rules! assert_said {
    ($name:expr, $text:expr) => {
        insta::with_settings!({
            filters => vec![
                (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
                (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
                (r"/stream/[^)\s]+", "/stream/LABEL"),
                (r"\b[0-9a-f]{16}\b", "FINGERPRINT"),
                (r"\b\d+(\.\d+)? (ms|s)\b", "DURATION"),
            ],
            omit_expression => true,
            prepend_module_to_snapshot => false,
            snapshot_path => "snapshots",
        }, { insta::assert_snapshot!($name, $text) })
    };
}
pub(crate) use assert_said;

//! Everything that is measured is a process of its own, started by a small process of ours that waits for it and asks the
//! system what it used: the figures are those of that one process and its children, whoever else is at work.
//!
//! The one in between ends its child (SIGTERM, as an operator would) when its own standard input ends. So nothing outlives
//! the benchmark.

use crate::trouble::{Told, Tried, Trouble};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// What a process used.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Used {
    /// Processor time, its own and the system's for it, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that it had at once.
    pub peak_bytes: u64,
    /// From start to end.
    pub wall_seconds: f64,
}

/// `measured`: runs a program, and writes down what it used.
#[derive(clap::Args, Clone, Debug)]
pub struct Measured {
    /// Where to write it.
    #[arg(long)]
    report: PathBuf,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Measured {
    /// Runs it, and ends with its exit code.
    pub fn run(self) -> Tried<i32> {
        let (program, arguments) = self.command.split_first().told("a program to run")?;
        let began = Instant::now();
        let mut child = std::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .told(&program.to_string_lossy())?;
        let id = i32::try_from(child.id()).told("a process id")?;
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            // An error is an end, too.
            let _ = std::io::stdin().read_to_end(&mut rest);
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        });
        let status = child.wait().told("waiting")?;
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).told("what it used")?;
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        let used = Used {
            cpu_seconds: seconds(usage.user_time()) + seconds(usage.system_time()),
            peak_bytes: peak_bytes(usage.max_rss()),
            wall_seconds: began.elapsed().as_secs_f64(),
        };
        let text = serde_json::to_string(&used).told("the report")?;
        std::fs::write(&self.report, text).told("the report")?;
        Ok(status.code().unwrap_or(-1))
    }
}

/// The system tells it in KiB; macOS, in bytes.
fn peak_bytes(told: i64) -> u64 {
    let told = u64::try_from(told).unwrap_or(0);
    if cfg!(target_os = "macos") {
        told
    } else {
        told * 1024
    }
}

/// A process that runs.
pub struct Running {
    name: String,
    child: Child,
    report: tempfile::NamedTempFile,
    stdout: File,
    stderr: File,
}

/// One that ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// What it used.
    pub used: Used,
    /// What it printed.
    pub stdout: String,
    /// What it told.
    pub stderr: String,
}

/// Nothing that is measured takes longer, or it hangs.
const LIMIT: Duration = Duration::from_secs(3600);

/// Starts a program under measurement, with dummy credentials: no engine here checks them.
pub fn start(
    program: impl Into<OsString>,
    arguments: &[String],
    variables: &[(&str, &str)],
) -> Tried<Running> {
    let program = program.into();
    let report = tempfile::NamedTempFile::new().told("a temporary file")?;
    let (stdout, stderr) = (scratch()?, scratch()?);
    let mut command = Command::new(std::env::current_exe().told("the benchmark's own program")?);
    command
        .arg("measured")
        .arg("--report")
        .arg(report.path())
        .arg("--");
    command.arg(&program).args(arguments);
    for name in [
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "RUST_LOG",
        "DYNASPLIT_FAULT",
    ] {
        command.env_remove(name);
    }
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::from(stdout.try_clone().told("a file")?))
        .stderr(Stdio::from(stderr.try_clone().told("a file")?));
    Ok(Running {
        name: format!("{} {}", program.to_string_lossy(), arguments.join(" ")),
        child: command.spawn().told("a process")?,
        report,
        stdout,
        stderr,
    })
}

/// Runs a program to its end, which must be a good one.
pub async fn succeed(
    program: impl Into<OsString>,
    arguments: &[String],
    variables: &[(&str, &str)],
) -> Tried<Ended> {
    start(program, arguments, variables)?.succeed().await
}

impl Running {
    /// Tells it to end, as an operator would, and waits for that.
    pub async fn stop(mut self) -> Tried<Ended> {
        drop(self.child.stdin.take());
        self.succeed().await
    }

    /// Whether it runs no more.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, which must be a good one.
    pub async fn succeed(mut self) -> Tried<Ended> {
        // Kept apart: waiting would close it, which ends the process.
        let stdin = self.child.stdin.take();
        let waited = tokio::time::timeout(LIMIT, self.child.wait()).await;
        drop(stdin);
        let status = waited
            .told(&format!("{} does not end", self.name))?
            .told(&self.name)?;
        let ended = Ended {
            code: status.code().unwrap_or(-1),
            used: self.used().unwrap_or_default(),
            stdout: text(&mut self.stdout)?,
            stderr: text(&mut self.stderr)?,
        };
        if ended.code != 0 {
            return Err(Trouble::new(format!(
                "{} ended with {}\n{}\n{}",
                self.name,
                ended.code,
                tail(&ended.stdout),
                tail(&ended.stderr)
            )));
        }
        Ok(ended)
    }

    fn used(&self) -> Tried<Used> {
        let text = std::fs::read(self.report.path()).told("the report")?;
        serde_json::from_slice(&text).told("the report")
    }
}

/// The end of a long text.
fn tail(text: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// A file without a name: however much a process tells, it never waits for a reader.
fn scratch() -> Tried<File> {
    tempfile::tempfile().told("a temporary file")
}

fn text(file: &mut File) -> Tried<String> {
    let mut bytes = Vec::new();
    file.rewind().told("a temporary file")?;
    file.read_to_end(&mut bytes).told("a temporary file")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

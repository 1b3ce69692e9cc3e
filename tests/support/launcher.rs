//! A JVM that runs DynamoDB Local, through a small launcher of our own (`java/Launcher.java`), and takes its commands.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

use super::fetch;
use super::output::Output;

/// Up in 2 to 4 seconds on an idle machine; tests run on busy ones.
const START_TIMEOUT: Duration = Duration::from_secs(90);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Enough for the tables of tests, and bounded: several of these may run at once.
const HEAP: &str = "-Xmx512m";
const LAUNCHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/java/Launcher.java");

/// A running JVM. It ends when this is dropped, and when this process ends in whatever way: its input ends then.
pub struct Launched {
    endpoint: String,
    child: Child,
    /// One conversation at a time: a command, then its answer.
    talk: tokio::sync::Mutex<Talk>,
    /// The JVM's temporary directory. DynamoDB Local leaves copies of its native libraries there. If this is never dropped, the
    /// launcher deletes it.
    files: TempDir,
}

struct Talk {
    /// None once given up.
    commands: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Launched {
    /// Fetches DynamoDB Local if need be, starts it on a free port, and returns when it answers.
    pub fn start() -> Result<Self, String> {
        let home = fetch::dynamodb_local()?;
        let said = Output::new().map_err(|e| format!("no temporary file: {e}"))?;
        let errors = said.writer().map_err(|e| format!("no temporary file: {e}"))?;
        let files = tempfile::tempdir().map_err(|e| format!("no temporary directory: {e}"))?;
        let mut child = java(&home, files.path(), errors)
            .spawn()
            .map_err(|e| format!("java did not run: {e}"))?;
        let (Some(commands), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("java has no standard streams".to_owned());
        };
        let (sender, answers) = channel();
        // Ends with the JVM. Reading on a thread of its own gives every wait a limit.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let ready = answers.recv_timeout(START_TIMEOUT).ok();
        let port = ready
            .as_deref()
            .and_then(|line| line.strip_prefix("ready "))
            .map(str::to_owned);
        let mut launched = Self {
            endpoint: format!("http://127.0.0.1:{}", port.as_deref().unwrap_or_default()),
            child,
            talk: tokio::sync::Mutex::new(Talk {
                commands: Some(commands),
                answers,
            }),
            files,
        };
        if port.is_some() {
            return Ok(launched);
        }
        launched.end();
        Err(format!(
            "java did not start it in {START_TIMEOUT:?}; it said: {}",
            tail(said)
        ))
    }

    /// Its endpoint URL.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Gives a command and waits until it is done.
    ///
    /// # Panics
    /// Where the launcher refuses it or does not answer.
    pub async fn command(&self, command: &str) {
        let mut talk = self.talk.lock().await;
        let commands = talk.commands.as_mut().expect("an engine that was not given up");
        writeln!(commands, "{command}")
            .and_then(|()| commands.flush())
            .expect("the launcher listens");
        // Blocks the test's thread for the milliseconds that a command takes.
        let answer = talk
            .answers
            .recv_timeout(ANSWER_TIMEOUT)
            .expect("the launcher answers");
        assert_eq!(answer, "ok", "the launcher's answer to {command:?}");
    }

    /// Closes the JVM's input, as the end of this process would. Says whether the JVM ended by itself and left no file.
    pub async fn abandon(mut self) -> bool {
        self.talk.get_mut().commands = None;
        for _ in 0..200 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return !self.files.path().exists();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.end();
    }
}

fn java(home: &Path, files: &Path, errors: Stdio) -> Command {
    let mut command = Command::new("java");
    command
        .current_dir(home)
        // The serial collector and the quick compiler: a JVM of a few seconds, beside others, on few cores.
        .args([
            HEAP,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.library.path=./DynamoDBLocal_lib",
            // It would otherwise leave a file in the directory of all users, whatever the temporary directory is.
            "-XX:-UsePerfData",
        ])
        .arg(format!("-Djava.io.tmpdir={}", files.display()))
        .args(["-cp", fetch::JAR, LAUNCHER])
        .arg(files)
        // It would otherwise tell its maker that it was started.
        .env("DDB_LOCAL_TELEMETRY", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors);
    command
}

/// The last words of a JVM that failed.
fn tail(mut said: Output) -> String {
    match said.text() {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(20)..].join("\n")
        }
        Err(error) => format!("(unreadable: {error})"),
    }
}

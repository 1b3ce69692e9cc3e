//! The product's own processes: started, stopped, killed, and asked where the split stands.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynasplit::dynamo::{Clients, Endpoint, Timing};
use dynasplit::fault::VARIABLE;
use dynasplit::plan::Plan;
use dynasplit::status::split_status;
use dynasplit::worker::Split;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use super::output::Output;

/// A command that has not ended by then hangs. Far above what any takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(600);
/// Between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(100);
const MOST_SELDOM: Duration = Duration::from_millis(500);
/// So many times in a row the engine may not answer a look.
const UNANSWERED: u32 = 5;

/// How `dynasplit` is called: for one plan, on one engine.
#[derive(Clone)]
pub struct Cli {
    plan: PathBuf,
    endpoint: String,
    lease_seconds: u64,
    faults: String,
    /// More variables of its environment.
    variables: Vec<(String, String)>,
    /// Looks at the split in this process: a command would spend most of its time on its start.
    split: Arc<OnceCell<Split>>,
}

/// A command that ended.
#[derive(Debug)]
pub struct Done {
    /// Exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it told.
    pub stderr: String,
}

/// A command that runs. It is killed when this is dropped.
pub struct Running {
    name: String,
    faults: String,
    child: Child,
    stdout: Output,
    stderr: Output,
}

impl Cli {
    /// For a plan's file, on the engine at an endpoint.
    pub fn new(plan: PathBuf, endpoint: &str, lease_seconds: u64) -> Self {
        Self {
            plan,
            endpoint: endpoint.to_owned(),
            lease_seconds,
            faults: String::new(),
            variables: Vec::new(),
            split: Arc::default(),
        }
    }

    /// The same, for processes with failpoints: see `dynasplit::fault`.
    pub fn armed(&self, faults: &str) -> Self {
        Self {
            faults: faults.to_owned(),
            ..self.clone()
        }
    }

    /// The same, with another variable in the environment.
    pub fn with_variable(&self, name: &str, value: &str) -> Self {
        let mut cli = self.clone();
        cli.variables.push((name.to_owned(), value.to_owned()));
        cli
    }

    /// The same, with another lease.
    pub fn with_lease(&self, seconds: u64) -> Self {
        Self {
            lease_seconds: seconds,
            split: Arc::default(),
            ..self.clone()
        }
    }

    /// The same, on the engine at another endpoint.
    pub fn at(&self, endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            split: Arc::default(),
            ..self.clone()
        }
    }

    /// The same, on another plan's file.
    pub fn with_plan(&self, plan: PathBuf) -> Self {
        Self {
            plan,
            split: Arc::default(),
            ..self.clone()
        }
    }

    /// Starts a command. `words` are the command's own, without the plan, which follows them.
    pub fn start(&self, words: &[&str]) -> Running {
        let output = || Output::new().expect("a temporary file");
        let (stdout, stderr) = (output(), output());
        let lease = self.lease_seconds.to_string();
        let mut command = Command::new(binary());
        command.args(words).arg(&self.plan);
        if words.first() == Some(&"backfill") && !words.contains(&"--order") {
            // By itself it would choose by a forecast, and small tables are copied in bulk.
            command.args(["--order", "concurrent"]);
        }
        command.args(["--endpoint-url", &self.endpoint, "--lease-seconds", &lease, "-v"]);
        // One certificate instead of the system's: no engine here speaks TLS, and a process spends more time on reading
        // some hundred certificates than on most commands.
        for name in [
            "AWS_PROFILE",
            "AWS_SESSION_TOKEN",
            "AWS_CA_BUNDLE",
            "SSL_CERT_DIR",
            "RUST_LOG",
        ] {
            command.env_remove(name);
        }
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("SSL_CERT_FILE", super::tls::authority())
            .env(VARIABLE, &self.faults)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout.writer().expect("a second handle"))
            .stderr(stderr.writer().expect("a second handle"))
            .kill_on_drop(true);
        Running {
            name: words.join(" "),
            faults: self.faults.clone(),
            child: command.spawn().expect("the product's binary starts"),
            stdout,
            stderr,
        }
    }

    /// Runs a command to its end.
    pub async fn run(&self, words: &[&str]) -> Done {
        self.start(words).end().await
    }

    /// Runs a command that must succeed.
    pub async fn succeed(&self, words: &[&str]) -> Done {
        self.run(words).await.with_code(words, 0)
    }

    /// Where the split stands, as `status` prints it.
    pub async fn status(&self) -> Value {
        let words = ["status", "--output", "json"];
        let mut done = self.run(&words).await;
        // An engine whose first answers are lost is told soon: that is no answer yet.
        for _ in 0..UNANSWERED {
            if !done.is_unreached() {
                break;
            }
            done = self.run(&words).await;
        }
        let done = done.with_code(&words, 0);
        serde_json::from_str(&done.stdout).expect("status prints one JSON document")
    }

    /// The same, asked in this process, with the function that `status` prints. For everything that looks repeatedly.
    ///
    /// # Panics
    /// Where the engine does not answer, or the state cannot be read.
    pub async fn look(&self) -> Value {
        let split = self.split.get_or_init(|| Box::pin(self.open())).await;
        let mut asked = Box::pin(split_status(split)).await;
        for _ in 0..UNANSWERED {
            if asked.is_ok() {
                break;
            }
            tokio::time::sleep(POLL).await;
            asked = Box::pin(split_status(split)).await;
        }
        let status = asked.expect("the status of the split is read");
        serde_json::to_value(&status).expect("a status is JSON")
    }

    /// The split, with clients of this process.
    pub async fn open(&self) -> Split {
        let endpoint = Endpoint {
            url: Some(self.endpoint.clone()),
            anonymous: true,
            ..Endpoint::default()
        };
        let timing = Timing::LIVE.with_lease(Duration::from_secs(self.lease_seconds));
        let clients = Clients::load(&endpoint, timing).await.expect("clients are made");
        Split::open(Plan::load(&self.plan).expect("the plan is valid"), &clients).await
    }

    /// Looks again and again until the standing is as it should be.
    ///
    /// # Panics
    /// With the last standing, where that does not come in time.
    pub async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.look().await;
            if is(&status) {
                return status;
            }
            assert!(began.elapsed() < LIMIT, "{what} does not come: {status:#}");
            // A look costs the processor some ten milliseconds, and eight tests look: what takes long is looked at less often.
            tokio::time::sleep((began.elapsed() / 8).clamp(POLL, MOST_SELDOM)).await;
        }
    }

    /// Applies the plan, starts a worker of the tail, and waits until it has captured the stream.
    pub async fn begin(&self) -> Running {
        self.succeed(&["apply"]).await;
        let tail = self.start(&["replicate"]);
        self.until_captured().await;
        tail
    }

    /// Waits until every lane has pinned its places in the stream.
    pub async fn until_captured(&self) {
        self.until("the capture", |status| {
            lanes(status).all(|lane| lane["lag_ms"].is_u64())
        })
        .await;
    }

    /// Waits until every lane is complete up to this moment. Nobody writes to the source any more.
    pub async fn until_caught_up(&self) {
        let quiet = Instant::now();
        self.until("the end of the lag", |status| {
            // The lane is complete up to `lag` before the answer was made, so the time until now is the larger one.
            let since = u64::try_from(quiet.elapsed().as_millis()).expect("a short time");
            lanes(status).all(|lane| lane["lag_ms"].as_u64().is_some_and(|lag| lag + 1000 < since))
        })
        .await;
    }
}

/// The lanes of a standing.
pub fn lanes(status: &Value) -> impl Iterator<Item = &Value> {
    status["lanes"].as_array().expect("lanes").iter()
}

/// One lane of a standing.
pub fn lane<'a>(status: &'a Value, name: &str) -> &'a Value {
    lanes(status)
        .find(|lane| lane["lane"] == name)
        .unwrap_or_else(|| panic!("no lane {name}: {status:#}"))
}

/// What is in the way of completing, as one text.
pub fn obstacles(status: &Value) -> String {
    status["obstacles"].to_string()
}

impl Done {
    /// It gave up since the engine answered none of its first requests, as at a wrong address.
    pub fn is_unreached(&self) -> bool {
        self.code == Some(1) && self.stderr.contains("check that the engine runs")
    }

    /// The failpoint that killed it, if one did.
    pub fn killed_at(&self) -> Option<&str> {
        let line = self.stderr.lines().rfind(|line| line.starts_with("failpoint "))?;
        let point = line.strip_prefix("failpoint ")?.strip_suffix(": kill")?;
        (self.signal == Some(9)).then_some(point)
    }

    /// Itself, where it ended with this code.
    ///
    /// # Panics
    /// Where it did not.
    pub fn with_code(self, words: &[&str], code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{words:?} ended otherwise\nstdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }
}

impl Running {
    /// The command's words.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The failpoints that it was started with.
    pub fn faults(&self) -> &str {
        &self.faults
    }

    /// Waits until its stderr contains a text.
    ///
    /// # Panics
    /// Where it ends before, or that does not come in time.
    pub async fn until_told(&mut self, part: &str) {
        let began = Instant::now();
        while !self.told().contains(part) {
            let told = self.told();
            assert!(!self.has_ended(), "{} ended\nstderr: {told}", self.name);
            assert!(
                began.elapsed() < LIMIT,
                "{} does not tell {part}\nstderr: {told}",
                self.name
            );
            tokio::time::sleep(POLL / 4).await;
        }
    }

    /// Waits until it says on stderr that it stands still at a failpoint.
    ///
    /// # Panics
    /// Where it ends before, or that does not come in time.
    pub async fn until_stopped(&mut self) {
        self.until_stopped_at("").await;
    }

    /// Waits until it stands still at a point, where it may have stood still at others before.
    pub async fn until_stopped_at(&mut self, point: &str) {
        let began = Instant::now();
        while !self.stood_still_at(point) {
            let told = self.told();
            assert!(!self.has_ended(), "{} ended\nstderr: {told}", self.name);
            assert!(
                began.elapsed() < LIMIT,
                "{} does not stop\nstderr: {told}",
                self.name
            );
            tokio::time::sleep(POLL / 4).await;
        }
        // It says so just before it does. Who lets it go on before that would wait for ever.
        while !self.is_stopped() {
            assert!(began.elapsed() < LIMIT, "{} does not stop", self.name);
            tokio::time::sleep(POLL / 4).await;
        }
    }

    /// Whether the system says so.
    fn is_stopped(&self) -> bool {
        let Some(id) = self.child.id() else { return true };
        // On Linux, the state stands behind the name, which is in brackets; elsewhere, `ps` knows it.
        let state = match std::fs::read_to_string(format!("/proc/{id}/stat")) {
            Ok(stat) => stat.rsplit(") ").next().unwrap_or_default().to_owned(),
            Err(_) => {
                let asked = std::process::Command::new("ps")
                    .args(["-o", "stat=", "-p", &id.to_string()])
                    .output();
                String::from_utf8_lossy(&asked.expect("ps runs").stdout).into_owned()
            }
        };
        state.starts_with('T')
    }

    /// Whether it has said that it stands still at a failpoint.
    pub fn stands_still(&mut self) -> bool {
        self.stood_still_at("")
    }

    fn stood_still_at(&mut self, point: &str) -> bool {
        let (told, begin) = (self.told(), format!("failpoint {point}"));
        told.lines()
            .any(|line| line.starts_with(&begin) && line.ends_with(": stop"))
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Sends a signal by its name (`TERM`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        let Some(id) = self.child.id() else { return };
        let sent = std::process::Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id.to_string())
            .status();
        assert!(sent.expect("kill runs").success(), "signal {name} was not sent");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be waited for")
            .is_some()
    }

    /// What it has told so far.
    pub fn told(&mut self) -> String {
        self.stderr.text().expect("a file can be read")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// Where it does not come in time.
    pub async fn end(mut self) -> Done {
        let waited = tokio::time::timeout(LIMIT, self.child.wait()).await;
        let said = |output: &mut Output| output.text().expect("a file can be read");
        let (stdout, stderr) = (said(&mut self.stdout), said(&mut self.stderr));
        let status = waited.unwrap_or_else(|_| panic!("{} does not end\nstderr: {stderr}", self.name));
        let status = status.expect("a child can be waited for");
        Done {
            code: status.code(),
            signal: signal(status),
            stdout,
            stderr,
        }
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_status: ExitStatus) -> Option<i32> {
    None
}

/// The product: the one that was built with the tests, or the one that `DYNASPLIT_BINARY` names (a broken one, to see
/// that the tests notice).
fn binary() -> PathBuf {
    std::env::var_os("DYNASPLIT_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_dynasplit").into(), PathBuf::from)
}

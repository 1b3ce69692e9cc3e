//! The product: its own binary, driven as an operator would.

use crate::host::SOURCE;
use crate::items::service_name;
use crate::process::{self, Ended, Running};
use crate::stage::{Stage, target};
use crate::trouble::{Told, Tried, Trouble};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// How the backfill is to go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    /// As the binary has it, where there is no other.
    Default,
    /// Beside the tail.
    Concurrent,
    /// Bulk.
    Bulk,
}

/// The product on one stage: a plan, and commands for it.
pub struct Product {
    plan: NamedTempFile,
    endpoint: String,
    lease_seconds: u32,
}

/// Longer than anything that is waited for takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(250);

/// The binary: the one that was built with the benchmark, or the one that `DYNASPLIT_BINARY` names.
pub fn binary() -> PathBuf {
    std::env::var_os("DYNASPLIT_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_dynasplit").into(), PathBuf::from)
}

/// What the binary's backfill can be told of its order.
pub async fn knows_orders() -> Tried<bool> {
    let words = ["backfill", "--help"].map(str::to_owned);
    let help = process::succeed(binary(), &words, &[]).await?;
    Ok(help.stdout.contains("--order"))
}

impl Product {
    /// With a plan for a stage's services.
    pub fn on(stage: &Stage, lease_seconds: u32) -> Tried<Self> {
        let plan = tempfile::Builder::new()
            .suffix(".yaml")
            .tempfile()
            .told("the plan")?;
        std::fs::write(plan.path(), text(stage.setting.services)).told("the plan")?;
        Ok(Self {
            plan,
            endpoint: stage.endpoint().to_owned(),
            lease_seconds,
        })
    }

    /// Starts a command.
    pub fn start(&self, words: &[&str]) -> Tried<Running> {
        let (command, options) = words.split_first().told("a command")?;
        let mut all = vec![
            (*command).to_owned(),
            self.plan.path().to_string_lossy().into_owned(),
        ];
        all.extend(options.iter().map(|&word| word.to_owned()));
        let lease = self.lease_seconds.to_string();
        for word in ["--endpoint-url", &self.endpoint, "--lease-seconds", &lease] {
            all.push(word.to_owned());
        }
        process::start(binary(), &all, &[])
    }

    /// Runs a command to its end.
    pub async fn succeed(&self, words: &[&str]) -> Tried<Ended> {
        self.start(words)?.succeed().await
    }

    /// Creates what is missing, and starts a tail that has captured the stream.
    pub async fn begin(&self) -> Tried<Running> {
        self.succeed(&["apply"]).await?;
        let mut tail = self.start(&["replicate"])?;
        self.until(&mut tail, "the capture", |lane| lane["lag_ms"].is_u64())
            .await?;
        Ok(tail)
    }

    /// The words of a backfill.
    pub fn backfill(order: Order) -> Vec<&'static str> {
        match order {
            Order::Default => vec!["backfill"],
            Order::Concurrent => vec!["backfill", "--order", "concurrent"],
            Order::Bulk => vec!["backfill", "--order", "bulk"],
        }
    }

    /// Where the split stands.
    pub async fn status(&self) -> Tried<Value> {
        let ended = self.succeed(&["status", "--output", "json"]).await?;
        serde_json::from_str(&ended.stdout).told("status")
    }

    /// Waits until all lanes are as they should be, while the tail runs.
    pub async fn until(&self, tail: &mut Running, what: &str, is: impl Fn(&Value) -> bool) -> Tried<Value> {
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            let status = self.status().await?;
            let lanes = status["lanes"].as_array().map_or(&[][..], Vec::as_slice);
            if !lanes.is_empty() && lanes.iter().all(&is) {
                return Ok(status);
            }
            if tail.has_ended() {
                return Err(Trouble::new(format!("replicate ended before {what}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Trouble::new(format!("{what} does not come")))
    }
}

/// A plan that shares the items among so many services, by an attribute, with the keys as they are.
fn text(services: u64) -> String {
    let mut plan = format!(
        "version: 1\nsplit: bench\nsource:\n  table: {SOURCE}\n  keys: {{ partition: pk, sort: sk }}\n\
         timestamp: {{ attribute: updatedAt, type: N }}\nunrouted: fail\nservices:\n"
    );
    for service in 0..services {
        plan.push_str(&format!(
            "  - name: {name}\n    where: kind = '{name}'\n    table:\n      name: {table}\n      keys: {{ partition: \
             pk, sort: sk }}\n",
            name = service_name(service),
            table = target(service),
        ));
    }
    plan
}

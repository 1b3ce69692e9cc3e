//! The product's own commands as library calls, each with clients and a clock of its own.

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedAsyncSleep, SharedCredentialsProvider,
};
use aws_types::SdkConfig;
use dynasplit::backfill::{Backfill, BackfillOptions, OrderChoice};
use dynasplit::dynamo::{Clients, Timing};
use dynasplit::lifecycle::{
    ApplyOptions, CompleteOptions, SwitchOptions, apply, complete, switch, switch_back,
};
use dynasplit::plan::Plan;
use dynasplit::repair::reconcile_dead_letters;
use dynasplit::state::TuningChange;
use dynasplit::status::{Phase, split_status_with_worker};
use dynasplit::tail::{Tail, TailOptions};
use dynasplit::verify::{Verify, VerifyOptions};
use dynasplit::worker::{RunError, Split, tune};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::network::Wire;

/// What a command does.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    Apply { enable_stream: bool },
    Replicate { restart: bool },
    Backfill { consistent: bool, order: OrderChoice },
    Verify { repair: bool },
    Reconcile,
    Tune(TuningChange),
    Switch { service: String, undo: bool },
    Complete,
    Status,
}

/// What a command that ended well says.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In a word or two.
    pub words: String,
    /// Every target was compared, and holds exactly what it should.
    pub is_clean: bool,
    /// The split is complete.
    pub is_done: bool,
    /// The next command.
    pub next: Option<String>,
}

impl Report {
    fn of(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            ..Self::default()
        }
    }
}

impl Job {
    /// Its name in a trace.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Apply { .. } => "apply",
            Self::Replicate { restart: false } => "replicate",
            Self::Replicate { restart: true } => "restart-tail",
            Self::Backfill { .. } => "backfill",
            Self::Verify { repair: false } => "verify",
            Self::Verify { repair: true } => "repair",
            Self::Reconcile => "reconcile",
            Self::Tune(_) => "tune",
            Self::Switch { undo: false, .. } => "switched",
            Self::Switch { undo: true, .. } => "switched-undo",
            Self::Complete => "complete",
            Self::Status => "status",
        }
    }

    /// Does it, to its end. An error is told as an operator sees it.
    pub fn work(
        self,
        plan: Plan,
        wire: Wire,
        timing: Timing,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<Report, String>> {
        Box::pin(async move {
            let clients = Clients::of(configuration(wire), timing);
            let split = Split::open(plan, &clients).await;
            let done = Box::pin(self.done(split, stop)).await;
            done.map_err(|error| error.to_string())
        })
    }

    async fn done(self, split: Split, stop: CancellationToken) -> Result<Report, RunError> {
        match self {
            Self::Apply { enable_stream } => {
                let options = ApplyOptions { enable_stream };
                Box::pin(apply(&split, options, &|_| {})).await?;
                with_next(&split, "done").await
            }
            Self::Replicate { restart } => {
                let options = TailOptions {
                    restart,
                    ..TailOptions::default()
                };
                let (tail, _) = Tail::new(split, options, stop);
                let ended = Box::pin(tail.run()).await?;
                Ok(Report::of(format!("{ended:?}")))
            }
            Self::Backfill { consistent, order } => {
                let options = BackfillOptions {
                    segments: Some(3),
                    workers: Some(2),
                    consistent: Some(consistent),
                    order: Some(order),
                    ..BackfillOptions::default()
                };
                let (backfill, _) = Backfill::new(split.clone(), options, stop);
                Box::pin(backfill.run()).await?;
                with_next(&split, "done").await
            }
            Self::Verify { repair } => {
                let options = VerifyOptions {
                    repair,
                    segments: Some(2),
                    ..VerifyOptions::default()
                };
                let (verify, _) = Verify::new(split, options, stop);
                let result = Box::pin(verify.run()).await?;
                let words = if result.clean { "clean" } else { "not clean" };
                Ok(Report {
                    is_clean: result.clean && result.recorded && result.not_repairable.is_none(),
                    next: Some(result.next),
                    ..Report::of(words)
                })
            }
            Self::Reconcile => {
                let letters = split.dead_letters.list(None).await?;
                let settled = Box::pin(reconcile_dead_letters(&split, &letters, &stop)).await?;
                let all = settled.iter().all(|letter| letter.settled);
                Ok(Report::of(if all { "all settled" } else { "some are open" }))
            }
            Self::Tune(change) => {
                tune(&split, &change).await?;
                Ok(Report::of("done"))
            }
            Self::Switch { service, undo: true } => {
                Box::pin(switch_back(&split, &service)).await?;
                Ok(Report::of("taken back"))
            }
            Self::Switch { service, undo: false } => {
                let options = SwitchOptions::default();
                Box::pin(switch(&split, &service, options, &stop, &|_| {})).await?;
                Ok(Report::of("done"))
            }
            Self::Complete => {
                Box::pin(complete(&split, CompleteOptions::default(), &stop, &|_| {})).await?;
                Ok(Report {
                    is_done: true,
                    ..Report::of("done")
                })
            }
            Self::Status => with_next(&split, "").await,
        }
    }
}

/// What was done, and the next command, as the tool says it.
async fn with_next(split: &Split, words: &str) -> Result<Report, RunError> {
    let status = Box::pin(split_status_with_worker(split)).await?;
    Ok(Report {
        is_done: status.phase == Phase::Done,
        next: Some(status.next),
        ..Report::of(if words.is_empty() { "told" } else { words })
    })
}

/// A complete configuration: requests go through the simulated network, and their timeouts stand still with their sender.
pub fn configuration(wire: Wire) -> SdkConfig {
    let nobody = Credentials::new("simulated", "simulated", None, None, "simulated");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(nobody))
        .endpoint_url("http://simulated")
        .sleep_impl(SharedAsyncSleep::new(wire.clone()))
        .http_client(wire)
        .build()
}

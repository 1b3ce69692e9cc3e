//! The product's own commands as library calls, each with clients and a clock of its own.

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedAsyncSleep, SharedCredentialsProvider,
};
use aws_types::SdkConfig;
use aws_types::sdk_config::SharedTimeSource;
use dynasplit::backfill::{Backfill, BackfillOptions, ExportStart, OrderChoice, cancel_export, load_export};
use dynasplit::cutover::{
    CompleteServiceOptions, CutoverOptions, CutoverReport, Operator, RollbackOptions, cancel_cutover,
    cancel_rollback, complete_service, cutover, pause_cutover, resume_cutover, rollback,
};
use dynasplit::dynamo::{Clients, Timing};
use dynasplit::heal::{HealOptions, HealView, heal};
use dynasplit::lifecycle::{
    ApplyOptions, CompleteOptions, PruneOptions, SwitchOptions, apply, complete, prune, switch, switch_back,
};
use dynasplit::plan::Plan;
use dynasplit::repair::reconcile_dead_letters;
use dynasplit::state::{Order, PruneSide, TuningChange};
use dynasplit::status::{Phase, split_status_with_worker};
use dynasplit::tail::{Tail, TailOptions, settle_strays};
use dynasplit::verify::{Verify, VerifyOptions};
use dynasplit::worker::{RunError, Split, tune};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::beside::beside;
use crate::network::Wire;
use crate::shop::Shop;
use crate::world::BUCKET;

/// What a command does.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    Apply {
        enable_stream: bool,
    },
    Replicate {
        restart: bool,
    },
    /// A worker of `replicate` that begins the ledger anew.
    RestartLedger,
    /// Leaves the tables to an import.
    ApplyForImport,
    Backfill {
        consistent: bool,
        order: OrderChoice,
    },
    /// A copy in the import order.
    Import {
        consistent: bool,
        /// A partial table of a failed import is deleted.
        delete_partial: bool,
        /// How large its objects are.
        object_bytes: Option<u64>,
    },
    /// Requests an export for a copy. Says its ARN.
    ExportStart,
    /// A copy that waits for an export scans instead.
    ExportCancel,
    /// A copy of an export.
    CopyExport {
        arn: String,
    },
    /// Brings the keys in order that changed while records were lost.
    Heal {
        new_exports: bool,
    },
    Verify {
        repair: bool,
    },
    /// Compares only what changed since the last clean verify.
    VerifyChanges,
    Reconcile,
    Tune(TuningChange),
    Switch {
        service: String,
        undo: bool,
    },
    Complete,
    Cutover {
        service: String,
        cancel: bool,
        full_check: bool,
        max_pause: Option<Duration>,
    },
    Rollback {
        service: String,
        cancel: bool,
        force: bool,
    },
    CompleteService {
        service: String,
        end_way_back: bool,
    },
    Settle {
        service: String,
        overwrite: bool,
    },
    /// Repairs, and overwrites what others wrote to targets.
    Discard,
    /// Holds the next step of a service.
    Pause {
        service: String,
    },
    /// Lets it begin.
    Resume {
        service: String,
    },
    /// Removes copies that the table of a completed service does not need.
    Prune {
        service: String,
    },
    Status,
}

/// What a verify says that found no difference.
pub const CLEAN: &str = "clean";

/// What a command that ended well says.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In a word or two.
    pub words: String,
    /// Every target was compared, and holds exactly what it should.
    pub is_clean: bool,
    /// The split is complete.
    pub is_done: bool,
    /// A service is completed.
    pub is_completed: bool,
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
            Self::RestartLedger => "restart-ledger",
            Self::ApplyForImport => "apply",
            Self::Backfill { .. } | Self::Import { .. } | Self::CopyExport { .. } => "backfill",
            Self::ExportStart => "export-start",
            Self::Heal { .. } => "heal",
            Self::ExportCancel => "export-cancel",
            Self::Verify { repair: false } => "verify",
            Self::Verify { repair: true } => "repair",
            Self::VerifyChanges => "verify-changes",
            Self::Reconcile => "reconcile",
            Self::Tune(_) => "tune",
            Self::Switch { undo: false, .. } => "switched",
            Self::Switch { undo: true, .. } => "switched-undo",
            Self::Complete => "complete",
            Self::Cutover { cancel: false, .. } => "cutover",
            Self::Cutover { cancel: true, .. } => "cutover-cancel",
            Self::Rollback { cancel: false, .. } => "rollback",
            Self::Rollback { cancel: true, .. } => "rollback-cancel",
            Self::CompleteService { .. } => "complete-service",
            Self::Settle { .. } => "reverse-settle",
            Self::Discard => "discard",
            Self::Prune { .. } => "prune",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
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
        shop: Option<Arc<Shop>>,
    ) -> BoxFuture<'static, Result<Report, String>> {
        Box::pin(async move {
            let clients = Clients::of(configuration(wire), timing);
            let split = Split::open(plan, &clients).await;
            let done = Box::pin(self.done(split, stop, shop)).await;
            done.map_err(|error| error.to_string())
        })
    }

    async fn done(
        self,
        split: Split,
        stop: CancellationToken,
        shop: Option<Arc<Shop>>,
    ) -> Result<Report, RunError> {
        match self {
            Self::Cutover { .. }
            | Self::Rollback { .. }
            | Self::CompleteService { .. }
            | Self::Settle { .. } => {
                let shop = shop.expect("a run with cutovers");
                Box::pin(self.moves(split, stop, &shop)).await
            }
            Self::Apply { enable_stream } => {
                let options = ApplyOptions {
                    enable_stream,
                    for_import: false,
                };
                Box::pin(apply(&split, options, &|_| {})).await?;
                with_next(&split, "done").await
            }
            Self::ApplyForImport => {
                let options = ApplyOptions {
                    enable_stream: false,
                    for_import: true,
                };
                Box::pin(apply(&split, options, &|_| {})).await?;
                with_next(&split, "done").await
            }
            Self::Import {
                consistent,
                delete_partial,
                object_bytes,
            } => {
                let options = BackfillOptions {
                    segments: Some(3),
                    workers: Some(2),
                    consistent: Some(consistent),
                    order: Some(OrderChoice::Only(Order::Import)),
                    delete_partial,
                    object_bytes,
                    ..BackfillOptions::default()
                };
                let (backfill, _) = Backfill::new(split.clone(), options, stop);
                Box::pin(backfill.run()).await?;
                with_next(&split, "done").await
            }
            Self::ExportStart => {
                let to = format!("s3://{BUCKET}/exports").parse().expect("a folder");
                let start = ExportStart::new(split, Some(to), stop);
                let started = Box::pin(start.run()).await?;
                Ok(Report::of(started.export))
            }
            Self::Heal { new_exports } => {
                let options = HealOptions {
                    to: Some(format!("s3://{BUCKET}/changes").parse().expect("a folder")),
                    s3_region: None,
                    new_exports,
                };
                let own = split.clone();
                let healed = beside(move || {
                    Box::pin(async move {
                        let (view, _) = watch::channel(HealView::default());
                        heal(&own, &options, &view, &stop).await
                    })
                });
                let healed = healed.await?;
                let is_all = healed.counts.left() == 0;
                with_next(&split, if is_all { "healed" } else { "some items stay" }).await
            }
            Self::ExportCancel => {
                Box::pin(cancel_export(&split)).await?;
                Ok(Report::of("done"))
            }
            Self::CopyExport { arn } => {
                let place = arn.parse().expect("an ARN");
                let export = Box::pin(load_export(&split, &place, None)).await?;
                let options = BackfillOptions {
                    workers: Some(2),
                    export: Some(Arc::new(export)),
                    ..BackfillOptions::default()
                };
                let (backfill, _) = Backfill::new(split.clone(), options, stop);
                Box::pin(backfill.run()).await?;
                with_next(&split, "done").await
            }
            Self::Replicate { .. } | Self::RestartLedger => {
                let options = TailOptions {
                    restart: matches!(self, Self::Replicate { restart: true }),
                    restart_ledger: self == Self::RestartLedger,
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
            Self::Verify { .. } | Self::VerifyChanges | Self::Discard => {
                let discards = matches!(self, Self::Discard);
                let options = VerifyOptions {
                    repair: discards || matches!(self, Self::Verify { repair: true }),
                    discard_target_writes: discards,
                    changed: matches!(self, Self::VerifyChanges),
                    segments: Some(2),
                    ..VerifyOptions::default()
                };
                let (verify, _) = Verify::new(split, options, stop);
                let result = Box::pin(verify.run()).await?;
                let words = if result.clean { CLEAN } else { "not clean" };
                Ok(Report {
                    is_clean: result.clean && result.recorded && result.not_repairable.is_none(),
                    next: Some(result.next),
                    ..Report::of(words)
                })
            }
            Self::Prune { service } => {
                let options = PruneOptions {
                    side: PruneSide::Target,
                    no_backup: true,
                    ..PruneOptions::default()
                };
                let pruned = Box::pin(prune(&split, &service, &options, "operator", &stop)).await?;
                let counts = pruned.counts;
                let is_all = counts.changed + counts.too_large + counts.put_back == 0;
                Ok(Report::of(if is_all { "pruned" } else { "some items stay" }))
            }
            Self::Pause { service } => {
                Box::pin(pause_cutover(&split, &service, "colleague")).await?;
                Ok(Report::of("held"))
            }
            Self::Resume { service } => {
                Box::pin(resume_cutover(&split, &service, "colleague")).await?;
                Ok(Report::of("resumed"))
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

impl Job {
    /// What moves a service.
    async fn moves(self, split: Split, stop: CancellationToken, shop: &Shop) -> Result<Report, RunError> {
        let operator = Operator {
            name: "operator".into(),
            tell: &|said| shop.tell(said),
            confirm: Some(&|asked| Box::pin(std::future::ready(shop.confirm(asked)))),
        };
        let moved = match self {
            Self::Cutover {
                service,
                cancel: true,
                ..
            } => Box::pin(cancel_cutover(&split, &service, &operator, &stop)).await?,
            Self::Cutover {
                service,
                full_check,
                max_pause,
                ..
            } => {
                let options = CutoverOptions {
                    max_pause,
                    full_check,
                };
                Box::pin(cutover(&split, &service, options, &operator, &stop)).await?
            }
            Self::Rollback {
                service,
                cancel: true,
                ..
            } => Box::pin(cancel_rollback(&split, &service, &operator, &stop)).await?,
            Self::Rollback { service, force, .. } => {
                let options = RollbackOptions {
                    force,
                    ..RollbackOptions::default()
                };
                Box::pin(rollback(&split, &service, options, &operator, &stop)).await?
            }
            Self::CompleteService {
                service,
                end_way_back,
            } => {
                let options = CompleteServiceOptions {
                    end_copies: true,
                    end_way_back,
                };
                let ended = Box::pin(complete_service(&split, &service, options, &operator, &stop)).await?;
                return Ok(Report {
                    is_completed: true,
                    ..Report::of(if ended.already { "done before" } else { "done" })
                });
            }
            Self::Settle { service, overwrite } => {
                let settled = Box::pin(settle_strays(&split, &service, &[], overwrite, &stop)).await?;
                let all = settled.iter().all(|stray| stray.settled);
                return Ok(Report::of(if all { "all settled" } else { "some are open" }));
            }
            other => unreachable!("{other:?} moves no service"),
        };
        Ok(Report::of(moved_words(&moved)))
    }
}

/// How a cutover or a rollback ended, and why, without names and numbers.
fn moved_words(report: &CutoverReport) -> String {
    let reason = report.reason.as_deref().map(|reason| {
        let cut = reason.split([':', '.', '(']).next().unwrap_or_default();
        let words = cut
            .split(' ')
            .filter(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
        format!(", {}", words.collect::<Vec<_>>().join(" "))
    });
    format!("{:?}{}", report.outcome, reason.unwrap_or_default())
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
        .time_source(SharedTimeSource::new(wire.clone()))
        .http_client(wire)
        .build()
}

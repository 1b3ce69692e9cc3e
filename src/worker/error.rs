//! Errors of running commands. Each one names the cause and the next step.

use super::plan_change::{PlanChange, SettingChange};
use super::split::Split;
use crate::dynamo::Failure;
use crate::s3::ExportError;
use crate::source::SourceError;
use crate::state::StateError;
use crate::target::TargetError;

/// Why a run can't begin or continue. Each error names the problem and the next step.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan has a service that the split does not know.
    #[error("the service '{service}' is in the plan and not in the split: run `dynasplit apply` to add it")]
    UnknownService {
        /// Its name.
        service: String,
    },
    /// The plan was edited in the middle.
    #[error(
        "the plan of the split '{split}' was edited in settings that are fixed while it runs:{change}\n{}",
        sentence(&restore(state))
    )]
    PlanEdited {
        /// The split.
        split: String,
        /// The settings.
        change: Box<PlanChange>,
        /// The state table.
        state: String,
    },
    /// `left-behind` was widened in the plan, and not applied.
    #[error(
        "`left-behind` covers more than the split recorded ({change}): run `dynasplit apply` with this plan to record it"
    )]
    Widened {
        /// The setting.
        change: Box<SettingChange>,
    },
    /// `left-behind` was widened by a newer plan.
    #[error(
        "the plan is older than the split: `left-behind` was widened since then ({change}), and it is never narrowed. Use the \
         newest plan"
    )]
    Outdated {
        /// The setting.
        change: Box<SettingChange>,
    },
    /// A service that the plan does not have.
    #[error("the plan has no service '{service}'; its services are {known}")]
    NoSuchService {
        /// What was asked for.
        service: String,
        /// The services that there are.
        known: String,
    },
    /// A table has items without the key that the plan says it has.
    #[error(
        "{table} has items without the key attributes that the plan names: check `keys` of this table in the plan"
    )]
    OtherKeys {
        /// Its name.
        table: String,
    },
    /// The list of mismatches can't be written.
    #[error("can't write the list of mismatches to {}: {source}; name a file in a directory that can be written", path.display())]
    List {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The split is over.
    #[error("the split '{split}' was completed (state table {state}), so there is nothing left to do")]
    Completed {
        /// The split.
        split: String,
        /// The state table.
        state: String,
    },
    /// A service of the plan was given up.
    #[error(
        "the service '{service}' was given up with `dynasplit abandon`. Remove it from the plan, and run the command again; to \
         split it again, give it another name"
    )]
    ServiceAbandoned {
        /// Its name.
        service: String,
    },
    /// The whole split was given up.
    #[error(
        "the split '{split}' was given up with `dynasplit abandon`, so no command continues it. To split the table again, delete \
         the state table {state} (`dynasplit abandon --delete-state --yes`) and run `dynasplit apply`"
    )]
    SplitAbandoned {
        /// The split.
        split: String,
        /// The state table.
        state: String,
    },
    /// A command came too early.
    #[error("{what}: {next}")]
    NotYet {
        /// What is missing.
        what: String,
        /// What to do.
        next: String,
    },
    /// The stream was disabled and enabled again.
    #[error(
        "the stream of {table} is not the one that this split reads ({was}, now {is}), and writes between \
         the two streams are in neither. Probably somebody switched the stream off and on again. Run \
         `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`"
    )]
    StreamReplaced {
        /// The source table.
        table: String,
        /// ARN of the stream that was read.
        was: String,
        /// ARN of the stream that is on.
        is: String,
    },
    /// The stream is off.
    #[error(
        "the stream of {table} is off: run `dynasplit apply`, which switches it on (add --enable-stream if the split has read a stream before)"
    )]
    StreamOff {
        /// The source table.
        table: String,
    },
    /// Targets that can't be used as they are.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Targets {
        /// Each names its table and the way out.
        problems: Vec<TargetError>,
    },
    /// Something is in the way of a step that must be clean.
    #[error("not clean:\n{}", reasons.iter().map(|r| format!("  - {}", r.replace('\n', "\n  "))).collect::<Vec<_>>().join("\n"))]
    Unclean {
        /// Each with its next command.
        reasons: Vec<String>,
    },
    /// Too many timestamps went backwards.
    #[error(
        "more than {limit} keys have a timestamp that went backwards, so the attribute cannot serve as a version. Start over with \
         `timestamp: none` in the plan (sequence mode)"
    )]
    TimestampsGoBack {
        /// The limit.
        limit: usize,
    },
    /// A key range of a table is throttled all the time.
    #[error(
        "{table}: {place} could not be read: DynamoDB throttled this key range for {seconds} s ({reason}). Everything else was \
         read. Lower the load on this key range, and run the command again"
    )]
    HotRange {
        /// The table, as people call it.
        table: String,
        /// The key, or the segment of the scan and the key after which it stands.
        place: String,
        /// The throttling reason.
        reason: String,
        /// For how long it was tried.
        seconds: u64,
    },
    /// The work can't continue, for a reason that does not pass by itself.
    #[error("{0}")]
    Failed(String),
    /// A command would ask a person, and nobody can be asked. Nothing was done.
    #[error("{0}")]
    Unconfirmed(String),
    /// It was told to stop, and the last save failed.
    #[error(
        "stopped, but the last progress was not saved: {cause}. No change is lost: when the state table can be reached, run the \
         same command again; it continues at the last checkpoint that was saved"
    )]
    Unsaved {
        /// Why the save failed.
        cause: String,
    },
    /// The source table was deleted.
    #[error(
        "the source table {table} was deleted: {}. If that was a mistake, restore the table under the same name, then run \
         `dynasplit apply`, `dynasplit replicate --restart-tail` and `dynasplit verify --repair`",
        if *is_drained { "its stream was read to its end, and every record in it was applied" }
        else { "its stream is gone as well, and what was not read of it is lost" }
    )]
    SourceGone {
        /// The source table.
        table: String,
        /// Every record of its stream was applied.
        is_drained: bool,
    },
    /// It was told to stop.
    #[error("stopped: {0}")]
    Stopped(String),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// A request.
    #[error(transparent)]
    Request(#[from] Failure),
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// An export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A comparison that could not be made.
    #[error(transparent)]
    Comparison(Box<dyn std::error::Error + Send + Sync>),
}

/// What to do about a plan that was edited in the middle.
pub(crate) fn restore(state: &str) -> String {
    format!(
        "restore these settings in the plan. To use other settings, start over: give the split up with `dynasplit abandon` \
         (without --yes, it only lists what it would delete; the state table is {state}), then apply the new plan"
    )
}

/// A text as a sentence of its own.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

impl RunError {
    /// The plan was edited in the middle.
    pub(crate) fn edited(change: PlanChange, split: &Split) -> Self {
        Self::PlanEdited {
            split: split.plan.split.clone(),
            change: Box::new(change),
            state: split.plan.state_table.clone(),
        }
    }
}

impl From<crate::flow::Stop> for RunError {
    fn from(stop: crate::flow::Stop) -> Self {
        Self::Failed(stop.reason)
    }
}

//! Named failpoints: places where a test kills or suspends the process, makes it wait, or makes it lose a request.
//!
//! They are on both sides of every write and every save; `tests/layers/requests.rs` checks this. Each is one line:
//! [`before`] and [`after`] a request, or a [`moment`] between two steps. In a binary without the Cargo feature
//! `failpoints`, as `cargo build` makes it, these lines do nothing. The tests build it with the feature.
//!
//! The environment variable [`VARIABLE`] of a process arms them: `POINT[@WHEN]=ACTION`, several with commas in between.
//!
//! | `WHEN` | the action is taken |
//! |---|---|
//! | (none) | at the first pass of the point |
//! | `17` | at the 17th pass |
//! | `17+` | at the 17th pass and each later one |
//! | `/17` | at every 17th pass |
//! | `*` | at each pass |
//!
//! | `ACTION` | does |
//! |---|---|
//! | `kill` | the process reports the point on stderr, and ends as by `kill -9` |
//! | `stop` | it reports the point, and is suspended as by `kill -STOP`, until `kill -CONT` |
//! | `error` | the request counts as one without an answer: before it is sent, or after it took effect |
//! | `delay:MS` | it waits for this many milliseconds |
//!
//! Invariants: this module imports no other; an armed point has a name in [`REQUESTS`] or [`MOMENTS`]; every name is
//! used in the code.

/// The environment variable that arms failpoints.
pub const VARIABLE: &str = "DYNASPLIT_FAULT";

/// Requests that change something. Each has two points: `NAME.before` and `NAME.after`, its answer.
pub const REQUESTS: &[&str] = &[
    "tail.put",
    "tail.bury",
    "tail.delete",
    "backfill.put",
    "bulk.put",
    "probe.put",
    "probe.insert",
    "repair.put",
    "repair.bury",
    "recheck.put",
    "recheck.bury",
    "letters.put",
    "letters.bury",
    "sweep.delete",
    "complete.strip",
    "cutover.unmark",
    "marker.put",
    "marker.delete",
    "prune.mark",
    "prune.delete",
    "prune.unmark",
    "prune.put-back",
    "reverse.put",
    "reverse.update",
    "reverse.mark",
    "reverse.delete",
    "fence.policy.put",
    "fence.policy.delete",
    "state.split.put",
    "state.service.put",
    "state.service.delete",
    "state.shard.put",
    "state.history.put",
    "state.worker.put",
    "state.worker.delete",
    "state.backfill.put",
    "state.import.put",
    "state.heal.put",
    "state.segment.put",
    "state.segment.delete",
    "state.copied.put",
    "state.copied.delete",
    "state.member.put",
    "state.member.delete",
    "state.repair.put",
    "state.verify.put",
    "state.shared-verify.put",
    "state.verify-task.put",
    "state.verify-task.delete",
    "state.proof.put",
    "state.proof.delete",
    "state.changes.put",
    "export.request",
    "s3.object",
    "s3.copy",
    "s3.delete",
    "import.request",
    "state.letter.put",
    "state.letter.delete",
    "state.letter-part.put",
    "state.letter-part.delete",
    "state.recheck.put",
    "state.recheck.delete",
    "state.tuning.put",
    "state.chart.put",
    "state.notify.put",
    "state.activity.put",
    "state.cutover.put",
    "state.cutover-event.put",
    "state.cutover-pin.put",
    "state.prune.put",
];

/// Points between two steps, and around requests that only a person repeats. No request can be lost at them.
pub const MOMENTS: &[&str] = &[
    "apply.state-table.before",
    "apply.state-table.after",
    "apply.stream.before",
    "apply.stream.after",
    "apply.target-table.before",
    "apply.target-table.after",
    "apply.recovery.before",
    "apply.recovery.after",
    "apply.tags.before",
    "apply.tags.after",
    "capture.pinned",
    "capture.done",
    "lease.taken",
    "lease.given-back.before",
    "lease.given-back.after",
    "tail.checkpoint.before",
    "tail.checkpoint.after",
    "restart.begun",
    "export.acknowledged",
    "heal.pinned",
    "heal.begun",
    "heal.tombstones-on",
    "heal.page",
    "heal.window-done",
    "heal.swept",
    "offline.exported",
    "offline.file-shaped",
    "import.claimed",
    "import.copied",
    "import.ended",
    "import.ready",
    "import.freed",
    "import.given-up",
    "import.setting.before",
    "import.setting.after",
    "import.partial-table.before",
    "import.partial-table.after",
    "offline.verified",
    "verify.beginning",
    "verify.task-done",
    "verify.kept",
    "verify.ended",
    "backfill.page-read",
    "backfill.checkpoint.before",
    "backfill.checkpoint.after",
    "backfill.copied",
    "backfill.swept",
    "bulk.holding",
    "bulk.held",
    "bulk.landed",
    "bulk.freed",
    "bulk.given-up",
    "tombstones.on",
    "tombstones.on-acknowledged",
    "tombstones.acknowledging",
    "tombstones.landed",
    "tombstones.rechecked",
    "tombstones.off",
    "tombstones.off-acknowledged",
    "tombstones.swept",
    "tombstones.done",
    "switched.recording",
    "switched.acknowledged",
    "notify.sent",
    "events.sent",
    "ledger.written",
    "ledger.recorded",
    "cutover.step",
    "cutover.held",
    "cutover.resumed",
    "cutover.fencing",
    "cutover.marked",
    "cutover.markers-removed",
    "cutover.closed",
    "cutover.close-acknowledged",
    "cutover.pinned",
    "cutover.switching",
    "cutover.hook-done",
    "cutover.switched",
    "cutover.reopened",
    "cutover.lifted",
    "rollback.fencing",
    "rollback.drained",
    "rollback.reopened",
    "rollback.reopen-acknowledged",
    "rollback.unfenced",
    "rollback.cancelled",
    "cutover.way-back-ended",
    "cutover.end-acknowledged",
    "cutover.watch-ended",
    "cutover.unmarked",
    "cutover.stripped",
    "prune.page",
    "abandon.marked",
    "abandon.forgotten",
    "abandon.target-table.before",
    "abandon.target-table.after",
    "abandon.stream.before",
    "abandon.stream.after",
    "abandon.state-table.before",
    "abandon.state-table.after",
    "complete.begun",
    "complete.workers-gone",
    "complete.ttl.before",
    "complete.ttl.after",
];

/// Who writes a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writer {
    /// A lane of the tail.
    Tail,
    /// A page of the backfill.
    Backfill,
    /// A page of a bulk copy.
    Bulk,
    /// `verify --repair`.
    Repair,
    /// The recheck list.
    Recheck,
    /// `dead-letters reconcile`.
    DeadLetters,
}

/// The kind of a write of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteOp {
    /// An item is put.
    Put,
    /// A tombstone is left.
    Tombstone,
    /// The item is deleted.
    Delete,
}

/// Problems of [`VARIABLE`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FaultError {
    /// This binary has no failpoints.
    #[error("{VARIABLE} is set, but this dynasplit was built without the feature `failpoints`: unset it")]
    NotBuilt,
    /// The value can't be read.
    #[error("{VARIABLE} has '{rule}': {cause}")]
    Malformed {
        /// The wrong part of the value.
        rule: String,
        /// The problem.
        cause: String,
    },
}

mod rule;
#[cfg(feature = "broken-rules")]
pub use rule::break_rule;
pub use rule::{Rule, broken};

#[cfg(feature = "failpoints")]
mod armed;
#[cfg(feature = "failpoints")]
pub use armed::{Lost, after, before, check, moment, saving, writing};

#[cfg(not(feature = "failpoints"))]
mod absent;
#[cfg(not(feature = "failpoints"))]
pub use absent::{Lost, after, before, check, moment, saving, writing};

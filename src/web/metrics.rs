//! Every metric: its name, its unit, its labels and how stable it is. `docs/metrics.md` has the same table, and a test
//! compares the two. No metric has a label with a key or a value of an item.

use std::fmt;

/// The kind of a metric, as Prometheus names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// It goes up. It begins anew if the tail is restarted, or if the state is deleted.
    Counter,
}

/// What a later version may do to a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stability {
    /// A new minor version keeps its name, unit, labels and meaning.
    Stable,
    /// A new minor version may change or remove it.
    Experimental,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        })
    }
}

impl fmt::Display for Stability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::Experimental => "experimental",
        })
    }
}

/// A metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Its name. It ends with its unit, as Prometheus recommends.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// Its unit.
    pub unit: &'static str,
    /// The names of its labels, in their order.
    pub labels: &'static [&'static str],
    /// What a later version may do to it.
    pub stability: Stability,
    /// What it counts or measures.
    pub help: &'static str,
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    stability: Stability,
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        unit,
        labels,
        stability,
        help,
    }
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    stability: Stability,
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricKind::Counter,
        unit,
        labels,
        stability,
        help,
    }
}

use Stability::{Experimental, Stable};

const SPLIT: &[&str] = &["split"];
const LANE: &[&str] = &["split", "lane"];

/// See its help, like all of them.
pub const BUILD_INFO: Metric = gauge(
    "dynasplit_build_info",
    "1",
    &["version"],
    Stable,
    "Always 1: this process runs, and this is its version.",
);
/// See its help.
pub const STATE_READABLE: Metric = gauge(
    "dynasplit_state_readable",
    "0 or 1",
    &[],
    Stable,
    "1 if this process could read the state of the split at its last attempt. At 0, it reports no metric of the split.",
);
/// See its help.
pub const STATE_AGE: Metric = gauge(
    "dynasplit_state_age_seconds",
    "seconds",
    &[],
    Stable,
    "Age of the reading of the state from which the metrics of the split come.",
);
/// See its help.
pub const STREAM_TIME_LEFT: Metric = gauge(
    "dynasplit_stream_time_left_seconds",
    "seconds",
    LANE,
    Stable,
    "Time until the stream may remove (trim) records that the lane has not applied. At 0, changes may be lost.",
);
/// See its help.
pub const LANE_LAG: Metric = gauge(
    "dynasplit_lane_lag_seconds",
    "seconds",
    LANE,
    Stable,
    "How far the lane is behind: it has applied every change that is older.",
);
/// See its help.
pub const LANE_CHECKPOINT_AGE: Metric = gauge(
    "dynasplit_lane_checkpoint_age_seconds",
    "seconds",
    LANE,
    Stable,
    "Age of the oldest checkpoint of the shards that the lane still reads.",
);
/// See its help.
pub const LANE_OPEN_SHARDS: Metric = gauge(
    "dynasplit_lane_open_shards",
    "shards",
    LANE,
    Stable,
    "Shards of the stream that the lane reads or waits to read.",
);
/// See its help.
pub const LANE_GAP: Metric = gauge(
    "dynasplit_lane_gap",
    "0 or 1",
    LANE,
    Stable,
    "1 if the lane lost records, because the stream removed them before they were read.",
);
/// See its help.
pub const LANE_BLOCKED: Metric = gauge(
    "dynasplit_lane_blocked",
    "0 or 1",
    LANE,
    Stable,
    "1 if the lane does not move at the moment. `dynasplit status` shows the reason.",
);
/// See its help.
pub const LANE_RECORDS: Metric = counter(
    "dynasplit_lane_records_total",
    "records",
    LANE,
    Stable,
    "Records of the stream that the lane has looked at.",
);
/// See its help.
pub const LANE_CHANGES: Metric = counter(
    "dynasplit_lane_changes_total",
    "changes",
    &["split", "lane", "outcome"],
    Stable,
    "Changes of the lane by outcome: put, removed, superseded, unchanged or dead-letter.",
);
/// See its help.
pub const LANE_WRITE_UNITS: Metric = counter(
    "dynasplit_lane_write_units_total",
    "write units",
    LANE,
    Stable,
    "Write units that the lane has used on the table of its service.",
);
/// See its help.
pub const DEAD_LETTERS: Metric = gauge(
    "dynasplit_dead_letters",
    "dead letters",
    &["split", "service"],
    Stable,
    "Open dead letters: changes that could not be written.",
);
/// See its help.
pub const EVENTS_LAG: Metric = gauge(
    "dynasplit_events_lag_seconds",
    "seconds",
    &["split", "service"],
    Experimental,
    "How far the events of the service are behind: the event of every older change was sent.",
);
/// See its help.
pub const EVENTS_TIME_LEFT: Metric = gauge(
    "dynasplit_events_time_left_seconds",
    "seconds",
    &["split", "service"],
    Experimental,
    "Time until the stream may remove (trim) changes whose events were not sent. At 0, events may be lost.",
);
/// See its help.
pub const EVENTS_SENT: Metric = counter(
    "dynasplit_events_sent_total",
    "events",
    &["split", "service"],
    Experimental,
    "Events of the service that its destination accepted, those that were sent twice among them.",
);
/// See its help.
pub const EVENTS_DEAD_LETTERS: Metric = gauge(
    "dynasplit_events_dead_letters",
    "dead letters",
    &["split", "service"],
    Experimental,
    "Open dead letters of events: the destination refused them.",
);
/// See its help.
pub const EVENTS_GAP: Metric = gauge(
    "dynasplit_events_gap",
    "0 or 1",
    &["split", "service"],
    Experimental,
    "1 if events of the service were lost, because the stream removed changes before their events were sent.",
);
/// See its help.
pub const EVENTS_BLOCKED: Metric = gauge(
    "dynasplit_events_blocked",
    "0 or 1",
    &["split", "service"],
    Experimental,
    "1 if no event of the service gets through at the moment. `dynasplit status` shows the reason.",
);
/// See its help.
pub const LEDGER_LAG: Metric = gauge(
    "dynasplit_ledger_lag_seconds",
    "seconds",
    SPLIT,
    Experimental,
    "How far the ledger is behind: every older change is in an object.",
);
/// See its help.
pub const LEDGER_TIME_LEFT: Metric = gauge(
    "dynasplit_ledger_time_left_seconds",
    "seconds",
    SPLIT,
    Experimental,
    "Time until the stream may remove (trim) changes that are not in the ledger. At 0, the ledger may lose changes.",
);
/// See its help.
pub const LEDGER_RECORDS: Metric = counter(
    "dynasplit_ledger_records_total",
    "records",
    SPLIT,
    Experimental,
    "Records of the source's stream that are in the ledger. A ledger that begins anew counts anew.",
);
/// See its help.
pub const LEDGER_GAP: Metric = gauge(
    "dynasplit_ledger_gap",
    "0 or 1",
    SPLIT,
    Experimental,
    "1 if the ledger lost records, because the stream removed them before they were in an object.",
);
/// See its help.
pub const LEDGER_BLOCKED: Metric = gauge(
    "dynasplit_ledger_blocked",
    "0 or 1",
    SPLIT,
    Experimental,
    "1 if the ledger cannot be written at the moment. `dynasplit status` shows the reason.",
);
/// See its help.
pub const RECHECKS: Metric = gauge(
    "dynasplit_rechecks",
    "keys",
    SPLIT,
    Stable,
    "Keys that must be read again, because a timestamp went backwards.",
);
/// See its help.
pub const LATE_CHANGES: Metric = gauge(
    "dynasplit_changes_after_switch",
    "changes",
    &["split", "service"],
    Stable,
    "Changes of a service that came to the source after the service had switched. No new table contains them.",
);
/// See its help.
pub const BACKFILL_ITEMS_READ: Metric = counter(
    "dynasplit_backfill_items_read_total",
    "items",
    SPLIT,
    Stable,
    "Items of the source that the backfill has read.",
);
/// See its help.
pub const BACKFILL_ITEMS_ESTIMATED: Metric = gauge(
    "dynasplit_backfill_items_estimated",
    "items",
    SPLIT,
    Stable,
    "Items that the source reported when the backfill began. The number was up to six hours old then.",
);
/// See its help.
pub const BACKFILL_READ_UNITS: Metric = counter(
    "dynasplit_backfill_read_units_total",
    "read units",
    SPLIT,
    Stable,
    "Read units that the backfill has used on the source.",
);
/// See its help.
pub const BACKFILL_ITEMS: Metric = counter(
    "dynasplit_backfill_items_total",
    "items",
    &["split", "lane", "outcome"],
    Stable,
    "Items of the backfill by outcome: put, superseded, unchanged, left-behind or dead-letter.",
);
/// See its help.
pub const BACKFILL_WRITE_UNITS: Metric = counter(
    "dynasplit_backfill_write_units_total",
    "write units",
    LANE,
    Stable,
    "Write units that the backfill has used on the table of the service.",
);
/// See its help.
pub const BACKFILL_SEGMENTS: Metric = gauge(
    "dynasplit_backfill_segments",
    "segments",
    LANE,
    Stable,
    "Segments of the backfill for the lane.",
);
/// See its help.
pub const BACKFILL_SEGMENTS_DONE: Metric = gauge(
    "dynasplit_backfill_segments_done",
    "segments",
    LANE,
    Stable,
    "Segments of the backfill that are completely in the table of the service.",
);
/// See its help.
pub const VERIFY_CLEAN: Metric = gauge(
    "dynasplit_verify_clean",
    "0 or 1",
    SPLIT,
    Stable,
    "1 if the last `dynasplit verify` of the whole split found no difference. Absent before the first one.",
);
/// See its help.
pub const VERIFY_AGE: Metric = gauge(
    "dynasplit_verify_age_seconds",
    "seconds",
    SPLIT,
    Stable,
    "Time since the last `dynasplit verify` of the whole split ended.",
);
/// See its help.
pub const VERIFY_MISMATCHES: Metric = gauge(
    "dynasplit_verify_mismatches",
    "keys",
    &["split", "service", "class"],
    Stable,
    "Findings of the last verify by class. The classes are those of `dynasplit verify`.",
);
/// See its help.
pub const WORKERS: Metric = gauge(
    "dynasplit_workers",
    "processes",
    &["split", "kind", "state"],
    Stable,
    "Processes with a heartbeat by kind (tail, backfill, ...) and state (alive or overdue).",
);
/// See its help.
pub const PHASE: Metric = gauge(
    "dynasplit_phase",
    "1",
    &["split", "phase"],
    Stable,
    "Always 1: this is the phase of the split, in the words of `dynasplit status`.",
);
/// See its help.
pub const OBSTACLES: Metric = gauge(
    "dynasplit_obstacles",
    "obstacles",
    &["split", "kind"],
    Stable,
    "What is in the way of completing the split, by kind. docs/troubleshooting.md explains the kinds.",
);
/// See its help.
pub const LIMIT: Metric = gauge(
    "dynasplit_limit",
    "1",
    &["split", "command", "part", "by", "reason"],
    Experimental,
    "Always 1: this limits this part of the command now. For throttling, `reason` is the reason that DynamoDB gives.",
);

/// All metrics, in the order in which they are reported.
pub const ALL: [Metric; 40] = [
    BUILD_INFO,
    STATE_READABLE,
    STATE_AGE,
    STREAM_TIME_LEFT,
    LANE_LAG,
    LANE_CHECKPOINT_AGE,
    LANE_OPEN_SHARDS,
    LANE_GAP,
    LANE_BLOCKED,
    LANE_RECORDS,
    LANE_CHANGES,
    LANE_WRITE_UNITS,
    DEAD_LETTERS,
    EVENTS_LAG,
    EVENTS_TIME_LEFT,
    EVENTS_SENT,
    EVENTS_DEAD_LETTERS,
    EVENTS_GAP,
    EVENTS_BLOCKED,
    LEDGER_LAG,
    LEDGER_TIME_LEFT,
    LEDGER_RECORDS,
    LEDGER_GAP,
    LEDGER_BLOCKED,
    RECHECKS,
    LATE_CHANGES,
    BACKFILL_ITEMS_READ,
    BACKFILL_ITEMS_ESTIMATED,
    BACKFILL_READ_UNITS,
    BACKFILL_ITEMS,
    BACKFILL_WRITE_UNITS,
    BACKFILL_SEGMENTS,
    BACKFILL_SEGMENTS_DONE,
    VERIFY_CLEAN,
    VERIFY_AGE,
    VERIFY_MISMATCHES,
    WORKERS,
    PHASE,
    OBSTACLES,
    LIMIT,
];

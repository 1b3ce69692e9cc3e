//! The state of the whole split as data: its phase, the obstacles to completing it, and the next command.

use super::cutover_status::CutoverStatus;
use super::events_status::EventsStatus;
use super::heal_status::HealStatus;
use super::lane_status::{FillStatus, LaneStatus};
use super::ledger_status::LedgerStatus;
use super::limits::{ActivityStatus, LimitStatus};
use super::obstacle::Obstacle;
use super::shared_verify_status::SharedVerifyStatus;
use super::worker_plan::OtherPlan;
use crate::state::{
    BackfillRecord, ServiceRecord, SplitRecord, Tombstones, TuningRecord, VerifyRecord, WorkerRecord,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Phases of a split, in order. Computed from the records, never stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Tables, state and stream are there.
    Created,
    /// The stream is captured.
    Tailing,
    /// The backfill has begun.
    Backfilling,
    /// The backfill is finished; the tail still lags, or nothing was verified since.
    CatchingUp,
    /// The last verify was clean.
    Verified,
    /// `complete` has begun.
    Completing,
    /// Over.
    Done,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Tailing => "tailing",
            Self::Backfilling => "backfilling",
            Self::CatchingUp => "catching up",
            Self::Verified => "verified",
            Self::Completing => "completing",
            Self::Done => "done",
        })
    }
}

/// A worker that gives signs of life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WorkerStatus {
    /// `tail`.
    pub kind: String,
    /// Milliseconds since its last sign of life, by the clocks of both machines.
    pub seen_ms_ago: u64,
    /// How far its clock is ahead of this machine's, in milliseconds, as far as that shows.
    pub ahead_ms: u64,
    /// It is overdue: likely dead.
    pub overdue: bool,
    /// How its plan differs from the split; `None` if it routes each item as the split does.
    pub other_plan: Option<String>,
    /// What happens to its requests, if chaos is switched on; otherwise the field is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chaos: Option<String>,
    /// Its plan has other services, so it does not read every lane.
    #[serde(skip)]
    pub lacks_lanes: bool,
}

impl WorkerStatus {
    /// By its record, and by the plan that the split runs by.
    pub(super) fn of(
        worker: &WorkerRecord,
        record: &SplitRecord,
        services: &[ServiceRecord],
        now_ms: u64,
    ) -> Self {
        let seen_ms_ago = now_ms.saturating_sub(worker.seen_ms);
        let other_plan = OtherPlan::of(worker, record, services);
        Self {
            kind: worker.kind.clone(),
            seen_ms_ago,
            ahead_ms: worker.seen_ms.saturating_sub(now_ms),
            overdue: seen_ms_ago > worker.lease.duration_ms,
            lacks_lanes: other_plan.as_ref().is_some_and(|other| other.lacks_lanes),
            other_plan: other_plan.map(|other| other.what),
            chaos: worker.chaos.clone(),
        }
    }

    /// Whether it is alive, and reads the stream.
    #[must_use]
    pub fn reads_stream(&self) -> bool {
        self.kind == "tail" && !self.overdue
    }
}

/// A destination of notifications that gets none at present.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Unnotified {
    /// The destination. It contains no secret.
    pub destination: String,
    /// Milliseconds since the first attempt that failed.
    pub since_ms_ago: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// Why.
    pub reason: String,
}

/// Where the split stands.
#[derive(Clone, Debug, Serialize)]
pub struct SplitStatus {
    /// The split.
    pub split: String,
    /// Its phase.
    pub phase: Phase,
    /// The lanes.
    pub lanes: Vec<LaneStatus>,
    /// The backfill, lane by lane.
    pub backfill: Vec<FillStatus>,
    /// Whether and when it was started and finished.
    pub backfill_record: Option<BackfillRecord>,
    /// Items that the backfill has read, and read units in thousandths.
    pub scanned: u64,
    /// Read units that it used, in thousandths.
    pub read_milliunits: u64,
    /// The present reasons for a delay of the backfill.
    pub backfill_blocked: BTreeSet<String>,
    /// The activities of the running commands, except `replicate`.
    pub running: Vec<ActivityStatus>,
    /// When a process of the backfill gave its last sign of life, in milliseconds since 1970.
    pub backfill_seen_ms: Option<u64>,
    /// The limits of the running commands, as they recorded them last.
    pub limits: Vec<LimitStatus>,
    /// Budgets that were tuned.
    pub tuning: TuningRecord,
    /// The tombstone switches that are not off, by service.
    pub tombstones: BTreeMap<String, Tombstones>,
    /// Dead letters, by service.
    pub dead_letters: BTreeMap<String, u64>,
    /// Keys to be read again.
    pub rechecks: u64,
    /// The last verify.
    pub verify: Option<VerifyRecord>,
    /// The shared verify that is under way; without one, the field is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_verify: Option<SharedVerifyStatus>,
    /// When each service that was found to be exact was last verified, in milliseconds since 1970.
    pub proven: BTreeMap<String, u64>,
    /// When the changes since then were last compared and found to be exact, in milliseconds since 1970. Without such a comparison,
    /// the field is absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub changes_compared: BTreeMap<String, u64>,
    /// When the state began to be read, in milliseconds since 1970: the lags are as of then.
    pub read_ms: u64,
    /// The workers.
    pub workers: Vec<WorkerStatus>,
    /// Services that have switched to their own table, and when, in milliseconds since 1970.
    pub switched: BTreeMap<String, u64>,
    /// Cutovers with a way back, service by service.
    pub cutovers: Vec<CutoverStatus>,
    /// The events of services; without any, the field is absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventsStatus>,
    /// The ledger of all changes; without one, the field is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerStatus>,
    /// The last heal of a gap; without one, the field is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal: Option<HealStatus>,
    /// Destinations of notifications that get none at present; otherwise the field is absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unnotified: Vec<Unnotified>,
    /// The obstacles to completing.
    pub obstacles: Vec<Obstacle>,
    /// The next command.
    pub next: String,
}

#[cfg(test)]
impl WorkerStatus {
    /// A live worker of the tail, for tests.
    pub(crate) fn sample(other_plan: Option<&str>) -> Self {
        Self {
            kind: "tail".into(),
            seen_ms_ago: 1,
            ahead_ms: 0,
            overdue: false,
            other_plan: other_plan.map(str::to_owned),
            chaos: None,
            lacks_lanes: other_plan.is_some(),
        }
    }
}

#[cfg(test)]
impl SplitStatus {
    /// With these lanes, which a live worker reads, and nothing else, for tests.
    pub(crate) fn sample(phase: Phase, lanes: Vec<LaneStatus>) -> Self {
        Self {
            split: "split".into(),
            phase,
            lanes,
            backfill: Vec::new(),
            backfill_record: None,
            scanned: 0,
            read_milliunits: 0,
            backfill_blocked: BTreeSet::new(),
            running: Vec::new(),
            backfill_seen_ms: None,
            limits: Vec::new(),
            tuning: TuningRecord::default(),
            tombstones: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            rechecks: 0,
            verify: None,
            shared_verify: None,
            proven: BTreeMap::new(),
            changes_compared: BTreeMap::new(),
            read_ms: 0,
            workers: vec![WorkerStatus::sample(None)],
            switched: BTreeMap::new(),
            cutovers: Vec::new(),
            events: Vec::new(),
            ledger: None,
            heal: None,
            unnotified: Vec::new(),
            obstacles: Vec::new(),
            next: String::new(),
        }
    }
}

impl SplitStatus {
    /// Whether the stream is off, and every lane has read it to its end.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drained_ms().is_some()
    }

    /// When the last lane had read the stream to its end, in milliseconds since 1970; `None` while a shard is open.
    #[must_use]
    pub fn drained_ms(&self) -> Option<u64> {
        let drained: Option<Vec<u64>> = self.lanes.iter().map(|lane| lane.drained_ms).collect();
        drained.and_then(|lanes| lanes.into_iter().max())
    }

    /// The present time, by the clock that is ahead, of this machine or of the workers. A lane that is complete by a
    /// worker's clock must not be taken for complete up to a later time. A worker records its time with each renewal
    /// of its lease.
    #[must_use]
    pub fn moment_ms(&self, now_ms: u64, renew: Duration) -> u64 {
        let ahead = self
            .workers
            .iter()
            .map(|worker| worker.ahead_ms)
            .max()
            .unwrap_or(0);
        let unseen = if ahead > 0 {
            u64::try_from(renew.as_millis()).unwrap_or(u64::MAX)
        } else {
            0
        };
        now_ms.saturating_add(ahead).saturating_add(unseen)
    }

    /// Whether a live worker reads every lane of the stream.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.reads_stream() && !worker.lacks_lanes)
    }
}

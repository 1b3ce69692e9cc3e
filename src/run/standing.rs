//! Where the whole split stands: its phase, what is in the way of completing it, and the next command.

use super::checks::{differs, services};
use super::error::RunError;
use super::limits::{self, ActivityStanding, LimitStanding};
use super::obstacles::{Known, Obstacle, ObstacleKind, next, obstacles};
use super::open_letters::OpenLetters;
use super::restart::other_stream;
use super::split::{Split, now_ms};
use super::status::{FillStatus, LaneStatus, fill_status, lane_status};
use super::tail::recorded_shards;
use crate::source::SourceError;
use crate::state::{
    ActivityRecord, BackfillRecord, Limit, SegmentRecord, ServiceRecord, ShardRecord, SplitRecord, Stored,
    Tombstones, TuningRecord, VerifyRecord, WorkerRecord,
};
use crate::target::HELD;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

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
pub struct WorkerStanding {
    /// `tail`.
    pub kind: String,
    /// Milliseconds since its last sign of life, by the clocks of both machines.
    pub seen_ms_ago: u64,
    /// How far its clock is ahead of this machine's, in milliseconds, as far as that shows.
    pub ahead_ms: u64,
    /// It is overdue: likely dead.
    pub overdue: bool,
    /// How its plan differs from the split; `None` if it has the same services.
    pub other_plan: Option<String>,
}

impl WorkerStanding {
    /// Whether it is alive, and reads the stream.
    #[must_use]
    pub fn reads_stream(&self) -> bool {
        self.kind == "tail" && !self.overdue
    }
}

/// Where the split stands.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
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
    /// What holds the backfill up at the moment.
    pub backfill_blocked: BTreeSet<String>,
    /// What the commands that run are doing, `replicate` apart.
    pub running: Vec<ActivityStanding>,
    /// When a process of the backfill gave its last sign of life, in milliseconds since 1970.
    pub backfill_seen_ms: Option<u64>,
    /// What limits the commands that run, as they said last.
    pub limits: Vec<LimitStanding>,
    /// Budgets that were tuned.
    pub tuning: TuningRecord,
    /// The tombstone switch.
    pub tombstones: Tombstones,
    /// Dead letters, by service.
    pub dead_letters: BTreeMap<String, u64>,
    /// Keys to be read again.
    pub rechecks: u64,
    /// The last verify.
    pub verify: Option<VerifyRecord>,
    /// When the state began to be read, in milliseconds since 1970: the lags are as of then.
    pub read_ms: u64,
    /// The workers.
    pub workers: Vec<WorkerStanding>,
    /// Services that have switched to their own table, and when, in milliseconds since 1970.
    pub switched: BTreeMap<String, u64>,
    /// What is in the way of completing.
    pub obstacles: Vec<Obstacle>,
    /// The next command.
    pub next: String,
}

impl Standing {
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

    /// This moment, by whichever clock of this machine and of the workers is ahead: what a lane is complete up to by a
    /// worker's clock must not be taken for later than it is. A worker writes its time down with each renewal of its lease.
    #[must_use]
    pub fn moment_ms(&self, renew: Duration) -> u64 {
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
        now_ms().saturating_add(ahead).saturating_add(unseen)
    }

    /// Whether a live worker with this plan reads the stream.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.reads_stream() && worker.other_plan.is_none())
    }
}

/// Reads where the split stands.
///
/// # Errors
/// When the state can't be read.
pub async fn standing(split: &Split) -> Result<Standing, RunError> {
    let now = now_ms();
    let record = SplitRecord::read(&split.store).await?.value;
    let split = &split.seeing(&record);
    let known_services = services(split).await?;
    let generation = record.stream().map_or(1, |(generation, _)| generation);
    let recorded = recorded_shards(split, generation).await?;
    let segments: Vec<SegmentRecord> = split
        .store
        .list::<SegmentRecord>(SegmentRecord::PREFIX)
        .await?
        .into_iter()
        .map(|(_, s)| s.value)
        .collect();
    let open = OpenLetters::of(&split.letters.list(None).await?);
    // Nothing of these is needed to tell where the split stands.
    let (mut damaged, store) = (Vec::new(), &split.store);
    let workers = store.list_readable(WorkerRecord::PREFIX, &mut damaged).await?;
    let workers: Vec<(String, Stored<WorkerRecord>)> = workers;
    let activities = store.list_readable(ActivityRecord::PREFIX, &mut damaged).await?;
    let activities: Vec<(String, Stored<ActivityRecord>)> = activities;
    let verify = store
        .get_readable::<VerifyRecord>(VerifyRecord::NAME, &mut damaged)
        .await?;
    let tuning = store
        .get_readable::<TuningRecord>(TuningRecord::NAME, &mut damaged)
        .await?;
    let activities: Vec<_> = activities.into_iter().map(|(_, noted)| noted.value).collect();
    let mut standing = Standing {
        split: record.split.clone(),
        phase: Phase::Created,
        lanes: lanes(split, &record, &known_services, &recorded, now),
        backfill: fill_status(&segments),
        backfill_record: split
            .store
            .get::<BackfillRecord>(BackfillRecord::NAME)
            .await?
            .map(|s| s.value),
        scanned: segments.iter().map(|segment| segment.scanned).sum(),
        read_milliunits: segments.iter().map(|segment| segment.read_milliunits).sum(),
        backfill_blocked: blocked(&segments),
        running: limits::activities(&activities, now),
        backfill_seen_ms: activities
            .iter()
            .find(|activity| activity.command == "backfill")
            .map(|activity| activity.limits.at_ms),
        limits: Vec::new(),
        tuning: tuning.map_or_else(TuningRecord::default, |stored| stored.value),
        tombstones: record.switch.tombstones,
        dead_letters: open.by_service(),
        rechecks: split.letters.rechecks().await?.len() as u64,
        verify: verify.map(|stored| stored.value),
        workers: workers
            .into_iter()
            .map(|(_, worker)| worker_standing(&worker.value, &known_services, now))
            .collect(),
        switched: record
            .switched
            .iter()
            .map(|(name, switched)| (name.clone(), switched.at_ms))
            .collect(),
        read_ms: now,
        obstacles: Vec::new(),
        next: String::new(),
    };
    open.note(&mut standing.lanes);
    open.note_backfill(&mut standing.backfill);
    standing.limits = limits::standing(&standing.lanes, &segments, &activities, now);
    if record.completed_ms.is_none() {
        let known = Known {
            planned: planned(split),
            other_plan: differs(split, &record, &known_services).err().map(other_plan),
            other_stream: unread_stream(split, &standing, &record).await,
            record: &record,
        };
        standing.obstacles = obstacles(&standing, &known);
    }
    standing
        .obstacles
        .extend(damaged.into_iter().map(|damaged| Obstacle {
            kind: ObstacleKind::Damaged,
            service: None,
            what: format!(
                "the state record '{}' is damaged ({})",
                damaged.record, damaged.cause
            ),
            next: damaged.cure,
        }));
    standing.phase = phase(&standing, &record);
    standing.next = next(&standing);
    Ok(standing)
}

/// A worker that begins anew (a service was added or has switched) is away for a moment.
const AWAY: Duration = Duration::from_secs(5);

/// As [`standing`], for a command that refuses if nobody reads the stream: a worker that is away for a moment is waited for.
pub(super) async fn standing_with_worker(split: &Split) -> Result<Standing, RunError> {
    let began = Instant::now();
    loop {
        let standing = standing(split).await?;
        let is_away = standing
            .obstacles
            .iter()
            .any(|obstacle| matches!(obstacle.kind, ObstacleKind::NoWorker | ObstacleKind::OtherWorker));
        if !is_away || began.elapsed() >= AWAY.min(split.timing.lease) {
            return Ok(standing);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The services of the plan that have not switched, with their fingerprints.
fn planned(split: &Split) -> Vec<(String, String)> {
    let services = split.active().map(|(service, _)| service);
    services
        .map(|service| (service.name.clone(), service.fingerprint.clone()))
        .collect()
}

/// The lanes. One whose capture is not on record yet does not follow the stream, whatever places are pinned already.
fn lanes(
    split: &Split,
    record: &SplitRecord,
    services: &[ServiceRecord],
    recorded: &BTreeMap<String, ShardRecord>,
    now: u64,
) -> Vec<LaneStatus> {
    let captured = |lane: &String| {
        lane == ShardRecord::WATCH
            || services
                .iter()
                .any(|service| service.name == *lane && record.has_captured(service))
    };
    let held = record.switch.tombstones.holds();
    let status = |lane: &String| {
        let mut status = lane_status(recorded, lane, now);
        if !captured(lane) {
            (status.lag_ms, status.shown_lag_ms) = (None, None);
        }
        // What a lane noted while it was held stays in its checkpoint until it saves the next one.
        if !held && status.blocked.as_deref() == Some(HELD) {
            status.blocked = None;
        }
        status.limit = status.limit.filter(|noted| held || noted.limit != Limit::Held);
        status
    };
    split.lanes().iter().map(status).collect()
}

/// What holds up the segments that are not finished, as whoever worked on them last says.
fn blocked(segments: &[SegmentRecord]) -> BTreeSet<String> {
    segments
        .iter()
        .filter(|segment| segment.services.values().any(|progress| !progress.done))
        .flat_map(|segment| segment.blocked.clone())
        .collect()
}

fn worker_standing(worker: &WorkerRecord, services: &[ServiceRecord], now: u64) -> WorkerStanding {
    let seen_ms_ago = now.saturating_sub(worker.seen_ms);
    WorkerStanding {
        kind: worker.kind.clone(),
        seen_ms_ago,
        ahead_ms: worker.seen_ms.saturating_sub(now),
        overdue: seen_ms_ago > worker.lease.duration_ms,
        other_plan: other_services(&worker.services, services),
    }
}

/// How the services of a worker's plan differ from those of the split.
fn other_services(worker: &BTreeSet<String>, services: &[ServiceRecord]) -> Option<String> {
    if worker.is_empty() {
        return Some("a worker of an earlier version of dynasplit runs".into());
    }
    let split: BTreeSet<&String> = services.iter().map(|service| &service.name).collect();
    let lacks: Vec<&str> = split
        .iter()
        .filter(|name| !worker.contains(**name))
        .map(|name| name.as_str())
        .collect();
    let surplus: Vec<&str> = worker
        .iter()
        .filter(|name| !split.contains(name))
        .map(String::as_str)
        .collect();
    match (lacks.is_empty(), surplus.is_empty()) {
        (true, true) => None,
        (false, _) => Some(format!(
            "a worker runs with an older plan, which lacks {}",
            lacks.join(", ")
        )),
        (true, false) => Some(format!(
            "a worker runs with a plan that has {}, which the split does not have",
            surplus.join(", ")
        )),
    }
}

/// What is wrong with the plan, and what to do.
fn other_plan(error: RunError) -> (String, String) {
    match error {
        RunError::UnknownService { service } => (
            format!("the service '{service}' is in the plan and not in the split"),
            "`dynasplit apply`, which adds it".into(),
        ),
        RunError::Widened { change } => (
            format!("the plan leaves more behind than the split ({change})"),
            "`dynasplit apply`, which takes it over".into(),
        ),
        RunError::NotYet { what, next } => (what, next),
        error => (
            error.to_string(),
            "run this command with the plan that the split runs by".into(),
        ),
    }
}

/// A stream that was switched off and on again has another ARN, and no lane reads it: their lag says nothing then.
async fn unread_stream(split: &Split, standing: &Standing, record: &SplitRecord) -> Option<(String, String)> {
    match other_stream(split, record).await {
        Ok(None) => None,
        Ok(Some(arn)) if standing.is_drained() => Some((
            format!("the stream was drained, and the source has a new stream now ({arn}), which nobody reads"),
            "if nothing writes to the source, switch the new stream off again: `aws dynamodb update-table \
             --stream-specification StreamEnabled=false`; if something does, `dynasplit replicate --restart-tail`, then \
             `dynasplit verify --repair`"
                .into(),
        )),
        Ok(Some(arn)) => Some((
            format!("the source has another stream than the one that is read ({arn})"),
            "`dynasplit replicate --restart-tail`, then `dynasplit verify --repair`".into(),
        )),
        Err(SourceError::Missing { table }) => Some((
            format!("the source table {table} was not found"),
            "check the region and the account; if the table was deleted by mistake, restore it under the same name".into(),
        )),
        Err(error) => Some((
            format!("it is not known whether the source still has the stream that is read ({error})"),
            "correct what keeps the source from being described, then look again".into(),
        )),
    }
}

fn phase(standing: &Standing, record: &SplitRecord) -> Phase {
    if record.completed_ms.is_some() {
        return Phase::Done;
    }
    if record.completing_ms.is_some() {
        return Phase::Completing;
    }
    // A worker that is restarted at the moment changes nothing of what was verified.
    let verified = standing
        .obstacles
        .iter()
        .all(|obstacle| obstacle.kind == ObstacleKind::NoWorker);
    match &standing.backfill_record {
        Some(backfill) if backfill.finished_ms.is_some() && verified => Phase::Verified,
        Some(backfill) if backfill.finished_ms.is_some() => Phase::CatchingUp,
        Some(_) => Phase::Backfilling,
        None if standing.lanes.iter().any(|lane| lane.lag_ms.is_some()) => Phase::Tailing,
        None => Phase::Created,
    }
}

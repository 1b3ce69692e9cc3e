//! Where the whole split stands: its phase, what is in the way of completing it, and the next command.

use super::error::RunError;
use super::limits::{self, ActivityStanding, LimitStanding};
use super::open_letters::OpenLetters;
use super::restart::other_stream;
use super::split::{Split, now_ms};
use super::status::{FillStatus, LaneStatus, fill_status, lane_status};
use super::tail::recorded_shards;
use crate::source::SourceError;
use crate::state::{
    ActivityRecord, BackfillRecord, SegmentRecord, ServiceRecord, ShardRecord, SplitRecord, Stored,
    TombstonePhase, Tombstones, TuningRecord, VerifyRecord, WorkerRecord,
};
use crate::verify::COLLISION_ADVICE;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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

/// Something that is in the way of completing, with the command that deals with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Obstacle {
    /// What.
    pub what: String,
    /// The next command, or act.
    pub next: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.next)
    }
}

/// A worker that gives signs of life.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WorkerStanding {
    /// `tail`.
    pub kind: String,
    /// Milliseconds since its last sign of life, by the clocks of both machines.
    pub seen_ms_ago: u64,
    /// It is overdue: likely dead.
    pub overdue: bool,
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
    /// The workers.
    pub workers: Vec<WorkerStanding>,
    /// What is in the way of completing.
    pub obstacles: Vec<Obstacle>,
    /// The next command.
    pub next: String,
}

/// A lane that is behind by more is not caught up. Creation times are rounded down, on one engine to the minute.
const MOST_LAG_MS: u64 = 2 * 60 * 1000;

/// Reads where the split stands.
///
/// # Errors
/// When the state can't be read.
pub async fn standing(split: &Split) -> Result<Standing, RunError> {
    let now = now_ms();
    let record = SplitRecord::read(&split.store).await?.value;
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
        lanes: lanes(split, &record, &recorded, now).await?,
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
        limits: Vec::new(),
        tuning: tuning.map_or_else(TuningRecord::default, |stored| stored.value),
        tombstones: record.switch.tombstones,
        dead_letters: open.by_service(),
        rechecks: split.letters.rechecks().await?.len() as u64,
        verify: verify.map(|stored| stored.value),
        workers: workers
            .into_iter()
            .map(|(_, worker)| worker_standing(&worker.value, now))
            .collect(),
        obstacles: Vec::new(),
        next: String::new(),
    };
    open.note(&mut standing.lanes);
    open.note_backfill(&mut standing.backfill);
    standing.limits = limits::standing(&standing.lanes, &segments, &activities, now);
    standing.obstacles = obstacles(&standing, &record, split);
    standing
        .obstacles
        .extend(damaged.into_iter().map(|damaged| Obstacle {
            what: format!(
                "the state record '{}' is damaged ({})",
                damaged.record, damaged.cause
            ),
            next: damaged.cure,
        }));
    if record.completed_ms.is_none() {
        // First, since whatever else is done before would be done in vain.
        let unread = unread_stream(split, &record).await;
        standing.obstacles.splice(0..0, unread);
    }
    standing.phase = phase(&standing, &record);
    standing.next = next(&standing);
    Ok(standing)
}

/// The lanes. One whose capture is not on record yet does not follow the stream, whatever places are pinned already.
async fn lanes(
    split: &Split,
    record: &SplitRecord,
    recorded: &BTreeMap<String, ShardRecord>,
    now: u64,
) -> Result<Vec<LaneStatus>, RunError> {
    let services = split.store.list::<ServiceRecord>(ServiceRecord::PREFIX).await?;
    let uncaptured: BTreeSet<String> = services
        .into_iter()
        .filter(|(_, service)| !record.has_captured(&service.value))
        .map(|(_, service)| service.value.name)
        .collect();
    let status = |lane: &String| {
        let status = lane_status(recorded, lane, now);
        if uncaptured.contains(lane) {
            LaneStatus {
                lag_ms: None,
                shown_lag_ms: None,
                ..status
            }
        } else {
            status
        }
    };
    Ok(split.lanes().iter().map(status).collect())
}

/// What holds up the segments that are not finished, as whoever worked on them last says.
fn blocked(segments: &[SegmentRecord]) -> BTreeSet<String> {
    segments
        .iter()
        .filter(|segment| segment.services.values().any(|progress| !progress.done))
        .flat_map(|segment| segment.blocked.clone())
        .collect()
}

fn worker_standing(worker: &WorkerRecord, now: u64) -> WorkerStanding {
    let seen_ms_ago = now.saturating_sub(worker.seen_ms);
    WorkerStanding {
        kind: worker.kind.clone(),
        seen_ms_ago,
        overdue: seen_ms_ago > worker.lease.duration_ms,
    }
}

/// A count of things: `1 dead letter`, `2 dead letters`.
pub(super) fn counted(count: u64, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}

fn obstacles(standing: &Standing, record: &SplitRecord, split: &Split) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let mut add = |what: String, next: &str| {
        found.push(Obstacle {
            what,
            next: next.to_owned(),
        })
    };
    for lane in &standing.lanes {
        match (&lane.gap, lane.lag_ms) {
            (Some(reason), _) => add(
                format!("gap in {}: {reason}", lane.lane),
                "`dynasplit replicate --restart-tail`, then `dynasplit verify --repair`",
            ),
            (None, None) => add(
                format!("{} does not follow the stream yet", lane.lane),
                "`dynasplit replicate`",
            ),
            (None, Some(lag)) if lane.open_shards > 0 && lag > MOST_LAG_MS => add(
                format!("{} lags by {} seconds", lane.lane, lag / 1000),
                "leave `dynasplit replicate` running until it has caught up",
            ),
            _ => {}
        }
    }
    match &standing.backfill_record {
        None => add("there was no backfill".into(), "`dynasplit backfill`"),
        Some(backfill) => {
            if backfill.finished_ms.is_none() {
                add("the backfill is not finished".into(), "`dynasplit backfill`");
            }
        }
    }
    for (service, count) in &standing.dead_letters {
        add(
            format!("{} of {service}", counted(*count, "dead letter")),
            "`dynasplit dead-letters list`, fix the items in the source, then `dynasplit dead-letters reconcile`",
        );
    }
    if standing.tombstones.holds() {
        add(
            "the lanes are held by a bulk copy".into(),
            "`dynasplit backfill`, until it ends",
        );
    } else if standing.tombstones.phase != TombstonePhase::Off {
        let holders: Vec<&str> = record.switch.holders.keys().map(String::as_str).collect();
        if holders.is_empty() {
            add("tombstones are not swept".into(), "`dynasplit verify --repair`");
        } else {
            let next = if standing.running.is_empty() {
                "run the command that was interrupted again"
            } else {
                "wait until the command that runs has ended"
            };
            add(format!("tombstones are not swept ({})", holders.join(", ")), next);
        }
    }
    if standing.rechecks > 0 {
        add(
            format!(
                "{} to be read again, since the timestamp went backwards",
                counted(standing.rechecks, "key")
            ),
            "`dynasplit verify --repair`",
        );
    }
    if let Some(reason) = &record.repair_required {
        add(
            format!("a repair is mandatory: {reason}"),
            "`dynasplit verify --repair`, then `dynasplit verify`",
        );
    }
    match &standing.verify {
        None => add("nothing was verified".into(), "`dynasplit verify`"),
        Some(verify) if !verify.clean => add(
            not_clean(verify),
            if verify.only_collisions() {
                COLLISION_ADVICE
            } else {
                "`dynasplit verify`"
            },
        ),
        Some(verify) => {
            let finished = standing
                .backfill_record
                .as_ref()
                .and_then(|backfill| backfill.finished_ms);
            if finished.is_some_and(|finished| verify.started_ms < finished) {
                add(
                    "the last verify is older than the backfill's end".into(),
                    "`dynasplit verify`",
                );
            }
            let drained: Option<Vec<u64>> = standing.lanes.iter().map(|lane| lane.drained_ms).collect();
            let drained = drained.and_then(|lanes| lanes.into_iter().max());
            if drained.is_some_and(|drained| verify.started_ms < drained) {
                add(
                    "the stream is off since the last verify: what was written after that is in no stream"
                        .into(),
                    "see that nobody writes to the source (docs/cutover.md), then `dynasplit verify`",
                );
            }
            for service in &split.plan.services {
                let same = verify
                    .services
                    .get(&service.name)
                    .is_some_and(|v| v.fingerprint == service.fingerprint);
                if !same {
                    add(format!("{} was not verified", service.name), "`dynasplit verify`");
                }
            }
        }
    }
    found
}

/// What the last verify found, by class.
fn not_clean(verify: &VerifyRecord) -> String {
    match verify.findings() {
        found if found.is_empty() => "the last verify was not clean".into(),
        found => format!("the last verify was not clean ({found})"),
    }
}

/// A stream that was switched off and on again has another ARN, and no lane reads it: their lag says nothing then.
async fn unread_stream(split: &Split, record: &SplitRecord) -> Option<Obstacle> {
    let (what, next) = match other_stream(split, record).await {
        Ok(None) => return None,
        Ok(Some(arn)) => (
            format!("the source has another stream than the one that is read ({arn})"),
            "`dynasplit replicate --restart-tail`, then `dynasplit verify --repair`",
        ),
        Err(SourceError::Missing { table }) => (
            format!("the source table {table} was not found"),
            "check the region and the account; if the table was deleted by mistake, restore it under the same name",
        ),
        Err(error) => (
            format!("it is not known whether the source still has the stream that is read ({error})"),
            "let the source be described, then look again",
        ),
    };
    Some(Obstacle {
        what,
        next: next.to_owned(),
    })
}

fn phase(standing: &Standing, record: &SplitRecord) -> Phase {
    if record.completed_ms.is_some() {
        return Phase::Done;
    }
    if record.completing_ms.is_some() {
        return Phase::Completing;
    }
    match &standing.backfill_record {
        Some(backfill) if backfill.finished_ms.is_some() && standing.obstacles.is_empty() => Phase::Verified,
        Some(backfill) if backfill.finished_ms.is_some() => Phase::CatchingUp,
        Some(_) => Phase::Backfilling,
        None if standing.lanes.iter().any(|lane| lane.lag_ms.is_some()) => Phase::Tailing,
        None => Phase::Created,
    }
}

/// The next command: while the split goes on, a running tail comes before everything else.
fn next(standing: &Standing) -> String {
    let tail_runs = standing
        .workers
        .iter()
        .any(|worker| worker.kind == "tail" && !worker.overdue);
    let unread = standing
        .lanes
        .iter()
        .any(|lane| lane.open_shards > 0 || lane.lag_ms.is_none());
    match standing.phase {
        Phase::Done => "nothing: the split is complete".into(),
        Phase::Completing => "`dynasplit complete`, which goes on".into(),
        _ if standing.tombstones.holds() => "`dynasplit backfill`, until it ends: the lanes are held".into(),
        _ if !tail_runs && unread => "`dynasplit replicate`, and leave it running".into(),
        Phase::Verified => "cut over (docs/cutover.md), then `dynasplit complete`".into(),
        _ => standing
            .obstacles
            .first()
            .map_or_else(String::new, |obstacle| obstacle.next.clone()),
    }
}

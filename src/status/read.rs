//! Reads the state of the whole split from its records, and from the source's stream.

use super::cutover_status::{cutovers, obstacles as cutover_obstacles};
use super::events_obstacles::obstacles as events_obstacles;
use super::events_status::events_status;
use super::heal_status::HealStatus;
use super::lane_status::{LaneStatus, fill_status, lane_status};
use super::late_changes::late_changes;
use super::ledger_status::{ledger_status, obstacles as ledger_obstacles};
use super::limits;
use super::next::{Moves, next};
use super::obstacle::{Obstacle, ObstacleKind};
use super::obstacles::{Known, obstacles};
use super::open_dead_letters::OpenDeadLetters;
use super::proofs::proven;
use super::shared_verify_status::shared_verify_status;
use super::split_status::{Phase, SplitStatus, Unnotified, WorkerStatus};
use crate::model::duration;
use crate::source::{SourceError, StreamState, stream_state};
use crate::state::{
    ActivityRecord, BackfillRecord, Damaged, HealRecord, Limit, NotifyRecord, SegmentRecord, ServiceRecord,
    ShardRecord, SplitRecord, Stored, Tombstones, TuningRecord, VerifyRecord, WorkerRecord,
};
use crate::target::HELD;
use crate::worker::{Recorded, RunError, Split, differs, recorded_shards, restore, services};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often each worker's record was renewed, by its name, when it was first seen.
type Beats = BTreeMap<String, u64>;

/// Reads the state of the split, at once. A worker whose clock is slow by more than its lease looks dead.
///
/// # Errors
/// If the state can't be read.
pub async fn split_status(split: &Split) -> Result<SplitStatus, RunError> {
    status_since(split, &mut Beats::new()).await
}

/// Reads the state of the split. `first` remembers the beats of the workers from one reading to the next.
async fn status_since(split: &Split, first: &mut Beats) -> Result<SplitStatus, RunError> {
    let now = split.now_ms();
    let record = SplitRecord::read(&split.store).await?.value;
    let split = &split.without_switched(&record);
    let known_services = services(split).await?;
    let generation = record.stream().map_or(1, |(generation, _)| generation);
    // The state of the split can be shown without these records.
    let (mut damaged, store) = (Vec::new(), &split.store);
    let workers = store.list_readable(WorkerRecord::PREFIX, &mut damaged).await?;
    let workers: Vec<(String, Stored<WorkerRecord>)> = workers;
    let silent_workers = silent_workers(&workers, first, now);
    let recorded = recorded_shards(split, generation).await?;
    let (recorded, silent) = without_dead_owners(recorded, &workers, &silent_workers, now);
    let segments: Vec<SegmentRecord> = split
        .store
        .list::<SegmentRecord>(SegmentRecord::PREFIX)
        .await?
        .into_iter()
        .map(|(_, s)| s.value)
        .collect();
    let open = OpenDeadLetters::of(&split.dead_letters.list(None).await?);
    let activities = store.list_readable(ActivityRecord::PREFIX, &mut damaged).await?;
    let activities: Vec<(String, Stored<ActivityRecord>)> = activities;
    let verify = store
        .get_readable::<VerifyRecord>(VerifyRecord::NAME, &mut damaged)
        .await?;
    let tuning = store
        .get_readable::<TuningRecord>(TuningRecord::NAME, &mut damaged)
        .await?;
    let proven = proven(split, verify.as_ref().map(|stored| &stored.value), &mut damaged).await?;
    let unnotified = unnotified(split, now, &mut damaged).await?;
    let rechecks = split.dead_letters.rechecks().await?;
    let activities: Vec<_> = activities.into_iter().map(|(_, noted)| noted.value).collect();
    let mut status = SplitStatus {
        split: record.split.clone(),
        phase: Phase::Created,
        lanes: lanes(split, &record, &known_services, &recorded, now),
        backfill: fill_status(&segments, &split.plan),
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
        tombstones: tombstones(&record),
        dead_letters: open.by_service(),
        rechecks: rechecks.len() as u64,
        proven: proven.whole_ms,
        changes_compared: proven.changes_ms,
        verify: verify.map(|stored| stored.value),
        shared_verify: shared_verify_status(split, &mut damaged).await?,
        workers: workers
            .into_iter()
            .map(|(name, worker)| WorkerStatus {
                overdue: silent_workers.contains(&name),
                ..WorkerStatus::of(&worker.value, &record, &known_services, now)
            })
            .collect(),
        switched: record
            .switched
            .iter()
            .map(|(name, switched)| (name.clone(), switched.at_ms))
            .collect(),
        cutovers: cutovers(split, &record, now).await?,
        events: events_status(split, &record, &recorded, now).await?,
        ledger: ledger_status(split, &record, &recorded, now),
        heal: store
            .get_readable::<HealRecord>(HealRecord::NAME, &mut damaged)
            .await?
            .map(|stored| HealStatus::of(&stored.value)),
        unnotified,
        read_ms: now,
        obstacles: Vec::new(),
        next: String::new(),
    };
    note_late(&mut status.lanes, split, generation).await?;
    if status.is_read() {
        for lane in &mut status.lanes {
            lane.blocked = silent.get(&lane.lane).cloned().or(lane.blocked.take());
        }
    }
    open.note(&mut status.lanes);
    open.note_backfill(&mut status.backfill);
    status.limits = limits::split_status(&status.lanes, &segments, &activities, now);
    if record.completed_ms.is_none() {
        let known = Known {
            planned: planned(split),
            other_plan: differs(split, &record, &known_services).err().map(other_plan),
            other_stream: unread_stream(split, &status, &record).await,
            rechecked: rechecks
                .into_iter()
                .map(|(_, _, recheck)| recheck.service)
                .collect(),
            record: &record,
        };
        status.obstacles = cutover_obstacles(&status.cutovers);
        status.obstacles.extend(obstacles(&status, &known));
        // Last: nothing else waits for events.
        let of_events = events_obstacles(&status.events);
        status.obstacles.extend(of_events);
        status
            .obstacles
            .extend(status.ledger.iter().flat_map(ledger_obstacles));
    }
    status
        .obstacles
        .extend(damaged.into_iter().map(|damaged| Obstacle {
            kind: ObstacleKind::Damaged,
            service: None,
            services: Vec::new(),
            what: format!(
                "the state record '{}' is damaged ({})",
                damaged.record, damaged.cause
            ),
            next: damaged.cure,
        }));
    status.phase = phase(&status, &record);
    status.next = next(&status, &Moves::of(&split.plan));
    Ok(status)
}

/// A worker that starts again (a service was added or has switched) is away for a moment.
const AWAY: Duration = Duration::from_secs(5);

/// As [`split_status`], for a command that advises or refuses something if no worker reads the stream: it waits for a worker
/// that is away for a moment, and looks twice at a worker whose clock may be slow.
///
/// # Errors
/// If the state can't be read.
pub async fn split_status_with_worker(split: &Split) -> Result<SplitStatus, RunError> {
    StatusReader::default().read(split).await
}

/// Reads the state of the split again and again. The first reading takes as long as that of [`split_status_with_worker`];
/// later ones remember which workers have renewed their records.
#[derive(Debug, Default)]
pub struct StatusReader {
    first: Beats,
    has_waited: bool,
}

impl StatusReader {
    /// Reads the state.
    ///
    /// # Errors
    /// If the state can't be read.
    pub async fn read(&mut self, split: &Split) -> Result<SplitStatus, RunError> {
        let began = Instant::now();
        loop {
            let status = status_since(split, &mut self.first).await?;
            let is_away = status
                .obstacles
                .iter()
                .any(|obstacle| matches!(obstacle.kind, ObstacleKind::NoWorker | ObstacleKind::OtherWorker));
            if !is_away || self.has_waited || began.elapsed() >= AWAY.min(split.timing.lease) {
                self.has_waited = true;
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The destinations of the plan that get no notifications. A destination that was removed from the plan does not matter.
async fn unnotified(
    split: &Split,
    now: u64,
    damaged: &mut Vec<Damaged>,
) -> Result<Vec<Unnotified>, RunError> {
    let Some(notify) = &split.plan.notify else {
        return Ok(Vec::new());
    };
    let known: BTreeSet<String> = notify.to.iter().map(ToString::to_string).collect();
    let records = split.store.list_readable(NotifyRecord::PREFIX, damaged).await?;
    let records: Vec<(String, Stored<NotifyRecord>)> = records;
    let failing = records.into_iter().filter_map(|(_, stored)| {
        let failure = stored.value.failure?;
        known.contains(&stored.value.destination).then(|| Unnotified {
            destination: stored.value.destination,
            since_ms_ago: now.saturating_sub(failure.since_ms),
            attempts: failure.attempts,
            reason: failure.reason,
        })
    });
    Ok(failing.collect())
}

/// The tombstone switches that are not off.
fn tombstones(record: &SplitRecord) -> BTreeMap<String, Tombstones> {
    let phases = record.switch.phases().services;
    phases
        .into_keys()
        .map(|service| (service.clone(), record.switch.of(&service)))
        .collect()
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
    let status = |lane: &String| {
        let held = record.switch.of(lane).holds();
        let mut status = lane_status(recorded, lane, now);
        if !captured(lane) {
            (status.lag_ms, status.shown_lag_ms) = (None, None);
        }
        // The reason that a lane recorded during the hold stays in its checkpoint until its next save.
        if !held && status.blocked.as_deref() == Some(HELD) {
            status.blocked = None;
        }
        status.limit = status.limit.filter(|noted| held || noted.limit != Limit::Held);
        status
    };
    split.lanes().iter().map(status).collect()
}

/// Notes the late changes of every generation with the watch lane: a restart of the tail begins to count anew.
async fn note_late(lanes: &mut [LaneStatus], split: &Split, generation: u32) -> Result<(), RunError> {
    let watch = lanes.iter_mut().find(|lane| lane.lane == ShardRecord::WATCH);
    let Some(watch) = watch.filter(|_| generation > 1) else {
        return Ok(());
    };
    // A damaged record of an earlier generation is what a restart leaves behind.
    let shards: Vec<(String, Stored<ShardRecord>)> = split
        .store
        .list_readable(ShardRecord::PREFIX, &mut Vec::new())
        .await?;
    watch.late = late_changes(shards.iter().map(|(_, shard)| &shard.value));
    Ok(())
}

/// The workers that seem to be dead, by the names of their records. A worker that has renewed its record since it was first
/// seen is alive, whatever its clock says.
fn silent_workers(
    workers: &[(String, Stored<WorkerRecord>)],
    first: &mut Beats,
    now: u64,
) -> BTreeSet<String> {
    let mut silent = BTreeSet::new();
    for (name, Stored { value: worker, .. }) in workers {
        let has_renewed = *first.entry(name.clone()).or_insert(worker.beat) != worker.beat;
        if !has_renewed && now.saturating_sub(worker.seen_ms) > worker.lease.duration_ms {
            silent.insert(name.clone());
        }
    }
    silent
}

/// The shards without the owners that seem to be dead, whose last words about a lane say nothing any more; and by lane, the
/// lease that another worker must wait for.
fn without_dead_owners(
    recorded: Recorded,
    workers: &[(String, Stored<WorkerRecord>)],
    silent_workers: &BTreeSet<String>,
    now: u64,
) -> (Recorded, BTreeMap<String, String>) {
    let (mut shards, mut waits) = ((*recorded).clone(), BTreeMap::new());
    for (name, shard) in &mut shards {
        let Some(owner) = &shard.lease.owner else { continue };
        let record = format!("{}{owner}", WorkerRecord::PREFIX);
        let worker = workers.iter().find(|(name, _)| *name == record);
        let Some((_, worker)) = worker else { continue };
        if !silent_workers.contains(&record) {
            continue;
        }
        let silent_ms = now.saturating_sub(worker.value.seen_ms);
        let reason = format!(
            "the lease of shard {name} (owner {owner}, last sign of life {} ago)",
            duration(silent_ms)
        );
        for (lane, _) in shard.lanes.iter().filter(|(_, state)| !state.finished()) {
            waits.insert(lane.clone(), reason.clone());
        }
        shard.lease.owner = None;
    }
    (Arc::new(shards), waits)
}

/// What holds up the segments that are not finished, as whoever worked on them last says.
fn blocked(segments: &[SegmentRecord]) -> BTreeSet<String> {
    segments
        .iter()
        .filter(|segment| segment.services.values().any(|progress| !progress.done))
        .flat_map(|segment| segment.blocked.clone())
        .collect()
}

/// What is wrong with the plan, and what to do.
fn other_plan(error: RunError) -> (String, String) {
    match error {
        RunError::UnknownService { service } => (
            format!("the service '{service}' is in the plan and not in the split"),
            "run `dynasplit apply`, which adds it".into(),
        ),
        RunError::Widened { change } => (
            format!("the plan leaves more behind than the split ({change})"),
            "run `dynasplit apply`, which takes it over".into(),
        ),
        RunError::NotYet { what, next } => (what, next),
        RunError::PlanEdited { change, state, .. } => (
            format!("the plan was edited in settings that are fixed while the split runs:{change}"),
            restore(&state),
        ),
        error => (
            error.to_string(),
            "run this command with the newest plan of the split".into(),
        ),
    }
}

/// The ARN of another stream than the split's that the source has now. Nothing of it is read, however well everything
/// else looks.
async fn other_stream(split: &Split, record: &SplitRecord) -> Result<Option<String>, SourceError> {
    let Some((_, known)) = record.stream() else {
        return Ok(None);
    };
    match stream_state(&split.source.control, &split.plan.source.table).await {
        Ok(StreamState::On { arn, .. } | StreamState::WrongView { arn, .. }) => {
            Ok(Some(arn).filter(|arn| *arn != known.arn))
        }
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A stream that was switched off and on again has another ARN, and no lane reads it: their lag says nothing then.
async fn unread_stream(
    split: &Split,
    status: &SplitStatus,
    record: &SplitRecord,
) -> Option<(String, String)> {
    match other_stream(split, record).await {
        Ok(None) => None,
        Ok(Some(arn)) if status.is_drained() => Some((
            format!("the stream was drained, but the source has a new stream now ({arn}), which no worker \
                 reads"),
            "if nothing writes to the source, switch the new stream off: `aws dynamodb update-table \
             --stream-specification StreamEnabled=false`. Otherwise, run `dynasplit replicate \
             --restart-tail`, then `dynasplit verify --repair`"
                .into(),
        )),
        Ok(Some(arn)) => Some((
            format!("the source has another stream than the one that dynasplit reads ({arn})"),
            "run `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`".into(),
        )),
        Err(SourceError::Missing { table }) => Some((
            format!("the source table {table} was not found"),
            "check the region and the account; if the table was deleted by mistake, restore it under the same name".into(),
        )),
        Err(error) => Some((
            format!("dynasplit cannot tell whether the source still has the stream that it reads ({error})"),
            "fix the cause, then run `dynasplit status` again".into(),
        )),
    }
}

fn phase(status: &SplitStatus, record: &SplitRecord) -> Phase {
    if record.completed_ms.is_some() {
        return Phase::Done;
    }
    if record.completing_ms.is_some() {
        return Phase::Completing;
    }
    // A worker that is being restarted does not change the verified state, and events are no part of it.
    let verified = status.obstacles.iter().all(|obstacle| {
        matches!(
            obstacle.kind,
            ObstacleKind::NoWorker | ObstacleKind::Events | ObstacleKind::Ledger
        )
    });
    match &status.backfill_record {
        Some(backfill) if backfill.finished_ms.is_some() && verified => Phase::Verified,
        Some(backfill) if backfill.finished_ms.is_some() => Phase::CatchingUp,
        Some(_) => Phase::Backfilling,
        None if status.lanes.iter().any(|lane| lane.lag_ms.is_some()) => Phase::Tailing,
        None => Phase::Created,
    }
}

//! A lane of one shard: it applies batches and moves its checkpoint.

use super::at_once::at_once;
use super::carried_back::CarriedBack;
use super::continued::Continued;
use super::event_lane::ItemEvents;
use super::feed::{Batch, Feed, Next};
use super::from_ledger::{FromLedger, Taken};
use super::late::late_changes;
use super::ledger_lane::LedgerLane;
use super::reader::{ShardReader, is_trimmed};
use super::strays::Strays;
use crate::dynamo::{Health, Load};
use crate::fault::{self, Rule, broken};
use crate::flow::{Changes, Group, Ledger, PageItem, Stop, Watched, apply, coalesce, watch};
use crate::model::{Counters, Images, Item, Marker, Position};
use crate::plan::Service;
use crate::source::Record;
use crate::source::lineage::{age_gap, complete_to, kept_to, ledger_lane};
use crate::state::{GapRecord, LateChanges, ShardRecord};
use crate::target::{Gate, HELD, TargetWriter};
use crate::worker::{LeasedRecord, Split, StateLedger};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch as channel};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Why an item that no service takes is a dead letter.
pub(crate) const UNROUTED: &str = "no service takes the item, and the plan does not list it as left behind";
const MINUTE_MS: u64 = 60_000;
/// Between two looks of a lane that sends events at the place of the service's lane. It is in memory.
const LOOK: Duration = Duration::from_millis(50);
/// Wait after a failed read.
pub(super) const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What a lane does with the changes that it takes.
pub(super) enum Work {
    /// Applies them to the service's table.
    Apply(Box<TargetWriter>),
    /// Looks for items that belong to no service.
    Unrouted,
    /// Looks for stray writes, because the service has switched.
    Strays(Box<Strays>),
    /// Carries them back to the source.
    Back(Box<CarriedBack>),
    /// Sends events; `None`: the plan has none, so the lane does not move.
    Events(Option<Box<ItemEvents>>),
    /// Writes the ledger; `None`: the plan has none, so the lane does not move.
    Ledger(Option<Box<LedgerLane>>),
}

/// One service in one shard: takes batches, applies them, moves the checkpoint.
pub(super) struct Lane {
    /// The service's name, or the watch lane.
    pub name: String,
    pub work: Work,
    pub split: Split,
    pub ledger: StateLedger,
    pub feed: Arc<Feed>,
    pub leased: Arc<LeasedRecord<ShardRecord>>,
    /// All shards, as last read: for how far a parent is complete.
    pub recorded: channel::Receiver<Arc<BTreeMap<String, ShardRecord>>>,
    /// For reading alone when it fell behind.
    pub reader: ShardReader,
    /// For reading from the ledger when it fell far behind.
    pub from_ledger: Option<FromLedger>,
    /// Whether other shards continue this one.
    pub continued: Continued,
    /// At most one lane of a shard reads alone at a time: a third reader of a shard is throttled.
    pub alone: Arc<Semaphore>,
    pub health: Arc<Health>,
    /// Its last read of its own failed, and its health says so.
    pub read_failed: bool,
    /// Lanes of the service that write a batch.
    pub busy: Arc<Load>,
    /// Shows whether a bulk copy holds the lane.
    pub gate: Gate,
    pub stop: CancellationToken,
}

impl Lane {
    /// Runs until the shard is finished, records were lost, or the worker stops.
    pub async fn run(mut self) -> Result<(), Stop> {
        self.note_watching();
        let result = match &self.work {
            Work::Ledger(_) => self.follow_as_ledger().await,
            _ => self.follow().await,
        };
        self.feed.detach(&self.name);
        result
    }

    /// Notes whether the lane of a service applies changes or only watches. It is saved together with the first place that the
    /// lane moves to.
    fn note_watching(&self) {
        let watches = match &self.work {
            Work::Apply(_) => false,
            Work::Strays(_) => true,
            Work::Unrouted | Work::Back(_) | Work::Events(_) | Work::Ledger(_) => return,
        };
        self.leased.update_quietly(|record| {
            if let Some(state) = record.lanes.get_mut(&self.name) {
                state.note_watching(watches);
            }
        });
    }

    async fn follow(&mut self) -> Result<(), Stop> {
        loop {
            self.wait_until_released().await;
            let (position, complete_to_ms) = self.place();
            if position == Position::End {
                return Ok(());
            }
            match self.take_from_ledger(&position).await? {
                Taken::Batch => continue,
                Taken::Lost => return Ok(()),
                Taken::Nothing => {}
            }
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                next = self.feed.next(&self.name, &position, complete_to_ms) => next,
            };
            let read = match next {
                Next::Lost(reason) => {
                    self.gap(reason);
                    return Ok(());
                }
                Next::Behind => match self.read_alone(&position).await? {
                    Some(batch) => Next::Batch(Arc::new(batch)),
                    None => Next::Behind,
                },
                other => {
                    self.has_read();
                    other
                }
            };
            // Checked after the read, and not only before the first one: a shard that could not be read for a day
            // begins with its remaining records, and does not show the missing ones.
            if let Some(reason) = age_gap(complete_to_ms, self.split.now_ms())
                && !broken(Rule::AgeAfterRead)
            {
                self.gap(reason);
                return Ok(());
            }
            match read {
                Next::Batch(batch) => {
                    let span = self.span(&batch);
                    self.take(&batch, &position).instrument(span).await?;
                }
                Next::Idle(complete) => {
                    self.complete(complete);
                    if let Work::Back(back) = &self.work {
                        back.look_again().await?;
                    }
                }
                Next::Behind | Next::Lost(_) => {}
            }
        }
    }

    /// Waits while a bulk copy holds the lane. (A batch that was begun waits at its next write.)
    async fn wait_until_released(&self) {
        if self.gate.is_held() {
            self.feed.detach(&self.name);
            self.health.block(HELD.to_owned());
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.gate.opened() => {}
            }
            self.health.clear();
        }
    }

    /// The lane's position and the time from which on the records after it are still kept. If the lane stands where the ledger
    /// stands, it is as far complete as the ledger.
    pub(super) fn place(&self) -> (Position, u64) {
        let record = self.leased.snapshot();
        let position = record
            .lanes
            .get(&self.name)
            .map_or(Position::End, |state| state.position.clone());
        let recorded = self.recorded.borrow();
        let complete = match &self.from_ledger {
            // What only the ledger keeps cannot be read.
            Some(ledger) if ledger.is_broken => complete_to(&record, &self.name, &recorded),
            _ => kept_to(&record, &self.name, &recorded),
        };
        let ledger = ledger_lane(&record, &recorded);
        let at_ledger = |record: &ShardRecord| {
            let ledger = ledger.as_ref().and_then(|lane| record.lanes.get(lane));
            ledger.is_some_and(|ledger| ledger.position == position && ledger.kept_from_ms.is_some())
        };
        // As far as the ledger is in this shard, and not in its children, which the lane has not read.
        let of_ledger = ledger
            .as_ref()
            .and_then(|lane| complete_to(&record, lane, &recorded));
        let is_covered = complete > complete_to(&record, &self.name, &recorded);
        if let Some(of_ledger) = of_ledger.filter(|_| is_covered && at_ledger(&record)) {
            self.leased.update_quietly(|record| {
                // In one snapshot of the record: the ledger may have moved meanwhile.
                let is_there = at_ledger(record);
                if let Some(own) = record.lanes.get_mut(&self.name)
                    && is_there
                    && own.position == position
                {
                    own.complete_to_ms = own.complete_to_ms.max(of_ledger);
                }
            });
        }
        let complete = complete.unwrap_or(0);
        (position, complete)
    }

    pub(super) fn span(&self, batch: &Batch) -> tracing::Span {
        let records = batch.records.len();
        tracing::info_span!(target: "dynasplit::span", "apply batch", lane = self.name, records)
    }

    /// Applies a batch, then moves the checkpoint: only now is everything before it durable.
    pub(super) async fn take(&self, batch: &Batch, position: &Position) -> Result<(), Stop> {
        if let Work::Events(events) = &self.work {
            let events = events.as_ref().ok_or_else(|| Stop {
                reason: "the plan has no events of this service".into(),
            })?;
            return self.send_events(events, batch, position).await;
        }
        let fresh = batch
            .records
            .iter()
            .filter(|record| Position::After(record.sequence.clone()) > *position);
        let fresh: Vec<&Record> = fresh.collect();
        let changes: Vec<_> = fresh.iter().map(|record| Arc::clone(&record.change)).collect();
        let newest_ms = fresh.iter().filter_map(|record| record.created_ms).max();
        let groups = coalesce(&changes);
        let late = match &self.work {
            Work::Unrouted => late_changes(&self.split, &fresh),
            Work::Apply(_) | Work::Strays(_) | Work::Back(_) | Work::Events(_) | Work::Ledger(_) => {
                BTreeMap::new()
            }
        };
        if broken(Rule::CheckpointLast) {
            self.move_to(
                (&batch.to, batch.marker),
                newest_ms,
                &Counters::default(),
                &BTreeMap::new(),
            );
        }
        // A watcher's admission lasts until its checkpoint has moved: when the service is switched back, nobody may move it
        // over changes of the application.
        let mut admission = None;
        let counters = match &self.work {
            Work::Apply(writer) => {
                let _busy = self.busy.enter();
                self.apply_all(groups, writer).await?
            }
            Work::Unrouted => self.watch_all(groups).await?,
            Work::Strays(strays) => {
                admission = Some(strays.admitted()?);
                strays.find(&fresh).await?
            }
            Work::Back(back) => {
                let _busy = self.busy.enter();
                back.carry_all(&groups).await?
            }
            Work::Events(_) | Work::Ledger(_) => Counters::default(),
        };
        self.checkpoint((&batch.to, batch.marker), newest_ms, &counters, &late)
            .await;
        drop(admission);
        Ok(())
    }

    /// Sends the events of a batch, as far as the service's lane has applied it, and waits for the rest.
    async fn send_events(&self, events: &ItemEvents, batch: &Batch, position: &Position) -> Result<(), Stop> {
        let told = events.told(&self.name, &self.feed, &self.health);
        let mut from = position.clone();
        loop {
            if let Some(applied) = events.applied() {
                let to = batch.to.clone().min(applied.position.clone());
                if to > from {
                    let (counters, newest_ms) = events.send(&told, batch, (&from, &to), &applied).await?;
                    self.checkpoint((&to, batch.marker), newest_ms, &counters, &BTreeMap::new())
                        .await;
                    from = to;
                }
            }
            if from >= batch.to {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Moves the lane's position, now that everything before it is durable.
    async fn checkpoint(
        &self,
        to: (&Position, Option<Marker>),
        newest_ms: Option<u64>,
        counters: &Counters,
        late: &BTreeMap<String, LateChanges>,
    ) {
        fault::moment("tail.checkpoint.before").await;
        self.move_to(to, newest_ms, counters, late);
        fault::moment("tail.checkpoint.after").await;
    }

    fn move_to(
        &self,
        (to, marker): (&Position, Option<Marker>),
        newest_ms: Option<u64>,
        counters: &Counters,
        late: &BTreeMap<String, LateChanges>,
    ) {
        self.leased.update(|record| {
            if let Some(state) = record.lanes.get_mut(&self.name) {
                state.position = state.position.clone().max(to.clone());
                state.complete_to_ms = state.complete_to_ms.max(newest_ms.unwrap_or(0));
                state.last_record_ms = state.last_record_ms.max(newest_ms);
                state.fine_times |= newest_ms.is_some_and(|at| at % MINUTE_MS != 0);
                state.saved_ms = self.split.now_ms();
                state.blocked = self.health.blocked();
                state.marker = marker.map(|marker| marker.run).or(state.marker);
                state.counters.add(counters);
                for (service, late) in late {
                    state.late.entry(service.clone()).or_default().add(late);
                }
            }
        });
    }

    async fn apply_all(&self, groups: Vec<Group>, writer: &TargetWriter) -> Result<Counters, Stop> {
        let Some((service, _)) = self.split.target(&self.name) else {
            return Ok(Counters::default());
        };
        let versions = &self.split.plan.versions;
        let applied = groups
            .iter()
            .map(|group| apply(service, versions, group, writer, &self.ledger));
        let mut counters = at_once(applied).await?;
        if service.copies_everything() {
            let changes = groups.iter().flat_map(|group| &group.changes);
            counters.own += changes.filter(|change| is_own(service, &change.images)).count() as u64;
        }
        Ok(counters)
    }

    async fn watch_all(&self, groups: Vec<Group>) -> Result<Counters, Stop> {
        let mut counters = Counters::default();
        for group in &groups {
            counters.seen += group.changes.len() as u64;
            counters.add(&watch_group(&self.split, &self.ledger, group).await?);
        }
        Ok(counters)
    }

    pub(super) fn complete(&self, complete_to_ms: u64) {
        self.leased.update_quietly(|record| {
            if let Some(state) = record.lanes.get_mut(&self.name) {
                state.complete_to_ms = state.complete_to_ms.max(complete_to_ms);
                state.saved_ms = self.split.now_ms();
                state.blocked = self.health.blocked();
            }
        });
    }

    pub(super) fn gap(&self, reason: String) {
        tracing::error!(
            lane = self.name,
            shard = self.leased.name(),
            reason,
            "gap: records were lost"
        );
        self.leased.update(|record| {
            if let Some(state) = record.lanes.get_mut(&self.name) {
                state.gap = Some(GapRecord {
                    reason,
                    noticed_ms: self.split.now_ms(),
                });
            }
        });
    }

    /// The shard was read. If the last read failed, the lane is no longer blocked by that: the next write may be far away.
    pub(super) fn has_read(&mut self) {
        if std::mem::take(&mut self.read_failed) {
            self.health.clear();
        }
    }

    /// Reads for itself, from its own checkpoint, since it fell behind the front.
    pub(super) async fn read_alone(&mut self, position: &Position) -> Result<Option<Batch>, Stop> {
        let permit = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(None),
            permit = Arc::clone(&self.alone).acquire_owned() => permit,
        };
        let Ok(_permit) = permit else { return Ok(None) };
        let read = match self.reader.read(position).await {
            Err(failure) if is_trimmed(&failure) => {
                self.reader.read_horizon(position, self.continued.known()).await
            }
            other => other,
        };
        let wait = match read {
            Ok(batch) => {
                self.has_read();
                if batch.to != *position {
                    return Ok(Some(batch));
                }
                self.split.timing.poll
            }
            Err(failure) => {
                self.read_failed = true;
                self.health
                    .block(format!("reading the stream: {}", failure.reason()));
                tracing::warn!(lane = self.name, %failure, "catching up: reading again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        Ok(None)
    }
}

/// Whether an item belonged to a service before a change, or does so after it.
pub(super) fn is_own(service: &Service, images: &Images) -> bool {
    let mut shown = images.old.iter().chain(&images.new);
    shown.any(|item| service.belongs(item))
}

/// The work of the watch lane for one source item: an item that no service takes becomes a dead letter.
pub(crate) async fn watch_group(
    split: &Split,
    ledger: &StateLedger,
    group: &Group,
) -> Result<Counters, Stop> {
    let last = group.changes.last().and_then(|change| change.images.new.as_ref());
    watched(split, ledger, last, group).await
}

/// The same for an item of a page.
pub(crate) async fn watch_item(
    split: &Split,
    ledger: &StateLedger,
    item: &PageItem,
) -> Result<Counters, Stop> {
    watched(split, ledger, item.read(), item).await
}

async fn watched(
    split: &Split,
    ledger: &StateLedger,
    last: Option<&Item>,
    changes: &impl Changes,
) -> Result<Counters, Stop> {
    let mut counters = Counters::default();
    match last.map(|item| watch(&split.plan, item)) {
        Some(Watched::Unrouted) => {
            counters.dead_letters += 1;
            let group = changes.group()?;
            ledger.dead_letter(ShardRecord::WATCH, &group, UNROUTED).await?;
        }
        Some(Watched::LeftBehind) => counters.left_behind += 1,
        Some(Watched::Routed) | None => {}
    }
    Ok(counters)
}

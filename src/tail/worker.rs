//! The tail worker: it discovers and claims shards, and runs a task for each shard that it owns.

mod back;
mod claim;
mod crew;
mod events;
mod known_shards;
mod ledger;

use super::awaited::{Awaited, awaited_by_lane};
use super::capture::{all_finished, capture_lanes, record_discovered};
use super::dead_letter_counts::ShownDeadLetters;
use super::shard::{LaneShare, ShardTask};
use crate::dynamo::{AccountLimit, ConcurrencyLimit, FailureKind, Health};
use crate::fault::{Rule, broken};
use crate::lifecycle::{current_stream, restart_events, restart_ledger, restart_tail};
use crate::publish::Publisher;
use crate::source::{Listing, SourceError, StreamSource, stream_state};
use crate::state::{LeaseWatch, Owner, ShardRecord, SplitRecord, StateError, Validity};
use crate::status::{LaneStatus, lane_status};
use crate::target::Gate;
use crate::worker::{
    Budgets, Heartbeat, LeasedRecord, Recorded, RunError, Split, check_split, unless_stopped, without_unread,
};
use crew::Crew;
use events::{check_events, publishers};
use futures::FutureExt;
use known_shards::{Claimed, KnownShards};
use ledger::check_ledger;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Options of a tail worker.
#[derive(Clone, Debug, Default)]
pub struct TailOptions {
    /// Start again at the present stream, after a gap or a replaced stream. A repairing verify is mandatory
    /// afterwards.
    pub restart: bool,
    /// Begin the events anew of each service whose events were lost.
    pub restart_events: bool,
    /// Begin the ledger anew, if it lost records.
    pub restart_ledger: bool,
    /// Write units a second for each service's table.
    pub write_units: Option<f64>,
}

/// Why a tail worker ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It was told to stop. Everything that was read is saved, and the same command continues.
    Stopped,
    /// The split is being completed.
    Completed,
    /// The stream is off and every lane has read every shard to its end: nothing is left, for certain.
    Drained,
}

/// A tail worker.
pub struct Tail {
    split: Split,
    options: TailOptions,
    budgets: Arc<Budgets>,
    stop: CancellationToken,
    view: watch::Sender<Vec<LaneStatus>>,
    dead_letters: ShownDeadLetters,
    /// Where the events of services go, by service.
    publishers: BTreeMap<String, Arc<Publisher>>,
}

/// Between two looks at the stream for new shards, at most.
const DISCOVERY: Duration = Duration::from_secs(10);
/// With a short lease, a look comes earlier, but looks take at most a part of the time: an embedded engine does nothing else
/// meanwhile.
const LOOKS_PART: u32 = 20;
/// Shards on a page of `DescribeStream`, and how many pages all workers together read in a second, at most. DynamoDB serves ten.
const SHARDS_A_PAGE: usize = 100;
const LISTED_A_SECOND: f64 = 4.0;
/// Wait between two lives of a worker: the lanes make no progress meanwhile.
const BEGIN_ANEW: Duration = Duration::from_millis(300);
/// How often the view is refreshed between two reads of the state.
const SHOWN_PER_RENEWAL: u32 = 4;
/// What a worker writes by: the tombstone switch, its name, its own lease.
struct WorkerContext {
    gate: Gate,
    owner: Owner,
    alive: Validity,
    /// The split is being completed.
    over: CancellationToken,
    /// The worker must start again.
    outdated: CancellationToken,
    /// Everything that this worker does.
    work: CancellationToken,
    /// It carries changes of services' own tables back, which may still come.
    has_back: bool,
}

/// A shard, and whether its last progress was saved.
type ShardEnd = (String, Result<(), StateError>);

struct Running {
    leased: Arc<LeasedRecord<ShardRecord>>,
    /// Sends it all shards as they are stored. Each task has its own channel, so that the order in which they wake up
    /// is not random.
    recorded: watch::Sender<Recorded>,
    stop: CancellationToken,
}

impl Tail {
    /// A worker, and a view of its lanes that is refreshed about every second.
    #[must_use]
    pub fn new(
        split: Split,
        options: TailOptions,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<Vec<LaneStatus>>) {
        let (view, seen) = watch::channel(Vec::new());
        let budgets = Budgets::new(&split, None, options.write_units);
        let dead_letters = ShownDeadLetters::new(&split);
        (
            Self {
                dead_letters,
                publishers: BTreeMap::new(),
                split,
                options,
                budgets,
                stop,
                view,
            },
            seen,
        )
    }

    /// Runs until it is stopped, or nothing is left to read.
    ///
    /// # Errors
    /// If it can't begin: see [`RunError`]. A running worker waits while a failure is temporary.
    pub async fn run(self) -> Result<Ended, RunError> {
        let (split, budgets) = (&self.split, &self.budgets);
        let seen = match unless_stopped(&self.stop, Box::pin(check_split(split))).await {
            // Not an error: a supervisor would start it again without end.
            Err(RunError::Completed { .. }) => return Ok(Ended::Completed),
            seen => seen?,
        };
        unless_stopped(&self.stop, budgets.read(&split.store)).await?;
        let (budgets, store) = (Arc::clone(&self.budgets), self.split.store.clone());
        let (letters, view) = (self.dead_letters.clone(), self.view.clone());
        let work = budgets.beside(&store, Box::pin(self.run_tuned(seen)));
        letters.during(&view, Box::pin(work)).await
    }

    async fn run_tuned(mut self, seen: SplitRecord) -> Result<Ended, RunError> {
        if self.options.restart {
            let generation = seen.stream().map_or(1, |(generation, _)| generation);
            unless_stopped(&self.stop, Box::pin(restart_tail(&self.split, generation))).await?;
        }
        if self.options.restart_events {
            unless_stopped(&self.stop, Box::pin(restart_events(&self.split))).await?;
        }
        if self.options.restart_ledger {
            unless_stopped(&self.stop, Box::pin(restart_ledger(&self.split))).await?;
        }
        let mut lived = false;
        loop {
            let mut wait = self.split.timing.renew();
            match Box::pin(self.live()).await {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => {
                    lived = true;
                    wait = wait.min(BEGIN_ANEW);
                }
                Err(RunError::Completed { .. }) => return Ok(Ended::Completed),
                // What was read before is saved, and nothing was read since.
                Err(RunError::Stopped(_)) if lived => return Ok(Ended::Stopped),
                Err(error) if lived && passes(&error) => {
                    tracing::warn!(%error, "could not start again; trying again");
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Ended::Stopped),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One life of the worker: under one lease of its own, at one stream. `None`: it lost the lease, or the stream is
    /// another one, so it starts again with the new state.
    async fn live(&mut self) -> Result<Option<Ended>, RunError> {
        let record = unless_stopped(&self.stop, check_split(&self.split)).await?;
        self.split = self.split.without_switched(&record);
        check_events(&self.split, &record)?;
        check_ledger(&self.split)?;
        self.publishers = publishers(&self.split).await;
        let (generation, stream) = unless_stopped(&self.stop, current_stream(&self.split)).await?;
        let source = StreamSource::new(
            self.split.source.streams.clone(),
            &stream.arn,
            generation,
            self.split.plan.source.keys.clone(),
        )
        .keeping_lines(self.split.ledger().is_some());
        let gate = Gate::new(record.switch.phases());
        let owner = Owner::unique("tail");
        let heartbeat = Heartbeat::start(&self.split, &owner, "tail", gate.clone(), generation).await?;
        let context = WorkerContext {
            gate,
            owner,
            alive: heartbeat.validity(),
            over: heartbeat.over(),
            outdated: heartbeat.outdated(),
            work: self.stop.child_token(),
            has_back: record.carried_back().next().is_some(),
        };
        let backs = Box::pin(self.backs(&record)).await?;
        let forward = async {
            let result = Box::pin(self.capture_and_follow(&source, &context)).await;
            context.work.cancel();
            result
        };
        let (result, ()) = tokio::join!(forward, Box::pin(Self::follow_backs(&backs, &context)));
        heartbeat.end().await;
        if matches!(result, Ok(Some(Ended::Drained))) {
            // Its stream is off and read to the end; but the table may have another one by now.
            nothing_follows(&self.split).await?;
        }
        result
    }

    async fn capture_and_follow(
        &self,
        source: &StreamSource,
        context: &WorkerContext,
    ) -> Result<Option<Ended>, RunError> {
        // `complete` waits for the workers that it sees, so one that comes later must not write at all.
        if context.over.is_cancelled() {
            return Ok(Some(Ended::Completed));
        }
        let capturing = Box::pin(capture_lanes(&self.split, source));
        let captured = unless_stopped(&self.stop, capturing).await?;
        self.split.store.runs();
        if captured > 0 {
            tracing::info!(lanes = captured, "pinned the stream's open shards");
        }
        self.follow(source, context).await
    }

    async fn follow(
        &self,
        source: &StreamSource,
        context: &WorkerContext,
    ) -> Result<Option<Ended>, RunError> {
        let shares = self.shares();
        let (mut known, mut crew) = (KnownShards::new(source.generation()), Crew::default());
        let mut shards: JoinSet<ShardEnd> = JoinSet::new();
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        let mut leases = LeaseWatch::until_landed(self.split.timing.landed());
        let mut listing: Option<(Listing, Instant)> = None;
        let usual = DISCOVERY.min(self.split.timing.lease / 2);
        let mut discovery = usual;
        let mut unsaved = None;
        let mut claimed = Claimed::default();
        known.look_at_all(&self.split).await?;
        let mut seen = Arc::new(without_unread(&self.split, known.shards()));
        let ended = loop {
            // What is new in a listing is decided by records that were read just now.
            let is_known = known.reads_all(&self.split) || known.are_recent(2 * self.split.timing.renew());
            if listing.as_ref().is_none_or(|(_, at)| at.elapsed() >= discovery) && is_known {
                let began = Instant::now();
                let discovered = tokio::select! {
                    biased;
                    () = self.stop.cancelled() => Ok(None),
                    found = self.discover(source, &seen) => found,
                };
                match discovered {
                    Ok(found) => listing = found.map(|found| (found, Instant::now())),
                    Err(error) => break Err(error),
                }
                let pages = listing
                    .as_ref()
                    .map_or(1, |(listing, _)| listing.shards.len() / SHARDS_A_PAGE + 1);
                let often = usual.max((began.elapsed() * LOOKS_PART).min(DISCOVERY));
                #[allow(clippy::cast_precision_loss)] // there are few
                let pages = pages as f64;
                discovery = self.split.fleet.pause_between(often, pages, LISTED_A_SECOND);
            }
            let names = running.values().map(|shard| shard.leased.name().to_owned());
            let names: Vec<String> = names.collect();
            let place = crew.place(&context.owner);
            let look = known.look(&self.split, place, &names, claimed.has_room).await;
            let is_whole = look.as_ref().is_ok_and(|look| look.is_whole);
            match look {
                Ok(look) => {
                    // As stored: a child starts when its parent's end is durable, or a crash could let the parent's
                    // last records be read again after the child's. And before shards are claimed: one whose parent is
                    // not among those that its reader knows would look like a gap.
                    seen = Arc::new(without_unread(&self.split, known.shards()));
                    if broken(Rule::DurableParent) {
                        seen = overlaid(&seen, &running);
                    }
                    for shard in running.values() {
                        shard.recorded.send_replace(Arc::clone(&seen));
                    }
                    crew.refresh(&self.split, &mut leases).await;
                    let claiming = self.claim(
                        (&mut known, &look),
                        &mut leases,
                        (context, &crew),
                        &mut running,
                        &seen,
                        |leased, recorded, stop| {
                            shards.spawn(self.task(source, context, &shares, leased, recorded, stop));
                        },
                    );
                    claimed = claiming.await;
                }
                // Changes that were applied since the last save are applied again, by the state that exists then.
                Err(error) if error.is_gone() => break Err(error.into()),
                Err(error) => tracing::warn!(%error, "could not read the state; trying again"),
            }
            let shown = self.shown(&known, &seen, &running);
            self.show(&overlaid(&shown, &running), &shares, &claimed.awaited);
            let off = listing.as_ref().is_some_and(|(listing, _)| !listing.enabled);
            if off && all_finished(&seen) && !context.has_back {
                if is_whole {
                    break Ok(Some(Ended::Drained));
                }
                known.outdate();
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break Ok(Some(Ended::Stopped)),
                () = context.over.cancelled() => break Ok(Some(Ended::Completed)),
                () = context.outdated.cancelled() => {
                    tracing::warn!(
                        "this worker starts again: its lease had expired, the tail was restarted, or the \
                         services of the split changed"
                    );
                    break Ok(None);
                }
                () = context.work.cancelled() => break Ok(Some(Ended::Stopped)),
                ended = shards.join_next(), if !shards.is_empty() => {
                    // A finished shard has children: look for them at once. In a large fleet, somebody looks soon.
                    listing = listing.filter(|_| !known.reads_all(&self.split));
                    unsaved = note_end(ended, &mut running).or(unsaved);
                }
                () = self.keep_showing(self.split.timing.renew(), &shown, &running, &shares, &claimed.awaited) => {}
            }
        };
        context.work.cancel();
        while let Some(ended) = shards.join_next().await {
            unsaved = note_end(Some(ended), &mut running).or(unsaved);
        }
        // The final result includes what landed while it stopped.
        if known.reads_all(&self.split) && known.look_at_all(&self.split).await.is_ok() {
            let stored = known.shards().map(|record| (record.shard.clone(), record));
            self.show(&Arc::new(stored.collect()), &shares, &Awaited::new());
        }
        match (ended?, unsaved) {
            (Some(_), Some(error)) => Err(RunError::Unsaved {
                cause: error.to_string(),
            }),
            (ended, _) => Ok(ended),
        }
    }

    /// Discovers new shards. A failure delays nothing: it is logged, and the listing is repeated.
    ///
    /// # Errors
    /// If the source table was deleted, and its stream with it: a lane that has not read everything waits for
    /// nothing.
    async fn discover(
        &self,
        source: &StreamSource,
        recorded: &Recorded,
    ) -> Result<Option<Listing>, RunError> {
        let listing = match source.shards().await {
            Ok(listing) => listing,
            Err(failure) if failure.kind == FailureKind::Missing => {
                let is_forward = self.split.back_side().is_none();
                if is_forward && !all_finished(recorded) && is_source_gone(&self.split).await {
                    return Err(RunError::SourceGone {
                        table: self.split.plan.source.table.clone(),
                        is_drained: false,
                    });
                }
                tracing::warn!(%failure, "the stream is gone");
                Listing {
                    shards: Vec::new(),
                    enabled: false,
                }
            }
            Err(failure) => {
                tracing::warn!(%failure, "could not list the stream's shards; trying again");
                return Ok(None);
            }
        };
        if let Err(error) = record_discovered(&self.split, source, &listing, recorded).await {
            tracing::warn!(%error, "could not record new shards; trying again");
            return Ok(None);
        }
        Ok(Some(listing))
    }

    /// The shards whose lanes are shown: all, or, if what is known of those of others may be old, only those that this worker reads.
    fn shown(&self, known: &KnownShards, seen: &Recorded, running: &BTreeMap<String, Running>) -> Recorded {
        if known.reads_all(&self.split) {
            return Arc::clone(seen);
        }
        let own = seen.iter().filter(|(shard, _)| running.contains_key(*shard));
        Arc::new(
            own.map(|(shard, record)| (shard.clone(), record.clone()))
                .collect(),
        )
    }

    fn task(
        &self,
        source: &StreamSource,
        context: &WorkerContext,
        shares: &BTreeMap<String, LaneShare>,
        leased: Arc<LeasedRecord<ShardRecord>>,
        recorded: watch::Receiver<Recorded>,
        stop: CancellationToken,
    ) -> impl Future<Output = ShardEnd> + use<> {
        let shard = leased.snapshot().shard;
        let task = ShardTask {
            split: self.split.clone(),
            source: source.clone(),
            leased,
            gate: context.gate.clone(),
            alive: context.alive.clone(),
            shares: shares.clone(),
            recorded,
            stop,
        };
        ended(shard, task.run())
    }

    fn shares(&self) -> BTreeMap<String, LaneShare> {
        let account_limit = AccountLimit::default();
        let share = |lane: &str| LaneShare {
            publisher: ShardRecord::of_events(lane)
                .and_then(|(service, _)| self.publishers.get(service))
                .cloned(),
            // The budgets are those of the services' tables.
            budget: match self.split.back_side() {
                None => self.budgets.writes(lane),
                Some(_) => Arc::default(),
            },
            health: Arc::new(Health::default()),
            concurrency: Arc::new(ConcurrencyLimit::new(self.split.timing.attempt, &account_limit)),
            busy: Arc::default(),
        };
        self.split
            .tail_lanes()
            .into_keys()
            .map(|lane| {
                let share = share(&lane);
                (lane, share)
            })
            .collect()
    }

    /// Waits for so long. Meanwhile shows what is in memory, which costs no request.
    async fn keep_showing(
        &self,
        time: Duration,
        seen: &Recorded,
        running: &BTreeMap<String, Running>,
        shares: &BTreeMap<String, LaneShare>,
        awaited: &Awaited,
    ) {
        for _ in 1..SHOWN_PER_RENEWAL {
            tokio::time::sleep(time / SHOWN_PER_RENEWAL).await;
            self.show(&overlaid(seen, running), shares, awaited);
        }
        tokio::time::sleep(time / SHOWN_PER_RENEWAL).await;
    }

    fn show(&self, recorded: &Recorded, shares: &BTreeMap<String, LaneShare>, awaited: &Awaited) {
        if self.split.back_side().is_some() {
            return;
        }
        let awaited = awaited_by_lane(recorded, awaited);
        let lanes = self.split.lanes().into_iter().map(|lane| {
            let mut status = lane_status(recorded, &lane, self.split.now_ms());
            let blocked = shares.get(&lane).and_then(|share| share.health.blocked());
            status.blocked = awaited.get(&lane).cloned().or(blocked).or(status.blocked);
            status
        });
        let mut lanes: Vec<LaneStatus> = lanes.collect();
        self.dead_letters.note(&mut lanes);
        self.view.send_replace(lanes);
    }
}

/// Adds the newer figures in memory to those that were saved last, for people.
fn overlaid(stored: &BTreeMap<String, ShardRecord>, running: &BTreeMap<String, Running>) -> Recorded {
    let mut latest = stored.clone();
    for (shard, owned) in running {
        latest.insert(shard.clone(), owned.leased.snapshot());
    }
    Arc::new(latest)
}

/// Makes sure that the stream is off because somebody switched it off: no other stream follows the drained one, and
/// its table still exists.
async fn nothing_follows(split: &Split) -> Result<(), RunError> {
    match current_stream(split).await {
        Ok(_) => Ok(()),
        Err(RunError::Source(SourceError::Missing { table })) => Err(RunError::SourceGone {
            table,
            is_drained: true,
        }),
        Err(error) => Err(error),
    }
}

/// Whether the source table is known to be deleted.
async fn is_source_gone(split: &Split) -> bool {
    let described = stream_state(&split.source.control, &split.plan.source.table).await;
    matches!(described, Err(SourceError::Missing { .. }))
}

/// Whether an error of the state passes by itself.
fn passes(error: &RunError) -> bool {
    match error {
        RunError::State(StateError::Request(failure)) | RunError::Request(failure) => failure.passes(),
        _ => false,
    }
}

/// The end of a shard's task. If the task panics, it ends, too: the shard is claimed again when its lease has expired, and
/// everything since its last checkpoint is repeated.
async fn ended(shard: String, task: impl Future<Output = Result<(), StateError>>) -> ShardEnd {
    let saved = AssertUnwindSafe(task).catch_unwind().await;
    let saved = saved.unwrap_or_else(|_| {
        tracing::error!(shard, "the task of a shard failed; the shard is read again");
        Ok(())
    });
    (shard, saved)
}

/// A shard's reader has ended. Answers why its last progress was not saved.
fn note_end(
    ended: Option<Result<ShardEnd, tokio::task::JoinError>>,
    running: &mut BTreeMap<String, Running>,
) -> Option<StateError> {
    match ended {
        Some(Ok((shard, saved))) => {
            running.remove(&shard);
            saved.err()
        }
        Some(Err(error)) => {
            tracing::error!(%error, "the reader of a shard failed");
            None
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_gives_its_shard_back() {
        let panics = async {
            assert!(std::hint::black_box(false), "on purpose");
            Ok(())
        };
        let (shard, saved) = ended("shard-1".to_owned(), panics).await;
        assert_eq!(shard, "shard-1");
        assert!(saved.is_ok());
    }
}

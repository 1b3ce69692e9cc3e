//! The drain by canary: markers in the stream show how far a lane has read it.
//!
//! A shard keeps the order of the writes. So a lane that has passed a marker which was written after the fence has applied every
//! write of this shard from before the fence, however late the stream shows a record. Markers are written with new keys until each
//! open shard has shown one. Each run of markers is in the journal before its first request, and until the markers are deleted.

use super::fence_parts::Side;
use super::waiting::{Absence, refuse_slow};
use super::work::Work;
use crate::dynamo::chance;
use crate::fault::{self, Rule, broken};
use crate::model::Marker;
use crate::source::lineage::{Known, complete_to, unmarked};
use crate::source::{Listing, StreamSource};
use crate::state::{CutoverRecord, MarkerRun, SplitRecord, StreamPin};
use crate::status::{counted, split_status_with_worker};
use crate::tail::read_history;
use crate::target::MarkerWriter;
use crate::worker::{RunError, Split, pause, recorded_shards};
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at the lanes.
const POLL: Duration = Duration::from_millis(100);
/// Markers that are written at once, for each shard that has shown none: with four for each of n shards, about one shard in fifty
/// gets none.
const FOR_EACH_SHARD: usize = 4;
/// Markers of one round at most.
const MOST_AT_ONCE: usize = 256;
/// A worker reads a shard, and saves its checkpoint, within this time if nothing delays it.
const ROUND: Duration = Duration::from_secs(2);
/// Shards that a message names.
const NAMED: usize = 5;

/// A stream, the lane that reads it, and the table that feeds it.
struct Marked {
    split: Split,
    stream: StreamSource,
    writer: MarkerWriter,
    lane: String,
}

/// Where the lane stands.
struct Standing {
    /// Shards that may hold earlier records.
    open: Vec<String>,
    /// Those that are not known to be read up to a time either.
    late: Vec<String>,
    /// Shards that the stream lists.
    listed: usize,
}

/// Waits until the lane of a side has applied every write from before this call. Shards that show no marker in time are drained
/// when they are read up to `until_ms`.
pub(super) async fn drained(work: &Work<'_>, side: Side, until_ms: u64) -> Result<(), RunError> {
    let drain = work.split.plan.drain;
    let marked = Marked::open(work, side).await?;
    let mut run = begin(work, side).await?;
    let (began, mut absence, mut round) = (Instant::now(), Absence::default(), None::<Instant>);
    let _waiting = work.split.waits.until(
        format!("every shard has shown a marker to the lane of {}", work.name()),
        drain.canary_for,
    );
    let mut is_told = false;
    let mut listing: Option<(Listing, Instant)> = None;
    loop {
        // What was listed after the fence stays true of earlier writes, so a list is old only if it leaves something open.
        if listing.as_ref().is_none_or(|(_, at)| at.elapsed() >= ROUND) {
            listing = marked
                .listed()
                .await?
                .map(|found| (found, Instant::now()))
                .or(listing);
        }
        if let Some((listing, _)) = &listing {
            let standing = marked.standing(listing, run.run, until_ms).await?;
            if standing.open.is_empty() || broken(Rule::Canary) && run.count > 0 {
                let what = format!(
                    "{} written, and each of {} is read beyond one of them",
                    counted(run.count.into(), "marker"),
                    counted(standing.listed as u64, "shard")
                );
                work.journal.event(&what, None).await?;
                break;
            }
            if began.elapsed() >= drain.canary_for {
                if !is_told {
                    is_told = true;
                    tell_unmarked(work, &standing).await?;
                }
                if standing.late.is_empty() {
                    break;
                }
            } else if round.is_none_or(|round| round.elapsed() >= ROUND) {
                round = Some(Instant::now());
                let more = (standing.open.len() * FOR_EACH_SHARD).min(MOST_AT_ONCE);
                marked.write(work, side, &mut run, more).await?;
            }
        }
        let status = split_status_with_worker(work.split).await?;
        let is_read = status.workers.iter().any(|worker| worker.reads_stream());
        absence.refuse(work, is_read || status.is_drained())?;
        refuse_slow(began, work.name())?;
        pause(POLL, work.stop).await?;
    }
    fault::moment("cutover.marked").await;
    Ok(())
}

/// Shows that markers can be written and deleted, before a writer is stopped.
pub(super) async fn tried(work: &Work<'_>) -> Result<(), RunError> {
    let marked = Marked::open(work, Side::Source).await?;
    let mut run = begin(work, Side::Source).await?;
    marked.write(work, Side::Source, &mut run, 1).await?;
    removed(work).await
}

/// Deletes every marker of this service's cutovers, also those of processes that died. Nobody waits for it: the fence is lifted.
pub(super) async fn removed(work: &Work<'_>) -> Result<(), RunError> {
    let mut record = work.journal.record();
    let sides = [Side::Source, Side::Target];
    let runs = sides.map(|side| (side, std::mem::take(list(&mut record, side))));
    if runs.iter().all(|(_, runs)| runs.is_empty()) {
        return Ok(());
    }
    if runs.iter().flat_map(|(_, runs)| runs).any(|run| !run.settled) {
        // A request without an answer may land until then, and nobody would delete its marker.
        pause(work.split.timing.landed(), work.stop).await?;
    }
    for (side, runs) in runs {
        let writer = writer(work, side);
        for MarkerRun { run, count, .. } in runs {
            tokio::select! {
                biased;
                () = work.stop.cancelled() => return pause(Duration::ZERO, work.stop).await,
                deleted = writer.delete(run, count) => deleted?,
            }
            let forget = |record: &mut CutoverRecord| list(record, side).retain(|other| other.run != run);
            work.journal.change(forget).await?;
        }
    }
    fault::moment("cutover.markers-removed").await;
    Ok(())
}

/// Says which shards have shown no marker, and what their drain rests on.
async fn tell_unmarked(work: &Work<'_>, standing: &Standing) -> Result<(), RunError> {
    let named: Vec<&str> = standing.open.iter().take(NAMED).map(String::as_str).collect();
    let more = standing.open.len().saturating_sub(NAMED);
    let what = format!(
        "{} of {} showed no marker within {} s ({}{}). Their drain rests on `quiet-for`: they show nothing new for {} s",
        standing.open.len(),
        counted(standing.listed as u64, "shard"),
        work.split.plan.drain.canary_for.as_secs(),
        named.join(", "),
        if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        },
        work.split.plan.drain.quiet_for.as_secs()
    );
    (work.operator.tell)(&format!("{}: {what}", work.name()));
    work.journal.event(&what, None).await
}

/// A new run of markers, in the journal.
async fn begin(work: &Work<'_>, side: Side) -> Result<MarkerRun, RunError> {
    let run = MarkerRun {
        run: chance::any::<u64>() % Marker::RUNS,
        count: 0,
        settled: true,
    };
    let add = |record: &mut CutoverRecord| list(record, side).push(run);
    work.journal.change(add).await?;
    Ok(run)
}

fn list(record: &mut CutoverRecord, side: Side) -> &mut Vec<MarkerRun> {
    match side {
        Side::Source => &mut record.source_markers,
        Side::Target => &mut record.target_markers,
    }
}

fn writer(work: &Work<'_>, side: Side) -> MarkerWriter {
    let (client, table, keys) = match side {
        Side::Source => {
            let source = &work.split.plan.source;
            (&work.split.source.items, &source.table, &source.keys)
        }
        Side::Target => (&work.tables.items, &work.service.table.name, &work.service.keys),
    };
    MarkerWriter {
        client: client.clone(),
        table: table.clone(),
        keys: keys.clone(),
    }
}

impl Marked {
    async fn open(work: &Work<'_>, side: Side) -> Result<Self, RunError> {
        let writer = writer(work, side);
        let record = SplitRecord::read(&work.split.store).await?.value;
        let keys = writer.keys.clone();
        let (split, stream) = match side {
            Side::Source => {
                let (generation, stream) = record.stream().ok_or_else(|| not_read("the source"))?;
                let client = work.split.source.streams.clone();
                let stream = StreamSource::new(client, &stream.arn, generation, keys);
                (work.split.without_switched(&record), stream)
            }
            Side::Target => {
                let pin = StreamPin::read(&work.split.store, work.name(), work.epoch()).await?;
                let pin = pin.ok_or_else(|| not_read(&writer.table))?;
                let client = work.tables.streams.clone();
                let stream = StreamSource::new(client, &pin.stream_arn, pin.generation, keys);
                (work.split.back(work.name(), pin), stream)
            }
        };
        Ok(Self {
            split,
            stream,
            writer,
            lane: work.name().to_owned(),
        })
    }

    /// Writes more markers. They are in the journal before.
    async fn write(
        &self,
        work: &Work<'_>,
        side: Side,
        run: &mut MarkerRun,
        more: usize,
    ) -> Result<(), RunError> {
        let before = *run;
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        run.count = before.count.saturating_add(more);
        let note = async |noted: MarkerRun| {
            let change = |record: &mut CutoverRecord| {
                let runs = list(record, side).iter_mut();
                runs.filter(|other| other.run == noted.run)
                    .for_each(|other| *other = noted);
            };
            work.journal.change(change).await
        };
        note(MarkerRun {
            settled: false,
            ..*run
        })
        .await?;
        run.settled &= self.writer.put(run.run, before.count..run.count).await?;
        note(*run).await
    }

    /// The shards of the stream; `None` if they cannot be listed at the moment.
    async fn listed(&self) -> Result<Option<Listing>, RunError> {
        match self.stream.shards().await {
            Ok(listing) => Ok(Some(listing)),
            Err(failure) if failure.passes() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Where the lane stands. The records are read after the list, so that a shard which is listed as continued may have ended by
    /// then.
    async fn standing(&self, listing: &Listing, run: u64, until_ms: u64) -> Result<Standing, RunError> {
        let generation = self.stream.generation();
        let history = read_history(&self.split, generation).await?;
        let recorded = recorded_shards(&self.split, generation).await?;
        let known = Known {
            listed: &listing.shards,
            is_on: listing.enabled,
            recorded: &recorded,
            history: &history,
        };
        let open = unmarked(known, &self.lane, run);
        let is_late = |shard: &&String| match recorded.get(*shard) {
            None => !history.contains(*shard),
            Some(record) => record.lanes.get(&self.lane).is_some_and(|lane| {
                !lane.finished() && complete_to(record, &self.lane, &recorded).is_none_or(|to| to < until_ms)
            }),
        };
        Ok(Standing {
            late: open.iter().filter(is_late).cloned().collect(),
            open,
            listed: listing.shards.len(),
        })
    }
}

fn not_read(table: &str) -> RunError {
    RunError::NotYet {
        what: format!("nobody reads the stream of {table}"),
        next: "run `dynasplit replicate`, leave it running, then run this command again".into(),
    }
}

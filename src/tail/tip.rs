//! Reads the stream of a service's own table to its tip, so that a cutover can pin where the way back begins.
//!
//! The tip is a position in each open shard: the last record that was read, or none. It is no iterator, and no time. A reader
//! follows the stream long before the cutover needs its tip, because the stream holds the forward lane's own writes of up to
//! a day.

use super::changed_keys::{Keys, keys_since};
use super::reader::{ShardReader, is_trimmed};
use crate::fault::{Rule, broken};
use crate::model::{ItemExt, Position, SequenceNumber};
use crate::source::{Record, StreamSource, StreamState, stream_state};
use crate::state::StreamPin;
use crate::worker::{RunError, Split, pause};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Empty reads in a row before a shard counts as read to its tip: empty pages before it are normal.
const EMPTY_READS: u32 = 5;
/// A record that is younger is new. Some engines round the times of records down to the minute.
const NEW_MS: u64 = 60_000;
/// Items of a page that are larger than this together: the page may have been cut at 1 MB, so there may be more to read at once.
const FULL_BYTES: usize = 500_000;
/// A cutover reads one stream.
const GENERATION: u32 = 1;

/// Reads the stream of a service's own table, and discards its records, except for the keys that changed since a moment.
pub struct TipReader {
    split: Split,
    source: StreamSource,
    arn: String,
    /// Shards that are open, as far as they were read.
    open: BTreeMap<String, OpenShard>,
    /// Shards that were read to their ends, or that others continued when they were found.
    closed: BTreeSet<String>,
    /// Shards that others continue, by the last list.
    continued: BTreeSet<String>,
    /// Which keys are kept: of records from this time on (milliseconds since 1970).
    since_ms: Option<u64>,
    /// Keys that changed since, as far as it was read.
    pub keys: Keys,
}

struct OpenShard {
    reader: ShardReader,
    position: Position,
    empty_reads: u32,
    empty_since: Option<Instant>,
}

impl TipReader {
    /// Begins at the first record of each open shard. Reads nothing but the list of shards.
    ///
    /// # Errors
    /// If the stream is off, does not have both images, or can't be read.
    pub async fn open(split: &Split, service: &str) -> Result<Self, RunError> {
        let (service, tables) = split.target(service).ok_or_else(|| RunError::NoSuchService {
            service: service.to_owned(),
            known: split.plan.service_names().join(", "),
        })?;
        let table = &service.table.name;
        let arn = match stream_state(&tables.control, table).await? {
            StreamState::On { arn, .. } => arn,
            StreamState::Off | StreamState::Starting => {
                return Err(RunError::NotYet {
                    what: format!(
                        "the stream of {table} is off, so changes can't be carried back to the source"
                    ),
                    next: format!(
                        "enable the stream of {table} with NEW_AND_OLD_IMAGES, and run this command again"
                    ),
                });
            }
            StreamState::WrongView { view, .. } => {
                return Err(RunError::NotYet {
                    what: format!(
                        "the stream of {table} has the view {view}, and the way back needs both images"
                    ),
                    next: "disable the stream, enable it with NEW_AND_OLD_IMAGES, and run this command again"
                        .into(),
                });
            }
        };
        let mut reader = Self {
            source: StreamSource::new(tables.streams.clone(), &arn, GENERATION, service.keys.clone()),
            split: split.clone(),
            arn,
            open: BTreeMap::new(),
            closed: BTreeSet::new(),
            continued: BTreeSet::new(),
            since_ms: None,
            keys: Keys::default(),
        };
        reader.list().await?;
        Ok(reader)
    }

    /// The same, and it keeps the keys of records from this time on (milliseconds since 1970). It then reads shards that were
    /// closed, too.
    ///
    /// # Errors
    /// As [`TipReader::open`].
    pub async fn keeping_keys(mut self, since_ms: u64) -> Result<Self, RunError> {
        self.since_ms = Some(since_ms);
        self.closed.clear();
        self.list().await?;
        Ok(self)
    }

    /// The stream that is read.
    #[must_use]
    pub fn stream_arn(&self) -> &str {
        &self.arn
    }

    /// Takes over the shards that the stream lists. A shard that another one continues is closed; if it was being read, it is
    /// read to its end, which is soon.
    async fn list(&mut self) -> Result<(), RunError> {
        let listing = self.source.shards().await?;
        let parents = listing.shards.iter().filter_map(|shard| shard.parent.clone());
        self.continued = parents.collect();
        for shard in &listing.shards {
            if self.open.contains_key(&shard.id) || self.closed.contains(&shard.id) {
                continue;
            }
            if self.continued.contains(&shard.id) && self.since_ms.is_none() {
                self.closed.insert(shard.id.clone());
                continue;
            }
            self.open.insert(
                shard.id.clone(),
                OpenShard {
                    reader: ShardReader::new(&self.source, &shard.id),
                    position: Position::Beginning,
                    empty_reads: 0,
                    empty_since: None,
                },
            );
        }
        Ok(())
    }

    /// Reads every open shard until its records are new, and a page is not full. Call it before the fence, so that the pause does
    /// not pay for the records of hours, nor for those of the last minute. The forward lane still writes the table, so there is no
    /// tip to wait for. `full` of the keys are gathered at most before it returns `false`: then they are to be taken out, and it is
    /// to be called again.
    ///
    /// # Errors
    /// If the stream can't be read, or the command is stopped.
    pub async fn follow(&mut self, full: usize, stop: &CancellationToken) -> Result<bool, RunError> {
        let new_since_ms = self.split.now_ms().saturating_sub(NEW_MS);
        self.read_to(Some(new_since_ms), full, stop).await
    }

    /// Reads on in every open shard as long as there is more to read at once, and waits for nothing. Later reads find what this
    /// one leaves.
    ///
    /// # Errors
    /// If the stream can't be read.
    pub async fn read_on(&mut self) -> Result<(), RunError> {
        for shard in self.open.values_mut() {
            loop {
                let (step, records) = shard.step(self.split.timing.idle, Some(0)).await?;
                if let Some(since) = self.since_ms {
                    self.keys.extend(keys_since(&records, since));
                }
                if !matches!(step, Step::Moved) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reads every open shard to its tip, or until a page that is not full shows a record that was written after a moment. Returns
    /// `false` if it holds `full` of the keys before that.
    async fn read_to(
        &mut self,
        new_since_ms: Option<u64>,
        full: usize,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        let mut tip = BTreeSet::new();
        // What was read before says nothing about the tip of now.
        for shard in self.open.values_mut() {
            (shard.empty_reads, shard.empty_since) = (0, None);
        }
        loop {
            if self.keys.len() >= full {
                return Ok(false);
            }
            let mut ended = Vec::new();
            let mut is_moving = false;
            for (id, shard) in &mut self.open {
                if tip.contains(id) {
                    continue;
                }
                let (step, records) = shard.step(self.split.timing.idle, new_since_ms).await?;
                if let Some(since) = self.since_ms {
                    self.keys.extend(keys_since(&records, since));
                }
                match step {
                    Step::Moved => is_moving = true,
                    Step::Waits => {}
                    Step::AtTip => {
                        tip.insert(id.clone());
                    }
                    Step::Ended => ended.push(id.clone()),
                }
            }
            if !ended.is_empty() {
                for id in ended {
                    self.open.remove(&id);
                    self.closed.insert(id);
                }
                self.list().await?;
            } else if self.open.keys().all(|id| tip.contains(id)) {
                // A shard may have appeared since it was listed.
                self.list().await?;
                if self.open.keys().all(|id| tip.contains(id)) {
                    return Ok(true);
                }
            }
            if !is_moving {
                pause(self.split.timing.poll / 2, stop).await?;
            }
        }
    }

    /// Reads on to the tip, and returns it as the pin of a cutover. Call it when nobody writes the table: the forward lane is
    /// closed and acknowledged, and the application does not write it yet.
    ///
    /// # Errors
    /// As [`TipReader::follow`].
    pub async fn pin(&mut self, epoch: u64, stop: &CancellationToken) -> Result<StreamPin, RunError> {
        // Before the reads, so that all later writes come after this time.
        let pinned_ms = self.split.now_ms();
        if !broken(Rule::PinAtTip) {
            self.read_to(None, usize::MAX, stop).await?;
        }
        let last = |position: &Position| -> Option<SequenceNumber> {
            match position {
                _ if broken(Rule::Pin) => None,
                Position::At(number) | Position::After(number) => Some(number.clone()),
                Position::Beginning | Position::End => None,
            }
        };
        // A shard that another one continues gets no record any more, and it was read to its tip.
        let (ended, open): (Vec<_>, Vec<_>) =
            self.open.iter().partition(|(id, _)| self.continued.contains(*id));
        let ended = ended.into_iter().map(|(id, _)| id.clone());
        Ok(StreamPin {
            epoch,
            stream_arn: self.arn.clone(),
            // The epoch tells the marks of two cutovers apart, also if the stream is another one by then.
            generation: GENERATION,
            pinned_ms,
            shards: open
                .into_iter()
                .map(|(id, shard)| (id.clone(), last(&shard.position)))
                .collect(),
            closed: self.closed.iter().cloned().chain(ended).collect(),
        })
    }
}

enum Step {
    /// Records were read.
    Moved,
    /// Nothing, and not for long enough.
    Waits,
    /// Nothing for long enough.
    AtTip,
    /// The shard is closed and read to its end.
    Ended,
}

impl OpenShard {
    async fn step(
        &mut self,
        idle: Duration,
        new_since_ms: Option<u64>,
    ) -> Result<(Step, Vec<Record>), RunError> {
        let read = match self.reader.read(&self.position).await {
            // The records that it had were trimmed: there are none before the tip.
            Err(failure) if is_trimmed(&failure) => self.reader.read_horizon(&self.position, false).await,
            other => other,
        };
        let batch = match read {
            Ok(batch) => batch,
            Err(failure) if failure.passes() => return Ok((Step::Waits, Vec::new())),
            Err(failure) => return Err(failure.into()),
        };
        if batch.to == Position::End {
            return Ok((Step::Ended, batch.records));
        }
        if batch.to != self.position {
            self.position = batch.to;
            (self.empty_reads, self.empty_since) = (0, None);
            let newest_ms = batch.records.iter().filter_map(|record| record.created_ms).max();
            let is_new = new_since_ms.is_some_and(|since| newest_ms.is_some_and(|newest| newest >= since));
            let is_full = self.reader.is_full(batch.records.len()) || bytes(&batch.records) >= FULL_BYTES;
            let step = if is_new && !is_full {
                Step::AtTip
            } else {
                Step::Moved
            };
            return Ok((step, batch.records));
        }
        let since = *self.empty_since.get_or_insert_with(Instant::now);
        self.empty_reads += 1;
        let is_at_tip = self.empty_reads >= EMPTY_READS && since.elapsed() >= idle;
        let step = if is_at_tip { Step::AtTip } else { Step::Waits };
        Ok((step, Vec::new()))
    }
}

/// How large the images of records are together.
fn bytes(records: &[Record]) -> usize {
    let changes = records.iter().map(|record| &record.change.images);
    let images = changes.flat_map(|images| images.old.iter().chain(&images.new));
    images.map(ItemExt::size).sum()
}

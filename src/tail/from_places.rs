//! Reads the shards of a stream on from places that were recorded earlier.

use super::feed::Batch;
use super::reader::{ShardReader, is_trimmed};
use crate::model::Position;
use crate::source::StreamSource;
use crate::source::lineage::age_gap;
use crate::state::{SplitRecord, StreamPlaces};
use crate::worker::{RunError, Split};
use std::collections::BTreeMap;

/// A reader of several shards, each from its place.
pub(super) struct FromPlaces {
    source: StreamSource,
    from: StreamPlaces,
    shards: BTreeMap<String, (ShardReader, Position)>,
}

impl FromPlaces {
    /// Reads nothing yet.
    pub fn new(source: StreamSource, from: StreamPlaces) -> Self {
        Self {
            source,
            from,
            shards: BTreeMap::new(),
        }
    }

    /// Of the source's stream.
    ///
    /// # Errors
    /// If the stream is another one by now.
    pub async fn of_source(split: &Split, from: StreamPlaces) -> Result<Self, RunError> {
        let record = SplitRecord::read(&split.store).await?.value;
        let arn = match record.stream() {
            Some((generation, stream)) if generation == from.generation => stream.arn.clone(),
            _ => return Err(too_old("the tail was restarted since")),
        };
        let keys = split.plan.source.keys.clone();
        let source = StreamSource::new(split.source.streams.clone(), &arn, from.generation, keys);
        Ok(Self::new(source, from))
    }

    /// The generation of the stream.
    pub fn generation(&self) -> u32 {
        self.from.generation
    }

    /// Up to where a shard was read. A shard that the places do not name came later, and is read from its beginning.
    pub fn place(&self, shard: &str) -> Position {
        let read = self.shards.get(shard).map(|(_, place)| place);
        let begun = read.or_else(|| self.from.shards.get(shard));
        begun.cloned().unwrap_or(Position::Beginning)
    }

    /// Reads a page of a shard on the way to a goal. `None`: nothing could be read this time.
    ///
    /// # Errors
    /// If the stream can't be read.
    pub async fn page(&mut self, shard: &str, goal: &Position) -> Result<Option<Batch>, RunError> {
        let begin = self.place(shard);
        let make = || (ShardReader::new(&self.source, shard), begin.clone());
        let (reader, place) = self.shards.entry(shard.to_owned()).or_insert_with(make);
        let read = match reader.read(place).await {
            // Its age says afterwards whether records were lost.
            Err(failure) if is_trimmed(&failure) => reader.read_horizon(place, *goal == Position::End).await,
            other => other,
        };
        match read {
            Ok(batch) => {
                *place = batch.to.clone();
                Ok(Some(batch))
            }
            Err(failure) if failure.passes() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Why records after the places may be lost. Ask afterwards: while they were read, records may have been trimmed.
    pub fn lost(&self, now_ms: u64) -> Option<String> {
        age_gap(self.from.complete_to_ms, now_ms)
    }
}

/// The stream does not show what changed since a verify.
pub(super) fn too_old(reason: &str) -> RunError {
    RunError::NotYet {
        what: format!("the last verify is too old to know what changed since: {reason}"),
        next: "run `dynasplit verify`, then run this command again".into(),
    }
}

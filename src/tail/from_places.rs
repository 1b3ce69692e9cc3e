//! Reads the shards of a stream on from places that were recorded earlier.

use super::feed::Batch;
use super::from_ledger::FromLedger;
use super::reader::{ShardReader, is_trimmed};
use crate::model::Position;
use crate::source::StreamSource;
use crate::source::lineage::{age_gap, complete_to, kept_watermark, ledger_lane};
use crate::state::{LaneState, ShardRecord, SplitRecord, StreamPlaces};
use crate::worker::{Recorded, RunError, Split};
use std::collections::BTreeMap;

/// A reader of several shards, each from its place.
pub(super) struct FromPlaces {
    source: StreamSource,
    from: StreamPlaces,
    shards: BTreeMap<String, ShardAt>,
    /// If what the stream has forgotten is read from the ledger: of which split.
    ledger_of: Option<Split>,
    /// Records that were read from the ledger.
    pub from_ledger: u64,
}

/// A shard of which something was read.
struct ShardAt {
    reader: ShardReader,
    place: Position,
    ledger: Option<FromLedger>,
    /// The records of every write before this time are at or before the place.
    complete_to_ms: u64,
    /// Why nothing more is read from the ledger.
    broken: Option<String>,
}

impl FromPlaces {
    /// Reads nothing yet.
    pub fn new(source: StreamSource, from: StreamPlaces) -> Self {
        Self {
            source,
            from,
            shards: BTreeMap::new(),
            ledger_of: None,
            from_ledger: 0,
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

    /// The same. What is so old that the stream may forget it is read from the ledger, if the split has one.
    ///
    /// # Errors
    /// If the stream is another one by now.
    pub async fn of_source_or_ledger(split: &Split, from: StreamPlaces) -> Result<Self, RunError> {
        let reader = Self::of_source(split, from).await?;
        Ok(Self {
            ledger_of: has_ledger(split).then(|| split.clone()),
            ..reader
        })
    }

    /// The generation of the stream.
    pub fn generation(&self) -> u32 {
        self.from.generation
    }

    /// Up to where a shard was read. A shard that the places do not name came later, and is read from its beginning.
    pub fn place(&self, shard: &str) -> Position {
        let read = self.shards.get(shard).map(|at| &at.place);
        let begun = read.or_else(|| self.from.shards.get(shard));
        begun.cloned().unwrap_or(Position::Beginning)
    }

    /// Reads a page of a shard on the way to a goal, from the stream. `None`: nothing could be read this time.
    ///
    /// # Errors
    /// If the stream can't be read.
    pub async fn page(&mut self, shard: &str, goal: &Position) -> Result<Option<Batch>, RunError> {
        self.at(shard, None).page(goal).await
    }

    /// The same, from the ledger where the stream may have forgotten it. `recorded`: the shards as they are recorded.
    ///
    /// # Errors
    /// If the stream or the ledger can't be read.
    pub async fn page_or_ledger(
        &mut self,
        shard: &str,
        goal: &Position,
        recorded: &Recorded,
    ) -> Result<Option<Batch>, RunError> {
        let (Some(split), Some(record)) = (self.ledger_of.clone(), recorded.get(shard)) else {
            return self.page(shard, goal).await;
        };
        let at = self.at(shard, Some(record));
        if let Some(batch) = at.page_of_ledger(record, recorded, split.now_ms()).await? {
            self.from_ledger += batch.records.len() as u64;
            return Ok(Some(batch));
        }
        let page = at.page(goal).await;
        // After the read, as every lane does: records may have been trimmed until then. What is lost is not found later.
        match at.lost(split.now_ms()) {
            Some(reason) => Err(too_old(&reason)),
            None => page,
        }
    }

    /// A shard, at its place.
    fn at(&mut self, shard: &str, record: Option<&ShardRecord>) -> &mut ShardAt {
        let place = self.place(shard);
        let (source, from, split) = (&self.source, &self.from, &self.ledger_of);
        self.shards.entry(shard.to_owned()).or_insert_with(|| ShardAt {
            reader: ShardReader::new(source, shard),
            place,
            ledger: split
                .as_ref()
                .zip(record)
                .and_then(|(split, record)| FromLedger::new(split, source, record)),
            complete_to_ms: from.complete_to_ms,
            broken: None,
        })
    }

    /// Why records after the places may be lost. Ask afterwards: while they were read, records may have been trimmed. With a ledger,
    /// each read has told it.
    pub fn lost(&self, now_ms: u64) -> Option<String> {
        match self.ledger_of {
            None => age_gap(self.from.complete_to_ms, now_ms),
            Some(_) => None,
        }
    }
}

impl ShardAt {
    async fn page(&mut self, goal: &Position) -> Result<Option<Batch>, RunError> {
        let read = match self.reader.read(&self.place).await {
            // Its age says afterwards whether records were lost.
            Err(failure) if is_trimmed(&failure) => {
                self.reader
                    .read_horizon(&self.place, *goal == Position::End)
                    .await
            }
            other => other,
        };
        match read {
            Ok(batch) => {
                self.place = batch.to.clone();
                Ok(Some(batch))
            }
            Err(failure) if failure.passes() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// A page of the ledger; `None`: the stream has what follows, or nothing has it.
    async fn page_of_ledger(
        &mut self,
        record: &ShardRecord,
        recorded: &Recorded,
        now_ms: u64,
    ) -> Result<Option<Batch>, RunError> {
        let Some(ledger) = &mut self.ledger else {
            return Ok(None);
        };
        if !ledger.is_due(record, recorded, (&self.place, self.complete_to_ms), now_ms) {
            self.inherit(record, recorded);
            return Ok(None);
        }
        match ledger.read(&self.place).await {
            Ok((batch, complete_to_ms)) => {
                self.place = batch.to.clone();
                self.complete_to_ms = self.complete_to_ms.max(complete_to_ms.unwrap_or(0));
                Ok(Some(batch))
            }
            Err(error) => match error.broken() {
                Some(reason) => {
                    let shard = record.shard.as_str();
                    tracing::error!(shard, reason, "reading the stream instead of the ledger");
                    ledger.is_broken = true;
                    self.broken = Some(reason);
                    Ok(None)
                }
                None => Err(error.into()),
            },
        }
    }

    /// Where the ledger stands at the same place, no record is between them: this place is as far complete as the ledger.
    fn inherit(&mut self, record: &ShardRecord, recorded: &Recorded) {
        let Some(lane) = ledger_lane(record, recorded) else {
            return;
        };
        let Some(kept) = record.lanes.get(&lane).filter(|kept| kept.position == self.place) else {
            return;
        };
        if kept.kept_from_ms.is_some_and(|from| from <= self.complete_to_ms) {
            let complete_to_ms = complete_to(record, &lane, recorded).unwrap_or(0);
            self.complete_to_ms = self.complete_to_ms.max(complete_to_ms);
        }
    }

    /// Why the stream, which was read, may have forgotten records after the place.
    fn lost(&self, now_ms: u64) -> Option<String> {
        let age = age_gap(self.complete_to_ms, now_ms)?;
        Some(match &self.broken {
            Some(reason) => format!("{age}, and {reason}"),
            None => age,
        })
    }
}

/// Whether the split has a ledger, and the plan says where it is.
#[must_use]
pub fn has_ledger(split: &Split) -> bool {
    split.ledger().is_some() && split.plan.ledger.is_some()
}

/// The time from which on every record after these places, in the shards that a service's lane reads, is still kept, by the stream or by the
/// ledger; `None` before the capture.
#[must_use]
pub fn kept_after(places: &StreamPlaces, recorded: &Recorded, service: &str) -> Option<u64> {
    // A lane that stood at these places. No service has this name.
    const HERE: &str = "(here)";
    let mut standing = BTreeMap::clone(recorded);
    let read = standing
        .iter_mut()
        .filter(|(_, record)| record.lanes.contains_key(service));
    for (shard, record) in read {
        let place = places.shards.get(shard).cloned().unwrap_or(Position::Beginning);
        let state = LaneState::starting(place, places.complete_to_ms);
        record.lanes.insert(HERE.to_owned(), state);
    }
    kept_watermark(&standing, HERE)
}

/// The stream does not show what changed since a verify.
pub(super) fn too_old(reason: &str) -> RunError {
    RunError::NotYet {
        what: format!("the last verify is too old to know what changed since: {reason}"),
        next: "run `dynasplit verify`, then run this command again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SequenceNumber;
    use crate::state::Lease;
    use std::sync::Arc;

    const HOUR_MS: u64 = 3_600_000;

    fn at(number: &str) -> Position {
        Position::After(SequenceNumber::new(number))
    }

    fn places(shards: &[(&str, &str)]) -> StreamPlaces {
        let shards = shards.iter().map(|(id, place)| ((*id).to_owned(), at(place)));
        StreamPlaces {
            generation: 1,
            complete_to_ms: 10 * HOUR_MS,
            shards: shards.collect(),
        }
    }

    /// The ledger in a shard: where it stands, from when on it keeps everything, and up to when.
    fn shard(id: &str, parent: Option<&str>, ledger: Option<(Position, u64, u64)>) -> (String, ShardRecord) {
        let of_ledger = ledger.map(|(position, from_ms, to_ms)| {
            let state = LaneState {
                kept_from_ms: Some(from_ms),
                ..LaneState::starting(position, to_ms)
            };
            (ShardRecord::ledger_lane(1), state)
        });
        let of_service = ("a".to_owned(), LaneState::starting(at("99"), 0));
        let lanes = of_ledger.into_iter().chain([of_service]);
        let record = ShardRecord {
            generation: 1,
            shard: id.to_owned(),
            parent: parent.map(str::to_owned),
            lease: Lease::default(),
            beat: 0,
            lanes: lanes.collect(),
        };
        (id.to_owned(), record)
    }

    fn kept(places: &StreamPlaces, shards: impl IntoIterator<Item = (String, ShardRecord)>) -> u64 {
        kept_after(places, &Arc::new(shards.into_iter().collect()), "a").expect("there are shards") / HOUR_MS
    }

    #[test]
    fn what_follows_a_place_is_kept_from_its_time_on_or_as_long_as_the_ledger_has_it() {
        let here = places(&[("one", "5")]);
        let ledger = |position: Position, from: u64| Some((position, from * HOUR_MS, 90 * HOUR_MS));
        assert_eq!(kept(&here, [shard("one", None, None)]), 10, "no ledger");
        assert_eq!(kept(&here, [shard("one", None, ledger(at("7"), 9))]), 90);
        assert_eq!(
            kept(&here, [shard("one", None, ledger(at("5"), 9))]),
            90,
            "nothing new"
        );
        let late = ledger(at("7"), 11);
        assert_eq!(kept(&here, [shard("one", None, late)]), 10, "it began later");
        let behind = ledger(at("4"), 9);
        assert_eq!(
            kept(&here, [shard("one", None, behind)]),
            10,
            "it is behind the place"
        );
    }

    #[test]
    fn a_shard_that_the_service_does_not_read_says_nothing() {
        let here = places(&[("one", "5")]);
        let ledger = Some((at("7"), 9 * HOUR_MS, 90 * HOUR_MS));
        let mut other = shard("history", None, None);
        other.1.lanes.clear();
        assert_eq!(kept(&here, [other, shard("one", None, ledger)]), 90);
    }

    #[test]
    fn a_shard_that_came_later_is_kept_by_its_own_ledger() {
        let here = places(&[("one", "5")]);
        let ended = Some((Position::End, 9 * HOUR_MS, 50 * HOUR_MS));
        let child = |from| Some((at("9"), from, 80 * HOUR_MS));
        let both = |of_child| {
            [
                shard("one", None, ended.clone()),
                shard("two", Some("one"), of_child),
            ]
        };
        assert_eq!(kept(&here, both(child(0))), 80);
        // As far as the ledger is in the parent; what follows is in the child.
        assert_eq!(kept(&here, both(None)), 50, "the ledger does not have this shard");
    }
}

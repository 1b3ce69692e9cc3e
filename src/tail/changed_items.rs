//! Which items of the source changed since a verify: read from the stream for several services at once (what the stream may have
//! forgotten, from the ledger), and not taken from what the lanes did.

use super::from_places::{FromPlaces, too_old};
use crate::model::Position;
use crate::source::Record;
use crate::source::lineage::watermark;
use crate::state::{LaneState, ShardRecord, StreamPlaces};
use crate::worker::{Recorded, RunError, Split, pause, recorded_shards};
use std::collections::BTreeMap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Reads the source's stream, or its ledger, from places to where the lanes of some services stand.
pub struct ChangedItems {
    split: Split,
    services: Vec<String>,
    reader: FromPlaces,
    goal: Option<Goal>,
}

/// Where it reads to.
struct Goal {
    reached: Reached,
    /// The shards as they were recorded.
    recorded: Recorded,
    /// When they were.
    at: Instant,
}

/// What was read.
#[derive(Debug)]
pub enum Changes {
    /// Some records of one shard.
    Page(Vec<Record>),
    /// The lanes stood here at a moment.
    Reached(Reached, Instant),
}

/// Up to where the stream was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reached {
    /// The place of the slowest of the lanes in each shard, which was reached.
    pub places: StreamPlaces,
    /// The stream is off, and the lanes have read it to its end: nothing follows.
    pub is_drained: bool,
}

impl ChangedItems {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// If the stream is another one by now.
    pub async fn since(split: &Split, services: Vec<String>, from: StreamPlaces) -> Result<Self, RunError> {
        Ok(Self {
            split: split.clone(),
            services,
            reader: FromPlaces::of_source_or_ledger(split, from).await?,
            goal: None,
        })
    }

    /// How many records were read from the ledger.
    #[must_use]
    pub fn from_ledger(&self) -> u64 {
        self.reader.from_ledger
    }

    /// Reads a page on the way to where the slowest of the lanes stands, or says that it is there. Then the next call goes on to where
    /// that stands by then. The pages of one shard come in their order, those of different shards in any.
    ///
    /// # Errors
    /// If the stream can't be read, or may not keep the records any more, or the command is stopped.
    pub async fn read(&mut self, stop: &CancellationToken) -> Result<Changes, RunError> {
        let generation = self.reader.generation();
        let goal = match self.goal.take() {
            Some(goal) => goal,
            None => {
                let at = Instant::now();
                let recorded = recorded_shards(&self.split, generation).await?;
                let reached = reached(&recorded, &self.services, generation)
                    .ok_or_else(|| too_old("no shard with these lanes is recorded"))?;
                Goal {
                    reached,
                    recorded,
                    at,
                }
            }
        };
        for (shard, place) in &goal.reached.places.shards {
            while self.reader.place(shard) < *place {
                let before = self.reader.place(shard);
                let page = tokio::select! {
                    biased;
                    () = stop.cancelled() => {
                        pause(self.split.timing.poll, stop).await?;
                        None
                    }
                    page = self.reader.page_or_ledger(shard, place, &goal.recorded) => page?,
                };
                if self.reader.place(shard) == before {
                    pause(self.split.timing.poll / 2, stop).await?;
                }
                if let Some(batch) = page.filter(|batch| !batch.records.is_empty()) {
                    self.goal = Some(goal);
                    return Ok(Changes::Page(batch.records));
                }
            }
        }
        match self.reader.lost(self.split.now_ms()) {
            Some(reason) => Err(too_old(&reason)),
            None => Ok(Changes::Reached(goal.reached, goal.at)),
        }
    }
}

/// Where the slowest of some lanes stands in each shard that is recorded with one of them.
fn reached(
    recorded: &BTreeMap<String, ShardRecord>,
    services: &[String],
    generation: u32,
) -> Option<Reached> {
    let states = |record: &ShardRecord| -> Vec<LaneState> {
        let lanes = services.iter().filter_map(|name| record.lanes.get(name));
        lanes.cloned().collect()
    };
    let slowest = |record: &ShardRecord| -> Option<Position> {
        states(record).into_iter().map(|state| state.position).min()
    };
    let complete: Option<Vec<u64>> = services.iter().map(|name| watermark(recorded, name)).collect();
    Some(Reached {
        places: StreamPlaces {
            generation,
            complete_to_ms: complete?.into_iter().min()?,
            shards: recorded
                .iter()
                .filter_map(|(id, record)| Some((id.clone(), slowest(record)?)))
                .collect(),
        },
        is_drained: recorded
            .values()
            .all(|record| states(record).iter().all(LaneState::finished)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SequenceNumber;
    use crate::state::Lease;

    fn at(number: &str) -> Position {
        Position::After(SequenceNumber::new(number))
    }

    fn recorded(lanes: &[(&str, Position, u64)]) -> BTreeMap<String, ShardRecord> {
        let states = lanes.iter().map(|(lane, position, complete_to_ms)| {
            let state = LaneState::starting(position.clone(), *complete_to_ms);
            ((*lane).to_owned(), state)
        });
        let record = ShardRecord {
            generation: 1,
            shard: "one".into(),
            parent: None,
            lease: Lease::default(),
            beat: 0,
            lanes: states.collect(),
        };
        [("one".to_owned(), record)].into()
    }

    #[test]
    fn the_slowest_lane_that_is_compared_decides() {
        let recorded = recorded(&[("a", at("7"), 70), ("b", at("5"), 50), ("c", at("3"), 30)]);
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            reached(&recorded, &names, 2)
        };
        let both = of(&["a", "b"]).unwrap();
        assert_eq!(both.places.shards["one"], at("5"));
        assert_eq!((both.places.complete_to_ms, both.places.generation), (50, 2));
        assert!(!both.is_drained);
        assert_eq!(of(&["a"]).unwrap().places.complete_to_ms, 70);
        assert_eq!(
            of(&["a", "unknown"]),
            None,
            "a lane that does not follow the stream"
        );
    }

    #[test]
    fn a_stream_that_every_lane_has_read_to_its_end_is_drained() {
        let of = |lanes: &[(&str, Position, u64)]| {
            let names = ["a".to_owned(), "b".to_owned()];
            reached(&recorded(lanes), &names, 1).unwrap().is_drained
        };
        assert!(of(&[("a", Position::End, 7), ("b", Position::End, 7)]));
        assert!(!of(&[("a", Position::End, 7), ("b", at("5"), 7)]));
    }
}

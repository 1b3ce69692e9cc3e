//! What the tail knows: the shards that it recorded, with each lane's place, as stored and as in memory.

use super::Rules;
use super::stream::{Hours, Stream, id, number, sequence};
use dynasplit::model::Position;
use dynasplit::source::lineage::{Shard, capture, discovered, first_state, heirs, vanished};
use dynasplit::state::{GapRecord, LaneState, Lease, ShardRecord};
use std::collections::{BTreeMap, BTreeSet};

/// How far a lane is in a shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mark {
    pub place: Place,
    /// Not pinned: it begins at the tip when it is first read.
    pub latest: bool,
    /// `None`: as far as its parent is.
    pub complete: Option<u8>,
    pub gap: bool,
}

/// A position.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    Beginning,
    At(u8),
    After(u8),
    End,
}

impl From<Place> for Position {
    fn from(place: Place) -> Self {
        match place {
            Place::Beginning => Self::Beginning,
            Place::At(sequence) => Self::At(number(sequence)),
            Place::After(sequence) => Self::After(number(sequence)),
            Place::End => Self::End,
        }
    }
}

impl From<&Position> for Place {
    fn from(position: &Position) -> Self {
        match position {
            Position::Beginning => Self::Beginning,
            Position::At(number) => Self::At(sequence(number)),
            Position::After(number) => Self::After(sequence(number)),
            Position::End => Self::End,
        }
    }
}

impl Mark {
    pub fn done(&self) -> bool {
        self.place == Place::End || self.gap
    }

    fn state(&self, hours: Hours) -> LaneState {
        LaneState {
            gap: self.gap.then(|| GapRecord {
                reason: String::new(),
                noticed_ms: 0,
            }),
            complete_to_ms: self.complete.map_or(0, |time| hours.ms(time)),
            ..LaneState::starting(self.place.into(), 0)
        }
    }

    fn of(state: &LaneState, hours: Hours) -> Self {
        Self {
            place: Place::from(&state.position),
            latest: false,
            complete: (state.complete_to_ms != 0).then(|| hours.time(state.complete_to_ms)),
            gap: state.gap.is_some(),
        }
    }
}

/// A shard's record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Recorded {
    pub parent: Option<u8>,
    pub lanes: [Option<Mark>; 2],
}

/// All records, by shard.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tail {
    pub shards: BTreeMap<u8, Recorded>,
    pub history: BTreeSet<u8>,
    /// The stream was listed as off.
    pub ended: bool,
}

/// The lanes' names, by their numbers.
pub const LANES: [&str; 2] = ["orders", "users"];

fn index(id: &str) -> u8 {
    id.trim_start_matches("shard-").parse().unwrap()
}

impl Tail {
    /// A shard's record in the product's form.
    pub fn record(&self, shard: u8, hours: Hours) -> ShardRecord {
        let Recorded { parent, lanes } = &self.shards[&shard];
        let known = lanes.iter().enumerate();
        ShardRecord {
            generation: 1,
            shard: id(shard),
            parent: parent.map(id),
            lease: Lease::default(),
            beat: 0,
            lanes: known
                .filter_map(|(lane, mark)| Some((LANES[lane].to_owned(), mark.as_ref()?.state(hours))))
                .collect(),
        }
    }

    pub fn records(&self, hours: Hours) -> BTreeMap<String, ShardRecord> {
        let shards = self.shards.keys();
        shards
            .map(|&shard| (id(shard), self.record(shard, hours)))
            .collect()
    }

    pub fn mark(&mut self, shard: u8, lane: usize) -> Option<&mut Mark> {
        self.shards.get_mut(&shard)?.lanes[lane].as_mut()
    }

    /// As `add_lanes`: what is there stays.
    fn add(&mut self, shard: &Shard, lane: usize, mark: Mark) {
        let record = self.shards.entry(index(&shard.id)).or_insert_with(|| Recorded {
            parent: shard.parent.as_deref().map(index),
            lanes: [None, None],
        });
        record.lanes[lane].get_or_insert(mark);
    }

    /// As `record_discovered`, by a worker that knows these lanes.
    pub fn discover(&mut self, stream: &Stream, known: &[usize], rules: Rules) {
        let (hours, mut listing) = (stream.hours, stream.listing());
        if !rules.all_pages {
            listing.truncate(2);
        }
        let recorded = self.records(hours);
        let history: BTreeSet<String> = self.history.iter().map(|&shard| id(shard)).collect();
        let new = discovered(&listing, &recorded, &history);
        let began = |lane: usize| self.shards.values().any(|record| record.lanes[lane].is_some());
        let began: Vec<usize> = known.iter().copied().filter(|&lane| began(lane)).collect();
        let meets = |shard: &Shard, lane: usize| {
            let state = first_state(shard, LANES[lane], &recorded, stream.ms());
            let mut mark = Mark::of(&state, hours);
            if !rules.unknown_parent {
                mark.complete = mark.complete.map(|_| stream.now);
            }
            mark
        };
        let inherited = if rules.heirs { heirs(&recorded) } else { Vec::new() };
        for (shard, missing) in inherited {
            for &lane in known.iter().filter(|&&lane| missing.contains(LANES[lane])) {
                self.add(&shard, lane, meets(&shard, lane));
            }
        }
        for shard in new {
            for &lane in &began {
                self.add(shard, lane, meets(shard, lane));
            }
        }
        if self.ended {
            return;
        }
        for (shard, lane, _) in vanished(&listing, &recorded, stream.ms()) {
            let lane = LANES.iter().position(|name| *name == lane).unwrap();
            if let Some(mark) = self.mark(index(&shard), lane).filter(|_| rules.vanished) {
                mark.gap = true;
            }
        }
        self.ended = !stream.enabled;
    }

    /// As `capture_lanes`.
    pub fn capture(&mut self, stream: &Stream, lane: usize, rules: Rules) {
        if rules.found_before_capture {
            self.discover(stream, &[0, 1], rules);
        }
        let found = capture(&stream.listing());
        let history = self.history.clone();
        self.history.extend(found.history.iter().map(|id| index(id)));
        let pins = found.pinned.iter();
        for (shard, place) in pins.filter(|(shard, _)| !history.contains(&index(&shard.id))) {
            let mark = Mark {
                latest: !rules.pinned,
                ..Mark::of(&LaneState::starting(place.clone(), stream.ms()), stream.hours)
            };
            self.add(shard, lane, mark);
        }
    }

    pub fn gap(&self, lane: usize) -> bool {
        let mut marks = self
            .shards
            .values()
            .filter_map(|record| record.lanes[lane].as_ref());
        marks.any(|mark| mark.gap)
    }

    /// Whether the lane has nothing left to read in what is recorded, or stopped at a gap.
    pub fn ended(&self, lane: usize) -> bool {
        let mut marks = self
            .shards
            .values()
            .filter_map(|record| record.lanes[lane].as_ref());
        self.gap(lane) || marks.all(Mark::done)
    }
}

//! What there is: the stream, the objects of the ledger, and the places of both lanes.

use dynasplit::model::{Position, SequenceNumber};
use dynasplit::source::lineage::{Shard, age_gap, complete_to, first_state, kept_to};
use dynasplit::state::{GapRecord, LaneState, Lease, ShardRecord};
use std::collections::BTreeMap;

/// A step of time. The stream keeps a record for two steps, and a lane reads the ledger after two.
const HOURS: u64 = 11;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// The first step, so that no time is zero.
const FIRST: u64 = 100;
/// The product's limit (`tail::from_ledger`).
const READ_LEDGER_MS: u64 = 20 * HOUR_MS;
/// Steps for which the stream keeps a record.
const KEPT: u8 = 2;

pub const ORDERS: usize = 0;
pub const LEDGER: usize = 1;

/// A place in a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    Beginning,
    After(u8),
    End,
}

/// How far a lane is in a shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mark {
    pub place: Place,
    /// `None`: as far as its parent is.
    pub complete: Option<u8>,
    /// Only the ledger's: since when it has everything.
    pub from: Option<u8>,
    pub gap: bool,
}

/// What the ledger has read, and not written.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Buffer {
    pub shard: usize,
    pub to: Place,
    pub records: Vec<u8>,
    pub newest: Option<u8>,
    /// Older records are left out.
    pub oldest: Option<u8>,
}

/// An object, whose name is its shard and its beginning.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Object {
    pub to: Place,
    pub records: Vec<u8>,
    pub complete: u8,
    pub from: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub now: u8,
    /// When each record was written, by its number less one.
    pub created: Vec<u8>,
    /// The first shard has the records up to this one, and another one continues it.
    pub rolled: Option<u8>,
    /// Both lanes, by shard.
    pub lanes: [[Mark; 2]; 2],
    pub buffer: Option<Buffer>,
    pub objects: BTreeMap<(usize, Place), Object>,
    /// A request of a worker that died.
    pub late: Option<((usize, Place), Object)>,
    pub deaths: u8,
    pub deleted: u8,
    /// The lane of the service has found that the chain lacks something.
    pub broken: bool,
    /// Records that are in the table, one bit each.
    pub applied: u8,
}

fn ms(time: u8) -> u64 {
    (FIRST + u64::from(time)) * HOURS * HOUR_MS
}

fn time(ms: u64) -> u8 {
    (ms / (HOURS * HOUR_MS)).saturating_sub(FIRST) as u8
}

fn id(shard: usize) -> String {
    format!("shard-{shard}")
}

impl Mark {
    pub const FIRST: Self = Self {
        place: Place::Beginning,
        complete: Some(0),
        from: None,
        gap: false,
    };

    fn state(self, number_from: Option<u8>) -> LaneState {
        let position = match self.place {
            Place::Beginning => Position::Beginning,
            Place::After(number) => Position::After(SequenceNumber::new(&number.to_string())),
            Place::End => Position::End,
        };
        LaneState {
            complete_to_ms: self.complete.map_or(0, ms),
            kept_from_ms: number_from.map(ms),
            gap: self.gap.then(|| GapRecord {
                reason: String::new(),
                noticed_ms: 0,
            }),
            ..LaneState::starting(position, 0)
        }
    }
}

impl World {
    /// The records in the product's form. A ledger that counts as one that began at the beginning says so.
    fn recorded(&self, began_is_known: bool) -> BTreeMap<String, ShardRecord> {
        let shards = 0..=usize::from(self.rolled.is_some());
        let record = |shard: usize| {
            let [orders, ledger] = self.lanes[shard];
            let from = ledger.from.map(|from| if began_is_known { from } else { 0 });
            let lanes = [
                ("orders".to_owned(), orders.state(None)),
                (ShardRecord::ledger_lane(1), ledger.state(from)),
            ];
            ShardRecord {
                generation: 1,
                shard: id(shard),
                parent: (shard == 1).then(|| id(0)),
                lease: Lease::default(),
                beat: 0,
                lanes: lanes.into(),
            }
        };
        shards.map(|shard| (id(shard), record(shard))).collect()
    }

    /// The shard is closed, and its child is found.
    pub fn roll(&mut self) {
        self.rolled = Some(self.created.len() as u8);
        let mut recorded = self.recorded(true);
        recorded.remove(&id(1));
        let child = Shard {
            id: id(1),
            parent: Some(id(0)),
            starting: None,
        };
        self.lanes[1] = [ORDERS, LEDGER].map(|lane| {
            let state = first_state(&child, &Self::lane_name(lane), &recorded, ms(self.now));
            Mark {
                complete: None,
                from: state.kept_from_ms.map(|_| 0),
                ..Mark::FIRST
            }
        });
    }

    fn lane_name(lane: usize) -> String {
        if lane == ORDERS {
            "orders".into()
        } else {
            ShardRecord::ledger_lane(1)
        }
    }

    /// The time up to which a lane is complete by itself.
    pub fn complete(&self, shard: usize, lane: usize) -> u8 {
        let recorded = self.recorded(true);
        complete_to(&recorded[&id(shard)], &Self::lane_name(lane), &recorded).map_or(0, time)
    }

    /// The time from which on the records after the place of the service's lane are kept.
    pub fn kept(&self, shard: usize, began_is_known: bool) -> u8 {
        let recorded = self.recorded(began_is_known);
        kept_to(&recorded[&id(shard)], "orders", &recorded).map_or(0, time)
    }

    /// Whether a lane that is complete up to this time may have lost records of the stream.
    pub fn is_too_old(&self, complete: u8) -> bool {
        age_gap(ms(complete), ms(self.now)).is_some()
    }

    /// Whether a lane that is complete up to this time reads the ledger.
    pub fn is_far_behind(&self, complete: u8) -> bool {
        ms(self.now) - ms(complete) > READ_LEDGER_MS
    }

    /// Since when a ledger that begins now keeps records: the others may be forgotten before they are read.
    pub fn oldest_to_begin_with(&self) -> u8 {
        self.now.saturating_sub(1)
    }

    pub fn is_kept(&self, record: u8) -> bool {
        self.now - self.created[usize::from(record) - 1] <= KEPT
    }

    /// The shard of a record.
    fn shard_of(&self, record: u8) -> usize {
        usize::from(self.rolled.is_some_and(|last| record > last))
    }

    /// The next record that the stream still shows after a place.
    pub fn next_in_stream(&self, shard: usize, place: Place) -> Option<u8> {
        (1..=self.created.len() as u8).find(|record| {
            self.shard_of(*record) == shard && Place::After(*record) > place && self.is_kept(*record)
        })
    }

    pub fn is_closed(&self, shard: usize) -> bool {
        shard == 0 && self.rolled.is_some()
    }

    pub fn all_applied(&self) -> bool {
        (0..self.created.len()).all(|place| self.applied & (1 << place) != 0)
    }
}

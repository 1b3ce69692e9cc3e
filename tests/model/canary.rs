//! The drain by canary: markers that are written after the fence, until the lane has passed one in every open shard.
//!
//! Two shards, one of which splits. The application writes until the fence takes effect; each record is shown to the lane at any
//! later time. A first attempt may be cancelled, and leaves its markers in the stream. Which shards are still open to doubt is
//! asked of [`dynasplit::source::lineage::unmarked`].

use crate::bounds::large;
use crate::proof::{Judged, breaks, holds, promise};
use dynasplit::model::Position;
use dynasplit::source::lineage::{Known, Shard as Listed, unmarked};
use dynasplit::state::{LaneState, Lease, ShardRecord};
use stateright::{Model, Property};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const LANE: &str = "a";
/// Attempts, of which the first one may be cancelled.
const ATTEMPTS: u8 = 2;

/// A rule of the drain, each of which can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// Markers are written when no application write is accepted any more.
    MarkedAfterFence,
    /// Every open shard has to show a marker.
    EveryShard,
    /// A marker of an earlier attempt proves nothing.
    OwnRun,
    /// If a shard has ended without a marker, the shards that continue it have to show one.
    Continued,
    /// A shard counts from when the stream lists it, also if no worker has recorded it.
    Listed,
}

/// What the lane has read of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Read {
    records: u8,
    ended: bool,
    /// The run of the last marker.
    marker: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Record {
    /// A write of the application.
    Own,
    /// A marker of an attempt.
    Marker(u8),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Shard {
    parent: Option<u8>,
    closed: bool,
    records: Vec<Record>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Fence {
    Off,
    Set,
    On,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    shards: Vec<Shard>,
    /// Checkpoints, of the shards that a worker has recorded.
    recorded: Vec<Option<Read>>,
    fence: Fence,
    attempt: u8,
    /// How many shards the stream listed when the command has asked, after the fence.
    listed: Option<u8>,
    drained: bool,
    writes: u8,
    markers: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Write(u8),
    Mark(u8),
    Split,
    Record(u8),
    Read(u8),
    End(u8),
    Fence,
    FenceTakes,
    Cancel,
    Look,
    Judge,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(shard) => write!(f, "the application writes an item of shard {shard}"),
            Self::Mark(shard) => write!(f, "cutover: a marker is written, which comes into shard {shard}"),
            Self::Split => f.write_str("shard 0 ends, and shards 2 and 3 continue it"),
            Self::Record(shard) => write!(f, "a worker records shard {shard}"),
            Self::Read(shard) => write!(f, "the lane reads the next record of shard {shard}"),
            Self::End(shard) => write!(f, "the lane has read shard {shard} to its end"),
            Self::Fence => f.write_str("cutover: the fence is asked for"),
            Self::FenceTakes => f.write_str("the fence takes effect"),
            Self::Cancel => f.write_str("cutover: cancelled, the fence is lifted"),
            Self::Look => f.write_str("cutover: the shards are listed"),
            Self::Judge => f.write_str(
                "cutover: the checkpoints are read, and the lane is found drained if nothing is open to doubt",
            ),
        }
    }
}

struct Canary {
    without: Option<Rule>,
    writes: u8,
    markers: u8,
}

impl Canary {
    fn hold(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// Whether the lane is found drained, by the checkpoints and by the shards that are listed.
    fn is_drained(&self, state: &State, checkpoints: &[Option<Read>], listed: usize) -> bool {
        let name = |shard: usize| shard.to_string();
        let parent = |shard: usize| state.shards[shard].parent.map(|parent| parent.to_string());
        let is_listed =
            |shard: &usize| self.hold(Rule::Listed) || checkpoints.get(*shard).is_some_and(Option::is_some);
        let shards: Vec<Listed> = (0..listed)
            .filter(is_listed)
            .map(|shard| Listed {
                id: name(shard),
                parent: parent(shard),
                starting: None,
            })
            .collect();
        let reads = checkpoints
            .iter()
            .enumerate()
            .filter_map(|(shard, read)| Some((shard, (*read)?)));
        let recorded: BTreeMap<String, ShardRecord> = reads
            .map(|(shard, read)| (name(shard), self.record(parent(shard), read, state.attempt)))
            .collect();
        let known = Known {
            listed: &shards,
            is_on: true,
            recorded: &recorded,
            history: &BTreeSet::new(),
        };
        let mut open = unmarked(known, LANE, u64::from(state.attempt));
        if !self.hold(Rule::Continued) {
            open.retain(|shard| {
                !recorded
                    .get(shard)
                    .is_some_and(|record| record.lanes[LANE].finished())
            });
            let child = |shard: &String| {
                shards
                    .iter()
                    .any(|listed| listed.id == *shard && listed.parent.is_some())
            };
            open.retain(|shard| !child(shard));
        }
        let is_marked = |record: &ShardRecord| record.lanes[LANE].marker == Some(u64::from(state.attempt));
        open.is_empty() || !self.hold(Rule::EveryShard) && recorded.values().any(is_marked)
    }

    fn record(&self, parent: Option<String>, read: Read, attempt: u8) -> ShardRecord {
        let place = if read.ended {
            Position::End
        } else {
            Position::Beginning
        };
        let marker = read
            .marker
            .filter(|run| !self.hold(Rule::OwnRun) || *run == attempt);
        let run = if self.hold(Rule::OwnRun) {
            marker
        } else {
            marker.map(|_| attempt)
        };
        let state = LaneState {
            marker: run.map(u64::from),
            ..LaneState::starting(place, 0)
        };
        ShardRecord {
            generation: 1,
            shard: String::new(),
            parent,
            lease: Lease::default(),
            beat: 0,
            lanes: [(LANE.to_owned(), state)].into(),
        }
    }

    /// The list was read before, and the checkpoints are read now.
    fn judge(&self, state: &mut State) {
        let listed = state.listed.take();
        state.drained = listed.is_some_and(|listed| self.is_drained(state, &state.recorded, listed.into()));
    }
}

impl Judged for State {
    fn drained(&self) -> bool {
        self.drained
    }

    /// The lane has applied every write of the application.
    fn exact(&self) -> bool {
        self.shards.iter().zip(&self.recorded).all(|(shard, read)| {
            let read = read.map_or(0, |read| usize::from(read.records));
            shard.records[read..].iter().all(|record| *record != Record::Own)
        })
    }
}

impl Model for Canary {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            shards: vec![Shard::default(), Shard::default()],
            recorded: vec![Some(Read::default()); 2],
            fence: Fence::Off,
            attempt: 0,
            listed: None,
            drained: false,
            writes: 0,
            markers: 0,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.drained {
            return;
        }
        let proven = state.fence == Fence::On;
        let may_mark = proven || state.fence == Fence::Set && !self.hold(Rule::MarkedAfterFence);
        for (number, shard) in state.shards.iter().enumerate() {
            let id = number as u8;
            let mut add = |step, may: bool| steps.extend(may.then_some(step));
            add(
                Step::Write(id),
                !proven && !shard.closed && state.writes < self.writes,
            );
            add(
                Step::Mark(id),
                may_mark && !shard.closed && state.markers < self.markers,
            );
            let parent = shard.parent.map(|parent| state.recorded[usize::from(parent)]);
            let is_ready = parent.is_none_or(|parent| parent.is_some_and(|parent| parent.ended));
            let Some(read) = state.recorded[number] else {
                add(Step::Record(id), true);
                continue;
            };
            let left = shard.records.len() > usize::from(read.records);
            add(Step::Read(id), is_ready && left);
            add(Step::End(id), is_ready && !left && shard.closed && !read.ended);
        }
        steps.extend((state.shards.len() == 2).then_some(Step::Split));
        match state.fence {
            Fence::Off => steps.extend((state.attempt < ATTEMPTS).then_some(Step::Fence)),
            Fence::Set => steps.push(Step::FenceTakes),
            Fence::On => {
                steps.push(if state.listed.is_none() {
                    Step::Look
                } else {
                    Step::Judge
                });
                steps.extend((state.attempt < ATTEMPTS).then_some(Step::Cancel));
            }
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        let shard = |shard: u8| usize::from(shard);
        match step {
            Step::Write(id) => {
                next.writes += 1;
                next.shards[shard(id)].records.push(Record::Own);
            }
            Step::Mark(id) => {
                next.markers += 1;
                next.shards[shard(id)].records.push(Record::Marker(state.attempt));
            }
            Step::Split => {
                next.shards[0].closed = true;
                let child = Shard {
                    parent: Some(0),
                    ..Shard::default()
                };
                next.shards.extend([child.clone(), child]);
                next.recorded.extend([None, None]);
            }
            Step::Record(id) => next.recorded[shard(id)] = Some(Read::default()),
            Step::Read(id) => {
                let read = next.recorded[shard(id)].as_mut()?;
                if let Record::Marker(run) = state.shards[shard(id)].records[shard(read.records)] {
                    read.marker = Some(run);
                }
                read.records += 1;
            }
            Step::End(id) => next.recorded[shard(id)].as_mut()?.ended = true,
            Step::Fence => {
                next.fence = Fence::Set;
                next.attempt += 1;
            }
            Step::FenceTakes => next.fence = Fence::On,
            Step::Cancel => {
                next.fence = Fence::Off;
                next.listed = None;
            }
            Step::Look => next.listed = Some(state.shards.len() as u8),
            Step::Judge => self.judge(&mut next),
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        properties.push(Property::<Self>::sometimes(
            "drained after a split and a cancel",
            |model, state| {
                state.drained
                    && state.shards.len() == 4
                    && state.attempt == ATTEMPTS
                    && state.writes == model.writes
            },
        ));
        properties
    }
}

fn canary(without: Option<Rule>) -> Canary {
    let (writes, markers) = if large() { (2, 3) } else { (1, 2) };
    Canary {
        without,
        writes,
        markers,
    }
}

#[test]
fn a_drain_by_canary_leaves_no_write_behind() {
    let model = canary(None);
    let bounds = format!(
        "2 shards, one of which splits, 2 attempts, writes: {}, markers: {}",
        model.writes, model.markers
    );
    holds("canary", &bounds, model);
}

#[test]
fn what_a_drain_by_canary_needs() {
    for rule in [
        Rule::MarkedAfterFence,
        Rule::EveryShard,
        Rule::OwnRun,
        Rule::Continued,
        Rule::Listed,
    ] {
        breaks(&format!("canary, without {rule:?}"), canary(Some(rule)));
    }
}

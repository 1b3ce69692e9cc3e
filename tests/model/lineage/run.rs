//! The steps: the source writes, the stream changes, time passes, the worker reads, saves, and dies.

use super::stream::{BOTH, Found};
use super::tail::{LANES, Place};
use super::{Bounds, Rules, Stream, Tail};
use crate::proof::{Judged, promise};
use dynasplit::model::Position;
use dynasplit::source::lineage::{Readiness, age_gap, complete_to, heirs, readiness, watermark};
use stateright::{Model, Property};
use std::fmt;

pub struct Lineage {
    pub rules: Rules,
    pub bounds: Bounds,
}

/// What a lane's table got.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Applied {
    /// Records that were written before its capture; `None` before that.
    captured: Option<u8>,
    /// Records, a bit each.
    records: u16,
    /// By key: the record that was applied last.
    last: [u8; 2],
    /// Taken from the stream, and not written yet, though the position has moved (where that rule is left out).
    owed: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    stream: Stream,
    /// As the worker has it in memory.
    memory: Tail,
    stored: Tail,
    /// Lanes that began to read, by shard and lane.
    started: Vec<(u8, usize)>,
    lanes: [Applied; 2],
    /// The worker has listed the stream when it was off.
    seen_off: bool,
    crashes: u8,
    /// There must be no gap.
    prompt: bool,
    /// As [`Rules::heirs`].
    inherits: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    Write(u8),
    Roll(u8),
    Split(u8),
    Disable,
    Wait,
    Capture(usize),
    Discover,
    DiscoverOld,
    Start(u8, usize),
    /// Saved at once, or not.
    Read(u8, usize, bool),
    Apply(usize),
    Save(u8),
    Crash,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(key) => write!(f, "the source writes key {key}"),
            Self::Roll(shard) => write!(f, "shard {shard} is closed and continued by one child"),
            Self::Split(shard) => write!(
                f,
                "shard {shard} is closed and split into two children, one for each key"
            ),
            Self::Disable => write!(
                f,
                "the source is fenced and its stream is switched off: all shards are closed"
            ),
            Self::Wait => write!(
                f,
                "time passes, and the stream removes what is older than 24 hours"
            ),
            Self::Capture(lane) => write!(f, "lane {} is captured", LANES[*lane]),
            Self::Discover => write!(f, "the worker lists the stream and records what is new"),
            Self::DiscoverOld => write!(
                f,
                "a worker that runs since before lane {} was added does so",
                LANES[1]
            ),
            Self::Start(shard, lane) => {
                write!(f, "lane {} asks whether it may read shard {shard}", LANES[*lane])
            }
            Self::Read(shard, lane, saved) => {
                let then = if *saved {
                    "; the worker saves the checkpoint"
                } else {
                    ""
                };
                write!(
                    f,
                    "lane {} reads shard {shard}, and applies what it finds{then}",
                    LANES[*lane]
                )
            }
            Self::Apply(lane) => write!(f, "lane {} applies what it read", LANES[*lane]),
            Self::Save(shard) => write!(f, "the worker saves its checkpoints of shard {shard}"),
            Self::Crash => write!(f, "the worker dies, and starts again"),
        }
    }
}

impl Applied {
    fn apply(&mut self, stream: &Stream, sequence: u8) {
        let (key, _) = stream.log[usize::from(sequence) - 1];
        self.records |= 1 << sequence;
        self.last[usize::from(key)] = sequence;
    }

    /// It has all that was written since its capture, and of each key that it has seen, the last record last.
    fn exact(&self, stream: &Stream) -> bool {
        let Some(captured) = self.captured else {
            return true;
        };
        let has = |sequence: u8| self.records & (1 << sequence) != 0;
        let complete = (captured + 1..=stream.log.len() as u8).all(has);
        complete && (0..2).all(|key| [0, stream.last(key)].contains(&self.last[usize::from(key)]))
    }
}

impl Judged for State {
    fn drained(&self) -> bool {
        let quiet = |lane: &Applied| lane.owed.is_empty();
        !self.stream.enabled
            && self.seen_off
            && self.memory == self.stored
            && self.lanes.iter().all(quiet)
            && (0..2).all(|lane| self.stored.ended(lane))
            && (!self.inherits || heirs(&self.stored.records(self.stream.hours)).is_empty())
            || self.prompt && (0..2).any(|lane| self.memory.gap(lane))
    }

    fn exact(&self) -> bool {
        let mut lanes = self.lanes.iter().enumerate();
        lanes.all(|(number, lane)| match self.memory.gap(number) {
            true => !self.prompt,
            false => lane.exact(&self.stream),
        })
    }
}

impl State {
    fn discover(&mut self, rules: Rules, known: &[usize]) {
        self.seen_off |= !self.stream.enabled;
        let before = self.stored.clone();
        self.stored.discover(&self.stream, known, rules);
        self.absorb(&before);
    }

    fn capture(&mut self, rules: Rules, lane: usize) {
        let before = self.stored.clone();
        self.stored.capture(&self.stream, lane, rules);
        self.lanes[lane].captured = Some(self.stream.log.len() as u8);
        self.absorb(&before);
    }

    /// What was added to the records appears in memory too.
    fn absorb(&mut self, before: &Tail) {
        self.memory.history = self.stored.history.clone();
        self.memory.ended = self.stored.ended;
        for (shard, record) in &self.stored.shards {
            let kept = self.memory.shards.entry(*shard).or_insert(*record);
            for lane in 0..2 {
                if before
                    .shards
                    .get(shard)
                    .is_none_or(|known| known.lanes[lane].is_none())
                {
                    kept.lanes[lane] = record.lanes[lane];
                }
                if let (Some(mark), Some(stored)) = (&mut kept.lanes[lane], &record.lanes[lane]) {
                    mark.gap |= stored.gap;
                }
            }
        }
    }

    /// As `start_ready`. Whether anything changed.
    fn start(&mut self, rules: Rules, shard: u8, lane: usize) -> bool {
        let mut recorded = if rules.durable_parent {
            self.stored.records(self.stream.hours)
        } else {
            self.memory.records(self.stream.hours)
        };
        let parent = self.memory.shards[&shard].parent;
        if let Some(parent) = parent.and_then(|parent| recorded.get_mut(&super::stream::id(parent))) {
            let any = parent.lanes.values().any(dynasplit::state::LaneState::finished);
            if let Some(state) = parent.lanes.get_mut(LANES[lane])
                && (!rules.waits || !rules.own_parent && any)
            {
                state.position = Position::End;
            }
        }
        let record = self.memory.record(shard, self.stream.hours);
        match readiness(&record, LANES[lane], &recorded, self.stream.ms()) {
            Readiness::Gap(_) if rules.age => {
                if let Some(mark) = self.memory.mark(shard, lane) {
                    mark.gap = true;
                }
            }
            Readiness::Ready | Readiness::Gap(_) => {
                self.started.push((shard, lane));
                self.started.sort_unstable();
            }
            Readiness::Waits | Readiness::Finished => return false,
        }
        true
    }

    /// As the front and `Lane::follow`: one read, and what the lane makes of it.
    fn read(&mut self, rules: Rules, shard: u8, lane: usize) {
        let now = self.stream.ms();
        let complete = complete_to(
            &self.memory.record(shard, self.stream.hours),
            LANES[lane],
            &self.stored.records(self.stream.hours),
        )
        .unwrap_or(0);
        let Some(mark) = self.memory.mark(shard, lane) else {
            return;
        };
        if std::mem::take(&mut mark.latest)
            && let Some(&last) = self.stream.shards[usize::from(shard)].records.last()
        {
            mark.place = Place::After(last);
        }
        let mut found = self.stream.read(shard, mark.place);
        if matches!(found, Found::Trimmed) {
            if age_gap(complete, now).is_some() {
                mark.gap = true;
                return;
            }
            found = match self.stream.read(shard, Place::Beginning) {
                Found::Trimmed => Found::End,
                found => found,
            };
        }
        if rules.age_after_read && age_gap(complete, now).is_some() {
            mark.gap = true;
            return;
        }
        match found {
            Found::Records(records) => {
                let newest = records[records.len() - 1];
                let (_, written) = self.stream.log[usize::from(newest) - 1];
                mark.place = Place::After(newest);
                mark.complete = mark.complete.max(Some(written));
                if rules.write_first {
                    let apply = |sequence: &u8| self.lanes[lane].apply(&self.stream, *sequence);
                    records.iter().for_each(apply);
                } else {
                    self.lanes[lane].owed.extend(records);
                }
            }
            Found::Empty { ending: true } if !rules.null_iterator => mark.place = Place::End,
            Found::Empty { .. } => mark.complete = Some(self.stream.now),
            Found::End | Found::Trimmed => mark.place = Place::End,
        }
    }

    fn save(&mut self, shard: u8) {
        self.stored.shards.insert(shard, self.memory.shards[&shard]);
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.memory = self.stored.clone();
        self.started.clear();
        self.seen_off = false;
        self.lanes.iter_mut().for_each(|lane| lane.owed.clear());
    }

    fn drained_without_gap(&self) -> bool {
        self.drained() && (0..2).all(|lane| !self.memory.gap(lane))
    }

    /// Every lane is complete up to the step before, and knows all shards.
    fn kept_up(&self) -> bool {
        let recorded = self.stored.records(self.stream.hours);
        let known = self.stream.shards.len() == self.stored.shards.len() + self.stored.history.len();
        let since = self.stream.hours.ms(self.stream.now.saturating_sub(1));
        known
            && LANES
                .iter()
                .all(|lane| watermark(&recorded, lane).is_none_or(|to| to >= since))
    }
}

impl Lineage {
    fn through(&self, state: &State) -> bool {
        let written = state.stream.log.len() > usize::from(self.bounds.writes);
        written && state.crashes == self.bounds.crashes && state.drained_without_gap()
    }
}

impl Model for Lineage {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut state = State {
            stream: Stream::new(self.bounds.hours),
            memory: Tail::default(),
            stored: Tail::default(),
            started: Vec::new(),
            lanes: Default::default(),
            seen_off: false,
            crashes: 0,
            prompt: self.bounds.prompt,
            inherits: self.rules.heirs,
        };
        let first = if self.bounds.late_lane {
            1
        } else {
            self.bounds.lanes
        };
        (0..first).for_each(|lane| state.capture(self.rules, lane));
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        let Bounds {
            writes,
            shards,
            time,
            crashes,
            old_worker,
            prompt,
            ..
        } = self.bounds;
        let stream = &state.stream;
        if stream.enabled {
            if stream.log.len() <= usize::from(writes) {
                actions.push(Step::Write(0));
                // The keys are alike until one was written.
                actions.extend((stream.log.len() > 1).then_some(Step::Write(1)));
            }
            for (index, shard) in (0u8..)
                .zip(&stream.shards)
                .filter(|(_, shard)| shard.closed.is_none())
            {
                let room = usize::from(shards) - stream.shards.len();
                actions.extend((room >= 1).then_some(Step::Roll(index)));
                actions.extend((room >= 2 && shard.keys == BOTH).then_some(Step::Split(index)));
            }
            actions.push(Step::Disable);
        }
        if stream.now < time && (!prompt || state.kept_up()) {
            actions.push(Step::Wait);
        }
        actions.push(Step::Discover);
        if old_worker && state.lanes[1].captured.is_some() {
            actions.push(Step::DiscoverOld);
        }
        for lane in 0..self.bounds.lanes {
            if state.lanes[lane].captured.is_none() && stream.enabled {
                actions.push(Step::Capture(lane));
            }
            if !state.lanes[lane].owed.is_empty() {
                actions.push(Step::Apply(lane));
            }
        }
        for (&shard, record) in &state.memory.shards {
            for (lane, mark) in record.lanes.iter().enumerate() {
                if mark.as_ref().is_some_and(|mark| !mark.done()) {
                    actions.push(Step::Read(shard, lane, true));
                    if state.crashes < crashes {
                        actions.push(Step::Read(shard, lane, false));
                    }
                    // Only where it may be long until it reads.
                    if stream.now < time && !state.started.contains(&(shard, lane)) {
                        actions.push(Step::Start(shard, lane));
                    }
                }
            }
            if state.stored.shards[&shard] != *record {
                actions.push(Step::Save(shard));
            }
        }
        if state.crashes < crashes {
            actions.push(Step::Crash);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Write(key) => next.stream.write(key),
            Step::Roll(shard) => {
                let keys = next.stream.shards[usize::from(shard)].keys;
                next.stream.close(shard, &[keys]);
            }
            Step::Split(shard) => next.stream.close(shard, &[0b01, 0b10]),
            Step::Disable => next.stream.disable(),
            Step::Wait => next.stream.wait(),
            Step::Capture(lane) => next.capture(self.rules, lane),
            Step::Discover => next.discover(self.rules, &[0, 1]),
            Step::DiscoverOld => next.discover(self.rules, &[0]),
            Step::Start(shard, lane) => return next.start(self.rules, shard, lane).then_some(next),
            Step::Read(shard, lane, saved) => {
                if !state.started.contains(&(shard, lane)) && !next.start(self.rules, shard, lane) {
                    return None;
                }
                if next.started.contains(&(shard, lane)) {
                    next.read(self.rules, shard, lane);
                }
                if saved {
                    next.save(shard);
                }
            }
            Step::Apply(lane) => {
                let sequence = next.lanes[lane].owed.remove(0);
                next.lanes[lane].apply(&state.stream, sequence);
            }
            Step::Save(shard) => next.save(shard),
            Step::Crash => next.crash(),
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let Bounds {
            shards,
            time,
            crashes,
            late_lane,
            prompt,
            ..
        } = self.bounds;
        let mut properties = promise();
        let mut sometimes = |name, holds: fn(&Self, &State) -> bool| {
            properties.push(Property::<Self>::sometimes(name, holds));
        };
        sometimes("drained after every record and every crash", Self::through);
        sometimes("drained after a shard rolled", |_, state| {
            state.drained_without_gap() && state.stream.has_children(1)
        });
        if shards > 3 {
            sometimes("drained after a shard was split", |_, state| {
                state.drained_without_gap() && state.stream.has_children(2)
            });
        }
        if shards > 3 && crashes > 0 {
            sometimes("drained after a split and a crash", |model, state| {
                model.through(state) && state.stream.has_children(2)
            });
        }
        if time > 0 && !prompt {
            sometimes("drained with a gap", |_, state| {
                state.drained() && state.memory.gap(0)
            });
        }
        if late_lane {
            sometimes("drained after a late capture", |_, state| {
                state.drained_without_gap() && state.lanes[1].captured.is_some_and(|records| records > 1)
            });
        }
        properties
    }
}

//! The steps: renewals, writes, requests without an answer, and time.

use super::clock::{ATTEMPT, LEASE, MARGIN, OLDEST, is_free, may_write};
use super::target::{Held, RECORDS, Target};
use super::{Bounds, Rules};
use crate::proof::{Judged, promise};
use stateright::{Model, Property};
use std::fmt;

#[derive(Debug)]
pub struct Leases {
    rules: Rules,
    bounds: Bounds,
    target: Target,
    /// By age.
    free: Vec<bool>,
    /// By age on the steady clock, then on the wall's.
    valid: Vec<Vec<bool>>,
}

/// How long ago, on a worker's two clocks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Age {
    steady: u8,
    wall: u8,
}

/// A write under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Write {
    /// The lease was asked so long ago; nothing is sent yet.
    Checked { record: u8, age: u8 },
    /// On the wire.
    Sent { record: u8, age: u8, landed: bool },
}

/// A save under way: a renewal, or a take-over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Save {
    place: u8,
    age: Age,
    /// Whether it landed, once the state table has seen it.
    landed: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Worker {
    /// It believes to hold the lease: when the last renewal was sent.
    renewed: Option<Age>,
    /// The revision that it knows is the stored one.
    current: bool,
    /// For how long it has seen that revision unchanged, while somebody else holds the lease.
    seen_for: Option<u8>,
    /// Records that are done, in memory.
    place: u8,
    write: Option<Write>,
    /// An attempt of this write got no answer, and may land for so long.
    unanswered: u8,
    save: Option<Save>,
    asleep: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    workers: [Worker; 2],
    owner: usize,
    /// The checkpoint.
    place: u8,
    held: Held,
    /// Records whose writes were decided by the target, a bit each.
    decided: u8,
    /// Requests that nobody waits for: whose, which record's, and for how long they may land.
    ghosts: Vec<(usize, u8, u8)>,
    given_up: u8,
    lost_saves: u8,
    sleeps: u8,
    /// The first thing that must not happen, and did.
    broken: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Look(usize),
    Take(usize),
    Save(usize),
    SaveLands(usize),
    SaveAnswered(usize),
    SaveLost(usize),
    Check(usize),
    Send(usize),
    Lands(usize),
    Answered(usize),
    GivenUp(usize),
    GhostLands(usize),
    Sleep,
    Wake,
    Tick,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |worker: &usize| ["A", "B"][*worker];
        match self {
            Self::Look(w) => write!(f, "{} looks at the lease, which is another's", name(w)),
            Self::Take(w) => write!(
                f,
                "{} finds the lease free, and sends the save that takes it",
                name(w)
            ),
            Self::Save(w) => write!(f, "{} sends a save, which renews its lease", name(w)),
            Self::SaveLands(w) => write!(f, "{}'s save reaches the state table", name(w)),
            Self::SaveAnswered(w) => write!(f, "{} gets the answer to its save", name(w)),
            Self::SaveLost(w) => write!(f, "the answer to {}'s save is lost", name(w)),
            Self::Check(w) => write!(f, "{} asks whether it may write, and may", name(w)),
            Self::Send(w) => write!(f, "{} sends the write", name(w)),
            Self::Lands(w) => write!(f, "{}'s write lands, or is refused by its guard", name(w)),
            Self::Answered(w) => write!(f, "{} gets the answer to its write", name(w)),
            Self::GivenUp(w) => write!(f, "{} gives its write up, without an answer", name(w)),
            Self::GhostLands(_) => write!(f, "a write that was given up lands, or is refused by its guard"),
            Self::Sleep => write!(f, "A's machine falls asleep"),
            Self::Wake => write!(f, "A's machine wakes up"),
            Self::Tick => write!(f, "five seconds pass"),
        }
    }
}

impl Judged for State {
    fn drained(&self) -> bool {
        let quiet = |worker: &Worker| worker.write.is_none() && worker.save.is_none();
        let drained = self.place == RECORDS && self.ghosts.is_empty() && self.workers.iter().all(quiet);
        drained || self.broken.is_some()
    }

    fn exact(&self) -> bool {
        self.broken.is_none() && !self.held.is_item()
    }
}

impl Age {
    fn tick(&mut self, asleep: bool) {
        self.wall = (self.wall + 1).min(OLDEST);
        if !asleep {
            self.steady = (self.steady + 1).min(OLDEST);
        }
    }
}

impl Worker {
    fn tick(&mut self) {
        let asleep = self.asleep;
        self.renewed.iter_mut().for_each(|age| age.tick(asleep));
        self.save.iter_mut().for_each(|save| save.age.tick(asleep));
        if asleep {
            return;
        }
        self.seen_for = self.seen_for.map(|seen| (seen + 1).min(OLDEST));
        self.unanswered = self.unanswered.saturating_sub(1);
        if let Some(Write::Checked { age, .. } | Write::Sent { age, .. }) = &mut self.write {
            *age += 1;
        }
    }
}

/// Sometimes: drained by the second worker, after all troubles that the bounds allow.
const THROUGH: &str = "drained by another worker, after every trouble";

impl Leases {
    fn through(&self, state: &State) -> bool {
        let spent = (state.given_up, state.lost_saves, state.sleeps);
        let Bounds {
            given_up,
            lost_saves,
            sleeps,
            ..
        } = self.bounds;
        state.broken.is_none() && state.owner == 1 && spent == (given_up, lost_saves, sleeps)
    }

    pub fn new(rules: Rules, bounds: Bounds) -> Self {
        Self {
            rules,
            bounds,
            target: Target::new(bounds.mode, bounds.bury, rules),
            free: (0..=OLDEST).map(|age| is_free(age, rules)).collect(),
            valid: (0..=OLDEST)
                .map(|steady| {
                    (0..=OLDEST)
                        .map(|wall| wall >= steady && may_write(steady, wall, rules))
                        .collect()
                })
                .collect(),
        }
    }

    fn may_write(&self, worker: &Worker) -> bool {
        worker
            .renewed
            .is_some_and(|age| self.valid[usize::from(age.steady)][usize::from(age.wall)])
    }

    fn breaks(&self, state: &mut State, what: &'static str) {
        if !self.bounds.outcome_only {
            state.broken.get_or_insert(what);
        }
    }

    /// A write reaches the target.
    fn land(&self, state: &mut State, by: usize, record: u8) {
        if state.owner != by {
            self.breaks(state, "a write landed after another worker took the lease");
        }
        state.held = self.target.land(record, state.held);
        state.decided |= 1 << record;
    }

    fn save_lands(&self, state: &mut State, worker: usize) {
        let Some(mut save) = state.workers[worker].save else {
            return;
        };
        let lands = state.workers[worker].current || !self.rules.compare_and_set;
        save.landed = Some(lands);
        state.workers[worker].save = Some(save);
        if !lands {
            return;
        }
        if save.place < state.place {
            self.breaks(state, "a checkpoint moved back");
        }
        if (0..save.place).any(|record| state.decided & (1 << record) == 0) {
            self.breaks(state, "a checkpoint covers a write that is not durable");
        }
        state.place = save.place;
        state.owner = worker;
        // The revision moved on for everybody; the one who saved learns of it by the answer.
        for each in &mut state.workers {
            each.current = false;
            each.seen_for = None;
        }
    }

    fn save_answered(&self, state: &mut State, worker: usize) {
        let owner = state.owner == worker;
        let other = state.workers[1 - worker];
        let this = &mut state.workers[worker];
        let Some(save) = this.save.take() else { return };
        if save.landed == Some(true) {
            let age = if self.rules.from_sent {
                save.age
            } else {
                Age::default()
            };
            if this.renewed.is_none() {
                this.place = save.place;
            }
            this.renewed = Some(age);
            this.current = owner;
        } else if owner && this.renewed.is_some() {
            // A save of its own had landed, and its answer was lost.
            this.current = true;
        } else {
            this.renewed = None;
        }
        if self.may_write(&state.workers[worker]) && self.may_write(&other) {
            self.breaks(state, "two workers believe that they may write");
        }
    }

    fn given_up(&self, state: &mut State, worker: usize) {
        let this = &mut state.workers[worker];
        let Some(Write::Sent { record, landed, .. }) = this.write.take() else {
            return;
        };
        this.unanswered = MARGIN + 1;
        state.given_up += 1;
        if !landed {
            state.ghosts.push((worker, record, MARGIN));
            state.ghosts.sort_unstable();
        }
    }

    fn tick(state: &mut State) {
        state.workers.iter_mut().for_each(Worker::tick);
        state.ghosts.retain_mut(|(_, _, left)| {
            let may = *left > 0;
            *left = left.saturating_sub(1);
            may
        });
    }

    /// No request takes longer than it may (a save, at most a lease time), and nobody stands still for longer than these bounds say.
    fn may_tick(&self, state: &State) -> bool {
        let slow = |save: Save| save.age.wall >= LEASE && !state.workers[0].asleep;
        if state.workers.iter().any(|worker| worker.save.is_some_and(slow)) {
            return false;
        }
        state.workers.iter().all(|worker| match worker.write {
            Some(Write::Checked { age, .. }) => age < self.bounds.pause,
            Some(Write::Sent { age, landed, .. }) => age < ATTEMPT || landed && worker.unanswered > 0,
            None => true,
        })
    }

    fn own_actions(&self, state: &State, number: usize, actions: &mut Vec<Step>) {
        let worker = &state.workers[number];
        if worker.asleep {
            return;
        }
        match worker.save {
            None if worker.renewed.is_some() => actions.push(Step::Save(number)),
            None if worker.write.is_none() => match worker.seen_for {
                None => actions.push(Step::Look(number)),
                Some(seen) => actions.extend(self.free[usize::from(seen)].then_some(Step::Take(number))),
            },
            None => {}
            Some(Save { landed: None, .. }) => actions.push(Step::SaveLands(number)),
            Some(_) => {
                actions.push(Step::SaveAnswered(number));
                if state.lost_saves < self.bounds.lost_saves {
                    actions.push(Step::SaveLost(number));
                }
            }
        }
        match worker.write {
            None if worker.place < RECORDS && self.may_write(worker) => actions.push(Step::Check(number)),
            None => {}
            Some(Write::Checked { .. }) => actions.push(Step::Send(number)),
            Some(Write::Sent { landed, age, .. }) => {
                if !landed {
                    actions.push(Step::Lands(number));
                } else if !self.rules.unanswered || worker.unanswered == 0 {
                    actions.push(Step::Answered(number));
                }
                if age >= ATTEMPT && state.given_up < self.bounds.given_up {
                    actions.push(Step::GivenUp(number));
                }
            }
        }
    }
}

impl Model for Leases {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let first = Worker {
            renewed: Some(Age::default()),
            current: true,
            ..Worker::default()
        };
        vec![State {
            workers: [first, Worker::default()],
            owner: 0,
            place: 0,
            held: Held::Nothing,
            decided: 0,
            ghosts: Vec::new(),
            given_up: 0,
            lost_saves: 0,
            sleeps: 0,
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        if state.broken.is_some() {
            return;
        }
        (0..2).for_each(|worker| self.own_actions(state, worker, actions));
        actions.extend((0..state.ghosts.len()).map(Step::GhostLands));
        let first = &state.workers[0];
        if first.asleep {
            actions.push(Step::Wake);
        } else if state.sleeps < self.bounds.sleeps && first.write.is_none() {
            actions.push(Step::Sleep);
        }
        if self.may_tick(state) {
            actions.push(Step::Tick);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Look(w) => {
                next.workers[w].seen_for = Some(0);
                next.workers[w].current = true;
            }
            Step::Take(w) | Step::Save(w) => {
                let takes = matches!(step, Step::Take(_));
                next.workers[w].save = Some(Save {
                    place: if takes {
                        state.place
                    } else {
                        state.workers[w].place
                    },
                    age: Age::default(),
                    landed: None,
                });
                if !self.bounds.slow_saves || w == 1 {
                    self.save_lands(&mut next, w);
                    self.save_answered(&mut next, w);
                }
            }
            Step::SaveLands(w) => self.save_lands(&mut next, w),
            Step::SaveAnswered(w) => self.save_answered(&mut next, w),
            Step::SaveLost(w) => {
                next.workers[w].save = None;
                next.lost_saves += 1;
            }
            Step::Check(w) => {
                let record = state.workers[w].place;
                next.workers[w].write = Some(Write::Checked { record, age: 0 });
                next.workers[w].place += u8::from(!self.rules.write_first);
            }
            Step::Send(w) => {
                if let Some(Write::Checked { record, .. }) = state.workers[w].write {
                    next.workers[w].write = Some(Write::Sent {
                        record,
                        age: 0,
                        landed: false,
                    });
                }
            }
            Step::Lands(w) => {
                if let Some(Write::Sent { record, age, .. }) = state.workers[w].write {
                    next.workers[w].write = Some(Write::Sent {
                        record,
                        age,
                        landed: true,
                    });
                    self.land(&mut next, w, record);
                }
            }
            Step::Answered(w) => {
                next.workers[w].write = None;
                next.workers[w].place += u8::from(self.rules.write_first);
            }
            Step::GivenUp(w) => self.given_up(&mut next, w),
            Step::GhostLands(ghost) => {
                let (by, record, _) = next.ghosts.remove(ghost);
                self.land(&mut next, by, record);
            }
            Step::Sleep => {
                next.workers[0].asleep = true;
                next.sleeps += 1;
            }
            Step::Wake => next.workers[0].asleep = false,
            Step::Tick => Self::tick(&mut next),
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        properties.push(Property::<Self>::sometimes(THROUGH, |model, state| {
            state.drained() && model.through(state)
        }));
        properties
    }
}

const _: () = assert!(OLDEST > LEASE + ATTEMPT + MARGIN);

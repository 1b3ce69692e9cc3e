//! The tail: one worker, whose lanes take records, write through its gate, and move their checkpoints.

use crate::action::Action;
use crate::bounds::large;
use crate::held::Held;
use crate::image::Image;
use crate::product::Next;
use crate::rule::Rule;
use crate::script::Answer;
use crate::split::{SERVICES, Split};
use crate::state::{Attempt, Entry, Lane, State, UNCAPTURED, Worker};
use dynasplit::state::Phases;
use dynasplit::target::Attempts;

impl Worker {
    /// A worker that starts under a switch.
    pub fn new(now: Phases) -> Self {
        Self {
            alive: true,
            acknowledged: small(now.epoch),
            attempts: Attempts::new(now),
        }
    }
}

/// An epoch as states hold it.
pub fn small(epoch: u64) -> u8 {
    u8::try_from(epoch).unwrap()
}

impl Split {
    /// What the tail can do now.
    pub fn tail_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut under_way = false;
        for lane in 0..self.lane_count() {
            let found = &state.lanes[usize::from(lane)];
            under_way |= found.ghost.is_some() || found.late.is_some();
            self.lane_actions(state, lane, found, actions);
        }
        let waits = self.rules.hold(Rule::Gone);
        if !state.worker.alive {
            if !(under_way && waits) {
                actions.push(Action::TailStarts);
            }
            return;
        }
        if state.spent.tail < self.bounds.tail_deaths {
            let furthest = (0..self.lane_count()).map(|lane| match state.lanes[usize::from(lane)] {
                Lane { at: UNCAPTURED, .. } => 0,
                Lane { at, to, .. } => at.max(to),
            });
            let furthest = furthest.max().unwrap_or(0);
            // Between a checkpoint that is up to date and none at all; what lies between only with larger bounds.
            let some = (0..=furthest).filter(|back| large() || *back == 0 || *back == furthest);
            actions.extend(some.map(|back| Action::TailDies { back }));
        }
        let mut attempts = state.worker.attempts.clone();
        attempts.switch(state.switch.phases());
        let acknowledged = self.acknowledges(&attempts, state.switch.epoch());
        if attempts != state.worker.attempts || acknowledged != state.worker.acknowledged {
            actions.push(Action::Beats { epoch: acknowledged });
        }
    }

    fn acknowledges(&self, attempts: &Attempts, epoch: u64) -> u8 {
        if self.rules.hold(Rule::Inside) {
            small(attempts.acknowledged())
        } else {
            small(epoch)
        }
    }

    fn lane_actions(&self, state: &State, lane: u8, found: &Lane, actions: &mut Vec<Action>) {
        let alive = state.worker.alive;
        if let Some(attempt) = found.flying {
            let (held, answer) = self.would_land(state, lane, attempt);
            actions.push(Action::Lands {
                lane,
                write: attempt.write,
                held,
                lands: matches!(answer, Answer::Written | Answer::TombstoneWritten),
            });
            if found.late.is_none() && state.spent.unanswered < self.bounds.unanswered {
                actions.push(Action::GivesUp { lane });
            }
        }
        if let Some(attempt) = found.ghost {
            let (held, answer) = self.would_land(state, lane, attempt);
            actions.push(Action::DeadLands {
                lane,
                write: attempt.write,
                held,
                lands: matches!(answer, Answer::Written | Answer::TombstoneWritten),
            });
            actions.push(Action::DeadVanishes { lane });
        }
        if let Some(attempt) = found.late {
            let (held, answer) = self.would_land(state, lane, attempt);
            actions.push(Action::LateLands {
                lane,
                write: attempt.write,
                held,
                lands: matches!(answer, Answer::Written | Answer::TombstoneWritten),
            });
            actions.push(Action::Vanishes { lane });
        }
        if found.listing.is_some() && alive {
            actions.push(Action::Lists { lane });
        }
        let waits = found.late.is_some() && self.rules.hold(Rule::Unanswered);
        if alive
            && found.to > 0
            && found.flying.is_none()
            && found.listing.is_none()
            && !waits
            && self.admits(state, lane)
        {
            actions.push(Action::Resumes { lane });
        }
        if alive && found.to == 0 && found.at != UNCAPTURED && !waits && self.admits(state, lane) {
            let (item, _) = self.lane(lane);
            let left = state.sources[usize::from(item)].writes - found.at;
            actions.extend((1..=left.min(self.bounds.batch)).map(|count| Action::Takes { lane, count }));
        }
    }

    /// What the target would make of an attempt.
    pub fn would_land(&self, state: &State, lane: u8, attempt: Attempt) -> (Held, Answer) {
        let (_, service) = self.lane(lane);
        let cell = self.product.cell_of(service, attempt.write);
        let held = state.cells[usize::from(cell)];
        self.product
            .land(service, attempt.write, attempt.buries(), held, state.table_fixed)
    }

    /// Whether an attempt of a lane may begin.
    fn admits(&self, state: &State, lane: u8) -> bool {
        let service = self.service(lane);
        !self.rules.hold(Rule::BulkHolds) || state.worker.attempts.clone().admit(service).is_some()
    }

    /// An attempt of a lane enters the gate, unless the lane is held.
    fn enter(&self, state: &mut State, lane: u8, write: crate::held::WriteId) -> Option<Attempt> {
        let service = self.service(lane);
        let attempts = &mut state.worker.attempts;
        let now = if self.rules.hold(Rule::BulkHolds) {
            attempts.admit(service)?
        } else {
            attempts.enter();
            attempts.of(service)
        };
        Some(Attempt {
            write,
            bury: now.leaves_tombstones() && self.rules.hold(Rule::Tombstones),
            epoch: small(now.epoch),
        })
    }

    fn service(&self, lane: u8) -> &'static str {
        SERVICES[usize::from(self.lane(lane).1)]
    }

    /// A lane takes a batch.
    pub fn takes(&self, state: &mut State, lane: u8, count: u8) {
        let found = &mut state.lanes[usize::from(lane)];
        found.to = found.at + count;
        found.answers = 0;
        self.proceeds(state, lane);
    }

    /// A lane makes its next request, or is done with its batch.
    pub fn proceeds(&self, state: &mut State, lane: u8) {
        let (item, service) = self.lane(lane);
        loop {
            let found = state.lanes[usize::from(lane)];
            let records = state.records(item, service, found.at, found.to - found.at);
            match self.product.next(&records, found.answers) {
                Next::Write(write) => {
                    let attempt = self.enter(state, lane, write);
                    state.lanes[usize::from(lane)].flying = attempt;
                    return;
                }
                Next::List if !self.rules.hold(Rule::ListedFirst) => {
                    state.lanes[usize::from(lane)].owes = true;
                }
                Next::List => {
                    if self.begins_listing(state, lane) {
                        return;
                    }
                }
                Next::DeadLetter => {
                    let last = records.images[usize::from(records.count)];
                    state.dead_letters[usize::from(lane)] = Entry {
                        there: true,
                        fresh: true,
                        epoch: 0,
                        suspects: self.product.touched(&records),
                        image: last,
                    };
                }
                Next::Done if found.owes && self.begins_listing(state, lane) => return,
                Next::Done => {
                    state.lanes[usize::from(lane)].owes = false;
                    let found = &mut state.lanes[usize::from(lane)];
                    (found.at, found.to, found.answers) = (found.to, 0, 0);
                    return;
                }
            }
            let found = &mut state.lanes[usize::from(lane)];
            found.answers = Answer::Kept.after(found.answers);
        }
    }

    /// An entry of the recheck list enters the gate, where one is needed.
    fn begins_listing(&self, state: &mut State, lane: u8) -> bool {
        let epoch = state.worker.attempts.enter();
        let now = state.worker.attempts.of(self.service(lane));
        if now.leaves_tombstones() && self.rules.hold(Rule::Listed) {
            state.lanes[usize::from(lane)].listing = Some(small(epoch));
            return true;
        }
        state.worker.attempts.leave(epoch);
        false
    }

    /// The lane's write lands, and is answered.
    pub fn lands(&self, state: &mut State, lane: u8) {
        let (_, service) = self.lane(lane);
        let Some(attempt) = state.lanes[usize::from(lane)].flying.take() else {
            return;
        };
        let (held, answer) = self.would_land(state, lane, attempt);
        let cell = self.product.cell_of(service, attempt.write);
        state.cells[usize::from(cell)] = held;
        state.worker.attempts.leave(attempt.epoch.into());
        let found = &mut state.lanes[usize::from(lane)];
        found.answers = answer.after(found.answers);
        if found.late.is_none() || !self.rules.hold(Rule::Unanswered) {
            self.proceeds(state, lane);
        }
    }

    /// The lane gives its write up without an answer, and makes it again.
    pub fn gives_up(&self, state: &mut State, lane: u8) {
        let found = &mut state.lanes[usize::from(lane)];
        let Some(attempt) = found.flying else { return };
        found.late = Some(attempt);
        state.spent.unanswered += 1;
        if !self.rules.hold(Rule::Unanswered) {
            state.worker.attempts.leave(attempt.epoch.into());
        }
        let again = self.enter(state, lane, attempt.write);
        state.lanes[usize::from(lane)].flying = again;
    }

    /// What was given up lands, or never does.
    pub fn late(&self, state: &mut State, lane: u8, lands: bool) {
        let (_, service) = self.lane(lane);
        let Some(attempt) = state.lanes[usize::from(lane)].late.take() else {
            return;
        };
        if lands {
            let (held, _) = self.would_land(state, lane, attempt);
            let cell = self.product.cell_of(service, attempt.write);
            state.cells[usize::from(cell)] = held;
        }
        if state.worker.alive && self.rules.hold(Rule::Unanswered) {
            state.worker.attempts.leave(attempt.epoch.into());
            let found = &state.lanes[usize::from(lane)];
            if found.to > 0 && found.flying.is_none() && found.listing.is_none() {
                self.proceeds(state, lane);
            }
        }
    }

    /// What a dead worker had under way lands, or never does.
    pub fn dead(&self, state: &mut State, lane: u8, lands: bool) {
        let (_, service) = self.lane(lane);
        let Some(attempt) = state.lanes[usize::from(lane)].ghost.take() else {
            return;
        };
        if lands {
            let (held, _) = self.would_land(state, lane, attempt);
            let cell = self.product.cell_of(service, attempt.write);
            state.cells[usize::from(cell)] = held;
        }
    }

    /// The entry of the recheck list is durable.
    pub fn lists(&self, state: &mut State, lane: u8) {
        let (item, service) = self.lane(lane);
        let found = &mut state.lanes[usize::from(lane)];
        let Some(epoch) = found.listing.take() else {
            return;
        };
        if !std::mem::take(&mut found.owes) {
            found.answers = Answer::Kept.after(found.answers);
        }
        let (at, to) = (found.at, found.to);
        let records = state.records(item, service, at, to - at);
        let suspects = if self.rules.hold(Rule::Suspects) {
            self.product.touched(&records)
        } else {
            0
        };
        let entry = &mut state.rechecks[usize::from(lane)];
        *entry = Entry {
            there: true,
            fresh: true,
            epoch,
            suspects: if entry.there { entry.suspects } else { 0 } | suspects,
            image: Image::NONE,
        };
        state.worker.attempts.leave(epoch.into());
        self.proceeds(state, lane);
    }

    /// The worker dies; its lanes begin again at an earlier place.
    pub fn tail_dies(&self, state: &mut State, back: u8) {
        state.spent.tail += 1;
        state.worker = Worker {
            alive: false,
            acknowledged: state.worker.acknowledged,
            ..Worker::new(Phases::default())
        };
        for lane in &mut state.lanes[..usize::from(self.lane_count())] {
            if lane.at == UNCAPTURED {
                continue;
            }
            let furthest = if self.rules.hold(Rule::CheckpointLast) {
                lane.at
            } else {
                lane.at.max(lane.to)
            };
            lane.at = furthest.saturating_sub(back).max(lane.from);
            (lane.to, lane.answers, lane.listing, lane.owes) = (0, 0, None, false);
            lane.ghost = lane.flying.take();
        }
    }

    /// Another worker takes the place of a dead one.
    pub fn tail_starts(&self, state: &mut State) {
        state.worker = Worker::new(state.switch.phases());
        // Only where nothing is waited for: what is left of two requests is then one.
        for lane in &mut state.lanes {
            lane.ghost = lane.ghost.or(lane.late.take());
        }
    }

    /// The worker reads the switch.
    pub fn beats(&self, state: &mut State) {
        state.worker.attempts.switch(state.switch.phases());
        state.worker.acknowledged = self.acknowledges(&state.worker.attempts, state.switch.epoch());
    }
}

//! The steps: applications, lanes, the watcher, and the operator's commands.

use super::state::{
    Bounds, Fence, Forward, GIVEN, Letter, MADE_HERE, Mark, Phase, Record, Reverse, ReverseKind, Source,
    State, Stray, Target,
};
use super::step::Step;
use super::world::{Decided, World};
use super::{Rule, Rules};
use crate::proof::promise;
use stateright::{Model, Property};

/// What the item is at first, and may be again: a state that comes back must not be taken for the earlier one.
const FIRST: u8 = 1;

#[derive(Debug)]
pub struct Cutover {
    pub rules: Rules,
    pub bounds: Bounds,
    world: World,
}

impl Cutover {
    pub fn new(rules: Rules, bounds: Bounds) -> Self {
        let world = World::new();
        Self { rules, bounds, world }
    }

    fn app_may_write(state: &State) -> bool {
        let fence = if state.app_at_target {
            state.target_fence
        } else {
            state.source_fence
        };
        fence != Fence::On
    }

    /// A write of the application, or a stray one, in the source. A put replaces the item with its mark; an update keeps it.
    fn write_source(state: &mut State, own: Option<u8>, is_update: bool) {
        let kept = state.source;
        let new = own.map(|own| match kept {
            Some(kept) if is_update => Source { own, ..kept },
            kept => Source {
                own,
                dropped: kept.map_or(MADE_HERE, |kept| kept.dropped),
                mark: None,
                deleting: false,
            },
        });
        state.set_source(new);
    }

    fn write(state: &mut State, own: Option<u8>) {
        if state.app_at_target {
            state.set_target(own.map(|own| Target { own, stamp: 0 }));
        } else {
            Self::write_source(state, own, false);
        }
        let made = if state.app_at_target { GIVEN } else { MADE_HERE };
        let dropped = state.truth.map_or(made, |truth| truth.1);
        state.truth = own.map(|own| (own, dropped));
    }

    fn stray(state: &mut State, own: Option<u8>, is_update: bool) {
        if own == state.source.map(|source| source.own) {
            return;
        }
        Self::write_source(state, own, is_update);
        state.stray = Some(Stray {
            left: own,
            late: state.phase == Phase::PinnedBack,
        });
    }

    fn forward_sends(state: &mut State) {
        let lane = &mut state.forward;
        let record = state.source_stream[usize::from(lane.place)];
        lane.place += 1;
        let (old, new) = (record.old.map(|old| old.own), record.new.map(|new| new.own));
        if old != new {
            // The checkpoint moves when the write is answered.
            lane.place -= 1;
            lane.request = Some(Forward {
                record: lane.place + 1,
                own: new,
            });
        }
    }

    fn forward_lands(state: &mut State, request: Forward) {
        // `sequence` mode: over nothing, over what has no stamp, and over what is not newer.
        if state.target.is_none_or(|held| held.stamp <= request.record) {
            let stamp = request.record;
            state.set_target(request.own.map(|own| Target { own, stamp }));
            if request.own.is_none() {
                // A tombstone stops the page.
                state.page = None;
            }
        }
    }

    fn copies(&self, state: &mut State) {
        let record = state.source_stream[usize::from(state.copier)];
        state.copier += 1;
        let is_marked = record.new.is_some_and(|new| new.mark.is_some());
        // An item with a reserved attribute is a dead letter, and what it was goes away.
        let is_taken = !is_marked || self.rules.hold(Rule::Stripped);
        state.copy = record.new.filter(|_| is_taken).map(|new| new.own);
    }

    /// What is to be done about a record, as the product decides it; without a rule, as the lane would do it then.
    fn decide(&self, state: &State, record: Record<u8>, mark: Mark) -> Decided {
        let decided = self.world.decide(record, mark, state.source);
        let forced = match (record.new, state.source) {
            (Some(own), Some(_)) => ReverseKind::Update(own),
            (Some(own), None) => ReverseKind::Create(own),
            (None, Some(_)) => ReverseKind::MarkDeleting,
            (None, None) => return Decided::Nothing,
        };
        let kind = match decided {
            Decided::Suspect if !self.rules.hold(Rule::OldImage) => forced,
            Decided::Write(kind) => kind,
            other => return other,
        };
        Decided::Write(match kind {
            ReverseKind::MarkDeleting if !self.rules.hold(Rule::TwoSteps) => ReverseKind::Delete,
            kind => kind,
        })
    }

    fn reverse_sends(&self, state: &mut State) {
        let record = state.target_stream[usize::from(state.reverse.place)];
        let mark = Mark {
            epoch: state.epoch,
            record: state.reverse.place + 1,
        };
        match self.decide(state, record, mark) {
            Decided::Nothing => state.reverse.place += 1,
            Decided::Suspect => {
                state.reverse.place += 1;
                state.letter = Some(Letter {
                    old: state.letter.map_or(record.old, |earlier| earlier.old),
                    record: mark.record,
                    looked: false,
                });
            }
            Decided::Write(kind) => {
                state.reverse.request = Some(Reverse {
                    mark,
                    read: state.source,
                    kind,
                });
            }
        }
    }

    /// The lane is drained, and reads the target and the source again.
    fn looks_again(&self, state: &mut State) {
        let Some(letter) = state.letter else { return };
        let mark = Mark {
            epoch: state.epoch,
            record: letter.record,
        };
        let record = Record {
            old: letter.old,
            new: state.target.map(|target| target.own),
        };
        loop {
            match self.decide(state, record, mark) {
                Decided::Nothing => break,
                Decided::Suspect => {
                    state.letter = Some(Letter {
                        looked: true,
                        ..letter
                    });
                    return;
                }
                Decided::Write(kind) => {
                    let read = state.source;
                    if self.reverse_lands(state, Reverse { mark, read, kind }) {
                        break;
                    }
                }
            }
        }
        state.letter = None;
    }

    /// Whether the record is done with the answer.
    fn reverse_lands(&self, state: &mut State, request: Reverse) -> bool {
        let held = state.source;
        if held != request.read && self.rules.hold(Rule::AsRead) {
            // Refused: the lane reads it again.
            return false;
        }
        let mark = if self.rules.hold(Rule::Mark) {
            Some(request.mark)
        } else {
            held.and_then(|held| held.mark)
        };
        let item = |own: u8| Source {
            own,
            dropped: held
                .filter(|_| self.rules.hold(Rule::Owned))
                .map_or(GIVEN, |held| held.dropped),
            mark,
            deleting: false,
        };
        match request.kind {
            ReverseKind::Create(own) | ReverseKind::Update(own) => state.set_source(Some(item(own))),
            ReverseKind::MarkDeleting => {
                let marked = held.map(|held| Source {
                    mark: Some(request.mark),
                    deleting: true,
                    ..held
                });
                state.set_source(marked);
                return false;
            }
            ReverseKind::Delete => state.set_source(None),
        }
        true
    }

    fn watches(&self, state: &mut State) {
        let record = state.source_stream[usize::from(state.watcher)];
        state.watcher += 1;
        let is_ours = !self.world.is_stray(record, state.epoch);
        state.found |= !is_ours && self.rules.hold(Rule::Watched);
    }
}

impl Cutover {
    fn lanes(&self, state: &State, steps: &mut Vec<Step>) {
        let mut add = |step, may: bool| steps.extend(may.then_some(step));
        let forward = &state.forward;
        add(
            Step::ForwardSends,
            !state.closed
                && !state.forward_unpinned
                && forward.is_idle()
                && forward.place < state.source_end(),
        );
        add(Step::ForwardLands, forward.request.is_some());
        add(Step::ForwardGhost, forward.ghost.is_some());
        add(
            Step::ForwardDies,
            forward.request.is_some() && state.deaths[0] < self.bounds.deaths[0],
        );
        add(
            Step::PageReads,
            !state.closed
                && state.phase == Phase::Replicating
                && state.page.is_none()
                && state.source.is_some()
                && state.pages < self.bounds.pages,
        );
        add(Step::PageLands, state.page.is_some());
        add(Step::Copies, state.copier < state.source_end());
        let reverse = &state.reverse;
        let is_back = matches!(
            state.phase,
            Phase::Switched | Phase::FencedBack | Phase::PinnedBack
        );
        let free =
            reverse.request.is_none() && (reverse.ghost.is_none() || !self.rules.hold(Rule::ReverseLanded));
        add(
            Step::ReverseSends,
            is_back && state.pinned && free && reverse.place < state.target_end(),
        );
        add(Step::ReverseLands, reverse.request.is_some());
        add(Step::ReverseGhost, reverse.ghost.is_some());
        add(
            Step::ReverseDies,
            reverse.request.is_some() && reverse.ghost.is_none() && state.deaths[1] < self.bounds.deaths[1],
        );
        add(
            Step::ReverseDiesUnsaved,
            is_back
                && reverse.place > state.pin
                && reverse.ghost.is_none()
                && state.deaths[1] < self.bounds.deaths[1],
        );
        add(
            Step::LooksAgain,
            is_back
                && state.reverse_is_drained()
                && state.letter.is_some_and(|letter| !letter.looked)
                && state.looks_again,
        );
        add(Step::Watches, is_back && state.watcher < state.source_end());
    }
}

impl Model for Cutover {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            looks_again: self.rules.hold(Rule::LooksAgain),
            ..State::new()
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.writes < self.bounds.writes && Self::app_may_write(state) {
            steps.push(Step::Put);
            let held = if state.app_at_target {
                state.target.map(|target| target.own)
            } else {
                state.source.map(|source| source.own)
            };
            steps.extend((held != Some(FIRST)).then_some(Step::PutFirst));
            steps.extend(held.is_some().then_some(Step::Delete));
        }
        let may_stray = matches!(
            state.phase,
            Phase::Switched | Phase::FencedBack | Phase::PinnedBack
        );
        if self.bounds.strays && may_stray && state.stray.is_none() && state.writes < self.bounds.writes {
            steps.push(Step::StrayPut);
            if state.source.is_some() {
                steps.extend([Step::StrayUpdate, Step::StrayDelete]);
            }
        }
        steps.extend((state.source_fence == Fence::Set).then_some(Step::SourceFenceTakes));
        steps.extend((state.target_fence == Fence::Set).then_some(Step::TargetFenceTakes));
        self.lanes(state, steps);
        self.operator(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        let state = &mut next;
        match step {
            Step::Put | Step::PutFirst | Step::Delete => {
                state.writes += 1;
                let own = match step {
                    Step::Put => Some(state.writes),
                    Step::PutFirst => Some(FIRST),
                    _ => None,
                };
                Self::write(state, own);
            }
            Step::StrayPut | Step::StrayUpdate | Step::StrayDelete => {
                state.writes += 1;
                let own = (step != Step::StrayDelete).then_some(state.writes);
                Self::stray(state, own, step == Step::StrayUpdate);
            }
            Step::SourceFenceTakes => state.source_fence = Fence::On,
            Step::TargetFenceTakes => state.target_fence = Fence::On,
            Step::ForwardSends => Self::forward_sends(state),
            Step::ForwardLands => {
                let request = state.forward.request.take()?;
                Self::forward_lands(state, request);
                state.forward.place = request.record;
            }
            Step::ForwardDies => {
                state.deaths[0] += 1;
                state.forward.ghost = state.forward.request.take();
            }
            Step::ForwardGhost => {
                let request = state.forward.ghost.take()?;
                Self::forward_lands(state, request);
            }
            Step::PageReads => {
                state.pages += 1;
                state.page = state.source.map(|source| source.own);
            }
            Step::PageLands => {
                let own = state.page.take()?;
                if state.target.is_none() {
                    state.set_target(Some(Target { own, stamp: 0 }));
                }
            }
            Step::Copies => self.copies(state),
            Step::ReverseSends => self.reverse_sends(state),
            Step::ReverseLands => {
                let request = state.reverse.request.take()?;
                if self.reverse_lands(state, request) {
                    state.reverse.place = request.mark.record;
                }
            }
            Step::ReverseDies => {
                state.deaths[1] += 1;
                state.reverse.ghost = state.reverse.request.take();
            }
            Step::ReverseDiesUnsaved => {
                state.deaths[1] += 1;
                state.reverse.ghost = state.reverse.request.take();
                state.reverse.place = state.pin;
            }
            Step::LooksAgain => self.looks_again(state),
            Step::ReverseGhost => {
                let request = state.reverse.ghost.take()?;
                self.reverse_lands(state, request);
            }
            Step::Watches => self.watches(state),
            operator => self.operate(state, operator),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        properties.push(Property::<Self>::sometimes(
            "back, and cut over again",
            |model, state| {
                state.phase == Phase::Switched
                    && state.epoch == model.bounds.cutovers
                    && state.rollbacks == model.bounds.rollbacks
                    && state.writes == model.bounds.writes
            },
        ));
        properties
    }
}

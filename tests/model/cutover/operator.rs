//! The operator's commands: which comes next, and what it does.

use super::Rule;
use super::run::Cutover;
use super::state::{Fence, MADE_HERE, Phase, State};
use super::step::Step;

impl Cutover {
    /// Steps of the operator, in the order of the phases.
    pub fn operator(&self, state: &State, steps: &mut Vec<Step>) {
        let hold = |rule| self.rules.hold(rule);
        let proven = state.source_fence == Fence::On || !hold(Rule::FenceProven);
        let proven_back = state.target_fence == Fence::On || !hold(Rule::FenceBackProven);
        let landed = state.forward.is_idle() && state.page.is_none();
        let is_settled = state.is_settled() || !hold(Rule::StraysBlock);
        let mut add = |step, may: bool| steps.extend(may.then_some(step));
        match state.phase {
            Phase::Replicating => add(
                Step::Fence,
                state.epoch < self.bounds.cutovers && !state.forward_unpinned,
            ),
            Phase::Fenced => add(
                Step::Drained,
                proven && (state.forward_is_drained() || !hold(Rule::Drain)),
            ),
            Phase::Drained => add(Step::Close, true),
            Phase::Closing => add(Step::CloseAcknowledged, landed || !hold(Rule::CloseLanded)),
            Phase::Closed => add(
                if hold(Rule::PinEarly) {
                    Step::Pin
                } else {
                    Step::Switch
                },
                true,
            ),
            Phase::Pinned => add(Step::Switch, true),
            Phase::Switched => {
                add(Step::Pin, !state.pinned);
                add(
                    Step::FenceBack,
                    state.pinned && state.rollbacks < self.bounds.rollbacks && is_settled,
                );
            }
            Phase::FencedBack => {
                let drained = state.reverse_is_drained() || !hold(Rule::DrainBack);
                let next = if hold(Rule::PinAgainEarly) {
                    Step::PinBack
                } else {
                    Step::Unfence
                };
                add(next, proven_back && drained && is_settled);
                add(Step::CancelsRollback, !state.is_settled());
            }
            Phase::PinnedBack => {
                let watched = state.watcher >= state.watched_to || !hold(Rule::WatchedPastPin);
                add(Step::Unfence, watched && is_settled);
                add(Step::CancelsRollback, !state.is_settled());
            }
        }
        add(Step::PinsLate, state.forward_unpinned);
        let before_switch = matches!(
            state.phase,
            Phase::Fenced | Phase::Drained | Phase::Closing | Phase::Closed | Phase::Pinned
        );
        let may_cancel = before_switch || (state.phase == Phase::Switched && !hold(Rule::RollbackOnly));
        add(Step::Cancel, may_cancel && state.cancels < self.bounds.cancels);
    }

    fn pin(state: &mut State, at: u8) {
        state.reverse.place = at;
        state.pin = at;
        state.pinned = true;
    }

    pub fn operate(&self, state: &mut State, step: Step) {
        match step {
            Step::Fence => {
                state.phase = Phase::Fenced;
                state.epoch += 1;
                state.pinned = false;
                state.source_fence = Fence::Set;
                if !self.rules.hold(Rule::PinLate) {
                    Self::pin(state, state.target_end());
                }
            }
            Step::Drained => state.phase = Phase::Drained,
            Step::Close => {
                state.phase = Phase::Closing;
                state.closed = self.rules.hold(Rule::Close);
                state.watcher = state.forward.place;
            }
            Step::CloseAcknowledged => state.phase = Phase::Closed,
            Step::Pin => {
                if !state.pinned {
                    let at = if self.rules.hold(Rule::Pin) {
                        state.target_end()
                    } else {
                        0
                    };
                    Self::pin(state, at);
                }
                if state.phase == Phase::Closed {
                    state.phase = Phase::Pinned;
                }
            }
            Step::Switch => {
                state.phase = Phase::Switched;
                state.app_at_target = true;
                state.target_fence = Fence::Off;
            }
            Step::Cancel => {
                state.phase = Phase::Replicating;
                state.cancels += 1;
                state.app_at_target = false;
                state.source_fence = Fence::Off;
                state.target_fence = Fence::On;
                state.closed = false;
            }
            Step::FenceBack => {
                state.phase = Phase::FencedBack;
                state.rollbacks += 1;
                state.target_fence = Fence::Set;
            }
            Step::PinBack => {
                state.phase = Phase::PinnedBack;
                state.watched_to = state.source_end();
            }
            Step::Unfence => {
                state.forward_unpinned = state.phase == Phase::FencedBack;
                // The forward lane continues where the watcher stands.
                state.forward.place = state.watcher;
                if let Some(late) = state.stray.take_if(|stray| stray.late && !state.found) {
                    let dropped = state.source.map_or(MADE_HERE, |source| source.dropped);
                    state.truth = late.left.map(|own| (own, dropped));
                }
                state.phase = Phase::Replicating;
                state.source_fence = Fence::Off;
                state.app_at_target = false;
                state.target_fence = Fence::On;
                state.closed = false;
            }
            Step::PinsLate => {
                state.forward_unpinned = false;
                state.forward.place = state.source_end();
            }
            Step::CancelsRollback => {
                state.phase = Phase::Switched;
                state.target_fence = Fence::Off;
            }
            _ => {}
        }
    }
}

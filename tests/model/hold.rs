//! The hold of a cutover's next step, by `pause` and `resume`.
//!
//! One journal, the process that works, and an operator who puts the next step on hold at any moment, and may never resume it. Time
//! passes while the writers are stopped. Which steps wait, whether a hold is accepted, and for how long, is asked of
//! [`dynasplit::state::CutoverRecord`].

use crate::proof::{Judged, breaks, holds, promise};
use dynasplit::state::{CutoverRecord, CutoverStep, Lease, Owner, Pause};
use stateright::{Model, Property};
use std::fmt;
use std::time::Duration;

/// What `--max-pause` allows, if it is given, and the time after which nothing new happens.
const MOST: u8 = 2;
const END: u8 = 3;
/// How often the operator puts the cutover on hold.
const HOLDS: u8 = 2;

/// A rule of the hold, each of which can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// A step begins, or is kept from beginning, in one compare-and-set of the journal.
    Kept,
    /// A hold is refused if the writers are stopped and nothing would end it.
    Bounded,
    /// The process waits, and does not end.
    Waits,
    /// A hold that is longer than `--max-pause` allows cancels the cutover.
    WithinPause,
    /// A step that lifts a fence never waits.
    LiftsAnyway,
    /// What was checked before a hold is checked again.
    ReadyAgain,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Process {
    /// It does the step of the journal.
    Works,
    /// It has seen no hold, and is about to begin the next step. (Only without `Kept`.)
    Decided(Step),
    Waits,
    Ended,
}

/// A step of the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Step {
    Ready,
    Fence,
    Drain,
    Switch,
    Switched,
    CancelLift,
    Cancelled,
}

impl Step {
    fn real(self) -> CutoverStep {
        match self {
            Self::Ready => CutoverStep::Ready,
            Self::Fence => CutoverStep::Fence,
            Self::Drain => CutoverStep::Drain,
            Self::Switch => CutoverStep::Switch,
            Self::Switched => CutoverStep::Switched,
            Self::CancelLift => CutoverStep::CancelLift,
            Self::Cancelled => CutoverStep::Cancelled,
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::Ready => Some(Self::Fence),
            Self::Fence => Some(Self::Drain),
            Self::Drain => Some(Self::Switch),
            Self::Switch => Some(Self::Switched),
            Self::CancelLift => Some(Self::Cancelled),
            Self::Switched | Self::Cancelled => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    limited: bool,
    step: Step,
    hold: bool,
    process: Process,
    /// The writers can write nowhere.
    stopped: bool,
    /// For how long.
    elapsed: u8,
    holds: u8,
    /// Something changed since `ready` looked at it.
    stale: bool,
    /// A step that a hold keeps began during one.
    ignored: bool,
    /// The writers were stopped because of a check that was old.
    unchecked: bool,
    /// The hold has ended by a cancel.
    cancelled_hold: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Pause,
    Resume,
    /// The process ends its step.
    Proceed,
    Begin,
    Resumed,
    TimeOut,
    Tick,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "operator: `pause`",
            Self::Resume => "operator: `resume`",
            Self::Proceed => "cutover: the step is done, and the next one is to begin",
            Self::Begin => "cutover: begins the step that it has decided on",
            Self::Resumed => "cutover: sees that nobody holds it any more",
            Self::TimeOut => "cutover: the pause is as long as --max-pause allows, so it is cancelled",
            Self::Tick => "time passes",
        })
    }
}

struct Hold {
    without: Option<Rule>,
}

impl Hold {
    fn hold(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// The journal as the product keeps it.
    fn record(state: &State) -> CutoverRecord {
        let mut record = CutoverRecord::new("a", 0);
        record.step = state.step.real();
        record.max_pause_ms = state.limited.then_some(MOST.into());
        record.pause = state.stopped.then_some(Pause {
            from_ms: 0,
            last_write_ms: None,
            proven_ms: None,
            until_ms: None,
        });
        if state.process != Process::Ended {
            record.lease = Lease::held_by(&Owner::unique("cutover"), Duration::from_secs(1));
        }
        record
    }

    fn may_pause(&self, state: &State) -> bool {
        let allowed = Self::record(state).longest_hold_ms(state.elapsed.into());
        !state.hold && state.holds < HOLDS && (allowed.is_ok() || !self.hold(Rule::Bounded))
    }

    fn waits(&self, next: Step) -> bool {
        next.real().waits_for_resume() || !self.hold(Rule::LiftsAnyway) && next == Step::CancelLift
    }

    /// Whether the pause is over, and the cutover can still be cancelled.
    fn is_late(&self, state: &State) -> bool {
        let can_cancel = state.step.real().can_cancel() && state.step != Step::Ready;
        state.limited && state.stopped && can_cancel && state.elapsed >= MOST
    }

    fn begin(&self, state: &mut State, next: Step) {
        state.ignored |= state.hold && next.real().waits_for_resume();
        state.step = next;
        state.process = Process::Works;
        match next {
            Step::Ready => state.stale = false,
            Step::Fence => {
                state.unchecked |= state.stale;
                state.stopped = true;
            }
            // The service writes its own table, or the source again.
            Step::Switched | Step::Cancelled => {
                state.stopped = false;
                state.process = Process::Ended;
            }
            _ => {}
        }
    }
}

impl Judged for State {
    /// Nothing more happens if the operator does nothing more.
    fn drained(&self) -> bool {
        self.process == Process::Ended
            || self.process == Process::Waits && self.hold && self.elapsed == END
            || self.process == Process::Waits && self.hold && !self.stopped
    }

    fn exact(&self) -> bool {
        !self.stopped && !self.ignored && !self.unchecked
    }
}

impl Model for Hold {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let begin = |limited| State {
            limited,
            step: Step::Ready,
            hold: false,
            process: Process::Works,
            stopped: false,
            elapsed: 0,
            holds: 0,
            stale: false,
            ignored: false,
            unchecked: false,
            cancelled_hold: false,
        };
        vec![begin(false), begin(true)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut add = |action, may: bool| actions.extend(may.then_some(action));
        add(Action::Pause, self.may_pause(state));
        add(Action::Resume, state.hold);
        match state.process {
            Process::Works => {
                add(Action::Proceed, state.step.next().is_some());
                add(Action::TimeOut, self.is_late(state));
            }
            Process::Decided(_) => add(Action::Begin, true),
            Process::Waits => {
                add(Action::Resumed, !state.hold);
                add(
                    Action::TimeOut,
                    self.is_late(state) && self.hold(Rule::WithinPause),
                );
            }
            Process::Ended => {}
        }
        // A cancel is not put off: somebody who waits is woken.
        let is_due = self.is_late(state) && self.hold(Rule::WithinPause) && state.process != Process::Ended;
        add(Action::Tick, state.elapsed < END && state.stopped && !is_due);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Pause => {
                next.hold = true;
                next.holds += 1;
            }
            Action::Resume => next.hold = false,
            Action::Proceed => {
                let step = state.step.next()?;
                if state.hold && self.waits(step) {
                    next.process = if self.hold(Rule::Waits) {
                        Process::Waits
                    } else {
                        Process::Ended
                    };
                } else if self.hold(Rule::Kept) {
                    self.begin(&mut next, step);
                } else {
                    next.process = Process::Decided(step);
                }
            }
            Action::Begin => {
                let Process::Decided(step) = state.process else {
                    return None;
                };
                self.begin(&mut next, step);
            }
            Action::Resumed => {
                // The world goes on during a hold.
                next.stale = true;
                let step = match state.step {
                    Step::Ready if self.hold(Rule::ReadyAgain) => Step::Ready,
                    step => step.next()?,
                };
                self.begin(&mut next, step);
            }
            Action::TimeOut => {
                next.cancelled_hold |= state.hold;
                if state.hold && self.waits(Step::CancelLift) {
                    // The cancel waits for the operator.
                    next.process = Process::Waits;
                    next.elapsed = END;
                } else {
                    self.begin(&mut next, Step::CancelLift);
                }
            }
            Action::Tick => next.elapsed += 1,
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        properties.push(Property::<Self>::sometimes(
            "a hold under the fence ends with a cancel",
            |_, state| state.cancelled_hold && state.step == Step::Cancelled,
        ));
        properties.push(Property::<Self>::sometimes(
            "switched after a hold",
            |_, state| state.holds > 0 && state.step == Step::Switched,
        ));
        properties
    }
}

#[test]
fn a_hold_is_obeyed_and_never_stops_the_writers_for_good() {
    let bounds = "1 cutover with and without --max-pause, 2 holds, an operator who may never come back";
    holds("hold", bounds, Hold { without: None });
}

#[test]
fn what_a_hold_needs() {
    for rule in [
        Rule::Kept,
        Rule::Bounded,
        Rule::Waits,
        Rule::WithinPause,
        Rule::LiftsAnyway,
        Rule::ReadyAgain,
    ] {
        breaks(&format!("hold, without {rule:?}"), Hold { without: Some(rule) });
    }
}

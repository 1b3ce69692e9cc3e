//! `copy: everything`: the table of one service also holds a copy of an item that another service owns.
//!
//! One source item of the other service, which writes it all the time, and its copy. The table's service is cut over, or cancels
//! that after its lane was closed, changes its copies meanwhile, and may go back. What a change of the table does to the source is
//! asked of [`dynasplit::flow::BackLane`], and which write of the source is a stray one of [`dynasplit::flow::is_stray`].

use crate::bounds::large;
use crate::proof::{Judged, breaks, holds, promise};
use dynasplit::flow::{Back, BackLane, Group, WayBack, is_stray};
use dynasplit::model::{Change, Images, Item, Key, MarkImages, Number, Origin, SequenceNumber, Value};
use dynasplit::plan::Plan;
use stateright::{Model, Property};
use std::fmt;
use std::sync::Arc;

const PLAN: &str = "version: 1
split: s
source: { table: Old, keys: { partition: PK } }
timestamp: none
unrouted: fail
services:
  - name: people
    where: kind = 'person'
    owns: items
    copy: everything
    table: { name: People, keys: { partition: PK } }
  - name: orders
    where: kind = 'order'
    owns: items
    table: { name: Orders, keys: { partition: PK } }
";

/// A rule of copies, each of which can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// A delete of a copy deletes nothing in the source.
    CopiesStay,
    /// The source item says whose it is, and not what the table makes of its copy.
    OwnedByWhere,
    /// What others write to their own items is no stray write.
    OthersAreNoStrays,
    /// A rollback makes a repair mandatory.
    RolledBackRepairs,
    /// A cancel after the lane was closed makes a repair mandatory.
    CancelledRepairs,
}

/// What an item holds: who it says that it belongs to, and a content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Held {
    is_person: bool,
    content: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Record {
    old: Option<Held>,
    new: Option<Held>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Replicating,
    /// The lane is closed, and the writers have not switched.
    Closed,
    Switched,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    /// What the other service wrote last.
    truth: Option<Held>,
    source: Option<Held>,
    copy: Option<Held>,
    phase: Phase,
    /// Records of the source that the lane has not read.
    forward: Vec<Record>,
    /// Records of the table that the reverse lane has not read.
    back: Vec<Record>,
    /// A change could not be carried back.
    letter: bool,
    /// A write of the other service is listed as a stray one.
    false_alarm: bool,
    repair: bool,
    writes: u8,
    changes: u8,
    cutovers: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Write,
    Delete,
    Forward,
    Close,
    Cancel,
    Switch,
    DropCopy,
    Correct,
    Claim,
    Back,
    RollBack,
    Repair,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write => "orders writes its item in the source",
            Self::Delete => "orders deletes its item in the source",
            Self::Forward => "the lane of people reads the next record of the source",
            Self::Close => "cutover: the lane of people is drained, and closed",
            Self::Cancel => "cutover: cancelled, the lane is open again",
            Self::Switch => "cutover: people writes its own table",
            Self::DropCopy => "people deletes its copy of the order",
            Self::Correct => "people writes what the source says over its copy",
            Self::Claim => "people makes an item of its own of the copy",
            Self::Back => "the reverse lane reads the next record of the table",
            Self::RollBack => "people goes back to the source",
            Self::Repair => "verify --repair",
        })
    }
}

struct Copies {
    without: Option<Rule>,
    plan: Plan,
    writes: u8,
    changes: u8,
    cutovers: u8,
}

fn whole(held: Held) -> Item {
    let kind = if held.is_person { "person" } else { "order" };
    Item::from([
        ("PK".to_owned(), Value::s("x")),
        ("kind".to_owned(), Value::s(kind)),
        ("n".to_owned(), Value::N(Number::from(i64::from(held.content)))),
    ])
}

impl Copies {
    fn hold(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    fn images(record: Record) -> Images {
        Images {
            old: record.old.map(whole),
            new: record.new.map(whole),
        }
    }

    /// What the product does to the source about a record of the table.
    fn decide(&self, record: Record, source: Option<Held>) -> Back {
        let lane = BackLane {
            way: WayBack {
                service: &self.plan.services[0],
                source: &self.plan.source.keys,
                versions: &self.plan.versions,
                mark_bytes: 0,
            },
            split: "s",
            epoch: 1,
        };
        let key = Key {
            partition: Value::s("x"),
            sort: None,
        };
        let origin = Origin::Tail {
            generation: 1,
            sequence: SequenceNumber::new("1"),
        };
        let change = Change {
            key: key.clone(),
            images: Self::images(record),
            origin,
        };
        let group = Group {
            key,
            changes: vec![Arc::new(change)],
        };
        lane.decide(&group, source.map(whole).as_ref())
    }

    fn is_stray(&self, record: Record) -> bool {
        let marks = MarkImages::default();
        !self.hold(Rule::OthersAreNoStrays)
            || is_stray(&self.plan.services[0], "s", 1, &Self::images(record), &marks)
    }

    fn carry_back(&self, state: &mut State, record: Record) {
        let is_delete = record.new.is_none();
        let is_bypassed = if is_delete {
            !self.hold(Rule::CopiesStay)
        } else {
            !self.hold(Rule::OwnedByWhere) && record.new.is_some_and(|new| new.is_person)
        };
        if is_bypassed {
            state.source = record.new;
            return;
        }
        match self.decide(record, state.source) {
            Back::Settled(_) => {}
            Back::Suspect | Back::Impossible(_) => state.letter = true,
            // The rest of a reverse write is the subject of another model.
            Back::Write(_) => state.source = record.new,
        }
    }

    fn change(state: &mut State, new: Option<Held>) {
        let old = std::mem::replace(&mut state.copy, new);
        if old != new {
            state.back.push(Record { old, new });
        }
    }
}

impl Judged for State {
    fn drained(&self) -> bool {
        self.phase == Phase::Replicating && self.forward.is_empty() && !self.repair && self.cutovers > 0
    }

    fn exact(&self) -> bool {
        self.source == self.truth && self.copy == self.source && !self.false_alarm
    }
}

impl Model for Copies {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let first = Some(Held {
            is_person: false,
            content: 0,
        });
        vec![State {
            truth: first,
            source: first,
            copy: first,
            phase: Phase::Replicating,
            forward: Vec::new(),
            back: Vec::new(),
            letter: false,
            false_alarm: false,
            repair: false,
            writes: 0,
            changes: 0,
            cutovers: 0,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let mut add = |step, may: bool| steps.extend(may.then_some(step));
        add(Step::Write, state.writes < self.writes);
        add(Step::Delete, state.writes < self.writes && state.truth.is_some());
        add(Step::Forward, !state.forward.is_empty());
        add(Step::Back, !state.back.is_empty());
        match state.phase {
            Phase::Replicating => {
                add(Step::Repair, state.repair);
                let may_begin = state.forward.is_empty() && !state.repair && state.cutovers < self.cutovers;
                add(Step::Close, may_begin);
            }
            Phase::Closed => {
                add(Step::Cancel, true);
                add(Step::Switch, true);
            }
            Phase::Switched => {
                let may_change = state.changes < self.changes;
                add(Step::DropCopy, may_change && state.copy.is_some());
                // A new item under this key would be another matter: it is the service's own.
                add(Step::Claim, may_change && state.copy.is_some());
                // A change that could not be carried back is corrected, or blocks the rollback.
                add(Step::Correct, state.letter);
                add(Step::RollBack, state.back.is_empty() && !state.letter);
            }
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Write | Step::Delete => {
                next.writes += 1;
                let content = next.writes;
                let new = (step == Step::Write).then_some(Held {
                    is_person: false,
                    content,
                });
                next.truth = new;
                let old = std::mem::replace(&mut next.source, new);
                next.forward.push(Record { old, new });
            }
            Step::Forward => {
                let record = next.forward.remove(0);
                if state.phase == Phase::Replicating {
                    next.copy = record.new;
                } else {
                    next.false_alarm |= self.is_stray(record);
                }
            }
            Step::Close => {
                next.phase = Phase::Closed;
                next.cutovers += 1;
            }
            Step::Cancel => {
                next.phase = Phase::Replicating;
                next.repair = self.hold(Rule::CancelledRepairs);
            }
            Step::Switch => next.phase = Phase::Switched,
            Step::DropCopy => {
                next.changes += 1;
                Self::change(&mut next, None);
            }
            Step::Claim => {
                next.changes += 1;
                let claimed = Held {
                    is_person: true,
                    content: 100 + next.changes,
                };
                Self::change(&mut next, Some(claimed));
            }
            Step::Correct => {
                next.letter = false;
                let said = next.source;
                Self::change(&mut next, said);
            }
            Step::Back => {
                let record = next.back.remove(0);
                self.carry_back(&mut next, record);
            }
            Step::RollBack => {
                next.phase = Phase::Replicating;
                next.repair = self.hold(Rule::RolledBackRepairs);
            }
            Step::Repair => {
                next.repair = false;
                next.copy = next.source;
            }
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        properties.push(Property::<Self>::sometimes(
            "there and back, although copies were changed",
            |model, state| state.drained() && state.changes == model.changes && state.writes == model.writes,
        ));
        properties
    }
}

fn copies(without: Option<Rule>) -> Copies {
    let (writes, changes, cutovers) = if large() { (4, 4, 3) } else { (2, 2, 2) };
    Copies {
        without,
        plan: Plan::parse(PLAN, "p").unwrap_or_else(|error| panic!("{error}")),
        writes,
        changes,
        cutovers,
    }
}

#[test]
fn copies_of_others_are_never_written_back_and_come_back_by_a_repair() {
    let model = copies(None);
    let bounds = format!(
        "1 item of another service, its writes: {}, changes of the copy: {}, cutovers: {}",
        model.writes, model.changes, model.cutovers
    );
    holds("copies", &bounds, model);
}

#[test]
fn what_copies_need() {
    for rule in [
        Rule::CopiesStay,
        Rule::OwnedByWhere,
        Rule::OthersAreNoStrays,
        Rule::RolledBackRepairs,
        Rule::CancelledRepairs,
    ] {
        breaks(&format!("copies, without {rule:?}"), copies(Some(rule)));
    }
}

//! Pruning the source: an item is deleted in two steps while a forgotten writer still writes it.
//!
//! One item, a writer that replaces it or adds an attribute, and processes one after the other, of which the first may die and leave
//! a request behind that lands late. The steps are those of `target::SourceDeleter`, whose order the tests on engines check. A writer
//! that adds an attribute between the two steps of a process that then dies is not part of this model, because the product does not
//! promise this case.

use crate::proof::{Judged, breaks, holds, promise};
use stateright::{Model, Property};
use std::fmt;

const WRITES: u8 = 2;

/// A rule of pruning, each of which can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// Both requests have the condition that every attribute is what was read.
    AsRead,
    /// The answer shows whether somebody added an attribute, and the item stays, or is put back.
    Compared,
    /// The first step leaves a mark, so that the record of the delete shows who deleted the item.
    Marked,
    /// Each process has a mark of its own.
    OwnMark,
}

/// The source item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Item {
    own: u8,
    /// An attribute that the writer adds.
    added: bool,
    /// The process that marked it as being deleted.
    mark: Option<u8>,
}

impl Item {
    /// Whether every attribute of what was read is in the item. A condition cannot ask for more.
    fn has(self, read: Self) -> bool {
        self.own == read.own && self.mark == read.mark && (self.added || !read.added)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Process {
    Idle,
    /// It has read the item, and is about to mark it.
    Marking(Item),
    /// It has marked the item, which then was this, and is about to delete it.
    Deleting(Item),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    item: Option<Item>,
    process: Process,
    /// Which process works.
    number: u8,
    /// A delete of the dead process.
    late: Option<Item>,
    writes: u8,
    /// A write of the writer was deleted although no process had read it.
    lost: bool,
    /// The record of a delete looks like one of the application.
    false_alarm: bool,
    /// The process has looked at the item for the last time.
    over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Replace,
    Add,
    Read,
    Mark,
    Delete,
    Dies,
    LandsLate,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replace => "the forgotten writer replaces the item",
            Self::Add => "the forgotten writer adds an attribute",
            Self::Read => "prune reads the item",
            Self::Mark => "prune marks the item as being deleted, or is refused",
            Self::Delete => "prune deletes the item, or is refused",
            Self::Dies => "the process dies, and its delete is under way",
            Self::LandsLate => "the delete of the dead process lands, or is refused",
        })
    }
}

struct Prune {
    without: Option<Rule>,
}

impl Prune {
    fn hold(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    fn mark_of(&self, number: u8) -> Option<u8> {
        self.hold(Rule::Marked)
            .then_some(if self.hold(Rule::OwnMark) { number } else { 0 })
    }

    fn mark(&self, state: &mut State, read: Item) {
        state.process = Process::Idle;
        let Some(held) = state
            .item
            .filter(|held| held.has(read) || !self.hold(Rule::AsRead))
        else {
            return;
        };
        let mark = self.mark_of(state.number);
        let is_same = held == read || !self.hold(Rule::Compared);
        // An item that somebody changed loses the mark again.
        let marked = Item { mark, ..held };
        state.item = Some(if is_same {
            marked
        } else {
            Item { mark: None, ..held }
        });
        if is_same {
            state.process = Process::Deleting(Item { mark, ..read });
        }
    }

    /// What is deleted, if it is.
    fn delete(&self, state: &mut State, marked: Item) -> Option<Item> {
        let held = state
            .item
            .filter(|held| held.has(marked) || !self.hold(Rule::AsRead))?;
        state.item = None;
        state.false_alarm |= held.mark.is_none();
        Some(held)
    }
}

impl Judged for State {
    fn drained(&self) -> bool {
        self.over && self.process == Process::Idle && self.late.is_none() && self.writes == WRITES
    }

    fn exact(&self) -> bool {
        !self.lost && !self.false_alarm
    }
}

impl Model for Prune {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let item = Item {
            own: 0,
            added: false,
            mark: None,
        };
        vec![State {
            item: Some(item),
            process: Process::Idle,
            number: 1,
            late: None,
            writes: 0,
            lost: false,
            false_alarm: false,
            over: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let mut add = |step, may: bool| steps.extend(may.then_some(step));
        let may_write = state.writes < WRITES;
        add(Step::Replace, may_write);
        // Beside the mark of a process that died, this case is not promised.
        let is_of_dead = state.item.is_some_and(|item| item.mark == self.mark_of(1)) && state.number > 1;
        let is_own = matches!(state.process, Process::Deleting(_));
        let may_add = state.item.is_some_and(|item| !item.added) && (!is_of_dead || is_own);
        add(Step::Add, may_write && may_add);
        match state.process {
            Process::Idle => add(Step::Read, state.item.is_some() && !state.over),
            Process::Marking(_) => add(Step::Mark, true),
            Process::Deleting(marked) => {
                add(Step::Delete, true);
                let is_unchanged = state.item.is_none_or(|item| item.added == marked.added);
                add(Step::Dies, state.number == 1 && is_unchanged);
            }
        }
        add(Step::LandsLate, state.late.is_some());
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Replace => {
                next.writes += 1;
                next.item = Some(Item {
                    own: next.writes,
                    added: false,
                    mark: None,
                });
            }
            Step::Add => {
                next.writes += 1;
                next.item.as_mut()?.added = true;
            }
            Step::Read => next.process = Process::Marking(state.item?),
            Step::Mark => {
                let Process::Marking(read) = state.process else {
                    return None;
                };
                self.mark(&mut next, read);
            }
            Step::Delete => {
                let Process::Deleting(marked) = state.process else {
                    return None;
                };
                next.process = Process::Idle;
                next.over = true;
                if let Some(was) = self.delete(&mut next, marked).filter(|was| *was != marked) {
                    if self.hold(Rule::Compared) {
                        next.item = Some(Item { mark: None, ..was });
                    } else {
                        next.lost = true;
                    }
                }
            }
            Step::Dies => {
                let Process::Deleting(marked) = state.process else {
                    return None;
                };
                next.process = Process::Idle;
                next.number += 1;
                next.late = Some(marked);
            }
            Step::LandsLate => {
                let marked = next.late.take()?;
                // Nobody sees the answer. A process that has read the item since may delete it as it was then.
                let was = self.delete(&mut next, marked);
                next.lost |= was.is_some_and(|was| (was.own, was.added) != (marked.own, marked.added));
            }
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        properties.push(Property::<Self>::sometimes("pruned after a death", |_, state| {
            state.item.is_none() && state.number == 2 && state.drained()
        }));
        properties
    }
}

#[test]
fn a_prune_deletes_what_it_has_read_and_nothing_else() {
    let bounds = "1 item, 2 writes of a forgotten writer, 1 death of a prune whose delete lands late";
    holds("prune", bounds, Prune { without: None });
}

#[test]
fn what_a_prune_needs() {
    for rule in [Rule::AsRead, Rule::Compared, Rule::Marked, Rule::OwnMark] {
        let name = format!("prune, without {rule:?}");
        breaks(&name, Prune { without: Some(rule) });
    }
}

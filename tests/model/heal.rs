//! Healing a gap from incremental exports, beside the restarted tail.
//!
//! One key and its item, which may belong to the service or to another one; a lane that applies records beyond the time up to which it is
//! known to be complete; gaps in which the stream loses what the lane has not read; a heal that pins the lane anew, lets two windows be
//! exported, reads the key again if an export names it, and sweeps; a death of it whose write lands late; and verifies. What a repair does with a key is told in the models of repairs:
//! here it reads the table, then the source, and writes if the table still is what was read and is no tombstone.

use crate::bounds::large;
use crate::effort::effort;
use crate::proof::{Judged, breaks, holds, promise};
use crate::support::long::in_the_long_run;
use stateright::{Model, Property};
use std::fmt;

/// A rule of healing, each of which can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// The end of the last export is later than the pin of the new position.
    PinFirst,
    /// The exports begin with the lowest time up to which the lane is complete in a shard.
    LowestTime,
    /// Each export begins with the end of the one before.
    Seams,
    /// The key is read again, and the image of the export is not written.
    ReadsAgain,
    /// Tombstones are on while keys are read again.
    Tombstones,
    /// They are swept when no write of a process that died can land any more.
    Landed,
    /// The service's table is looked at, whatever the images of the export belong to.
    WhateverImages,
    /// A later gap is healed from its own lowest time, whatever was healed before.
    LaterGap,
    /// A heal does not end the duty to repair.
    DutyStays,
    /// Only a verify that began after the gap and after the heal ends it.
    VerifyLater,
}

/// An item: its number, and whether it belongs to the service.
type Image = Option<(u8, bool)>;

/// What the service should hold for an image.
fn desired(image: Image) -> Option<u8> {
    image.and_then(|(number, own)| own.then_some(number))
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Change {
    at: u8,
    old: Image,
    new: Image,
}

/// What the service's table has: an item or a tombstone, with the stamp of the lane's record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Held {
    item: Option<u8>,
    stamp: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Export {
    /// It names the key.
    named: bool,
    new: Image,
    /// One of its images belongs to the service.
    own: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Heal {
    Idle,
    /// The end of the exports, if the pin does not decide it.
    Decided(u8),
    /// The beginning, and the same.
    Pinned(u8, u8),
    /// About to read the table for a window.
    Reads([Export; 2], usize),
    /// It has read the table.
    HasTarget([Export; 2], usize, Option<Held>),
    /// It has read the source, too.
    HasBoth([Export; 2], usize, Option<Held>, Option<u8>),
    /// Every window is read.
    Sweeps,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    source: Image,
    log: Vec<Change>,
    now: u8,
    /// Records that the lane has applied, or will never apply.
    lane: usize,
    /// Every change before this time is applied.
    complete: u8,
    /// The lane lost records, and stands still.
    gap: bool,
    gaps: u8,
    target: Option<Held>,
    tombstones: bool,
    heal: Heal,
    /// A write of a process that died: what the table must be, and what is written.
    late: Option<(Option<Held>, Option<u8>)>,
    deaths: u8,
    /// The end of the last heal.
    healed: u8,
    /// A window in which the key changed did not name it.
    unnamed: bool,
    duty: bool,
    /// A verify: how many gaps there had been when it began, whether a heal was under way, and whether it found the table exact.
    verify: Option<(u8, bool, bool)>,
    verifies: u8,
    repaired: bool,
}

impl State {
    fn held(&self) -> Option<u8> {
        self.target.and_then(|held| held.item)
    }

    fn is_same(&self) -> bool {
        self.held() == desired(self.source)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Put(bool),
    Delete,
    Apply,
    Checkpoint,
    Lose,
    Decide,
    Pin,
    /// The seam of the two windows.
    Export(u8),
    ReadTarget,
    ReadSource,
    Write,
    Dies,
    LandsLate,
    Sweep,
    BeginVerify,
    EndVerify,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(true) => f.write_str("source   puts an item of the service"),
            Self::Put(false) => f.write_str("source   puts an item of another service"),
            Self::Delete => f.write_str("source   deletes the item"),
            Self::Apply => f.write_str("tail     applies a record"),
            Self::Checkpoint => f.write_str("tail     notes up to when it is complete"),
            Self::Lose => f.write_str("stream   loses what the lane has not read"),
            Self::Decide => f.write_str("heal     looks for what was lost"),
            Self::Pin => f.write_str("heal     pins the lane at the tip of the stream"),
            Self::Export(seam) => write!(
                f,
                "heal     lets two windows be exported, with the seam at {seam}"
            ),
            Self::ReadTarget => {
                f.write_str("heal     reads the service's table, or has nothing more to read")
            }
            Self::ReadSource => f.write_str("heal     reads the source"),
            Self::Write => f.write_str("heal     writes, or is refused"),
            Self::Dies => f.write_str("heal     dies with its write under way, and is continued"),
            Self::LandsLate => {
                f.write_str("heal     the write of the process that died lands, or is refused")
            }
            Self::Sweep => f.write_str("heal     switches tombstones off, and sweeps"),
            Self::BeginVerify => f.write_str("verify   compares both sides"),
            Self::EndVerify => f.write_str("verify   ends: it repairs, or keeps that all was exact"),
        }
    }
}

struct Healing {
    writes: usize,
    gaps: u8,
    verifies: u8,
    without: Option<Rule>,
}

impl Healing {
    fn hold(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    fn write(state: &mut State, new: Image) {
        state.log.push(Change {
            at: state.now,
            old: state.source,
            new,
        });
        state.source = new;
        state.now += 1;
    }

    /// The lane applies a record. In sequence mode, its stamp wins over an older one, and over none.
    fn apply(state: &mut State) {
        let (stamp, change) = (state.lane, state.log[state.lane]);
        state.lane += 1;
        let (old, new) = (desired(change.old), desired(change.new));
        let lands = state
            .target
            .and_then(|held| held.stamp)
            .is_none_or(|known| known <= stamp);
        if !lands || old.is_none() && new.is_none() {
            return;
        }
        state.target = (new.is_some() || state.tombstones).then_some(Held {
            item: new,
            stamp: Some(stamp),
        });
    }

    /// What DynamoDB exports of a window: the beginning is part of it, and the end is not.
    fn export(state: &mut State, from: u8, to: u8) -> Export {
        let within: Vec<&Change> = state
            .log
            .iter()
            .filter(|change| (from..to).contains(&change.at))
            .collect();
        let (Some(first), Some(last)) = (within.first(), within.last()) else {
            return Export {
                named: false,
                new: None,
                own: false,
            };
        };
        let export = Export {
            named: first.old.is_some() || last.new.is_some(),
            new: last.new,
            own: desired(first.old).is_some() || desired(last.new).is_some(),
        };
        state.unnamed |= !export.named;
        export
    }

    /// The next window that is to be read again, from this one on; or the end of the heal.
    fn window(&self, state: &mut State, exports: [Export; 2], from: usize) {
        let is_wanted = |export: &Export| export.named && (export.own || self.hold(Rule::WhateverImages));
        match (from..2).find(|at| is_wanted(&exports[*at])) {
            Some(at) => {
                state.tombstones |= self.hold(Rule::Tombstones);
                state.heal = Heal::Reads(exports, at);
            }
            None => state.heal = Heal::Sweeps,
        }
    }

    fn is_healed(state: &State) -> bool {
        state.heal == Heal::Idle && !state.gap
    }

    fn repair(&self, state: &mut State) -> Option<()> {
        let Heal::HasBoth(exports, at, held, wanted) = state.heal else {
            return None;
        };
        let is_buried = held.is_some_and(|held| held.item.is_none());
        if held.and_then(|held| held.item) == wanted || is_buried {
            self.window(state, exports, at + 1);
            return Some(());
        }
        if state.target != held {
            state.heal = Heal::Reads(exports, at);
            return Some(());
        }
        Self::land(state, held, wanted);
        state.repaired = true;
        // If the source has changed since, the key is read again.
        if desired(state.source) == wanted || !self.hold(Rule::ReadsAgain) {
            self.window(state, exports, at + 1);
        } else {
            state.heal = Heal::Reads(exports, at);
        }
        Some(())
    }

    /// A write of a repair. Its removal leaves a tombstone.
    fn land(state: &mut State, held: Option<Held>, wanted: Option<u8>) {
        let stamp = match wanted {
            Some(_) => None,
            None => held.and_then(|held| held.stamp),
        };
        state.target = Some(Held { item: wanted, stamp });
    }

    /// The end of the exports.
    fn end(&self, state: &State, decided: u8) -> u8 {
        if self.hold(Rule::PinFirst) {
            state.now
        } else {
            decided
        }
    }

    fn pin(&self, state: &mut State, decided: u8) {
        let lowest = if self.hold(Rule::LowestTime) {
            state.complete
        } else {
            decided
        };
        let from = if self.hold(Rule::LaterGap) {
            lowest
        } else {
            lowest.max(state.healed)
        };
        state.heal = Heal::Pinned(from, decided);
        state.lane = state.log.len();
        state.complete = state.now;
        state.now += 1;
        state.gap = false;
    }
}

impl Judged for State {
    fn drained(&self) -> bool {
        Healing::is_healed(self)
            && self.late.is_none()
            && self.lane == self.log.len()
            && self.verify.is_none()
    }

    /// Until a verify has ended the duty, an item that came and went within one window may be left.
    fn exact(&self) -> bool {
        let is_left = self.duty && self.unnamed && self.held().is_some() && desired(self.source).is_none();
        self.is_same() || is_left
    }
}

impl Model for Healing {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let begin = |source: Image| State {
            source,
            log: Vec::new(),
            now: 0,
            lane: 0,
            complete: 0,
            gap: false,
            gaps: 0,
            target: desired(source).map(|item| Held {
                item: Some(item),
                stamp: None,
            }),
            tombstones: false,
            heal: Heal::Idle,
            late: None,
            deaths: 0,
            healed: 0,
            unnamed: false,
            duty: false,
            verify: None,
            verifies: 0,
            repaired: false,
        };
        vec![begin(None), begin(Some((0, true))), begin(Some((0, false)))]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let mut add = |step, may: bool| steps.extend(may.then_some(step));
        let may_write = state.log.len() < self.writes;
        add(Step::Put(true), may_write);
        add(Step::Put(false), may_write);
        add(Step::Delete, may_write && state.source.is_some());
        add(Step::Apply, !state.gap && state.lane < state.log.len());
        add(Step::Checkpoint, !state.gap);
        add(
            Step::Lose,
            !state.gap && state.gaps < self.gaps && state.heal == Heal::Idle,
        );
        match state.heal {
            Heal::Idle => add(Step::Decide, state.gap),
            Heal::Decided(_) => add(Step::Pin, true),
            // A margin behind the pin, or more.
            Heal::Pinned(from, decided) => {
                let to = self.end(state, decided);
                (from..=to.max(from)).for_each(|seam| add(Step::Export(seam), true));
            }
            Heal::Reads(..) => add(Step::ReadTarget, true),
            Heal::HasTarget(..) => add(Step::ReadSource, true),
            Heal::HasBoth(..) => {
                add(Step::Write, true);
                add(Step::Dies, state.deaths == 0);
            }
            Heal::Sweeps => add(Step::Sweep, state.late.is_none() || !self.hold(Rule::Landed)),
        }
        add(Step::LandsLate, state.late.is_some());
        let may_begin = state.verify.is_none() && state.verifies < self.verifies && !state.gap;
        add(Step::BeginVerify, may_begin && state.lane == state.log.len());
        add(Step::EndVerify, state.verify.is_some() && Self::is_healed(state));
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        let number = u8::try_from(state.log.len()).ok()? + 1;
        match step {
            Step::Put(own) => Self::write(&mut next, Some((number, own))),
            Step::Delete => Self::write(&mut next, None),
            Step::Apply => Self::apply(&mut next),
            Step::Checkpoint => {
                let unread = state.log.get(state.lane);
                next.complete = unread.map_or(state.now, |change| change.at);
            }
            Step::Lose => {
                next.lane = state.log.len();
                (next.gap, next.duty) = (true, true);
                next.gaps += 1;
            }
            Step::Decide => next.heal = Heal::Decided(state.now),
            Step::Pin => {
                let Heal::Decided(to) = state.heal else {
                    return None;
                };
                self.pin(&mut next, to);
            }
            Step::Export(seam) => {
                let Heal::Pinned(from, decided) = state.heal else {
                    return None;
                };
                let to = self.end(state, decided);
                next.healed = to;
                let first = Self::export(&mut next, from, seam);
                let begin = if self.hold(Rule::Seams) { seam } else { seam + 1 };
                let second = Self::export(&mut next, begin, to);
                self.window(&mut next, [first, second], 0);
            }
            Step::ReadTarget => {
                let Heal::Reads(exports, at) = state.heal else {
                    return None;
                };
                next.heal = Heal::HasTarget(exports, at, state.target);
            }
            Step::ReadSource => {
                let Heal::HasTarget(exports, at, held) = state.heal else {
                    return None;
                };
                let image = if self.hold(Rule::ReadsAgain) {
                    state.source
                } else {
                    exports[at].new
                };
                next.heal = Heal::HasBoth(exports, at, held, desired(image));
            }
            Step::Write => self.repair(&mut next)?,
            Step::Dies => {
                let Heal::HasBoth(exports, at, held, wanted) = state.heal else {
                    return None;
                };
                let is_buried = held.is_some_and(|held| held.item.is_none());
                let is_write = held.and_then(|held| held.item) != wanted && !is_buried;
                next.late = is_write.then_some((held, wanted));
                next.deaths += 1;
                next.heal = Heal::Reads(exports, at);
            }
            Step::LandsLate => {
                let (held, wanted) = next.late.take()?;
                if state.target == held {
                    Self::land(&mut next, held, wanted);
                }
            }
            Step::Sweep => {
                next.tombstones = false;
                next.target = state.target.filter(|held| held.item.is_some());
                next.heal = Heal::Idle;
                next.duty &= self.hold(Rule::DutyStays);
            }
            Step::BeginVerify => {
                next.verifies += 1;
                next.verify = Some((state.gaps, state.heal != Heal::Idle, state.is_same()));
            }
            Step::EndVerify => {
                let (gaps, beside, clean) = next.verify.take()?;
                let is_later = gaps == state.gaps && !beside;
                if clean && (is_later || !self.hold(Rule::VerifyLater)) {
                    next.duty = false;
                } else if !clean && state.lane == state.log.len() {
                    next.target = desired(state.source).map(|item| Held {
                        item: Some(item),
                        stamp: None,
                    });
                }
            }
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = promise();
        let some = |name, holds: fn(&Self, &State) -> bool| Property::<Self>::sometimes(name, holds);
        properties.push(some(
            "an item was healed, and a verify ended the duty",
            |_, state| state.repaired && state.gaps > 0 && !state.duty && state.drained(),
        ));
        properties.push(some("an item that came and went was left", |_, state| {
            state.drained() && !state.is_same()
        }));
        properties
    }
}

#[test]
fn a_heal_beside_a_live_tail_leaves_only_what_came_and_went() {
    let sizes: &[(usize, u8, u8)] = match (large(), effort()) {
        (true, _) => &[(3, 2, 2)],
        (false, 1) => &[(2, 1, 1)],
        (false, _) => &[(2, 2, 1)],
    };
    for (writes, gaps, verifies) in sizes {
        let bounds = format!(
            "1 item, {writes} writes, {gaps} gaps, 2 windows with any seam, 1 death with a write that lands late, {verifies} verifies"
        );
        let model = Healing {
            writes: *writes,
            gaps: *gaps,
            verifies: *verifies,
            without: None,
        };
        holds("heal", &bounds, model);
    }
}

#[test]
fn what_a_heal_needs() {
    in_the_long_run!(what_a_heal_needs);
    for rule in [
        Rule::PinFirst,
        Rule::LowestTime,
        Rule::Seams,
        Rule::ReadsAgain,
        Rule::Tombstones,
        Rule::Landed,
        Rule::WhateverImages,
        Rule::LaterGap,
        Rule::DutyStays,
        Rule::VerifyLater,
    ] {
        let name = format!("heal, without {rule:?}");
        let model = Healing {
            writes: 2,
            gaps: if rule == Rule::LaterGap { 2 } else { 1 },
            verifies: 1,
            without: Some(rule),
        };
        breaks(&name, model);
    }
}

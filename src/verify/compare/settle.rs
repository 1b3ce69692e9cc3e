//! The verdict on one candidate, from repeated reads while writes continue. Pure: its caller passes what was read
//! and when.
//!
//! The application writes one side, and a lane carries its writes to the other one, the copy. That is the target, until
//! the service has switched: then it is the source.
//!
//! **Each observation reads the copy first, then the side that is written, both consistently.** A difference is a mismatch
//! if neither side has changed from before the end of one observation to the begin of another one, and the lane has
//! delivered everything that was written before the end of the first one. A copy that is only late cannot show this,
//! because it then holds everything that the other side showed in the first observation. This assumes that nothing
//! happened between two equal observations of the side that is written. It is certain if items have a timestamp. Otherwise
//! the several observations within a window make it very unlikely that a side that changes to and fro looks the same in all
//! of them.

use super::wire::{Reader, put_digest, put_duration, put_len};
use crate::verify::compare::{Digest, MismatchClass};
use std::time::Duration;

/// The item that the target should hold under the candidate's key, according to the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Desired {
    /// Nothing: there is no source item, or it does not belong to the service (or its desired item cannot
    /// be built, which makes it a dead letter).
    Nothing,
    /// An item of this digest.
    Item(Digest),
    /// Two or more source items lead to this target key.
    Several,
}

/// Which side's item TTL may delete at any moment (see [`crate::verify::compare::is_expired`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Expired {
    /// The source item's.
    pub source: bool,
    /// The target item's.
    pub target: bool,
}

/// The side that the application of a service writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Written {
    /// The source: the target is the copy.
    #[default]
    Source,
    /// The service's own table, after its cutover: the source is the copy, and the reverse lane is its lane.
    Target,
}

/// What a service's lane had delivered before an observation began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Every write from before this time (on the clock of the observations) was carried out in the copy.
    pub up_to: Duration,
    /// The lane takes too long: nobody waits for it any more.
    pub is_given_up: bool,
}

impl Delivery {
    /// The time by which looks are due: it stands still while the lane is behind by more than `rest`, because a look
    /// shows nothing new then.
    #[must_use]
    pub fn clock(&self, now: Duration, rest: Duration) -> Duration {
        if self.is_given_up {
            now
        } else {
            now.min(self.up_to.saturating_add(rest))
        }
    }
}

/// One look at both sides of a candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    /// What the lane had delivered before the copy was read.
    pub delivery: Delivery,
    /// The clock before the copy was read. Any steady clock that all looks share.
    pub began: Duration,
    /// The clock after the other side was read.
    pub ended: Duration,
    /// The digest of the live item in the target; `None` if there is no item, or a tombstone.
    pub held: Option<Digest>,
    /// The item that it should hold.
    pub desired: Desired,
    /// The digest of the whole source item, if there is one. It also changes with writes that the service's shape
    /// does not show. (Of several source items: of any one.)
    pub source: Option<Digest>,
    /// Which side has expired.
    pub expired: Expired,
}

impl Observation {
    /// How the sides differ now; `None` if they agree.
    #[must_use]
    pub fn difference(&self) -> Option<MismatchClass> {
        match (self.desired, self.held) {
            (Desired::Several, _) => Some(MismatchClass::Collision),
            (Desired::Nothing, None) => None,
            (Desired::Item(desired), Some(held)) if desired == held => None,
            (Desired::Item(_), Some(_)) => Some(MismatchClass::Different),
            // TTL deletes on one side before the other. It never explains two items that differ, or an item that
            // belongs elsewhere.
            (Desired::Item(_), None) if self.expired.source => Some(MismatchClass::Expired),
            (Desired::Item(_), None) => Some(MismatchClass::Missing),
            (Desired::Nothing, Some(_)) if self.source.is_some() => Some(MismatchClass::Misrouted),
            (Desired::Nothing, Some(_)) if self.expired.target => Some(MismatchClass::Expired),
            (Desired::Nothing, Some(_)) => Some(MismatchClass::Extra),
        }
    }
}

/// How long a key must rest, and for how long a key that keeps changing is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SettleRules {
    /// Which side the application writes.
    pub written: Written,
    /// Both sides must rest for longer than this before a difference is a mismatch, whatever the lane says.
    pub rest: Duration,
    /// After this many reads, a key that still changes is given up.
    pub max_rounds: u32,
    /// After this much time, a key that still changes is given up.
    pub max_time: Duration,
}

impl SettleRules {
    /// Reads of one candidate, unless it settles earlier: three windows of five reads each.
    pub const DEFAULT_MAX_ROUNDS: u32 = 16;
    /// Time for one candidate, unless it settles earlier, in rests.
    pub const DEFAULT_MAX_RESTS: u32 = 10;

    /// The default rules for a rest.
    #[must_use]
    pub fn new(rest: Duration) -> Self {
        Self {
            written: Written::Source,
            rest,
            max_rounds: Self::DEFAULT_MAX_ROUNDS,
            max_time: rest.saturating_mul(Self::DEFAULT_MAX_RESTS),
        }
    }
}

/// The consequence of an observation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The copy holds the item that it should, or an earlier one that the lane had not replaced yet.
    Agreed,
    /// The difference is still there although the lane has delivered everything from before it was seen.
    /// [`MismatchClass::Expired`] is no fault.
    Mismatch(MismatchClass),
    /// The key never rested long enough for a verdict. Not clean.
    Unsettled,
    /// Both sides rest, but the lane did not deliver in time what was written before. Not clean.
    Undelivered,
    /// Too early to say.
    Wait {
        /// The next look is due at this time of [`Delivery::clock`]. Sooner is harmless.
        due: Duration,
    },
}

/// The first wait after something moved, as a part of the rest; each further one is twice as long.
const FIRST_WAIT_PART: u32 = 8;
/// Beyond this many, earlier states of the source are forgotten.
const MAX_RECENT: usize = 8;
/// The shortest wait.
const TICK: Duration = Duration::from_millis(1);

/// The part of an observation that shows changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    several: bool,
    desired: Option<Digest>,
    source: Option<Digest>,
    held: Option<Digest>,
}

impl Seen {
    fn of(observation: &Observation) -> Self {
        let (several, desired, source) = match observation.desired {
            Desired::Nothing => (false, None, observation.source),
            Desired::Item(digest) => (false, Some(digest), observation.source),
            // A collision stands however often the colliding items are written.
            Desired::Several => (true, None, None),
        };
        let held = observation.held.filter(|_| !several);
        Self {
            several,
            desired,
            source,
            held,
        }
    }

    /// Whether the side that the application writes shows the same.
    fn same_written(&self, other: &Self, written: Written) -> bool {
        match written {
            Written::Source => Self { held: None, ..*self } == Self { held: None, ..*other },
            Written::Target => self.held == other.held,
        }
    }

    /// The item on a side, in the form of the target.
    fn item_of(&self, side: Written) -> Option<Digest> {
        match side {
            Written::Source => self.desired,
            Written::Target => self.held,
        }
    }
}

/// The summary of the observations of one candidate.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settling {
    /// Observations so far.
    rounds: u32,
    /// When the first observation began.
    first: Duration,
    seen: Option<Seen>,
    /// The end of the first observation since which the side that is written was always the same.
    written_since: Duration,
    /// The end of the first observation since which both sides were always the same.
    both_since: Duration,
    /// Observations since then.
    quiet_rounds: u32,
    /// The items of the side that is written (`None`: no item), each with the time at which this was last true.
    recent: Vec<(Duration, Option<Digest>)>,
}

impl Settling {
    /// Takes in an observation, which must be later than all before it.
    pub fn observe(&mut self, rules: &SettleRules, observation: &Observation) -> Outcome {
        let moved = self.take_in(rules.written, observation);
        let Some(class) = observation.difference() else {
            return Outcome::Agreed;
        };
        if class != MismatchClass::Collision && self.copy_is_late(rules, observation) {
            return Outcome::Agreed;
        }
        let Observation {
            began,
            ended,
            delivery,
            ..
        } = *observation;
        let rested_since = |since: Duration| began > since.saturating_add(rules.rest);
        let stood_since = |since: Duration| rested_since(since) && delivery.up_to > since;
        // No lane delivers what a collision is about: only the source shows it.
        let needs_no_lane = class == MismatchClass::Collision;
        if stood_since(self.both_since) || (needs_no_lane && rested_since(self.both_since)) {
            return Outcome::Mismatch(class);
        }
        if delivery.is_given_up && rested_since(self.both_since) {
            return match class.is_fault() {
                true => Outcome::Undelivered,
                false => Outcome::Mismatch(class),
            };
        }
        let elapsed = delivery.clock(ended, rules.rest).saturating_sub(self.first);
        let at_cap = self.rounds >= rules.max_rounds || elapsed >= rules.max_time;
        if at_cap && moved {
            // Only the copy changes: another process writes it. An absent item on the other side is not sufficient
            // evidence, because an item may have come and gone between two reads.
            let is_there = match rules.written {
                Written::Source => observation.source.is_some(),
                Written::Target => observation.held.is_some(),
            };
            return if is_there && stood_since(self.written_since) {
                Outcome::Mismatch(class)
            } else {
                Outcome::Unsettled
            };
        }
        Outcome::Wait {
            due: self.due(rules, observation, at_cap),
        }
    }

    /// Remembers the observation; says whether something moved since the last one.
    fn take_in(&mut self, written: Written, observation: &Observation) -> bool {
        let seen = Seen::of(observation);
        let before = self.seen.replace(seen);
        if before.is_none() {
            self.first = observation.began;
        }
        self.rounds = self.rounds.saturating_add(1);
        if !before.is_some_and(|before| before.same_written(&seen, written)) {
            self.written_since = observation.ended;
        }
        let rests = before == Some(seen);
        if rests {
            self.quiet_rounds = self.quiet_rounds.saturating_add(1);
        } else {
            self.both_since = observation.ended;
            self.quiet_rounds = 1;
        }
        if !seen.several {
            let item = seen.item_of(written);
            self.recent.retain(|(_, recent)| *recent != item);
            if self.recent.len() == MAX_RECENT {
                self.recent.remove(0);
            }
            self.recent.push((observation.ended, item));
        }
        before.is_some() && !rests
    }

    /// Whether the copy holds an item that it should have held shortly before it was read, or later than the time up to
    /// which the lane had delivered. It can't have held it all along (that read would have agreed), so the write did
    /// arrive.
    fn copy_is_late(&self, rules: &SettleRules, observation: &Observation) -> bool {
        let Observation { began, delivery, .. } = observation;
        let copy = Seen::of(observation).item_of(match rules.written {
            Written::Source => Written::Target,
            Written::Target => Written::Source,
        });
        self.recent.iter().any(|(at, item)| {
            let is_recent = at.saturating_add(rules.rest) >= *began || *at >= delivery.up_to;
            *item == copy && is_recent
        })
    }

    /// Early reads settle late changes; the last one is just beyond the rest, and beyond what the lane must deliver.
    fn due(&self, rules: &SettleRules, observation: &Observation, at_cap: bool) -> Duration {
        let last = self.both_since.saturating_add(rules.rest).saturating_add(TICK);
        if at_cap {
            return last;
        }
        let doublings = self.quiet_rounds.saturating_sub(1).min(FIRST_WAIT_PART);
        let early = (rules.rest / FIRST_WAIT_PART).saturating_mul(1 << doublings);
        let now = observation.delivery.clock(observation.ended, rules.rest);
        now.saturating_add(early.max(TICK)).min(last)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rounds.to_le_bytes());
        out.extend_from_slice(&self.quiet_rounds.to_le_bytes());
        for at in [self.first, self.written_since, self.both_since] {
            put_duration(at, out);
        }
        out.push(u8::from(self.seen.is_some()));
        if let Some(seen) = self.seen {
            out.push(u8::from(seen.several));
            for digest in [seen.desired, seen.source, seen.held] {
                put_digest(digest, out);
            }
        }
        put_len(self.recent.len(), out);
        for (at, desired) in &self.recent {
            put_duration(*at, out);
            put_digest(*desired, out);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let mut settling = Self {
            rounds: u32::from_le_bytes(reader.array()?),
            quiet_rounds: u32::from_le_bytes(reader.array()?),
            first: reader.duration()?,
            written_since: reader.duration()?,
            both_since: reader.duration()?,
            seen: None,
            recent: Vec::new(),
        };
        if reader.flag()? {
            settling.seen = Some(Seen {
                several: reader.flag()?,
                desired: reader.digest()?,
                source: reader.digest()?,
                held: reader.digest()?,
            });
        }
        for _ in 0..reader.len()? {
            settling.recent.push((reader.duration()?, reader.digest()?));
        }
        Some(settling)
    }
}

#[cfg(test)]
pub(super) mod tests;

//! The verdict on one candidate, from repeated reads while writes continue. Pure: its caller passes what was read
//! and when.
//!
//! **Each observation reads the target first, then the source, both consistently.** A difference is a mismatch if
//! neither side has changed from before the end of one observation to the begin of another one, for longer than the
//! allowed lag. A target that is only late cannot show this, because at any moment it holds a value that the source
//! had at most the allowed lag before. This assumes that nothing happened between two equal observations of the
//! source. It is certain if source items have a timestamp. Otherwise the several observations within a window make
//! it very unlikely that a source that changes to and fro looks the same in all of them.

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

/// One look at both sides of a candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    /// The clock before the target was read. Any steady clock that all looks share.
    pub began: Duration,
    /// The clock after the source was read.
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

/// The allowed lag, and for how long a key that keeps changing is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SettleRules {
    /// A write of the source arrives in the target within this time, or is late beyond excuse.
    pub allowed_lag: Duration,
    /// After this many reads, a key that still changes is given up.
    pub max_rounds: u32,
    /// After this much time, a key that still changes is given up.
    pub max_time: Duration,
}

impl SettleRules {
    /// Reads of one candidate, unless it settles earlier: three windows of five reads each.
    pub const DEFAULT_MAX_ROUNDS: u32 = 16;
    /// Time for one candidate, unless it settles earlier, in allowed lags.
    pub const DEFAULT_MAX_LAGS: u32 = 10;

    /// The default rules for an allowed lag.
    #[must_use]
    pub fn new(allowed_lag: Duration) -> Self {
        Self {
            allowed_lag,
            max_rounds: Self::DEFAULT_MAX_ROUNDS,
            max_time: allowed_lag.saturating_mul(Self::DEFAULT_MAX_LAGS),
        }
    }
}

/// The consequence of an observation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The target holds the item that it should, or that it should have held within the allowed lag.
    Agreed,
    /// The difference stood for longer than the lag allows. [`MismatchClass::Expired`] is no fault.
    Mismatch(MismatchClass),
    /// The key never rested long enough for a verdict. Not clean.
    Unsettled,
    /// Too early to say.
    Wait {
        /// PointRead again after this time, counted from the observation's end. Sooner is harmless.
        again_after: Duration,
    },
}

/// The first wait after something moved, as a part of the allowed lag; each further one is twice as long.
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

    fn same_source(&self, other: &Self) -> bool {
        Self { held: None, ..*self } == Self { held: None, ..*other }
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
    /// The end of the first observation since which the source was always the same.
    source_since: Duration,
    /// The end of the first observation since which both sides were always the same.
    both_since: Duration,
    /// Observations since then.
    quiet_rounds: u32,
    /// The items that the target should have held (`None`: no item), each with the time at which this was last true.
    recent: Vec<(Duration, Option<Digest>)>,
}

impl Settling {
    /// Takes in an observation, which must be later than all before it.
    pub fn observe(&mut self, rules: &SettleRules, observation: &Observation) -> Outcome {
        let moved = self.take_in(observation);
        let Some(class) = observation.difference() else {
            return Outcome::Agreed;
        };
        if class != MismatchClass::Collision && self.held_is_late(rules, observation) {
            return Outcome::Agreed;
        }
        let stood_since = |since: Duration| observation.began > since.saturating_add(rules.allowed_lag);
        if stood_since(self.both_since) {
            return Outcome::Mismatch(class);
        }
        let elapsed = observation.ended.saturating_sub(self.first);
        let at_cap = self.rounds >= rules.max_rounds || elapsed >= rules.max_time;
        if at_cap && moved {
            // Only the target changes: another process writes it. An absent source is not sufficient evidence,
            // because an item may have come and gone between two reads.
            let source_rests = observation.source.is_some() && stood_since(self.source_since);
            return if source_rests {
                Outcome::Mismatch(class)
            } else {
                Outcome::Unsettled
            };
        }
        Outcome::Wait {
            again_after: self.wait(rules, observation, at_cap),
        }
    }

    /// Remembers the observation; says whether something moved since the last one.
    fn take_in(&mut self, observation: &Observation) -> bool {
        let seen = Seen::of(observation);
        let before = self.seen.replace(seen);
        if before.is_none() {
            self.first = observation.began;
        }
        self.rounds = self.rounds.saturating_add(1);
        if !before.is_some_and(|before| before.same_source(&seen)) {
            self.source_since = observation.ended;
        }
        let rests = before == Some(seen);
        if rests {
            self.quiet_rounds = self.quiet_rounds.saturating_add(1);
        } else {
            self.both_since = observation.ended;
            self.quiet_rounds = 1;
        }
        if !seen.several {
            self.recent.retain(|(_, desired)| *desired != seen.desired);
            if self.recent.len() == MAX_RECENT {
                self.recent.remove(0);
            }
            self.recent.push((observation.ended, seen.desired));
        }
        before.is_some() && !rests
    }

    /// Whether the target holds an item that it should have held within the allowed lag before the target was read.
    /// It can't have held it all along (that read would have agreed), so the write did arrive.
    fn held_is_late(&self, rules: &SettleRules, observation: &Observation) -> bool {
        self.recent.iter().any(|(at, desired)| {
            *desired == observation.held && at.saturating_add(rules.allowed_lag) >= observation.began
        })
    }

    /// Early reads settle late changes; the last one is just beyond the lag.
    fn wait(&self, rules: &SettleRules, observation: &Observation, at_cap: bool) -> Duration {
        let deadline = self.both_since.saturating_add(rules.allowed_lag);
        let left = deadline.saturating_sub(observation.ended).saturating_add(TICK);
        if at_cap {
            return left;
        }
        let doublings = self.quiet_rounds.saturating_sub(1).min(FIRST_WAIT_PART);
        let early = (rules.allowed_lag / FIRST_WAIT_PART).saturating_mul(1 << doublings);
        early.max(TICK).min(left)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rounds.to_le_bytes());
        out.extend_from_slice(&self.quiet_rounds.to_le_bytes());
        for at in [self.first, self.source_since, self.both_since] {
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
            source_since: reader.duration()?,
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

//! Decides the next write of a live writer. Pure: the same seed, items and clock give the same mutations.
//!
//! A mutator owns its items, and a decided mutation counts as done. So its caller lets every mutation land before it
//! asks for the next one, or ends the rehearsal.

use super::generate::{GenerateError, Recipe};
use super::population::{Member, Original, Share, Upcoming, note};
use super::sample::usable_key;
use crate::model::{Item, Key, Value, Version};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::Arc;

/// The attribute that increases with each write, and its value at this moment: a text or a number.
#[derive(Clone)]
pub struct Timestamp {
    /// Attribute name.
    pub attribute: String,
    /// Renders the present moment as the plan says. It may be called from several threads.
    pub now: Arc<dyn Fn() -> Value + Send + Sync>,
}

/// The effect of a mutation on its item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Puts an item that was never there.
    Create,
    /// Sets some attributes.
    Update,
    /// Replaces the whole item.
    Replace,
    /// Deletes the item.
    Delete,
    /// Puts an item again that was deleted.
    Recreate,
}

/// The request that does it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// `PutItem`.
    Put(Item),
    /// `UpdateItem` that sets these attributes.
    Set(Item),
    /// `DeleteItem`.
    Delete,
}

/// One write to the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutation {
    /// The effect on the item.
    pub action: Action,
    /// Key of the item.
    pub key: Key,
    /// The request to send.
    pub request: Request,
}

/// Out of 100 choices, the number that begins each kind; the rest begin a burst.
const CHOICES: [(Action, u32); 5] = [
    (Action::Update, 52),
    (Action::Replace, 8),
    (Action::Create, 13),
    (Action::Delete, 14),
    (Action::Recreate, 9),
];
/// Writes of a burst on one item.
const BURST: std::ops::RangeInclusive<u32> = 3..=8;
/// One write in this many keeps the previous timestamp, like writes in one tick of a clock.
const TIES: u32 = 10;
/// How many recipes are tried for a new item before it is given up for this time: their templates may
/// repeat keys (`{n%10}`).
const ATTEMPTS: usize = 5;

struct State {
    member: Member,
    alive: bool,
    /// Index in `alive` or `dead`.
    slot: usize,
    /// Timestamp of the last write. Not known before the first write that this mutator makes.
    written: Option<Version>,
    /// Whether `written` is known.
    settled: bool,
}

/// Decides on the writes to its share of the items.
pub struct Mutator {
    share: Share,
    timestamp: Option<Timestamp>,
    rng: StdRng,
    states: Vec<State>,
    alive: Vec<usize>,
    dead: Vec<usize>,
    /// The item of the present burst, and its remaining writes.
    burst: Option<(usize, u32)>,
    turn: u64,
    bursts: u64,
}

impl Mutator {
    pub(super) fn new(mut share: Share, timestamp: Option<Timestamp>, seed: u64) -> Self {
        let members = std::mem::take(&mut share.members);
        let state = |(slot, member)| State {
            member,
            alive: true,
            slot,
            written: None,
            settled: false,
        };
        let states: Vec<State> = members.into_iter().enumerate().map(state).collect();
        Self {
            share,
            timestamp,
            rng: StdRng::seed_from_u64(seed),
            alive: (0..states.len()).collect(),
            dead: Vec::new(),
            states,
            burst: None,
            turn: 0,
            bursts: 0,
        }
    }

    /// Bursts begun so far.
    #[must_use]
    pub fn bursts(&self) -> u64 {
        self.bursts
    }

    /// Decides the next write; `None` if there is no item to write to.
    ///
    /// # Errors
    /// A template that renders a value that DynamoDB refuses.
    pub fn next_mutation(&mut self) -> Result<Option<Mutation>, GenerateError> {
        self.turn += 1;
        if let Some((index, left)) = self.burst.take() {
            self.burst = (left > 1).then_some((index, left - 1));
            return self.in_burst(index).map(Some);
        }
        let wish = self.wish();
        // A wish that cannot be granted becomes another, first of all one that keeps up the number of items.
        for action in [wish, Action::Recreate, Action::Update, Action::Create] {
            if let Some(mutation) = self.grant(action)? {
                return Ok(Some(mutation));
            }
        }
        Ok(None)
    }

    fn wish(&mut self) -> Action {
        let mut roll = self.rng.random_range(0..100);
        for (action, share) in CHOICES {
            if roll < share {
                return action;
            }
            roll -= share;
        }
        if let Some(index) = pick(&mut self.rng, &self.alive) {
            self.bursts += 1;
            self.burst = Some((index, self.rng.random_range(BURST)));
        }
        Action::Update
    }

    /// The burst's item is written whatever has become of it.
    fn in_burst(&mut self, index: usize) -> Result<Mutation, GenerateError> {
        let action = match (self.states[index].alive, self.rng.random_range(0..10)) {
            (false, _) => Action::Recreate,
            (true, 0) => Action::Delete,
            (true, 1..=2) => Action::Replace,
            (true, _) => Action::Update,
        };
        self.write(index, action)
    }

    fn grant(&mut self, action: Action) -> Result<Option<Mutation>, GenerateError> {
        let among = match action {
            Action::Create => return self.create(),
            Action::Recreate => &self.dead,
            Action::Update | Action::Replace | Action::Delete => &self.alive,
        };
        let burst = self.burst.map(|(index, _)| index);
        match burst.or_else(|| pick(&mut self.rng, among)) {
            Some(index) => self.write(index, action).map(Some),
            None => Ok(None),
        }
    }

    fn write(&mut self, index: usize, action: Action) -> Result<Mutation, GenerateError> {
        self.settle(index)?;
        let Member { key, original } = self.states[index].member.clone();
        let request = match action {
            Action::Update => {
                let mut set = self.share.stock.updates(original, self.turn)?;
                if set.is_empty() && self.timestamp.is_none() {
                    set = note(self.turn);
                }
                // A tie that sets nothing else would be a write that changes nothing.
                let may_tie = !set.is_empty();
                self.stamp(index, &mut set, may_tie);
                Request::Set(set)
            }
            Action::Replace | Action::Create | Action::Recreate => {
                let mut item = self.share.stock.item(original)?;
                item.extend(self.share.keys.item_of(&key));
                self.stamp(index, &mut item, action == Action::Replace);
                Request::Put(item)
            }
            Action::Delete => Request::Delete,
        };
        self.set_alive(index, action != Action::Delete);
        Ok(Mutation { action, key, request })
    }

    fn create(&mut self) -> Result<Option<Mutation>, GenerateError> {
        let Some(member) = self.new_member()? else {
            return Ok(None);
        };
        let index = self.states.len();
        self.states.push(State {
            member,
            alive: true,
            slot: self.alive.len(),
            written: None,
            settled: true,
        });
        self.alive.push(index);
        self.write(index, Action::Create).map(Some)
    }

    fn new_member(&mut self) -> Result<Option<Member>, GenerateError> {
        for _ in 0..ATTEMPTS {
            let recipe = match &mut self.share.upcoming {
                Upcoming::Samples(members) => return Ok(members.pop()),
                Upcoming::Recipes { next, step } => {
                    let Some(kind) = self.share.stock.weighted_kind(&mut self.rng) else {
                        return Ok(None);
                    };
                    let recipe = Recipe { kind, n: next[kind] };
                    next[kind] += *step;
                    recipe
                }
            };
            let item = self.share.stock.item(Original::Recipe(recipe))?;
            if let Ok(key) = usable_key(&self.share.keys, &item)
                && self.share.stock.claim(recipe, &key)
            {
                return Ok(Some(Member {
                    key,
                    original: Original::Recipe(recipe),
                }));
            }
        }
        Ok(None)
    }

    /// Learns the timestamp with which the item was loaded. A `{now}` in it is rendered again, later than at the
    /// load, which does no harm.
    fn settle(&mut self, index: usize) -> Result<(), GenerateError> {
        if let (Some(timestamp), false) = (&self.timestamp, self.states[index].settled) {
            let item = self.share.stock.item(self.states[index].member.original)?;
            self.states[index].written = item.get(&timestamp.attribute).and_then(Version::from_value);
        }
        self.states[index].settled = true;
        Ok(())
    }

    /// Gives a write its timestamp: the present one, or the last one of the item if that is newer (a clock set back,
    /// a sample from the future), so that it never goes back.
    fn stamp(&mut self, index: usize, attributes: &mut Item, may_tie: bool) {
        let Some(timestamp) = &self.timestamp else { return };
        let tie = self.rng.random_ratio(1, TIES) && may_tie;
        let now = (timestamp.now)();
        let state = &mut self.states[index];
        let last = state.written.take();
        let version = match (last, Version::from_value(&now)) {
            (Some(last), Some(now)) if comparable(&last, &now) && (tie || last > now) => Some(last),
            (_, now) => now,
        };
        attributes.insert(
            timestamp.attribute.clone(),
            version.as_ref().map_or(now, Version::to_value),
        );
        state.written = version;
    }

    fn set_alive(&mut self, index: usize, alive: bool) {
        if self.states[index].alive == alive {
            return;
        }
        let (from, to) = if alive {
            (&mut self.dead, &mut self.alive)
        } else {
            (&mut self.alive, &mut self.dead)
        };
        let slot = self.states[index].slot;
        from.swap_remove(slot);
        if let Some(moved) = from.get(slot) {
            self.states[*moved].slot = slot;
        }
        self.states[index].slot = to.len();
        self.states[index].alive = alive;
        to.push(index);
    }
}

fn pick(rng: &mut StdRng, among: &[usize]) -> Option<usize> {
    (!among.is_empty()).then(|| among[rng.random_range(0..among.len())])
}

fn comparable(one: &Version, other: &Version) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

#[cfg(test)]
mod tests;

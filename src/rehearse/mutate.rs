//! What a live writer does next. Pure: the same seed, items and clock give the same mutations.
//!
//! A mutator owns its items: what it has decided counts as done. So its caller lets every mutation land
//! before it asks for the next one, or ends the rehearsal.

use super::generate::{GenerateError, Recipe};
use super::population::{Member, Original, Share, Upcoming, note};
use super::sample::usable_key;
use crate::model::{Item, Key, Value, Version};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::Arc;

/// The attribute that grows with each write, and what it is at this moment: a text or a number.
#[derive(Clone)]
pub struct Timestamp {
    /// Attribute name.
    pub attribute: String,
    /// Renders the present moment as the plan says. It may be called from several threads.
    pub now: Arc<dyn Fn() -> Value + Send + Sync>,
}

/// What a mutation does to its item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Puts an item that was never there.
    Create,
    /// Sets some attributes.
    Update,
    /// Puts the whole item over what is there.
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
    /// What it does to the item.
    pub action: Action,
    /// Key of the item.
    pub key: Key,
    /// The request to send.
    pub request: Request,
}

/// Out of 100 choices, how many begin each kind; what is left begins a burst.
const CHOICES: [(Action, u32); 5] = [
    (Action::Update, 52),
    (Action::Replace, 8),
    (Action::Create, 13),
    (Action::Delete, 14),
    (Action::Recreate, 9),
];
/// Writes of a burst on one item.
const BURST: std::ops::RangeInclusive<u32> = 3..=8;
/// One write in so many keeps the timestamp of the one before, as writes in one tick of a clock do.
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
    /// The item of the burst that is going on, and its writes that are left.
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

    /// Decides on the next write; `None` where there is nothing to write to.
    ///
    /// # Errors
    /// A template that renders what DynamoDB would not take.
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

    /// Learns the timestamp that the item was loaded with. A `{now}` in it is rendered anew: later than when
    /// it was loaded, which does no harm.
    fn settle(&mut self, index: usize) -> Result<(), GenerateError> {
        if let (Some(timestamp), false) = (&self.timestamp, self.states[index].settled) {
            let item = self.share.stock.item(self.states[index].member.original)?;
            self.states[index].written = item.get(&timestamp.attribute).and_then(Version::from_value);
        }
        self.states[index].settled = true;
        Ok(())
    }

    /// Gives a write its timestamp: the present one, or the last one of the item where that is newer (a
    /// clock set back, a sample from the future), so that it never goes back.
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
mod tests {
    use super::super::generate::Generator;
    use super::super::generate::tests::spec;
    use super::super::population::tests::keys;
    use super::super::population::{NOTE_ATTRIBUTE, Population};
    use super::super::sample::SampleItem;
    use super::*;
    use serde_json::json;
    use std::collections::{BTreeMap, HashMap};
    use std::sync::atomic::{AtomicI64, Ordering};

    const CLOCK: [i64; 7] = [10, 11, 11, 5, 30, 29, 31];

    /// A clock that goes on, stands still and goes back.
    fn clock() -> Timestamp {
        let ticks = AtomicI64::new(0);
        let now = move || {
            let tick = ticks.fetch_add(1, Ordering::SeqCst);
            let index = usize::try_from(tick).unwrap() % CLOCK.len();
            Value::N((tick / 7 * 10 + CLOCK[index]).into())
        };
        Timestamp {
            attribute: "at".into(),
            now: Arc::new(now),
        }
    }

    fn generated(count: u64) -> Population {
        let spec = spec(json!([
            {"weight": 2, "item": {"pk": "A#{n}", "sk": "META", "title": "{random}"}, "updates": {"title": "{random}"}},
            {"item": {"pk": "A#{n/3}", "sk": "B#{n}", "at": {"N": "40"}}},
        ]));
        let generator = Generator::new(&spec, 1, || Value::N(1.into())).unwrap();
        Population::generated(generator, count, &keys()).unwrap()
    }

    fn sampled(count: usize) -> Population {
        let sample = |n| {
            let item = Item::from([
                ("pk".into(), Value::s("p")),
                ("sk".into(), Value::s(format!("{n}"))),
            ]);
            SampleItem {
                key: keys().key_of(&item).unwrap(),
                item,
            }
        };
        Population::sampled((0..count).map(sample).collect(), &keys())
    }

    fn run(population: Population, timestamp: Option<Timestamp>, seed: u64, writes: usize) -> Vec<Mutation> {
        let share = population.split(1).remove(0);
        let mut mutator = Mutator::new(share, timestamp, seed);
        (0..writes)
            .map_while(|_| mutator.next_mutation().unwrap())
            .collect()
    }

    #[test]
    fn the_seed_decides_everything() {
        let one = run(generated(50), Some(clock()), 7, 500);
        assert_eq!(one.len(), 500);
        assert_eq!(one, run(generated(50), Some(clock()), 7, 500));
        assert_ne!(one, run(generated(50), Some(clock()), 8, 500));
    }

    /// Follows the writes in a table of its own: each must fit what is there, and timestamps never go back.
    fn follow(loaded: Vec<Item>, mutations: &[Mutation], timestamped: bool) -> HashMap<Action, usize> {
        let mut table: BTreeMap<Vec<u8>, Item> = BTreeMap::new();
        let mut newest: HashMap<Vec<u8>, Value> = HashMap::new();
        for item in loaded {
            let key = keys().key_of(&item).unwrap().encode();
            newest.extend(item.get("at").map(|at| (key.clone(), at.clone())));
            table.insert(key, item);
        }
        let (mut seen, mut counts) = (std::collections::HashSet::new(), HashMap::new());
        seen.extend(table.keys().cloned());
        for mutation in mutations {
            *counts.entry(mutation.action).or_default() += 1;
            let key = mutation.key.encode();
            let there = table.contains_key(&key);
            let attributes = match (&mutation.action, &mutation.request) {
                (Action::Create, Request::Put(item)) if !there && seen.insert(key.clone()) => item,
                (Action::Recreate, Request::Put(item)) if !there && seen.contains(&key) => item,
                (Action::Replace, Request::Put(item)) if there => item,
                (Action::Update, Request::Set(set)) if there && !set.is_empty() => set,
                (Action::Delete, Request::Delete) if there => {
                    table.remove(&key);
                    continue;
                }
                other => panic!("{other:?} where there={there}"),
            };
            if let Request::Put(item) = &mutation.request {
                assert_eq!(keys().key_of(item).unwrap(), mutation.key);
                table.insert(key.clone(), item.clone());
            }
            if timestamped {
                let number = |value: &Value| match value {
                    Value::N(number) => number.clone(),
                    other => panic!("{other:?}"),
                };
                let at = &attributes["at"];
                if let Some(last) = newest.insert(key, at.clone()) {
                    assert!(number(&last) <= number(at), "{last:?} then {at:?}");
                }
            }
        }
        counts
    }

    #[test]
    fn every_write_fits_and_timestamps_never_go_back() {
        let loaded: Vec<Item> = generated(60).items().map(Result::unwrap).collect();
        let mutations = run(generated(60), Some(clock()), 3, 4000);
        let counts = follow(loaded, &mutations, true);
        for action in [
            Action::Create,
            Action::Update,
            Action::Replace,
            Action::Delete,
            Action::Recreate,
        ] {
            assert!(counts[&action] > 100, "{counts:?}");
        }
        let at = |m: &Mutation| match &m.request {
            Request::Put(item) | Request::Set(item) => item.get("at").cloned(),
            Request::Delete => None,
        };
        let ties = mutations
            .windows(2)
            .filter(|w| w[0].key == w[1].key && at(&w[0]).is_some() && at(&w[0]) == at(&w[1]));
        assert!(ties.count() > 5, "some writes of one item share a timestamp");
        let bursts = mutations
            .windows(3)
            .filter(|w| w[0].key == w[1].key && w[1].key == w[2].key);
        assert!(
            bursts.count() > 100,
            "some items are written several times in a row"
        );
    }

    #[test]
    fn the_users_items_are_created_noted_and_kept_alive() {
        let loaded: Vec<Item> = sampled(100).items().map(Result::unwrap).collect();
        let mutations = run(sampled(100), None, 3, 5000);
        assert_eq!(mutations.len(), 5000);
        let counts = follow(loaded, &mutations, false);
        assert_eq!(
            counts[&Action::Create],
            10,
            "what was held back, and nothing else"
        );
        let dead = counts[&Action::Delete] - counts[&Action::Recreate];
        assert!(dead < 30, "the writers do not empty the table: {counts:?}");
        let noted = mutations
            .iter()
            .filter(|m| matches!(&m.request, Request::Set(set) if set.contains_key(NOTE_ATTRIBUTE)));
        assert_eq!(noted.count(), counts[&Action::Update]);
    }

    #[test]
    fn tasks_never_share_a_key() {
        let mut owners: HashMap<Vec<u8>, usize> = HashMap::new();
        for (task, share) in generated(40).split(4).into_iter().enumerate() {
            let mut mutator = Mutator::new(share, None, task as u64);
            for _ in 0..500 {
                let key = mutator.next_mutation().unwrap().unwrap().key.encode();
                assert_eq!(*owners.entry(key).or_insert(task), task);
            }
        }
    }

    #[test]
    fn new_items_never_take_a_key_that_is_taken() {
        let spec = spec(json!([{"item": {"pk": "A", "sk": "{n%20}"}}]));
        let generator = Generator::new(&spec, 1, || Value::N(1.into())).unwrap();
        let population = Population::generated(generator, 15, &keys()).unwrap();
        let loaded: Vec<Item> = population.items().map(Result::unwrap).collect();
        let counts = follow(loaded, &run(population, None, 5, 1000), false);
        assert_eq!(counts[&Action::Create], 5);
    }

    #[test]
    fn nothing_to_write_to_is_no_mutation() {
        assert!(run(sampled(0), None, 1, 10).is_empty());
    }
}

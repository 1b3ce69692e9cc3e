//! Tests of the writes that a rehearsal makes.

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

/// A clock that runs, stops and goes back.
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

/// Follows the writes in a table of its own: each must fit the existing item, and timestamps never go back.
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

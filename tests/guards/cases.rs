//! Seeded cases: what a target holds, and a guard that has much to do with it.

use dynasplit::flow::{Guard, VersionFields};
use dynasplit::model::{Item, Number, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE, Value, Version};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Partition key of the table: a name that an expression can't spell.
pub const PARTITION: &str = "part ition.key";
/// Names under which live items show their version: a plain one, others that no expression can spell, and the
/// reserved one.
const LIVE: [&str; 5] = [
    "at",
    "last.modified",
    "updated at",
    "timestamp",
    VERSION_ATTRIBUTE,
];
const NAMES: [&str; 8] = ["a", "a.b", "a b", "size", "é\"", "#p", ":v", "follower#"];
const NUMBERS: [&str; 7] = ["-2", "0", "1", "1.0", "1.5", "10", "1e30"];
const TEXTS: [&str; 7] = [
    "",
    "1",
    "10",
    "2",
    "2024-02-29T10:00:00.500Z",
    "2024-02-29T10:00:00Z",
    "0000000001:0000000000000000000000000000000000000007",
];

/// One item key and what is tried on it.
pub struct Case {
    pub key: String,
    pub fields: VersionFields,
    pub held: Option<Item>,
    pub guard: Guard,
    /// A put, or else a delete.
    pub put: bool,
}

fn n(text: &str) -> Number {
    Number::parse(text).expect("a number")
}

fn pick<T: Clone>(pool: &[T], rng: &mut StdRng) -> T {
    pool.choose(rng).expect("a pool").clone()
}

/// A value of any type, often nested.
fn any(depth: u8, rng: &mut StdRng) -> Value {
    match rng.random_range(0..if depth == 0 { 8 } else { 10 }) {
        0 => Value::s(pick(&TEXTS, rng)),
        1 => Value::N(n(pick(&NUMBERS, rng))),
        2 => Value::B((0..rng.random_range(0..4)).map(|_| rng.random()).collect()),
        3 => Value::Bool(rng.random()),
        4 => Value::Null,
        5 => Value::string_set(vec![pick(&TEXTS, rng).into(), "x".into()]),
        6 => Value::number_set(vec![n(pick(&NUMBERS, rng)), n("7")]),
        7 => Value::binary_set(vec![vec![rng.random_range(0..3)], vec![]]),
        8 => Value::L((0..rng.random_range(0..3)).map(|_| any(depth - 1, rng)).collect()),
        _ => Value::M(
            (0..rng.random_range(0..3))
                .map(|_| (pick(&NAMES, rng).to_owned(), any(depth - 1, rng)))
                .collect(),
        ),
    }
}

/// What may stand where a version is looked for: nothing, a version, or something else.
fn shown(rng: &mut StdRng) -> Option<Value> {
    match rng.random_range(0..10) {
        0..3 => None,
        3..6 => Some(Value::N(n(pick(&NUMBERS, rng)))),
        6..9 => Some(Value::s(pick(&TEXTS, rng))),
        _ => Some(any(1, rng)),
    }
}

fn held(key: &str, fields: &VersionFields, rng: &mut StdRng) -> Item {
    let mut item = Item::from([(fields.partition.clone(), Value::s(key))]);
    if rng.random_bool(0.3) {
        // A tombstone, with its version or without, and with the epoch of the switch that left it or without.
        let marker = if rng.random() {
            Value::Bool(true)
        } else {
            Value::N(rng.random_range(1..9).into())
        };
        item.insert(TOMBSTONE_ATTRIBUTE.into(), marker);
        item.extend(shown(rng).map(|value| (VERSION_ATTRIBUTE.to_owned(), value)));
        return item;
    }
    item.extend(shown(rng).map(|value| (fields.live.clone(), value)));
    if rng.random_bool(0.1) {
        item.extend(shown(rng).map(|value| (VERSION_ATTRIBUTE.to_owned(), value)));
    }
    for _ in 0..rng.random_range(0..4) {
        item.insert(pick(&NAMES, rng).into(), any(3, rng));
    }
    if rng.random_bool(0.03) {
        // More than an expression can compare.
        item.extend((0..160).map(|i| (format!("attribute {i}"), Value::N(i.into()))));
    }
    item
}

/// What a repair has read: mostly what is there, often with one difference.
fn read(key: &str, fields: &VersionFields, held: Option<&Item>, rng: &mut StdRng) -> Item {
    let mut read = match held {
        Some(held) => held.clone(),
        None => self::held(key, fields, rng),
    };
    // A repair reads a tombstone as absent, so what it read is none.
    read.remove(TOMBSTONE_ATTRIBUTE);
    match rng.random_range(0..8) {
        0 => drop(read.insert(pick(&NAMES, rng).into(), any(3, rng))),
        1 => drop(read.remove(VERSION_ATTRIBUTE)),
        2 => drop(read.remove(&fields.live)),
        3 => read.extend(shown(rng).map(|value| (fields.live.clone(), value))),
        4 => {
            let names: Vec<String> = read
                .keys()
                .filter(|name| **name != fields.partition)
                .cloned()
                .collect();
            if let Some(name) = names.choose(rng) {
                read.insert(name.clone(), any(3, rng));
            }
        }
        _ => {}
    }
    read
}

fn guard(key: &str, fields: &VersionFields, held: Option<&Item>, rng: &mut StdRng) -> Guard {
    // Mostly of the kind that stands there.
    let standing = held.and_then(|held| held.get(&fields.live).or_else(|| held.get(VERSION_ATTRIBUTE)));
    let number = match standing {
        Some(value @ (Value::N(_) | Value::S(_))) if rng.random_bool(0.8) => matches!(value, Value::N(_)),
        _ => rng.random(),
    };
    let version = if number {
        Version::Number(n(pick(&NUMBERS, rng)))
    } else {
        Version::Text(pick(&TEXTS, rng).into())
    };
    match rng.random_range(0..12) {
        0..4 => Guard::NotNewer(version),
        4..8 => Guard::Older(version),
        8 => Guard::Absent,
        9 => Guard::Any,
        _ => Guard::Unchanged(Box::new(read(key, fields, held, rng))),
    }
}

/// So many cases, each with a key of its own.
pub fn cases(count: usize, rng: &mut StdRng) -> Vec<Case> {
    (0..count)
        .map(|index| {
            let key = format!("case {index}");
            let fields = VersionFields {
                partition: PARTITION.into(),
                live: pick(&LIVE, rng).into(),
            };
            let held = rng.random_bool(0.7).then(|| held(&key, &fields, rng));
            let guard = guard(&key, &fields, held.as_ref(), rng);
            Case {
                key,
                fields,
                held,
                guard,
                put: rng.random(),
            }
        })
        .collect()
}

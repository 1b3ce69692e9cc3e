//! Every kind of thing that a target may hold where a guard looks, against every kind of guard: what chance might miss.

use crate::guards::cases::{Case, PARTITION};
use dynasplit::flow::{Guard, VersionFields, tombstone, tombstone_of};
use dynasplit::model::{Item, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE, Value, Version};

/// Under this name, which no expression can spell, live items show their version; or under the reserved one.
const LIVE: [&str; 2] = ["last.modified", VERSION_ATTRIBUTE];

fn n(number: i64) -> Value {
    Value::N(number.into())
}

/// What stands in a version's place: nothing, an older, the same or a newer one of either kind, or no version at all.
fn shown() -> Vec<Option<Value>> {
    let mut shown = vec![None];
    shown.extend([n(1), n(2), n(3)].map(Some));
    shown.extend(["1", "2", "3", ""].map(|text| Some(Value::s(text))));
    let others = [
        Value::Bool(true),
        Value::Null,
        Value::B(b"2".to_vec()),
        Value::L(vec![n(2)]),
        Value::M([("2".to_owned(), n(2))].into()),
        Value::number_set(vec![2.into()]),
        Value::string_set(vec!["2".into()]),
    ];
    shown.extend(others.map(Some));
    shown
}

/// What may stand in the reserved place beside a live version.
fn beside() -> Vec<Option<Value>> {
    vec![
        None,
        Some(n(1)),
        Some(n(3)),
        Some(Value::s("2")),
        Some(Value::Bool(false)),
    ]
}

fn versions() -> Vec<Option<Version>> {
    let mut versions = vec![None];
    versions.extend([1, 2, 3].map(|number| Some(Version::Number(number.into()))));
    versions.push(Some(Version::Text("2".into())));
    versions
}

/// All that a target may hold under a key.
fn targets(key: &str, live: &str) -> Vec<Option<Item>> {
    let bare = Item::from([(PARTITION.to_owned(), Value::s(key))]);
    let mut targets = vec![None];
    for live_version in shown() {
        let beside = if live == VERSION_ATTRIBUTE {
            vec![None]
        } else {
            beside()
        };
        for reserved in beside {
            let mut item = bare.clone();
            item.extend(live_version.clone().map(|value| (live.to_owned(), value)));
            item.extend(reserved.map(|value| (VERSION_ATTRIBUTE.to_owned(), value)));
            targets.push(Some(item));
        }
    }
    for version in versions() {
        targets.push(Some(tombstone(bare.clone(), version.as_ref())));
        targets.push(Some(tombstone_of(7, bare.clone(), version.as_ref())));
    }
    targets
}

/// A repair read this, and what stands there now is it, or something else in one place.
fn reads(held: &Item, live: &str) -> Vec<Item> {
    let with = |name: &str, value: Value| {
        let mut read = held.clone();
        read.insert(name.to_owned(), value);
        read
    };
    let without = |name: &str| {
        let mut read = held.clone();
        read.remove(name);
        read
    };
    vec![
        held.clone(),
        without(TOMBSTONE_ATTRIBUTE),
        with(live, n(2)),
        without(live),
        with(VERSION_ATTRIBUTE, n(3)),
        without(VERSION_ATTRIBUTE),
        with("other", Value::Null),
    ]
}

fn guards(held: Option<&Item>, key: &str, live: &str) -> Vec<Guard> {
    let mut guards = vec![Guard::Absent, Guard::Any];
    for version in versions().into_iter().flatten() {
        guards.push(Guard::NotNewer(version.clone()));
        guards.push(Guard::Older(version));
    }
    let read = match held {
        Some(held) => reads(held, live),
        None => vec![Item::from([(PARTITION.to_owned(), Value::s(key))])],
    };
    guards.extend(read.into_iter().map(|read| Guard::Unchanged(Box::new(read))));
    guards
}

/// Items with more attributes than an expression compares: a change in the versions is always seen, one in the rest as
/// far as it goes.
fn wide(cases: &mut Vec<Case>) {
    for live in LIVE {
        for changed in [
            "",
            "a000",
            "a100",
            "a139",
            "a159",
            "z",
            live,
            VERSION_ATTRIBUTE,
            TOMBSTONE_ATTRIBUTE,
        ] {
            for versioned in [true, false] {
                let key = format!("wide {}", cases.len());
                let mut read: Item = (0..160).map(|i| (format!("a{i:03}"), n(i))).collect();
                read.insert(PARTITION.to_owned(), Value::s(&key));
                if versioned {
                    read.insert(live.to_owned(), n(1));
                    read.insert(VERSION_ATTRIBUTE.to_owned(), n(1));
                }
                let mut held = read.clone();
                if !changed.is_empty() {
                    held.insert(changed.to_owned(), n(-1));
                }
                cases.push(case(key, live, Some(held), Guard::Unchanged(Box::new(read))));
            }
        }
    }
}

fn case(key: String, live: &str, held: Option<Item>, guard: Guard) -> Case {
    let fields = VersionFields {
        partition: PARTITION.into(),
        live: live.into(),
    };
    let put = key.len().is_multiple_of(2);
    Case {
        key,
        fields,
        held,
        guard,
        put,
    }
}

/// One case of each.
pub fn every() -> Vec<Case> {
    let mut cases = vec![];
    wide(&mut cases);
    for live in LIVE {
        for (at, held) in targets("", live).into_iter().enumerate() {
            for guard in guards(held.as_ref(), "", live) {
                let key = format!("{live} {at} {}", cases.len());
                let named = |mut item: Item| {
                    item.insert(PARTITION.to_owned(), Value::s(&key));
                    item
                };
                let guard = match guard {
                    Guard::Unchanged(read) => Guard::Unchanged(Box::new(named(*read))),
                    other => other,
                };
                let held = held.clone().map(named);
                cases.push(case(key, live, held, guard));
            }
        }
    }
    cases
}

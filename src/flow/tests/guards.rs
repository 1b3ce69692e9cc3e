//! Each guard's expression, read by the plan's own evaluator, against its predicate: over every kind of thing that a
//! target may hold where a guard looks. (`tests/guards` asks real engines the same at random.)

use super::item;
use crate::flow::{Guard, GuardExpression, VersionFields, tombstone, tombstone_of};
use crate::model::{Item, Number, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE, Value, Version};
use crate::plan::Condition;

fn fields(live: &str) -> VersionFields {
    VersionFields {
        partition: "id".into(),
        live: live.into(),
    }
}

fn n(number: i64) -> Value {
    Value::N(number.into())
}

/// A value as the plan's language writes it.
fn written(value: &Value) -> String {
    match value {
        Value::S(text) => format!("'{text}'"),
        Value::N(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".into(),
        other => panic!("{other:?} is not needed"),
    }
}

/// The guard's expression with names and values in place.
fn condition(expression: &GuardExpression) -> Option<Condition> {
    if expression.text.is_empty() {
        assert!(expression.names.is_empty() && expression.values.is_empty());
        return None;
    }
    let mut text = String::new();
    let mut used = 0;
    for word in expression.text.split_inclusive([' ', '(', ')', ',']) {
        let (name, rest) = word.split_at(word.find([' ', '(', ')', ',']).unwrap_or(word.len()));
        let place = match name.chars().next() {
            Some('#') => format!("\"{}\"", expression.names[name]),
            Some(':') => written(&expression.values[name]),
            _ => name.to_owned(),
        };
        text += &place;
        text += rest;
        used += usize::from(place != name);
    }
    let placeholders = expression.names.len() + expression.values.len();
    assert!(
        used >= placeholders,
        "DynamoDB refuses unused placeholders: {text}"
    );
    Some(Condition::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

/// What may stand in a version's place.
fn shown() -> Vec<Option<Value>> {
    let mut shown = vec![None];
    shown.extend([n(1), n(2), n(3), n(4)].map(Some));
    shown.extend(["1", "2", "3", "4"].map(|text| Some(Value::s(text))));
    shown.extend([Value::Bool(true), Value::Null].map(Some));
    shown
}

/// What a target may hold: every live version beside every reserved one, as an item and as a tombstone.
fn targets(fields: &VersionFields) -> Vec<Option<Item>> {
    let mut targets = vec![None];
    let bare = item([("id", Value::s("x"))]);
    let reserved = if fields.live == VERSION_ATTRIBUTE {
        vec![None]
    } else {
        shown()
    };
    for live in shown() {
        for reserved in &reserved {
            let mut alive = bare.clone();
            alive.extend(live.clone().map(|value| (fields.live.clone(), value)));
            alive.extend(
                reserved
                    .clone()
                    .map(|value| (VERSION_ATTRIBUTE.to_owned(), value)),
            );
            targets.push(Some(alive));
        }
    }
    for version in [None, Some(v(1)), Some(v(2)), Some(v(3)), Some(t("2"))] {
        let version = version.as_ref();
        targets.push(Some(tombstone(bare.clone(), version)));
        targets.push(Some(tombstone_of(7, bare.clone(), version)));
    }
    targets
}

fn v(number: i64) -> Version {
    Version::Number(number.into())
}

fn t(text: &str) -> Version {
    Version::Text(text.into())
}

fn agree(fields: &VersionFields, guard: &Guard, targets: &[Option<Item>]) -> usize {
    let condition = condition(&guard.expression(fields));
    for held in targets {
        let decided = condition
            .as_ref()
            .is_none_or(|condition| condition.matches(&held.clone().unwrap_or_default()));
        assert_eq!(
            guard.allows(fields, held.as_ref()),
            decided,
            "{guard:?}\n{:?}\n{held:?}",
            guard.expression(fields)
        );
    }
    targets
        .iter()
        .filter(|held| guard.allows(fields, held.as_ref()))
        .count()
}

#[test]
fn each_expression_says_what_its_predicate_says() {
    for live in ["at", VERSION_ATTRIBUTE] {
        let fields = fields(live);
        let targets = targets(&fields);
        for version in [v(1), v(2), v(3), t("1"), t("2"), t("3")] {
            for guard in [Guard::NotNewer(version.clone()), Guard::Older(version.clone())] {
                let allowed = agree(&fields, &guard, &targets);
                assert!(
                    allowed > 0 && allowed < targets.len(),
                    "{guard:?} always says one thing"
                );
            }
        }
        assert_eq!(agree(&fields, &Guard::Absent, &targets), 1);
        assert_eq!(agree(&fields, &Guard::Any, &targets), targets.len());
        for read in targets.iter().flatten() {
            let allowed = agree(&fields, &Guard::Unchanged(Box::new(read.clone())), &targets);
            let tombstone = read.contains_key(TOMBSTONE_ATTRIBUTE);
            assert_eq!(
                allowed,
                usize::from(!tombstone),
                "only what was read, and no tombstone: {read:?}"
            );
        }
    }
}

#[test]
fn a_tie_between_live_and_reserved_versions_is_taken_as_either() {
    // As where a shape came to show the timestamp only later: what one of the two says is enough.
    let fields = fields("at");
    let both = |live, reserved| {
        Some(item([
            ("id", Value::s("x")),
            ("at", n(live)),
            (VERSION_ATTRIBUTE, n(reserved)),
        ]))
    };
    for (held, older, not_newer) in [
        (both(1, 9), true, true),
        (both(9, 1), true, true),
        (both(5, 9), false, true),
        (both(9, 5), false, true),
        (both(9, 9), false, false),
    ] {
        assert_eq!(
            Guard::Older(v(5)).allows(&fields, held.as_ref()),
            older,
            "{held:?}"
        );
        assert_eq!(
            Guard::NotNewer(v(5)).allows(&fields, held.as_ref()),
            not_newer,
            "{held:?}"
        );
    }
}

#[test]
fn a_repair_compares_the_versions_first_and_as_much_of_the_rest_as_fits() {
    for live in ["at", VERSION_ATTRIBUTE] {
        let fields = fields(live);
        // They all sort before the versions and the key.
        let mut read: Item = (0..200).map(|i| (format!("a{i:03}"), Value::s("x"))).collect();
        read.insert("id".into(), Value::s("x"));
        read.insert("at".into(), n(1));
        read.insert(VERSION_ATTRIBUTE.into(), n(1));
        let guard = Guard::Unchanged(Box::new(read.clone()));
        let expression = guard.expression(&fields);
        assert_eq!(expression.values.len(), 140);
        assert!(expression.text.len() < 4096);
        let with = |name: &str, value: Value| {
            let mut held = read.clone();
            held.insert(name.into(), value);
            Some(held)
        };
        let mut newer = read.clone();
        newer.remove(live);
        let tombstone = tombstone(read.clone(), None);
        for (held, expected) in [
            (Some(read.clone()), true),
            (with("a000", Value::s("y")), false),
            (with("a130", Value::s("y")), false),
            (with("a199", Value::s("y")), true),
            (with("b", n(1)), true),
            (with(live, n(2)), false),
            (with(VERSION_ATTRIBUTE, n(2)), false),
            (Some(newer), false),
            (Some(tombstone), false),
            (None, false),
        ] {
            assert_eq!(guard.allows(&fields, held.as_ref()), expected);
            agree(&fields, &guard, &[held]);
        }
        // Whoever writes after the read may set a version that was not there.
        for missing in [live, VERSION_ATTRIBUTE] {
            let mut unversioned = read.clone();
            unversioned.remove(missing);
            let guard = Guard::Unchanged(Box::new(unversioned.clone()));
            let mut set = unversioned.clone();
            set.insert(missing.into(), n(1));
            let targets = [Some(unversioned), Some(set)];
            assert!(guard.allows(&fields, targets[0].as_ref()));
            assert!(!guard.allows(&fields, targets[1].as_ref()));
            agree(&fields, &guard, &targets);
        }
    }
}

#[test]
fn epochs_are_told_as_far_as_they_go() {
    use crate::flow::tombstone_epoch;
    let of = |value: Value| tombstone_epoch(&item([(TOMBSTONE_ATTRIBUTE, value)]));
    assert_eq!(of(n(12)), 12);
    assert_eq!(of(Value::N(Number::parse("1.5").unwrap())), 0);
    assert_eq!(of(n(-1)), 0);
    assert_eq!(of(Value::s("12")), 0);
    assert_eq!(
        tombstone_epoch(&tombstone_of(u64::MAX, Item::new(), None)),
        i64::MAX as u64
    );
    assert_eq!(tombstone_epoch(&Item::new()), 0);
}

//! Services with several shapes: routing, shaping, and what a change from one shape to another does.

use super::{item, page, record};
use crate::flow::{Fault, Group, VersionFields, WriteKind, desired, effects};
use crate::model::cases::{cases, texts};
use crate::model::{Item, Key, VERSION_ATTRIBUTE, Value};
use crate::plan::{KeyFault, Plan};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

/// Each shape as `where | from | to | more of the transform`.
pub(super) fn plan(shapes: &[String], vouch: &str) -> Result<Plan, String> {
    let mut text = "version: 1\nsplit: s\nsource: { table: Old, keys: { partition: PK, sort: SK } }\n\
        timestamp: { attribute: at, type: N }\nunrouted: fail\nservices:\n  - name: a\n    table: { name: New, keys: { partition: \
        id, sort: n } }\n    shapes:\n"
        .to_owned();
    for shape in shapes {
        let parts: Vec<&str> = shape.split(" | ").collect();
        text += &format!(
            "      - where: {}\n        transform: {{ keys: {{ from: {{ {} }}, to: {{ {} }}{vouch} }}, {} }}\n",
            parts[0], parts[1], parts[2], parts[3]
        );
    }
    Plan::parse(&text, "plan.yaml").map_err(|error| format!("{error}\n{text}"))
}

fn apart() -> Plan {
    let shapes = [
        "begins_with(PK, 'A#') | PK: 'A#{a}', SK: '{n}' | id: 'a#{a}', n: '{n}' | drop: [PK, SK]",
        "begins_with(PK, 'B#') AND kind = 'b' | PK: 'B#{b}', SK: '{n}' | id: 'b#{b}', n: '{n}' | keep: [x]",
    ];
    plan(&shapes.map(str::to_owned), "").unwrap_or_else(|error| panic!("{error}"))
}

fn source(pk: &str, sk: &str, more: &[(&str, Value)]) -> Item {
    let mut made = item([
        ("PK", Value::s(pk)),
        ("SK", Value::s(sk)),
        ("at", Value::N(5.into())),
    ]);
    made.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    made
}

fn target(id: &str, n: &str) -> Key {
    Key {
        partition: Value::s(id),
        sort: Some(Value::s(n)),
    }
}

#[test]
fn the_shape_that_takes_an_item_shapes_it() {
    let plan = apart();
    let service = &plan.services[0];
    let of = |item: Item| desired(service, &plan.versions, &item).unwrap();
    let x = ("x", Value::s("1"));
    let first = of(source("A#1", "s", std::slice::from_ref(&x))).unwrap();
    assert_eq!(first.key, target("a#1", "s"));
    assert!(first.item.contains_key("at") && first.item.contains_key("x"));
    let second = of(source(
        "B#1",
        "s",
        &[x, ("kind", Value::s("b")), ("y", Value::s("2"))],
    ))
    .unwrap();
    assert_eq!(second.key, target("b#1", "s"));
    assert!(second.item.contains_key("x") && !second.item.contains_key("y"));
    assert_eq!(of(source("B#1", "s", &[])), None, "it is of no kind");
    assert_eq!(of(source("C#1", "s", &[])), None);
}

#[test]
fn the_version_has_one_place_in_all_shapes() {
    // The second shape does not keep the timestamp, so neither shows it where guards look.
    let plan = apart();
    let service = &plan.services[0];
    assert_eq!(
        service.version_fields(&plan.versions),
        VersionFields {
            partition: "id".into(),
            live: VERSION_ATTRIBUTE.into()
        }
    );
    for made in [
        source("A#1", "s", &[]),
        source("B#1", "s", &[("kind", Value::s("b"))]),
    ] {
        let wanted = desired(service, &plan.versions, &made).unwrap().unwrap();
        assert_eq!(wanted.item[VERSION_ATTRIBUTE], Value::N(5.into()));
    }
}

#[test]
fn an_item_that_two_shapes_take_is_a_dead_letter() {
    let shapes = [
        "begins_with(PK, 'A') | PK: 'A{a}', SK: '{n}' | id: 'a#{a}', n: '{n}' | drop: [PK, SK]",
        "kind = 'b' | PK: '{b}', SK: '{n}' | id: 'b#{b}', n: '{n}' | drop: [PK, SK]",
    ];
    let plan = plan(
        &shapes.map(str::to_owned),
        ", vouch: nobody gives both to one item",
    )
    .unwrap();
    let of = |kind: &str| {
        let both = source("A1", "s", &[("kind", Value::s(kind))]);
        desired(&plan.services[0], &plan.versions, &both)
    };
    assert_eq!(of("b"), Err(Fault::SeveralShapes { first: 0, second: 1 }));
    assert_eq!(of("a").unwrap().unwrap().key, target("a#1", "s"));
}

/// Only with a vouch: then the key that an item had under its other shape is removed.
#[test]
fn an_item_that_changes_its_shape_leaves_nothing_behind() {
    let shapes = ["a", "b"].map(|kind| {
        format!(
            "kind = '{kind}' | PK: '{{p}}', SK: '{{n}}' | id: '{kind}#{{p}}', n: '{{n}}' | drop: [PK, SK]"
        )
    });
    let plan = plan(&shapes, ", vouch: an item is one or the other").unwrap();
    let image = |kind: &str, at: i64| {
        let mut made = source("1", "s", &[("kind", Value::s(kind))]);
        made.insert("at".into(), Value::N(at.into()));
        made
    };
    let group = Group {
        key: super::key("the item"),
        changes: vec![record(1, Some(image("a", 1)), Some(image("b", 2)))],
    };
    let done = effects(&plan.services[0], &plan.versions, &group);
    let mut writes: Vec<_> = done
        .writes
        .iter()
        .map(|write| (write.key.to_string(), matches!(write.kind, WriteKind::Put(_))))
        .collect();
    writes.sort();
    assert_eq!(
        writes,
        [("a#1 / s".to_owned(), false), ("b#1 / s".to_owned(), true)]
    );
    let group = Group {
        key: super::key("the item"),
        changes: vec![page(image("b", 2))],
    };
    assert_eq!(effects(&plan.services[0], &plan.versions, &group).writes.len(), 1);
    // Its source is not known from the target's key; the keys that it may have are.
    let service = &plan.services[0];
    let schema = &plan.source.keys;
    let key = schema.key_of(&image("a", 1)).unwrap();
    assert_eq!(
        service.target_keys(&key, schema),
        [target("a#1", "s"), target("b#1", "s")]
    );
    assert_eq!(service.target_keys_of(&image("b", 2), schema).len(), 2);
}

#[test]
fn a_text_that_is_no_number_is_a_dead_letter() {
    let text = "version: 1\nsplit: s\nsource: { table: Old, keys: { partition: PK, sort: SK } }\ntimestamp: none\nunrouted: fail\n\
        services:\n  - name: a\n    where: attribute_exists(PK)\n    table: { name: New, keys: { partition: id, sort: { name: epoch, type: \
        N } } }\n    transform: { keys: { from: { PK: '{id}', SK: 'EVENT#{epoch}' }, to: { id: '{id}', epoch: '{epoch:N}' } } }\n";
    let plan = Plan::parse(text, "p").unwrap_or_else(|error| panic!("{error}"));
    let service = &plan.services[0];
    assert!(service.is_injective());
    let of = |sk: &str| desired(service, &plan.versions, &source("x", sk, &[]));
    for sk in [
        "EVENT#0",
        "EVENT#1764337427",
        "EVENT#-0.5",
        "EVENT#100000000000000000000000000000000000000000",
    ] {
        let made = of(sk).unwrap().unwrap();
        let Some(Value::N(number)) = &made.key.sort else {
            panic!("{made:?}")
        };
        assert_eq!(format!("EVENT#{number}"), sk);
        assert_eq!(
            service.source_keys(&made.key),
            [plan.source.keys.key_of(&source("x", sk, &[])).unwrap()]
        );
    }
    for sk in [
        "EVENT#007",
        "EVENT#1.0",
        "EVENT#+1",
        "EVENT#-0",
        "EVENT#1E3",
        "EVENT# 1",
        "EVENT#x",
        "EVENT#.5",
        "EVENT#1e999",
    ] {
        let fault = of(sk).unwrap_err();
        assert!(
            matches!(&fault, Fault::Key(KeyFault::NoNumber { capture, value: Some(value), .. }) if capture == "epoch" && sk.ends_with(value.as_str())),
            "{sk}: {fault}"
        );
        assert!(
            fault.to_string().contains("is not a number in plain digits"),
            "{fault}"
        );
    }
}

/// A shape over a small alphabet: what it asks of the keys, how it reads them and what it makes of them.
pub(super) fn shape() -> impl Strategy<Value = String> {
    let asked = prop_oneof![
        3 => "begins_with\\(PK, '[ab]#?'\\)",
        1 => "SK = '[ab]'",
        1 => "begins_with\\(SK, '[ab]'\\)",
        1 => "begins_with\\(PK, '[ab]'\\) AND SK = '[ab]'",
    ];
    let made = prop_oneof![
        3 => "id: '[ab]?#?\\{p\\}[ab]?', n: '[ab]?\\{s\\}'",
        1 => "id: '[ab]?\\{s\\}', n: '[ab]?\\{p\\}'",
        1 => "id: '[ab]?\\{p\\}', n: '[ab#]'",
    ];
    let read = prop_oneof![
        2 => "PK: '[ab]?#?\\{p\\}', SK: '\\{s\\}'",
        1 => "PK: '\\{p\\}', SK: '\\{s\\}'",
        1 => "PK: '\\{p\\}', SK: '[ab]?\\{s\\}'",
        1 => "PK: '[ab]?\\{p\\}'",
    ];
    (asked, read, made).prop_map(|(asked, read, made)| format!("{asked} | {read} | {made} | drop: [PK, SK]"))
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..cases(40) })]

    /// The proof against brute force: where it accepts several shapes, each source key over a small alphabet leads to one
    /// target key at most, no two lead to the same, and every target key leads back.
    #[test]
    fn what_is_proven_of_shapes_holds_for_every_small_key(shapes in prop::collection::vec(shape(), 2..4)) {
        let plan = plan(&shapes, "");
        prop_assume!(plan.is_ok());
        let plan = plan.unwrap();
        let service = &plan.services[0];
        prop_assert!(service.is_injective());
        let schema = &plan.source.keys;
        let mut seen: HashMap<Key, Key> = HashMap::new();
        let mut shapes_seen = BTreeSet::new();
        for p in texts(3).iter().filter(|text| !text.is_empty()) {
            for s in texts(3).iter().filter(|text| !text.is_empty()) {
                let image = source(p, s, &[]);
                let source_key = schema.key_of(&image).unwrap();
                let takers: Vec<usize> = (0..shapes.len()).filter(|n| service.shapes[*n].condition.matches(&image)).collect();
                prop_assert!(takers.iter().all(|n| service.shapes[*n].may_take(&source_key)) || desired(service, &plan.versions, &image).is_err());
                let Ok(Some(made)) = desired(service, &plan.versions, &image) else { continue };
                shapes_seen.insert(takers[0]);
                prop_assert_eq!(service.target_keys(&source_key, schema), [made.key.clone()]);
                prop_assert_eq!(service.source_keys(&made.key), [source_key.clone()]);
                if let Some(other) = seen.insert(made.key, source_key.clone()) {
                    prop_assert!(false, "{} and {} share a target key", other, source_key);
                }
            }
        }
    }
}

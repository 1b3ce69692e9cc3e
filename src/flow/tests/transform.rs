//! Shapes: what is kept under which name, and everything that DynamoDB would refuse.

use super::{item, key, plan};
use crate::flow::{Desired, Fault, Watched, desired, watch};
use crate::model::{
    AttributeKind, Item, ItemExt, Key, KeyAttribute, MAX_ITEM_BYTES, Number, VERSION_ATTRIBUTE, Value,
};
use crate::plan::{KeyFault, Plan};

const TIMES: &str = "{ attribute: at, type: N }";

fn n(text: &str) -> Value {
    Value::N(Number::parse(text).unwrap())
}

fn mine<const N: usize>(attributes: [(&str, Value); N]) -> Item {
    let mut image = item([("id", Value::s("1")), ("kind", Value::s("mine"))]);
    image.extend(item(attributes));
    image
}

fn shaped(plan: &Plan, image: &Item) -> Result<(Key, Item), Fault> {
    crate::flow::shaped(
        &plan.services[0],
        &plan.services[0].shapes[0],
        &plan.versions,
        image,
    )
}

/// A service whose items are copied as they are.
fn whole(timestamp: &str) -> Plan {
    plan(timestamp, "    table: { name: Mine, keys: { partition: id } }\n")
}

fn transformed(timestamp: &str, transform: &str) -> Plan {
    plan(
        timestamp,
        &format!("    table: {{ name: Mine, keys: {{ partition: id }} }}\n    transform: {transform}\n"),
    )
}

#[test]
fn without_a_transform_an_item_is_copied_as_it_is() {
    let image = mine([("at", n("7")), ("a.b c", Value::Bs(vec![vec![], vec![1]]))]);
    assert_eq!(shaped(&whole(TIMES), &image), Ok((key("1"), image.clone())));
    assert_eq!(shaped(&whole("none"), &image), Ok((key("1"), image)));
}

#[test]
fn what_does_not_belong_is_none_whatever_it_looks_like() {
    let plan = whole(TIMES);
    let other = item([("kind", Value::s("other")), ("dynasplit:x", Value::Null)]);
    assert_eq!(desired(&plan.services[0], &plan.versions, &other), Ok(None));
}

#[test]
fn keep_drop_and_rename_work_on_the_sources_names() {
    let image = mine([
        ("at", n("7")),
        ("a", Value::s("1")),
        ("b", Value::s("2")),
        ("c", Value::s("3")),
    ]);
    let names = |plan: &Plan| {
        let (_, item) = shaped(plan, &image).unwrap();
        item.into_keys().collect::<Vec<_>>().join(" ")
    };
    for (transform, expected) in [
        ("{ keep: [a, nowhere] }", "a dynasplit:version id"),
        ("{ keep: [at, a] }", "a at id"),
        ("{ drop: [a, kind, nowhere] }", "at b c id"),
        ("{ drop: [at] }", "a b c dynasplit:version id kind"),
        ("{ rename: { a: z, nowhere: y } }", "at b c id kind z"),
        ("{ rename: { at: when } }", "a b c dynasplit:version id kind when"),
        (
            "{ keep: [a, at], rename: { a: z, at: when } }",
            "dynasplit:version id when z",
        ),
        // Two that change places do not collide.
        ("{ rename: { a: b, b: a } }", "a at b c id kind"),
        ("{ rename: { a: b, b: c, c: a } }", "a at b c id kind"),
        ("{ rename: { a: b }, drop: [b] }", "at b c id kind"),
    ] {
        assert_eq!(names(&transformed(TIMES, transform)), expected, "{transform}");
    }
    let (_, swapped) = shaped(&transformed(TIMES, "{ rename: { a: b, b: a } }"), &image).unwrap();
    assert_eq!((&swapped["a"], &swapped["b"]), (&Value::s("2"), &Value::s("1")));
}

#[test]
fn the_version_is_kept_under_the_reserved_name_where_the_shape_does_not_show_it() {
    let image = mine([("at", n("7.0"))]);
    for (transform, live) in [
        ("{ drop: [kind] }", "at"),
        ("{ drop: [at] }", VERSION_ATTRIBUTE),
        ("{ keep: [kind] }", VERSION_ATTRIBUTE),
        ("{ rename: { at: when } }", VERSION_ATTRIBUTE),
    ] {
        let plan = transformed(TIMES, transform);
        let service = &plan.services[0];
        let fields = service.version_fields(&plan.versions);
        assert_eq!((&*fields.live, &*fields.partition), (live, "id"), "{transform}");
        let (_, item) = shaped(&plan, &image).unwrap();
        assert_eq!(item[live], n("7"), "{transform}");
        assert_eq!(item.contains_key(VERSION_ATTRIBUTE), live == VERSION_ATTRIBUTE);
        // Without a sound timestamp there is no version; the attribute itself is copied as it comes.
        for bad in [mine([]), mine([("at", Value::s("7"))])] {
            let (_, item) = shaped(&plan, &bad).unwrap();
            assert!(!item.contains_key(VERSION_ATTRIBUTE), "{transform}");
        }
    }
    let plan = transformed("none", "{ drop: [kind] }");
    let live = plan.services[0].version_fields(&plan.versions).live;
    assert_eq!(live, VERSION_ATTRIBUTE, "stamps are the tail's to add");
    assert!(!shaped(&plan, &image).unwrap().1.contains_key(VERSION_ATTRIBUTE));
}

#[test]
fn two_attributes_never_get_one_name() {
    let plan = transformed(TIMES, "{ rename: { a: b } }");
    let image = mine([("a", Value::s("1")), ("b", Value::s("1"))]);
    let fault = shaped(&plan, &image).unwrap_err();
    assert!(
        matches!(fault, Fault::RenameOverwrites { .. }),
        "even with one value"
    );
    // The same, whichever name sorts first.
    let plan = transformed(TIMES, "{ rename: { c: b } }");
    let image = mine([("b", Value::s("1")), ("c", Value::s("2"))]);
    let fault = shaped(&plan, &image).unwrap_err();
    let expected = Fault::RenameOverwrites {
        from: "c".into(),
        to: "b".into(),
    };
    assert_eq!(fault, expected);
}

#[test]
fn a_target_key_overwrites_no_other_value() {
    let made = "
    table: { name: Mine, keys: { partition: ref } }
    transform: { keys: { from: { id: 'ITEM#{n}' }, to: { ref: '{n}' } } }
";
    let plan = plan(TIMES, made);
    let with = |other: &str| {
        let mut image = mine([("ref", Value::s(other))]);
        image.insert("id".into(), Value::s("ITEM#5"));
        shaped(&plan, &image)
    };
    let expected = Fault::KeyOverwrites {
        attribute: "ref".into(),
    };
    assert_eq!(with("6"), Err(expected));
    let (made, item) = with("5").unwrap();
    assert_eq!((made, &item["ref"]), (key("5"), &Value::s("5")));
}

#[test]
fn reserved_names_are_refused_even_where_they_would_be_dropped() {
    for transform in ["{ drop: [kind] }", "{ keep: [at] }"] {
        let image = mine([(VERSION_ATTRIBUTE, n("1"))]);
        let fault = shaped(&transformed(TIMES, transform), &image).unwrap_err();
        assert!(matches!(fault, Fault::Reserved { .. }), "{transform}: {fault}");
    }
    // A name that only looks like one is anybody's.
    assert!(shaped(&whole(TIMES), &mine([("dynasplit", n("1"))])).is_ok());
}

#[test]
fn keys_that_can_not_be_made_are_faults() {
    let typed = "
    table: { name: Mine, keys: { partition: { name: no, type: N }, sort: { name: blob, type: B } } }
    transform:
      keys: { from: { number: '{a}', bytes: '{b}' }, to: { no: '{a}', blob: '{b}' }, vouch: they say so }
";
    let plan = plan(TIMES, typed);
    let with = |number: Value, bytes: Value| shaped(&plan, &mine([("number", number), ("bytes", bytes)]));
    let (made, shaped_item) = with(n("1.50"), Value::B(vec![0, 255])).unwrap();
    assert_eq!(
        (&made.partition, &made.sort),
        (&n("1.5"), &Some(Value::B(vec![0, 255])))
    );
    assert_eq!(
        (&shaped_item["no"], &shaped_item["blob"]),
        (&n("1.5"), &Value::B(vec![0, 255]))
    );
    assert!(with(n("1"), Value::B(vec![1; 1024])).is_ok());
    for (number, bytes) in [
        (Value::s("1"), Value::B(vec![1])),
        (n("1"), Value::s("1")),
        (n("1"), Value::B(vec![])),
        (n("1"), Value::B(vec![1; 1025])),
        (Value::Null, Value::B(vec![1])),
    ] {
        let fault = with(number, bytes).unwrap_err();
        assert!(matches!(fault, Fault::Key(_) | Fault::KeyValue { .. }), "{fault}");
    }
    let fault = shaped(&plan, &mine([("number", n("1"))])).unwrap_err();
    assert!(matches!(fault, Fault::Key(KeyFault::Missing { .. })), "{fault}");
    let long = mine([]);
    let long = Item::from_iter(
        long.into_iter()
            .chain([("id".to_owned(), Value::s("x".repeat(2049)))]),
    );
    let fault = shaped(&whole(TIMES), &long).unwrap_err();
    assert!(matches!(fault, Fault::Key(KeyFault::TooLong { .. })), "{fault}");
}

#[test]
fn what_an_index_would_refuse_is_a_fault() {
    let indexed = "
    table:
      name: Mine
      keys: { partition: id }
      global-indexes:
        - { name: by-state, keys: { partition: state, sort: { name: rank, type: N } } }
        - { name: by-blob, keys: { partition: { name: blob, type: B }, sort: tail } }
    transform: { rename: { st: state } }
";
    let plan = plan(TIMES, indexed);
    let found = |name: &str, value: Value| match shaped(&plan, &mine([(name, value)])) {
        Ok(_) => String::new(),
        Err(Fault::IndexKey {
            index,
            attribute,
            expected,
            found,
        }) => format!("{index} {attribute} {expected} {found}"),
        Err(other) => panic!("{other}"),
    };
    // Without them, the index leaves the item out.
    assert!(shaped(&plan, &mine([])).is_ok());
    for (name, value, expected) in [
        ("st", Value::s("x"), ""),
        ("st", n("1"), "by-state state S N"),
        ("st", Value::s(""), "by-state state S empty"),
        ("st", Value::Null, "by-state state S NULL"),
        ("st", Value::s("x".repeat(2048)), ""),
        ("rank", n("0"), ""),
        ("rank", Value::s("0"), "by-state rank N S"),
        ("blob", Value::B(vec![0]), ""),
        ("blob", Value::B(vec![]), "by-blob blob B empty"),
        ("blob", Value::string_set(vec!["x".into()]), "by-blob blob B SS"),
        ("tail", Value::s("x".repeat(1024)), ""),
        ("tail", Value::s(""), "by-blob tail S empty"),
    ] {
        assert_eq!(found(name, value.clone()), expected, "{name} {value:?}");
    }
    assert!(found("st", Value::s("x".repeat(2049))).starts_with("by-state state S longer"));
    assert!(found("tail", Value::s("é".repeat(513))).starts_with("by-blob tail S longer"));
}

#[test]
fn four_hundred_kilobytes_are_the_most() {
    let fill = |plan: &Plan, bytes: usize| {
        let bare = mine([("at", n("7")), ("pad", Value::s(""))]).size();
        shaped(
            plan,
            &mine([("at", n("7")), ("pad", Value::s("x".repeat(bytes - bare)))]),
        )
    };
    let plan = whole(TIMES);
    assert_eq!(fill(&plan, MAX_ITEM_BYTES).unwrap().1.size(), MAX_ITEM_BYTES);
    let expected = Fault::TooLarge {
        bytes: MAX_ITEM_BYTES + 1,
        own: 0,
    };
    assert_eq!(fill(&plan, MAX_ITEM_BYTES + 1).unwrap_err(), expected);
    // The stamp that the tail will add counts from the beginning, or only the backfill's put would fit.
    let plan = whole("none");
    let stamp = crate::flow::stamp(u32::MAX, &crate::model::SequenceNumber::new("1"));
    let own = VERSION_ATTRIBUTE.len() + stamp.to_value().size();
    assert!(fill(&plan, MAX_ITEM_BYTES - own).is_ok());
    let expected = Fault::TooLarge {
        bytes: MAX_ITEM_BYTES + 1,
        own,
    };
    assert_eq!(fill(&plan, MAX_ITEM_BYTES - own + 1).unwrap_err(), expected);
    // So does a timestamp that is kept twice, under its new name and the reserved one.
    let plan = transformed(TIMES, "{ rename: { at: AT } }");
    let own = VERSION_ATTRIBUTE.len() + n("7").size();
    assert!(fill(&plan, MAX_ITEM_BYTES - own).is_ok());
    let expected = Fault::TooLarge {
        bytes: MAX_ITEM_BYTES + 1,
        own,
    };
    assert_eq!(fill(&plan, MAX_ITEM_BYTES - own + 1).unwrap_err(), expected);
}

#[test]
fn readers_do_not_see_reserved_attributes() {
    let of = |attributes: [(&str, Value); 2]| Desired {
        key: key("1"),
        item: mine(attributes),
    };
    let seven = of([("a", n("1")), (VERSION_ATTRIBUTE, n("7"))]);
    assert!(seven.looks_like(&of([("a", n("1")), (VERSION_ATTRIBUTE, n("8"))])));
    assert!(!seven.looks_like(&of([("a", n("2")), (VERSION_ATTRIBUTE, n("7"))])));
    let elsewhere = Desired {
        key: key("2"),
        ..seven.clone()
    };
    assert!(!seven.looks_like(&elsewhere));
}

#[test]
fn keys_are_checked_once_more_against_the_tables() {
    let mut plan = whole(TIMES);
    assert!(shaped(&plan, &mine([])).is_ok());
    // As if the mapping had made a key of another type, or left out a part.
    plan.services[0].keys.partition.kind = AttributeKind::N;
    let fault = |attribute: &str| Fault::KeyValue {
        attribute: attribute.into(),
        problem: "missing or of another type",
    };
    assert_eq!(shaped(&plan, &mine([])), Err(fault("id")));
    plan.services[0].keys.partition.kind = AttributeKind::S;
    plan.services[0].keys.sort = Some(KeyAttribute {
        name: "part".into(),
        kind: AttributeKind::S,
    });
    assert_eq!(shaped(&plan, &mine([])), Err(fault("part")));
}

#[test]
fn nothing_is_ignored_that_nobody_takes() {
    let mut plan = whole(TIMES);
    let of = |plan: &Plan, kind: &str| watch(plan, &item([("id", Value::s("1")), ("kind", Value::s(kind))]));
    assert_eq!(of(&plan, "mine"), Watched::Routed);
    assert_eq!(of(&plan, "other"), Watched::LeftBehind);
    assert_eq!(of(&plan, "third"), Watched::Unrouted);
    plan.left_behind = None;
    assert_eq!(of(&plan, "other"), Watched::Unrouted);
    // What a service takes is routed, though the plan lists it as left behind too.
    plan.left_behind = Some(plan.services[0].shapes[0].condition.clone());
    assert_eq!(of(&plan, "mine"), Watched::Routed);
    // Whether it can be shaped is another question.
    assert_eq!(watch(&plan, &item([("kind", Value::s("mine"))])), Watched::Routed);
}

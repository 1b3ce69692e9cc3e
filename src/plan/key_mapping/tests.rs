//! Tests of key mappings, with all short keys.

use super::*;
use crate::model::cases::{cases, texts};
use crate::plan::key_pieces::from_text;
use proptest::prelude::*;
use std::collections::HashMap;

fn schema(partition: &str, sort: Option<&str>) -> KeySchema {
    let attribute = |text: &str| {
        let (name, kind) = text.split_once(':').unwrap_or((text, "S"));
        let kind = match kind {
            "N" => AttributeKind::N,
            "B" => AttributeKind::B,
            _ => AttributeKind::S,
        };
        KeyAttribute {
            name: name.to_owned(),
            kind,
        }
    };
    KeySchema {
        partition: attribute(partition),
        sort: sort.map(attribute),
    }
}

fn templates(list: &[(&str, &str)]) -> BTreeMap<String, Template> {
    list.iter()
        .map(|(name, text)| ((*name).to_owned(), Template::parse(text).unwrap()))
        .collect()
}

fn mapping(from: &[(&str, &str)], to: &[(&str, &str)]) -> KeyMapping {
    let target = schema(to[0].0, to.get(1).map(|t| t.0));
    KeyMapping::new(
        &schema("PK", Some("SK")),
        &target,
        &templates(from),
        &templates(to),
        BTreeMap::new(),
        None,
    )
}

fn item(pk: &str, sk: &str) -> Item {
    Item::from([("PK".to_owned(), Value::s(pk)), ("SK".to_owned(), Value::s(sk))])
}

fn key(partition: &str, sort: &str) -> Key {
    Key {
        partition: Value::s(partition),
        sort: Some(Value::s(sort)),
    }
}

#[test]
fn a_vouch_is_told_and_proves_nothing() {
    let of = |vouch: Option<&str>| {
        let (source, target) = (schema("PK", Some("SK")), schema("id", None));
        let (from, to) = (templates(&[("PK", "{id}")]), templates(&[("id", "{id}")]));
        KeyMapping::new(
            &source,
            &target,
            &from,
            &to,
            BTreeMap::new(),
            vouch.map(Into::into),
        )
    };
    assert_eq!(of(None).vouched(), None);
    let vouched = of(Some("each has one"));
    assert_eq!(vouched.vouched(), Some("each has one"));
    assert!(!vouched.is_injective() && !vouched.losses().is_empty());
    assert_eq!(
        vouched.invert(&Key {
            partition: Value::s("x"),
            sort: None
        }),
        None
    );
}

const COURSE: &[(&str, &str)] = &[
    ("PK", "COURSE#{course}"),
    ("SK", "MODULE#{module}#CONTENT#{content}"),
];

#[test]
fn keys_go_there_and_back() {
    let m = mapping(
        COURSE,
        &[("course", "{course}"), ("place", "{module}#CONTENT#{content}")],
    );
    assert_eq!(m.losses(), []);
    let there = m
        .apply(&item("COURSE#c#1", "MODULE#m1#CONTENT#a#CONTENT#b"))
        .unwrap();
    assert_eq!(there, key("c#1", "m1#CONTENT#a#CONTENT#b"));
    assert_eq!(
        m.invert(&there),
        Some(key("COURSE#c#1", "MODULE#m1#CONTENT#a#CONTENT#b"))
    );
    assert_eq!(
        m.invert(&key("c", "no-delimiter")),
        None,
        "no source key maps there"
    );
    assert_eq!(
        m.invert(&Key {
            partition: Value::s("c"),
            sort: None
        }),
        None
    );
}

#[test]
fn a_capture_needs_the_end_it_was_matched_by() {
    // `m#` and `1`, or `m` and `#1`? The module holds no `#CONTENT#`, but it may hold `#`.
    let m = mapping(COURSE, &[("course", "{course}"), ("place", "{module}#{content}")]);
    assert!(
        matches!(m.losses(), [Loss::Ambiguous { capture, .. }] if capture == "module"),
        "{:?}",
        m.losses()
    );
    let [one, two] =
        ["MODULE#m#CONTENT##1", "MODULE#m##CONTENT#1"].map(|sk| m.apply(&item("COURSE#c", sk)).unwrap());
    assert_eq!(one, two, "the counterexample");
    assert_eq!(m.invert(&one), None);
    // An unbounded capture in front.
    let m = mapping(COURSE, &[("a", "{content}#{course}"), ("b", "{module}")]);
    assert!(
        matches!(m.losses(), [Loss::Ambiguous { capture, .. }] if capture == "content"),
        "{:?}",
        m.losses()
    );
    // ... is known where it stands alone elsewhere.
    let m = mapping(
        COURSE,
        &[("a", "{content}#{module}#CONTENT#{course}"), ("b", "{content}")],
    );
    assert_eq!(m.losses(), []);
}

#[test]
fn what_is_lost_is_named() {
    let m = mapping(&[("PK", "COURSE#{course}")], &[("id", "{course}")]);
    assert_eq!(
        m.losses(),
        [Loss::Unread {
            attribute: "SK".into()
        }]
    );
    let m = mapping(&[("PK", "{a}#{b}"), ("SK", "META")], &[("id", "{a}")]);
    assert_eq!(
        m.losses(),
        [Loss::Unused {
            capture: "b".into(),
            attribute: "PK".into()
        }]
    );
    let m = mapping(
        &[("PK", "{a}"), ("SK", "META"), ("mail", "{m}")],
        &[("id", "{a}"), ("m", "{m}")],
    );
    assert_eq!(
        m.losses(),
        [Loss::Foreign {
            capture: "m".into(),
            attribute: "mail".into()
        }]
    );
}

#[test]
fn a_pinned_attribute_comes_back() {
    let pinned = BTreeMap::from([("SK".to_owned(), Value::s("METADATA"))]);
    let from = templates(&[("PK", "COURSE#{id}")]);
    let to = templates(&[("id", "{id}")]);
    let m = KeyMapping::new(
        &schema("PK", Some("SK")),
        &schema("id", None),
        &from,
        &to,
        pinned,
        None,
    );
    assert!(m.is_injective());
    let there = Key {
        partition: Value::s("7"),
        sort: None,
    };
    assert_eq!(m.apply(&item("COURSE#7", "METADATA")).unwrap(), there);
    assert_eq!(m.invert(&there), Some(key("COURSE#7", "METADATA")));
}

#[test]
fn numbers_and_binary_keep_their_type() {
    let source = schema("id:B", Some("at:N"));
    let from = templates(&[("id", "{id}"), ("at", "{at}")]);
    let to = templates(&[("id", "{id}"), ("at", "{at}")]);
    let build = |target: &KeySchema, to: BTreeMap<String, Template>| {
        KeyMapping::new(&source, target, &from, &to, BTreeMap::new(), None)
    };
    let m = build(&schema("id:B", Some("at:N")), to);
    let item = Item::from([
        ("id".to_owned(), Value::B(vec![1])),
        ("at".to_owned(), Value::N(Number::from(-5))),
    ]);
    let there = m.apply(&item).unwrap();
    assert_eq!(m.invert(&there), source.key_of(&item));
    let m = build(
        &schema("id:B", Some("at")),
        templates(&[("id", "{id}"), ("at", "T{at}#x")]),
    );
    let there = m.apply(&item).unwrap();
    assert_eq!(there.sort, Some(Value::s("T-5#x")));
    assert_eq!(m.invert(&there), source.key_of(&item));
    assert_eq!(m.type_flaws(), []);
    let not_canonical = Key {
        sort: Some(Value::s("T-5.0#x")),
        ..there
    };
    assert_eq!(m.invert(&not_canonical), None);
    let m = build(
        &schema("id", Some("at")),
        templates(&[("id", "x{id}"), ("at", "{at}")]),
    );
    assert!(matches!(
        &m.type_flaws()[..],
        [
            TypeFlaw::BinaryInText { .. },
            TypeFlaw::Makes {
                made: AttributeKind::N,
                ..
            }
        ]
    ));
}

#[test]
fn a_number_ends_where_no_number_goes_on() {
    let source = schema("id", Some("at:N"));
    let from = templates(&[("id", "{id}"), ("at", "{at}")]);
    for (template, proven) in [
        ("{at}#{id}", true),
        ("{at}{id}", false),
        ("{at}0{id}", false),
        ("{at}-{id}", false),
        ("{at}.{id}", false),
        ("{at}E{id}", true),
    ] {
        let to = templates(&[("x", template)]);
        let m = KeyMapping::new(&source, &schema("x", None), &from, &to, BTreeMap::new(), None);
        assert_eq!(m.is_injective(), proven, "{template}");
        let key = Key {
            partition: Value::s("7#8"),
            sort: Some(Value::N(Number::parse("-1.5e-90").unwrap())),
        };
        let there = m.apply(&source.item_of(&key)).unwrap();
        assert_eq!(m.invert(&there), proven.then_some(key));
    }
}

#[test]
fn a_number_in_a_text_has_all_its_digits() {
    let source = schema("id", Some("at:N"));
    let from = templates(&[("id", "{id}"), ("at", "{at}")]);
    let to = templates(&[("x", "{at}#{id}")]);
    let m = KeyMapping::new(&source, &schema("x", None), &from, &to, BTreeMap::new(), None);
    for (number, digits) in [
        ("1E40", format!("1{}", "0".repeat(40))),
        ("1e-21", format!("0.{}1", "0".repeat(20))),
        ("-9.5E125", format!("-95{}", "0".repeat(124))),
    ] {
        let key = Key {
            partition: Value::s("7"),
            sort: Some(Value::N(Number::parse(number).unwrap())),
        };
        let there = m.apply(&source.item_of(&key)).unwrap();
        assert_eq!(there.partition, Value::s(format!("{digits}#7")), "{number}");
        assert_eq!(m.invert(&there), Some(key));
    }
    let with_exponent = Key {
        partition: Value::s("1E40#7"),
        sort: None,
    };
    assert_eq!(m.invert(&with_exponent), None);
}

#[test]
fn faults_say_what_is_wrong_with_which_attribute() {
    let m = mapping(
        COURSE,
        &[("course", "{course}"), ("place", "{module}#CONTENT#{content}")],
    );
    let fault = |pk: Option<Value>, sk: &str| {
        let mut item = Item::from([("SK".to_owned(), Value::s(sk))]);
        item.extend(pk.map(|value| ("PK".to_owned(), value)));
        m.apply(&item).unwrap_err()
    };
    assert_eq!(
        fault(None, ""),
        KeyFault::Missing {
            attribute: "PK".into()
        }
    );
    assert!(matches!(
        fault(Some(Value::Null), ""),
        KeyFault::WrongType { found: "NULL", .. }
    ));
    for (pk, sk) in [
        ("course#1", "MODULE#m#CONTENT#c"),
        ("COURSE#", "MODULE#m#CONTENT#c"),
        ("COURSE#1", "MODULE##CONTENT#c"),
        ("COURSE#1", "MODULE#m#CONTENT#"),
        ("COURSE#1", "MODULE#m"),
    ] {
        assert!(
            matches!(
                fault(Some(Value::s(pk)), sk),
                KeyFault::NoMatch { value: Some(_), .. }
            ),
            "{pk} {sk}"
        );
    }
    let long = fault(
        Some(Value::s(format!("COURSE#{}", "x".repeat(2049)))),
        "MODULE#m#CONTENT#c",
    );
    assert!(
        matches!(
            long,
            KeyFault::TooLong {
                bytes: 2049,
                limit: 2048,
                ..
            }
        ),
        "{long}"
    );
    // The value of an attribute that is no key is never told.
    let m = mapping(
        &[("PK", "{a}"), ("SK", "{b}"), ("mail", "M#{m}")],
        &[("id", "{a}{b}{m}")],
    );
    let mut item = item("a", "b");
    item.insert("mail".into(), Value::s("private"));
    let fault = m.apply(&item).unwrap_err();
    assert!(
        fault.to_string().contains("'M#{m}'") && !fault.to_string().contains("private"),
        "{fault}"
    );
    item.insert("mail".into(), Value::L(vec![]));
    assert!(matches!(
        m.apply(&item),
        Err(KeyFault::WrongType { found: "L", .. })
    ));
    let m = mapping(&[("PK", "{a}"), ("mail", "{m}")], &[("id", "{m}")]);
    item.insert("mail".into(), Value::s(""));
    assert!(matches!(m.apply(&item), Err(KeyFault::Empty { .. })));
}

#[test]
fn a_key_may_be_as_long_as_the_quota_allows() {
    let m = mapping(&[("PK", "{a}"), ("SK", "{b}")], &[("id", "{a}"), ("at", "{b}")]);
    let long = |pk: usize, sk: usize| m.apply(&item(&"x".repeat(pk), &"y".repeat(sk)));
    assert!(long(2048, 1024).is_ok());
    for (pk, sk, limit) in [(2049, 1024, 2048), (2048, 1025, 1024)] {
        assert!(matches!(
            long(pk, sk),
            Err(KeyFault::TooLong { limit: said, .. }) if said == limit
        ));
    }
}

#[test]
fn no_part_of_a_text_is_binary_or_empty() {
    let m = mapping(&[("PK", "{a}"), ("mail", "{m}")], &[("id", "{a}{m}")]);
    let mut item = item("a", "b");
    item.insert("mail".into(), Value::B(vec![1]));
    assert_eq!(
        m.apply(&item),
        Err(KeyFault::WrongType {
            attribute: "mail".into(),
            expected: "S or N".into(),
            found: "B"
        })
    );
    let part = Content::Text { delimiter: None };
    assert_eq!(from_text("x", &part), Some(Value::s("x")));
    assert_eq!(from_text("", &part), None);
    assert_eq!(from_text("x", &Content::Whole(Some(AttributeKind::B))), None);
}

#[test]
fn conditions_and_patterns_can_contradict() {
    let m = mapping(&[("PK", "COURSE#{c}"), ("SK", "META")], &[("id", "{c}")]);
    for (attribute, head, alone, could) in [
        ("PK", "COURSE#", false, true),
        ("PK", "COU", false, true),
        ("PK", "COURSE#x", false, true),
        ("PK", "COURSES#", false, false),
        ("PK", "COURSE#x", true, true),
        ("PK", "COURSE#", true, false),
        ("SK", "META", true, true),
        ("SK", "METADATA", false, false),
        ("other", "x", true, true),
    ] {
        assert_eq!(
            m.could_match(attribute, head, alone),
            could,
            "{attribute} {head} {alone}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..cases(40) })]

    /// The proof against brute force: where it accepts, no two source keys over a small alphabet share a
    /// target key, and every target key leads back to its source key.
    #[test]
    fn what_is_proven_holds_for_every_small_key(
        pk in "([ab#]{0,2}\\{p\\}([ab#]{1,2}(\\{q\\}[ab#]{0,1})?)?)",
        sk in "(\\{r\\}([ab#]{1,2}\\{s\\})?|[ab#]{1,2})",
        first in "([ab#]{0,2}\\{[pqrs]\\}){1,3}[ab#]{0,2}",
        second in "([ab#]{0,2}\\{[pqrs]\\}){0,3}[ab#]{1,2}|\\{[pqrs]\\}",
    ) {
        let from = templates(&[("PK", &pk), ("SK", &sk)]);
        let to = templates(&[("x", &first), ("y", &second)]);
        let captured: Vec<&str> = from.values().flat_map(Template::captures).collect();
        prop_assume!(from.values().all(|t| t.check_pattern().is_ok()));
        prop_assume!(to.values().flat_map(Template::captures).all(|name| captured.contains(&name)));
        let m = mapping(&[("PK", &pk), ("SK", &sk)], &[("x", &first), ("y", &second)]);
        prop_assume!(m.is_injective());
        let mut seen: HashMap<Key, Key> = HashMap::new();
        for p in texts(4) {
            for s in texts(3) {
                let Ok(there) = m.apply(&item(&p, &s)) else { continue };
                let source = key(&p, &s);
                prop_assert_eq!(m.invert(&there), Some(source.clone()));
                if let Some(other) = seen.insert(there, source.clone()) {
                    prop_assert!(false, "{} and {} share a target key", other, source);
                }
            }
        }
    }

    /// The way back never makes up a source key.
    #[test]
    fn any_target_key_leads_to_its_own_source_key_or_nowhere(x in "[ab#MC]{0,8}", y in "(m#CONTENT#|[ab#]){0,4}") {
        let m = mapping(COURSE, &[("course", "{course}"), ("place", "{module}#CONTENT#{content}")]);
        if let Some(source) = m.invert(&key(&x, &y)) {
            prop_assert_eq!(m.apply(&schema("PK", Some("SK")).item_of(&source)).unwrap(), key(&x, &y));
        }
    }
}

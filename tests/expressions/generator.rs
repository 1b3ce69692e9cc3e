//! Seeded items and conditions that have much to do with each other.

use base64::Engine;
use dynasplit::model::{Item, Number, Value};
use dynasplit::plan::expr::{Condition, FilterExpression};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;

const KINDS: usize = 10;

/// Attribute names and the kind of value that each mostly holds (an index into [`pool`]).
const ATTRIBUTES: [(&str, usize); 12] = [
    ("text", 0),
    ("other", 0),
    ("type", 0),
    ("n", 1),
    ("GSI1-PK", 1),
    ("bytes", 2),
    ("follower#", 3),
    ("size", 4),
    ("a.b", 5),
    ("é\"", 6),
    ("list", 8),
    ("doc", 9),
];

fn n(text: &str) -> Number {
    Number::parse(text).expect("a number")
}

/// A few values of each kind, so that conditions often hit what items hold.
fn pool(kind: usize) -> Vec<Value> {
    let strings = |members: &[&str]| Value::string_set(members.iter().map(|m| (*m).to_owned()).collect());
    let numbers = |members: &[&str]| Value::number_set(members.iter().map(|m| n(m)).collect());
    let map = |entries: Vec<(&str, Value)>| {
        Value::M(
            entries
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    };
    let one = || Value::N(n("1"));
    match kind {
        0 => [
            "", "a", "ab", "abc", "b", "COURSE#1", "COURSE#2", "it's", "é", "é😀", "\u{ffee}", "😀", "1",
            "\u{0}x",
        ]
        .map(Value::s)
        .to_vec(),
        1 => [
            "0",
            "1",
            "2",
            "3",
            "-1",
            "1.5",
            "-2.50",
            "10",
            "1e2",
            "1e100",
            "-1e-130",
            "12345678901234567890123456789012345678",
            "12345678901234567890123456789012345677",
            "9.9e125",
        ]
        .map(|text| Value::N(n(text)))
        .to_vec(),
        2 => [&[][..], &[0], &[1], &[1, 255], &[255], &[1, 255, 2], b"a"]
            .map(|b| Value::B(b.to_vec()))
            .to_vec(),
        3 => vec![Value::Bool(true), Value::Bool(false)],
        4 => vec![Value::Null],
        5 => vec![
            strings(&["a"]),
            strings(&["a", "b"]),
            strings(&["é", "😀", ""]),
            strings(&["COURSE#1", "x", "y"]),
        ],
        6 => vec![
            numbers(&["1"]),
            numbers(&["1", "2"]),
            numbers(&["-1", "1.5", "1e100"]),
        ],
        7 => vec![
            Value::binary_set(vec![vec![1], vec![1, 255]]),
            Value::binary_set(vec![vec![]]),
        ],
        8 => vec![
            Value::L(vec![]),
            Value::L(vec![one(), Value::s("a")]),
            Value::L(vec![Value::s("a"), one()]),
            Value::L(vec![
                Value::Null,
                Value::L(vec![Value::s("ab")]),
                map(vec![("x", one())]),
            ]),
            Value::L(vec![strings(&["a", "b"]), Value::Bool(true), Value::B(vec![1])]),
        ],
        _ => vec![
            map(vec![]),
            map(vec![("x", one())]),
            map(vec![("x", Value::s("ab")), ("a.b", Value::Null)]),
            map(vec![(
                "x",
                map(vec![
                    ("y", Value::L(vec![one(), map(vec![("z", Value::s("abc"))])])),
                    ("é\"", Value::Bool(true)),
                ]),
            )]),
        ],
    }
}

/// A value, mostly of the given kind.
fn some_value(kind: usize, rng: &mut StdRng) -> Value {
    let kind = if rng.random_bool(0.75) {
        kind
    } else {
        rng.random_range(0..KINDS)
    };
    pool(kind).choose(rng).expect("a value").clone()
}

/// The items, by key.
pub fn items(count: usize, rng: &mut StdRng) -> BTreeMap<String, Item> {
    let mut item = |index: usize| {
        let key = format!("item{index}");
        let mut item = Item::from([("pk".to_owned(), Value::s(&key))]);
        for (name, kind) in ATTRIBUTES {
            if rng.random_bool(0.7) {
                item.insert(name.to_owned(), some_value(kind, rng));
            }
        }
        (key, item)
    };
    (0..count).map(&mut item).collect()
}

/// Paths into the items, with the kind of what they mostly lead to.
const PATHS: [(&str, usize); 14] = [
    ("doc.x", 1),
    ("doc.x.y", 8),
    ("doc.x.y[0]", 1),
    ("doc.x.y[1].z", 0),
    ("doc.x.\"é\"\"\"", 3),
    ("doc.\"a.b\"", 4),
    ("list[0]", 0),
    ("list[1]", 0),
    ("list[1][0]", 0),
    ("list[2].x", 1),
    ("list[2]", 9),
    ("gone", 0),
    ("text.x", 0),
    ("pk", 0),
];

fn path(rng: &mut StdRng) -> (String, usize) {
    if rng.random_bool(0.3) {
        let (path, kind) = PATHS.choose(rng).expect("a path");
        return ((*path).to_owned(), *kind);
    }
    let (name, kind) = ATTRIBUTES.choose(rng).expect("an attribute");
    let bare = name.chars().all(|c| c.is_ascii_alphabetic());
    (
        if bare {
            (*name).to_owned()
        } else {
            format!("\"{}\"", name.replace('"', "\"\""))
        },
        *kind,
    )
}

/// A second operand for something of a kind: mostly a literal, else a path or a size.
fn operand(kind: usize, rng: &mut StdRng) -> String {
    match rng.random_range(0..10) {
        0 => path(rng).0,
        1 => format!("size({})", path(rng).0),
        _ => literal(&some_value(kind, rng), rng),
    }
}

fn literal(value: &Value, rng: &mut StdRng) -> String {
    let base64 = |bytes: &[u8]| format!("b64'{}'", base64::engine::general_purpose::STANDARD.encode(bytes));
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let set = |members: Vec<String>| format!("<<{}>>", members.join(","));
    match value {
        Value::S(content) => text(content),
        Value::N(number) => spelling(number, rng),
        Value::B(bytes) => base64(bytes),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
        Value::Ss(members) => set(members.iter().rev().map(|m| text(m)).collect()),
        Value::Ns(members) => set(members.iter().rev().map(|m| spelling(m, rng)).collect()),
        Value::Bs(members) => set(members.iter().rev().map(|m| base64(m)).collect()),
        Value::L(values) => {
            let values: Vec<_> = values.iter().map(|value| literal(value, rng)).collect();
            format!("[{}]", values.join(", "))
        }
        Value::M(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(name, value)| format!("{}: {}", text(name), literal(value, rng)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn leaf(rng: &mut StdRng) -> String {
    let (path, kind) = path(rng);
    let sized = rng.random_bool(0.15);
    let (left, kind) = if sized {
        (format!("size({path})"), 1)
    } else {
        (path.clone(), kind)
    };
    match rng.random_range(0..20) {
        0..=7 => {
            let comparator = ["=", "<>", "<", "<=", ">", ">="]
                .choose(rng)
                .expect("a comparator");
            let right = operand(kind, rng);
            if rng.random_bool(0.2) {
                format!("{right} {comparator} {left}")
            } else {
                format!("{left} {comparator} {right}")
            }
        }
        8 | 9 => format!("{left} BETWEEN {} AND {}", operand(kind, rng), operand(kind, rng)),
        10 | 11 => {
            let list: Vec<_> = (0..rng.random_range(1..5)).map(|_| operand(kind, rng)).collect();
            format!("{left} in ({})", list.join(", "))
        }
        12 => format!("attribute_exists({path})"),
        13 => format!("attribute_not_exists({path})"),
        14 => {
            let types = ["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"];
            // Mostly the type that the attribute mostly has.
            let wanted = ["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"][kind];
            let name = if rng.random_bool(0.7) {
                wanted
            } else {
                types.choose(rng).expect("a type")
            };
            format!("attribute_type({path}, '{name}')")
        }
        15 | 16 => {
            let kind = if kind == 2 { 2 } else { 0 };
            format!("begins_with({path}, {})", operand(kind, rng))
        }
        _ => {
            // What may be within: text in text or sets of text, numbers in sets of numbers.
            let within = match kind {
                5 => 0,
                6 => 1,
                7 => 2,
                8 => rng.random_range(0..2),
                other => other,
            };
            format!("contains({path}, {})", operand(within, rng))
        }
    }
}

fn condition(depth: usize, rng: &mut StdRng) -> String {
    if depth == 0 || rng.random_bool(0.4) {
        return leaf(rng);
    }
    let inner = |rng: &mut StdRng| condition(depth - 1, rng);
    match rng.random_range(0..6) {
        0 => format!("NOT {}", leaf(rng)),
        1 => format!("not ({})", inner(rng)),
        2 => format!("({}) AND ({})", inner(rng), inner(rng)),
        3 => format!("({}) or ({})", inner(rng), inner(rng)),
        // Without parentheses, so that precedence counts.
        4 => format!("{} AND {} OR {}", leaf(rng), inner(rng), leaf(rng)),
        _ => format!("{} OR {} AND NOT {}", leaf(rng), inner(rng), leaf(rng)),
    }
}

/// Simple conditions, in the plan's spelling and in DynamoDB's.
const SIMPLE: [(&str, &str); 6] = [
    ("n < 2", "#n < :2"),
    ("text BETWEEN 'a' AND 'b'", "#t BETWEEN :a AND :b"),
    ("type IN ('ab', 'COURSE#1')", "#y IN (:c, :d)"),
    ("attribute_exists(list)", "attribute_exists(#l)"),
    ("size(text) > 2", "size(#t) > :2"),
    ("contains(type, 'a')", "contains(#y, :a)"),
];

/// A condition in both spellings, joined by the same words and parentheses: the engine sees the
/// precedence that is written, not what the parser made of it.
fn structure(depth: usize, rng: &mut StdRng) -> (String, String) {
    if depth == 0 || rng.random_bool(0.3) {
        let (plan, engine) = SIMPLE.choose(rng).expect("a condition");
        let not = if rng.random_bool(0.3) { "NOT " } else { "" };
        return (format!("{not}{plan}"), format!("{not}{engine}"));
    }
    let (left, right) = (structure(depth - 1, rng), structure(depth - 1, rng));
    let word = ["AND", "OR", "and", "or"].choose(rng).expect("a word");
    let (open, close) = match rng.random_range(0..6) {
        0 => ("(", ")"),
        1 => ("NOT (", ")"),
        _ => ("", ""),
    };
    let join = |left, right| format!("{open}{left}{close} {word} {right}");
    (join(left.0, right.0), join(left.1, right.1))
}

/// Seeded conditions beside the filters that say the same word for word.
pub fn structures(count: usize, rng: &mut StdRng) -> Vec<(String, Condition, FilterExpression)> {
    let names = [("#n", "n"), ("#t", "text"), ("#y", "type"), ("#l", "list")];
    let values = [(":a", "a"), (":b", "b"), (":c", "ab"), (":d", "COURSE#1")];
    let mut values: Vec<_> = values.map(|(key, text)| (key, Value::s(text))).into();
    values.push((":2", Value::N(n("2"))));
    let mut made = Vec::new();
    for _ in 0..count {
        let (text, expression) = structure(3, rng);
        let used = |key: &str| expression.contains(key);
        let filter = FilterExpression {
            names: names
                .iter()
                .filter(|n| used(n.0))
                .map(|n| (n.0.into(), n.1.into()))
                .collect(),
            values: values
                .iter()
                .filter(|v| used(v.0))
                .map(|v| (v.0.into(), v.1.clone()))
                .collect(),
            expression,
        };
        let condition = Condition::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        made.push((text, condition, filter));
    }
    made
}

/// Seeded conditions that parse; those that DynamoDB would refuse statically are few.
pub fn random_conditions(count: usize, rng: &mut StdRng) -> Vec<(String, Condition)> {
    let mut conditions = Vec::new();
    let mut refused = 0;
    while conditions.len() < count {
        let text = condition(3, rng);
        match Condition::parse(&text) {
            Ok(condition) => conditions.push((text, condition)),
            Err(error) => {
                refused += 1;
                assert!(
                    refused < count,
                    "most conditions are refused, like {text}: {error}"
                );
            }
        }
    }
    conditions
}

/// Conditions at the limits: what parses there is accepted by the engine.
pub fn boundaries() -> Vec<(String, Condition)> {
    let path = format!("doc{}", ".x".repeat(31));
    [
        vec!["n=1"; 150].join(" OR "),
        vec!["size(text)=1"; 100].join(" OR "),
        vec!["n BETWEEN 0 AND 1"; 150].join(" OR "),
        format!(
            "n IN ({})",
            (0..100).map(|i| i.to_string()).collect::<Vec<_>>().join(",")
        ),
        format!("{}n = 1{}", "NOT (".repeat(32), ")".repeat(32)),
        format!("{}n = 1", "NOT ".repeat(64)),
        format!("{}n = 1{}", "(n = 2 AND n = 3 OR ".repeat(64), ")".repeat(64)),
        format!("{path} = 1"),
        format!("list{} = 1", "[2147483647]".repeat(31)),
        format!("list = {}{}", "[".repeat(32), "]".repeat(32)),
        format!("text = '{}'", "x".repeat(4096 - 9)),
        format!("\"{}\" <> 1", "x".repeat(3000)),
        "1 = 1.0 AND 'a' IN (b64'', 'a')".to_owned(),
        "1 > 2 OR '' BETWEEN 1 AND 2 OR null = true".to_owned(),
        "size(text) = size(text)".to_owned(),
        "size(size) = 1 OR size = null".to_owned(),
        "size(text) < '1' OR size(text) BETWEEN 'a' AND 'b'".to_owned(),
        "((text)) = ('abc') AND ((attribute_exists(n)))".to_owned(),
        "begins_with(text, '') OR begins_with(bytes, b64'')".to_owned(),
        "contains(text, '') AND NOT contains(\"a.b\", '')".to_owned(),
        "text > '\u{ffff}'".to_owned(),
        "NOT text < other".to_owned(),
        "gone <> \"gone too\" AND NOT gone = gone.x".to_owned(),
    ]
    .map(|text| {
        let condition = Condition::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (text, condition)
    })
    .to_vec()
}

/// One of the many ways to write a number.
pub fn spelling(number: &Number, rng: &mut StdRng) -> String {
    let plain = number.to_string();
    match rng.random_range(0..4) {
        0 if !plain.contains(['.', 'E']) => format!("{plain}.0"),
        1 if !plain.contains('E') => format!("{plain}e+0"),
        2 if !plain.starts_with('-') => format!("0{plain}"),
        _ => plain,
    }
}

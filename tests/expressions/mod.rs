//! Holds the evaluator of route expressions against real engines: the same items, the same
//! conditions, once by `Condition::matches` and once as the FilterExpression of a Scan.
//!
//! On the embedded engine, and on the genuine DynamoDB Local. `DYNASPLIT_SEED` repeats a run, or makes another.

mod engines;
mod generator;
use crate::support::Engine;
use crate::support::effort::effort;
use aws_sdk_dynamodb::Client;
use dynasplit::model::{Item, Number, Value};
use dynasplit::plan::expr::{Condition, FilterExpression};
use engines::{create_table, drop_table, scan, wire_item};
use futures::{StreamExt, TryStreamExt};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;

const ITEMS: usize = 150;
const CONDITIONS: usize = 500;
const STRUCTURES: usize = 100;

#[tokio::test]
async fn the_embedded_engine_agrees() {
    let engine = Engine::embedded().await;
    agree(&engine.dynamodb(), "embedded").await;
}

#[tokio::test]
async fn genuine_dynamodb_agrees() {
    let engine = Engine::genuine().await;
    agree(&engine.dynamodb(), "genuine").await;
}

/// What the parser refuses as wrong in itself, and how DynamoDB would be asked for it: `a` and `b` are
/// names, `:0` and `:1` the literals.
const REFUSED: [(&str, &str, &[&str]); 24] = [
    ("a = a", "#a = #a", &[]),
    ("a.b[1] <> a.b[1]", "#a.#b[1] <> #a.#b[1]", &[]),
    ("a IN (1, a)", "#a IN (:0, #a)", &["1"]),
    ("a BETWEEN 1 AND a", "#a BETWEEN :0 AND #a", &["1"]),
    ("contains(a, a)", "contains(#a, #a)", &[]),
    ("begins_with(a, a)", "begins_with(#a, #a)", &[]),
    ("a < true", "#a < :0", &["true"]),
    ("a >= null", "#a >= :0", &["null"]),
    ("size(a) > []", "size(#a) > :0", &["[]"]),
    ("<<'x'>> < a", ":0 < #a", &["<<'x'>>"]),
    ("true BETWEEN a AND b", ":0 BETWEEN #a AND #b", &["true"]),
    ("a BETWEEN {} AND b", "#a BETWEEN :0 AND #b", &["{}"]),
    ("a BETWEEN 1 AND '2'", "#a BETWEEN :0 AND :1", &["1", "'2'"]),
    ("a BETWEEN 2 AND 1", "#a BETWEEN :0 AND :1", &["2", "1"]),
    ("begins_with(a, 1)", "begins_with(#a, :0)", &["1"]),
    ("begins_with(a, size(b))", "begins_with(#a, size(#b))", &[]),
    ("attribute_type(a, 'X')", "attribute_type(#a, :0)", &["'X'"]),
    ("attribute_type(a, b)", "attribute_type(#a, #b)", &[]),
    ("attribute_exists('x')", "attribute_exists(:0)", &["'x'"]),
    ("size(a)", "size(#a)", &[]),
    (
        "attribute_exists(a) = true",
        "attribute_exists(#a) = :0",
        &["true"],
    ),
    ("a = 1 = 1", "#a = :0 = :0", &["1"]),
    ("a[01] = 1", "#a[01] = :0", &["1"]),
    ("a[2147483648] = 1", "#a[2147483648] = :0", &["1"]),
];

/// The same for literals that DynamoDB cannot hold.
fn refused_values() -> [(String, Value); 4] {
    let one = || Value::N(Number::from(1));
    let deep = (1..33).fold(Value::L(vec![]), |inner, _| Value::L(vec![inner]));
    [
        ("{'': 1}".to_owned(), Value::M([(String::new(), one())].into())),
        ("<< >>".to_owned(), Value::Ss(vec![])),
        (
            "<<1, 1.0>>".to_owned(),
            Value::Ns(vec![Number::from(1), Number::from(1)]),
        ),
        (format!("{}{}", "[".repeat(33), "]".repeat(33)), deep),
    ]
}

/// The parser is no stricter than it must be: DynamoDB refuses the same.
#[tokio::test]
async fn genuine_dynamodb_refuses_what_the_parser_refuses() {
    let engine = Engine::genuine().await;
    let client = engine.dynamodb();
    let table = create_table(&client, "refused").await;
    let value = |literal: &str| {
        let condition = Condition::parse(&format!("x = {literal}")).expect(literal);
        condition.pinned("x").expect(literal).clone()
    };
    let mut cases: Vec<(String, &str, Vec<Value>)> = REFUSED
        .iter()
        .map(|(text, expression, literals)| {
            (
                (*text).to_owned(),
                *expression,
                literals.iter().map(|literal| value(literal)).collect(),
            )
        })
        .collect();
    cases.extend(refused_values().map(|(literal, value)| (format!("a = {literal}"), "#a = :0", vec![value])));
    for (text, expression, values) in cases {
        Condition::parse(&text).expect_err(&text);
        let names = ["a", "b"]
            .into_iter()
            .filter(|name| expression.contains(&format!("#{name}")));
        let filter = FilterExpression {
            expression: expression.to_owned(),
            names: names.map(|name| (format!("#{name}"), name.to_owned())).collect(),
            values: values
                .into_iter()
                .enumerate()
                .map(|(i, value)| (format!(":{i}"), value))
                .collect(),
        };
        let error = scan(&client, &table, Some(&filter)).await.expect_err(&text);
        assert!(error.contains("ValidationException"), "{text}: {error}");
    }
    drop_table(&client, &table).await;
}

/// One condition, and the items that the engine finds by it.
struct Case {
    text: String,
    condition: Condition,
    filter: FilterExpression,
    found: Result<BTreeMap<String, Item>, String>,
}

async fn agree(client: &Client, name: &str) {
    let seed = std::env::var("DYNASPLIT_SEED").map_or(20_261_122, |seed| seed.parse().expect("a number"));
    let effort = usize::try_from(effort()).expect("a small number");
    let mut rng = StdRng::seed_from_u64(seed);
    let items = generator::items(ITEMS, &mut rng);
    let table = create_table(client, name).await;
    load(client, &table, &items, &mut rng).await;

    let mut conditions = generator::boundaries();
    conditions.extend(generator::random_conditions(CONDITIONS * effort, &mut rng));
    let rendered = conditions.into_iter().map(|(text, condition)| {
        let filter = condition.to_filter();
        (text, condition, filter)
    });
    let asked = rendered
        .chain(generator::structures(STRUCTURES, &mut rng))
        .collect::<Vec<_>>();
    let cases: Vec<Case> = futures::stream::iter(asked)
        .map(|(text, condition, filter)| async {
            let found = scan(client, &table, Some(&filter)).await;
            Case {
                text,
                condition,
                filter,
                found,
            }
        })
        .buffered(8)
        .collect()
        .await;
    drop_table(client, &table).await;

    let differences: Vec<String> = cases.iter().filter_map(|case| difference(case, &items)).collect();
    assert!(
        differences.is_empty(),
        "{name}, DYNASPLIT_SEED={seed}: {} of {} conditions differ, the first:\n{}",
        differences.len(),
        cases.len(),
        differences[..differences.len().min(12)].join("\n")
    );
    // A condition that all items or none meet would hide most mistakes.
    let telling = |case: &&Case| {
        let matched = items.values().filter(|item| case.condition.matches(item)).count();
        matched > 0 && matched < items.len()
    };
    let telling = cases.iter().filter(telling).count();
    println!(
        "{name}, DYNASPLIT_SEED={seed}: {telling} of {} conditions tell items apart",
        cases.len()
    );
    assert!(
        telling * 2 > cases.len(),
        "only {telling} conditions tell items apart"
    );
}

/// Writes the items, numbers in odd spellings, and holds what comes back against them.
async fn load(client: &Client, table: &str, items: &BTreeMap<String, Item>, rng: &mut StdRng) {
    let wired: Vec<_> = items
        .values()
        .map(|item| wire_item(item, &mut |number| generator::spelling(number, rng)))
        .collect();
    futures::stream::iter(wired)
        .map(|item| client.put_item().table_name(table).set_item(Some(item)).send())
        .buffer_unordered(8)
        .try_collect::<Vec<_>>()
        .await
        .expect("items are written");
    let read = scan(client, table, None).await.expect("items are read");
    assert!(
        read == *items,
        "the engine gives back other items than were written"
    );
}

/// How the engine and the evaluator differ on a condition, if they do.
fn difference(case: &Case, items: &BTreeMap<String, Item>) -> Option<String> {
    let asked = format!(
        "{}\n  {} {:?}",
        case.text, case.filter.expression, case.filter.values
    );
    let found = match &case.found {
        Ok(found) => found,
        Err(error) => return Some(format!("{asked}\n  is refused: {error}")),
    };
    let (key, item) = items
        .iter()
        .find(|(key, item)| case.condition.matches(item) != found.contains_key(*key))?;
    let engine = if found.contains_key(key) {
        "takes"
    } else {
        "leaves"
    };
    Some(format!(
        "{asked}\n  the engine {engine} {item:?}, the evaluator does not"
    ))
}

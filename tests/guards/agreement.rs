//! Each guard, as the engine evaluates its expression, against the predicate.

use crate::guards::cases::{Case, PARTITION, cases};
use crate::guards::every::every;
use crate::support::effort::effort;
use crate::support::table::{create_with, put_all};
use crate::support::{Engine, unique};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure as OnFailure};
use dynasplit::dynamo::convert::{item_from_sdk, item_to_sdk, value_to_sdk};
use dynasplit::flow::Guard;
use dynasplit::model::{Item, Value};
use futures::StreamExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, HashMap};

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_engine_decides_as_the_predicate_does() {
    agree(&Engine::embedded().await.dynamodb_held(), 2500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn genuine_dynamodb_decides_as_the_predicate_does() {
    agree(&Engine::genuine().await.dynamodb_held(), 600).await;
}

/// An engine that lives as long as its client is used.
struct Held {
    client: Client,
    _engine: Engine,
}

trait Hold {
    fn dynamodb_held(self) -> Held;
}

impl Hold for Engine {
    fn dynamodb_held(self) -> Held {
        Held {
            client: self.dynamodb(),
            _engine: self,
        }
    }
}

/// What the engine made of a case.
#[derive(Debug, PartialEq)]
enum Verdict {
    Landed,
    /// Refused, and this is said to stand there.
    Refused(Option<Item>),
}

async fn agree(held: &Held, usual: usize) {
    let count = usual * usize::try_from(effort()).expect("a small number");
    let client = &held.client;
    let seed = std::env::var("DYNASPLIT_SEED").map_or(20_261_122, |seed| seed.parse().expect("a number"));
    let table = unique("guards");
    create_with(client, &table, &[PARTITION], false).await;
    let mut cases = cases(count, &mut StdRng::seed_from_u64(seed));
    telling(&cases);
    cases.extend(every());
    let count = cases.len();
    let present = cases.iter().filter_map(|case| case.held.clone());
    put_all(client, &table, present.map(item_to_sdk)).await;
    let table = &*table;
    let verdicts: Vec<_> = futures::stream::iter(&cases)
        .map(|case| async move { (case, ask(client, table, case).await) })
        .buffer_unordered(16)
        .collect()
        .await;
    let differences: Vec<String> = verdicts
        .iter()
        .filter_map(|(case, verdict)| difference(case, verdict))
        .collect();
    assert!(
        differences.is_empty(),
        "DYNASPLIT_SEED={seed}: {} of {count} differ, the first:\n{}",
        differences.len(),
        differences[..differences.len().min(5)].join("\n")
    );
}

async fn ask(client: &Client, table: &str, case: &Case) -> Result<Verdict, String> {
    let expression = case.guard.expression(&case.fields);
    let text = (!expression.text.is_empty()).then_some(expression.text);
    let names: HashMap<_, _> = expression.names.into_iter().collect();
    let values: HashMap<String, AttributeValue> = expression
        .values
        .into_iter()
        .map(|(name, value)| (name, value_to_sdk(value)))
        .collect();
    let names = (!names.is_empty()).then_some(names);
    let values = (!values.is_empty()).then_some(values);
    let key = Item::from([(PARTITION.to_owned(), Value::s(&case.key))]);
    let refused = |item: Option<&HashMap<String, AttributeValue>>| {
        Verdict::Refused(item.map(|item| item_from_sdk(item.clone()).expect("an item")))
    };
    if case.put {
        let sent = client
            .put_item()
            .table_name(table)
            .set_item(Some(item_to_sdk(key)))
            .set_condition_expression(text)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        return sent.map(|_| Verdict::Landed).or_else(|error| {
            use aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException as Failed;
            match error.as_service_error() {
                Some(Failed(failed)) => Ok(refused(failed.item())),
                _ => Err(told(error)),
            }
        });
    }
    let sent = client
        .delete_item()
        .table_name(table)
        .set_key(Some(item_to_sdk(key)))
        .set_condition_expression(text)
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(OnFailure::AllOld)
        .send()
        .await;
    sent.map(|_| Verdict::Landed).or_else(|error| {
        use aws_sdk_dynamodb::operation::delete_item::DeleteItemError::ConditionalCheckFailedException as Failed;
        match error.as_service_error() {
            Some(Failed(failed)) => Ok(refused(failed.item())),
            _ => Err(told(error)),
        }
    })
}

fn told<E: ProvideErrorMetadata + std::error::Error>(error: E) -> String {
    DisplayErrorContext(error).to_string()
}

fn difference(case: &Case, verdict: &Result<Verdict, String>) -> Option<String> {
    let expected = if case.guard.allows(&case.fields, case.held.as_ref()) {
        Verdict::Landed
    } else {
        Verdict::Refused(case.held.clone())
    };
    match verdict {
        Ok(verdict) if *verdict == expected => None,
        other => Some(format!(
            "{} ({}, live in '{}')\n  guard {:?}\n  as {:?}\n  held {:?}\n  the engine: {other:?}\n  expected: {expected:?}",
            case.key,
            if case.put { "put" } else { "delete" },
            case.fields.live,
            case.guard,
            case.guard.expression(&case.fields).text,
            case.held,
        )),
    }
}

/// A guard that always says one thing would hide most mistakes.
fn telling(cases: &[Case]) {
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for case in cases {
        let name = match case.guard {
            Guard::NotNewer(_) => "not newer",
            Guard::Older(_) => "older",
            Guard::Absent => "absent",
            Guard::Any => "any",
            Guard::Unchanged(_) => "unchanged",
        };
        let allowed = case.guard.allows(&case.fields, case.held.as_ref());
        counts.entry(name).or_default()[usize::from(allowed)] += 1;
    }
    for (name, [refused, allowed]) in counts {
        let all = refused + allowed;
        assert!(
            name == "any" || refused * 12 > all,
            "{name}: {refused} of {all} refused"
        );
        assert!(allowed * 12 > all, "{name}: {allowed} of {all} allowed");
    }
}

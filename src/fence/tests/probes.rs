//! Probes: what a role may do before the fence, and that all of it is refused behind it.

use super::{refused, tables};
use crate::dynamo::{ProbeCall, ProbePlace};
use crate::fence::{FenceError, ProbeRole, Probes, ProofTimes, prepare_probes, prove};
use crate::model::{AttributeKind, Key, KeyAttribute, KeySchema, Value};
use serde_json::{Value as Json, json};
use std::time::Duration;

const ROLE: &str = "arn:aws:iam::123456789012:role/shop";

fn schema() -> KeySchema {
    let text = |name: &str| KeyAttribute {
        name: name.to_owned(),
        kind: AttributeKind::S,
    };
    KeySchema {
        partition: text("PK"),
        sort: Some(text("S K")),
    }
}

fn key() -> Key {
    Key {
        partition: Value::s("ORDER#dynasplit:probe#1"),
        sort: Some(Value::s("x")),
    }
}

async fn role(answers: Vec<(u16, Json)>) -> (Vec<ProbeRole>, crate::dynamo::scripted::Asked) {
    let (tables, asked) = tables(answers).await;
    let arn = ROLE.to_owned();
    (vec![ProbeRole { arn, tables }], asked)
}

fn condition() -> (u16, Json) {
    refused("ConditionalCheckFailedException")
}

fn denied() -> (u16, Json) {
    refused("AccessDeniedException")
}

fn ok() -> (u16, Json) {
    (200, json!({}))
}

#[tokio::test]
async fn only_what_a_role_may_do_proves_something_and_no_probe_changes_anything() {
    let answers = vec![
        condition(),
        denied(),
        condition(),
        ok(),
        condition(),
        refused("ThrottlingException"),
    ];
    let (roles, asked) = role(answers).await;
    let (keys, key) = (schema(), key());
    let place = ProbePlace {
        table: "Shop",
        keys: &keys,
        key: &key,
    };
    let found = prepare_probes(&roles, &place).await.unwrap();
    let calls = vec![
        ProbeCall::Put,
        ProbeCall::Delete,
        ProbeCall::BatchWrite,
        ProbeCall::PartiqlUpdate,
    ];
    assert_eq!(
        found,
        [Probes {
            role: ROLE.to_owned(),
            calls
        }]
    );
    let asked = asked.lock().unwrap();
    for request in &asked[..3] {
        assert_eq!(
            request["ConditionExpression"],
            "attribute_exists(#p) AND attribute_not_exists(#p)"
        );
    }
    assert!(asked[3]["RequestItems"]["Shop"][0].get("DeleteRequest").is_some());
    assert_eq!(
        asked[4]["Statement"],
        "UPDATE \"Shop\" SET \"dynasplit:probe\"=1 WHERE \"PK\"=? AND \"S K\"=?"
    );
    assert_eq!(
        asked[5]["Statement"],
        "DELETE FROM \"Shop\" WHERE \"PK\"=? AND \"S K\"=?"
    );
}

#[tokio::test]
async fn a_role_that_is_refused_anyway_or_cannot_be_used_is_told() {
    let (keys, key) = (schema(), key());
    let place = ProbePlace {
        table: "Shop",
        keys: &keys,
        key: &key,
    };
    let (roles, _) = role(vec![denied(); 6]).await;
    let error = prepare_probes(&roles, &place).await.unwrap_err();
    assert!(matches!(error, FenceError::ProvesNothing { .. }), "{error}");
    let (roles, _) = role(vec![refused("UnrecognizedClientException")]).await;
    let error = prepare_probes(&roles, &place).await.unwrap_err();
    assert!(matches!(error, FenceError::RoleUnusable { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("the probe role {ROLE} cannot be used: ")),
        "{error}"
    );
    let (roles, _) = role(vec![refused("ResourceNotFoundException")]).await;
    let error = prepare_probes(&roles, &place).await.unwrap_err();
    assert!(matches!(error, FenceError::Request(_)), "{error}");
}

fn probes() -> Vec<Probes> {
    vec![Probes {
        role: ROLE.to_owned(),
        calls: vec![ProbeCall::Put, ProbeCall::BatchWrite],
    }]
}

#[tokio::test]
async fn a_fence_is_proven_by_refusals_alone_and_each_other_answer_begins_the_proof_again() {
    let times = ProofTimes {
        refused_for: Duration::from_millis(100),
        limit: Duration::from_secs(20),
    };
    let mut answers = vec![
        condition(),
        ok(),
        denied(),
        ok(),
        denied(),
        refused("ThrottlingException"),
    ];
    answers.extend(std::iter::repeat_n(denied(), 30));
    let (roles, asked) = role(answers).await;
    let (keys, key) = (schema(), key());
    let place = ProbePlace {
        table: "Shop",
        keys: &keys,
        key: &key,
    };
    let proof = prove(&roles, &probes(), &place, times).await.unwrap();
    assert!(proof.refused >= 2 && proof.refused_for_ms >= 100, "{proof:?}");
    assert!(
        proof
            .last_accepted_ms_ago
            .is_some_and(|ms| ms >= proof.refused_for_ms),
        "{proof:?}"
    );
    let asked = u64::try_from(asked.lock().unwrap().len()).unwrap();
    assert!(
        proof.refused <= asked - 6,
        "those before the last other answer do not count"
    );
}

#[tokio::test]
async fn a_fence_that_lets_one_kind_of_call_pass_does_not_hold() {
    let times = ProofTimes {
        refused_for: Duration::from_millis(50),
        limit: Duration::from_millis(300),
    };
    let both = [denied(), ok()];
    let (roles, _) = role(both.iter().cycle().take(100).cloned().collect()).await;
    let (keys, key) = (schema(), key());
    let place = ProbePlace {
        table: "Shop",
        keys: &keys,
        key: &key,
    };
    let error = prove(&roles, &probes(), &place, times).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with(&format!(
            "the fence of Shop does not hold: dynamodb:BatchWriteItem by {ROLE} was accepted"
        )),
        "{told}"
    );
}

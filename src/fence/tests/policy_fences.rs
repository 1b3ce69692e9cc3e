//! Fences by a policy, raised and lifted while others change the policy, answers are lost, and reads are stale.

use super::{ARN, TOOL, refused, tables};
use crate::fence::policy::{Denied, statement, with_statement};
use crate::fence::{FenceError, Lifted, PolicyFence, PolicyTimes};
use serde_json::{Value, json};
use std::time::Duration;

const TIMES: PolicyTimes = PolicyTimes {
    limit: Duration::from_millis(400),
    settled: Duration::from_millis(250),
};
const OWN: &str = "{ \"Version\": \"2012-10-17\", \"Statement\": [ { \"Sid\": \"Partner\" } ] }";

fn policy(text: &str, revision: &str) -> (u16, Value) {
    (200, json!({ "Policy": text, "RevisionId": revision }))
}

fn made(revision: &str) -> (u16, Value) {
    (200, json!({ "RevisionId": revision }))
}

fn none() -> (u16, Value) {
    refused("PolicyNotFoundException")
}

fn denied<'a>(exempt: &'a [String], service: &'a str) -> Denied<'a> {
    Denied {
        table_arn: ARN,
        split: "shop",
        service,
        exempt,
        leading_keys: None,
    }
}

/// A policy with the statement of the fence.
fn fenced(before: Option<&str>) -> String {
    with_statement(before, &statement(&denied(&[TOOL.to_owned()], "orders"))).unwrap()
}

/// Answers to `prepare`, then to the rest: the fence as it was prepared, and what follows.
async fn prepared(
    answers: Vec<(u16, Value)>,
) -> (PolicyFence, crate::dynamo::Tables, crate::dynamo::scripted::Asked) {
    let (tables, asked) = tables(answers).await;
    let fence = PolicyFence::prepare(&tables, &denied(&[TOOL.to_owned()], "orders"))
        .await
        .unwrap();
    (fence, tables, asked)
}

#[tokio::test]
async fn a_table_without_a_policy_has_none_again() {
    let (fence, tables, asked) = prepared(vec![none(), made("1"), made("")]).await;
    let raised = fence.raise(&tables, TIMES).await.unwrap();
    // As the journal keeps it.
    let raised: PolicyFence = serde_json::from_value(serde_json::to_value(raised).unwrap()).unwrap();
    assert_eq!(raised.lift(&tables, TIMES).await.unwrap(), Lifted::Restored);
    let asked = asked.lock().unwrap();
    assert_eq!(asked[1]["ExpectedRevisionId"], "NO_POLICY");
    assert_eq!(asked[2]["ExpectedRevisionId"], "1");
    assert_eq!(asked[2].get("Policy"), None, "it is removed");
}

#[tokio::test]
async fn a_policy_is_restored_byte_for_byte() {
    let (fence, tables, asked) = prepared(vec![policy(OWN, "7"), made("8"), made("9")]).await;
    let raised = fence.raise(&tables, TIMES).await.unwrap();
    assert_eq!(raised.lift(&tables, TIMES).await.unwrap(), Lifted::Restored);
    let asked = asked.lock().unwrap();
    assert_eq!(
        (&asked[1]["Policy"], &asked[1]["ExpectedRevisionId"]),
        (&json!(fenced(Some(OWN))), &json!("7"))
    );
    assert_eq!(
        (&asked[2]["Policy"], &asked[2]["ExpectedRevisionId"]),
        (&json!(OWN), &json!("8"))
    );
}

#[tokio::test]
async fn a_policy_that_somebody_changes_meanwhile_is_not_overwritten() {
    let (fence, tables, asked) =
        prepared(vec![policy(OWN, "7"), none(), policy("{\"Statement\":[]}", "x")]).await;
    let error = fence.raise(&tables, TIMES).await.unwrap_err();
    assert!(matches!(error, FenceError::Changed { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("Nothing was overwritten; run the command again"),
        "{error}"
    );
    assert_eq!(asked.lock().unwrap().len(), 3, "it was put once, and refused");
}

#[tokio::test]
async fn a_put_that_landed_without_an_answer_is_recognised() {
    let text = fenced(Some(OWN));
    // The repetition is refused by the revision of its own first attempt; and the first read is stale.
    let answers = vec![
        policy(OWN, "7"),
        none(),
        policy(OWN, "7"),
        none(),
        policy(&text, "8"),
        made("9"),
    ];
    let (fence, tables, asked) = prepared(answers).await;
    let raised = fence.raise(&tables, TIMES).await.unwrap();
    assert_eq!(raised.lift(&tables, TIMES).await.unwrap(), Lifted::Restored);
    assert_eq!(asked.lock().unwrap()[5]["ExpectedRevisionId"], "8");
}

#[tokio::test]
async fn a_table_that_blocks_changes_is_waited_for_and_then_told() {
    let (blocked, updating) = (
        refused("LimitExceededException"),
        refused("ResourceInUseException"),
    );
    let (fence, tables, _) = prepared(vec![none(), blocked.clone(), updating, made("1")]).await;
    assert!(fence.raise(&tables, TIMES).await.is_ok());
    let mut answers = vec![none()];
    answers.extend(std::iter::repeat_n(blocked, 20));
    let (fence, tables, _) = prepared(answers).await;
    let error = fence.raise(&tables, TIMES).await.unwrap_err();
    assert!(matches!(error, FenceError::Busy { .. }), "{error}");
}

#[tokio::test]
async fn only_the_own_statement_is_removed_if_somebody_else_changed_the_policy() {
    let changed = fenced(Some(&OWN.replace("Partner", "Other")));
    let answers = vec![
        policy(OWN, "7"),
        made("8"),
        none(),
        policy(&changed, "9"),
        made("10"),
    ];
    let (fence, tables, asked) = prepared(answers).await;
    let raised = fence.raise(&tables, TIMES).await.unwrap();
    assert_eq!(raised.lift(&tables, TIMES).await.unwrap(), Lifted::Removed);
    let asked = asked.lock().unwrap();
    let put: Value = serde_json::from_str(asked[4]["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(
        put,
        serde_json::from_str::<Value>(&OWN.replace("Partner", "Other")).unwrap()
    );
    assert_eq!(asked[4]["ExpectedRevisionId"], "9");
}

#[tokio::test]
async fn a_fence_that_was_only_about_to_be_raised_is_lifted() {
    // The process died before the put, or right behind it.
    let mut answers = vec![policy(OWN, "7")];
    answers.extend(std::iter::repeat_n(policy(OWN, "7"), 10));
    let (fence, tables, _) = prepared(answers).await;
    assert_eq!(fence.lift(&tables, TIMES).await.unwrap(), Lifted::WasNotUp);
    // It landed late: a read shows it after a while.
    let answers = vec![
        policy(OWN, "7"),
        policy(OWN, "7"),
        policy(&fenced(Some(OWN)), "8"),
        made("9"),
    ];
    let (fence, tables, asked) = prepared(answers).await;
    assert_eq!(fence.lift(&tables, TIMES).await.unwrap(), Lifted::Restored);
    assert_eq!(asked.lock().unwrap()[3]["Policy"], OWN);
}

#[tokio::test]
async fn nothing_is_changed_if_the_policy_cannot_be_added_to() {
    let large = format!("{{\"Id\":\"{}\",\"Statement\":[]}}", "x".repeat(20_000));
    for (answer, expected) in [
        (
            policy("{}", "1"),
            "is not understood: it has no list of statements. Nothing was changed",
        ),
        (
            policy(&large, "1"),
            "and DynamoDB accepts 20480. Nothing was changed",
        ),
        (
            refused("UnknownOperationException"),
            "this engine has no resource policies",
        ),
        (
            refused("AccessDeniedException"),
            "dynamodb:GetResourcePolicy on arn:aws:dynamodb",
        ),
    ] {
        let (tables, asked) = tables(vec![answer]).await;
        let error = PolicyFence::prepare(&tables, &denied(&[TOOL.to_owned()], "orders"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

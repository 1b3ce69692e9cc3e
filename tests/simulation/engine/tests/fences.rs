//! Resource policies and records that are shown late.

use serde_json::{Value as Json, json};

use super::{HABITS, NOW, create};
use crate::engine::{Answer, Arrival, Engine, Habits, role_arn};

const ARN: &str = "arn:aws:dynamodb:us-east-1:111122223333:table/tab";
const REST_MS: u64 = 15_000;

fn after(ms: u64) -> Arrival {
    Arrival {
        now_ms: NOW.now_ms + ms,
        stale_ms: 0,
    }
}

fn code(answer: &Answer) -> &str {
    let code = answer.body["__type"].as_str().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default()
}

fn denying() -> String {
    let condition = json!({
        "ArnNotLike": { "aws:PrincipalArn": [role_arn("tool"), role_arn("*/tool")] },
        "ForAnyValue:StringLike": { "dynamodb:LeadingKeys": ["a*"] },
    });
    let statement = json!({ "Effect": "Deny", "Action": ["dynamodb:*PutItem*", "dynamodb:PartiQLDelete"], "Condition": condition });
    json!({ "Statement": [statement] }).to_string()
}

fn put_policy(engine: &mut Engine, at: Arrival, expected: &str) -> Answer {
    let body = json!({ "ResourceArn": ARN, "Policy": denying(), "ExpectedRevisionId": expected });
    engine.answer(at, "PutResourcePolicy", &body)
}

#[test]
fn a_policy_denies_from_a_time_on_and_to_whom_it_says() {
    let mut engine = Engine::new(HABITS);
    engine.answer(NOW, "CreateTable", &create());
    assert!(!engine.has_policies());
    assert_eq!(put_policy(&mut engine, after(100), "NO_POLICY").status, 200);
    let write = |key: &str| json!({ "TableName": "tab", "Item": { "pk": { "S": key }, "sk": { "S": "s" } } });
    let denied = |who: &str, operation: &str, body: &Json, ms: u64| {
        let denial = engine.denial(&role_arn(who), operation, body, NOW.now_ms + ms);
        denial.is_some_and(|answer| code(&answer) == "AccessDeniedException")
    };
    assert!(denied("application", "PutItem", &write("abc"), 100));
    assert!(
        !denied("application", "PutItem", &write("abc"), 99),
        "not in effect yet"
    );
    assert!(!denied("application", "PutItem", &write("b"), 100), "another key");
    assert!(!denied("tool", "PutItem", &write("abc"), 100), "exempt");
    assert!(!denied("application", "GetItem", &write("abc"), 100), "no write");
    let key = json!({ "TableName": "tab", "Key": write("abc")["Item"] });
    assert!(!denied("application", "UpdateItem", &key, 100), "another action");
    let delete = json!({
        "Statement": "DELETE FROM \"tab\" WHERE \"pk\"=? AND \"sk\"=?",
        "Parameters": [{ "S": "abc" }, { "S": "s" }],
    });
    assert!(denied("application", "ExecuteStatement", &delete, 100));
}

#[test]
fn a_policy_is_changed_by_who_knows_its_revision_and_not_too_often() {
    let habits = Habits {
        policy_rest_ms: REST_MS,
        ..HABITS
    };
    let mut engine = Engine::new(habits);
    engine.answer(NOW, "CreateTable", &create());
    let get = json!({ "ResourceArn": ARN });
    assert_eq!(
        code(&engine.answer(NOW, "GetResourcePolicy", &get)),
        "PolicyNotFoundException"
    );
    assert_eq!(
        code(&put_policy(&mut engine, NOW, "7")),
        "PolicyNotFoundException"
    );
    let made = put_policy(&mut engine, NOW, "NO_POLICY");
    let revision = made.body["RevisionId"].as_str().expect("a revision").to_owned();
    let told = engine.answer(NOW, "GetResourcePolicy", &get);
    assert_eq!(told.body, json!({ "Policy": denying(), "RevisionId": revision }));
    let delete = json!({ "ResourceArn": ARN, "ExpectedRevisionId": revision });
    let soon = engine.answer(after(REST_MS - 1), "DeleteResourcePolicy", &delete);
    assert_eq!(code(&soon), "LimitExceededException");
    assert_eq!(
        engine
            .answer(after(REST_MS), "DeleteResourcePolicy", &delete)
            .status,
        200
    );
    assert_eq!(engine.policy_of("tab"), None);
}

#[test]
fn records_are_shown_late_and_in_their_order() {
    let mut engine = Engine::new(HABITS);
    engine.answer(NOW, "CreateTable", &create());
    let stream = engine.stream("tab").expect("a stream");
    stream.late_ms = 1000;
    let arn = stream.arn.clone();
    let id = stream.open_shards().remove(0);
    for place in 0..40 {
        let item = json!({ "pk": { "S": format!("p{place}") }, "sk": { "S": "s" } });
        engine.answer(NOW, "PutItem", &json!({ "TableName": "tab", "Item": item }));
    }
    let begin = json!({ "StreamArn": arn, "ShardId": id, "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = engine.answer(NOW, "GetShardIterator", &begin).body["ShardIterator"].take();
    let mut numbers = |ms: u64| -> Vec<String> {
        let page = engine.answer(after(ms), "GetRecords", &json!({ "ShardIterator": iterator }));
        assert!(page.body["NextShardIterator"].is_string());
        let records = page.body["Records"].as_array().into_iter().flatten();
        let number = |record: &Json| record["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
        records.filter_map(number).collect()
    };
    let (first, soon, all) = (numbers(0), numbers(300), numbers(1000));
    assert!(
        first.len() < soon.len() && soon.len() < all.len(),
        "{first:?} {soon:?}"
    );
    assert_eq!(all.len(), 40);
    assert!(all.starts_with(&soon) && soon.starts_with(&first) && all.is_sorted());
}

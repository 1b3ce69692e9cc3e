//! Target tables that take their time, and refusals.

use super::planned::Planned;
use super::script::{Script, described};
use dynasplit::dynamo::TableCallError;
use dynasplit::source::{SourceError, ensure_stream};
use dynasplit::state::Store;
use dynasplit::target::{Pending, TableEvent, TableStream, TargetError, ensure, is_empty};
use serde_json::json;
use std::sync::Mutex;

const NOT_FOUND: &str = "ResourceNotFoundException";

#[tokio::test]
async fn a_slow_table_is_waited_for_and_then_finished() {
    let recovery = |status: &str| {
        json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": status }
        } })
    };
    let (client, script) = Script::default()
        .refuse("DescribeTable", NOT_FOUND, "")
        .refuse("DescribeTable", NOT_FOUND, "for a moment after its creation")
        .answer("DescribeTable", 200, described("CREATING", json!({})))
        .answer("DescribeTable", 200, described("ACTIVE", json!({})))
        .refuse("CreateTable", "LimitExceededException", "too many at once")
        .answer("CreateTable", 200, json!({}))
        .answer("DescribeContinuousBackups", 200, recovery("DISABLED"))
        .refuse(
            "UpdateContinuousBackups",
            "ContinuousBackupsUnavailableException",
            "not yet",
        )
        .answer("UpdateContinuousBackups", 200, recovery("ENABLED"))
        .serve()
        .await;
    let planned = Planned::plain(json!({ "point-in-time-recovery": true }));
    let seen = Mutex::new(Vec::new());
    let observer = |event: TableEvent<'_>| {
        if let TableEvent::Waiting { status, .. } = event {
            seen.lock().unwrap().push(status);
        }
    };
    let ensured = ensure(
        &client,
        &planned.spec,
        &planned.keys,
        &planned.indexes,
        TableStream::Unused,
        &observer,
    )
    .await
    .unwrap();
    assert_eq!(
        (ensured.created, ensured.added),
        (true, vec![Pending::PointInTimeRecovery])
    );
    assert_eq!(*seen.lock().unwrap(), ["not there yet", "CREATING"]);
    let asked = &script.lock().unwrap().asked;
    assert_eq!(asked.iter().filter(|each| *each == "CreateTable").count(), 2);
    assert_eq!(
        asked
            .iter()
            .filter(|each| *each == "UpdateContinuousBackups")
            .count(),
        2
    );
}

/// Another `apply` ordered them, or one that died.
#[tokio::test]
async fn tables_that_somebody_else_just_ordered_are_empty_and_waited_for() {
    let (client, _) = Script::default()
        .refuse("Scan", NOT_FOUND, "")
        .answer("DescribeTable", 200, described("CREATING", json!({})))
        .serve()
        .await;
    assert!(is_empty(&client, "Courses").await.unwrap());
    // It became ready between the two questions.
    let (client, _) = Script::default()
        .refuse("Scan", NOT_FOUND, "")
        .answer(
            "Scan",
            200,
            json!({ "Items": [{ "PK": { "S": "1" } }], "Count": 1 }),
        )
        .answer("DescribeTable", 200, described("ACTIVE", json!({})))
        .serve()
        .await;
    assert!(!is_empty(&client, "Courses").await.unwrap());
    let (client, _) = Script::default()
        .refuse("Scan", NOT_FOUND, "")
        .answer("DescribeTable", 200, described("DELETING", json!({})))
        .serve()
        .await;
    let error = is_empty(&client, "Courses").await.unwrap_err();
    assert!(matches!(error, TargetError::Missing { .. }), "{error}");

    let (client, script) = Script::default()
        .answer("DescribeTable", 200, described("CREATING", json!({})))
        .answer("DescribeTable", 200, described("CREATING", json!({})))
        .refuse("DescribeTable", NOT_FOUND, "for a moment after its creation")
        .answer("DescribeTable", 200, described("ACTIVE", json!({})))
        .serve()
        .await;
    let store = Store::new(client.clone(), "Courses");
    assert!(!store.ensure_table(&client).await.unwrap());
    assert_eq!(script.lock().unwrap().asked, ["DescribeTable"; 4]);
    let (client, _) = Script::default()
        .answer("DescribeTable", 200, described("ARCHIVED", json!({})))
        .serve()
        .await;
    let store = Store::new(client.clone(), "Courses");
    let error = store.ensure_table(&client).await.unwrap_err().to_string();
    assert!(error.contains("ARCHIVED"), "{error}");
}

#[tokio::test]
async fn an_index_that_is_filled_is_waited_for() {
    let index = |status: &str| {
        json!({
            "AttributeDefinitions": [
                { "AttributeName": "PK", "AttributeType": "S" }, { "AttributeName": "SK", "AttributeType": "S" },
                { "AttributeName": "day", "AttributeType": "N" }
            ],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by-day", "IndexStatus": status, "Projection": { "ProjectionType": "ALL" },
                "KeySchema": [{ "AttributeName": "day", "KeyType": "HASH" }]
            }]
        })
    };
    let (client, script) = Script::default()
        .answer("DescribeTable", 200, described("ACTIVE", index("CREATING")))
        .answer("DescribeTable", 200, described("ACTIVE", index("CREATING")))
        .answer("DescribeTable", 200, described("ACTIVE", index("ACTIVE")))
        .serve()
        .await;
    let mut planned = Planned::plain(json!({}));
    planned.indexes = vec![Planned::new("Courses", json!({})).indexes[1].clone()];
    let ensured = planned.ensure(&client).await.unwrap();
    assert!(!ensured.created);
    assert_eq!(
        script
            .lock()
            .unwrap()
            .asked
            .iter()
            .filter(|each| *each == "DescribeTable")
            .count(),
        4
    );
}

#[tokio::test]
async fn a_denial_names_the_action_and_the_resource() {
    let arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/Courses";
    let message =
        format!("User: u is not authorized to perform: dynamodb:TagResource on resource: {arn} because");
    let (client, _) = Script::default()
        .refuse("DescribeTable", NOT_FOUND, "")
        .refuse("CreateTable", "AccessDeniedException", &message)
        .serve()
        .await;
    let error = Planned::plain(json!({ "tags": { "team": "courses" } }))
        .ensure(&client)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, TargetError::Call(TableCallError::Denied { action, resource, .. })
            if action == "dynamodb:TagResource" && resource == arn),
        "{error}"
    );
}

#[tokio::test]
async fn a_denied_setting_is_an_error_and_an_unknown_one_a_note() {
    let planned = Planned::plain(json!({ "point-in-time-recovery": true, "tags": { "team": "courses" } }));
    let script = || Script::default().answer("DescribeTable", 200, described("ACTIVE", json!({})));
    let (client, _) = script().serve().await;
    assert_eq!(planned.ensure(&client).await.unwrap().notes.len(), 2);
    for operation in [
        "DescribeTimeToLive",
        "DescribeContinuousBackups",
        "ListTagsOfResource",
    ] {
        let (client, _) = script()
            .refuse(operation, "AccessDeniedException", "")
            .serve()
            .await;
        let error = planned.ensure(&client).await.unwrap_err();
        let expected = format!("dynamodb:{operation}");
        assert!(
            matches!(&error, TargetError::Call(TableCallError::Denied { action, .. }) if *action == expected),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_table_that_is_going_away_is_refused() {
    let (client, script) = Script::default()
        .answer("DescribeTable", 200, described("DELETING", json!({})))
        .serve()
        .await;
    let error = Planned::plain(json!({}))
        .ensure(&client)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("DELETING"), "{error}");
    assert_eq!(script.lock().unwrap().asked, ["DescribeTable"]);
    let source = ensure_stream(&client, "Courses").await.unwrap_err();
    assert!(matches!(source, SourceError::Unusable { .. }), "{source}");
}

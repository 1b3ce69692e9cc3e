//! The source and its stream.

use super::planned::{Planned, key};
use super::script::{Script, described};
use super::{enable_view, engine};
use aws_sdk_dynamodb::types::StreamViewType;
use dynasplit::dynamo::TableCallError;
use dynasplit::source::{
    Billing, SourceError, StreamState, check_keys, describe_source, ensure_stream, stream_state,
};
use serde_json::{Value, json};

#[tokio::test]
async fn the_stream_is_switched_on_once() {
    let client = engine().await;
    Planned::new("Monolith", json!({})).ensure(&client).await.unwrap();
    assert_eq!(stream_state(&client, "Monolith").await.unwrap(), StreamState::Off);
    let first = ensure_stream(&client, "Monolith").await.unwrap();
    assert!(first.enabled_now && first.arn.contains("/stream/"), "{first:?}");
    let second = ensure_stream(&client, "Monolith").await.unwrap();
    assert_eq!((second.arn, second.enabled_now), (first.arn.clone(), false));
    let state = stream_state(&client, "Monolith").await.unwrap();
    assert!(matches!(state, StreamState::On { arn, label } if arn == first.arn && arn.ends_with(&label)));
}

#[tokio::test]
async fn a_stream_with_another_view_is_never_changed() {
    let client = engine().await;
    Planned::new("Monolith", json!({})).ensure(&client).await.unwrap();
    enable_view(&client, "Monolith", StreamViewType::NewImage).await;
    let before = stream_state(&client, "Monolith").await.unwrap();
    let error = ensure_stream(&client, "Monolith").await.unwrap_err();
    assert!(
        matches!(&error, SourceError::WrongView { view, .. } if view == "NEW_IMAGE"),
        "{error}"
    );
    assert_eq!(stream_state(&client, "Monolith").await.unwrap(), before);
}

#[tokio::test]
async fn a_missing_source_is_told() {
    let client = engine().await;
    let errors = [
        stream_state(&client, "Monolith").await.unwrap_err(),
        ensure_stream(&client, "Monolith").await.unwrap_err(),
        describe_source(&client, "Monolith").await.unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(&error, SourceError::Missing { table } if table == "Monolith"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_source_is_described_and_its_keys_are_compared() {
    let client = engine().await;
    Planned::new("Monolith", json!({ "billing": { "read": 5, "write": 6 } }))
        .ensure(&client)
        .await
        .unwrap();
    let facts = describe_source(&client, "Monolith").await.unwrap();
    assert_eq!(facts.billing, Billing::Provisioned { read: 5, write: 6 });
    assert_eq!(
        (facts.global_indexes, facts.local_indexes, facts.item_count),
        (2, 1, 0)
    );
    assert!(!facts.is_global() && facts.ttl_attribute.is_none());
    assert_eq!(
        (facts.stream.clone(), facts.status.as_str()),
        (StreamState::Off, "ACTIVE")
    );
    check_keys(&key("PK", Some("SK")), &facts).unwrap();
    let error = check_keys(&key("PK", None), &facts).unwrap_err().to_string();
    assert!(error.contains("partition PK (S), sort SK (S)"), "{error}");
}

fn streaming(status: &str, arn: &str) -> Value {
    described(
        status,
        json!({
            "LatestStreamArn": arn, "LatestStreamLabel": "l",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" }
        }),
    )
}

#[tokio::test]
async fn the_arn_of_a_former_stream_is_not_taken_for_the_new_one() {
    let former = json!({ "LatestStreamArn": "old", "LatestStreamLabel": "l" });
    let (client, script) = Script::default()
        .answer("DescribeTable", 200, described("ACTIVE", former))
        .answer("DescribeTable", 200, streaming("UPDATING", "old"))
        .answer("DescribeTable", 200, streaming("ACTIVE", "old"))
        .answer("DescribeTable", 200, streaming("ACTIVE", "new"))
        .answer("UpdateTable", 200, json!({}))
        .serve()
        .await;
    let stream = ensure_stream(&client, "Courses").await.unwrap();
    assert_eq!((stream.arn.as_str(), stream.enabled_now), ("new", true));
    assert_eq!(
        script
            .lock()
            .unwrap()
            .asked
            .iter()
            .filter(|each| *each == "UpdateTable")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_stream_that_somebody_else_enables_meanwhile_is_used() {
    let (client, _) = Script::default()
        .answer("DescribeTable", 200, described("ACTIVE", json!({})))
        .answer("DescribeTable", 200, streaming("ACTIVE", "theirs"))
        .refuse(
            "UpdateTable",
            "ValidationException",
            "Table already has an enabled stream",
        )
        .serve()
        .await;
    let stream = ensure_stream(&client, "Courses").await.unwrap();
    assert_eq!((stream.arn.as_str(), stream.enabled_now), ("theirs", false));
}

#[tokio::test]
async fn a_stream_that_may_not_be_enabled_is_an_error() {
    let (client, _) = Script::default()
        .answer("DescribeTable", 200, described("ACTIVE", json!({})))
        .refuse("UpdateTable", "AccessDeniedException", "")
        .serve()
        .await;
    let error = ensure_stream(&client, "Courses").await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Call(TableCallError::Denied { action, .. }) if action == "dynamodb:UpdateTable"),
        "{error}"
    );
}

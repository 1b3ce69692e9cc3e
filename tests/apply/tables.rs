//! Target tables on the embedded engine.

use super::planned::{Planned, every_setting};
use super::{enable_view, engine};
use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType, TimeToLiveSpecification};
use dynasplit::model::AttributeKind;
use dynasplit::plan::spec::TableSpec;
use dynasplit::source::{Billing, describe_source};
use dynasplit::target::{
    Pending, TableEvent, TableFinding, TargetError, TtlOutcome, TtlState, enable_ttl, ensure, is_empty,
    ttl_state,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

#[tokio::test]
async fn a_missing_table_is_created_and_a_second_run_does_nothing() {
    let client = engine().await;
    let planned = Planned::new("Courses", every_setting());
    assert_eq!(planned.inspect(&client).await, TableFinding::Missing);

    let first = planned.ensure(&client).await.unwrap();
    assert!(first.created && first.added.is_empty(), "{first:?}");
    // The embedded engine has no backups, and shows no warm throughput.
    let noted = |word: &str| first.notes.iter().any(|note| note.contains(word));
    assert!(
        noted("DescribeContinuousBackups") && noted("warm throughput"),
        "{:?}",
        first.notes
    );

    let description = client
        .describe_table()
        .table_name("Courses")
        .send()
        .await
        .unwrap()
        .table
        .unwrap();
    assert_eq!(description.global_secondary_indexes().len(), 2);
    assert_eq!(description.local_secondary_indexes().len(), 1);
    assert_eq!(description.deletion_protection_enabled(), Some(true));
    assert_eq!(description.attribute_definitions().len(), 5);
    let units = description.provisioned_throughput().unwrap();
    assert_eq!(
        (units.read_capacity_units(), units.write_capacity_units()),
        (Some(5), Some(6))
    );
    let tags = client
        .list_tags_of_resource()
        .resource_arn(&first.arn)
        .send()
        .await
        .unwrap();
    assert_eq!(tags.tags().len(), 2);
    // Nothing may expire while the split runs.
    assert_eq!(ttl_state(&client, "Courses").await.unwrap(), TtlState::Off);

    let second = planned.ensure(&client).await.unwrap();
    assert!(!second.created && second.added.is_empty(), "{second:?}");
    assert_eq!(second.arn, first.arn);
    assert!(
        matches!(planned.inspect(&client).await, TableFinding::Same { pending, .. } if pending.is_empty())
    );
}

#[tokio::test]
async fn on_demand_is_what_a_table_is_when_the_plan_says_nothing() {
    let client = engine().await;
    let planned = Planned::new(
        "Courses",
        json!({ "max-on-demand": { "read": 100, "write": 50 } }),
    );
    let ensured = planned.ensure(&client).await.unwrap();
    assert_eq!(ensured.notes, [] as [String; 0]);
    let facts = describe_source(&client, "Courses").await.unwrap();
    assert_eq!(facts.billing, Billing::OnDemand);
}

#[tokio::test]
async fn two_runs_at_once_make_one_table() {
    let client = engine().await;
    let planned = Planned::new("Courses", every_setting());
    for _ in 0..5 {
        let (one, two) = tokio::join!(planned.ensure(&client), planned.ensure(&client));
        let created = [one.unwrap().created, two.unwrap().created];
        assert_eq!(created.iter().filter(|each| **each).count(), 1, "{created:?}");
        let request = client
            .update_table()
            .table_name("Courses")
            .deletion_protection_enabled(false);
        request.send().await.unwrap();
        client.delete_table().table_name("Courses").send().await.unwrap();
    }
}

/// Changes to a plan whose table is there, and the difference that each must show.
fn plan_changes() -> Vec<(&'static str, Planned)> {
    let changed = |change: fn(&mut Planned)| {
        let mut planned = Planned::new("Courses", every_setting());
        change(&mut planned);
        planned
    };
    let said = |words: Value| {
        let mut all = every_setting();
        all.as_object_mut()
            .unwrap()
            .extend(words.as_object().unwrap().clone());
        Planned::new("Courses", all)
    };
    vec![
        ("keys", changed(|planned| planned.keys.sort = None)),
        (
            "keys",
            changed(|planned| planned.keys.partition.kind = AttributeKind::N),
        ),
        (
            "keys",
            changed(|planned| planned.keys.partition.name = "id".to_owned()),
        ),
        (
            "global index by-day: keys",
            changed(|planned| planned.indexes[1].keys.partition.kind = AttributeKind::S),
        ),
        (
            "global index by-day",
            changed(|planned| drop(planned.indexes.remove(1))),
        ),
        (
            "global index new",
            changed(|planned| {
                let mut index = planned.indexes[1].clone();
                index.name = "new".to_owned();
                planned.indexes.push(index);
            }),
        ),
        (
            "local index by-title",
            changed(|planned| drop(planned.indexes.remove(2))),
        ),
        (
            "local index by-title: projection",
            changed(|planned| planned.spec.local_indexes[0].projection = None),
        ),
        (
            "global index by-day: projection",
            changed(|planned| planned.spec.global_indexes[1].projection = None),
        ),
        ("billing", said(json!({ "billing": "on-demand" }))),
        ("class", said(json!({ "class": "standard" }))),
        ("encryption", said(json!({ "encryption": "owned" }))),
        (
            "deletion protection",
            said(json!({ "deletion-protection": false })),
        ),
        ("tag team", said(json!({ "tags": { "team": "people" } }))),
    ]
}

#[tokio::test]
async fn a_table_that_differs_is_refused_and_left_alone() {
    let client = engine().await;
    Planned::new("Courses", every_setting())
        .ensure(&client)
        .await
        .unwrap();
    let before = client
        .describe_table()
        .table_name("Courses")
        .send()
        .await
        .unwrap();
    for adopted in [false, true] {
        for (what, mut planned) in plan_changes() {
            planned.spec.adopted = adopted;
            assert_eq!(planned.differing(&client).await, [what]);
            let error = planned.ensure(&client).await.unwrap_err();
            let TargetError::Differs {
                table, differences, ..
            } = &error
            else {
                panic!("{error}")
            };
            assert_eq!((table.as_str(), differences[0].what.as_str()), ("Courses", what));
            let text = error.to_string();
            assert!(
                text.contains(&differences[0].planned) && text.contains(&differences[0].actual),
                "{text}"
            );
            assert_eq!(text.contains("adopted"), adopted, "{text}");
        }
    }
    let after = client
        .describe_table()
        .table_name("Courses")
        .send()
        .await
        .unwrap();
    assert_eq!(before.table, after.table);
}

#[tokio::test]
async fn a_target_whose_ttl_or_stream_is_on_is_refused() {
    let client = engine().await;
    let planned = Planned::new("Courses", every_setting());
    planned.ensure(&client).await.unwrap();
    let ttl = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name("expires")
        .build()
        .unwrap();
    client
        .update_time_to_live()
        .table_name("Courses")
        .time_to_live_specification(ttl)
        .send()
        .await
        .unwrap();
    enable_view(&client, "Courses", StreamViewType::NewImage).await;
    assert_eq!(planned.differing(&client).await, ["stream", "TTL"]);
    let text = planned.ensure(&client).await.unwrap_err().to_string();
    assert!(text.contains("off until the split is complete"), "{text}");
}

#[tokio::test]
async fn tags_that_an_interrupted_run_left_out_are_added() {
    let client = engine().await;
    Planned::new("Courses", json!({})).ensure(&client).await.unwrap();
    let planned = Planned::new("Courses", json!({ "tags": { "team": "courses" } }));
    let seen = Mutex::new(Vec::new());
    let observer = |event: TableEvent<'_>| seen.lock().unwrap().push(format!("{event:?}"));
    let ensured = ensure(
        &client,
        &planned.spec,
        &planned.keys,
        &planned.indexes,
        dynasplit::target::TableStream::Unused,
        &observer,
    )
    .await
    .unwrap();
    let tags = BTreeMap::from([("team".to_owned(), "courses".to_owned())]);
    assert_eq!(
        (ensured.created, ensured.added),
        (false, vec![Pending::Tags(tags)])
    );
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert!(planned.ensure(&client).await.unwrap().added.is_empty());
}

#[tokio::test]
async fn an_adopted_table_is_only_checked() {
    let client = engine().await;
    let adopted = Planned::new(
        "Courses",
        json!({ "adopted": true, "tags": { "team": "courses" } }),
    );
    let error = adopted.ensure(&client).await.unwrap_err();
    assert!(
        matches!(&error, TargetError::AdoptedMissing { table } if table == "Courses"),
        "{error}"
    );
    assert!(
        client
            .list_tables()
            .send()
            .await
            .unwrap()
            .table_names()
            .is_empty()
    );

    Planned::new("Courses", json!({})).ensure(&client).await.unwrap();
    let error = adopted.ensure(&client).await.unwrap_err();
    assert!(error.to_string().contains("tag team"), "{error}");
    let same = Planned::new("Courses", json!({ "adopted": true }));
    let ensured = same.ensure(&client).await.unwrap();
    assert!(!ensured.created && ensured.added.is_empty());
    let tags = client
        .list_tags_of_resource()
        .resource_arn(ensured.arn)
        .send()
        .await
        .unwrap();
    assert!(tags.tags().is_empty());
}

#[tokio::test]
async fn a_table_with_one_item_is_not_empty() {
    let client = engine().await;
    assert!(matches!(
        is_empty(&client, "Courses").await.unwrap_err(),
        TargetError::Missing { .. }
    ));
    Planned::new("Courses", json!({})).ensure(&client).await.unwrap();
    assert!(is_empty(&client, "Courses").await.unwrap());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = client
        .put_item()
        .table_name("Courses")
        .item("PK", text("a"))
        .item("SK", text("b"));
    put.send().await.unwrap();
    assert!(!is_empty(&client, "Courses").await.unwrap());
}

#[tokio::test]
async fn ttl_is_switched_on_once_and_never_moved() {
    let client = engine().await;
    let planned = Planned::new("Courses", json!({ "ttl": "expires" }));
    let missing = enable_ttl(&client, &planned.spec).await.unwrap_err();
    assert!(matches!(missing, TargetError::Missing { .. }), "{missing}");
    planned.ensure(&client).await.unwrap();

    let adopted = TableSpec {
        adopted: true,
        ..planned.spec.clone()
    };
    let left = enable_ttl(&client, &adopted).await.unwrap();
    assert_eq!(
        left,
        TtlOutcome::LeftToOwner {
            attribute: "expires".to_owned()
        }
    );
    for enabled_now in [true, false] {
        let outcome = enable_ttl(&client, &planned.spec).await.unwrap();
        assert_eq!(
            outcome,
            TtlOutcome::On {
                attribute: "expires".to_owned(),
                enabled_now
            }
        );
    }
    let state = ttl_state(&client, "Courses").await.unwrap();
    assert_eq!(
        state,
        TtlState::On {
            attribute: "expires".to_owned()
        }
    );
    let other = TableSpec {
        ttl: Some("until".to_owned()),
        ..planned.spec.clone()
    };
    let error = enable_ttl(&client, &other).await.unwrap_err();
    assert!(matches!(error, TargetError::OtherTtl { .. }), "{error}");
    let none = TableSpec {
        ttl: None,
        ..planned.spec
    };
    assert_eq!(enable_ttl(&client, &none).await.unwrap(), TtlOutcome::NotPlanned);
}

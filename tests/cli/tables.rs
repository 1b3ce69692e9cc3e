//! Tables that are not what the plan says: `apply` creates nothing then.

use crate::shell::{Shell, assert_said, shown};
use crate::support::{Engine, table};
use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};

/// A small split in `sequence` mode.
pub const PLAN: &str = "\
version: 1
split: learning
source:
  table: Learning
  keys: { partition: PK, sort: SK }
timestamp: none
unrouted: fail
services:
  - name: Courses
    where: begins_with(PK, 'COURSE#')
    table:
      name: Courses
      keys: { partition: PK, sort: SK }
  - name: Users
    where: begins_with(PK, 'USER#')
    table:
      name: Users
      keys: { partition: PK, sort: SK }
      global-indexes:
        - name: by-email
          keys: { partition: email }
";

async fn tables(engine: &Engine) -> Vec<String> {
    let listed = engine.dynamodb().list_tables().send().await.unwrap();
    let mut names = listed.table_names.unwrap_or_default();
    names.sort();
    names
}

#[tokio::test]
async fn a_source_that_is_missing() {
    let engine = Engine::embedded().await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    assert_said!("source_missing", shell.run("apply plan.yaml").ended(1).shown());
    assert!(tables(&engine).await.is_empty());
}

#[tokio::test]
async fn a_source_with_another_key() {
    let engine = Engine::embedded().await;
    table::create_with(&engine.dynamodb(), "Learning", &["id"], true).await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    assert_said!("source_keys", shell.run("apply plan.yaml").ended(1).shown());
    assert_eq!(tables(&engine).await, ["Learning"]);
}

#[tokio::test]
async fn a_stream_with_another_view_is_never_changed() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    table::create_with(&client, "Learning", &["PK", "SK"], false).await;
    let keys_only = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::KeysOnly)
        .build()
        .unwrap();
    let update = client.update_table().table_name("Learning");
    update.stream_specification(keys_only).send().await.unwrap();
    let shell = Shell::new(PLAN).at(engine.endpoint());
    assert_said!("stream_view", shell.run("apply plan.yaml").ended(1).shown());
    let described = client
        .describe_table()
        .table_name("Learning")
        .send()
        .await
        .unwrap();
    let stream = described.table.unwrap().stream_specification.unwrap();
    assert_eq!(stream.stream_view_type, Some(StreamViewType::KeysOnly));
    assert_eq!(tables(&engine).await, ["Learning"]);
}

#[tokio::test]
async fn targets_that_differ_are_shown_all_at_once() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    table::create(&client, "Learning").await;
    table::create_with(&client, "Courses", &["courseId"], false).await;
    table::create_with(&client, "Users", &["PK", "SK"], false).await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    assert_said!("targets_differ", shell.run("apply plan.yaml").ended(1).shown());
    assert_eq!(tables(&engine).await, ["Courses", "Learning", "Users"]);
}

#[tokio::test]
async fn a_target_that_holds_items_and_one_that_its_owner_has_not_made() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    table::create(&client, "Learning").await;
    table::create_with(&client, "Courses", &["PK", "SK"], false).await;
    table::put(&client, "Courses", table::key("COURSE#1", "METADATA")).await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.write(
        "adopted.yaml",
        &PLAN.replace(
            "name: Users\n      keys",
            "name: Users\n      adopted: true\n      keys",
        ),
    );
    let said = ["apply plan.yaml", "apply adopted.yaml"].map(|line| shell.run(line).ended(1));
    assert_said!("target_not_empty", shown(&said));
    assert_eq!(tables(&engine).await, ["Courses", "Learning"]);
}

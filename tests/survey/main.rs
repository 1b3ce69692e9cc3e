//! The look at the source that `dynasplit plan` takes, on the embedded engine: what it finds, and that it
//! writes nothing.
#![allow(clippy::unwrap_used)] // Clippy excuses test functions, but not what they share.

mod shop;
#[path = "../support/mod.rs"]
mod support;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, BillingMode, ProvisionedThroughput, StreamSpecification, StreamViewType,
    TimeToLiveSpecification,
};
use dynasplit::cli::survey::render;
use dynasplit::source::{SourceError, StreamState};
use dynasplit::survey::{CollisionView, Severity, Survey, SurveyOptions, TargetStatus, survey};
use dynasplit::worker::RunError;
use shop::{SHOP, all, at, begin, look, misfits, order, split, user};
use std::cell::Cell;
use support::Engine;
use support::contents::{Contents, read};
use support::table::{create, create_with, item, number, put_all, text};
use tokio_util::sync::CancellationToken;

/// Every table and what it holds.
async fn world(client: &Client) -> Vec<(String, Contents)> {
    let mut tables = Vec::new();
    for name in client.list_tables().send().await.unwrap().table_names() {
        tables.push((name.clone(), read(client, name).await));
    }
    tables
}

#[track_caller]
fn assert_finding(survey: &Survey, severity: Severity, part: &str) {
    let found = survey.problems();
    assert!(
        found
            .iter()
            .any(|each| each.severity == severity && each.what.contains(part)),
        "no {severity:?} with '{part}' in {found:#?}"
    );
}

#[tokio::test]
async fn a_plan_that_fits_is_told_so_and_nothing_is_written() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create_with(&client, "Shop", &["PK", "SK"], false).await;
    let sessions = (0..5).map(|n| item(&format!("SESSION#{n}"), "S", []));
    put_all(
        &client,
        "Shop",
        (0..60).map(order).chain((0..30).map(user)).chain(sessions),
    )
    .await;
    let before = world(&client).await;

    let seen = Cell::new(0);
    let split = split(&engine, SHOP).await;
    let survey = survey(
        &split,
        &SurveyOptions::default(),
        &CancellationToken::new(),
        |n| seen.set(n),
    )
    .await
    .unwrap();
    assert_eq!(seen.get(), 95);
    assert!(!survey.would_fail(), "{:#?}", survey.problems());
    let routing = survey.routing.as_ref().unwrap();
    let routed: Vec<u64> = routing.services.iter().map(|service| service.routed).collect();
    assert_eq!(
        (routed, routing.left_behind.items, routing.unrouted.items),
        (vec![60, 30, 30], 5, 0)
    );
    assert!(
        survey.reading.as_ref().unwrap().whole,
        "a sample larger than the table is the table"
    );
    assert!(matches!(routing.services[0].collisions, CollisionView::Proven));
    assert!(matches!(
        routing.services[2].collisions,
        CollisionView::Compared {
            keys: 30,
            found: 0,
            ..
        }
    ));
    assert!(
        survey
            .tables
            .iter()
            .all(|table| matches!(table.status, TargetStatus::Missing))
    );
    let pattern = &routing.services[0].patterns[0];
    assert_eq!((pattern.what.as_str(), pattern.items), ("ORDER#… / LINE#…", 60));
    let after = pattern.after.as_ref().unwrap();
    let number = pattern.before.parts[0]
        .strip_prefix("PK = ORDER#")
        .unwrap()
        .to_owned();
    assert_eq!(pattern.before.parts[1], "SK = LINE#1");
    assert_eq!(after.parts, [format!("order = {number}"), "line = 1".to_owned()]);
    assert_eq!(
        after.attributes,
        ["at", "total"],
        "names, and the dropped keys are gone"
    );
    assert_eq!(routing.services[1].patterns[0].what, "USER#… / PROFILE");
    assert_finding(&survey, Severity::Note, "30 items match both users and names");
    assert_finding(&survey, Severity::Note, "the stream of Shop is off");
    assert_eq!(
        survey.estimate.as_ref().unwrap().lines[1].write_units,
        120,
        "a put and an index entry each"
    );

    assert_eq!(world(&client).await, before);
    let json = serde_json::to_value(&survey).unwrap();
    assert_eq!(json["routing"]["services"][0]["service"], "orders");
    assert!(!json.to_string().contains("Ann"), "values are shown to nobody");
}

#[tokio::test]
async fn what_would_go_wrong_is_named_with_counts_and_keys() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create(&client, "Shop").await;
    put_all(&client, "Shop", misfits()).await;
    // One target is another table, and one holds items.
    create_with(&client, "Orders", &["order"], false).await;
    create_with(&client, "Users", &["PK", "SK"], false).await;
    put_all(&client, "Users", [item("USER#9", "PROFILE", [])]).await;
    let before = world(&client).await;

    let survey = look(&engine, SHOP, &all()).await.unwrap();
    assert_eq!(world(&client).await, before);
    assert!(survey.would_fail());
    for part in [
        "3 items match no service nor what is left behind: VISIT#… / PAGE#… (2, as VISIT#",
        "'SK' does not match the key pattern 'LINE#{line}' (1, as ORDER#2 / NOTE)",
        "index 'by-total' of the target needs 'total' as a non-empty N, but it is S",
        "a name that is reserved for dynasplit (1, as ORDER#4 / LINE#1)",
        "of names can't be written: the target key needs `email`, which the item does not have (1, as USER#1",
        "in names, 1 item takes the target key of another item (same@example.com from USER#",
        "the table Orders of orders exists and differs from the plan: keys, global index by-total",
        "the table Users of users already holds items, and the split has not begun",
    ] {
        assert_finding(&survey, Severity::Error, part);
    }
    assert_finding(&survey, Severity::Warning, "3 items have no version by 'at'");
    assert_finding(
        &survey,
        Severity::Warning,
        "the stream of Shop was on before this split, since",
    );
    let unversioned: Vec<String> = survey
        .routing
        .as_ref()
        .unwrap()
        .unversioned
        .iter()
        .map(|g| g.what.clone())
        .collect();
    assert_eq!(
        unversioned,
        [
            "'at' has the type N, not S",
            "'at' is text that does not match 0000-00-00T00:00:00Z",
            "no 'at'"
        ]
    );
    assert_eq!(survey.stream.open_shards, Some(1));
    let json = serde_json::to_string(&survey).unwrap();
    assert!(
        !json.contains("secret") && !json.contains("much"),
        "values are shown to nobody"
    );
}

#[tokio::test]
async fn an_item_that_grows_over_the_limit_is_found() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create(&client, "Shop").await;
    // In sequence mode the tail adds a stamp, for which this item has no room.
    let blob = "x".repeat(400 * 1024 - 40);
    put_all(&client, "Shop", [item("USER#1", "A", [("blob", text(blob))])]).await;
    let plan = SHOP.replace(
        "timestamp: { attribute: at, type: S, format: iso-8601-seconds }",
        "timestamp: none",
    );
    let survey = look(&engine, &plan, &all()).await.unwrap();
    assert_finding(
        &survey,
        Severity::Error,
        "over 400 KB, with the version that it carries during the split (1, as USER#1 / A)",
    );
}

#[tokio::test]
async fn a_sample_is_taken_from_everywhere_and_says_that_it_is_one() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create(&client, "Shop").await;
    put_all(&client, "Shop", (0..1500).map(order).chain((0..500).map(user))).await;
    let options = SurveyOptions {
        sample: 400,
        ..SurveyOptions::default()
    };
    let survey = look(&engine, SHOP, &options).await.unwrap();
    let reading = survey.reading.as_ref().unwrap();
    assert!(
        !reading.whole && (400..=440).contains(&reading.items),
        "{reading:?}"
    );
    assert!(reading.places >= 8);
    let size = survey.size.unwrap();
    assert!(!size.counted && size.count.items == 2000, "{size:?}");
    let services = &survey.routing.as_ref().unwrap().services;
    let estimated = services[0].whole.items;
    assert!(
        (1300..=1700).contains(&estimated),
        "about 1,500 orders: {estimated}"
    );
    assert!(render(&survey, 100, false).contains("~ items"));
}

#[tokio::test]
async fn the_stream_and_the_source_are_judged() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create_with(&client, "Shop", &["PK", "SK"], false).await;
    let keys_only = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::KeysOnly)
        .build()
        .unwrap();
    let request = client
        .update_table()
        .table_name("Shop")
        .stream_specification(keys_only);
    request.send().await.unwrap();
    let ttl = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name("until")
        .build()
        .unwrap();
    let request = client
        .update_time_to_live()
        .table_name("Shop")
        .time_to_live_specification(ttl);
    request.send().await.unwrap();
    put_all(
        &client,
        "Shop",
        [item(
            "USER#1",
            "A",
            [
                at(),
                ("until", number(5)),
                ("aws:rep:deleting", AttributeValue::Bool(false)),
            ],
        )],
    )
    .await;

    let survey = look(&engine, SHOP, &all()).await.unwrap();
    assert_finding(&survey, Severity::Error, "is on with the view KEYS_ONLY");
    assert_finding(
        &survey,
        Severity::Note,
        "by 'until' (TTL is on); 1 item is expired but still there",
    );
    assert_finding(&survey, Severity::Warning, "the table of users has no `ttl`");
    assert_finding(&survey, Severity::Note, "attributes of a global table");
    assert_finding(
        &survey,
        Severity::Warning,
        "none of the items that were read belongs to orders",
    );

    let other = SHOP.replace(
        "keys: { partition: PK, sort: SK } }\ntimestamp",
        "keys: { partition: PK } }\ntimestamp",
    );
    let other = other.replace(
        "from: { PK: 'ORDER#{order}', SK: 'LINE#{line}' }, to: { order: '{order}', line: '{line}' } }",
        "from: { PK: 'ORDER#{order}' }, to: { order: '{order}', line: '{order}' } }",
    );
    let other = other.replace(
        "Users, keys: { partition: PK, sort: SK }",
        "Users, keys: { partition: PK }",
    );
    let survey = look(&engine, &other, &all()).await.unwrap();
    assert_finding(
        &survey,
        Severity::Error,
        "has the key partition PK (S), sort SK (S), and the plan says partition PK (S)",
    );
    assert!(survey.reading.is_none());
}

#[tokio::test]
async fn what_ttl_would_make_of_a_services_items_is_told() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create_with(&client, "Shop", &["PK", "SK"], false).await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let until = |n: usize, until: AttributeValue| {
        let mut user = user(n);
        user.insert("until".to_owned(), until);
        user
    };
    let users = [
        until(1, number(now + 1000)),
        until(2, number(now * 1000)),
        until(3, text("2030-01-01")),
        until(4, number(now - 1000)),
        until(5, number(5)),
    ];
    put_all(&client, "Shop", users).await;
    let plan = SHOP.replace(
        "{ name: Users, keys: { partition: PK, sort: SK } }",
        "{ name: Users, keys: { partition: PK, sort: SK }, ttl: until }",
    );
    let survey = look(&engine, &plan, &all()).await.unwrap();
    assert_finding(&survey, Severity::Warning, "3 items of users would never expire");
    for part in [
        "'until' is in milliseconds or finer (1, as USER#2",
        "'until' is text (1, as USER#3",
        "'until' is more than five years ago (1, as USER#5",
    ] {
        assert_finding(&survey, Severity::Warning, part);
    }
    let over = "1 item is expired by 'until' of users (as USER#4 / PROFILE)";
    assert_finding(&survey, Severity::Warning, over);
    assert!(!survey.would_fail());

    let ttl = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name("until");
    let request = client.update_time_to_live().table_name("Shop");
    request
        .time_to_live_specification(ttl.build().unwrap())
        .send()
        .await
        .unwrap();
    let survey = look(&engine, &plan, &all()).await.unwrap();
    assert_finding(&survey, Severity::Note, over);
}

#[tokio::test]
async fn people_read_it_on_eighty_columns() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create_with(&client, "Shop", &["PK", "SK"], false).await;
    put_all(&client, "Shop", (0..300).map(order).chain((0..300).map(user))).await;
    let sample = SurveyOptions {
        sample: 100,
        ..SurveyOptions::default()
    };
    let text = render(&look(&engine, SHOP, &sample).await.unwrap(), 80, false);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    // Only keys' patterns hold the sign: nothing is cut.
    assert!(
        text.lines()
            .all(|line| !line.ends_with('…') || line.contains("#…")),
        "{text}"
    );
    for whole in [
        "      keys: distinct (proven)\n",
        "      at: 12,000 units/s at first\n",
        " x ORDER#… / LINE#…\n    before    PK = ORDER#",
        "\n    after     order = ",
        " x USER#… / PROFILE\n    as it is  PK = USER#",
    ] {
        assert!(text.contains(whole), "{whole:?} in {text}");
    }
}

#[tokio::test]
async fn a_slow_target_is_forecast_against_the_stream() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create(&client, "Shop").await;
    put_all(&client, "Shop", (0..100).map(user)).await;
    let slow = |write_units| SurveyOptions {
        write_units: Some(write_units),
        ..all()
    };
    // 100 writes at one in 20 minutes are 33 hours; at one in five minutes, 8.3 hours.
    let survey = look(&engine, SHOP, &slow(1.0 / 1200.0)).await.unwrap();
    assert_finding(
        &survey,
        Severity::Error,
        "the backfill would take 33.3 hours (backfill: write users)",
    );
    let survey = look(&engine, SHOP, &slow(1.0 / 300.0)).await.unwrap();
    assert!(!survey.would_fail(), "{:#?}", survey.problems());
    assert_finding(&survey, Severity::Warning, "the backfill would take 8.3 hours");
}

#[tokio::test]
async fn a_target_that_exists_is_forecast_with_what_it_is_set_to_serve() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create_with(&client, "Shop", &["PK", "SK"], false).await;
    put_all(&client, "Shop", (0..100).map(user)).await;
    create_with(&client, "Users", &["PK", "SK"], false).await;
    let fast = look(&engine, SHOP, &all()).await.unwrap();
    let line = |survey: &Survey| {
        let lines = &survey.estimate.as_ref().unwrap().lines;
        lines
            .iter()
            .find(|line| line.what == "backfill: write users")
            .unwrap()
            .clone()
    };
    assert_eq!(
        (line(&fast).bound.as_str(), line(&fast).dollars),
        ("4,000 units/s at first", Some(0.01))
    );
    assert!(fast.estimate.as_ref().unwrap().slow.is_empty());

    let units = ProvisionedThroughput::builder()
        .read_capacity_units(1)
        .write_capacity_units(1);
    let request = client
        .update_table()
        .table_name("Users")
        .billing_mode(BillingMode::Provisioned);
    request
        .provisioned_throughput(units.build().unwrap())
        .send()
        .await
        .unwrap();
    let survey = look(&engine, SHOP, &all()).await.unwrap();
    assert_eq!(
        (line(&survey).bound.as_str(), line(&survey).dollars),
        ("1 units/s", None)
    );
    assert!(line(&survey).hours.unwrap() > 0.027, "{:?}", line(&survey));
    assert_finding(
        &survey,
        Severity::Warning,
        "the table Users of users serves 1 write unit per second, so its part of the backfill takes less than 6 minutes",
    );
    let budget = SurveyOptions {
        write_units: Some(500.0),
        ..all()
    };
    let notes = look(&engine, SHOP, &budget)
        .await
        .unwrap()
        .estimate
        .unwrap()
        .notes;
    let has = |part: &str| notes.iter().any(|note| note.contains(part));
    assert!(
        has("(writing users at 1 write units per second"),
        "the order rests on it: {notes:#?}"
    );
    assert!(
        has("--write-units 500 is more than Users serves (1 write units per second)"),
        "{notes:#?}"
    );
}

#[tokio::test]
async fn what_can_not_be_looked_at_is_an_error() {
    let engine = Engine::embedded().await;
    let missing = look(&engine, SHOP, &all()).await.unwrap_err();
    assert!(
        matches!(missing, RunError::Source(SourceError::Missing { .. })),
        "{missing}"
    );

    create(&engine.dynamodb(), "Shop").await;
    let stop = CancellationToken::new();
    stop.cancel();
    let stopped = survey(&split(&engine, SHOP).await, &all(), &stop, |_| ())
        .await
        .unwrap_err();
    assert!(stopped.to_string().contains("Nothing was written"), "{stopped}");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("prices.yaml");
    let mut options = all();
    options.prices = Some(path.clone());
    let unread = look(&engine, SHOP, &options).await.unwrap_err().to_string();
    assert!(
        unread.contains("prices.yaml") && unread.contains("--prices"),
        "{unread}"
    );
    std::fs::write(
        &path,
        "as-of: 2027-01\nregion: x\nstandard: { read-per-million: 1, write-per-million: 1e6 }\n",
    )
    .unwrap();
    put_all(&engine.dynamodb(), "Shop", [user(1)]).await;
    let survey = look(&engine, SHOP, &options).await.unwrap();
    assert_eq!(survey.estimate.unwrap().lines[2].dollars, Some(1.0));
}

/// Puts a fixed time in the place of the stream's own, which differs from run to run.
fn settle(survey: &mut Survey) {
    const SINCE: &str = "2026-10-01T10:00:00.000";
    let StreamState::On { arn, label } = &mut survey.stream.state else {
        panic!("the stream is on")
    };
    let since = std::mem::replace(label, SINCE.to_owned());
    *arn = arn.replace(&since, SINCE);
    for finding in &mut survey.findings {
        finding.what = finding.what.replace(&since, SINCE);
        finding.hint = finding.hint.as_ref().map(|hint| hint.replace(&since, SINCE));
    }
}

#[tokio::test]
async fn people_read_it_on_a_hundred_columns() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create(&client, "Shop").await;
    put_all(&client, "Shop", misfits()).await;
    create_with(&client, "Orders", &["order"], false).await;
    create_with(&client, "Users", &["PK", "SK"], false).await;
    let mut survey = look(&engine, SHOP, &all()).await.unwrap();
    settle(&mut survey);
    let text = render(&survey, 100, false);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    insta::assert_snapshot!("misfits", text);
    assert!(render(&survey, 100, true).contains("\u{1b}["));

    let sample = SurveyOptions {
        sample: 100,
        ..SurveyOptions::default()
    };
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create_with(&client, "Shop", &["PK", "SK"], false).await;
    put_all(&client, "Shop", (0..600).map(order)).await;
    let survey = look(&engine, SHOP, &sample).await.unwrap();
    insta::assert_snapshot!("sample", render(&survey, 100, false));
}

#[tokio::test]
async fn a_split_that_has_begun_is_known() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    create(&client, "Shop").await;
    create_with(&client, "Users", &["PK", "SK"], false).await;
    put_all(&client, "Shop", [user(1)]).await;
    put_all(&client, "Users", [user(1)]).await;
    let described = client.describe_table().table_name("Shop").send().await.unwrap();
    let arn = described.table.unwrap().latest_stream_arn.unwrap();
    begin(&split(&engine, SHOP).await, &arn).await;

    let survey = look(&engine, SHOP, &all()).await.unwrap();
    assert!(
        !survey.would_fail(),
        "its own stream and its own items: {:#?}",
        survey.problems()
    );
    assert_finding(&survey, Severity::Note, "this split has begun");
    assert!(
        !survey
            .problems()
            .iter()
            .any(|each| each.what.contains("was on before"))
    );

    let edited = SHOP.replace(
        "begins_with(PK, 'ORDER#')",
        "begins_with(PK, 'ORDER#') AND attribute_exists(total)",
    );
    let survey = look(&engine, &edited, &all()).await.unwrap();
    assert_finding(
        &survey,
        Severity::Error,
        "service 'orders', where: was `begins_with(PK, 'ORDER#')`, is now",
    );
    assert!(
        !render(&survey, 100, false).contains("\\n"),
        "a finding has no line breaks of its own"
    );

    let other = Engine::embedded().await;
    create(&other.dynamodb(), "Shop").await;
    put_all(&other.dynamodb(), "Shop", [user(1)]).await;
    begin(&split(&other, SHOP).await, "arn:of:another").await;
    let survey = look(&other, SHOP, &all()).await.unwrap();
    assert_finding(&survey, Severity::Error, "is not the one that this split reads");
}

//! Giving up one service of a split that runs, and a whole split.

use aws_sdk_dynamodb::Client;
use dynasplit::state::{ServiceRecord, StateError, Store};

use super::course::{copied, put, seen, set};
use crate::support::faulty::Script;
use crate::support::long::in_the_long_run;
use crate::support::process::{Cli, lanes};
use crate::support::stage::Stage;
use crate::support::table;
use crate::support::trial::Mode;

const ALL: &[&str] = &[
    "abandon",
    "--delete-targets",
    "--delete-state",
    "--disable-stream",
    "--yes",
];

async fn tables(client: &Client) -> Vec<String> {
    let listed = client.list_tables().send().await.expect("a list");
    listed.table_names.unwrap_or_default()
}

/// Changes which table `apply` created, as far as the state knows. Answers the one before.
async fn set_arn(store: &Store, record: &str, arn: &str) -> String {
    let mut before = None;
    store
        .change::<ServiceRecord, StateError>(record, |found| {
            let mut service = found.expect("the service's record");
            before = service.created_arn.replace(arn.to_owned());
            Ok(service)
        })
        .await
        .expect("the record is changed");
    before.expect("apply recorded the table")
}

/// The same for its id.
async fn set_id(store: &Store, record: &str, id: &str) -> String {
    let mut before = None;
    store
        .change::<ServiceRecord, StateError>(record, |found| {
            let mut service = found.expect("the service's record");
            before = service.created_id.replace(id.to_owned());
            Ok(service)
        })
        .await
        .expect("the record is changed");
    before.expect("apply recorded the id of the table")
}

/// The plan without the service `names`, as a person edits it after giving the service up.
fn without_names(stage: &Stage) -> Cli {
    let plan = stage.trial.plan();
    let block = plan.find("  - name: names").expect("the service is in the plan");
    stage.edited(&plan[block..], "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_goes_on_without_a_service_that_is_given_up() {
    in_the_long_run!(a_split_goes_on_without_a_service_that_is_given_up);
    let stage = set(Script::quiet(71), Mode::Sequence).await;
    let (client, cli, trial) = (&stage.client, &stage.cli, &stage.trial);
    for id in 0..5 {
        put(&stage, id, 1, "a name").await;
    }
    let tail = copied(&stage).await;
    let fewer = without_names(&stage);
    let early = fewer.run(&["replicate"]).await.with_code(&["replicate"], 1);
    assert!(early.stderr.contains("names"), "{}", early.stderr);

    let words = ["abandon", "--service", "names", "--delete-table"];
    let listed = cli.run(&words).await.with_code(&words, 2);
    assert!(listed.stdout.contains("is deleted"), "{}", listed.stdout);
    assert!(
        tables(client).await.contains(&trial.names),
        "a list deletes nothing"
    );

    // A plan with another role or region may find another table of this name.
    let store = Store::new(client.clone(), &trial.state_table());
    let record = ServiceRecord::record_name("names");
    let ours = set_arn(&store, &record, "arn:aws:dynamodb:eu-west-1:1:table/Other").await;
    let other = ["abandon", "--service", "names", "--delete-table", "--yes"];
    let refused = cli.run(&other).await.with_code(&other, 1);
    assert!(
        refused.stderr.contains("table/Other") && refused.stderr.contains("the region or the role differs"),
        "{}",
        refused.stderr
    );
    let all = ["abandon", "--delete-targets", "--yes"];
    let refused = cli.run(&all).await.with_code(&all, 1);
    assert!(refused.stderr.contains("table/Other"), "{}", refused.stderr);
    assert!(tables(client).await.contains(&trial.names));
    set_arn(&store, &record, &ours).await;

    // It dies when the service is marked, and the same command goes on.
    let words = ["abandon", "--service", "names", "--delete-table", "--yes"];
    let died = cli.armed("abandon.marked=kill").run(&words).await;
    assert_eq!(died.killed_at(), Some("abandon.marked"));
    let ended = tail.end().await.with_code(&["replicate"], 1);
    assert!(ended.stderr.contains("'names' was given up"), "{}", ended.stderr);
    cli.succeed(&words).await;
    assert!(!tables(client).await.contains(&trial.names));
    for words in [&["apply"] as &[&str], &["replicate"], &["backfill"], &["verify"]] {
        let refused = cli.run(words).await.with_code(words, 1);
        assert!(
            refused.stderr.contains("'names' was given up"),
            "{}",
            refused.stderr
        );
    }

    let tail = fewer.start(&["replicate"]);
    fewer.until_captured().await;
    let before = seen(&fewer.status().await, "orders");
    put(&stage, 9, 1, "after").await;
    let status = fewer
        .until("the order", |status| seen(status, "orders") > before)
        .await;
    assert!(lanes(&status).all(|lane| lane["lane"] != "names"), "{status:#}");
    fewer.until_caught_up().await;
    fewer.succeed(&["verify"]).await;
    assert_eq!(fewer.status().await["phase"], "verified");
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_split_is_given_up_and_an_adopted_table_is_kept() {
    let stage = set(Script::quiet(72), Mode::Sequence).await;
    let (client, trial) = (&stage.client, &stage.trial);
    table::create_with(client, &trial.orders, &["PK", "SK"], false).await;
    let keys = "      keys: { partition: PK, sort: SK }\n  - name: invoices";
    let cli = stage.edited(keys, &format!("      adopted: true\n{keys}"));
    let tail = cli.begin().await;

    let words = ["abandon", "--delete-targets"];
    let listed = cli.run(&words).await.with_code(&words, 2);
    for said in [
        "is kept: it is adopted",
        "is deleted",
        "stays on",
        "is kept (--delete-state)",
    ] {
        assert!(listed.stdout.contains(said), "{}", listed.stdout);
    }
    cli.succeed(&["abandon", "--yes"]).await;
    let ended = tail.end().await.with_code(&["replicate"], 1);
    assert!(ended.stderr.contains("was given up"), "{}", ended.stderr);
    assert!(
        tables(client).await.contains(&trial.names),
        "nothing is deleted without a flag"
    );
    cli.run(&["apply"]).await.with_code(&["apply"], 1);

    // Another table with the name, and so with the ARN, of one that was created.
    let store = Store::new(client.clone(), &trial.state_table());
    let record = ServiceRecord::record_name("names");
    let ours = set_id(&store, &record, "another").await;
    let done = cli.succeed(&["abandon", "--delete-targets", "--yes"]).await;
    let told = done.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept = "is kept: it is another table than dynasplit created";
    assert!(told.contains(kept), "{told}");
    assert!(tables(client).await.contains(&trial.names));
    set_id(&store, &record, &ours).await;

    cli.succeed(ALL).await;
    let mut left = tables(client).await;
    left.sort();
    let mut kept = vec![trial.source.clone(), trial.orders.clone()];
    kept.sort();
    assert_eq!(left, kept);
    let source = client.describe_table().table_name(&trial.source).send().await;
    let source = source.expect("the source is there").table.expect("a description");
    assert!(
        source
            .stream_specification
            .is_none_or(|stream| !stream.stream_enabled)
    );
}

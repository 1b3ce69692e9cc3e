//! Somebody deletes a table of the split while it runs: the state table, or the source. Every command ends soon, with an
//! error, and none claims that it saved or applied what it did not.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use serde_json::Value;

use super::course::{begin, copied, put, seen, set};
use super::restarts::switch;
use crate::support::faulty::{Fault, Gate, Rule, Script};
use crate::support::process::{Done, Running, obstacles};
use crate::support::stage::Stage;
use crate::support::trial::Mode;

/// Far below what a command would wait for something that passes by itself, with a lease of 2 s.
const SOON: Duration = Duration::from_secs(30);

async fn drop_table(client: &Client, table: &str) {
    let deleted = client.delete_table().table_name(table).send().await;
    deleted.expect("the table is deleted");
}

/// Puts an order, and waits until the tail has applied it.
async fn until_applied(stage: &Stage) {
    put(stage, 1, 1, "an order").await;
    let applied = |status: &Value| seen(status, "orders") > 0;
    stage.cli.until("the order", applied).await;
}

/// The end of a command, which must come soon.
async fn ends_soon(command: Running) -> Done {
    let (name, since) = (command.name().to_owned(), Instant::now());
    let done = command.end().await;
    assert!(since.elapsed() < SOON, "{name} ended after {:?}", since.elapsed());
    done
}

fn assert_gone(done: &Done, words: &[&str]) {
    assert_eq!(done.code, Some(1), "{words:?}: {}\n{}", done.stdout, done.stderr);
    assert_eq!(done.stdout, "", "{words:?} claims a result");
    assert!(
        done.stderr.contains("was deleted while the command ran"),
        "{words:?}: {}",
        done.stderr
    );
    let warnings = done.stderr.lines().filter(|line| line.contains("WARN")).count();
    assert!(
        warnings < 10,
        "{words:?} warned {warnings} times: {}",
        done.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_ends_when_the_state_table_is_deleted() {
    let stage = set(Script::quiet(51).shards(3), Mode::Sequence).await;
    let tail = begin(&stage).await;
    drop_table(&stage.client, &stage.trial.state_table()).await;
    let done = ends_soon(tail).await;
    assert_gone(&done, &["replicate"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_is_stopped_claims_no_save_that_failed() {
    let stage = set(Script::quiet(52), Mode::Sequence).await;
    let tail = begin(&stage).await;
    until_applied(&stage).await;
    // The state takes no write any more; the table is there.
    let refused = Rule::new(Fault::Denied).on(&["PutItem", "UpdateItem", "DeleteItem"]);
    stage
        .engine
        .faults()
        .rule(refused.table(&stage.trial.state_table()));
    tail.signal("TERM");
    let done = ends_soon(tail).await.with_code(&["replicate"], 1);
    assert!(
        done.stderr.contains("the last progress was not saved"),
        "{}",
        done.stderr
    );
    assert!(!done.stdout.contains("saved"), "{}", done.stdout);
}

/// A command that is under way while the state table is deleted.
async fn deleted_under(seed: u64, words: &[&str], point: &str, prepare: impl AsyncFnOnce(&Stage)) {
    let stage = set(Script::quiet(seed), Mode::Sequence).await;
    for id in 0..5 {
        put(&stage, id, 1, "an order").await;
    }
    let tail = begin(&stage).await;
    prepare(&stage).await;
    let mut command = stage.cli.armed(&format!("{point}=stop")).start(words);
    command.until_stopped().await;
    drop_table(&stage.client, &stage.trial.state_table()).await;
    command.signal("CONT");
    assert_gone(&ends_soon(command).await, words);
    assert_gone(&ends_soon(tail).await, &["replicate"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_ends_when_the_state_table_is_deleted() {
    deleted_under(53, &["backfill"], "backfill.page-read", async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_ends_when_the_state_table_is_deleted() {
    let words = ["verify", "--repair"];
    deleted_under(54, &words, "lease.taken", async |stage| {
        stage.cli.succeed(&["backfill"]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verification_ends_when_the_state_table_is_deleted() {
    let stage = set(Script::quiet(55), Mode::Sequence).await;
    for id in 0..5 {
        put(&stage, id, 1, "an order").await;
    }
    let tail = copied(&stage).await;
    // Its scans are not answered, as those of a large table are not for hours.
    let scans = Rule::new(Fault::Held(Gate::After(SOON * 10))).on(&["Scan"]);
    let held = stage.engine.faults().rule(scans.table(&stage.trial.source));
    let verify = stage.cli.start(&["verify"]);
    held.until(1).await;
    drop_table(&stage.client, &stage.trial.state_table()).await;
    assert_gone(&ends_soon(verify).await, &["verify"]);
    assert_gone(&ends_soon(tail).await, &["replicate"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_deleted_is_not_drained() {
    let stage = set(Script::quiet(56), Mode::Sequence).await;
    let tail = copied(&stage).await;
    until_applied(&stage).await;
    drop_table(&stage.client, &stage.trial.source).await;
    let done = ends_soon(tail).await.with_code(&["replicate"], 1);
    assert!(!done.stdout.contains("drained"), "{}", done.stdout);
    let said = format!("the source table {} was deleted", stage.trial.source);
    assert!(done.stderr.contains(&said), "{}", done.stderr);
    let status: Value = stage.cli.status().await;
    assert!(obstacles(&status).contains("was not found"), "{status:#}");
    stage
        .cli
        .run(&["complete", "--yes"])
        .await
        .with_code(&["complete"], 3);
    assert!(seen(&status, "orders") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_whose_stream_is_kept_is_read_to_its_end_before_it_is_told() {
    let stage = set(Script::quiet(57), Mode::Sequence).await;
    let tail = copied(&stage).await;
    until_applied(&stage).await;
    // AWS keeps the stream of a deleted table for 24 hours: it is off, and the table is not found.
    switch(&stage, false).await;
    let gone = Rule::new(Fault::NotFound).on(&["DescribeTable"]);
    stage.engine.faults().rule(gone.table(&stage.trial.source));
    let done = ends_soon(tail).await.with_code(&["replicate"], 1);
    assert!(
        done.stderr.contains("its stream was read to its end"),
        "{}",
        done.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_ends_when_the_source_is_deleted() {
    let stage = set(Script::quiet(58), Mode::Sequence).await;
    let tail = begin(&stage).await;
    let mut backfill =
        stage
            .cli
            .armed("backfill.page-read=stop")
            .start(&["backfill", "--segments", "2", "--workers", "1"]);
    backfill.until_stopped().await;
    drop_table(&stage.client, &stage.trial.source).await;
    backfill.signal("CONT");
    let done = ends_soon(backfill).await.with_code(&["backfill"], 1);
    assert!(done.stderr.contains("was deleted"), "{}", done.stderr);
    ends_soon(tail).await.with_code(&["replicate"], 1);
}

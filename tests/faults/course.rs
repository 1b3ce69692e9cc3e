//! The usual course of a split, in steps, so that a test can let things go wrong between them.

use std::time::Duration;

use dynasplit::state::{ServiceRecord, Store};
use tempfile::TempDir;

use crate::support::Engine;
use crate::support::faulty::{Call, Record, Script, Stream};
use crate::support::mutator::Habits;
use crate::support::process::{Cli, LIMIT, Running, lane};
use crate::support::stage::Stage;
use crate::support::table::{self, SdkItem, item, key, number, text};
use crate::support::trial::{Mode, Stamps};

/// Writers that leave a small machine some time.
pub const HABITS: Habits = Habits {
    keys: 200,
    writers: 2,
    pause: Duration::from_millis(60),
    backwards: 0,
};

/// A split on a scripted engine.
pub async fn set(script: Script, mode: Mode) -> Stage {
    Stage::set(Engine::scripted(script).await, mode).await
}

/// The same in `sequence` mode, with these items in the source, of which no stream tells: it is switched on by `apply`.
/// What is written of them is written by the backfill.
pub async fn filled(script: Script, items: impl IntoIterator<Item = SdkItem>) -> Stage {
    let seed = script.seed();
    let stage = Stage::seeded(Engine::scripted(script).await, Mode::Sequence, seed, false).await;
    table::put_all(&stage.client, &stage.trial.source, items).await;
    stage
}

/// Creates the tables, and follows the stream.
pub async fn begin(stage: &Stage) -> Running {
    stage.cli.succeed(&["apply"]).await;
    let tail = stage.cli.start(&["replicate"]);
    until_captured(stage).await;
    tail
}

/// Waits until the capture is on record for every service: only then a backfill may begin. (The lag is known a moment
/// before that.)
async fn until_captured(stage: &Stage) {
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    let looks = async {
        loop {
            let services = store
                .list::<ServiceRecord>(ServiceRecord::PREFIX)
                .await
                .expect("the state can be read");
            if services
                .iter()
                .all(|(_, service)| service.value.captured_ms.is_some())
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time("the capture", looks).await;
}

/// Creates the tables, follows the stream, copies: from here on, removals are real again.
pub async fn copied(stage: &Stage) -> Running {
    let tail = begin(stage).await;
    stage.cli.succeed(&["backfill"]).await;
    tail
}

/// Once nobody writes any more: every table is as it should be, and the tail ends well.
pub async fn end(stage: &Stage, tail: Running) {
    stage.cli.until_caught_up().await;
    let status = stage.cli.status().await;
    assert_eq!(status["dead_letters"], serde_json::json!({}), "{status:#}");
    eprintln!("faults: {}", stage.engine.faults().told());
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// Asks where the split stands, again and again, until it is as it should be; the question may have a memory.
pub async fn until(stage: &Stage, what: &str, mut is: impl FnMut(&serde_json::Value) -> bool) {
    let asking = async {
        while !is(&stage.cli.look().await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time(what, asking).await;
}

/// Waits for something for as long as a command may take.
pub async fn in_time(what: &str, waits: impl Future<Output = ()>) {
    let waited = tokio::time::timeout(LIMIT, Box::pin(waits)).await;
    assert!(waited.is_ok(), "{what} does not come");
}

/// So many items went in as few requests as that takes. What is not answered in time goes again, in smaller ones: each of
/// these items excuses one.
pub fn assert_few(batches: &Record, items: u64) {
    let asked = batches.asked();
    let sizes: Vec<u64> = asked.iter().map(|asked| operations(&asked.call)).collect();
    let (requests, sent) = (sizes.len() as u64, sizes.iter().sum::<u64>());
    let fewest = items.div_ceil(25);
    let most = fewest + 4 + sent.saturating_sub(items);
    assert!((fewest..=most).contains(&requests), "requests of {sizes:?}");
}

/// How many writes a batch holds.
fn operations(call: &Call) -> u64 {
    let body = call.json();
    let tables = body["RequestItems"].as_object().into_iter();
    let lists = tables
        .flat_map(|tables| tables.values())
        .chain([&body["Statements"]]);
    lists
        .filter_map(|list| list.as_array())
        .map(|list| list.len() as u64)
        .sum()
}

/// The same commands with another lease, which makes them wait longer for answers, and for what may land late.
pub fn with_lease(stage: &Stage, seconds: u64) -> (Cli, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = stage.trial.write_plan(directory.path());
    (Cli::new(plan, stage.engine.endpoint(), seconds), directory)
}

/// The source's stream.
pub fn stream(stage: &Stage) -> Stream {
    stage.engine.faults().stream(&stage.trial.source)
}

/// An order with a name, of this version.
pub fn order(id: usize, at: u64, name: &str) -> SdkItem {
    let (pk, sk) = names(id);
    item(
        &pk,
        &sk,
        [("kind", text("order")), ("at", number(at)), ("name", text(name))],
    )
}

/// Puts an order into the source.
pub async fn put(stage: &Stage, id: usize, at: u64, name: &str) {
    table::put(&stage.client, &stage.trial.source, order(id, at, name)).await;
}

/// Deletes an order from the source.
pub async fn delete(stage: &Stage, id: usize) {
    let (pk, sk) = names(id);
    table::delete(&stage.client, &stage.trial.source, key(&pk, &sk)).await;
}

/// What requests for an order hold, wherever it is written as it is.
pub fn mark(id: usize) -> String {
    format!("\"DOC#{id}\"")
}

fn names(id: usize) -> (String, String) {
    (format!("ACC#{}", id / 7), format!("DOC#{id}"))
}

/// Waits until a lane has seen so many records more than now, while somebody writes all the time. For what was written
/// before: [`until_seen`].
pub async fn until_more(stage: &Stage, name: &str, more: u64) {
    let before = seen(&stage.cli.look().await, name);
    until_seen(stage, name, before + more).await;
}

/// Waits until a lane has seen so many records in all.
pub async fn until_seen(stage: &Stage, name: &str, count: u64) {
    let enough = |status: &serde_json::Value| seen(status, name) >= count;
    stage.cli.until("progress", enough).await;
}

/// Records that a lane has taken.
pub fn seen(status: &serde_json::Value, name: &str) -> u64 {
    lane(status, name)["counters"]["seen"].as_u64().expect("a count")
}

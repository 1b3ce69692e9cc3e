//! What `replicate` prints in the end includes what landed while it stopped.

use std::time::Duration;

use super::course::{begin, in_time, put, set};
use crate::support::contents;
use crate::support::faulty::Script;
use crate::support::process::lane;
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_table_shows_what_landed_while_it_stopped() {
    let stage = set(Script::quiet(61), Mode::Sequence).await;
    begin(&stage).await.kill().await;
    let words = ["replicate", "--output", "json"];
    let tail = stage
        .cli
        .armed("tail.checkpoint.before@*=delay:2000")
        .start(&words);
    put(&stage, 1, 1, "an order").await;
    // It has landed, and its checkpoint waits at the failpoint.
    let landed = async {
        while contents::read(&stage.client, &stage.trial.orders)
            .await
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    in_time("the order", landed).await;
    tail.signal("TERM");
    let done = tail.end().await.with_code(&words, 0);
    let report = serde_json::from_str(&done.stdout).expect("one JSON document");
    assert_eq!(lane(&report, "orders")["counters"]["put"], 1, "{report:#}");
}

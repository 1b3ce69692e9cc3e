//! `complete` loses no write: it delivers what is left, and refuses unless the source is shown to be at rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynasplit::state::{ShardRecord, Store};
use serde_json::Value;

use super::switched::COMPLETE;
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::process::obstacles;
use crate::support::stage::Stage;
use crate::support::table::{self, item, key, number, text};
use crate::support::trial::{Mode, Stamps};

async fn put(stage: &Stage, number_: u32) {
    let fields = [("kind", text("order")), ("at", number(number_))];
    let written = item("ACC#rest", &format!("DOC#{number_}"), fields);
    table::put(&stage.client, &stage.trial.source, written).await;
}

async fn verified() -> (Stage, crate::support::process::Running) {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    for number_ in 0..10 {
        put(&stage, number_).await;
    }
    stage.cli.succeed(&["apply"]).await;
    let tail = stage.cli.start(&["replicate"]);
    stage.cli.until_captured().await;
    stage.cli.succeed(&["backfill"]).await;
    stage.cli.until_caught_up().await;
    stage.cli.succeed(&["verify"]).await;
    (stage, tail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complete_refuses_while_nobody_reads_the_stream() {
    in_the_long_run!(complete_refuses_while_nobody_reads_the_stream);
    let (stage, tail) = verified().await;
    let cli = &stage.cli;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
    for number_ in 100..150 {
        put(&stage, number_).await;
    }
    let refused = cli.run(COMPLETE).await.with_code(COMPLETE, 3);
    assert!(
        refused.stderr.contains("no live worker reads the stream"),
        "{}",
        refused.stderr
    );
    let status = cli.status().await;
    let next = status["next"].as_str().unwrap_or_default();
    assert!(next.starts_with("run `dynasplit replicate"), "{status:#}");
    // Delivered by then, but nobody verified since.
    let tail = cli.start(&["replicate"]);
    cli.until_caught_up().await;
    let refused = cli.run(COMPLETE).await.with_code(COMPLETE, 3);
    assert!(
        refused.stderr.contains("50 changes of orders"),
        "{}",
        refused.stderr
    );
    cli.succeed(&["verify"]).await;
    let done = cli.succeed(COMPLETE).await;
    assert!(done.stdout.contains("the source is at rest: "), "{}", done.stdout);
    assert!(!done.stdout.contains("delete"), "{}", done.stdout);
    tail.end().await.with_code(&["replicate"], 0);
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complete_refuses_while_somebody_writes_the_source() {
    let (stage, tail) = verified().await;
    let cli = &stage.cli;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (stop, client, source) = (
            Arc::clone(&stop),
            stage.client.clone(),
            stage.trial.source.clone(),
        );
        tokio::spawn(async move {
            let mut at = 1000;
            while !stop.load(Ordering::Relaxed) {
                at += 1;
                let fields = [("kind", text("order")), ("at", number(at))];
                table::put(
                    &client,
                    &source,
                    item("ACC#rest", &format!("DOC#{}", at % 20), fields),
                )
                .await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    };
    let words = ["complete", "--yes", "--quiet-for", "3600"];
    let refused = cli.run(&words).await.with_code(&words, 3);
    assert!(
        refused.stderr.contains("the source is not at rest"),
        "{}",
        refused.stderr
    );
    // Nothing is half done: the worker reads on.
    let status = cli.status().await;
    assert_ne!(status["phase"], "completing", "{status:#}");
    stop.store(true, Ordering::Relaxed);
    writing.await.expect("the writer ends");
    cli.until_caught_up().await;
    cli.succeed(&["verify"]).await;
    cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_items_that_are_left_behind_do_not_matter() {
    in_the_long_run!(writes_of_items_that_are_left_behind_do_not_matter);
    let (stage, tail) = verified().await;
    for number_ in 0..5 {
        let archived = item(
            "ACC#rest",
            &format!("OLD#{number_}"),
            [("kind", text("archive")), ("at", number(1))],
        );
        table::put(&stage.client, &stage.trial.source, archived).await;
    }
    stage.cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flag_that_names_the_loss_completes_all_the_same() {
    in_the_long_run!(the_flag_that_names_the_loss_completes_all_the_same);
    let (stage, tail) = verified().await;
    tail.kill().await;
    put(&stage, 500).await;
    let dead = |status: &Value| {
        status["workers"]
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one["overdue"] == true))
    };
    stage.cli.until("the end of the worker's lease", dead).await;
    stage.cli.run(COMPLETE).await.with_code(COMPLETE, 3);
    stage
        .cli
        .succeed(&["complete", "--yes", "--lose-late-writes"])
        .await;
}

/// A worker that was started before a service was added reads no lane of it. It ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_an_older_plan_ends_when_a_service_is_added() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let plan = stage.trial.plan();
    let names = plan.find("  - name: names").expect("the last service");
    let older = stage.edited(&plan[names..], "");
    older.succeed(&["apply"]).await;
    let old_tail = older.start(&["replicate"]);
    older.until_captured().await;
    older.succeed(&["backfill"]).await;

    let cli = &stage.cli;
    cli.succeed(&["apply"]).await;
    let ended = old_tail.end().await.with_code(&["replicate"], 1);
    assert!(ended.stderr.contains("'names'"), "{}", ended.stderr);
    // Nobody calls it verified, and each command names the one that is missing.
    let refused = cli.run(&["verify"]).await.with_code(&["verify"], 1);
    assert!(
        refused.stderr.contains("names does not follow the stream"),
        "{}",
        refused.stderr
    );
    let tail = cli.start(&["replicate"]);
    cli.until_captured().await;
    let status = cli.status().await;
    assert_eq!(status["obstacles"][0]["kind"], "not-backfilled", "{status:#}");
    assert!(
        obstacles(&status).contains("names was not backfilled"),
        "{status:#}"
    );
    for words in [&["verify"] as &[&str], &["verify", "--repair"]] {
        let refused = cli.run(words).await.with_code(words, 1);
        assert!(
            refused.stderr.contains("names was not backfilled"),
            "{}",
            refused.stderr
        );
    }
    cli.run(COMPLETE).await.with_code(COMPLETE, 3);
    older.run(&["apply"]).await.with_code(&["apply"], 1);
    // `status` with the older plan does not call the split verified either.
    let status = older.status().await;
    assert_eq!(status["obstacles"][0]["kind"], "other-plan", "{status:#}");
    cli.succeed(&["backfill"]).await;
    cli.succeed(&["verify"]).await;
    cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
}

/// A stream that was switched off and drained is not switched on again by the way, and a completed split not reopened.
/// An `apply` that dies may have recorded a service, and not yet named it in the split's record. Workers followed nothing then: those
/// with the new plan started again all the time, without a word, and those with the old plan were refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn until_apply_ends_a_service_that_it_died_at_is_not_part_of_the_split() {
    in_the_long_run!(until_apply_ends_a_service_that_it_died_at_is_not_part_of_the_split);
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let plan = stage.trial.plan();
    let names = plan.find("  - name: names").expect("the last service");
    let older = stage.edited(&plan[names..], "");
    older.succeed(&["apply"]).await;
    let tail = older.start(&["replicate"]);
    older.until_captured().await;
    older.succeed(&["backfill"]).await;

    let cli = &stage.cli;
    let point = "state.service.put.after";
    let dying = cli.armed(&format!("{point}=kill"));
    assert_eq!(dying.run(&["apply"]).await.killed_at(), Some(point));
    for words in [&["replicate"] as &[&str], &["backfill"]] {
        let refused = cli.run(words).await.with_code(words, 1);
        assert!(refused.stderr.contains("dynasplit apply"), "{}", refused.stderr);
    }
    let status = cli.status().await;
    assert!(
        status["next"].to_string().contains("dynasplit apply"),
        "{status:#}"
    );
    // The workers with the plan of before go on, and may be started again.
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
    let tail = older.start(&["replicate"]);
    put(&stage, 1).await;
    older.until_caught_up().await;
    let found = table::get(&stage.client, &stage.trial.orders, key("ACC#rest", "DOC#1")).await;
    assert!(found.is_some(), "the lane of orders applies changes");

    cli.succeed(&["apply"]).await;
    let ended = tail.end().await.with_code(&["replicate"], 1);
    assert!(ended.stderr.contains("'names'"), "{}", ended.stderr);
    let tail = cli.start(&["replicate"]);
    cli.until_captured().await;
    cli.succeed(&["backfill"]).await;
    cli.succeed(&["verify"]).await;
    cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_does_not_switch_a_drained_stream_on_again() {
    in_the_long_run!(apply_does_not_switch_a_drained_stream_on_again);
    let stage = Stage::set(Engine::genuine().await, Mode::Sequence).await;
    let cli = &stage.cli;
    put(&stage, 1).await;
    let tail = cli.begin().await;
    cli.succeed(&["backfill"]).await;
    table::disable_stream(&stage.client, &stage.trial.source).await;
    let ended = tail.end().await.with_code(&["replicate"], 0);
    assert!(ended.stdout.contains("drained"), "{}", ended.stdout);
    let refused = cli.run(&["apply"]).await.with_code(&["apply"], 1);
    assert!(refused.stderr.contains("the stream of"), "{}", refused.stderr);
    // All lanes are drained: no worker is missing, and nothing is behind.
    let verify = cli.succeed(&["verify"]).await;
    for word in ["behind", "no tail worker", "no live worker"] {
        assert!(!verify.stdout.contains(word), "{}", verify.stdout);
    }
    cli.succeed(&["apply", "--enable-stream"]).await;
    let status = cli.status().await;
    assert_eq!(status["obstacles"][0]["kind"], "other-stream", "{status:#}");
    assert!(
        obstacles(&status).contains("switch the new stream off"),
        "{status:#}"
    );
    table::disable_stream(&stage.client, &stage.trial.source).await;
    let done = cli.succeed(COMPLETE).await;
    assert!(done.stdout.contains("the stream is off"), "{}", done.stdout);
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
    let late = cli.run(&["apply"]).await.with_code(&["apply"], 1);
    assert!(late.stderr.contains("was completed"), "{}", late.stderr);
    let is_on = table::has_stream(&stage.client, &stage.trial.source).await;
    assert!(!is_on, "it stays off");
}

/// What a worker receives while it stops shows that the source was not at rest after all. Then the split goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_workers_receive_while_they_stop_takes_the_beginning_back() {
    in_the_long_run!(what_workers_receive_while_they_stop_takes_the_beginning_back);
    let (stage, tail) = verified().await;
    let cli = &stage.cli;
    cli.armed("complete.begun=kill").run(COMPLETE).await;
    assert_eq!(cli.status().await["phase"], "completing");
    tail.end().await.with_code(&["replicate"], 0);
    // As if its last checkpoint had covered one more change.
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    let shards = store.list::<ShardRecord>(ShardRecord::PREFIX).await.unwrap();
    let (name, shard) = shards
        .iter()
        .find(|(_, shard)| shard.value.lanes.contains_key("orders"))
        .expect("a shard with a lane of orders");
    let mut changed = shard.value.clone();
    changed.lanes.get_mut("orders").unwrap().counters.put += 1;
    store.put(name, changed, shard.revision).await.unwrap();

    let refused = cli.run(COMPLETE).await.with_code(COMPLETE, 3);
    assert!(
        refused.stderr.contains("1 change of orders arrived"),
        "{}",
        refused.stderr
    );
    let status = cli.status().await;
    assert_ne!(status["phase"], "completing", "{status:#}");
    let tail = cli.start(&["replicate"]);
    cli.until_caught_up().await;
    cli.succeed(&["verify"]).await;
    cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
}

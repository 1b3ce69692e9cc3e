//! What a command waits for at its end: for nothing if every request was answered; for what may still land if a process died, or
//! left a request without an answer. `status` names it.

use super::bulk::{BATCH, BULK, loaded};
use super::course::{begin, end, filled, order};
use crate::support::faulty::{Fault, Gate, Holder, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::process::Cli;
use crate::support::stage::Stage;
use crate::support::table;
use crate::support::trial::Mode;

/// A write that is given up may land for about seven seconds with this lease: long enough to be told, and noted.
const LONG: u64 = 8;
/// A process that died is replaced soon, and what it had under way is still waited for.
const SHORT: u64 = 4;
const WAIT: &str = "no write can land any more";
const CONCURRENT: &[&str] = &["backfill"];
const INSERTS: &str = "BatchExecuteStatement";

async fn concurrent(seed: u64) -> Stage {
    filled(
        Script::quiet(seed),
        (0..60).map(|id| order(id, 1, "there before")),
    )
    .await
}

/// Runs to its end; whether it said that it waited for writes that may land.
async fn waits(cli: &Cli, words: &[&str]) -> bool {
    cli.succeed(words).await.stderr.contains(WAIT)
}

/// A command runs; answers what `status` says that it waits for, when it waits for something like this.
async fn until_it_waits(cli: &Cli, command: &str, what: &str) {
    cli.until(what, |status| {
        let mut running = status["running"].as_array().into_iter().flatten();
        running.any(|doing| {
            let wait = &doing["waits_for"];
            doing["command"] == command
                && wait["at_most_ms"].as_u64().is_some_and(|most| most > 0)
                && wait["until"].as_str().is_some_and(|until| until.contains(what))
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_waited_for_if_every_request_was_answered() {
    let stage = concurrent(71).await;
    let tail = begin(&stage).await;
    let cli = stage.cli.with_lease(LONG);
    assert!(!waits(&cli, CONCURRENT).await);
    // A repair, too.
    let mut key = order(0, 1, "there before");
    key.retain(|name, _| [table::PK, table::SK].contains(&name.as_str()));
    table::delete(&stage.client, &stage.trial.orders, key).await;
    let repair = ["verify", "--repair", "--discard-target-writes", "--patience", "1"];
    let repaired = cli.run(&repair).await;
    assert!(repaired.stdout.contains("repaired"), "{}", repaired.stdout);
    assert!(!repaired.stderr.contains(WAIT), "{}", repaired.stderr);
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_copy_waits_for_nothing_if_every_request_was_answered() {
    let stage = loaded(72, Mode::Sequence).await;
    let tail = begin(&stage).await;
    assert!(!waits(&stage.cli.with_lease(LONG), BULK).await);
    end(&stage, tail).await;
}

/// One request for the orders is answered by a server error, which does not say whether it took effect.
async fn one_request_is_unanswered(stage: Stage, operation: &'static str, words: &[&str]) {
    let tail = begin(&stage).await;
    let rule = Rule::new(Fault::server_error(500)).on(&[operation]);
    let rule = rule.table(&stage.trial.orders).times(1);
    let failed = stage.engine.faults().rule(rule);
    let fill = stage.cli.with_lease(LONG).start(words);
    until_it_waits(&stage.cli, "backfill", "left a request of it without an answer").await;
    assert_eq!(failed.hits(), 1);
    let done = fill.end().await.with_code(words, 0);
    assert!(done.stderr.contains(WAIT), "{}", done.stderr);
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_is_waited_for_and_status_names_it() {
    one_request_is_unanswered(concurrent(73).await, INSERTS, CONCURRENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_copy_waits_for_a_request_without_an_answer() {
    in_the_long_run!(a_bulk_copy_waits_for_a_request_without_an_answer);
    one_request_is_unanswered(loaded(74, Mode::Timestamp).await, BATCH, BULK).await;
}

/// A process dies with a request under way; the next one copies the rest, and waits.
async fn one_process_dies(stage: Stage, operation: &'static str, words: &[&str]) {
    let tail = begin(&stage).await;
    let holder = Holder::new();
    let rule = Rule::new(Fault::Held(Gate::Held(holder.clone()))).on(&[operation]);
    let held = stage
        .engine
        .faults()
        .rule(rule.table(&stage.trial.orders).times(1));
    let cli = stage.cli.with_lease(SHORT);
    let first = cli.start(words);
    holder.until(1).await;
    first.kill().await;
    held.off();
    assert!(waits(&cli, words).await);
    holder.open();
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_backfill_had_under_way_is_waited_for() {
    one_process_dies(concurrent(75).await, INSERTS, CONCURRENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_bulk_copy_had_under_way_is_waited_for() {
    in_the_long_run!(what_a_dead_bulk_copy_had_under_way_is_waited_for);
    one_process_dies(loaded(76, Mode::Sequence).await, BATCH, BULK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_worker_that_died_is_waited_for_and_status_names_it() {
    in_the_long_run!(a_tail_worker_that_died_is_waited_for_and_status_names_it);
    let stage = concurrent(77).await;
    let first = begin(&stage).await;
    // A worker that is told to stop while it still begins was interrupted, and says so.
    stage.cli.until_caught_up().await;
    first.signal("TERM");
    first.end().await.with_code(&["replicate"], 0);
    let cli = stage.cli.with_lease(LONG);
    let tail = cli.start(&["replicate"]);
    let status = cli
        .until("a worker", |status| {
            status["workers"]
                .as_array()
                .is_some_and(|workers| !workers.is_empty())
        })
        .await;
    tail.kill().await;
    let fill = cli.start(CONCURRENT);
    until_it_waits(&cli, "backfill", "sign of life").await;
    assert!(status["workers"].to_string().contains("tail"), "{status:#}");
    fill.end().await.with_code(CONCURRENT, 0);
    let tail = begin(&stage).await;
    end(&stage, tail).await;
}

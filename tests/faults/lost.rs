//! Answers that are lost, and requests that land after their caller gave them up.

use std::time::Duration;

use super::course::{HABITS, begin, delete, end, mark, put, set};
use crate::support::faulty::{Fault, FaultKind, Gate, Landing, Loss, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::trial::Mode;

/// As the caller may see a request that is still under way.
const LOSSES: [Loss; 5] = [
    Loss::Silence,
    Loss::HangUp,
    Loss::Gateway(504),
    Loss::ServerError(500),
    Loss::ServerError(503),
];

/// A request lands late with this lease: a silent one is given up after four thirds of a second, and each may land two
/// seconds after it was given up.
const LEASE_SECONDS: u64 = 4;

/// How late a request lands: after its repetition, and within what the product assumes of it, by a second or more.
fn lateness(loss: Loss) -> Duration {
    match loss {
        Loss::Silence => Duration::from_millis(2200),
        _ => Duration::from_millis(1000),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_lands_after_the_removal_of_its_item_brings_nothing_back() {
    let mut stage = set(Script::quiet(10), Mode::Sequence).await;
    stage.cli = stage.cli.with_lease(LEASE_SECONDS);
    // No backfill runs, so removals are real ones.
    let tail = begin(&stage).await;
    for (id, loss) in LOSSES.into_iter().enumerate() {
        let late = Landing::Late(Gate::After(lateness(loss)));
        let rule = Rule::new(Fault::Lost(loss, late))
            .on(&["PutItem"])
            .table(&stage.trial.orders);
        let late = stage.engine.faults().rule(rule.holding(&mark(id)).times(1));
        put(&stage, id, 1, "to be removed").await;
        late.until(1).await;
        // Its request is lost; the removal comes next, and nothing buries it any more.
        delete(&stage, id).await;
    }
    let faults = stage.engine.faults();
    let landed = |_: &serde_json::Value| faults.count(FaultKind::LandedLate) == LOSSES.len() as u64;
    stage.cli.until("all late requests", landed).await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_lands_after_the_removal_of_its_item_brings_nothing_back() {
    in_the_long_run!(a_copy_that_lands_after_the_removal_of_its_item_brings_nothing_back);
    let stage = set(Script::quiet(11), Mode::Sequence).await;
    for id in 0..LOSSES.len() + 5 {
        put(&stage, id, 1, "there before").await;
    }
    // With more time for what is late, so that the tail has removed the item when it lands.
    let cli = stage.cli.with_lease(LEASE_SECONDS);
    let tail = begin(&stage).await;
    stage.cli.until_caught_up().await;
    let rules: Vec<_> = LOSSES
        .into_iter()
        .enumerate()
        .map(|(id, loss)| {
            let late = Landing::Late(Gate::After(lateness(loss)));
            let rule = Rule::new(Fault::Lost(loss, late))
                .on(&["PutItem", "BatchExecuteStatement"])
                .table(&stage.trial.orders);
            stage.engine.faults().rule(rule.holding(&mark(id)).times(1))
        })
        .collect();
    let fill = cli.start(&["backfill"]);
    for (id, rule) in rules.iter().enumerate() {
        rule.until(1).await;
        delete(&stage, id).await;
    }
    fill.end().await.with_code(&["backfill"], 0);
    end(&stage, tail).await;
    assert_eq!(
        stage.engine.faults().count(FaultKind::LandedLate),
        LOSSES.len() as u64
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_was_saved_without_an_answer_is_saved() {
    in_the_long_run!(a_checkpoint_that_was_saved_without_an_answer_is_saved);
    let mut stage = set(Script::quiet(12), Mode::Timestamp).await;
    // Longer than several saves in a row whose answers are waited for in vain.
    stage.cli = stage.cli.with_lease(6);
    let mutator = stage.write(HABITS).await;
    stage.cli.succeed(&["apply"]).await;
    let state = stage.trial.state_table();
    let rule = |loss, probability| {
        let rule = Rule::new(Fault::Lost(loss, Landing::Before)).on(&["PutItem", "UpdateItem"]);
        stage
            .engine
            .faults()
            .rule(rule.table(&state).sometimes(probability))
    };
    let lost = [
        rule(Loss::ServerError(500), 0.15),
        rule(Loss::HangUp, 0.15),
        rule(Loss::Silence, 0.05),
    ];
    // A worker's first sign of life, and the first claims: who takes these for another's can't begin.
    for record in ["WORKER#", "SHARD#", "SEGMENT#"] {
        let rule = Rule::new(Fault::Lost(Loss::HangUp, Landing::Before))
            .on(&["PutItem"])
            .table(&state);
        stage.engine.faults().rule(rule.holding(record).times(2));
    }
    let mut tail = begin(&stage).await;
    stage.cli.succeed(&["backfill"]).await;
    for rule in &lost {
        rule.until(2).await;
    }
    mutator.stop().await;
    let told = tail.told();
    assert!(
        !told.contains("another worker took the lease"),
        "it knows its own saves: {told}"
    );
    // A save that fails at the very end is told as such, and is another test's.
    lost.iter().for_each(|rule| rule.off());
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_waits_for_the_slowest_write() {
    let stage = set(Script::quiet(13), Mode::Timestamp).await;
    let tail = begin(&stage).await;
    // The first of ten never lands, while the others do; then the power is cut.
    let orders = &stage.trial.orders;
    let never = Rule::new(Fault::Lost(Loss::Silence, Landing::Never))
        .on(&["PutItem"])
        .table(orders);
    let never = stage.engine.faults().rule(never.holding(&mark(0)));
    // All ten are read at once: a lane waits for a batch before it takes the next.
    let unseen = stage
        .engine
        .faults()
        .rule(Rule::new(Fault::EmptyPage).on(&["GetRecords"]));
    // A read that was under way before could still show the first of them alone.
    unseen.until(2).await;
    for id in 0..10 {
        put(&stage, id, 1, "one of ten").await;
    }
    unseen.off();
    never.until(2).await;
    let others = || stage.engine.faults().asked("PutItem", orders) >= 9 + never.hits();
    stage.cli.until("the other nine", |_| others()).await;
    tail.kill().await;
    never.off();
    let tail = stage.cli.start(&["replicate"]);
    end(&stage, tail).await;
}

//! The backfill's batches: what is left undone of one, what is refused of one, and engines and roles that take none.

use super::course::{assert_few, begin, end, order, set};
use crate::support::faulty::{Fault, FaultKind, Reason, Rule, Script, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::process::{Done, lane};
use crate::support::stage::Stage;
use crate::support::table;
use crate::support::trial::Mode;

const BATCH: &str = "BatchExecuteStatement";
const ITEMS: u64 = 200;

/// A source with orders that the stream does not tell of any more, as far as the tail is concerned: it has copied them,
/// and they were removed from the target. So the backfill has to.
async fn copied_by_nobody(script: Script, mode: Mode) -> (Stage, crate::support::process::Running) {
    let stage = set(script, mode).await;
    let orders = (0..usize::try_from(ITEMS).expect("few")).map(|id| order(id, 1, "there before"));
    table::put_all(&stage.client, &stage.trial.source, orders).await;
    let tail = begin(&stage).await;
    stage.cli.until_caught_up().await;
    for target in [&stage.trial.orders, &stage.trial.names] {
        let found = stage
            .client
            .scan()
            .table_name(target)
            .send()
            .await
            .expect("a page");
        for item in found.items() {
            let keys = ["PK", "SK", "id", "document"];
            let key = item
                .iter()
                .filter(|(name, _)| keys.contains(&name.as_str()))
                .filter(|(name, _)| target == &stage.trial.orders || !["PK", "SK"].contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()));
            table::delete(&stage.client, target, key.collect()).await;
        }
    }
    (stage, tail)
}

async fn backfill(stage: &Stage) -> Done {
    let words = ["backfill", "--segments", "1"];
    stage.cli.succeed(&words).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_five_items_are_one_request() {
    let (stage, tail) = copied_by_nobody(Script::quiet(40), Mode::Sequence).await;
    let (faults, orders) = (stage.engine.faults(), &stage.trial.orders);
    let before = faults.asked("PutItem", orders);
    let batches = faults.record(&[BATCH], orders);
    let done = backfill(&stage).await;
    assert!(!done.stdout.contains("item by item"), "{}", done.stdout);
    assert_few(&batches, ITEMS);
    assert_eq!(faults.asked("PutItem", orders), before, "none was put alone");
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_of_a_batch_is_tried_until_it_lands() {
    in_the_long_run!(what_is_refused_of_a_batch_is_tried_until_it_lands);
    let (stage, tail) = copied_by_nobody(Script::quiet(41), Mode::Timestamp).await;
    let faults = stage.engine.faults();
    let orders = &stage.trial.orders;
    let undone = faults.rule(
        Rule::new(Fault::Unprocessed)
            .on(&[BATCH])
            .table(orders)
            .sometimes(0.5),
    );
    let lost = faults.rule(
        Rule::new(Fault::silent_after_landing())
            .on(&[BATCH])
            .table(orders)
            .skip(2)
            .times(2),
    );
    backfill(&stage).await;
    assert!(undone.hits() > 0 && lost.hits() == 2);
    undone.off();
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_batch_is_waited_for_and_shown() {
    in_the_long_run!(a_throttled_batch_is_waited_for_and_shown);
    let (stage, tail) = copied_by_nobody(Script::quiet(42), Mode::Sequence).await;
    let reason = Reason::of(true).next().expect("a reason");
    // One of the errors that the operation's model has, so that its reasons are read.
    let fault = Fault::Throttled(Throttle::Throttling, reason);
    let rule = Rule::new(fault).on(&[BATCH]).table(&stage.trial.orders);
    let throttled = stage.engine.faults().rule(rule);
    let fill = stage.cli.start(&["backfill"]);
    stage
        .cli
        .until("the reason", |status| {
            status["backfill_blocked"].to_string().contains(&reason.name())
        })
        .await;
    throttled.until(3).await;
    throttled.off();
    fill.end().await.with_code(&["backfill"], 0);
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_batches_writes_item_by_item_and_says_so() {
    in_the_long_run!(a_role_without_batches_writes_item_by_item_and_says_so);
    let (stage, tail) = copied_by_nobody(Script::quiet(43), Mode::Timestamp).await;
    let rule = Rule::new(Fault::Denied).on(&[BATCH]).table(&stage.trial.orders);
    let denied = stage.engine.faults().rule(rule);
    let done = backfill(&stage).await;
    assert!(denied.hits() > 0);
    let told = format!("{} was written item by item", "orders");
    assert!(done.stdout.contains(&told), "{}", done.stdout);
    assert!(
        !done.stdout.contains("names was written item by item"),
        "{}",
        done.stdout
    );
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_without_batches_is_found_out_by_the_trial() {
    in_the_long_run!(an_engine_without_batches_is_found_out_by_the_trial);
    let (stage, tail) = copied_by_nobody(Script::quiet(44), Mode::Sequence).await;
    let faults = stage.engine.faults();
    let rule = Rule::new(Fault::Denied)
        .on(&[BATCH])
        .table(&stage.trial.state_table());
    let denied = faults.rule(rule);
    // What is not answered in time is tried again: with this lease, in two seconds.
    let patient = stage.cli.with_lease(6);
    let done = patient.succeed(&["backfill", "--segments", "1"]).await;
    assert_eq!(denied.hits(), 1, "one trial");
    assert!(
        done.stdout.contains("orders was written item by item"),
        "{}",
        done.stdout
    );
    assert_eq!(faults.asked(BATCH, &stage.trial.orders), 0);
    assert_eq!(faults.count(FaultKind::Denied), 1);
    let status = stage.cli.status().await;
    let blocked = lane(&status, "orders")["blocked"].to_string();
    assert!(!blocked.contains("AccessDenied"), "{blocked}");
    end(&stage, tail).await;
}

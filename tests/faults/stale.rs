//! Scan pages that are no longer true when they are used.

use std::time::Duration;

use dynasplit::backfill::{Backfill, BackfillOptions, OrderChoice};
use dynasplit::dynamo::{Clients, Clock, Endpoint, Timing};
use dynasplit::lifecycle::apply;
use dynasplit::plan::Plan;
use dynasplit::state::Order;
use dynasplit::tail::{Ended, Tail, TailOptions};
use dynasplit::worker::Split;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::course::{delete, in_time, order, put, set};
use crate::support::faulty::{Fault, FaultKind, Gate, Holder, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::mutator::Habits;
use crate::support::stage::Stage;
use crate::support::table;
use crate::support::trial::{Mode, Stamps};

/// An answer may be held for a while, and eventually consistent reads settle within some seconds.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(12),
    attempt: Duration::from_secs(4),
    margin: Duration::from_millis(300),
    poll: Duration::from_millis(50),
    idle: Duration::from_millis(300),
    settle: Duration::from_secs(9),
    shared_milliunits: Timing::LIVE.shared_milliunits,
    clock: Clock::SYSTEM,
};
/// How old an eventually consistent page may be: less than what it takes to settle, and more than what it takes to
/// switch tombstones on.
const AGE: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_delivered_after_the_removal_of_its_items_brings_none_back() {
    in_the_long_run!(a_page_that_is_delivered_after_the_removal_of_its_items_brings_none_back);
    for mode in [Mode::Timestamp, Mode::Sequence] {
        let stage = set(Script::quiet(21), mode).await;
        let items = (0..40).map(|id| order(id, 1, "there before"));
        table::put_all(&stage.client, &stage.trial.source, items).await;
        let (split, tail) = Box::pin(follow(&stage)).await;
        let holder = Holder::new();
        let rule = Rule::new(Fault::Held(Gate::Held(holder.clone())))
            .on(&["Scan"])
            .table(&stage.trial.source);
        stage.engine.faults().rule(rule);
        let options = BackfillOptions {
            segments: Some(1),
            consistent: Some(true),
            ..BackfillOptions::default()
        };
        let (backfill, _) = Backfill::new(split, options, CancellationToken::new());
        let fill = tokio::spawn(backfill.run());
        holder.until(1).await;
        // The page is read and under way. Each of its items changes: removed, removed and made again, changed.
        for id in 0..40 {
            match id % 4 {
                0 | 1 => delete(&stage, id).await,
                2 => {
                    delete(&stage, id).await;
                    put(&stage, id, 1, "made again").await;
                }
                _ => put(&stage, id, 2, "changed").await,
            }
        }
        let orders = &stage.trial.orders;
        // Every tombstone and every change is there before the page is used.
        let marker = 90;
        put(&stage, marker, 1, "the last").await;
        let lands = async {
            while !holds(&stage, orders, marker).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        in_time("the last change", lands).await;
        holder.open();
        fill.await.expect("no panic").expect("the backfill ends");
        drained(&stage, &tail).await;
        stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
        tail.stop().await;
        assert!(stage.engine.faults().count(FaultKind::Held) >= 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_show_what_was_before_bring_nothing_back() {
    in_the_long_run!(pages_that_show_what_was_before_bring_nothing_back);
    Box::pin(stale_pages(Order::Concurrent)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_they_in_bulk_though_the_lanes_have_removed_what_they_show() {
    Box::pin(stale_pages(Order::Bulk)).await;
}

async fn stale_pages(order: Order) {
    let stage = set(Script::quiet(22), Mode::Sequence).await;
    let habits = Habits {
        keys: 80,
        writers: 3,
        pause: Duration::from_millis(15),
        backwards: 0,
    };
    stage.engine.faults().remember(&stage.trial.source);
    let rule = Rule::new(Fault::Stale(AGE))
        .on(&["Scan"])
        .table(&stage.trial.source);
    stage.engine.faults().rule(rule);
    let mutator = stage.write(habits).await;
    let (split, tail) = Box::pin(follow(&stage)).await;
    for id in 100..120 {
        put(&stage, id, 1, "removed just before").await;
    }
    for id in 100..120 {
        delete(&stage, id).await;
    }
    let options = BackfillOptions {
        consistent: Some(false),
        order: Some(OrderChoice::Only(order)),
        ..BackfillOptions::default()
    };
    let (backfill, _) = Backfill::new(split, options, CancellationToken::new());
    let report = backfill.run().await.expect("the backfill ends");
    assert_eq!(report.order, order);
    mutator.stop().await;
    drained(&stage, &tail).await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    let faults = stage.engine.faults();
    assert!(faults.count(FaultKind::StaleItem) > 20, "{}", faults.told());
    tail.stop().await;
}

/// A tail inside this process.
struct Following {
    stop: CancellationToken,
    task: JoinHandle<Ended>,
}

impl Following {
    async fn stop(self) {
        self.stop.cancel();
        assert_eq!(self.task.await.expect("no panic"), Ended::Stopped);
    }
}

/// Creates the tables and follows the stream, with times of our own.
async fn follow(stage: &Stage) -> (Split, Following) {
    let endpoint = Endpoint {
        url: Some(stage.engine.endpoint().to_owned()),
        anonymous: true,
        ..Endpoint::default()
    };
    let clients = Clients::load(&endpoint, TIMING)
        .await
        .expect("the clients are made");
    let plan = Plan::parse(&stage.trial.plan(), "plan.yaml").unwrap_or_else(|error| panic!("{error}"));
    let split = Split::open(plan, &clients).await;
    apply(&split, dynasplit::lifecycle::ApplyOptions::default(), &|_| {})
        .await
        .expect("the tables are made");
    let stop = CancellationToken::new();
    let (tail, mut lanes) = Tail::new(split.clone(), TailOptions::default(), stop.clone());
    let task = tokio::spawn(async move { tail.run().await.expect("the tail follows") });
    lanes
        .wait_for(|lanes| !lanes.is_empty() && lanes.iter().all(|lane| lane.lag_ms.is_some()))
        .await
        .expect("the tail follows");
    (split, Following { stop, task })
}

/// Waits until what is written last is in its table in every shard: there is one.
async fn drained(stage: &Stage, _tail: &Following) {
    stage.cli.until_caught_up().await;
}

/// Whether an order is in a table of orders.
async fn holds(stage: &Stage, orders: &str, id: usize) -> bool {
    let wanted = order(id, 1, "");
    let key = ["PK", "SK"].map(|name| (name.to_owned(), wanted[name].clone()));
    let found = stage
        .client
        .get_item()
        .table_name(orders)
        .set_key(Some(key.into()))
        .send()
        .await;
    found.expect("the table can be read").item.is_some()
}

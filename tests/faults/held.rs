//! Answers that are held and released in another order.

use std::time::Duration;

use super::course::{HABITS, begin, delete, end, mark, put, set};
use crate::support::faulty::{Fault, FaultKind, Gate, Holder, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_come_in_another_order_change_nothing() {
    in_the_long_run!(answers_that_come_in_another_order_change_nothing);
    let stage = set(Script::quiet(14), Mode::Timestamp).await;
    let gate = Gate::Between(Duration::from_millis(1), Duration::from_millis(400));
    let rule = Rule::new(Fault::Held(gate))
        .on(&["PutItem", "DeleteItem"])
        .sometimes(0.5);
    let held = stage.engine.faults().rule(rule);
    let tail = begin(&stage).await;
    let mutator = stage.write(HABITS).await;
    held.until(100).await;
    mutator.stop().await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_released_last_first_are_taken_for_what_they_are() {
    let stage = set(Script::quiet(15), Mode::Sequence).await;
    let tail = begin(&stage).await;
    let holder = Holder::new();
    let orders = &stage.trial.orders;
    for id in 0..3 {
        let rule = Rule::new(Fault::Held(Gate::Held(holder.clone())))
            .on(&["PutItem"])
            .table(orders);
        stage.engine.faults().rule(rule.holding(&mark(id)).times(1));
    }
    for id in 0..3 {
        put(&stage, id, 1, "held").await;
        delete(&stage, id + 10).await;
    }
    holder.until(3).await;
    // Each was carried out. Meanwhile the items go on: one is removed, one changed.
    delete(&stage, 0).await;
    put(&stage, 1, 2, "later").await;
    for index in [2, 1, 0] {
        holder.release(index);
    }
    end(&stage, tail).await;
    assert_eq!(stage.engine.faults().count(FaultKind::Held), 3);
}

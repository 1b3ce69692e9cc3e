//! Iterators that expire, and pages that are empty before the tip.

use super::course::{HABITS, begin, end, put, set, stream, until_more};
use crate::support::faulty::{Fault, FaultKind, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn iterators_that_expire_are_replaced_where_they_stood() {
    in_the_long_run!(iterators_that_expire_are_replaced_where_they_stood);
    let stage = set(Script::quiet(4).records_at_once(5), Mode::Sequence).await;
    let tail = begin(&stage).await;
    let mutator = stage.write(HABITS).await;
    let rule = Rule::new(Fault::ExpiredIterator)
        .on(&["GetRecords"])
        .sometimes(0.3);
    let expiring = stage.engine.faults().rule(rule);
    for _ in 0..3 {
        stream(&stage).expire_iterators().await;
        until_more(&stage, "orders", 30).await;
    }
    expiring.until(5).await;
    mutator.stop().await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_are_throttled_wait_and_go_on() {
    in_the_long_run!(readers_that_are_throttled_wait_and_go_on);
    let stage = set(Script::quiet(5), Mode::Timestamp).await;
    let limited = Rule::new(Fault::StreamLimit).on(&["GetRecords"]).sometimes(0.4);
    let limited = stage.engine.faults().rule(limited);
    let listing = Rule::new(Fault::server_error(500))
        .on(&["DescribeStream", "GetShardIterator"])
        .sometimes(0.4);
    let listing = stage.engine.faults().rule(listing);
    let tail = begin(&stage).await;
    let mutator = stage.write(HABITS).await;
    stream(&stage).split_all().await;
    until_more(&stage, "orders", 50).await;
    limited.until(5).await;
    listing.until(2).await;
    mutator.stop().await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_pages_are_not_the_end() {
    let stage = set(Script::quiet(6).records_at_once(3), Mode::Sequence).await;
    let tail = begin(&stage).await;
    for id in 0..10 {
        put(&stage, id, 1, "first").await;
    }
    stage.cli.until_caught_up().await;
    // More of them in a row than a reader needs to think that it is at the tip; and the shard is closed behind them.
    stream(&stage).empty_pages(20).await;
    for id in 0..30 {
        put(&stage, id, 2, "behind empty pages").await;
    }
    stream(&stage).roll_all().await;
    put(&stage, 5, 3, "in the next shard").await;
    let faults = stage.engine.faults();
    stage
        .cli
        .until("all empty pages", |_| faults.count(FaultKind::EmptyPage) == 20)
        .await;
    end(&stage, tail).await;
}

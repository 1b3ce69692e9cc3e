//! Ranges of a target's keys that can't take more: more segments share what the table can take, far from one another.

use std::collections::BTreeSet;
use std::time::Duration;

use super::course::{begin, end, filled, order, with_lease};
use crate::support::faulty::{Asked, Fault, Reason, Record, Rule, Script, Switch, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::process::Running;
use crate::support::stage::Stage;

const SEGMENTS: u64 = 64;
const ONE_AT_ONCE: &[&str] = &["backfill", "--segments", "64", "--workers", "1"];
/// So many times as many.
const SPREAD: usize = 4;
/// A segment that waits for a table is not left for others before that is over, so that those at once can be counted.
const LEASE_SECONDS: u64 = 15;
const HOT: Reason = Reason::of_table("Write", "KeyRangeThroughputExceeded");
const CROWDED: Reason = Reason::of_table("Write", "ProvisionedThroughputExceeded");

/// A backfill, one of whose tables takes nothing for a reason.
struct Stuck {
    stage: Stage,
    tail: Running,
    scans: Record,
    throttled: Switch,
}

/// What of the writes is throttled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Whole requests, which are told why.
    Requests,
    /// A part of each batch, which is not; and what goes alone, which is.
    Batches,
}

impl Stuck {
    async fn set(seed: u64, reason: Reason, of: Of) -> Self {
        // Each under a partition key of its own, so that no segment is without.
        let orders = (0..640).map(|id| order(id * 7, 1, "there before"));
        let stage = filled(Script::quiet(seed), orders).await;
        let tail = begin(&stage).await;
        let faults = stage.engine.faults();
        let requests: &[&str] = match of {
            Of::Requests => &["PutItem", "BatchExecuteStatement"],
            Of::Batches => &["PutItem"],
        };
        let rule = Rule::new(Fault::Throttled(Throttle::Throttling, reason)).on(requests);
        let throttled = faults.rule(rule.table(&stage.trial.orders));
        if of == Of::Batches {
            let rule = Rule::new(Fault::Unprocessed).on(&["BatchExecuteStatement"]);
            faults.rule(rule.table(&stage.trial.orders));
        }
        let scans = faults.record(&["Scan"], &stage.trial.source);
        Self {
            stage,
            tail,
            scans,
            throttled,
        }
    }

    /// Segments that were begun, in this order.
    fn begun(&self) -> Vec<u64> {
        let mut begun = Vec::new();
        for segment in self.scans.asked().iter().map(segment) {
            if !begun.contains(&segment) {
                begun.push(segment);
            }
        }
        begun
    }

    /// The table takes everything again, and the copy ends.
    async fn end(self) {
        self.throttled.off();
        self.stage.cli.succeed(ONE_AT_ONCE).await;
        let read: BTreeSet<u64> = self.scans.asked().iter().map(segment).collect();
        assert_eq!(read, (0..SEGMENTS).collect(), "the segments stay what they were");
        end(&self.stage, self.tail).await;
    }
}

/// The segment that a scan is for.
fn segment(asked: &Asked) -> u64 {
    let body = asked.call.json();
    assert_eq!(body["TotalSegments"], SEGMENTS, "{body}");
    body["Segment"].as_u64().expect("a segment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_range_of_keys_is_met_with_more_segments_far_apart_and_a_crowded_table_is_not() {
    in_the_long_run!(a_hot_range_of_keys_is_met_with_more_segments_far_apart_and_a_crowded_table_is_not);
    Box::pin(spread(80, Of::Requests)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_where_only_a_part_of_each_batch_is_throttled_which_does_not_say_why() {
    in_the_long_run!(so_it_is_where_only_a_part_of_each_batch_is_throttled_which_does_not_say_why);
    Box::pin(spread(84, Of::Batches)).await;
}

async fn spread(seed: u64, of: Of) {
    let (hot, crowded) = tokio::join!(Stuck::set(seed, HOT, of), Stuck::set(seed + 1, CROWDED, of));
    // Their processes end before the tables take anything.
    let (patient, _plan) = with_lease(&crowded.stage, LEASE_SECONDS);
    let crowded_fill = patient.start(ONE_AT_ONCE);
    let (patient, _plan) = with_lease(&hot.stage, LEASE_SECONDS);
    let hot_fill = patient.start(ONE_AT_ONCE);
    let spreads = async {
        hot.throttled.until(1).await;
        crowded.throttled.until(1).await;
        while hot.begun().len() < SPREAD {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let spread = tokio::time::timeout(Duration::from_secs(120), spreads).await;
    assert!(spread.is_ok(), "only {:?} are read", hot.begun());
    // Nor more than that.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (at_once, alone) = (hot.begun(), crowded.begun());
    for fill in [hot_fill, crowded_fill] {
        fill.signal("TERM");
        fill.end().await;
    }
    eprintln!("hot: {at_once:?}; crowded: {alone:?}");
    assert_eq!(at_once.len(), SPREAD, "{at_once:?}");
    assert_eq!(alone.len(), 1, "{alone:?}");
    for (index, one) in at_once.iter().enumerate() {
        for other in &at_once[..index] {
            let apart = one.abs_diff(*other);
            assert!(apart.min(SEGMENTS - apart) > 3, "neighbours: {at_once:?}");
        }
    }
    tokio::join!(hot.end(), crowded.end());
}

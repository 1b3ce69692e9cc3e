//! A source that always throttles one range of its keys: everything else is read as if nothing were, and what can't be read
//! is named.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::course::{begin, end, filled, mark, order};
use crate::support::faulty::{Call, Fault, Reason, Rule, Script, Switch, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::process::Done;
use crate::support::stage::Stage;
use crate::support::table::{self, key};

const HOT: Reason = Reason::of_table("Read", "KeyRangeThroughputExceeded");
/// The item whose key range is hot.
const HOT_ID: usize = 77;
const ITEMS: usize = 140;
/// Six leases, after which a hot range is given up, twice, and what the rest takes on a busy machine.
const BOUND: Duration = Duration::from_secs(100);

async fn set(seed: u64) -> Stage {
    let orders = (0..ITEMS).map(|id| order(id, 1, "there before"));
    filled(Script::quiet(seed), orders).await
}

/// Reads of the source that match are throttled from now on.
fn hot(
    stage: &Stage,
    operation: &'static str,
    when: impl Fn(&Call) -> bool + Send + Sync + 'static,
) -> Switch {
    let rule = Rule::new(Fault::Throttled(Throttle::Throttling, HOT)).on(&[operation]);
    stage
        .engine
        .faults()
        .rule(rule.table(&stage.trial.source).when(when))
}

/// Scans of these segments, of those that are not alone.
fn of_segments(hot: &'static [u64]) -> impl Fn(&Call) -> bool + Send + Sync {
    move |call| {
        call.json()["Segment"]
            .as_u64()
            .is_some_and(|segment| hot.contains(&segment))
    }
}

/// Runs a command that must end in bounded time.
async fn bounded(stage: &Stage, words: &[&str], code: i32) -> Done {
    let began = Instant::now();
    let done = stage.cli.run(words).await.with_code(words, code);
    assert!(began.elapsed() < BOUND, "{words:?} took {:?}", began.elapsed());
    done
}

fn report(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).expect("one JSON document")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_and_its_repair_settle_all_keys_but_a_hot_one_which_they_name() {
    in_the_long_run!(verify_and_its_repair_settle_all_keys_but_a_hot_one_which_they_name);
    let stage = set(91).await;
    let tail = begin(&stage).await;
    stage.cli.succeed(&["backfill"]).await;
    stage.cli.until_caught_up().await;
    // The tail does not tell of what is missing in the target.
    for id in 0..ITEMS {
        let (pk, sk) = (format!("ACC#{}", id / 7), format!("DOC#{id}"));
        table::delete(&stage.client, &stage.trial.orders, key(&pk, &sk)).await;
    }
    let throttled = hot(&stage, "GetItem", |call| call.text().contains(&mark(HOT_ID)));
    let words = ["verify", "--output", "json"];
    let done = bounded(&stage, &words, 3).await;
    let found = report(&done);
    let orders = |report: &Value, what: &str| {
        let services = report["report"]["services"].as_array().expect("services");
        let orders = services.iter().find(|service| service["service"] == "orders");
        orders.expect("orders")[what].clone()
    };
    assert_eq!(found["total_mismatches"], ITEMS - 1, "{found:#}");
    assert_eq!(orders(&found, "unsettled"), 1, "{found:#}");
    let notes = found["notes"].to_string();
    assert!(notes.contains(&format!("DOC#{HOT_ID}")), "{notes}");
    assert!(notes.contains(&HOT.name()), "{notes}");
    assert!(
        done.stderr
            .contains("waiting until each difference has disappeared, or its lane has delivered")
    );
    // The test itself took the items out of the target.
    let repair = ["verify", "--repair", "--discard-target-writes"];
    let words = [&repair[..], &["--output", "json"]].concat();
    let repaired = report(&bounded(&stage, &words, 3).await);
    // A write whose answer comes too late counts as not needed when it is tried again.
    assert_eq!(repaired["total_mismatches"], ITEMS - 1, "{repaired:#}");
    let left = repaired["unrepaired"].as_object().expect("counts").values();
    assert!(left.clone().all(|count| *count == 0), "{repaired:#}");
    assert!(throttled.hits() > 4, "it was tried: {}", throttled.hits());
    throttled.off();
    stage.cli.run(&repair).await.with_code(&["verify"], 3);
    stage.cli.succeed(&["verify"]).await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verify_that_cannot_read_a_segment_reads_the_others_and_names_it() {
    in_the_long_run!(a_verify_that_cannot_read_a_segment_reads_the_others_and_names_it);
    let stage = set(92).await;
    let tail = begin(&stage).await;
    stage.cli.succeed(&["backfill"]).await;
    stage.cli.until_caught_up().await;
    let throttled = hot(&stage, "Scan", of_segments(&[3]));
    let scans = stage.engine.faults().record(&["Scan"], &stage.trial.source);
    let told = bounded(&stage, &["verify"], 1).await.stderr;
    for named in ["source", "segment 3 of 8", &HOT.name(), "run the command again"] {
        assert!(told.contains(named), "{named}: {told}");
    }
    let answered = scans.asked().into_iter().filter(|asked| asked.fault.is_none());
    assert!(answered.count() >= 7, "the other segments are read");
    // A range that cools down while the others are read is read after all.
    let verify = stage.cli.start(&["verify"]);
    throttled.until(throttled.hits() + 3).await;
    throttled.off();
    verify.end().await.with_code(&["verify"], 0);
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_copies_all_other_segments_and_names_the_hot_ones() {
    let stage = set(93).await;
    let tail = begin(&stage).await;
    // More of them than are worked on at once.
    let throttled = hot(&stage, "Scan", of_segments(&[2, 5, 11]));
    let fill = stage
        .cli
        .start(&["backfill", "--segments", "16", "--workers", "2"]);
    let began = Instant::now();
    let others = |status: &Value| {
        let fills = status["backfill"].as_array().expect("lanes").iter();
        let blocked = status["backfill_blocked"].to_string();
        fills.clone().count() > 0
            && fills.clone().all(|fill| fill["segments_done"] == 13)
            && blocked.contains(&HOT.name())
            && blocked.contains("of 16, at its beginning")
    };
    stage.cli.until("the end of the other segments", others).await;
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    throttled.off();
    let told = fill.end().await.with_code(&["backfill"], 0).stderr;
    assert!(told.contains("Other segments are copied first"), "{told}");
    end(&stage, tail).await;
}

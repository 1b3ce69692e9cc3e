//! A source that throttles our reads: its own users come first. And a table of a service that throttles, which is no
//! reason to read the source more slowly.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::course::{begin, end, filled, order};
use crate::support::faulty::{Fault, FaultKind, Reason, Record, Rule, Script, Throttle};
use crate::support::process::{Done, lane};
use crate::support::stage::Stage;
use crate::support::table::{SdkItem, item, number, text};

/// Pages come as evenly as the budget gives units, on a machine that is busy as well: thirty a second. One costs a unit,
/// of a backfill that reads a small source, consistently; and half a unit, of the others.
const BACKFILL: &[&str] = &["backfill", "--read-units", "30"];
const VERIFY: &[&str] = &["verify", "--read-units", "15"];
const PLAN: &[&str] = &["plan", "--all", "--read-units", "15"];
const ITEMS_A_PAGE: u64 = 5;
/// Pages for which a budget has saved units at the beginning: they say nothing of the rate.
const SAVED: usize = 30;
/// What a read of a table is given where its capacity is used up.
const OF_READS: Reason = Reason::of_table("Read", "ProvisionedThroughputExceeded");
const OF_WRITES: Reason = Reason::of_table("Write", "ProvisionedThroughputExceeded");
const WAITED_FOR: Duration = Duration::from_secs(60);

/// A source of so many pages: one of ten items is an order, the others are left behind.
async fn pages(seed: u64, pages: usize) -> Stage {
    let script = Script::quiet(seed).scanned_at_once(ITEMS_A_PAGE);
    let items = pages * usize::try_from(ITEMS_A_PAGE).expect("few");
    filled(script, (0..items).map(source_item)).await
}

fn source_item(id: usize) -> SdkItem {
    if id.is_multiple_of(10) {
        return order(id, 1, "there before");
    }
    let (pk, sk) = (format!("ACC#{}", id / 7), format!("DOC#{id}"));
    item(&pk, &sk, [("kind", text("archive")), ("at", number(id))])
}

/// The scans of the source, as the product asks for them.
fn scans(stage: &Stage) -> Record {
    stage.engine.faults().record(&["Scan"], &stage.trial.source)
}

async fn until_asked(record: &Record, count: usize) {
    let asked = async {
        while record.count() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(WAITED_FOR, asked).await;
    assert!(waited.is_ok(), "{} requests of {count}", record.count());
}

/// Requests a second, from one to the last.
fn rate(asked: &[Instant]) -> f64 {
    let (Some(first), Some(last)) = (asked.first(), asked.last()) else {
        return 0.0;
    };
    let count = u32::try_from(asked.len() - 1).expect("few");
    f64::from(count) / last.duration_since(*first).as_secs_f64()
}

/// Requests a second, once what was saved is used up.
fn steady(record: &Record) -> f64 {
    let came: Vec<Instant> = record.asked().iter().map(|asked| asked.at).collect();
    rate(came.get(SAVED + 5..).unwrap_or_default())
}

/// Scans a second of a backfill that nothing throttles.
async fn unthrottled(seed: u64, count: usize) -> f64 {
    let stage = pages(seed, count).await;
    let scans = scans(&stage);
    let tail = begin(&stage).await;
    stage.cli.succeed(BACKFILL).await;
    end(&stage, tail).await;
    steady(&scans)
}

/// The source throttles four times, with a while between: two reads each time. Answers when that was over.
async fn throttle(stage: &Stage, scans: &Record) -> Instant {
    // Of an earlier command, there may be some.
    until_asked(scans, scans.count() + SAVED + 20).await;
    for error in Throttle::ALL.into_iter().cycle().take(4) {
        let rule = Rule::new(Fault::Throttled(error, OF_READS))
            .on(&["Scan"])
            .table(&stage.trial.source)
            .times(2);
        stage.engine.faults().rule(rule).until(2).await;
        // Those of one second are one sign.
        tokio::time::sleep(Duration::from_millis(1300)).await;
    }
    Instant::now()
}

/// Read units a second, in thousandths, that `status` says are left to the backfill; the largest word of several.
fn left(status: &Value) -> Option<u64> {
    let limits = status["limits"].as_array().expect("limits").iter();
    let limits = limits.filter(|limit| limit["command"] == "backfill" && limit["of"] == "source");
    let giving_way = limits.filter(|limit| {
        let told = limit["text"].as_str().unwrap_or_default();
        limit["by"] == "gives-way" && told.contains("give way to the table's users")
    });
    giving_way
        .filter_map(|limit| limit["milliunits_per_second"].as_u64())
        .max()
}

/// Waits until more than that is left to the backfill.
async fn until_left(stage: &Stage, more_than: u64) -> u64 {
    let asking = async {
        loop {
            if let Some(left) = left(&stage.cli.status().await).filter(|left| *left > more_than) {
                return left;
            }
        }
    };
    let left = tokio::time::timeout(WAITED_FOR / 2, asking).await;
    left.unwrap_or_else(|_| panic!("status does not say that more than {more_than} are left"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_reads_a_source_that_throttles_more_slowly_and_slowly_faster_again() {
    let throttled = async {
        let stage = pages(71, 158).await;
        let scans = scans(&stage);
        let tail = begin(&stage).await;
        let fill = stage.cli.start(&[BACKFILL, &["--output", "json"]].concat());
        let since = throttle(&stage, &scans).await;
        let few = until_left(&stage, 0).await;
        // It grows by three percent a second.
        let more = until_left(&stage, few + few / 15).await;
        let done = fill.end().await.with_code(BACKFILL, 0);
        let slow: Vec<Instant> = scans.since(since).iter().map(|asked| asked.at).collect();
        let told = &done.stderr;
        assert!(
            told.contains("limited by reads give way to the table's users"),
            "{told}"
        );
        let report: Value = serde_json::from_str(&done.stdout).expect("one JSON document");
        assert_eq!(report["scanned"], 158 * ITEMS_A_PAGE, "{report:#}");
        assert_eq!(stage.engine.faults().count(FaultKind::Throttled), 8);
        end(&stage, tail).await;
        (slow, few, more)
    };
    let (free, (slow, few, more)) = tokio::join!(unthrottled(70, 150), throttled);
    eprintln!(
        "{free} a second; throttled {} in {} requests; {few}, later {more}",
        rate(&slow),
        slow.len()
    );
    assert!(slow.len() > 10, "{} requests show no rate", slow.len());
    assert!(rate(&slow) < free * 0.7, "{} a second, else {free}", rate(&slow));
    assert!(more < 15_000, "it comes back slowly: {few}, later {more}");
}

/// Runs a command on a source that does not throttle, and again on one that does.
async fn gives_way(stage: &Stage, words: &[&str]) -> Done {
    let control = scans(stage);
    stage.cli.succeed(words).await;
    let free = steady(&control);
    let scans = scans(stage);
    let running = stage.cli.start(words);
    let since = throttle(stage, &scans).await;
    let done = running.end().await.with_code(words, 0);
    let slow: Vec<Instant> = scans.since(since).iter().map(|asked| asked.at).collect();
    eprintln!(
        "{free} a second; throttled {} in {} requests",
        rate(&slow),
        slow.len()
    );
    assert!(slow.len() > 10, "{} requests show no rate", slow.len());
    assert!(rate(&slow) < free * 0.7, "{} a second, else {free}", rate(&slow));
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_verify() {
    let stage = pages(72, 152).await;
    let tail = begin(&stage).await;
    stage.cli.succeed(&["backfill"]).await;
    stage.cli.until_caught_up().await;
    let told = gives_way(&stage, VERIFY).await.stderr;
    assert!(
        told.contains("source limited by reads give way to the table's users"),
        "{told}"
    );
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_a_plan_that_reads_everything() {
    let stage = pages(75, 152).await;
    gives_way(&stage, PLAN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_table_throttles_is_no_reason_to_read_the_source_more_slowly() {
    let throttled = async {
        let stage = pages(74, 130).await;
        let scans = scans(&stage);
        let tail = begin(&stage).await;
        let rule = Rule::new(Fault::Throttled(Throttle::Provisioned, OF_WRITES))
            .on(&["PutItem", "BatchExecuteStatement"])
            .table(&stage.trial.orders);
        let stuck = stage.engine.faults().rule(rule);
        let fill = stage.cli.start(BACKFILL);
        // After a lease, nobody waits for it any more.
        stuck.until(1).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let since = Instant::now();
        let names = |status: &Value| {
            assert_eq!(left(status), None, "{status:#}");
            let fills = status["backfill"].as_array().expect("lanes");
            let names = fills.iter().find(|fill| fill["lane"] == "names").expect("a lane");
            names["segments_done"] == names["segments"]
        };
        let status = stage.cli.until("the end of the other service", names).await;
        let going: Vec<Instant> = scans.since(since).iter().map(|asked| asked.at).collect();
        let fills = status["backfill"].as_array().expect("lanes");
        let orders = fills
            .iter()
            .find(|fill| fill["lane"] == "orders")
            .expect("a lane");
        assert_ne!(orders["segments_done"], orders["segments"], "{status:#}");
        assert!(lane(&status, "names")["blocked"].is_null(), "{status:#}");
        stuck.off();
        fill.end().await.with_code(BACKFILL, 0);
        end(&stage, tail).await;
        going
    };
    let (free, going) = tokio::join!(unthrottled(73, 130), throttled);
    eprintln!(
        "{free} a second; beside a table that throttles {} in {} requests",
        rate(&going),
        going.len()
    );
    assert!(going.len() > 20, "{} requests show no rate", going.len());
    assert!(
        rate(&going) > free * 0.6,
        "{} a second, else {free}",
        rate(&going)
    );
}

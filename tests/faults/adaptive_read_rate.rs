//! A source that throttles our reads: its own users come first. And a table of a service that throttles, which is no
//! reason to read the source more slowly.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dynasplit::state::{Limit, NotedLimits, SegmentRecord, Store};
use serde_json::Value;

use super::course::{begin, end, filled, order};
use crate::support::faulty::{Fault, FaultKind, Reason, Record, Rule, Script, Switch, Throttle};
use crate::support::long::in_the_long_run;
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
/// Between two signs: throttled reads of one second are one.
const APART: Duration = Duration::from_millis(1300);
const WAITED_FOR: Duration = Duration::from_secs(30);

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

/// Requests a second, from one to the last.
fn rate(asked: &[Instant]) -> f64 {
    let (Some(first), Some(last)) = (asked.first(), asked.last()) else {
        return 0.0;
    };
    let count = u32::try_from(asked.len() - 1).expect("few");
    f64::from(count) / last.duration_since(*first).as_secs_f64()
}

/// Requests a second, once what was saved is used up: of each ten in a row, and the median of that, since a machine may
/// stand still for a moment.
fn steady(record: &Record) -> f64 {
    let came: Vec<Instant> = record.asked().iter().map(|asked| asked.at).collect();
    let came = came.get(SAVED + 5..).unwrap_or_default();
    let mut rates: Vec<f64> = came.windows(11).map(rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
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

/// Which reads are throttled: two in a row, when what was saved is used up, and two more after each while. Whoever watches
/// from outside may be late for that.
#[derive(Default)]
struct Signs {
    before: usize,
    throttled: usize,
    last: Option<Instant>,
}

impl Signs {
    /// Whether the next read is one of this pair.
    fn strikes(&mut self, pair: usize) -> bool {
        if self.throttled / 2 != pair {
            return false;
        }
        if self.throttled == 0 && self.before < SAVED + 20 {
            self.before += 1;
            return false;
        }
        let is_first = self.throttled.is_multiple_of(2);
        if is_first && self.last.is_some_and(|last| last.elapsed() < APART) {
            return false;
        }
        self.throttled += 1;
        self.last = Some(Instant::now());
        true
    }
}

/// The source will throttle four times, with a while between: two reads each time.
fn throttling(stage: &Stage) -> Vec<Switch> {
    let signs = Arc::new(Mutex::new(Signs::default()));
    let errors = Throttle::ALL.into_iter().cycle().take(4).enumerate();
    let pairs = errors.map(|(pair, error)| {
        let signs = Arc::clone(&signs);
        let rule = Rule::new(Fault::Throttled(error, OF_READS)).on(&["Scan"]);
        let rule = rule.table(&stage.trial.source);
        let rule = rule.when(move |_| signs.lock().expect("no thread panicked").strikes(pair));
        stage.engine.faults().rule(rule)
    });
    pairs.collect()
}

/// Answers when that is over.
async fn over(throttling: &[Switch]) -> Instant {
    for pair in throttling {
        pair.until(2).await;
    }
    tokio::time::sleep(APART).await;
    Instant::now()
}

/// Read units a second, in thousandths, that `status` says are left to the backfill; the largest word of several.
fn left(status: &Value) -> Option<u64> {
    let limits = status["limits"].as_array().expect("limits").iter();
    let limits = limits.filter(|limit| limit["command"] == "backfill" && limit["of"] == "source");
    let giving_way = limits.filter(|limit| {
        let told = limit["text"].as_str().unwrap_or_default();
        limit["by"] == "gives-way" && told.contains("adaptive read rate")
    });
    giving_way
        .filter_map(|limit| limit["milliunits_per_second"].as_u64())
        .max()
}

/// The same, as the segments that are worked on have it on record.
async fn recorded(store: &Store) -> Option<u64> {
    let segments = store.list::<SegmentRecord>(SegmentRecord::PREFIX).await;
    let segments = segments.expect("the state can be read");
    let left = segments.iter().filter_map(|(_, stored)| {
        let segment = &stored.value;
        let works = segment.lease.owner.is_some() && segment.services.values().any(|service| !service.done);
        match segment.limits.as_ref()?.of.get(NotedLimits::SOURCE)? {
            Limit::GivesWay {
                milliunits_per_second,
            } if works => Some(*milliunits_per_second),
            _ => None,
        }
    });
    left.max()
}

/// Waits until that is on record. It grows in the time that a `status` may take.
async fn until_recorded(stage: &Stage) -> u64 {
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    let asking = async {
        loop {
            if let Some(left) = recorded(&store).await {
                return left;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let left = tokio::time::timeout(WAITED_FOR, asking).await;
    left.expect("it is on record what is left")
}

/// Waits until `status` says that more than that is left to the backfill.
async fn until_left(stage: &Stage, more_than: u64) -> u64 {
    let asking = async {
        loop {
            if let Some(left) = left(&stage.cli.look().await).filter(|left| *left > more_than) {
                return left;
            }
        }
    };
    let left = tokio::time::timeout(WAITED_FOR, asking).await;
    left.unwrap_or_else(|_| panic!("status does not say that more than {more_than} are left"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_reads_a_source_that_throttles_more_slowly_and_slowly_faster_again() {
    in_the_long_run!(a_backfill_reads_a_source_that_throttles_more_slowly_and_slowly_faster_again);
    let throttled = async {
        let stage = pages(71, 220).await;
        let scans = scans(&stage);
        let tail = begin(&stage).await;
        let throttling = throttling(&stage);
        let fill = stage.cli.start(&[BACKFILL, &["--output", "json"]].concat());
        let since = over(&throttling).await;
        let few = until_recorded(&stage).await;
        // It grows by three percent a second.
        let more = until_left(&stage, few + few / 15).await;
        let done = fill.end().await.with_code(BACKFILL, 0);
        let slow: Vec<Instant> = scans.since(since).iter().map(|asked| asked.at).collect();
        let told = &done.stderr;
        assert!(told.contains("limited by the adaptive read rate"), "{told}");
        let report: Value = serde_json::from_str(&done.stdout).expect("one JSON document");
        assert_eq!(report["scanned"], 220 * ITEMS_A_PAGE, "{report:#}");
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
    assert!(more < 20_000, "it comes back slowly: {few}, later {more}");
}

/// Runs a command on a source that does not throttle, and again on one that does.
async fn gives_way(stage: &Stage, words: &[&str]) -> Done {
    let control = scans(stage);
    stage.cli.succeed(words).await;
    let mut free = steady(&control);
    let scans = scans(stage);
    let throttling = throttling(stage);
    let running = stage.cli.start(words);
    let since = over(&throttling).await;
    let done = running.end().await.with_code(words, 0);
    let slow: Vec<Instant> = scans.since(since).iter().map(|asked| asked.at).collect();
    eprintln!(
        "{free} a second; throttled {} in {} requests",
        rate(&slow),
        slow.len()
    );
    assert!(slow.len() > 10, "{} requests show no rate", slow.len());
    if rate(&slow) >= free * 0.7 {
        // Other tests may have slowed the first run down: then it does not show what the command can do.
        let control = self::scans(stage);
        stage.cli.succeed(words).await;
        free = free.max(steady(&control));
    }
    assert!(rate(&slow) < free * 0.7, "{} a second, else {free}", rate(&slow));
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_verify() {
    in_the_long_run!(so_does_verify);
    let stage = pages(72, 300).await;
    let tail = begin(&stage).await;
    stage.cli.succeed(&["backfill"]).await;
    stage.cli.until_caught_up().await;
    let told = gives_way(&stage, VERIFY).await.stderr;
    assert!(
        told.contains("source limited by the adaptive read rate"),
        "{told}"
    );
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_does_a_plan_that_reads_everything() {
    let stage = pages(75, 215).await;
    gives_way(&stage, PLAN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_table_throttles_is_no_reason_to_read_the_source_more_slowly() {
    in_the_long_run!(a_service_whose_table_throttles_is_no_reason_to_read_the_source_more_slowly);
    let throttled = async {
        let stage = pages(74, 130).await;
        let scans = scans(&stage);
        let tail = begin(&stage).await;
        let rule = Rule::new(Fault::Throttled(Throttle::Provisioned, OF_WRITES))
            .on(&["PutItem", "BatchExecuteStatement"])
            .table(&stage.trial.orders);
        let stuck = stage.engine.faults().rule(rule);
        let fill = stage.cli.start(BACKFILL);
        stuck.until(1).await;
        let names = |status: &Value| {
            assert_eq!(left(status), None, "{status:#}");
            let fills = status["backfill"].as_array().expect("lanes");
            let names = fills.iter().find(|fill| fill["lane"] == "names").expect("a lane");
            names["segments_done"] == names["segments"]
        };
        let status = stage.cli.until("the end of the other service", names).await;
        // After a lease, nobody waited for the other one any more.
        let going = steady(&scans);
        let fills = status["backfill"].as_array().expect("lanes");
        let orders = fills
            .iter()
            .find(|fill| fill["lane"] == "orders")
            .expect("a lane");
        assert_ne!(orders["segments_done"], orders["segments"], "{status:#}");
        let blocked = lane(&status, "names")["blocked"].to_string();
        assert!(!blocked.contains("throttled"), "{blocked}");
        stuck.off();
        fill.end().await.with_code(BACKFILL, 0);
        end(&stage, tail).await;
        going
    };
    let (free, going) = tokio::join!(unthrottled(73, 130), throttled);
    eprintln!("{free} a second; beside a table that throttles {going}");
    assert!(going > free * 0.5, "{going} a second, else {free}");
}

//! Who slows down, by the reason for throttling: a table's slows its service, an account's all of them.

use std::time::Duration;

use serde_json::Value;

use super::course::{begin, end, filled, in_time, order, with_lease};
use crate::support::faulty::{Fault, Gate, Reason, Record, Rule, Script, Throttle};
use crate::support::long::in_the_long_run;

const WRITES: &[&str] = &["PutItem", "BatchExecuteStatement"];
const BACKFILL: &[&str] = &["backfill", "--segments", "16", "--workers", "16"];
/// Requests to one table at once, at the beginning.
const PLACES: usize = 16;
/// What is left of them when a table is found to be crowded once.
const FEWER: usize = 9;
/// Answers that take so long are no reason to ask for more at once, nor for fewer: with this lease, up to 3.2 s.
const ANSWERED_AFTER: Duration = Duration::from_millis(1200);
const LEASE_SECONDS: u64 = 15;
/// Requests that may have begun before their service was told to slow down: two rounds of them, however slowly they came.
const FIRST: usize = 2 * PLACES;
const OF_TABLE: Reason = Reason::of_table("Write", "MaxOnDemandThroughputExceeded");
const OF_ACCOUNT: Reason = Reason::of_table("Write", "AccountLimitExceeded");

/// So often a table is tried: an engine that answers late, on a busy machine, slows the other table down as well.
const ATTEMPTS: usize = 3;

/// How many requests were under way at once at most.
#[derive(Debug)]
struct Most {
    /// To the table that was throttled, once it was no more.
    throttled: usize,
    /// To the other one.
    other: usize,
    /// `status` said that the other one was slowed down, too.
    is_slowed: bool,
}

/// Throttles the writes to one table for this reason; the other one answers, and is asked so often meanwhile.
async fn throttled(seed: u64, reason: Reason, asked: usize) -> Most {
    let stage = filled(
        Script::quiet(seed),
        (0..2400).map(|id| order(id * 7, 1, "there before")),
    )
    .await;
    let tail = begin(&stage).await;
    let (faults, trial) = (stage.engine.faults(), &stage.trial);
    let rule = Rule::new(Fault::Throttled(Throttle::RequestLimit, reason));
    let throttled = faults.rule(rule.on(WRITES).table(&trial.orders));
    let late = Rule::new(Fault::Held(Gate::After(ANSWERED_AFTER))).on(WRITES);
    let late = faults.rule(late.table(&trial.orders).table(&trial.names));
    let (orders, names) = (
        faults.record(WRITES, &trial.orders),
        faults.record(WRITES, &trial.names),
    );
    let (patient, _plan) = with_lease(&stage, LEASE_SECONDS);
    let fill = patient.start(BACKFILL);
    throttled.until(8).await;
    let of_account = reason == OF_ACCOUNT;
    let shown = |status: &Value| limited(status, "orders", "throttled");
    let status = stage.cli.until("the reason", shown).await;
    let shown = |status: &Value| limited(status, "names", "pace");
    let is_slowed = of_account || shown(&status);
    if of_account {
        stage.cli.until("what the other table takes", shown).await;
        // A table that takes nothing for a lease is left for a later pass, and the other one is slow from now on.
        throttled.off();
    }
    let before = orders.count();
    let other = most(&names, FIRST, asked).await;
    let before = if of_account { before } else { orders.count() };
    throttled.off();
    let throttled = most(&orders, before, 4).await;
    late.off();
    fill.signal("TERM");
    fill.end().await;
    stage.cli.succeed(BACKFILL).await;
    end(&stage, tail).await;
    Most {
        throttled,
        other,
        is_slowed,
    }
}

/// A reason of the table.
async fn of_table() -> Most {
    let is_free = |most: &Most| most.other > FEWER && !most.is_slowed;
    let mut most = throttled(82, OF_TABLE, PLACES).await;
    for _ in 1..ATTEMPTS {
        if is_free(&most) {
            break;
        }
        eprintln!("the other table was slowed down, which is tried again: {most:?}");
        most = throttled(82, OF_TABLE, PLACES).await;
    }
    assert!(is_free(&most), "{most:?}");
    most
}

/// The most that were under way at once when one of so many came, behind the first ones.
async fn most(record: &Record, first: usize, asked: usize) -> usize {
    let enough = async {
        while record.count() < first + asked {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time("the requests", enough).await;
    let came = record.asked();
    let under_way = came.iter().skip(first).take(asked).map(|asked| asked.under_way);
    under_way.max().unwrap_or_default()
}

/// Whether `status` says that this is what limits the copy of a service.
fn limited(status: &Value, service: &str, by: &str) -> bool {
    let limits = status["limits"].as_array().expect("limits");
    limits
        .iter()
        .any(|limit| limit["command"] == "backfill" && limit["of"] == service && limit["by"] == by)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_account_slows_every_service_and_one_of_a_table_its_own() {
    in_the_long_run!(a_limit_of_the_account_slows_every_service_and_one_of_a_table_its_own);
    let (table, account) = tokio::join!(Box::pin(of_table()), throttled(83, OF_ACCOUNT, 4));
    eprintln!("of the table: {table:?}; of the account: {account:?}");
    assert!(account.other <= FEWER, "{account:?}");
    for most in [table, account] {
        assert!(most.throttled <= FEWER, "its own service: {most:?}");
    }
}

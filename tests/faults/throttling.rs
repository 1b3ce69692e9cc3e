//! Each of the sixteen reasons for throttling: waited for, shown with its reason and what it is about.

use super::course::{begin, end, order, put, set};
use crate::support::faulty::{Fault, FaultKind, Reason, Rule, Script, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::process::lane;
use crate::support::table;
use crate::support::trial::Mode;

/// Whether `status` says that this is what limits a part of a command.
fn throttled_by(status: &serde_json::Value, command: &str, of: &str, reason: &str) -> bool {
    let limits = status["limits"].as_array().expect("limits");
    limits.iter().any(|limit| {
        limit["command"] == command
            && limit["of"] == of
            && limit["by"] == "throttled"
            && limit["text"].to_string().contains(reason)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reason_to_throttle_a_write_is_shown_and_waited_for() {
    in_the_long_run!(each_reason_to_throttle_a_write_is_shown_and_waited_for);
    let all: Vec<Reason> = Reason::of(true).collect();
    let (some, others) = all.split_at(all.len() / 2);
    // Each is waited for by itself, and several splits can wait at once.
    tokio::join!(
        Box::pin(one_after_the_other(8, some)),
        Box::pin(one_after_the_other(10, others))
    );
}

/// Throttles the writes of one table for one reason after the other.
async fn one_after_the_other(seed: u64, reasons: &[Reason]) {
    let stage = set(Script::quiet(seed), Mode::Sequence).await;
    let tail = begin(&stage).await;
    let orders = &stage.trial.orders;
    for (index, &reason) in reasons.iter().enumerate() {
        let fault = Fault::Throttled(Throttle::ALL[index % 3], reason);
        let rule = Rule::new(fault).on(&["PutItem", "DeleteItem"]).table(orders);
        let throttled = stage.engine.faults().rule(rule);
        put(&stage, index, 1, "throttled").await;
        let shown = |status: &serde_json::Value| {
            let blocked = lane(status, "orders")["blocked"].to_string();
            blocked.contains(&reason.name())
                && blocked.contains(&reason.arn(orders))
                && throttled_by(status, "replicate", "orders", &reason.name())
        };
        let status = stage.cli.until(&reason.name(), shown).await;
        let other = lane(&status, "names")["blocked"].to_string();
        assert!(!other.contains("throttled"), "{other}");
        // It is tried again.
        throttled.until(2).await;
        throttled.off();
    }
    let free = |status: &serde_json::Value| lane(status, "orders")["blocked"].is_null();
    stage.cli.until("an end of the throttling", free).await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reason_to_throttle_a_read_is_shown_and_waited_for() {
    let stage = set(Script::quiet(9), Mode::Timestamp).await;
    let items = (0..30).map(|id| order(id, 1, "there before"));
    table::put_all(&stage.client, &stage.trial.source, items).await;
    let tail = begin(&stage).await;
    let source = &stage.trial.source;
    let rule = |(index, reason): (usize, Reason)| {
        let fault = Fault::Throttled(Throttle::ALL[index % 3], reason);
        stage
            .engine
            .faults()
            .rule(Rule::new(fault).on(&["Scan"]).table(source))
    };
    let mut reasons = Reason::of(false).enumerate();
    let first = reasons.next().expect("a reason");
    let (mut throttled, mut reason) = (rule(first), first.1);
    let fill = stage.cli.start(&["backfill"]);
    loop {
        let shown = |status: &serde_json::Value| {
            let blocked = status["backfill_blocked"].to_string();
            blocked.contains(&reason.name())
                && blocked.contains(&reason.arn(source))
                && throttled_by(status, "backfill", "source", &reason.name())
        };
        stage.cli.until(&reason.name(), shown).await;
        let next = reasons.next().map(|next| (rule(next), next.1));
        throttled.off();
        match next {
            Some(next) => (throttled, reason) = next,
            None => break,
        }
    }
    fill.end().await.with_code(&["backfill"], 0);
    end(&stage, tail).await;
    assert!(stage.engine.faults().count(FaultKind::Throttled) > 8);
}

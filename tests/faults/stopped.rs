//! Throttled calls about tables are sent again as long as all others, and a signal ends every wait: in the middle of a
//! capture, a copy, a comparison.

use std::time::{Duration, Instant};

use super::course::{begin, copied, in_time, put, set};
use crate::support::faulty::{Fault, Reason, Rule, Script, Switch, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::process::{Done, Running};
use crate::support::stage::Stage;
use crate::support::trial::Mode;

/// After a signal, nothing goes on for longer: what may still land is saved, or given up.
const SOON: Duration = Duration::from_secs(45);

fn throttled() -> Fault {
    let reason = Reason::of(false).next().expect("a reason");
    Fault::Throttled(Throttle::RequestLimit, reason)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttled_calls_about_tables_are_sent_again_as_long_as_all_others() {
    let stage = Stage::seeded(
        crate::support::Engine::scripted(Script::quiet(91)).await,
        Mode::Sequence,
        91,
        false,
    )
    .await;
    let calls = [
        "DescribeTable",
        "DescribeTimeToLive",
        "CreateTable",
        "UpdateTable",
    ];
    let switches = calls.map(|call| {
        // More often than an SDK tries by itself.
        stage
            .engine
            .faults()
            .rule(Rule::new(throttled()).on(&[call]).times(5))
    });
    stage.cli.succeed(&["apply"]).await;
    for (call, switch) in calls.iter().zip(&switches) {
        assert_eq!(switch.hits(), 5, "{call}");
    }
}

async fn hit(switch: &Switch) {
    in_time("the fault", switch.until(1)).await;
}

/// Sends SIGTERM; the end comes soon.
async fn terminated(running: Running) -> Done {
    let since = Instant::now();
    running.signal("TERM");
    let done = running.end().await;
    assert!(since.elapsed() < SOON, "{:?}\n{}", since.elapsed(), done.stderr);
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_answered_holds_up_no_signal() {
    let stage = set(Script::quiet(92), Mode::Sequence).await;
    stage.cli.succeed(&["apply"]).await;
    for fault in [Fault::server_error(500), throttled()] {
        let switch = stage
            .engine
            .faults()
            .rule(Rule::new(fault).on(&["DescribeStream"]));
        let tail = stage.cli.start(&["replicate"]);
        hit(&switch).await;
        let done = terminated(tail).await.with_code(&["replicate"], 4);
        assert!(done.stderr.contains("interrupted"), "{}", done.stderr);
        switch.off();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_fails_in_the_middle_holds_up_no_signal() {
    in_the_long_run!(an_engine_that_fails_in_the_middle_holds_up_no_signal);
    let stage = set(Script::quiet(93), Mode::Sequence).await;
    for id in 0..40 {
        put(&stage, id, 1, "there before").await;
    }
    let tail = begin(&stage).await;
    let all = || {
        Rule::new(Fault::server_error(500)).on(&[
            "GetItem",
            "Query",
            "PutItem",
            "UpdateItem",
            "DeleteItem",
            "Scan",
            "BatchExecuteStatement",
            "DescribeTable",
        ])
    };
    let fill = stage
        .cli
        .armed("backfill.page-read=delay:300")
        .start(&["backfill", "--workers", "1"]);
    stage
        .cli
        .until("the copy", |status| status["phase"] == "backfilling")
        .await;
    let switch = stage.engine.faults().rule(all());
    hit(&switch).await;
    terminated(fill).await.with_code(&["backfill"], 4);
    switch.off();
    tail.kill().await;

    let tail = copied(&stage).await;
    let scans = stage
        .engine
        .faults()
        .rule(Rule::new(Fault::server_error(500)).on(&["Scan"]));
    for words in [vec!["verify"], vec!["verify", "--repair"]] {
        let before = scans.hits();
        let verify = stage.cli.start(&words);
        in_time("a scan", async {
            while scans.hits() == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        terminated(verify).await.with_code(&words, 4);
    }
    tail.kill().await;
}

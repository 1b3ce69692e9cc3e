//! What scripts ask of a split: `status --check` and `wait`, with their exit codes.

use crate::life::{OPTIONS, captured, until};
use crate::shell::Shell;
use crate::support::{Engine, table};
use crate::tables::PLAN;
use dynasplit::dynamo::{Clients, Endpoint, Timing};
use dynasplit::plan::Plan;
use dynasplit::state::WorkerRecord;
use dynasplit::worker::Split;
use std::time::Duration;

#[tokio::test]
async fn scripts_learn_by_exit_codes_whether_a_split_is_well_and_what_holds() {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.run("apply plan.yaml").ended(0);

    let alone = shell.run("status plan.yaml --check").ended(3);
    assert!(
        alone.stdout.contains("check: no worker follows the stream"),
        "{}",
        alone.shown()
    );
    shell.run("status plan.yaml").ended(0);
    let late = shell.run("wait plan.yaml --for caught-up --timeout 0").ended(3);
    assert!(
        late.stdout.contains("does not follow the stream yet"),
        "{}",
        late.shown()
    );

    let tail = shell.start("replicate plan.yaml --lease-seconds 3");
    until(&shell, captured);
    let well = shell
        .run(&format!("status plan.yaml --check --max-lag 600 {OPTIONS}"))
        .ended(0)
        .json();
    assert_eq!(well["alarms"], serde_json::json!([]));
    let held = shell.run(&format!(
        "wait plan.yaml --for caught-up --past 2020-01-01T00:00:00Z {OPTIONS}"
    ));
    assert_eq!(held.ended(0).json()["holds"], true);
    shell
        .run("wait plan.yaml --for caught-up --timeout 120 --lease-seconds 3")
        .ended(0);
    let unverified = shell
        .run(&format!("wait plan.yaml --for verified --timeout 0 {OPTIONS}"))
        .ended(3)
        .json();
    assert_eq!(unverified["holds"], false);
    assert!(
        unverified["missing"].to_string().contains("dynasplit backfill"),
        "{unverified:#}"
    );
    shell.run("wait plan.yaml --for drained --past 1").ended(2);
    let waiting = shell.start("wait plan.yaml --for drained");
    waiting.until_told("open shard");
    waiting.interrupt();
    waiting.end().ended(4);
    tail.interrupt();
    tail.end().ended(0);
}

/// A worker renews its record all the time, and its clock is slow by an hour.
#[tokio::test]
async fn a_worker_whose_clock_is_slow_is_no_missing_worker() {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.run("apply plan.yaml").ended(0);
    let tail = shell.start("replicate plan.yaml --lease-seconds 3");
    until(&shell, captured);

    let endpoint = Endpoint {
        url: Some(engine.endpoint().to_owned()),
        anonymous: true,
        ..Endpoint::default()
    };
    let clients = Clients::load(&endpoint, Timing::LOCAL)
        .await
        .expect("clients are made");
    let plan = Plan::parse(PLAN, "plan.yaml").expect("the plan is valid");
    let split = Split::open(plan, &clients).await;
    let workers = split.store.list::<WorkerRecord>(WorkerRecord::PREFIX).await;
    let (name, stored) = workers.expect("they are read").remove(0);
    tail.interrupt();
    tail.end().ended(0);
    let renewing = async {
        let mut worker = stored.value;
        worker.seen_ms -= 60 * 60 * 1000;
        loop {
            worker.beat += 1;
            split.store.set(&name, &worker).await.expect("it is renewed");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let asking = shell.start(&format!("wait plan.yaml --for verified --timeout 0 {OPTIONS}"));
    let asked = tokio::select! {
        () = renewing => unreachable!("it never ends"),
        asked = tokio::task::spawn_blocking(move || asking.end()) => asked.expect("it ended"),
    };
    let missing = asked.ended(3).json()["missing"].to_string();
    assert!(missing.contains("there was no backfill"), "{missing}");
    assert!(!missing.contains("no live worker"), "{missing}");
}

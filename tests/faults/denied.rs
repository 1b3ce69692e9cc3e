//! One service's table may not be written: the others go on, it is shown, and it goes on when it is permitted.

use crate::course::{HABITS, begin, end, put, set, until, until_more};
use crate::support::faulty::{Fault, FaultKind, Rule, Script};
use crate::support::process::lane;
use crate::support::trial::Mode;

const WRITES: [&str; 4] = ["PutItem", "UpdateItem", "DeleteItem", "BatchExecuteStatement"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_denied_its_table_holds_back_no_other() {
    let stage = set(Script::quiet(16), Mode::Sequence).await;
    let tail = begin(&stage).await;
    let mutator = stage.write(HABITS).await;
    let rule = Rule::new(Fault::Denied).on(&WRITES).table(&stage.trial.orders);
    let denied = stage.engine.faults().rule(rule);
    denied.until(1).await;
    let status = stage.cli.until("the denial", |status| {
        let blocked = lane(status, "orders")["blocked"].to_string();
        blocked.contains("AccessDeniedException") && blocked.contains(&stage.trial.orders)
    });
    let others = lane(&status.await, "invoices")["blocked"].to_string();
    assert!(!others.contains("AccessDenied"), "{others}");
    until_more(&stage, "invoices", 60).await;
    mutator.stop().await;
    denied.off();
    end(&stage, tail).await;
    assert!(
        stage.engine.faults().count(FaultKind::Denied) > 1,
        "it was tried again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_is_denied_one_table_copies_the_others() {
    let stage = set(Script::quiet(17), Mode::Timestamp).await;
    for id in 0..20 {
        put(&stage, id, 1, "there before").await;
    }
    let tail = begin(&stage).await;
    let rule = Rule::new(Fault::Denied).on(&WRITES).table(&stage.trial.orders);
    let denied = stage.engine.faults().rule(rule);
    put(&stage, 50, 1, "for the tail").await;
    let mut fill = stage.cli.start(&["backfill"]);
    let others_done = |status: &serde_json::Value| {
        assert!(!fill.has_ended(), "it ended: {}", fill.told());
        let lanes = status["backfill"].as_array().expect("lanes").iter();
        let mut others = lanes.filter(|lane| lane["lane"] != "orders").peekable();
        let done = others.peek().is_some() && others.all(|lane| lane["segments_done"] == lane["segments"]);
        done && lane(status, "orders")["blocked"]
            .to_string()
            .contains("AccessDenied")
    };
    until(&stage, "the others' copies, and the denial", others_done).await;
    assert_eq!(stage.cli.status().await["phase"], "backfilling");
    denied.off();
    fill.end().await.with_code(&["backfill"], 0);
    end(&stage, tail).await;
}

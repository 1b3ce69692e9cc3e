//! What scripts ask of a split: `status --check` and `wait`, with their exit codes.

use crate::life::{OPTIONS, captured, until};
use crate::shell::Shell;
use crate::support::{Engine, table};
use crate::tables::PLAN;

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

//! Chaos that a user switches on: a rehearsal is exact all the same, and nobody switches it on for production by mistake.

use crate::shell::Shell;
use crate::support::long::in_the_long_run;
use crate::support::{Engine, table};
use crate::tables::PLAN;
use serde_json::Value as Json;

const LEARNING: &str = include_str!("../../plans/online-learning.yaml");

#[test]
fn a_rehearsal_with_chaos_is_exact() {
    in_the_long_run!(a_rehearsal_with_chaos_is_exact);
    let shell = Shell::new(LEARNING);
    let said = shell.run(
        "rehearse plan.yaml --items 300 --seconds 15 --seed 4 --lease-seconds 1 --output json \
         --chaos latency=10ms,errors=4%,throttle=4%,kill=8s",
    );
    let said = said.ended(0);
    let report: Json = said.json();
    assert_eq!(report["clean"], true);
    assert_eq!(
        report["chaos"]["settings"],
        "latency=10ms,errors=4%,throttle=4%,kill=8s"
    );
    assert!(report["chaos"]["deaths"].as_u64().unwrap() >= 1, "{report}");
    assert!(
        said.stderr.contains("chaos is on (latency=10ms"),
        "{}",
        said.stderr
    );
    let plain = shell
        .run("rehearse plan.yaml --items 20 --seconds 0 --output json")
        .ended(0);
    assert_eq!(plain.json().get("chaos"), None);
}

#[test]
fn settings_that_are_wrong_are_refused() {
    let shell = Shell::new(LEARNING);
    let said = shell.run("rehearse plan.yaml --chaos errors=0.1").ended(2);
    assert!(
        said.stderr.contains("write a share in percent"),
        "{}",
        said.stderr
    );
    let said = Shell::new(PLAN)
        .with("DYNASPLIT_CHAOS", "lag=1s")
        .run("status plan.yaml")
        .ended(2);
    assert!(
        said.stderr.contains("'lag' is not a setting of chaos"),
        "{}",
        said.stderr
    );
}

#[tokio::test]
async fn only_a_plan_that_allows_chaos_meets_it_and_status_shows_it() {
    let engine = Engine::embedded().await;
    table::create_with(&engine.dynamodb(), "Learning", &["PK", "SK"], true).await;
    let at = |plan: &str| Shell::new(plan).at(engine.endpoint());
    let chaos = "latency=20ms,errors=1%";
    let refused = at(PLAN).with("DYNASPLIT_CHAOS", chaos);
    for line in ["apply plan.yaml", "status plan.yaml", "replicate plan.yaml"] {
        let said = refused.run(line).ended(2);
        assert!(
            said.stderr.contains("the plan does not allow chaos"),
            "{}",
            said.stderr
        );
        assert!(said.stderr.contains("chaos: allowed"), "{}", said.stderr);
    }
    let plan = format!("{PLAN}chaos: allowed\n");
    let (calm, wild) = (at(&plan), at(&plan).with("DYNASPLIT_CHAOS", chaos));
    wild.run("apply plan.yaml").ended(0);
    let replicate = wild.start("replicate plan.yaml");
    replicate.until_told("chaos is on");
    calm.run("wait plan.yaml --for caught-up --timeout 100").ended(0);
    let said = calm.run("status plan.yaml").ended(0);
    assert!(
        said.stdout.contains("chaos is on (latency=20ms,errors=1%)"),
        "{}",
        said.stdout
    );
    let status = calm.run("status plan.yaml --output json").ended(0).json();
    assert_eq!(status["workers"][0]["chaos"], chaos);
    replicate.interrupt();
    replicate.end().ended(0);
    // A process dies as if it had been killed, and the next one continues.
    let mortal = at(&plan).with("DYNASPLIT_CHAOS", "kill=8s");
    let said = mortal.run("replicate plan.yaml").ended(2);
    assert!(
        said.stderr
            .contains("the lease time is 20s, so the least is 2m40s"),
        "{}",
        said.stderr
    );
    let said = mortal.run("replicate plan.yaml --lease-seconds 1").ended(137);
    assert!(said.stderr.contains("this process dies now"), "{}", said.stderr);
    let looked = mortal.run("status plan.yaml --lease-seconds 1").ended(0);
    assert!(
        looked.stderr.contains("chaos is on (kill=8s)"),
        "{}",
        looked.stderr
    );
}

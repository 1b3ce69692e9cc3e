//! Commands too early, twice, or with a plan that was edited: each says which one is next.

use crate::shell::{Shell, assert_said, shown};
use crate::support::{Engine, table};
use crate::tables::PLAN;

async fn source(engine: &Engine) -> Shell {
    table::create(&engine.dynamodb(), "Learning").await;
    Shell::new(PLAN).at(engine.endpoint())
}

#[tokio::test]
async fn before_apply_there_is_nothing_to_run() {
    let engine = Engine::embedded().await;
    let shell = source(&engine).await;
    let lines = [
        "replicate plan.yaml",
        "backfill plan.yaml",
        "status plan.yaml",
        "dead-letters list plan.yaml",
        "dead-letters reconcile plan.yaml",
        "complete plan.yaml --yes",
        "verify plan.yaml",
    ];
    let said: Vec<_> = lines.iter().map(|line| shell.run(line).ended(1)).collect();
    assert_said!("before_apply", shown(&said));
}

#[tokio::test]
async fn completing_wants_a_yes() {
    let shell = Shell::new(PLAN);
    assert_said!(
        "complete_without_yes",
        shell.run("complete plan.yaml").ended(2).shown()
    );
}

#[tokio::test]
async fn each_command_says_what_comes_before_it() {
    let engine = Engine::embedded().await;
    let shell = source(&engine).await;
    let said = [
        shell.run("apply plan.yaml").ended(0),
        shell.run("apply plan.yaml").ended(0),
        shell.run("status plan.yaml").ended(0),
        shell.run("backfill plan.yaml").ended(1),
        shell.run("verify plan.yaml").ended(1),
        shell.run("complete plan.yaml --yes").ended(3),
        shell.run("dead-letters list plan.yaml").ended(0),
        shell.run("dead-letters reconcile plan.yaml").ended(0),
        shell.run("dead-letters show plan.yaml nosuch").ended(1),
        shell.run("dead-letters reconcile plan.yaml nosuch").ended(1),
    ];
    assert_said!("after_apply", shown(&said));
}

#[tokio::test]
async fn a_plan_that_was_edited_in_the_middle_is_refused() {
    let engine = Engine::embedded().await;
    let shell = source(&engine).await;
    shell.run("apply plan.yaml").ended(0);
    shell.write(
        "routed.yaml",
        &PLAN.replace("begins_with(PK, 'USER#')", "begins_with(PK, 'PERSON#')"),
    );
    shell.write(
        "timed.yaml",
        &PLAN.replace("timestamp: none", "timestamp: { attribute: at, type: N }"),
    );
    let (short, users) = PLAN.split_at(PLAN.find("  - name: Users").unwrap());
    shell.write("shorter.yaml", short);
    let longer = users.replace("Users", "People").replace("USER#", "PERSON#");
    shell.write("longer.yaml", &format!("{PLAN}{longer}"));
    let mut said = Vec::new();
    for plan in ["routed", "timed", "shorter", "longer"] {
        said.push(shell.run(&format!("replicate {plan}.yaml")).ended(1));
    }
    said.push(shell.run("apply routed.yaml").ended(1));
    assert_said!("plan_edited", shown(&said));
}

//! A split by the commands, as people and scripts run it.

use crate::shell::{Said, Shell};
use crate::support::long::in_the_long_run;
use crate::support::{Engine, table};
use crate::tables::PLAN;
use std::time::{Duration, Instant};

/// Short leases, so that nobody waits long for a worker that has ended.
pub const OPTIONS: &str = "--output json --lease-seconds 3";

/// A command with these options.
pub fn json(shell: &Shell, command: &str) -> Said {
    shell.run(&format!("{command} {OPTIONS}"))
}

/// What `status` answers.
pub fn status(shell: &Shell) -> serde_json::Value {
    json(shell, "status plan.yaml").ended(0).json()
}

/// Asks `status` again until it answers what is wanted.
pub fn until(shell: &Shell, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let began = Instant::now();
    loop {
        let status = status(shell);
        if wanted(&status) {
            return status;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{status:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn captured(status: &serde_json::Value) -> bool {
    let lanes = status["lanes"].as_array().unwrap();
    lanes.iter().all(|lane| lane["lag_ms"].is_u64())
}

#[tokio::test]
async fn a_tail_that_is_interrupted_saves_and_says_how_to_go_on() {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.run("apply plan.yaml").ended(0);
    let tail = shell.start("replicate plan.yaml --lease-seconds 3");
    until(&shell, captured);
    tail.interrupt();
    let said = tail.end().ended(0);
    assert!(
        said.stdout.contains("run `dynasplit replicate plan.yaml`"),
        "{}",
        said.shown()
    );
    assert!(said.stderr.contains("stopping"), "{}", said.shown());
    let status = json(&shell, "status plan.yaml").ended(0).json();
    assert_eq!(
        status["workers"].as_array().unwrap().len(),
        0,
        "it gave its lease back"
    );
}

#[test]
fn a_rehearsal_prints_plain_lines_in_a_pipe() {
    let shell = Shell::new(include_str!("../../plans/clients-and-people.yaml"));
    let said = shell
        .run("rehearse plan.yaml --items 300 --writes-per-second 20 --seconds 6 --seed 7 --output json")
        .ended(0);
    assert_eq!(said.json()["seed"], "7");
    assert_eq!(said.json()["loaded"], 300);
    assert_eq!(said.json()["clean"], true);
    // Shows that there are no escape codes.
    let shown = said.shown();
    assert!(said.stderr.contains("backfill"), "progress was told: {shown}");
}

#[test]
fn a_rehearsal_of_the_bulk_order_is_exact_too() {
    in_the_long_run!(a_rehearsal_of_the_bulk_order_is_exact_too);
    let shell = Shell::new(include_str!("../../plans/clients-and-people.yaml"));
    let words =
        "rehearse plan.yaml --items 300 --writes-per-second 40 --seconds 6 --order bulk --output json";
    let said = shell.run(words).ended(0).json();
    assert_eq!(said["backfill"]["order"], "bulk", "{said:#}");
    assert_eq!(said["clean"], true);
    // What a copy without guards would bring back, were the lanes not held.
    assert!(said["writes"]["deletes"].as_u64() > Some(0), "{said:#}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let shell = Shell::new(PLAN);
    for line in ["schema", "--help"] {
        let mut command = shell.start(line);
        command.stop_reading();
        let said = command.end().ended(0);
        assert_eq!(said.stderr, "", "{line}");
    }
}

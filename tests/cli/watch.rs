//! `status --watch`, in a pipe: it shows the state again and again, until Ctrl-C or until nobody reads it.

use crate::shell::{Running, Shell, assert_said};
use crate::support::scripted::{Answer, Scripted};
use crate::support::{Engine, table};
use crate::tables::PLAN;
use std::time::Duration;

async fn split() -> (Engine, Shell) {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.run("apply plan.yaml").ended(0);
    (engine, shell)
}

/// Lets it look a few times, then Ctrl-C.
fn interrupted(running: Running) -> String {
    std::thread::sleep(Duration::from_millis(3500));
    running.interrupt();
    running.end().ended(0).stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_the_state_again_until_it_is_interrupted() {
    let (_engine, shell) = split().await;
    let text = interrupted(shell.start("status plan.yaml --watch --interval 1"));
    let shown: Vec<&str> = text.matches("split learning: created").collect();
    assert!(shown.len() >= 2, "{text}");
    assert!(!text.contains('\u{1b}'), "no escape codes in a pipe: {text:?}");
    let lines = interrupted(shell.start("status plan.yaml --watch --interval 1 --output json"));
    let documents: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(documents.len() >= 2, "{lines}");
    let once = shell.run("status plan.yaml --output json").ended(0).json();
    for document in &documents {
        assert_eq!(document["phase"], once["phase"]);
        assert_eq!(document["obstacles"], once["obstacles"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_nobody_reads_it() {
    let (_engine, shell) = split().await;
    let mut running = shell.start("status plan.yaml --watch --interval 1");
    running.stop_reading();
    running.end().ended(0);
}

#[test]
fn a_watch_that_never_saw_the_split_fails() {
    let engine =
        Scripted::start(|_| Answer::error("ResourceNotFoundException", "Requested resource not found"));
    let shell = Shell::new(PLAN).at(engine.endpoint());
    let said = shell.run("status plan.yaml --watch").ended(1);
    assert!(said.stderr.contains("dynasplit apply"), "{}", said.stderr);
    assert_said!(
        "watch_wrong_options",
        ["--interval 5", "--watch --interval 0", "--watch --check"]
            .map(|options| shell.run(&format!("status plan.yaml {options}")).ended(2).shown())
            .join("\n")
    );
}

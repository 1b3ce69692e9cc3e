//! Rehearsals of cutovers: both example plans on both engines, with live writers until the split is completed.

use super::shell::{Running, Shell};
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use serde_json::{Value, json};
use std::time::Duration;

const CLIENTS: &str = include_str!("../../plans/clients-and-people.yaml");
const LEARNING: &str = include_str!("../../plans/online-learning.yaml");
/// Few items and few writes: the machine is busy with other tests.
const WORDS: &str =
    "rehearse plan.yaml --cutover --items 150 --writes-per-second 20 --seconds 1 --output json";
/// Every wait inside has a limit of its own.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn both_plans_are_cut_over_and_completed_on_the_embedded_engine() {
    in_the_long_run!(both_plans_are_cut_over_and_completed_on_the_embedded_engine);
    let shells = [Shell::new(CLIENTS), Shell::new(LEARNING)];
    played(shells.each_ref().map(|shell| shell.start(WORDS)), false);
}

#[tokio::test]
async fn both_plans_are_cut_over_and_completed_on_dynamodb_local() {
    in_the_long_run!(both_plans_are_cut_over_and_completed_on_dynamodb_local);
    // A silent shard is what shows how far a stream was read, so no other test may keep this engine busy.
    let engine = Engine::genuine_dedicated().await;
    let shells = [Shell::new(CLIENTS), Shell::new(LEARNING)];
    let words = format!("{WORDS} --endpoint-url {}", engine.endpoint());
    let running = shells.each_ref().map(|shell| shell.start(&words));
    tokio::task::spawn_blocking(|| played(running, true))
        .await
        .unwrap();
}

/// The plans at the same time, because most of it is waiting.
fn played([clients, learning]: [Running; 2], rounds_times: bool) {
    let (clients, learning) = (clients.patient(PATIENCE), learning.patient(PATIENCE));
    let clients = clients.end().ended(0).json();
    let learning = learning.end().ended(0).json();
    whole(&clients, &["client", "person", "invoice"], rounds_times);
    whole(
        &learning,
        &["CourseCatalog", "Content", "Progress", "Users"],
        rounds_times,
    );
    let outcome = |service: &str| of(&clients["cutover"], "prune", service)[0].clone();
    assert!(
        outcome("client").starts_with("0 items deleted"),
        "`common` takes every client: {clients:#}"
    );
    assert!(
        outcome("person").ends_with("0 kept for other services"),
        "{clients:#}"
    );
    for (said, service) in [(&clients, "invoice"), (&learning, "Users")] {
        let pruned = &of(&said["cutover"], "prune --target", service)[0];
        assert!(
            pruned.contains("irrelevant items of others deleted") && !pruned.starts_with("0 "),
            "its table had received everything: {pruned}"
        );
    }
    let ends = of(&clients["cutover"], "complete", "client");
    assert!(
        ends[0].starts_with("refused, because another service receives"),
        "{ends:?}"
    );
    assert!(stands_in(&clients, "resource policies"), "{clients:#}");
    assert!(stands_in(&learning, "hooks (fence"), "{learning:#}");
}

/// Every step was played, and nothing went wrong.
fn whole(said: &Value, services: &[&str], rounds_times: bool) {
    let cutover = &said["cutover"];
    assert_eq!(said["clean"], true, "{said:#}");
    assert_eq!(cutover["wrong"], json!([]), "{cutover:#}");
    assert_eq!(cutover["services"], json!(services));
    assert_eq!(cutover["strays"], 3, "{cutover:#}");
    assert!(
        cutover["past_the_fence"].as_u64() > Some(0),
        "a writer ignores the fence: {cutover:#}"
    );
    let first = services[0];
    for service in services {
        let there = if *service == first { 2 } else { 1 };
        assert_eq!(of(cutover, "cutover", service).len(), there, "{cutover:#}");
        let pruned = &of(cutover, "prune", service)[0];
        assert!(pruned.contains("deleted from the source"), "{pruned}");
        let completed = of(cutover, "complete", service);
        assert!(
            completed.last().unwrap().contains("removed from the source"),
            "{completed:?}"
        );
    }
    let back = of(cutover, "rollback", first);
    assert_eq!(back.len(), 2, "the first one is refused: {cutover:#}");
    assert!(back[0].starts_with("refused, because of the stray writes"));
    let steps = cutover["steps"].as_array().unwrap();
    let of_rollback = steps.iter().rfind(|step| step["step"] == "rollback");
    assert!(of_rollback.unwrap()["pause_ms"].as_u64() > Some(0));
    assert_eq!(steps.last().unwrap()["outcome"], "the split is completed");
    assert!(stands_in(said, "backups"), "{cutover:#}");
    assert_eq!(
        stands_in(said, "precise times of stream records"),
        rounds_times,
        "{cutover:#}"
    );
}

/// The outcomes of the steps of a kind.
fn of(cutover: &Value, step: &str, service: &str) -> Vec<String> {
    let steps = cutover["steps"].as_array().unwrap().iter();
    let of_service = steps.filter(|each| each["step"] == step && each["service"] == service);
    of_service
        .map(|each| each["outcome"].as_str().unwrap().to_owned())
        .collect()
}

fn stands_in(said: &Value, what: &str) -> bool {
    said["cutover"]["stand_ins"].to_string().contains(what)
}

#[test]
fn a_plan_without_a_way_back_and_writers_that_do_not_write_are_refused() {
    let shell = Shell::new(PLAN_WITHOUT_A_WAY_BACK);
    let refused = shell.run("rehearse plan.yaml --cutover").ended(2);
    assert!(
        refused.stderr.contains("no service of the plan can be cut over"),
        "{}",
        refused.shown()
    );
    let refused = shell
        .run("rehearse plan.yaml --cutover --writes-per-second 0")
        .ended(2);
    assert!(refused.stderr.contains("at least 1"), "{}", refused.shown());
}

/// Its only service receives data and owns nothing.
const PLAN_WITHOUT_A_WAY_BACK: &str = r"version: 1
split: names
source:
  table: People
  keys: { partition: id }
timestamp: none
unrouted: fail
services:
  - name: names
    where: attribute_exists(id)
    owns: nothing
    table:
      name: Names
      keys: { partition: id }
rehearse:
  items:
    - item: { id: 'p{n}' }
";

//! A whole split by the commands, as a script would run it: every result is one JSON document.

use crate::shell::{Said, Shell};
use crate::support::long::in_the_long_run;
use crate::support::{Engine, table};
use crate::tables::PLAN;
use std::time::{Duration, Instant};

/// Short leases, so that nobody waits long for a worker that has ended.
pub const OPTIONS: &str = "--output json --lease-seconds 3";
/// What a tail may warn of where a machine stood still for longer than a request or a lease may take.
const STOOD_STILL: [&str; 3] = [
    "no answer in time",
    "this worker counted as dead",
    "another worker took the lease",
];

fn json(shell: &Shell, command: &str) -> Said {
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
async fn every_result_of_a_whole_split_is_one_json_document() {
    let engine = Engine::embedded().await;
    let client = engine.dynamodb();
    table::create(&client, "Learning").await;
    let course = |n: u32| {
        table::item(
            &format!("COURSE#{n}"),
            "METADATA",
            [("title", table::text("Rust"))],
        )
    };
    table::put_all(&client, "Learning", (0..50).map(course)).await;
    let ann = |email| table::item("USER#ann", "PROFILE", [("email", email)]);
    // The index of the target wants text.
    table::put(&client, "Learning", ann(table::number(1))).await;
    let shell = Shell::new(PLAN).at(engine.endpoint());

    let planned = json(&shell, "plan plan.yaml").ended(3).json();
    assert!(planned.is_object(), "{planned:#}");
    let applied = json(&shell, "apply plan.yaml").ended(0).json();
    assert_eq!(applied["tables"][0]["created"], true);
    let tail = shell.start(&format!("replicate plan.yaml {OPTIONS}"));
    let status = until(&shell, captured);
    assert_eq!(status["phase"], "tailing");
    let filled = json(&shell, "backfill plan.yaml --segments 3").ended(3).json();
    assert_eq!(filled["scanned"], 51);
    let again = json(&shell, "backfill plan.yaml").ended(3).json();
    assert_eq!(again["already_finished"], true);

    // Another one comes by the stream, and goes again.
    let bob = |email| table::item("USER#bob", "PROFILE", [("email", email)]);
    table::put(&client, "Learning", bob(table::number(2))).await;
    let both = until(&shell, |status| status["dead_letters"]["Users"] == 2);
    assert_eq!(users(&both), (1, 1), "by the tail, and by the backfill: {both:#}");
    tail.until_told("1 dead letter, ");
    let unknown = json(&shell, "dead-letters list plan.yaml --service zz").ended(2);
    let words = unknown.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(words, "the plan has no service 'zz'");

    let letters = json(&shell, "dead-letters list plan.yaml").ended(3).json();
    assert!(letters[0]["writing"].is_string(), "{letters:#}");
    let of_ann = |letter: &&serde_json::Value| letter["key"].to_string().contains("USER#ann");
    let ann_letter = letters.as_array().unwrap().iter().find(of_ann).unwrap();
    let id = ann_letter["id"].as_str().unwrap().to_owned();
    let letter = json(&shell, &format!("dead-letters show plan.yaml {id}"))
        .ended(0)
        .json();
    assert_eq!(letter["image"]["email"]["N"], "1");
    let stays = json(&shell, "dead-letters reconcile plan.yaml").ended(3).json();
    assert_eq!(stays[0]["settled"], false);
    let again = json(&shell, &format!("dead-letters show plan.yaml {id}"))
        .ended(0)
        .json();
    assert_eq!(
        again["attempts"].as_u64(),
        letter["attempts"].as_u64().map(|before| before + 1)
    );
    let shown = shell
        .run(&format!("dead-letters show plan.yaml {id}"))
        .ended(0)
        .stdout;
    assert!(
        shown.contains("attempts: the first one") && shown.contains("read from reconcile: "),
        "{shown}"
    );
    let mut gone = bob(table::number(2));
    gone.remove("email");
    table::delete(&client, "Learning", gone).await;
    table::put(&client, "Learning", ann(table::text("ann@example.com"))).await;
    let settled = json(&shell, &format!("dead-letters reconcile plan.yaml {id}"))
        .ended(0)
        .json();
    assert_eq!(settled[0]["settled"], true);
    let one = self::status(&shell);
    assert_eq!(users(&one), (1, 0), "{one:#}");
    json(&shell, "dead-letters reconcile plan.yaml").ended(0);
    let none = self::status(&shell);
    assert_eq!(users(&none), (0, 0), "they are resolved: {none:#}");
    json(&shell, "backfill plan.yaml").ended(0);

    let unclean = json(&shell, "complete plan.yaml --yes").ended(3).json();
    assert_eq!(unclean["error"]["kind"], "not-clean", "{unclean:#}");
    assert_eq!(unclean["error"]["exit_code"], 3);
    let problems = unclean["error"]["problems"].as_array().unwrap();
    let verifies = |problem: &serde_json::Value| {
        let words = problem["message"].as_str().unwrap();
        words.contains("nothing was verified") && words.contains("`dynasplit verify plan.yaml`")
    };
    assert!(problems.iter().any(verifies), "{unclean:#}");
    let verified = json(&shell, "verify plan.yaml").ended(0).json();
    assert_eq!(verified["clean"], true);
    until(&shell, |status| status["phase"] == "verified");
    let completed = json(&shell, "complete plan.yaml --yes").ended(0).json();
    assert!(completed["stripped"]["Courses"].is_u64(), "{completed:#}");
    let tail = tail.end().ended(0);
    assert_eq!(tail.json()["ended"], "completed");
    let is_expected = |line: &str| STOOD_STILL.iter().any(|words| line.contains(words));
    let mut warned = tail.stderr.lines().filter(|line| line.contains("WARN"));
    assert!(warned.all(is_expected), "{}", tail.shown());
    assert_eq!(json(&shell, "status plan.yaml").ended(0).json()["phase"], "done");
    let late = json(&shell, "replicate plan.yaml").ended(0).json();
    assert_eq!(late["ended"], "completed", "{late:#}");
}

/// Open dead letters of `Users`: in its lane, and of the backfill.
fn users(status: &serde_json::Value) -> (u64, u64) {
    let of = |lanes: &serde_json::Value| {
        let lanes = lanes.as_array().unwrap();
        let lane = lanes.iter().find(|lane| lane["lane"] == "Users").unwrap();
        lane["dead_letters"].as_u64().unwrap()
    };
    (of(&status["lanes"]), of(&status["backfill"]))
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

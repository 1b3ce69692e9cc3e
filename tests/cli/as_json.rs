//! A whole split by the commands, as a script would run it: every result is one JSON document.
//!
//! It takes long, and waits most of the time, so its name is one of the first in the order in which tests begin.

use crate::life::{OPTIONS, captured, json, status, until};
use crate::shell::Shell;
use crate::support::{Engine, table};
use crate::tables::PLAN;

/// What a tail may warn of where a machine stood still for longer than a request or a lease may take.
const STOOD_STILL: [&str; 3] = [
    "no answer in time",
    "this worker counted as dead",
    "another worker took the lease",
];

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
    let first = until(&shell, captured);
    assert_eq!(first["phase"], "tailing");
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
    let one = status(&shell);
    assert_eq!(users(&one), (1, 0), "{one:#}");
    json(&shell, "dead-letters reconcile plan.yaml").ended(0);
    let none = status(&shell);
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

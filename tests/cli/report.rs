//! `report`: a page in a file.

use crate::listen::until_charted;
use crate::shell::Shell;
use crate::support::long::in_the_long_run;
use crate::support::{Engine, table};
use crate::tables::PLAN;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_the_split_and_replaces_the_one_before() {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    let early = shell.run("report plan.yaml --html page.html").ended(1);
    assert!(
        early.stderr.contains("dynasplit apply plan.yaml"),
        "{}",
        early.stderr
    );
    assert!(!shell.path("page.html").exists(), "nothing is written then");
    shell.run("apply plan.yaml").ended(0);
    shell.write("page.html", "another page");
    let said = shell.run("report plan.yaml --html page.html").ended(0);
    assert!(
        said.stdout.starts_with("wrote page.html\nnext: "),
        "{}",
        said.stdout
    );
    let page = std::fs::read_to_string(shell.path("page.html")).unwrap();
    for shown in [
        "<h1>learning</h1>",
        "created",
        "Courses",
        "Learning",
        "dynasplit replicate plan.yaml",
    ] {
        assert!(page.contains(shown), "{shown} is missing in\n{page}");
    }
    let json = shell
        .run("report plan.yaml --html page.html --output json")
        .ended(0)
        .json();
    assert_eq!(
        (&json["html"], &json["phase"]),
        (&"page.html".into(), &"created".into())
    );
    let left: Vec<_> = std::fs::read_dir(shell.path("")).unwrap().collect();
    assert_eq!(
        left.len(),
        2,
        "the plan and the page, and no temporary file: {left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_of_plan_stands_beside_the_cost() {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    let estimate = shell.run("plan plan.yaml --output json");
    shell.write("forecast.json", &estimate.stdout);
    shell.run("apply plan.yaml").ended(0);
    shell
        .run("report plan.yaml --html page.html --forecast forecast.json")
        .ended(0);
    let told = shell.run("status plan.yaml --forecast forecast.json").ended(0);
    for shown in [
        "so far",
        "at this rate",
        "backfill: write Courses",
        "US dollars",
        "verify, each time",
    ] {
        assert!(
            told.stdout.contains(shown),
            "{shown} is missing in\n{}",
            told.stdout
        );
    }
    let json = shell
        .run("status plan.yaml --forecast forecast.json --output json")
        .ended(0)
        .json();
    let estimated = &estimate.json()["estimate"]["dollars"];
    assert_eq!(
        (&json["phase"], &json["spent"]["forecast_dollars"]),
        (&"created".into(), estimated)
    );
    let wrong = shell.run("status plan.yaml --forecast plan.yaml").ended(2);
    assert!(wrong.stderr.contains("no JSON output of"), "{}", wrong.stderr);
    shell.run("status plan.yaml --prices plan.yaml").ended(2);
    let page = std::fs::read_to_string(shell.path("page.html")).unwrap();
    for shown in [
        "for the whole split",
        "verify, each time",
        "backfill: write Courses",
    ] {
        assert!(page.contains(shown), "{shown} is missing in\n{page}");
    }
}

#[test]
fn files_that_are_wrong_are_told_before_aws_is_asked() {
    let shell = Shell::new(PLAN).at("http://127.0.0.1:1");
    shell.run("report plan.yaml").ended(2);
    let said = shell
        .run("report plan.yaml --html page.html --forecast plan.yaml")
        .ended(2);
    assert!(
        said.stderr
            .contains("plan.yaml: this is no JSON output of `dynasplit plan"),
        "{}",
        said.stderr
    );
    let said = shell
        .run("report plan.yaml --html page.html --prices none.yaml")
        .ended(2);
    assert!(
        said.stderr.contains("none.yaml cannot be read"),
        "{}",
        said.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_be_written_is_a_failure() {
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.run("apply plan.yaml").ended(0);
    let said = shell.run("report plan.yaml --html nowhere/page.html").ended(1);
    assert!(
        said.stderr.contains("cannot write the page to nowhere/page.html"),
        "{}",
        said.stderr
    );
    shell.run("report plan.yaml --html .").ended(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replicate_that_serves_nothing_measures_for_the_charts() {
    in_the_long_run!(a_replicate_that_serves_nothing_measures_for_the_charts);
    let engine = Engine::embedded().await;
    table::create(&engine.dynamodb(), "Learning").await;
    let shell = Shell::new(PLAN).at(engine.endpoint());
    shell.run("apply plan.yaml").ended(0);
    let running = shell.start("replicate plan.yaml");
    until_charted(&shell);
    running.interrupt();
    running.end().ended(0);
    // What was measured outlives the process, and a damaged record of it is no reason to have no page.
    until_charted(&shell);
    let mut broken = table::item("split", "CHART", [("record", table::text("{"))]);
    for (name, old) in [("pk", "PK"), ("sk", "SK")] {
        let value = broken.remove(old).unwrap();
        broken.insert(name.to_owned(), value);
    }
    broken.insert("revision".to_owned(), table::number(9));
    table::put(&engine.dynamodb(), "dynasplit-learning", broken).await;
    let said = shell.run("report plan.yaml --html page.html").ended(0);
    assert!(said.stderr.contains("the page has no charts"), "{}", said.stderr);
    let page = std::fs::read_to_string(shell.path("page.html")).unwrap();
    assert!(!page.contains("polyline"), "{page}");
}

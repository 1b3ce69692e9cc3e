//! Plans that can't be used: all problems at once, each at its line.

use crate::shell::{Shell, assert_said, shown};

#[test]
fn a_malformed_plan_shows_all_its_problems_at_once() {
    let shell = Shell::new(
        "version: 2
split: learning and more
source:
  table: Learning
  keys: { partition: PK, sort: SK }
timestamp: { attribute: updatedAt, type: S, format: rfc3339 }
unrouted: fail
services:
  - name: Courses
    where: begins_with(PK, 'COURSE#') AND
    table:
      name: C
      keys: { partition: courseId }
    transform:
      keys:
        from: { PK: 'COURSE#{course}' }
        to: { courseId: '{curse}' }
  - name: Courses
    where: SK = 'PROFILE'
    table:
      name: Users
      keyz: { partition: userId }
",
    );
    for command in [
        "plan",
        "verify",
        "apply",
        "replicate",
        "backfill",
        "status",
        "dead-letters list",
        "rehearse",
    ] {
        let said = shell.run(&format!("{command} plan.yaml")).ended(2);
        assert_eq!(said.stdout, "", "{command}");
        if command == "apply" {
            assert_said!("malformed_plan", said.shown());
        }
    }
    let said = shell.run("apply plan.yaml --output json").ended(2);
    assert!(
        said.stderr.contains("plan.yaml:"),
        "people read it too: {}",
        said.shown()
    );
    let error = &said.json()["error"];
    assert_eq!((&error["kind"], &error["exit_code"]), (&"plan".into(), &2.into()));
    let problems = error["problems"].as_array().unwrap();
    assert_eq!(
        error["message"],
        format!("plan.yaml has {} problems", problems.len())
    );
    let first = &problems[0];
    assert_eq!(
        (&first["file"], &first["line"], &first["column"]),
        (&"plan.yaml".into(), &1.into(), &10.into())
    );
    assert!(
        problems.iter().all(|problem| problem["message"].is_string()),
        "{error:#}"
    );
}

#[test]
fn what_is_probably_not_meant_is_warned_about() {
    let plan = crate::tables::PLAN;
    assert!(plan.contains("    where: "), "{plan}");
    let at = plan.find("    where: ").unwrap();
    let end = at + plan[at..].find('\n').unwrap();
    let doubtful = format!(
        "{}    where: begins_with(PK, \"CLAIM#\"){}",
        &plan[..at],
        &plan[end..]
    );
    let shell = Shell::new(&doubtful);
    let said = shell.run("plan plan.yaml --offline").ended(0);
    assert!(said.stdout.contains("is well-formed"), "{}", said.stdout);
    for part in [
        "warning: plan.yaml:",
        "the attribute `CLAIM#`",
        "in single quotes: 'CLAIM#'",
        "1 warning in",
    ] {
        assert!(said.stderr.contains(part), "{part} in {}", said.stderr);
    }
    let said = shell.run("plan plan.yaml --offline --output json").ended(0);
    let document: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["warnings"][0]["path"], "services[0].where");
    assert_eq!(document["warnings"][0]["column"], 28);
}

#[test]
fn a_plan_that_can_not_be_read_is_named() {
    let shell = Shell::new("");
    std::fs::write(shell.path("binary.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    shell.write("broken.yaml", "version: 1\nservices: [\n");
    let lines = [
        "status missing.yaml",
        "status .",
        "status binary.yaml",
        "status plan.yaml",
        "status broken.yaml",
    ];
    let said: Vec<_> = lines.iter().map(|line| shell.run(line).ended(2)).collect();
    assert_said!("unreadable_plans", shown(&said));
}

#[test]
fn a_rehearsal_without_sample_items_says_where_they_come_from() {
    let shell = Shell::new(crate::tables::PLAN);
    shell.write("items.json", "{\"PK\": {\"S\": \"x\"}\n");
    let lines = [
        "rehearse plan.yaml",
        "rehearse plan.yaml --sample nowhere.json",
        "rehearse plan.yaml --sample items.json",
    ];
    let said: Vec<_> = lines
        .iter()
        .map(|line| shell.run(&format!("{line} --seed 1")).ended(2))
        .collect();
    assert_said!("no_sample", shown(&said));
}

#[test]
fn a_plan_says_which_services_can_be_cut_over_with_a_way_back() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let shell = Shell::new(&read("plans/clients-and-people.yaml"));
    let said = shell.run("plan plan.yaml --offline").ended(0);
    let page = read("docs/cutover.md");
    assert!(
        page.contains(&format!("```text\n{}```", said.stdout)),
        "{}",
        said.stdout
    );
    let said = shell.run("plan plan.yaml --offline --output json").ended(0);
    let cutover = &said.json()["cutover"];
    assert_eq!(cutover[0]["can_be_cut_over"], true);
    assert_eq!(cutover[2]["reversible"], "no");
    assert_eq!(cutover[2]["not_reversible"][0]["path"], "services[2].owns");
    // Long sentences are wrapped.
    let shell = Shell::new(&read("plans/online-learning.yaml"));
    let said = shell.run("plan plan.yaml --offline").ended(0);
    assert!(
        said.stdout
            .contains("  CourseCatalog: possible, reversible with conditions\n"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.lines().all(|line| line.chars().count() <= 80),
        "{}",
        said.stdout
    );
}

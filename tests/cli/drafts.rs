//! `init`: drafts of plans from tables and files that follow the conventions of public libraries, and from bad ones.

use crate::shell::{Said, Shell, assert_said};
use crate::support::long::in_the_long_run;
use crate::support::{Engine, table};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use std::path::Path;

/// A directory with one of the files in `drafts/`.
fn with(name: &str) -> Shell {
    let shell = Shell::new("");
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/drafts")
        .join(name);
    shell.write(name, &std::fs::read_to_string(from).unwrap());
    shell
}

/// The draft, which `plan` has to accept without a warning.
fn drafted(shell: &Shell, line: &str) -> Value {
    let said = shell
        .run(&format!("init {line} --write draft.yaml --output json"))
        .ended(0);
    let checked = shell
        .run("plan draft.yaml --offline --output json")
        .ended(0)
        .json();
    assert_eq!(checked["warnings"], serde_json::json!([]), "{}", said.shown());
    let report = said.json();
    let plan = std::fs::read_to_string(shell.path("draft.yaml")).unwrap();
    assert_eq!(report["plan"], plan);
    report
}

fn services(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let services = report["services"].as_array().unwrap().iter();
    services
        .map(|one| (text(&one["name"]), text(&one["where"])))
        .collect()
}

fn named(name: &str, condition: &str) -> (String, String) {
    (name.to_owned(), condition.to_owned())
}

/// The attribute, its format, and why it cannot be used.
fn timestamps(report: &Value) -> Vec<(&str, &str, bool)> {
    let list = report["timestamps"].as_array().unwrap().iter();
    list.map(|one| {
        (
            one["attribute"].as_str().unwrap(),
            one["format"].as_str().unwrap(),
            one["flaw"].is_null(),
        )
    })
    .collect()
}

#[test]
fn electrodb_collections_are_services() {
    let report = drafted(&with("electrodb.jsonl"), "Tracker --from-file electrodb.jsonl");
    assert_eq!(report["type_attribute"]["library"], "ElectroDB");
    assert_eq!(report["keys"], "{ partition: pk, sort: sk }");
    assert_eq!(
        services(&report),
        [
            named("ticket", "begins_with(pk, '$tracker#personid_')"),
            named("teamid", "begins_with(pk, '$tracker#teamid_')"),
        ]
    );
    assert_eq!(timestamps(&report)[0], ("updatedAt", "epoch-millis", true));
    assert_eq!(report["left_behind"], Value::Null);
}

#[test]
fn onetable_types_name_the_kinds() {
    let report = drafted(&with("onetable.jsonl"), "Sales --from-file onetable.jsonl");
    assert_eq!(report["type_attribute"]["library"], "OneTable");
    assert_eq!(
        services(&report),
        [
            named("account", "begins_with(PK, 'account#')"),
            named("invoice", "begins_with(PK, 'invoice#')"),
            named("unique", "begins_with(PK, '_unique#')"),
        ]
    );
    // The item that keeps an address unique has no time.
    assert_eq!(timestamps(&report)[0], ("updated", "epoch-millis", false));
    let kinds = report["services"][0]["kinds"].as_array().unwrap();
    let shown: Vec<&str> = kinds.iter().map(|kind| kind["keys"].as_str().unwrap()).collect();
    assert_eq!(shown, ["account#… / user#…", "account#… / account#…"]);
}

#[test]
fn toolbox_writes_when_an_item_was_modified() {
    let report = drafted(&with("toolbox.json"), "Shop --from-file toolbox.json");
    assert_eq!(report["type_attribute"]["library"], "dynamodb-toolbox");
    assert_eq!(services(&report).len(), 2);
    assert_eq!(
        timestamps(&report),
        [
            ("_md", "iso-8601-millis", true),
            ("_ct", "iso-8601-millis", false)
        ]
    );
    assert!(
        report["plan"]
            .as_str()
            .unwrap()
            .contains("#     timestamp: { attribute: _md, type: S, format: iso-8601-millis }")
    );
}

#[test]
fn a_counter_and_a_time_without_a_fixed_width_order_nothing() {
    let report = drafted(&with("mapper.jsonl"), "Fleet --from-file mapper.jsonl");
    assert_eq!(report["type_attribute"], Value::Null);
    assert_eq!(
        services(&report)[0],
        named("vehicle", "begins_with(hashKey, 'Vehicle:')")
    );
    assert_eq!(
        timestamps(&report),
        [
            ("lastModified", "iso-8601-seconds", false),
            ("version", "number", false)
        ]
    );
    assert!(!report["plan"].as_str().unwrap().contains("#     timestamp:"));
}

#[test]
fn a_workbench_model_has_keys_and_indexes() {
    let shell = with("workbench.json");
    let report = drafted(&shell, "Library --from-file workbench.json");
    assert_eq!(
        services(&report),
        [
            named("book", "begins_with(PK, 'BOOK#')"),
            named("genre", "PK = 'GENRES'")
        ]
    );
    let plan = report["plan"].as_str().unwrap();
    assert_eq!(
        plan.matches("- name: GSI1").count(),
        1,
        "only the service whose items are in it:\n{plan}"
    );
    assert!(plan.contains("projection: { include: [kind, title] }"), "{plan}");
    for (line, told) in [
        ("--from-file workbench.json", "several tables: Library, Loans"),
        ("Lib --from-file workbench.json", "no table 'Lib'"),
        ("Loans --from-file workbench.json", "no sample data"),
        (
            "Library --from-file workbench.json --keys PK",
            "--keys does not apply",
        ),
    ] {
        let said = shell.run(&format!("init {line}")).ended(2);
        assert!(said.stderr.contains(told), "{line}: {}", said.stderr);
    }
}

#[test]
fn dirty_items_are_shown_and_the_draft_holds() {
    let shell = with("dirty.jsonl");
    let said = shell
        .run("init Shop --from-file dirty.jsonl --write draft.yaml")
        .ended(0);
    assert_said!("draft_dirty_summary", said.shown());
    let plan = std::fs::read_to_string(shell.path("draft.yaml")).unwrap();
    assert_said!("draft_dirty_plan", plan);
    shell.run("plan draft.yaml --offline").ended(0);
    // The same file gives the same draft.
    let printed = shell.run("init Shop --from-file dirty.jsonl").ended(0);
    assert_eq!(
        printed
            .stdout
            .trim_end()
            .replace("plan plan.yaml", "plan draft.yaml"),
        plan.trim_end()
    );
}

/// A directory in which `plan.yaml` exists.
#[test]
fn a_file_is_replaced_only_by_force() {
    let shell = with("onetable.jsonl");
    let line = "init --from-file onetable.jsonl --write plan.yaml";
    let said = shell.run(line).ended(2);
    assert!(
        said.stderr.contains("plan.yaml exists") && said.stderr.contains("--force"),
        "{}",
        said.stderr
    );
    assert_eq!(std::fs::read_to_string(shell.path("plan.yaml")).unwrap(), "");
    shell.run(&format!("{line} --force")).ended(0);
    assert!(
        std::fs::read_to_string(shell.path("plan.yaml"))
            .unwrap()
            .contains("table: MyTable")
    );
    let said = shell
        .run("init --from-file onetable.jsonl --write no/such/plan.yaml")
        .ended(1);
    assert!(said.stderr.contains("cannot be written"), "{}", said.stderr);
}

#[test]
fn files_that_cannot_be_read_are_refused_with_the_reason() {
    let shell = Shell::new("");
    shell.write("empty.jsonl", "\n");
    shell.write("broken.jsonl", "{\"PK\":{\"S\":\"a\"}}\n{\"PK\":");
    shell.write("plain.jsonl", "{\"PK\":\"a\"}\n");
    shell.write("unknown.jsonl", "{\"number\":{\"N\":\"1\"}}\n");
    shell.write("changes.jsonl", "{\"Metadata\":{},\"Keys\":{},\"NewImage\":{}}\n");
    shell.write("other.jsonl", "{\"PK\":{\"M\":{}},\"SK\":{\"S\":\"x\"}}\n");
    let cases = [
        ("Shop --from-file missing.jsonl", "cannot read the file"),
        ("Shop --from-file empty.jsonl", "contains no items"),
        (
            "Shop --from-file broken.jsonl",
            "broken.jsonl:2: this is not JSON",
        ),
        ("Shop --from-file plain.jsonl", "plain.jsonl:1: "),
        ("Shop --from-file unknown.jsonl", "--keys PK,SK"),
        ("Shop --from-file changes.jsonl", "incremental export"),
        (
            "Shop --from-file other.jsonl --keys PK,SK",
            "no item has the attribute 'PK'",
        ),
        ("Shop --from-file other.jsonl --keys ,", "PK,SK"),
        ("S --from-file empty.jsonl", "not the name of a table"),
        ("", "required"),
        ("plain.jsonl", "--from-file plain.jsonl"),
        ("Shop --keys PK", "--from-file"),
        ("Shop --force", "--write"),
        (
            "Shop --from-file empty.jsonl --read-units 5",
            "cannot be used with",
        ),
    ];
    for (line, told) in cases {
        let said = shell.run(format!("init {line}").trim()).ended(2);
        assert!(said.stderr.contains(told), "{line}: {}", said.stderr);
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

async fn fill(engine: &Engine) {
    let client = engine.dynamodb();
    table::create_with(&client, "Shop", &["PK", "SK"], false).await;
    for n in 0..30 {
        for (partition, sort) in [("ORDER", "ORDER"), ("CUSTOMER", "PROFILE")] {
            let put = client
                .put_item()
                .table_name("Shop")
                .item("PK", text(&format!("{partition}#{n}")))
                .item("SK", text(sort))
                .item("updatedAt", text("2026-11-28T10:00:00.000Z"));
            put.send().await.unwrap();
        }
    }
}

/// Everything that `init` and `plan` do on an engine.
async fn live(engine: &Engine) -> Said {
    fill(engine).await;
    let shell = Shell::new("").at(engine.endpoint());
    let said = shell
        .run("init Shop --write draft.yaml --read-units 500")
        .ended(0);
    assert!(said.stderr.contains("read 60 items of Shop"), "{}", said.stderr);
    // It wrote nothing: there is one table, and no stream.
    let tables = engine.dynamodb().list_tables().send().await.unwrap();
    assert_eq!(tables.table_names(), ["Shop"]);
    let described = engine
        .dynamodb()
        .describe_table()
        .table_name("Shop")
        .send()
        .await
        .unwrap();
    assert!(described.table().unwrap().stream_specification().is_none());
    let checked = shell.run("plan draft.yaml --all --output json").ended(0).json();
    assert_eq!(checked["routing"]["unrouted"]["items"], 0, "{checked:#}");
    let again = shell.run("init Shop").ended(0);
    let draft = std::fs::read_to_string(shell.path("draft.yaml")).unwrap();
    assert_eq!(
        again
            .stdout
            .trim_end()
            .replace("plan plan.yaml", "plan draft.yaml"),
        draft.trim_end()
    );
    let missing = shell.run("init Missing").ended(1);
    let expected =
        "the table `Missing` was not found\nhelp: check its name, the region (--region) and the account";
    assert!(missing.stderr.contains(expected), "{}", missing.stderr);
    table::create_with(&engine.dynamodb(), "Empty", &["PK", "SK"], false).await;
    let empty = shell.run("init Empty").ended(1);
    assert!(empty.stderr.contains("contains no items"), "{}", empty.stderr);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_of_a_live_table() {
    let said = live(&Engine::embedded().await).await;
    assert_said!("draft_live", said.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_of_a_table_on_dynamodb_local() {
    in_the_long_run!(a_draft_of_a_table_on_dynamodb_local);
    live(&Engine::genuine_dedicated().await).await;
}

//! Documents for infrastructure code: the tables that they describe are those that the plan adopts, and the policies allow
//! what the plan uses.

use crate::shell::{Shell, assert_said};
use crate::support::{Engine, table};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Every setting of a table that a document can say.
const PLAN: &str = "\
version: 1
split: learning
source:
  table: Learning
  keys: { partition: PK, sort: SK }
timestamp: none
unrouted: fail
services:
  - name: course-catalog
    where: begins_with(PK, 'COURSE#')
    table:
      name: Courses
      keys: { partition: PK, sort: SK }
      billing: { read: 5, write: 6 }
      class: infrequent-access
      encryption: aws-managed
      deletion-protection: true
      point-in-time-recovery: true
      ttl: expires
      tags: { team: courses, 'cost ${center}': 'c-\"1\"' }
      global-indexes:
        - name: by-day
          keys: { partition: { name: day, type: N }, sort: SK }
          projection: { include: [title] }
          throughput: { read: 2, write: 3 }
      local-indexes:
        - name: by-title
          sort: title
          projection: keys-only
  - name: CourseCatalog
    where: begins_with(PK, 'USER#')
    table:
      name: Users
      keys: { partition: PK, sort: SK }
      max-on-demand: { read: 100, write: 50 }
      encryption: { kms-key: 'arn:aws:kms:eu-central-1:123456789012:key/1234' }
";

const AT: &str = "--account 123456789012 --region eu-central-1";

/// What the properties of a template ask for, as CloudFormation asks DynamoDB for it.
fn create_request(properties: &Value) -> Value {
    let mut request = properties.clone();
    let request = request.as_object_mut().unwrap();
    // A call of its own.
    request.remove("PointInTimeRecoverySpecification");
    if let Some(encryption) = request.get_mut("SSESpecification") {
        let on = encryption.as_object_mut().unwrap().remove("SSEEnabled").unwrap();
        encryption["Enabled"] = on;
    }
    Value::Object(request.clone())
}

/// The SDK takes no JSON, so the request goes without it.
fn create(endpoint: &str, request: &Value) {
    let place = endpoint.strip_prefix("http://").unwrap();
    let body = request.to_string();
    let mut stream = TcpStream::connect(place).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amz-target: DynamoDB_20120810.CreateTable\r\nx-amz-date: 20260101T000000Z\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, \
         Signature=none\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn resources(shell: &Shell) -> serde_json::Map<String, Value> {
    let said = shell.run("tables plan.yaml --format cloudformation").ended(0);
    let template: Value = serde_json::from_str(&said.stdout).unwrap();
    template["Resources"].as_object().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_of_the_template_are_those_that_the_plan_adopts() {
    let engine = Engine::embedded().await;
    table::create_with(&engine.dynamodb(), "Learning", &["PK", "SK"], true).await;
    let shell = Shell::new(PLAN);
    let resources = resources(&shell);
    assert_eq!(
        resources.keys().collect::<Vec<_>>(),
        ["CourseCatalogTable", "CourseCatalogTable2"]
    );
    for resource in resources.values() {
        assert_eq!(resource["DeletionPolicy"], "Retain");
        // The time to live is switched on at the end of the split.
        assert!(resource["Properties"].get("TimeToLiveSpecification").is_none());
        create(engine.endpoint(), &create_request(&resource["Properties"]));
    }
    let adopted = PLAN.replace(
        "      keys: { partition: PK, sort: SK }\n",
        "      keys: { partition: PK, sort: SK }\n      adopted: true\n",
    );
    // The embedded engine has no backups.
    let adopted = adopted.replace("      point-in-time-recovery: true\n", "");
    Shell::new(&adopted)
        .at(engine.endpoint())
        .run("apply plan.yaml")
        .ended(0);
    // The check can fail.
    let other = adopted.replace("projection: keys-only", "projection: all");
    let said = Shell::new(&other)
        .at(engine.endpoint())
        .run("apply plan.yaml")
        .ended(1);
    assert!(said.stderr.contains("by-title"), "{}", said.stderr);
}

#[test]
fn the_resources_of_terraform() {
    let shell = Shell::new(PLAN);
    assert_said!(
        "tables_terraform",
        shell.run("tables plan.yaml --format terraform").ended(0).shown()
    );
}

#[test]
fn one_service_can_be_chosen_and_an_unknown_one_is_told() {
    let shell = Shell::new(PLAN);
    let said = shell
        .run("tables plan.yaml --format terraform --service course-catalog")
        .ended(0);
    assert!(said.stdout.contains("\"Courses\"") && !said.stdout.contains("\"Users\""));
    let said = shell
        .run("tables plan.yaml --format terraform --service courses")
        .ended(2);
    assert!(said.stderr.contains("no service 'courses'"), "{}", said.stderr);
}

#[test]
fn a_document_is_for_one_account_and_region() {
    let elsewhere = PLAN.replace(
        "      name: Users\n",
        "      name: Users\n      region: us-east-1\n",
    );
    let shell = Shell::new(&elsewhere);
    let said = shell.run("tables plan.yaml --format cloudformation").ended(2);
    assert!(said.stderr.contains("--service"), "{}", said.stderr);
    shell
        .run("tables plan.yaml --format cloudformation --service course-catalog")
        .ended(0);
}

fn policy(shell: &Shell, line: &str) -> Value {
    serde_json::from_str(&shell.run(&format!("iam plan.yaml {line} {AT}")).ended(0).stdout).unwrap()
}

fn statement<'a>(policy: &'a Value, sid: &str) -> Option<&'a Value> {
    let statements = policy["Statement"].as_array().unwrap();
    statements.iter().find(|statement| statement["Sid"] == sid)
}

#[test]
fn the_policy_of_the_tool_allows_what_the_plan_uses() {
    let shell = Shell::new(PLAN);
    let all = policy(&shell, "--for tool");
    let arn = |table: &str| format!("arn:aws:dynamodb:eu-central-1:123456789012:table/{table}");
    assert_eq!(
        statement(&all, "ReadTheTags").unwrap()["Resource"],
        json!([arn("Courses")])
    );
    assert_eq!(
        statement(&all, "CreateTheTargets").unwrap()["Resource"],
        json!([arn("Courses"), arn("Users")])
    );
    let key = statement(&all, "CreateEncryptedTargets").unwrap();
    assert_eq!(
        key["Resource"],
        json!(["arn:aws:kms:eu-central-1:123456789012:key/1234"])
    );
    assert_eq!(
        key["Condition"]["StringEquals"]["kms:ViaService"],
        json!(["dynamodb.eu-central-1.amazonaws.com"])
    );
    assert!(
        statement(&all, "DeleteWhatTheSplitCreated").is_none(),
        "only on request"
    );
    // An owner creates an adopted table, so the tool may not.
    let adopted =
        Shell::new(&PLAN.replace("      name: Users\n", "      name: Users\n      adopted: true\n"));
    let all = policy(&adopted, "--for tool --task set-up --task give-up");
    assert_eq!(
        statement(&all, "CreateTheTargets").unwrap()["Resource"],
        json!([arn("Courses")])
    );
    assert_eq!(
        statement(&all, "DeleteWhatTheSplitCreated").unwrap()["Resource"],
        json!([arn("dynasplit-learning"), arn("Courses")])
    );
    assert!(
        statement(&all, "ReadTheSource").is_none(),
        "only the tasks that were asked for"
    );
}

#[test]
fn a_role_of_the_plan_has_a_policy_of_its_own() {
    let role = "arn:aws:iam::210987654321:role/users";
    let plan = PLAN.replace(
        "      name: Users\n",
        &format!("      name: Users\n      role: {role}\n"),
    );
    let shell = Shell::new(&plan);
    let tool = policy(&shell, "--for tool");
    assert_eq!(
        statement(&tool, "AssumeTheRolesOfThePlan").unwrap()["Resource"],
        json!([role])
    );
    assert!(
        !tool.to_string().contains("table/Users"),
        "the tool reaches it through the role"
    );
    let other = policy(&shell, &format!("--for {role} --task run"));
    assert_eq!(
        statement(&other, "WriteTheTargets").unwrap()["Resource"],
        json!(["arn:aws:dynamodb:eu-central-1:210987654321:table/Users"])
    );
    assert!(statement(&other, "ReadTheStream").is_none());
}

#[test]
fn the_policy_of_a_service_is_for_its_own_table() {
    let shell = Shell::new(PLAN);
    assert_said!(
        "iam_service_terraform",
        shell
            .run(&format!(
                "iam plan.yaml --for course-catalog --format terraform {AT}"
            ))
            .ended(0)
            .shown()
    );
}

#[test]
fn wrong_values_of_iam() {
    let shell = Shell::new(PLAN);
    let cases = [
        ("--for tool --account 12345 --region eu-central-1", "12 digits"),
        (
            "--for nobody --account 123456789012 --region eu-central-1",
            "no service and no role",
        ),
        (
            "--for probe --account 123456789012 --region eu-central-1",
            "the fence of the plan has no policy",
        ),
        (
            "--for course-catalog --task run --account 123456789012 --region eu-central-1",
            "--task does not apply",
        ),
    ];
    for (line, told) in cases {
        let said = shell.run(&format!("iam plan.yaml {line}")).ended(2);
        assert!(said.stderr.contains(told), "{line}: {}", said.stderr);
    }
    let alias = Shell::new(&PLAN.replace("arn:aws:kms:eu-central-1:123456789012:key/1234", "alias/users"));
    let said = alias.run(&format!("iam plan.yaml --for tool {AT}")).ended(0);
    assert!(said.stderr.contains("alias/users"), "{}", said.stderr);
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let shell = Shell::new(PLAN);
    for name in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = shell.run(&format!("completions {name}")).ended(0);
        assert!(said.stdout.contains("dead-letters"), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    shell.run(&format!("man {}", pages.display())).ended(0);
    let page = std::fs::read_to_string(pages.join("dynasplit-backfill.1")).unwrap();
    assert!(page.contains("write\\-units"), "{page}");
    let title = format!(
        ".TH dynasplit-backfill 1 \" \" \"dynasplit {}\" dynasplit",
        env!("CARGO_PKG_VERSION")
    );
    assert!(page.contains(&title), "{page}");
    assert!(pages.join("dynasplit-dead-letters-list.1").is_file() && pages.join("dynasplit.1").is_file());
    // A file is in the way of the folder.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = shell.run(&format!("man {}", file.display())).ended(1);
    assert!(said.stderr.contains("manual pages"), "{}", said.stderr);
}

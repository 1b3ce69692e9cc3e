//! The actions that the code asks for, and those that the page lists and allows.

use super::pages::{read, root, section, split};
use dynasplit::dynamo::ProbeCall;
use dynasplit::infrastructure::{
    Account, PROBE_ACTIONS, Policy, Task, offline_policy, tool_policy, with_export,
};
use dynasplit::plan::Plan;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Calls of the SDK that the code may make, and their IAM actions.
const CALLS: [(&str, &str); 37] = [
    ("describe_table", "DescribeTable"),
    ("describe_time_to_live", "DescribeTimeToLive"),
    ("update_table", "UpdateTable"),
    ("delete_table", "DeleteTable"),
    ("create_table", "CreateTable"),
    ("scan", "Scan"),
    ("query", "Query"),
    ("get_item", "GetItem"),
    ("put_item", "PutItem"),
    ("update_item", "UpdateItem"),
    ("delete_item", "DeleteItem"),
    ("batch_get_item", "BatchGetItem"),
    ("batch_write_item", "BatchWriteItem"),
    ("transact_get_items", "TransactGetItems"),
    ("transact_write_items", "TransactWriteItems"),
    ("execute_statement", "PartiQLSelect"),
    ("batch_execute_statement", "PartiQLInsert"),
    ("describe_continuous_backups", "DescribeContinuousBackups"),
    ("update_continuous_backups", "UpdateContinuousBackups"),
    ("list_tags_of_resource", "ListTagsOfResource"),
    ("tag_resource", "TagResource"),
    ("update_time_to_live", "UpdateTimeToLive"),
    ("describe_stream", "DescribeStream"),
    ("get_shard_iterator", "GetShardIterator"),
    ("get_records", "GetRecords"),
    ("list_streams", "ListStreams"),
    ("list_tables", "ListTables"),
    ("describe_limits", "DescribeLimits"),
    ("get_resource_policy", "GetResourcePolicy"),
    ("put_resource_policy", "PutResourcePolicy"),
    ("delete_resource_policy", "DeleteResourcePolicy"),
    ("describe_export", "DescribeExport"),
    ("list_exports", "ListExports"),
    ("export_table_to_point_in_time", "ExportTableToPointInTime"),
    ("import_table", "ImportTable"),
    ("describe_import", "DescribeImport"),
    ("list_imports", "ListImports"),
];
/// Calls of other services, and their IAM actions.
const OTHERS: [(&str, &str); 12] = [
    ("get_object", "s3:GetObject"),
    ("head_object", "s3:GetObject"),
    ("list_objects_v2", "s3:ListBucket"),
    ("put_object", "s3:PutObject"),
    (
        "get_bucket_lifecycle_configuration",
        "s3:GetLifecycleConfiguration",
    ),
    ("get_bucket_encryption", "s3:GetEncryptionConfiguration"),
    ("copy_object", "s3:PutObject"),
    ("publish", "sns:Publish"),
    ("publish_batch", "sns:Publish"),
    ("get_queue_url", "sqs:GetQueueUrl"),
    ("send_message_batch", "sqs:SendMessage"),
    ("put_events", "events:PutEvents"),
];
/// What DynamoDB does on behalf of the caller, when it writes an export, and the log of an import.
const ON_BEHALF: [&str; 9] = [
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "logs:PutRetentionPolicy",
    "s3:AbortMultipartUpload",
    "s3:PutObject",
    "s3:PutObjectAcl",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            // A rehearsal has tables of its own, and unit tests have theirs.
            if !path.ends_with("rehearse") && !path.ends_with("tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|kind| kind == "rs")
            && !path.ends_with("tests.rs")
            // Its requests are sent as roles of the application, which have these permissions already.
            && !path.ends_with("write_probe.rs")
        {
            found.push(path);
        }
    }
}

/// What is compiled into the tool: a file's tests, which may ask for anything, stand at its end.
fn without_tests(text: &str) -> &str {
    let mut seen = 0;
    for line in text.split_inclusive('\n') {
        let before = &text[..seen];
        if before.ends_with("#[cfg(test)]\n") && line.ends_with("mod tests {\n") {
            return before;
        }
        seen += line.len();
    }
    text
}

/// The actions of the page's table, with the commands that need each one on the source, the state and the targets.
fn rows(page: &str) -> Vec<(String, Vec<String>)> {
    let lines = section(page, "## What each command needs").lines();
    lines
        .filter_map(|line| line.strip_prefix("| `dynamodb:")?.split_once('`'))
        .map(|(action, rest)| {
            let columns = rest.split('|').skip(1).take(3);
            (
                format!("dynamodb:{action}"),
                columns.map(|column| column.trim().to_owned()).collect(),
            )
        })
        .collect()
}

fn listed(page: &str) -> BTreeSet<String> {
    rows(page).into_iter().map(|(action, _)| action).collect()
}

#[test]
fn permissions_are_what_the_code_asks_for() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let (mut asked, mut others) = (BTreeSet::new(), BTreeSet::from(ON_BEHALF.map(str::to_owned)));
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let text = without_tests(&text);
        for (call, action) in CALLS {
            if text.contains(&format!(".{call}()")) {
                asked.insert(format!("dynamodb:{action}"));
            }
        }
        for (call, action) in OTHERS {
            if text.contains(&format!(".{call}()")) {
                others.insert(action.to_owned());
            }
        }
    }
    assert!(asked.contains("dynamodb:GetRecords"), "{asked:?}");
    let page = read("docs/permissions.md");
    assert_eq!(listed(&page), asked);
    // The policies together allow just that.
    let (blocks, _) = split("docs/permissions.md", &page);
    let mut allowed = BTreeSet::new();
    for block in blocks.iter().filter(|block| block.info == "json") {
        let policy: serde_json::Value = serde_json::from_str(&block.text).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            if statement["Effect"] == "Allow" {
                let actions = statement["Action"].as_array().cloned().unwrap_or_default();
                allowed.extend(actions.iter().filter_map(|a| a.as_str().map(str::to_owned)));
            }
        }
    }
    asked.extend(others);
    assert_eq!(allowed, asked);
}

/// A plan that uses everything for which there is an action.
const EVERYTHING: &str = "\
version: 1
split: learning
source:
  table: Learning
  keys: { partition: PK, sort: SK }
timestamp: none
unrouted: fail
fence: { policy: { scope: table, probe-roles: ['arn:aws:iam::123456789012:role/shop'] } }
services:
  - name: Courses
    where: begins_with(PK, 'COURSE#')
    table:
      name: Courses
      keys: { partition: PK, sort: SK }
      point-in-time-recovery: true
      ttl: expires
      tags: { team: courses }
";

#[test]
fn generated_policies_allow_what_the_page_lists() {
    let plan = Plan::parse(EVERYTHING, "plan.yaml").unwrap();
    let account = Account::new("123456789012", "eu-central-1").unwrap();
    let tasks = BTreeSet::from([Task::Look, Task::SetUp, Task::Run, Task::GiveUp]);
    let policy = tool_policy(&plan, &account, &tasks).unwrap();
    let has_s3 = |policy: &Policy| {
        policy
            .statement
            .iter()
            .any(|each| each.action.iter().any(|action| action.starts_with("s3:")))
    };
    assert!(!has_s3(&policy), "no export is used");
    let policy = with_export(policy, &plan, &account, "mine", "split/").unwrap();
    assert!(has_s3(&policy));
    let offline = offline_policy(&plan, &account, ("mine", "split/"), None).unwrap();
    let statements: Vec<_> = policy.statement.iter().chain(&offline.statement).collect();
    let allowed: BTreeSet<String> = statements
        .iter()
        .flat_map(|each| each.action.clone())
        // The roles of a plan and the bucket of an export are not in the table of actions by table.
        .filter(|action| action.starts_with("dynamodb:"))
        .collect();
    assert_eq!(allowed, listed(&read("docs/permissions.md")));
    // By table, too: the columns of the page are the source, the state and the targets.
    for (action, columns) in rows(&read("docs/permissions.md")) {
        let places = ["table/Learning", "table/dynasplit-learning", "table/Courses"];
        for (column, place) in columns.iter().zip(places) {
            let is_allowed = statements.iter().any(|each| {
                each.action.contains(&action)
                    && each.resource.iter().any(|arn| {
                        arn.split("/stream")
                            .next()
                            .and_then(|arn| arn.split("/export").next())
                            .and_then(|arn| arn.split("/import").next())
                            .is_some_and(|arn| arn.ends_with(place))
                    })
            });
            assert_eq!(is_allowed, !column.is_empty(), "{action} on {place}");
        }
    }
}

#[test]
fn probe_roles_may_do_what_the_probes_do() {
    assert_eq!(ProbeCall::ALL.map(ProbeCall::action), PROBE_ACTIONS);
}

//! The actions that the code asks for, and those that the page lists and allows.

use super::pages::{read, root, section, split};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Calls of the SDK that the code may make, and their IAM actions.
const CALLS: [(&str, &str); 28] = [
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
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            // A rehearsal has tables of its own, and unit tests have theirs.
            if !path.ends_with("rehearse") && !path.ends_with("tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
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

#[test]
fn permissions_are_what_the_code_asks_for() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut asked = BTreeSet::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let text = without_tests(&text);
        for (call, action) in CALLS {
            if text.contains(&format!(".{call}()")) {
                asked.insert(format!("dynamodb:{action}"));
            }
        }
    }
    assert!(asked.contains("dynamodb:GetRecords"), "{asked:?}");
    let page = read("docs/permissions.md");
    let documented: BTreeSet<String> = section(&page, "## What each command needs")
        .lines()
        .filter_map(|line| line.strip_prefix("| `dynamodb:")?.split_once('`'))
        .map(|(action, _)| format!("dynamodb:{action}"))
        .collect();
    assert_eq!(documented, asked);
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
    assert_eq!(allowed, asked);
}

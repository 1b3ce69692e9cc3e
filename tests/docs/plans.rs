//! Plans, parts of plans, expressions, and the keys that the reference lists.

use super::pages::{blocks, read};
use dynasplit::plan::{Condition, Plan, Prices, json_schema};
use std::collections::BTreeSet;

const BASE: [(&str, &str); 5] = [
    ("version", "version: 1\n"),
    ("split", "split: base\n"),
    (
        "source",
        "source: { table: Base, keys: { partition: PK, sort: SK } }\n",
    ),
    ("timestamp", "timestamp: none\n"),
    ("unrouted", "unrouted: fail\n"),
];
const SERVICES: &str = "services:\n  - name: base\n    where: attribute_exists(PK)\n    \
                        table: { name: BaseTarget, keys: { partition: PK, sort: SK } }\n";

/// A plan with these top-level keys in the place of the fixed ones.
fn with_top(fragment: &str) -> String {
    let given: Vec<&str> = fragment
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()))
        .filter_map(|line| line.split_once(':').map(|(key, _)| key))
        .collect();
    let rest = BASE
        .iter()
        .filter(|(key, _)| !given.contains(key))
        .map(|(_, text)| *text);
    let services = (!given.contains(&"services")).then_some(SERVICES);
    rest.chain(services).chain([fragment]).collect()
}

#[test]
fn plans_and_their_parts_check() {
    let (mut whole, mut parts) = (0, 0);
    for block in blocks() {
        let text = match block.info.as_str() {
            "yaml plan" => {
                whole += 1;
                block.text.clone()
            }
            "yaml service" => {
                parts += 1;
                with_top(&format!("services:\n{}", block.text))
            }
            "yaml top" => {
                parts += 1;
                with_top(&block.text)
            }
            _ => continue,
        };
        if let Err(error) = Plan::parse(&text, &block.place) {
            panic!("{}\n{text}\n{error}", block.place);
        }
    }
    assert!(whole >= 1 && parts >= 10, "{whole} plans, {parts} parts");
}

#[test]
fn price_files_parse() {
    let blocks = blocks();
    let mut files = blocks
        .iter()
        .filter(|block| block.info == "yaml prices")
        .peekable();
    assert!(files.peek().is_some());
    for block in files {
        if let Err(error) = Prices::parse(&block.text, &block.place) {
            panic!("{error}");
        }
    }
}

#[test]
fn expressions_parse() {
    let mut count = 0;
    for block in blocks().iter().filter(|block| block.info == "text where") {
        for line in block.text.lines() {
            count += 1;
            if let Err(error) = Condition::parse(line) {
                panic!("{}: {line}\n{error:?}", block.place);
            }
        }
    }
    assert!(count >= 5);
}

#[test]
fn every_key_of_the_plan_is_documented() {
    let schema = json_schema();
    let page = read("docs/plan.md");
    let mut names = BTreeSet::new();
    collect_properties(&schema, &mut names);
    assert!(names.contains("may-hold-items"), "{names:?}");
    for name in names {
        let written = [format!("`{name}`"), format!("{name}:")];
        assert!(
            written.iter().any(|written| page.contains(written.as_str())),
            "docs/plan.md says nothing of `{name}`"
        );
    }
}

fn collect_properties(schema: &serde_json::Value, names: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(entries) => {
            if let Some(serde_json::Value::Object(properties)) = entries.get("properties") {
                names.extend(properties.keys().cloned());
            }
            entries
                .values()
                .for_each(|value| collect_properties(value, names));
        }
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| collect_properties(value, names));
        }
        _ => {}
    }
}

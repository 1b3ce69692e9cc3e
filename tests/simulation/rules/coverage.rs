//! No rule is forgotten: each rule that a model leaves out has its place in the product, and its row in the tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dynasplit::fault::Rule;

use super::table::TABLE;
use crate::support::trial::Mode;

/// Rules of the lineage's and the leases' models, which have flags, by the product's names.
const FLAGS: &[(&str, &str, &str)] = &[
    ("lineage", "waits", "ChildWaits"),
    ("lineage", "own_parent", "OwnParent"),
    ("lineage", "durable_parent", "DurableParent"),
    ("lineage", "write_first", "CheckpointLast"),
    ("lineage", "age", "AgeGap"),
    ("lineage", "age_after_read", "AgeAfterRead"),
    ("lineage", "pinned", "Pinned"),
    ("lineage", "null_iterator", "NullIterator"),
    ("lineage", "all_pages", "AllPages"),
    ("lineage", "unknown_parent", "UnknownParent"),
    ("lineage", "found_before_capture", "FoundBeforeCapture"),
    ("lineage", "heirs", "Heirs"),
    ("lineage", "vanished", "Vanished"),
    ("lease", "seen_to_pass", "SeenToPass"),
    ("lease", "until_landed", "Gone"),
    ("lease", "from_sent", "FromSent"),
    ("lease", "compare_and_set", "CompareAndSet"),
    ("lease", "attempt", "EndsBeforeLease"),
    ("lease", "both_clocks", "BothClocks"),
    ("lease", "unanswered", "Unanswered"),
    ("lease", "write_first", "CheckpointLast"),
    ("lease", "guard", "TailGuard"),
];
/// The plan's check keeps this one, before anything runs, and the plan's `vouch` leaves it out.
const IN_THE_PLAN: &str = "Vouch";

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names() -> BTreeSet<String> {
    Rule::ALL.iter().map(|rule| format!("{rule:?}")).collect()
}

/// Words that stand before a mark at the beginning of a line.
fn heads<'a>(text: &'a str, prefix: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let (name, _) = line.trim_start().strip_prefix(prefix)?.split_once(mark)?;
        name.chars()
            .all(|c| c.is_alphanumeric() || c == '_')
            .then_some(name)
    })
}

#[test]
fn every_rule_of_the_models_can_be_left_out_of_the_product() {
    let names = names();
    let split = read("tests/model/rule.rs");
    let listed = split.split_once("rules! {\n").expect("the list of rules").1;
    let listed = listed.split_once("\n}").expect("its end").0;
    for name in heads(listed, "", " => ") {
        assert!(
            name == IN_THE_PLAN || names.contains(name),
            "{name} has no place in the product"
        );
    }
    for model in ["lineage", "lease"] {
        let text = read(format!("tests/model/{model}.rs"));
        let fields = text
            .split_once("pub struct Rules {")
            .expect("the model's rules")
            .1;
        let fields = fields.split_once("\n}").expect("their end").0;
        for field in heads(fields, "pub ", ": bool") {
            let known = FLAGS.iter().find(|(of, flag, _)| *of == model && *flag == field);
            let (_, _, name) =
                known.unwrap_or_else(|| panic!("{model}: {field} has no place in the product"));
            assert!(names.contains(*name), "{name}");
        }
    }
}

#[test]
fn every_rule_is_asked_in_the_product_and_only_there() {
    let mut code = String::new();
    let mut directories = vec![PathBuf::from("src")];
    while let Some(directory) = directories.pop() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&directory);
        for entry in fs::read_dir(path).expect("the sources can be read") {
            let entry = entry.expect("the sources can be read");
            let below = directory.join(entry.file_name());
            if entry.path().is_dir() {
                directories.push(below);
            } else if below.file_name().is_some_and(|name| name != "rule.rs") {
                code.push_str(&read(below));
            }
        }
    }
    for name in names() {
        assert!(code.contains(&format!("Rule::{name}")), "{name} is asked nowhere");
    }
    assert!(
        !code.contains("break_rule("),
        "the product leaves out no rule by itself"
    );
    let manifest = read("Cargo.toml");
    let default = manifest.lines().find(|line| line.starts_with("default ="));
    let default = default.expect("what an ordinary build has");
    assert!(
        !["failpoints", "broken-rules"]
            .iter()
            .any(|part| default.contains(part)),
        "an ordinary build has every rule: {default}"
    );
}

#[test]
fn every_rule_is_in_the_table_and_on_the_page() {
    let page = read("docs/testing.md");
    for rule in Rule::ALL {
        let rows = TABLE.iter().filter(|known| known.rule == *rule);
        assert_eq!(rows.count(), 1, "{rule:?}");
    }
    for known in TABLE {
        assert!(
            page.contains(&known.row()),
            "docs/testing.md lacks this row:\n{}",
            known.row()
        );
    }
}

#[test]
fn every_rule_without_a_seed_has_a_reason_on_the_page() {
    let page = read("docs/testing.md");
    let reasons = page
        .split_once("#### Why a rule has no seed")
        .expect("the reasons")
        .1;
    let (reasons, _) = reasons.split_once("\n\n**").expect("their end");
    for known in TABLE {
        let name = format!("`{:?}`", known.rule);
        let has_seed = [Mode::Timestamp, Mode::Sequence].map(|mode| known.bound(mode).is_some());
        match has_seed {
            [false, false] => assert!(reasons.contains(&name), "why has {name} no seed?"),
            _ => {
                let table = reasons.split_once("|---|").expect("a table").1;
                assert!(!table.contains(&name), "{name} has a seed");
            }
        }
    }
}

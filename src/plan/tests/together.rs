//! All problems come at once: a mistake in one setting hides none in another.

use super::mistakes::MISTAKES;
use super::*;

/// Problems as `path: message`: their lines are others where another mistake stands before them.
fn said(text: &str) -> Vec<String> {
    let line = |p: &Problem| format!("{}: {}", p.path, p.message);
    problems(text).iter().map(line).collect()
}

/// Mistakes that follow from a part that the other one takes away, by a part of their problem: nothing is known of a
/// service's keys while the source's key is wrong, nor of what its own parts mean together while one of them is wrong.
fn may_hide(first: &str, second: &str) -> bool {
    let about_keys = ["transform.keys", "table.keys"]
        .iter()
        .any(|part| second.contains(part))
        || second.contains("has type S in the source's key")
        || second.starts_with("rehearse.items[0].item");
    let source = first.starts_with("source.keys");
    let same_setting = first.split(": ").next() == second.split(": ").next();
    let not_yaml = first.starts_with(": ");
    (source && about_keys) || same_setting || not_yaml
}

#[test]
fn two_mistakes_are_both_told() {
    let (mut tried, mut hidden) = (0, vec![]);
    let alone: Vec<Vec<String>> = MISTAKES
        .iter()
        .map(|(from, to, _)| said(&GOOD.replacen(from, to, 1)))
        .collect();
    for (place, ((from, to, _), first)) in MISTAKES.iter().zip(&alone).enumerate() {
        let first_text = GOOD.replacen(from, to, 1);
        // Each pair once.
        for ((other_from, other_to, _), second) in MISTAKES.iter().zip(&alone).skip(place + 1) {
            if from == other_from || !first_text.contains(other_from) {
                continue;
            }
            tried += 1;
            let both = said(&first_text.replacen(other_from, other_to, 1));
            for wanted in first.iter().chain(second) {
                if !both.contains(wanted) && !may_hide(&first[0], wanted) && !may_hide(&second[0], wanted) {
                    hidden.push(format!(
                        "{wanted}\n    with {from} -> {to}, {other_from} -> {other_to}: {both:#?}"
                    ));
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
    assert!(
        hidden.is_empty(),
        "{} hidden:\n{}",
        hidden.len(),
        hidden.join("\n")
    );
}

#[test]
fn a_mistake_of_structure_hides_nothing_in_the_same_service() {
    let broken = GOOD
        .replace("begins_with(PK, 'ORDER#')", "begins_with(PK 'ORDER#')")
        .replace("drop: [junk]", "drop: [line]")
        .replace("'LINE#{line}'", "'LINE#{line'");
    for (from, to, own) in [
        (
            "name: Orders\n",
            "name: Orders\n      nothing-of-the-kind: 1\n",
            "dynasplit has no such setting",
        ),
        (
            "name: Orders\n",
            "name: Orders\n      ttl: [1]\n",
            "expected text, found a list",
        ),
        (
            "name: Orders\n",
            "name: Orders\n      billing: cheap\n",
            "`cheap` is not a known value here",
        ),
        ("  - name: orders\n", "  - label: orders\n", "`name` is missing"),
        (
            "rename: { st: state }",
            "rename: [st]",
            "expected a mapping, found a list",
        ),
        (
            "split: shop",
            "split: shop\nservice: 1",
            "dynasplit has no such setting",
        ),
        (
            "sort: SK } }\ntime",
            "srt: SK, sort: { name: SK } } }\ntime",
            "`type` is missing",
        ),
    ] {
        assert!(broken.contains(from), "{from}");
        let found = said(&broken.replacen(from, to, 1));
        for part in ["services[0].where: ", "services[0].transform.drop[0]: ", own] {
            assert!(
                found.iter().any(|line| line.contains(part)),
                "{to}: {part} in {found:#?}"
            );
        }
        let keys = "services[0].transform.keys.from.SK: a `{` has no";
        if !to.contains("srt") && !to.contains("rename") {
            assert!(found.iter().any(|line| line.contains(keys)), "{to}: {found:#?}");
        }
    }
}

#[test]
fn what_follows_from_a_mistake_is_not_told() {
    for (from, to) in [
        (
            "partition: orderId, sort: line }",
            "partition: orderId, sort: { name: line } }",
        ),
        (
            "partition: orderId, sort: line }",
            "partition: [orderId], sort: line }",
        ),
        ("    transform:\n", "    mapping:\n"),
        ("from: { PK", "form: { PK"),
        ("to: { orderId: '{order}', line: '{line}' }", "to: [orderId]"),
        (
            "name: by-state, keys: { partition: state, sort: at }",
            "name: by-state, keys: { partition: 5 }",
        ),
        (
            "      global-indexes:\n",
            "      billing: much\n      local-indexes: [{ name: own, sort: a }]\n      global-indexes:\n        - { name: by-x, keys: \
             { partition: x }, throughput: { read: 1, write: 1 } }\n",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let found = said(&GOOD.replacen(from, to, 1));
        assert_eq!(found.len(), 1, "{to}: {found:#?}");
    }
}

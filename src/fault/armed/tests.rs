//! Every failpoint that the code names is listed, and every listed one exists.

use super::*;
use std::collections::BTreeSet;
use std::path::Path;

const WRITERS: [Writer; 6] = [
    Writer::Tail,
    Writer::Backfill,
    Writer::Bulk,
    Writer::Repair,
    Writer::Recheck,
    Writer::DeadLetters,
];
const WRITE_OPS: [WriteOp; 3] = [WriteOp::Put, WriteOp::Tombstone, WriteOp::Delete];

/// The product's code: all of it but this module.
fn code() -> String {
    let mut text = String::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("fault") {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("fault.rs")
            {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// The names that stand in calls.
fn named(code: &str, calls: &[&str]) -> BTreeSet<String> {
    let behind = |call: &&str| {
        code.split(&format!("fault::{call}(\""))
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    calls.iter().flat_map(behind).collect()
}

/// The names of requests whose names are computed.
fn computed() -> BTreeSet<String> {
    let writes = WRITERS
        .into_iter()
        .flat_map(|writer| WRITE_OPS.map(|stroke| writing(writer, || stroke)));
    let kinds = "SPLIT SERVICE SHARD HISTORY WORKER BACKFILL SEGMENT REPAIR VERIFY LETTER LETTERPART RECHECK TUNING PROOF ACTIVITY CUTOVER \
                 CUTOVEREVENT CUTOVERPIN PRUNE CHART NOTIFY IMPORT HEAL COPIED MEMBER SHAREDVERIFY VERIFYTASK CHANGES";
    let saves = kinds
        .split(' ')
        .flat_map(|kind| [false, true].map(|removed| saving(&format!("{kind}#name"), removed)));
    writes
        .chain(saves)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The names of reverse writes: each kind of write has its own.
fn reverse(code: &str) -> BTreeSet<String> {
    let arms = code.split("=> \"reverse.").skip(1);
    arms.map(|rest| format!("reverse.{}", rest.split('"').next().unwrap()))
        .collect()
}

/// The names of requests that remove an attribute: a stamp or a mark.
fn removals(code: &str) -> BTreeSet<String> {
    let arms = ["complete.", "cutover."].into_iter().flat_map(|room| {
        let begin = format!("=> \"{room}");
        let rests = code
            .split(&begin)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned());
        rests.map(|rest| format!("{room}{rest}")).collect::<Vec<_>>()
    });
    arms.collect()
}

#[test]
fn every_name_stands_in_the_code_and_every_name_in_the_code_is_listed() {
    let code = code();
    let owned = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(named(&code, &["moment"]), owned(MOMENTS));
    let before = named(&code, &["before"]);
    assert_eq!(before, named(&code, &["after"]), "both sides of each");
    let requests: BTreeSet<String> = before
        .into_iter()
        .chain(computed())
        .chain(reverse(&code))
        .chain(removals(&code))
        .collect();
    assert_eq!(requests, owned(REQUESTS));
    for call in [
        "before(fault::saving(",
        "after(fault::saving(",
        "fault::writing(",
        "fault::before(site(",
        "fault::after(site(",
        "fault::before(site.name()",
        "fault::after(site.name()",
    ] {
        assert!(code.contains(call), "{call}");
    }
}

#[test]
fn every_kind_of_state_record_has_names() {
    // The names and prefixes of records stand in constants: `SPLIT`, `SHARD#`.
    let code = code();
    let constants = code
        .lines()
        .filter(|line| line.contains("const ") && line.contains("str = \""));
    let kinds: Vec<&str> = constants
        .filter_map(|line| line.split('"').nth(1))
        .filter(|value| {
            value.len() > 4
                && value
                    .trim_end_matches('#')
                    .chars()
                    .all(|c| c.is_ascii_uppercase())
        })
        .collect();
    assert!(kinds.len() >= 12, "{kinds:?}");
    for kind in kinds {
        assert!(
            !saving(kind, false).is_empty(),
            "records named {kind} have no failpoint"
        );
    }
}

#[test]
fn rules_are_read() {
    let rules = parse("tail.put.after@17=kill, lease.taken=stop,state.split.put.before@*=delay:20").unwrap();
    let read: Vec<_> = rules
        .iter()
        .map(|rule| (&*rule.point, rule.when, rule.action))
        .collect();
    assert_eq!(
        read,
        [
            ("tail.put.after", When::Once(17), Action::Kill),
            ("lease.taken", When::Once(1), Action::Stop),
            (
                "state.split.put.before",
                When::From(1),
                Action::Delay(Duration::from_millis(20))
            ),
        ]
    );
    assert!(rules[0].is_at("tail.put", ".after") && !rules[0].is_at("tail.put", ".before"));
    assert!(rules[1].is_at("lease.taken", ""));
    assert!(parse("").unwrap().is_empty());
}

#[test]
fn passes_are_counted_from_one() {
    let at = |text: &str| {
        let when = When::parse(text).unwrap();
        (1..=6).filter(|pass| when.holds(*pass)).collect::<Vec<_>>()
    };
    assert_eq!(at("3"), [3]);
    assert_eq!(at("5+"), [5, 6]);
    assert_eq!(at("/3"), [3, 6]);
    assert_eq!(at("*"), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_wrong_rule_is_told_with_its_text() {
    for (rule, cause) in [
        ("tail.put.after", "expected POINT[@WHEN]=ACTION"),
        ("tail.put=kill", "there is no failpoint 'tail.put'"),
        ("nowhere=kill", "there is no failpoint 'nowhere'"),
        (
            "tail.put.after@0=kill",
            "'0' is no pass: expected 17, 17+, /17 or *",
        ),
        (
            "tail.put.after=die",
            "'die' is no action: expected kill, stop, error or delay:MS",
        ),
        ("lease.taken=error", "no request can be lost there"),
    ] {
        let error = parse(rule).unwrap_err().to_string();
        assert_eq!(error, format!("DYNASPLIT_FAULT has '{rule}': {cause}"));
    }
}

//! Every request that changes something has a failpoint on both sides, so that a test can let a process die there. The
//! sources are read as rustfmt leaves them: a function ends at the line that closes it, as far in as its first one.

use super::{Source, name, sources};
use std::collections::BTreeSet;

/// How the names of the SDK's calls begin that change something.
const CHANGES: [&str; 15] = [
    "batch_execute_",
    "batch_write_",
    "create_",
    "delete_",
    "disable_",
    "enable_",
    "execute_",
    "import_",
    "put_item",
    "put_resource_",
    "restore_",
    "tag_",
    "transact_write_",
    "untag_",
    "update_",
];
const SEND: &str = ".send()";
/// Requests that one function makes, and others send: who makes it, who stands before it, and who behind it.
const MADE_APART: [[&str; 3]; 8] = [
    [
        "target/batch.rs request",
        "target/write.rs send_batch",
        "target/write.rs send_batch",
    ],
    [
        "target/bulk.rs request",
        "target/write.rs send_batch",
        "target/write.rs send_batch",
    ],
    [
        "target/creation.rs build",
        "target/table.rs create",
        "target/table.rs create",
    ],
    [
        "target/write.rs delete",
        "target/write.rs write_until_answered",
        "target/write.rs attempt",
    ],
    [
        "target/write.rs put",
        "target/write.rs write_until_answered",
        "target/write.rs attempt",
    ],
    [
        "target/write_back.rs create",
        "target/write_back.rs write_until_answered",
        "target/write_back.rs attempt",
    ],
    [
        "target/write_back.rs delete",
        "target/write_back.rs write_until_answered",
        "target/write_back.rs attempt",
    ],
    [
        "target/write_back.rs update",
        "target/write_back.rs write_until_answered",
        "target/write_back.rs attempt",
    ],
];
/// A rehearsal plays the monolith, whose writes are none of the product's, and throws its tables away.
const NOT_THE_PRODUCTS: &str = "rehearse/";

/// Probes change nothing, whatever is answered: their conditions never hold, or nothing has their key.
const CHANGES_NOTHING: &str = "dynamo/write_probe.rs";

/// A function: its name, where it begins, and its text.
struct Function<'a> {
    name: String,
    begin: usize,
    text: &'a str,
}

/// The product's code by its path below `src`, without tests.
fn code() -> Vec<(String, String)> {
    let product = |Source { path, code, .. }: Source| {
        let path = path.display().to_string().replace('\\', "/");
        let is_other =
            path.starts_with(NOT_THE_PRODUCTS) || path == CHANGES_NOTHING || path.ends_with("tests.rs");
        let code = code.split("#[cfg(test)]\nmod tests {").next()?.to_owned() + "\n";
        (!is_other && !path.contains("/tests/")).then_some((path, code))
    };
    sources().into_iter().filter_map(product).collect()
}

/// Where requests are made that change something.
fn changes(code: &str) -> Vec<usize> {
    let is_change = |at: &usize| {
        let rest = &code[at + 1..];
        name(rest).is_some_and(|call| {
            CHANGES.iter().any(|change| call.starts_with(change)) && rest[call.len()..].starts_with("()")
        })
    };
    let dots = code.match_indices('.').map(|(at, _)| at);
    dots.filter(is_change).collect()
}

fn functions(code: &str) -> Vec<Function<'_>> {
    let (mut found, mut begin) = (Vec::new(), 0);
    for line in code.split_inclusive('\n') {
        let bare = line.trim_start();
        let head = bare
            .strip_prefix("fn ")
            .or_else(|| Some(bare.split_once(" fn ")?.1));
        if let Some(name) = head.and_then(name) {
            let close = format!("\n{}}}\n", &line[..line.len() - bare.len()]);
            let rest = &code[begin..];
            let text = rest.find(&close).map_or(rest, |end| &rest[..end]);
            found.push(Function { name, begin, text });
        }
        begin += line.len();
    }
    found
}

/// The innermost function around a place.
fn around(code: &str, at: usize) -> Option<Function<'_>> {
    let holds =
        |function: &Function<'_>| (function.begin..function.begin + function.text.len()).contains(&at);
    functions(code).into_iter().rfind(holds)
}

/// What is missing around a request that a function makes at a place of its text: between it and those before and
/// behind it.
fn missing(function: &str, at: usize) -> Option<&'static str> {
    let Some(sent) = function[at..].find(SEND).map(|place| at + place) else {
        return Some("it is sent elsewhere");
    };
    let behind = sent + SEND.len();
    let from = function[..sent].rfind(SEND).map_or(0, |place| place + SEND.len());
    let to = function[behind..]
        .find(SEND)
        .map_or(function.len(), |place| behind + place);
    if !has(&function[from..sent], "before") {
        Some("no failpoint stands before it")
    } else if !has(&function[behind..to], "after") {
        Some("no failpoint stands behind it")
    } else {
        None
    }
}

/// Whether a failpoint of this side stands in a text: a request's, or a moment that is named like one.
fn has(text: &str, side: &str) -> bool {
    text.contains(&format!("fault::{side}(")) || text.contains(&format!(".{side}\").await"))
}

#[test]
fn every_request_that_changes_something_has_failpoints_on_both_sides() {
    let sources = code();
    let (mut faults, mut apart, mut count) = (Vec::new(), BTreeSet::new(), 0);
    for (path, code) in &sources {
        for at in changes(code) {
            count += 1;
            let function = around(code, at).unwrap_or_else(|| panic!("{path}: a request outside functions"));
            let maker = format!("{path} {}", function.name);
            if MADE_APART.iter().any(|[apart, ..]| *apart == maker) {
                apart.insert(maker);
            } else if let Some(what) = missing(function.text, at - function.begin) {
                faults.push(format!("src/{maker}: {what}"));
            }
        }
    }
    assert!(count >= 15, "only {count} requests were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let has_one = |place: &str, side: &str| {
        sources.iter().any(|(path, code)| {
            let mut functions = functions(code).into_iter();
            functions.any(|function| format!("{path} {}", function.name) == place && has(function.text, side))
        })
    };
    for [maker, before, after] in MADE_APART {
        assert!(apart.contains(maker), "{maker} makes no request any more");
        assert!(has_one(before, "before"), "no failpoint stands in {before}");
        assert!(has_one(after, "after"), "no failpoint stands in {after}");
    }
}

#[test]
fn a_request_without_failpoints_is_seen() {
    let sent = "client.put_item().send().await;";
    let before = "fault::before(\"a\").await?;";
    let after = "fault::after(\"a\").await?;";
    let moment = "fault::moment(\"a.before\").await;";
    for (lines, expected) in [
        (vec![before, sent, after], None),
        (vec![moment, sent, after], None),
        (vec![before, sent, after, before, sent, after], None),
        (vec![sent, after], Some("no failpoint stands before it")),
        (vec![before, sent], Some("no failpoint stands behind it")),
        (
            vec![before, sent, sent, after],
            Some("no failpoint stands behind it"),
        ),
        (
            vec![before, sent, after, sent],
            Some("no failpoint stands before it"),
        ),
        (vec![before, "client.put_item()"], Some("it is sent elsewhere")),
    ] {
        let body = lines.join("\n        ");
        let code =
            format!("impl A {{\n    fn b() {{}}\n    pub async fn a(&self) {{\n        {body}\n    }}\n}}\n");
        let found: Vec<_> = changes(&code)
            .into_iter()
            .map(|at| {
                let function = around(&code, at).unwrap();
                assert_eq!(function.name, "a");
                missing(function.text, at - function.begin)
            })
            .collect();
        assert_eq!(found.into_iter().flatten().next(), expected, "{code}");
    }
    assert!(
        changes("client.query().send(); x.update_expression(1); y.update_item();\nz.delete_table()").len()
            == 2
    );
}

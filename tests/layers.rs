//! Imports point one way: what a layer may know of, and who may touch an SDK. And no request that changes something goes
//! without failpoints ([`requests`]), and no time or chance that a simulation could not decide ([`simulated`]). It reads the sources, so that a shortcut is found before it is a habit.

#[path = "layers/circles.rs"]
mod circles;
#[path = "layers/long.rs"]
mod long;
#[path = "layers/pages.rs"]
mod pages;
#[path = "layers/requests.rs"]
mod requests;
#[path = "layers/simulated.rs"]
mod simulated;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the crate, from bottom to top: each may import itself and what stands before it. `verify/compare` is a room
/// of its own inside of `verify`.
const LAYERS: [&str; 35] = [
    "fault",
    "model",
    "plan",
    "flow",
    "dynamo",
    "s3",
    "state",
    "source",
    "target",
    "publish",
    "fence",
    "worker",
    "import",
    "ledger",
    "events",
    "status",
    "repair",
    "lifecycle",
    "tail",
    "heal",
    "backfill",
    COMPARE,
    "verify",
    "cutover",
    "infrastructure",
    "offline",
    "offline_split",
    "draft",
    "survey",
    "notify",
    "report",
    "web",
    "telemetry",
    "rehearse",
    "cli",
];
/// The pure part of verification.
const COMPARE: &str = "verify/compare";
/// The rooms that may name an AWS SDK.
const SDK: [&str; 7] = ["dynamo", "s3", "state", "source", "target", "publish", "rehearse"];
/// Rooms that may import only these: `plan` and `flow` are pure beside their traits (and the rules that a test leaves
/// out), and the comparison shares nothing with the write path.
const NARROW: [(&str, &[&str]); 7] = [
    ("plan", &["model"]),
    ("flow", &["fault", "model", "plan"]),
    ("infrastructure", &["model", "plan"]),
    ("offline", &["flow", "model", "plan"]),
    ("draft", &["model", "plan"]),
    ("report", &["model", "plan", "state", "status"]),
    (COMPARE, &["model"]),
];
/// Of the write path, verification may use only these parts of `flow`: what a service should hold, what nobody
/// takes, and which version is newer.
const VERIFY_OF_FLOW: [&str; 5] = ["copied_from", "desired", "is_newer", "watch", "Watched"];

/// A source file: its path below `src`, the room that it belongs to, and its code without comments.
struct Source {
    path: PathBuf,
    module: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![];
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("the sources can be read") {
            let path = entry.expect("the sources can be read").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path
                    .strip_prefix(&root)
                    .expect("the sources can be read")
                    .to_owned();
                let module = room(&below.display().to_string().replace('\\', "/"));
                let code = code(&fs::read_to_string(&path).expect("the sources can be read"));
                found.push(Source {
                    path: below,
                    module,
                    code,
                });
            }
        }
    }
    assert!(found.len() > 50, "the sources are where they were");
    found
}

/// The room of a file.
fn room(path: &str) -> String {
    if path.starts_with("verify/compare/") {
        return COMPARE.to_owned();
    }
    let first = path.split('/').next().unwrap_or_default();
    first.trim_end_matches(".rs").to_owned()
}

/// Without comments, so that documentation may name what it likes.
fn code(text: &str) -> String {
    let line = |line: &str| match line.find("//") {
        // The slashes of a URL in a string are no comment.
        Some(at) if !line[..at].ends_with(':') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The rooms that stand behind `crate::` in a file, in `use` lines and in paths alike.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group)),
            None if rest.starts_with("verify::compare") => {
                found.insert(COMPARE.to_owned());
            }
            None => found.extend(name(rest)),
        }
    }
    found
}

fn name(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first names of a group: `a::{x, y}, b::c}` has `a` and `b`.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut found, mut start) = (0, vec![], true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                found.extend(name(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    found
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}

/// Why a module may not import another.
fn wrong(module: &str, import: &str) -> Option<String> {
    if module == import {
        return None;
    }
    let (Some(from), Some(to)) = (rank(module), rank(import)) else {
        return Some(format!(
            "`{import}` or `{module}` has no place in LAYERS: decide on one"
        ));
    };
    if to > from {
        return Some(format!("`{module}` stands below `{import}`"));
    }
    let narrow = NARROW.iter().find(|(of, _)| *of == module);
    narrow
        .filter(|(_, only)| !only.contains(&import))
        .map(|(_, only)| format!("`{module}` imports nothing but {only:?}"))
}

#[test]
fn imports_point_one_way() {
    let mut faults = vec![];
    for source in sources() {
        if ["main", "lib"].contains(&&*source.module) {
            continue;
        }
        for import in imports(&source.code) {
            if let Some(why) = wrong(&source.module, &import) {
                faults.push(format!(
                    "{} imports crate::{import}: {why}",
                    source.path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// `crate::{verify::...}` would hide which part is meant, so such groups are not used for it.
#[test]
fn verification_shares_only_the_rules_with_the_write_path() {
    let mut faults = vec![];
    let mut count = 0;
    for source in sources().iter().filter(|source| source.module == "verify") {
        for rest in source.code.split("crate::flow::").skip(1) {
            let named = match rest.strip_prefix('{') {
                Some(group) => heads(group),
                None => name(rest).into_iter().collect(),
            };
            count += named.len();
            let other = named
                .iter()
                .filter(|name| !VERIFY_OF_FLOW.contains(&name.as_str()));
            faults.extend(other.map(|name| format!("{} uses flow::{name}", source.path.display())));
        }
    }
    assert!(count > 0, "verify asks flow what a service should hold");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a crate of AWS is named: a word of another language may begin like one.
fn names_an_sdk(code: &str) -> bool {
    let behind = |rest: &str| {
        rest.trim_start_matches(|letter: char| letter == '_' || letter.is_ascii_alphanumeric())
            .starts_with([':', ';'])
    };
    code.split("aws_").skip(1).any(behind)
}

#[test]
fn only_some_touch_an_sdk() {
    assert!(names_an_sdk("use aws_sdk_dynamodb::Client;") && !names_an_sdk("\"aws_dynamodb_table\""));
    let faults: Vec<String> = sources()
        .iter()
        .filter(|source| !SDK.contains(&&*source.module) && names_an_sdk(&source.code))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(
        faults.is_empty(),
        "these name an SDK: {faults:?}; only {SDK:?} may"
    );
}

#[test]
fn the_eye_sees() {
    let code = code(
        "use crate::{model::{Item, Key}, state::Lease};\n// crate::run\nlet x = crate::cli::go(); // crate::dynamo\n\
         use crate::verify::compare::Report;",
    );
    assert_eq!(
        imports(&code).into_iter().collect::<Vec<_>>(),
        ["cli", "model", "state", COMPARE]
    );
    assert_eq!(
        self::code("a https://b // c"),
        "a https://b // c",
        "kept whole: rather too much than too little"
    );
    assert!(wrong("flow", "state").is_some() && wrong("source", "target").is_some());
    assert!(wrong("flow", "model").is_none() && wrong("worker", "flow").is_none());
    assert!(wrong(COMPARE, "dynamo").is_some() && wrong("verify", COMPARE).is_none());
    assert!(wrong("worker", "verify").is_some() && wrong("status", COMPARE).is_some());
    assert!(wrong("nowhere", "model").is_some());
}

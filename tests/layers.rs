//! Imports point one way: what a layer may know of, and who may touch an SDK. And no request that changes something goes
//! without failpoints ([`requests`]). It reads the sources, so that a shortcut is found before it is a habit.

#[path = "layers/requests.rs"]
mod requests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, from bottom to top: each may import itself and what stands before it.
const LAYERS: [&str; 12] = [
    "fault", "model", "plan", "flow", "verify", "dynamo", "state", "source", "target", "run", "rehearse",
    "cli",
];
/// The modules that may name an AWS SDK.
const SDK: [&str; 5] = ["dynamo", "state", "source", "target", "rehearse"];
/// `flow` is pure beside its traits, and `verify` shares nothing with the write path but `desired`, so these may
/// import only what stands here.
const NARROW: [(&str, &[&str]); 2] = [
    ("flow", &["model", "plan"]),
    ("verify", &["model", "plan", "flow"]),
];

/// A source file: its path below `src`, the module that it belongs to, and its code without comments.
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
                let first = below
                    .components()
                    .next()
                    .expect("the sources can be read")
                    .as_os_str();
                let module = first
                    .to_str()
                    .expect("the sources can be read")
                    .trim_end_matches(".rs")
                    .to_owned();
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

/// Without comments, so that documentation may name what it likes.
fn code(text: &str) -> String {
    let line = |line: &str| match line.find("//") {
        // The slashes of a URL in a string are no comment.
        Some(at) if !line[..at].ends_with(':') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The modules that stand behind `crate::` in a file, in `use` lines and in paths alike.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group)),
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

#[test]
fn only_some_touch_an_sdk() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|source| !SDK.contains(&&*source.module) && source.code.contains("aws_"))
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
        "use crate::{model::{Item, Key}, state::Lease};\n// crate::run\nlet x = crate::cli::go(); // crate::dynamo",
    );
    assert_eq!(
        imports(&code).into_iter().collect::<Vec<_>>(),
        ["cli", "model", "state"]
    );
    assert_eq!(
        self::code("a https://b // c"),
        "a https://b // c",
        "kept whole: rather too much than too little"
    );
    assert!(wrong("flow", "state").is_some() && wrong("source", "target").is_some());
    assert!(wrong("flow", "model").is_none() && wrong("run", "flow").is_none());
    assert!(wrong("verify", "dynamo").is_some() && wrong("target", "verify").is_none());
    assert!(wrong("nowhere", "model").is_some());
}

//! A test that `cargo test` leaves out has another one of its kind that is made each time: `tests/long.txt`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The texts of a folder's files.
fn texts(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(texts(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            all.push(fs::read_to_string(path).expect("a text"));
        }
    }
    all
}

#[test]
fn a_test_that_is_left_to_the_long_run_has_one_of_its_kind_that_is_not() {
    let list = fs::read_to_string(root().join("tests/long.txt")).expect("the list");
    let page = fs::read_to_string(root().join("docs/testing.md")).expect("the page");
    let lines = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<[&str; 3]> = lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            words.try_into().expect("a binary and two tests")
        })
        .collect();
    assert!(lines.len() > 10, "{} tests are listed", lines.len());
    let listed: BTreeSet<&str> = lines.iter().map(|[_, long, _]| *long).collect();
    assert_eq!(listed.len(), lines.len(), "a test is listed twice");
    for [binary, long, short] in &lines {
        let folder = |name: &str| match *binary {
            "together" => name.split("::").next().expect("a folder").to_owned(),
            binary => binary.to_owned(),
        };
        assert_eq!(
            folder(long),
            folder(short),
            "{long} and {short} are in one folder"
        );
        assert!(!listed.contains(short), "{short} is left out as well");
        let texts = texts(&root().join("tests").join(folder(long)));
        let has = |code: &str| texts.iter().any(|text| text.contains(code));
        let [long_name, short_name] = [long, short].map(|name| name.rsplit("::").next().expect("a name"));
        for name in [long_name, short_name] {
            assert!(has(&format!("fn {name}(")), "there is no test {name}");
        }
        assert!(
            has(&format!("in_the_long_run!({long_name});")),
            "{long} is not left out"
        );
        let row = format!("| `{}` | `{}` |", named(binary, long), named(binary, short));
        assert!(page.contains(&row), "docs/testing.md lacks this row:\n{row}");
    }
    let texts = texts(&root().join("tests"));
    let marked = texts
        .iter()
        .flat_map(|text| text.split("in_the_long_run!(").skip(1));
    let marked: BTreeSet<&str> = marked
        .filter_map(|rest| rest.split_once(");"))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .collect();
    let names: BTreeSet<&str> = listed
        .iter()
        .filter_map(|long| long.rsplit("::").next())
        .collect();
    assert_eq!(marked, names);
}

/// A test, as the pages name it: the folder first.
fn named(binary: &str, test: &str) -> String {
    match binary {
        "cli" | "model" => format!("{binary}::{test}"),
        _ => test.to_owned(),
    }
}

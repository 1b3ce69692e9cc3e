//! The tests that take so long that `cargo test` leaves them out: `tests/long.txt` lists them.

use std::io::Write;

use super::effort::effort;

/// The tests that `cargo test` leaves out: a binary, a test of it, and a test of the same kind that is not left out.
const LONG: &str = include_str!("../long.txt");
/// Options of a test binary that are followed by a value.
const VALUED: [&str; 7] = [
    "--test-threads",
    "--skip",
    "--logfile",
    "--format",
    "--color",
    "--shuffle-seed",
    "-Z",
];

/// Whether a test is left out: it is listed, the effort is the usual one, and nobody asked for certain tests by their names.
///
/// # Panics
/// Where the test is not listed.
pub fn is_left_out(module: &str, test: &str) -> bool {
    let (_, module) = module.split_once("::").unwrap_or_default();
    let name = format!("{module}::{test}");
    assert!(
        long().any(|line| line[1] == name),
        "tests/long.txt does not list {name}"
    );
    let left_out = effort() == 1 && !names_tests(std::env::args().skip(1));
    if left_out {
        // Also without `--nocapture`: nobody takes it for a test that was run.
        let told = writeln!(std::io::stderr(), "{name} is left to the long run: see .ci/long");
        told.expect("stderr takes a line");
    }
    left_out
}

/// The lines of the list.
pub fn long() -> impl Iterator<Item = [&'static str; 3]> {
    let lines = LONG
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words
            .try_into()
            .unwrap_or_else(|_| panic!("tests/long.txt: {line:?} has three words"))
    })
}

/// Whether the arguments of a test binary name tests.
fn names_tests(mut arguments: impl Iterator<Item = String>) -> bool {
    while let Some(argument) = arguments.next() {
        if VALUED.contains(&argument.as_str()) {
            arguments.next();
        } else if !argument.starts_with('-') {
            return true;
        }
    }
    false
}

/// Ends a test that is left to the long run.
macro_rules! in_the_long_run {
    ($test:ident) => {
        if $crate::support::long::is_left_out(module_path!(), stringify!($test)) {
            return;
        }
    };
}
pub(crate) use in_the_long_run;

#[test]
fn a_test_that_is_asked_for_by_its_name_is_made() {
    let names = |words: &str| names_tests(words.split_whitespace().map(str::to_owned));
    assert!(names("cutover::deaths") && names("--nocapture --exact a --test-threads 1"));
    assert!(!names("") && !names("--nocapture --test-threads 1 --skip slow --color=never"));
}

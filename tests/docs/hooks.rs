//! The scripts of hooks: those of the pages and of the example plans.

use super::pages::{blocks, root};
use std::io::Write;
use std::process::{Command, Stdio};

/// Lets a shell read a script without running it.
fn check(shell: &str, script: &str, place: &str) {
    let mut child = Command::new(shell)
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shell}: {error}"));
    let mut input = child.stdin.take().expect("standard input");
    input.write_all(script.as_bytes()).expect("the shell reads");
    drop(input);
    let output = child.wait_with_output().expect("the shell ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{place}: {told}");
}

/// A script ends at its first error, and says how it is called.
fn is_careful(script: &str, place: &str) {
    assert!(script.starts_with("#!/"), "{place}: no interpreter");
    assert!(
        script.contains("set -euo pipefail\n") || script.contains("set -eu\n"),
        "{place}: an error would be passed over"
    );
    assert!(!script.contains('\t'), "{place}: a tab");
}

#[test]
fn the_recipes_are_scripts() {
    let blocks = blocks();
    let recipes: Vec<_> = blocks.iter().filter(|block| block.info == "sh hook").collect();
    assert!(recipes.len() >= 4, "{}", recipes.len());
    for recipe in recipes {
        is_careful(&recipe.text, &recipe.place);
        check("bash", &recipe.text, &recipe.place);
    }
}

#[test]
fn the_hooks_of_the_example_plans_are_scripts() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("plans/hooks")).expect("the folder") {
        let path = entry.expect("an entry").path();
        let script = std::fs::read_to_string(&path).expect("a script");
        let place = path.display().to_string();
        is_careful(&script, &place);
        check("sh", &script, &place);
        count += 1;
    }
    assert!(count > 0);
}

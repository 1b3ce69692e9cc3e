//! The definitions of `deploy/`, the Dockerfile and the release: their commands parse, and their versions are ours.

use super::pages::{read, root};
use clap::Parser;
use dynasplit::cli::Args;
use std::collections::BTreeMap;
use std::path::Path;

/// All files of `deploy/`, by their paths from the root.
fn definitions() -> BTreeMap<String, String> {
    fn collect(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
                continue;
            }
            let name = path.strip_prefix(root()).expect("below the root");
            let name = name.to_str().expect("a plain name").to_owned();
            let text = read(&name);
            found.insert(name, text);
        }
    }
    let mut found = BTreeMap::new();
    collect(&root().join("deploy"), &mut found);
    found
}

/// The arguments of the commands in a definition.
fn commands(text: &str) -> Vec<Vec<String>> {
    let words_of = |list: &str, end: char| {
        let (list, _) = list.split_once(end)?;
        let words = list
            .split(',')
            .map(|word| word.trim().trim_matches(['"', '\'']).to_owned());
        Some(words.collect())
    };
    let listed = |line: &str| {
        let keys = ["args: [", "Command: [", r#""command":["#, r#""command": ["#];
        words_of(keys.iter().find_map(|key| line.split_once(key))?.1, ']')
    };
    // A command of a state machine that has parts of its input.
    let built = |line: &str| {
        let line = line.replace("${MaxPause}", "2min");
        words_of(line.split_once(r#""command.$": "States.Array("#)?.1, ')')
    };
    let started = |line: &str| {
        let command = line.strip_prefix("ExecStart=/usr/local/bin/dynasplit ")?;
        Some(command.split_whitespace().map(str::to_owned).collect())
    };
    text.lines()
        .filter_map(|line| listed(line).or_else(|| built(line)).or_else(|| started(line)))
        .collect()
}

#[test]
fn commands_of_the_definitions_parse() {
    let mut found = BTreeMap::new();
    for (name, text) in definitions() {
        // Tests of the definitions.
        if name.ends_with(".py") {
            continue;
        }
        for command in commands(&text) {
            let line = std::iter::once("dynasplit".to_owned()).chain(command.clone());
            if let Err(error) = Args::try_parse_from(line) {
                panic!("{name}: {command:?}: {error}");
            }
            *found.entry(command[0].clone()).or_insert(0) += 1;
        }
    }
    // systemd, Kubernetes and ECS each run the tail. Kubernetes, ECS, Batch and Step Functions run the copy. Kubernetes and Step
    // Functions verify, and Step Functions shows how to repair.
    let of = |command: &str| found.get(command).copied().unwrap_or_default();
    assert_eq!(of("replicate"), 3, "{found:?}");
    assert_eq!(of("backfill"), 4, "{found:?}");
    assert_eq!(of("verify"), 3, "{found:?}");
    // Step Functions runs the whole split: each service is completed, then the split.
    for (command, count) in [
        ("plan", 1),
        ("apply", 1),
        ("wait", 1),
        ("cutover", 1),
        ("complete", 2),
    ] {
        assert_eq!(of(command), count, "{command}: {found:?}");
    }
}

/// Exit codes 2 (the plan is wrong) and 3 (the result is not clean) do not change by a retry. 1 and 4 may.
#[test]
fn definitions_try_again_after_exit_codes_1_and_4_only() {
    for job in ["backfill", "verify"] {
        let text = read(&format!("deploy/kubernetes/{job}.yaml"));
        let text = text.split_once("podFailurePolicy:").expect("a policy").1;
        assert_eq!(after(text, "- action: "), "FailJob", "{job}");
        assert_eq!(after(text, "values: "), "[2, 3]", "{job}");
        assert_eq!(after(text, "operator: "), "In", "{job}");
        assert_eq!(after(text, "containerName: "), job);
    }
    let batch = read("deploy/batch/dynasplit.yaml");
    let rules: Vec<(&str, &str)> = batch
        .split("- OnExitCode: ")
        .skip(1)
        .map(|rule| (rule.lines().next().unwrap_or_default(), after(rule, "Action: ")))
        .collect();
    let expected = [("'2'", "EXIT"), ("'3'", "EXIT"), ("'*'", "RETRY")];
    assert_eq!(rules, expected);

    let machine = read("deploy/step-functions/command.asl.json");
    let machine: serde_json::Value = serde_json::from_str(&machine).expect("JSON");
    let states = &machine["States"];
    let next = |state: &serde_json::Value| {
        let name = state["Next"].as_str().expect("a next state");
        states[name]["Next"].as_str().expect("it goes on").to_owned()
    };
    let mut decided = BTreeMap::new();
    for choice in states["ExitCode"]["Choices"].as_array().expect("choices") {
        if let Some(code) = choice["NumericEquals"].as_i64() {
            decided.insert(code, next(choice));
        }
    }
    let (again, never) = ("MoreAttempts".to_owned(), "Notify".to_owned());
    let expected = [(1, again.clone()), (2, never.clone()), (3, never), (4, again)];
    assert_eq!(decided, BTreeMap::from(expected));
}

/// A process ends nine seconds after SIGTERM at most. If it is killed instead, the others wait for its leases, up to 45 seconds. So a
/// definition waits longer than that before it kills.
#[test]
fn definitions_wait_longer_than_others_need_to_take_over() {
    let mut found = 0;
    for (name, text) in definitions() {
        for key in ["terminationGracePeriodSeconds: ", "StopTimeout: "] {
            for (place, _) in text.match_indices(key) {
                let seconds = after(&text[place..], key);
                assert!(
                    seconds.parse::<u32>().expect("a number") > 45,
                    "{name}: {key}{seconds}"
                );
                found += 1;
            }
        }
    }
    assert_eq!(found, 5, "three workloads of Kubernetes, and two tasks of ECS");
}

/// The line of a file that begins so, without its beginning.
fn after<'a>(text: &'a str, beginning: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.trim_start().strip_prefix(beginning))
        .unwrap_or_else(|| panic!("no line begins with {beginning}"))
}

#[test]
fn versions_of_the_definitions_are_those_of_the_crate() {
    let manifest = read("Cargo.toml");
    let version = after(&manifest, "version = ").trim_matches('"');
    for (name, text) in definitions() {
        // The jobs for Spark name attributes of the tool.
        if name.ends_with(".py") {
            continue;
        }
        for (place, _) in text.match_indices("dynasplit:") {
            let tag = &text[place + "dynasplit:".len()..];
            let tag = tag.split_whitespace().next().unwrap_or_default();
            assert!(
                tag.is_empty() || tag == version,
                "{name}: the image has tag {tag}"
            );
        }
    }
    assert_eq!(
        after(&read("deploy/kubernetes/kustomization.yaml"), "newTag: "),
        version
    );
    let toolchain = read("rust-toolchain.toml");
    let rust = after(&toolchain, "channel = ").trim_matches('"');
    let rust = rust.rsplit_once('.').expect("three numbers").0;
    assert!(
        read("Dockerfile").contains(&format!("FROM rust:{rust}-alpine AS build")),
        "the Dockerfile builds with another Rust than {rust}"
    );
}

/// What the Dockerfile copies reaches the build: `.dockerignore` leaves everything else out.
#[test]
fn the_image_is_built_from_what_is_sent() {
    let ignore = read(".dockerignore");
    let sent: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let dockerfile = read("Dockerfile");
    let mut copied = Vec::new();
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        if line.starts_with("--from") {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        copied.extend_from_slice(&words[..words.len() - 1]);
    }
    for path in &copied {
        let path = path.trim_end_matches('/');
        assert!(root().join(path).exists(), "{path} does not exist");
        assert!(
            sent.contains(&path),
            "{path} is copied, and .dockerignore leaves it out"
        );
    }
    for path in sent {
        assert!(copied.contains(&path), "{path} is sent, and never copied");
    }
}

/// The archives that the workflow makes are those that the page names and that `cargo binstall` looks for.
#[test]
fn the_release_has_the_targets_of_the_page() {
    let workflow = read(".github/workflows/release.yml");
    let page = read("docs/install.md");
    let mut count = 0;
    for (_, rest) in workflow
        .match_indices("{ target: ")
        .map(|(at, key)| workflow.split_at(at + key.len()))
    {
        let target = rest.split(',').next().unwrap_or_default();
        assert!(page.contains(&format!("| `{target}` |")), "{target}");
        count += 1;
    }
    assert_eq!(count, 4);
    assert!(read(".ci/package").contains(r#"name="dynasplit-$version-$target""#));
    assert!(read("Cargo.toml").contains("{ name }-{ version }-{ target }.tar.gz"));
}

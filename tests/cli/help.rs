//! `--help` of every command, and what the parser says to wrong options.

use crate::shell::{Shell, assert_said, shown};
use clap::CommandFactory;
use dynasplit::cli::Args;

/// Every command line that ends at a command: `apply`, `dead-letters list`.
fn commands(command: &clap::Command, before: &str) -> Vec<String> {
    let mut found = vec![before.to_owned()];
    for inner in command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
    {
        found.extend(commands(inner, format!("{before} {}", inner.get_name()).trim()));
    }
    found
}

#[test]
fn every_command_has_a_help() {
    let shell = Shell::new("");
    for command in commands(&Args::command(), "") {
        let said = shell.run(format!("{command} --help").trim()).ended(0);
        assert_eq!(said.stderr, "");
        let name = format!("help {command}").trim().replace(' ', "_");
        assert_said!(name, said.shown());
    }
}

#[test]
fn wrong_options_are_refused_with_what_is_wanted() {
    let shell = Shell::new("");
    let lines = [
        "",
        "aply plan.yaml",
        "apply",
        "apply plan.yaml --output xml",
        "apply plan.yaml --endpoint-url localhost:8000",
        "status plan.yaml --lease-seconds 0",
        "replicate plan.yaml --write-units 0",
        "replicate plan.yaml --write-units -5",
        "backfill plan.yaml --read-units many",
        "backfill plan.yaml --segments 0",
        "backfill plan.yaml --workers 1000",
        "tune",
        "tune plan.yaml --write-units many",
        "dead-letters plan.yaml",
        "dead-letters show plan.yaml",
        "rehearse plan.yaml --keep-tables",
        "rehearse plan.yaml --items -1",
        "plan plan.yaml --sample 0",
        "status plan.yaml --endpoint-url http://localhost:99999",
    ];
    let said: Vec<_> = lines.iter().map(|line| shell.run(line).ended(2)).collect();
    assert_said!("wrong_options", shown(&said));
}

#[test]
fn wrong_options_are_a_document_where_json_is_asked_for() {
    let shell = Shell::new("");
    for line in [
        "plan plan.yaml --sample 0 --output json",
        "--output=json plan plan.yaml --sample 0",
    ] {
        let said = shell.run(line).ended(2);
        let error = &said.json()["error"];
        assert_eq!(error["kind"], "usage");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with("invalid value '0' for '--sample <N>'"),
            "{message}"
        );
        assert!(!message.contains("For more information"), "{message}");
    }
    assert!(
        shell
            .run("plan --help --output json")
            .ended(0)
            .stdout
            .contains("Usage")
    );
}

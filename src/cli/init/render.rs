//! The summary of a draft.

use crate::cli::args::Init as Args;
use crate::cli::table::{Row, table};
use crate::cli::text::{count, counted};
use crate::draft::{Draft, ServiceDraft};
use std::fmt::Write;
use std::path::Path;

/// For a draft that was written to a file.
pub(super) fn summary(made: &Draft, args: &Args, path: &Path) -> String {
    let found = &made.findings;
    let rows = found.services.iter().map(|service| row(service, found.items));
    let mut out = table(&["service", "items", "of all", "kinds", "where"], rows);
    out.push('\n');
    if let Some(left) = &found.left_behind {
        writeln!(
            out,
            "left behind until you decide: {}",
            counted(left.items, "item")
        )
        .unwrap_or_default();
    }
    if !found.suspects.is_empty() {
        out.push_str("\nlook at these items, because they may be mistakes:\n");
        for suspect in &found.suspects {
            let example = suspect
                .examples
                .first()
                .map_or_else(String::new, |key| format!(", for example {key}"));
            writeln!(out, "  {} x {}{example}", count(suspect.items), suspect.what).unwrap_or_default();
        }
    }
    writeln!(
        out,
        "\nwrote {}, with {} for you",
        path.display(),
        counted(found.questions.len() as u64, "question")
    )
    .unwrap_or_default();
    out.push_str(&next(args));
    out
}

fn row(service: &ServiceDraft, all: u64) -> Row {
    vec![
        service.name.clone(),
        count(service.items),
        format!("{} %", service.items * 100 / all.max(1)),
        count(service.kinds.len() as u64),
        service.condition.clone(),
    ]
    .into()
}

/// What to do with the plan.
fn next(args: &Args) -> String {
    let answer = "next: answer the questions in the plan, then run";
    match &args.from_file {
        None => format!("{answer} `dynasplit plan`"),
        Some(_) => format!("{answer} `dynasplit plan --offline`"),
    }
}

/// For a draft that was printed.
pub(super) fn short(made: &Draft) -> String {
    let found = &made.findings;
    format!(
        "{} of {}: {}, {}. Give --write plan.yaml to write the draft to a file",
        counted(found.items, "item"),
        found.table,
        counted(found.services.len() as u64, "service"),
        counted(found.questions.len() as u64, "question")
    )
}

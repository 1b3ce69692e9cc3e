//! Something that a survey found, and how it is worded.

use super::groups::Group;
use crate::model;
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something would go wrong.
    Error,
    /// Something may go wrong.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something that a survey found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The finding.
    pub what: String,
    /// The next step, or the consequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Findings while they are gathered.
pub(super) struct Findings(pub Vec<Finding>);

impl Findings {
    pub fn add(&mut self, severity: Severity, what: impl Into<String>, hint: &str) {
        self.0.push(Finding {
            severity,
            what: what.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
        });
    }

    pub fn error(&mut self, what: impl Into<String>, hint: &str) {
        self.add(Severity::Error, what, hint);
    }

    pub fn warning(&mut self, what: impl Into<String>, hint: &str) {
        self.add(Severity::Warning, what, hint);
    }

    pub fn note(&mut self, what: impl Into<String>, hint: &str) {
        self.add(Severity::Note, what, hint);
    }
}

/// Most characters of a key in a finding.
const LONGEST_KEY: usize = 60;

/// `1 item matches`, `2 items match`.
pub(super) fn items(count: u64, one: &str, many: &str) -> String {
    if count == 1 {
        format!("1 item {one}")
    } else {
        format!("{} items {many}", model::count(count))
    }
}

pub(super) fn with_example(group: &Group) -> String {
    match group.examples.first() {
        Some(key) => format!(
            "{} ({}, as {})",
            group.what,
            model::count(group.items),
            short(&key.text)
        ),
        None => format!("{} ({})", group.what, model::count(group.items)),
    }
}

/// A key, shortened if it is long, because a finding is a sentence.
pub(super) fn short(key: &str) -> String {
    if key.chars().count() <= LONGEST_KEY {
        return key.to_owned();
    }
    key.chars().take(LONGEST_KEY).chain(['…']).collect()
}

//! Findings while they are gathered.

use crate::plan::path::{Path, Step};
use crate::plan::problem::Finding;

/// Findings while they are gathered.
pub(in crate::plan) struct Report {
    pub findings: Vec<Finding>,
    /// Settings that are probably not intended, but do not stop a plan.
    pub warnings: Vec<Finding>,
    /// Settings that differ from the file; they are not reported a second time.
    faulty: Vec<Path>,
}

impl Report {
    pub fn new(findings: Vec<Finding>, faulty: Vec<Path>) -> Self {
        Self {
            findings,
            warnings: vec![],
            faulty,
        }
    }

    /// Something wrong with a setting's value.
    pub fn at(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.push(path, None, false, message.into(), Some(hint.into()));
    }

    /// Something wrong with a setting's name, or with its being there.
    pub fn at_name(&mut self, path: &Path, message: impl Into<String>, hint: impl Into<String>) {
        self.push(path, None, true, message.into(), Some(hint.into()));
    }

    /// Something wrong with one character of a text.
    pub fn within(&mut self, path: &Path, offset: usize, message: String, hint: Option<String>) {
        self.push(path, Some(offset), false, message, hint);
    }

    /// A warning at one character of a text.
    pub fn doubt(&mut self, path: &Path, offset: usize, message: String, hint: String) {
        self.warnings.push(Finding {
            path: path.clone(),
            shown: path.clone(),
            place: None,
            offset: Some(offset),
            at_name: false,
            incomplete: false,
            message,
            hint: Some(hint),
        });
    }

    /// A warning about a setting, or about its name.
    pub fn doubt_setting(&mut self, path: &Path, at_name: bool, message: String, hint: &str) {
        self.warnings.push(Finding {
            path: path.clone(),
            shown: path.clone(),
            place: None,
            offset: None,
            at_name,
            incomplete: false,
            message,
            hint: Some(hint.to_owned()),
        });
    }

    fn push(
        &mut self,
        path: &Path,
        offset: Option<usize>,
        at_name: bool,
        message: String,
        hint: Option<String>,
    ) {
        if !self.faulty.iter().any(|faulty| path.is_within(faulty)) {
            let (path, shown) = (path.clone(), path.clone());
            self.findings.push(Finding {
                path,
                shown,
                place: None,
                offset,
                at_name,
                incomplete: false,
                message,
                hint,
            });
        }
    }

    /// Whether the setting or a part of it could not be read.
    pub fn is_faulty(&self, path: &Path) -> bool {
        self.faulty
            .iter()
            .any(|faulty| faulty.is_within(path) || path.is_within(faulty))
    }

    /// Whether a setting directly under the path, with none of these names, was removed: its name was unknown, and it
    /// may have been intended to be any other.
    pub fn lost_beside(&self, path: &Path, names: &[&str]) -> bool {
        self.faulty.iter().any(|faulty| match faulty.0.split_last() {
            Some((Step::Field(name), above)) => above == path.0 && !names.contains(&name.as_str()),
            _ => false,
        })
    }
}

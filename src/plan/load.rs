//! A plan file becomes a checked plan, or a list of problems with their lines.

use super::check::Report;
use super::encoding::plain_line_breaks;
use super::lines::Lines;
use super::problem::{Finding, MAX_PROBLEMS};
use super::{Plan, PlanError, Problem, Problems, Warnings, check, cut_off, decode, encoding, source_map};
use std::path::Path;

impl Plan {
    /// Reads and checks a plan file.
    ///
    /// # Errors
    /// If the file cannot be read, or with all problems in it.
    pub fn load(path: &Path) -> Result<Self, PlanError> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| PlanError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) => Err(PlanError::Invalid(encoding::problems(&file, &error))),
        }
    }

    /// Checks a plan's text; `file` is its name in the problems.
    ///
    /// # Errors
    /// With all problems in it. Doubts are in [`Plan::warnings`].
    pub fn parse(text: &str, file: &str) -> Result<Self, PlanError> {
        let text = &*plain_line_breaks(text);
        let (root, flaws) = source_map::read(text);
        // Finding the line of each problem takes time, so only those that are shown get one.
        let most = MAX_PROBLEMS + 1;
        let mut problems: Vec<Problem> = flaws.into_iter().take(most).map(Problem::from).collect();
        let Some(mut root) = root else {
            if problems.is_empty() {
                problems.push(empty_file());
            }
            return Err(PlanError::Invalid(Problems::new(file, text, problems)));
        };
        let mut decoded = decode::decode(&mut root);
        cut_off::templates(&mut decoded, &root, text);
        let mut report = Report::new(decoded.findings, decoded.faulty);
        let plan = decoded.spec.map(|spec| check::check(spec, &mut report));
        let located =
            |findings: Vec<Finding>| findings.into_iter().take(most).map(|one| one.locate(&root, text));
        problems.extend(located(report.findings));
        match plan {
            Some(Some(plan)) if problems.is_empty() => Ok(Self {
                warnings: Warnings::new(file, text, located(report.warnings).collect()),
                lines: Lines::of(file, &root),
                ..plan
            }),
            _ => Err(PlanError::Invalid(Problems::new(file, text, problems))),
        }
    }
}

pub(super) fn empty_file() -> Problem {
    Problem {
        line: 1,
        column: 1,
        path: String::new(),
        message: "the file contains no plan".to_owned(),
        hint: Some("begin it with `version: 1`; the example plans show the other settings".to_owned()),
    }
}

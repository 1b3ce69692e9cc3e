//! Problems of a plan file: each with its line and a hint.

use super::mark::{Flaw, Mark, cut_off_hint};
use super::path::Path;
use super::source_map::Node;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("cannot read the plan {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file was read and is no valid plan.
    #[error("{0}")]
    Invalid(Problems),
}

/// One problem, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The setting, as in `services[2].transform.keys`.
    pub path: String,
    /// The problem.
    pub message: String,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// All problems of one file, in the order of its lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The name of the file.
    pub file: String,
    /// The problems; no more of them than anybody reads at once.
    pub list: Vec<Problem>,
    /// There are more, which are reported when these are fixed.
    #[serde(skip)]
    more: bool,
    /// The lines that the problems point at.
    #[serde(skip)]
    excerpts: BTreeMap<usize, String>,
}

/// Most problems that are reported at once: more of them come from one mistake, or from a file that is no plan.
pub(super) const MAX_PROBLEMS: usize = 200;
/// Longest line that is shown with a problem, in characters; a longer one shows little.
const EXCERPT_CHARS: usize = 160;

/// Control characters of a file must not reach a terminal.
fn visible(c: char) -> char {
    if c.is_control() && c != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

impl Problems {
    /// Sorts the problems and keeps the lines they point at.
    pub(super) fn new(file: &str, text: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| (problem.line, problem.column));
        list.dedup();
        let more = list.len() > MAX_PROBLEMS;
        list.truncate(MAX_PROBLEMS);
        let lines: Vec<&str> = text.lines().collect();
        let excerpts = list
            .iter()
            .filter_map(|problem| Some((problem.line, *lines.get(problem.line.checked_sub(1)?)?)))
            .filter(|(_, line)| !line.trim().is_empty() && line.chars().count() <= EXCERPT_CHARS)
            .map(|(number, line)| (number, line.chars().map(visible).collect()))
            .collect();
        Self {
            file: file.to_owned(),
            list,
            more,
            excerpts,
        }
    }

    fn count(&self, what: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} {what}{plural} in {}", self.file)
    }

    fn write(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            line,
            column,
            path,
            message,
            hint,
        } = problem;
        write!(f, "{}:{line}:{column}: ", self.file)?;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        writeln!(f, "{message}")?;
        if let Some(excerpt) = self.excerpts.get(line) {
            writeln!(f, "{line:>5} | {}", excerpt.trim_end())?;
            // Tabs are kept, so that the caret stands under its character whatever a tab's width is.
            let pad: String = excerpt
                .chars()
                .chain(std::iter::repeat(' '))
                .take(column.saturating_sub(1).min(EXCERPT_CHARS))
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            writeln!(f, "      | {pad}^")?;
        }
        match hint {
            Some(hint) => writeln!(f, "      = help: {hint}\n"),
            None => writeln!(f),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            self.write(problem, f)?;
        }
        self.count("problem", f)?;
        if self.more {
            f.write_str("; correct these to see the others")?;
        }
        Ok(())
    }
}

/// Problems while they are gathered, before they have a line.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The setting, in the repaired tree.
    pub path: Path,
    /// The setting, as the file has it.
    pub shown: Path,
    /// Its place, if it is not in the tree any more.
    pub place: Option<Mark>,
    /// Character of the value at the path, for a value with its own language.
    pub offset: Option<usize>,
    /// The finding is about the setting's name rather than its value.
    pub at_name: bool,
    /// The text ends too early, so that the file may hold more of it.
    pub incomplete: bool,
    pub message: String,
    pub hint: Option<String>,
}

impl Finding {
    /// Gives the finding its line.
    pub fn locate(self, root: &Node, text: &str) -> Problem {
        let mark = match (self.place, self.offset) {
            (Some(mark), _) => mark,
            (None, Some(offset)) => root.mark_within(&self.path, offset, text),
            (None, None) => root.mark(&self.path, self.at_name),
        };
        let cut_off = self.incomplete.then(|| root.comment_behind(&self.path, text));
        Problem {
            line: mark.line,
            column: mark.column,
            path: self.shown.to_string(),
            message: self.message,
            hint: match cut_off.flatten() {
                Some(comment) => Some(cut_off_hint(comment)),
                None => self.hint,
            },
        }
    }
}

/// The warnings of a plan without problems.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Warnings(Option<Problems>);

impl Warnings {
    pub(super) fn new(file: &str, text: &str, list: Vec<Problem>) -> Self {
        Self((!list.is_empty()).then(|| Problems::new(file, text, list)))
    }

    /// The warnings, in the order of their lines.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        self.0.as_ref().map_or(&[], |problems| &problems.list)
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(problems) = &self.0 else { return Ok(()) };
        problems
            .list
            .iter()
            .try_for_each(|problem| problems.write(problem, f))?;
        problems.count("warning", f)
    }
}

impl From<Flaw> for Problem {
    fn from(flaw: Flaw) -> Self {
        let Flaw { at, message, hint } = flaw;
        Self {
            line: at.line,
            column: at.column,
            path: String::new(),
            message,
            hint,
        }
    }
}

//! A failure as JSON. `--output json` promises one document on stdout, whether or not the command succeeds.

use super::exit::Exit;
use crate::plan::PlanError;
use serde::Serialize;

/// The kind of failure. Part of the interface: docs/commands.md lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The command line is wrong.
    Usage,
    /// The plan is wrong.
    Plan,
    /// A request to AWS, or to the engine, failed.
    Request,
    /// Something must be clean first.
    NotClean,
    /// The command was interrupted.
    Interrupted,
    /// Anything else.
    Failed,
}

impl Kind {
    /// The kind of a failure of which nothing but its exit code is known.
    pub fn of(exit: Exit) -> Self {
        match exit {
            Exit::Usage => Self::Usage,
            Exit::NotClean => Self::NotClean,
            Exit::Interrupted => Self::Interrupted,
            Exit::Done | Exit::Failed => Self::Failed,
        }
    }
}

/// One of several things that are wrong. A place is there only for problems of a plan file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ProblemView {
    /// The plan file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The setting, as in `services[2].transform.keys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The problem.
    pub message: String,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl ProblemView {
    /// One that has no place.
    pub fn message(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// The problems of a plan.
    pub fn of_plan(error: &PlanError) -> Vec<Self> {
        let PlanError::Invalid(problems) = error else {
            return Vec::new();
        };
        let view = |problem: &crate::plan::Problem| Self {
            file: Some(problems.file.clone()),
            line: Some(problem.line),
            column: Some(problem.column),
            path: (!problem.path.is_empty()).then(|| problem.path.clone()),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        };
        problems.list.iter().map(view).collect()
    }
}

/// The request that failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RequestView {
    /// The operation, as IAM names it.
    pub action: String,
    /// The table, stream or index.
    pub resource: String,
    /// The error code of the service.
    pub code: String,
}

/// The failure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ErrorView {
    /// The kind.
    pub kind: Kind,
    /// The exit code of the command.
    pub exit_code: u8,
    /// What happened, and to which resource.
    pub message: String,
    /// The next steps.
    pub hints: Vec<String>,
    /// The single problems, if there is a list of them.
    pub problems: Vec<ProblemView>,
    /// The request that failed, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestView>,
}

/// The document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ErrorDocument {
    /// The failure.
    pub error: ErrorView,
}

impl ErrorDocument {
    /// The message of the command line's parser, without the usage that it repeats.
    pub fn of_usage(said: &str) -> Self {
        let first = said.split("\n\nUsage:").next().unwrap_or(said);
        let first = first.split("\n\nFor more information").next().unwrap_or(first);
        let message = first.trim().trim_start_matches("error: ").to_owned();
        Self {
            error: ErrorView {
                kind: Kind::Usage,
                exit_code: Exit::Usage as u8,
                message,
                hints: Vec::new(),
                problems: Vec::new(),
                request: None,
            },
        }
    }
}

/// Whether the words of a command line ask for JSON: for those that the parser refused.
pub fn asks_for_json(words: impl IntoIterator<Item = std::ffi::OsString>) -> bool {
    let mut after_option = false;
    for word in words {
        if word == "--output=json" || (after_option && word == "json") {
            return true;
        }
        after_option = word == "--output";
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_in_either_spelling() {
        let asks = |line: &str| asks_for_json(line.split(' ').map(Into::into));
        assert!(asks("dynasplit plan --output json"));
        assert!(asks("dynasplit --output=json plan"));
        assert!(!asks("dynasplit plan json --output text"));
    }

    #[test]
    fn a_usage_error_is_told_without_the_usage() {
        let said =
            "error: invalid value 'x' for '--a <N>': no number\n\nFor more information, try '--help'.\n";
        let document = ErrorDocument::of_usage(said);
        assert_eq!(
            document.error.message,
            "invalid value 'x' for '--a <N>': no number"
        );
        assert_eq!(document.error.exit_code, 2);
    }
}

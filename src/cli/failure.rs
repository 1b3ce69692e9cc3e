//! Failures of commands: their message, their hint and their exit code.

use super::args::Global;
use super::error_document::{ErrorDocument, ErrorView, Kind, ProblemView, RequestView};
use super::exit::Exit;
use super::session::At;
use super::text;
use crate::dynamo::{ConfigError, Failure, FailureKind, NO_CREDENTIALS, TableCallError};
use crate::plan::PlanError;
#[cfg(feature = "rehearse")]
use crate::rehearse::RehearseError;
use crate::s3::ExportError;
use crate::source::SourceError;
use crate::state::StateError;
use crate::target::TargetError;
use crate::worker::RunError;
use std::time::Duration;

/// A failure as it is reported: its message, perhaps a hint, and the exit code.
#[derive(Debug)]
pub struct Failed {
    pub(super) exit: Exit,
    kind: Kind,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    problems: Vec<ProblemView>,
    request: Option<Box<Failure>>,
}

impl Failed {
    /// A failure without a hint.
    #[must_use]
    pub fn of(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            kind: Kind::of(exit),
            message: message.into(),
            hint: None,
            problems: Vec::new(),
            request: None,
        }
    }

    /// Whether it is of a request that may succeed later.
    pub(super) fn passes(&self) -> bool {
        self.request.as_ref().is_some_and(|failure| failure.passes())
    }

    /// The command was stopped, and some work did not end in time.
    pub(super) fn dropped(grace: Duration) -> Self {
        let message = if grace.is_zero() {
            "interrupted; run the same command to continue".to_owned()
        } else {
            format!(
                "interrupted: some work did not end within {} s. Run the same command, which does it again",
                grace.as_secs()
            )
        };
        Self::of(Exit::Interrupted, message)
    }

    /// The command was stopped meanwhile: a request that would have been sent again was not.
    pub(super) fn interrupted(self) -> Self {
        match &self.request {
            Some(failure) if failure.passes() => Self::of(
                Exit::Interrupted,
                format!(
                    "interrupted: {}. Run the same command, which repeats what was not saved",
                    self.message
                ),
            ),
            _ => self,
        }
    }

    /// The exit code.
    #[cfg(test)]
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// The failure of a request: its kind decides the next step.
    fn request(message: String, failure: Failure) -> Self {
        Self {
            kind: Kind::Request,
            hint: failure.hint(),
            request: Some(Box::new(failure)),
            ..Self::of(Exit::Failed, message)
        }
    }

    /// With the options that say where the engine is.
    #[must_use]
    pub fn at(mut self, global: &Global) -> Self {
        let Some(failure) = &self.request else { return self };
        let profile = global
            .profile
            .clone()
            .or_else(|| std::env::var("AWS_PROFILE").ok());
        match (&global.endpoint_url, profile) {
            _ if failure.is_unreachable() || failure.is_about_certificate() => {
                self.hint = global.session.at().map(|at| unanswered(failure, global, at));
            }
            (Some(_), None) if failure.code == NO_CREDENTIALS => {
                self.hint = Some(
                    "a local engine accepts any credentials: set AWS_ACCESS_KEY_ID=local and \
                     AWS_SECRET_ACCESS_KEY=local, the same each time"
                        .into(),
                );
            }
            (_, Some(profile)) if failure.kind == FailureKind::Credentials => {
                self.hint = Some(format!(
                    "check that the profile '{profile}' is in ~/.aws/config, and test it: aws sts \
                     get-caller-identity --profile {profile}"
                ));
            }
            _ => {}
        }
        self
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With each of the things that are wrong.
    #[must_use]
    fn each(mut self, problems: impl IntoIterator<Item = ProblemView>) -> Self {
        self.problems.extend(problems);
        self
    }

    pub(super) fn document(&self) -> ErrorDocument {
        let message = match self.problems.first() {
            // The text holds them all, with the lines that they point at.
            Some(ProblemView { file: Some(file), .. }) => {
                format!(
                    "{file} has {}",
                    text::counted(self.problems.len() as u64, "problem")
                )
            }
            _ => self.message.clone(),
        };
        ErrorDocument {
            error: ErrorView {
                kind: self.kind,
                exit_code: self.exit as u8,
                message,
                hints: self.hint.iter().cloned().collect(),
                problems: self.problems.clone(),
                request: self.request.as_ref().map(|failure| RequestView {
                    action: failure.action.to_string(),
                    resource: failure.resource.clone(),
                    code: failure.code.clone(),
                }),
            },
        }
    }
}

/// No usable answer came: names the endpoint, and the option or variable that gave it.
fn unanswered(failure: &Failure, global: &Global, at: &At) -> String {
    let place = at.endpoints.asked_for(&failure.action, &at.region);
    let by = if global.endpoint_url.is_some() {
        "--endpoint-url"
    } else {
        "AWS_ENDPOINT_URL..., or the profile"
    };
    match failure.hint() {
        Some(hint) if failure.is_about_certificate() => format!("{hint} ({place} was asked)"),
        _ if place.contains("://") => format!("check that the engine runs at {place} ({by})"),
        _ => format!(
            "check the network and the region ({place} was asked), or name another engine with \
             --endpoint-url"
        ),
    }
}

impl From<PlanError> for Failed {
    fn from(error: PlanError) -> Self {
        Self {
            kind: Kind::Plan,
            ..Self::of(Exit::Usage, error.to_string()).each(ProblemView::of_plan(&error))
        }
    }
}

impl From<ConfigError> for Failed {
    fn from(error: ConfigError) -> Self {
        Self::of(Exit::Usage, error.to_string()).hint(error.hint())
    }
}

impl From<StateError> for Failed {
    fn from(error: StateError) -> Self {
        RunError::from(error).into()
    }
}

impl From<RunError> for Failed {
    fn from(error: RunError) -> Self {
        let message = error.to_string();
        match error {
            RunError::Stopped(_) => Self::of(Exit::Interrupted, message),
            RunError::Unconfirmed(_) => Self::of(Exit::Usage, message),
            // The message says what to do.
            RunError::Export(ExportError::Request { failure, .. }) => Self {
                hint: None,
                ..Self::request(message, *failure)
            },
            RunError::Unclean { reasons } => {
                Self::of(Exit::NotClean, message).each(reasons.into_iter().map(ProblemView::message))
            }
            RunError::Request(failure)
            | RunError::State(StateError::Request(failure))
            | RunError::Source(SourceError::Call(TableCallError::Request(failure)))
            | RunError::Target(TargetError::Call(TableCallError::Request(failure))) => {
                Self::request(message, failure)
            }
            RunError::Targets { problems } => {
                let each: Vec<_> = problems
                    .iter()
                    .map(|problem| ProblemView::message(problem.to_string()))
                    .collect();
                let request = problems.into_iter().find_map(|problem| match problem {
                    TargetError::Call(TableCallError::Request(failure)) => Some(failure),
                    _ => None,
                });
                let failed = match request {
                    Some(failure) => Self::request(message, failure),
                    None => Self::of(Exit::Failed, message),
                };
                failed.each(each)
            }
            _ => Self::of(Exit::Failed, message),
        }
    }
}

#[cfg(feature = "rehearse")]
impl From<RehearseError> for Failed {
    fn from(error: RehearseError) -> Self {
        match error {
            RehearseError::Run(error) => (*error).into(),
            RehearseError::Config(error) => error.into(),
            RehearseError::Request(failure) => Self::request(failure.to_string(), failure),
            RehearseError::NoSample
            | RehearseError::NoCutover { .. }
            | RehearseError::Generate(_)
            | RehearseError::Sample(_) => Self::of(Exit::Usage, error.to_string()),
            other => Self::of(Exit::Failed, other.to_string()),
        }
    }
}

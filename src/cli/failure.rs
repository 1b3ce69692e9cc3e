use super::args::Global;
use crate::dynamo::{Failure, FailureKind, NO_CREDENTIALS};
use crate::plan::PlanError;
use crate::rehearse::RehearseError;
use crate::run::RunError;
use crate::source::SourceError;
use crate::state::StateError;
use crate::target::TargetError;
use std::process::ExitCode;

/// Exit codes. They are documented in docs/commands.md, and are part of the interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line or the plan is wrong.
    Usage = 2,
    /// Done, and what was looked at is not as it should be.
    NotClean = 3,
    /// Interrupted, and saved.
    Interrupted = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure as it is told: what, perhaps a hint, and the exit code.
#[derive(Debug)]
pub struct Failed {
    exit: Exit,
    message: String,
    hint: Option<String>,
    request: Option<Box<Failure>>,
}

impl Failed {
    /// A failure without a hint.
    #[must_use]
    pub fn of(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
            request: None,
        }
    }

    /// Of a request: what to do next is known by its kind.
    fn request(message: String, failure: Failure) -> Self {
        Self {
            hint: failure.hint(),
            request: Some(Box::new(failure)),
            ..Self::of(Exit::Failed, message)
        }
    }

    /// With what the command line says about where the engine is.
    #[must_use]
    pub fn at(mut self, global: &Global) -> Self {
        let Some(failure) = &self.request else { return self };
        let profile = global
            .profile
            .clone()
            .or_else(|| std::env::var("AWS_PROFILE").ok());
        match (&global.endpoint_url, profile) {
            (Some(url), _) if failure.is_unreachable() => {
                self.hint = Some(format!("check that the engine runs at {url} (--endpoint-url)"));
            }
            (Some(_), None) if failure.code == NO_CREDENTIALS => {
                self.hint = Some(
                    "a local engine takes any: AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local, the same each time"
                        .into(),
                );
            }
            (_, Some(profile)) if failure.kind == FailureKind::Credentials => {
                self.hint = Some(format!(
                    "check that the profile '{profile}' is in ~/.aws/config, and what it gives: aws sts \
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

    /// Tells it on stderr, and answers the exit code.
    #[must_use]
    pub fn tell(self) -> ExitCode {
        let label = console::style("error:").red().bold().for_stderr();
        eprintln!("{label} {}", self.message);
        if let Some(hint) = self.hint {
            eprintln!("{} {hint}", console::style("help:").cyan().bold().for_stderr());
        }
        self.exit.into()
    }
}

impl From<PlanError> for Failed {
    fn from(error: PlanError) -> Self {
        Self::of(Exit::Usage, error.to_string())
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
            RunError::Unclean { .. } => Self::of(Exit::NotClean, message),
            RunError::Request(failure)
            | RunError::State(StateError::Request(failure))
            | RunError::Source(SourceError::Request(failure))
            | RunError::Target(TargetError::Request(failure)) => Self::request(message, failure),
            RunError::Targets { problems } => {
                let request = problems.into_iter().find_map(|problem| match problem {
                    TargetError::Request(failure) => Some(failure),
                    _ => None,
                });
                match request {
                    Some(failure) => Self::request(message, failure),
                    None => Self::of(Exit::Failed, message),
                }
            }
            _ => Self::of(Exit::Failed, message),
        }
    }
}

impl From<RehearseError> for Failed {
    fn from(error: RehearseError) -> Self {
        match error {
            RehearseError::Run(error) => (*error).into(),
            RehearseError::Request(failure) => Self::request(failure.to_string(), failure),
            RehearseError::NoSample | RehearseError::Generate(_) | RehearseError::Sample(_) => {
                Self::of(Exit::Usage, error.to_string())
            }
            other => Self::of(Exit::Failed, other.to_string()),
        }
    }
}

use crate::plan::PlanError;
use crate::rehearse::RehearseError;
use crate::run::RunError;
use crate::state::StateError;
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
}

impl Failed {
    /// A failure without a hint.
    #[must_use]
    pub fn of(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
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
            RunError::Request(failure) | RunError::State(StateError::Request(failure)) => {
                let failed = Self::of(Exit::Failed, message);
                match failure.hint() {
                    Some(hint) => failed.hint(hint),
                    None => failed,
                }
            }
            _ => Self::of(Exit::Failed, message),
        }
    }
}

impl From<RehearseError> for Failed {
    fn from(error: RehearseError) -> Self {
        match error {
            RehearseError::Run(error) => error.into(),
            RehearseError::NoSample | RehearseError::Generate(_) | RehearseError::Sample(_) => {
                Self::of(Exit::Usage, error.to_string())
            }
            other => Self::of(Exit::Failed, other.to_string()),
        }
    }
}

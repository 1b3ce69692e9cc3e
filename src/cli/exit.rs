//! Exit codes of the command line.

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
    /// Done, and the result is not as it should be.
    NotClean = 3,
    /// Interrupted, and saved.
    Interrupted = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

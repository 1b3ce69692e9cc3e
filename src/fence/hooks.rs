//! Runs the hooks of a plan: the operator's own commands at the steps of a cutover.

use super::command::{self, CommandEnd, CommandRun};
use crate::plan::{HookCommand, HookName, Plan, Service};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A hook that succeeded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HookRun {
    /// The hook.
    pub hook: HookName,
    /// How long it ran.
    pub ms: u64,
    /// The end of its output: at most 4 KB, without values of environment variables that look secret.
    pub output: String,
}

/// A hook that did not succeed. What it did is unknown: it may have done a part of its work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HookError {
    /// It was not started, so it did nothing.
    #[error(
        "the hook `{hook}` could not be started: {program}: {reason}. Check `hooks.{hook}` in the plan, and that the file may be \
         executed"
    )]
    NotStarted {
        /// The hook.
        hook: HookName,
        /// The program, as it was looked for.
        program: String,
        /// The system's word.
        reason: String,
    },
    /// It ended with an error.
    #[error("the hook `{hook}` ({program}) failed: {ended} after {}{}", crate::model::duration(*ms), last(output))]
    Failed {
        /// The hook.
        hook: HookName,
        /// The program.
        program: String,
        /// How it ended.
        ended: String,
        /// How long it ran.
        ms: u64,
        /// The end of its output.
        output: String,
    },
    /// It did not end in time, and was killed with every process that it started.
    #[error(
        "the hook `{hook}` ({program}) did not end within {seconds} seconds and was killed, with every process that it started{}",
        last(output)
    )]
    TimedOut {
        /// The hook.
        hook: HookName,
        /// The program.
        program: String,
        /// The timeout of the plan.
        seconds: u64,
        /// The end of its output.
        output: String,
    },
}

impl HookError {
    /// Whether the hook did nothing, for certain.
    #[must_use]
    pub fn did_nothing(&self) -> bool {
        matches!(self, Self::NotStarted { .. })
    }

    /// The end of its output.
    #[must_use]
    pub fn output(&self) -> &str {
        match self {
            Self::NotStarted { .. } => "",
            Self::Failed { output, .. } | Self::TimedOut { output, .. } => output,
        }
    }
}

/// The last line of an output, as the end of a sentence.
fn last(output: &str) -> String {
    match output.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!(". Its last words: {}", line.trim()),
        None => ". It wrote nothing".to_owned(),
    }
}

/// Runs a hook of the plan for a service; `None` if the plan has no such hook. `epoch` numbers the cutovers of the service:
/// a hook can compare it with a later one, and refuse to do what an old process asks for.
///
/// A hook may run twice: after a crash, it is not known whether it ended. If this future is dropped, the hook is killed with
/// every process that it started.
///
/// # Errors
/// If it cannot be started, ends with another exit code than 0, or does not end in time.
pub async fn run_hook(
    plan: &Plan,
    service: &Service,
    epoch: u64,
    hook: HookName,
) -> Result<Option<HookRun>, HookError> {
    let Some(command) = plan.hooks.get(&hook) else {
        return Ok(None);
    };
    let folder = plan.folder();
    let program = program(command, &folder);
    let mut process = Command::new(&program);
    process
        .args(&command.arguments)
        .current_dir(&folder)
        .env("DYNASPLIT_HOOK", hook.word())
        .env("DYNASPLIT_SPLIT", &plan.split)
        .env("DYNASPLIT_SERVICE", &service.name)
        .env("DYNASPLIT_EPOCH", epoch.to_string())
        .env("DYNASPLIT_SOURCE_TABLE", &plan.source.table)
        .env("DYNASPLIT_TARGET_TABLE", &service.table.name);
    let program = program.display().to_string();
    let run = command::run(process, command.timeout).await;
    let CommandRun { end, ms, output } = run.map_err(|error| HookError::NotStarted {
        hook,
        program: program.clone(),
        reason: error.to_string(),
    })?;
    let ended = match end {
        CommandEnd::Exit(0) => return Ok(Some(HookRun { hook, ms, output })),
        CommandEnd::Exit(code) => format!("exit code {code}"),
        CommandEnd::Signal(signal) => format!("signal {signal}"),
        CommandEnd::TimedOut => {
            return Err(HookError::TimedOut {
                hook,
                program,
                seconds: command.timeout.as_secs(),
                output,
            });
        }
    };
    Err(HookError::Failed {
        hook,
        program,
        ended,
        ms,
        output,
    })
}

/// A program with a `/` is found from the folder of the plan, so that it does not matter where dynasplit is started.
fn program(command: &HookCommand, folder: &Path) -> PathBuf {
    if !command.program.contains('/') {
        return PathBuf::from(&command.program);
    }
    let path = folder.join(&command.program);
    // Without the folder of this process there is no better path than the relative one.
    std::path::absolute(&path).unwrap_or(path)
}

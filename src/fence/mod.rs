//! Stops the writers of a service and proves that they have stopped: hooks, resource policies, probes, markers.

mod command;
mod hook_output;
mod hooks;
mod process_group;

pub use command::{CommandEnd, CommandRun};
pub use hooks::{HookError, HookRun, run_hook};

#[cfg(test)]
mod tests;

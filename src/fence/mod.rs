//! Stops the writers of a service and proves that they have stopped: hooks, resource policies, probes.

mod command;
mod error;
mod hook_output;
mod hooks;
mod policy;
mod policy_fence;
mod principals;
mod probes;
mod process_group;
mod table_policy;

pub use command::{CommandEnd, CommandRun};
pub use error::FenceError;
pub use hooks::{HookError, HookRun, run_hook};
pub use policy::Denied;
pub use policy_fence::{Lifted, PolicyFence, PolicyTimes};
pub use principals::principal;
pub use probes::{ProbeRole, Probes, Proof, ProofTimes, prepare_probes, prove};
pub(crate) use table_policy::probe_key;
pub use table_policy::{FencedTable, RaisedPolicy, TablePolicy};

#[cfg(test)]
mod tests;

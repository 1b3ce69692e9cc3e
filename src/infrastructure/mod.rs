//! The plan as documents for infrastructure code: the services' tables for CloudFormation and Terraform, and the IAM
//! policies that the split needs. Pure: nothing here reads AWS, and no other room depends on it.

mod arn;
mod cloudformation;
mod imports;
mod name;
mod offline;
mod permissions;
mod policy;
mod probes;
mod terraform;
mod terraform_layout;

pub use arn::{Account, ArnError};
pub use cloudformation::cloudformation;
pub use offline::offline_policy;
pub use permissions::{KeyNote, Task, aliases, role_policy, service_policy, tool_policy, with_export};
pub use policy::{MANAGED_POLICY_CHARACTERS, Policy, Statement};
pub use probes::{PROBE_ACTIONS, probe_policy};
pub use terraform::{terraform_policy, terraform_tables};

#[cfg(test)]
mod tests;

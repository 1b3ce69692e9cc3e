//! The permissions of the roles as which a fence is tried: they may do what the probes do, and nothing else.

use super::arn::{Account, ArnError};
use super::permissions::key_statement;
use super::policy::{Policy, Statement};
use crate::plan::{Plan, Service};

/// The writes of the probes. None of them changes an item, because their conditions never hold, or nothing has their key; but
/// IAM knows only the action.
pub const PROBE_ACTIONS: [&str; 6] = [
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
];

/// The policy of a probe role of the plan; without a role, of all of them together. `None` if the plan names no such role.
///
/// # Errors
/// If a role of the plan is no ARN.
pub fn probe_policy(plan: &Plan, account: &Account, role: Option<&str>) -> Result<Option<Policy>, ArnError> {
    let is_meant = |roles: &[String]| match role {
        Some(role) => roles.iter().any(|known| known == role),
        None => !roles.is_empty(),
    };
    let (mut source, mut targets) = (Vec::new(), Vec::new());
    let mut services: Vec<&Service> = Vec::new();
    for service in &plan.services {
        let Some(policy) = plan.fence_of(service).policy else {
            continue;
        };
        if is_meant(&policy.probe_roles) && source.is_empty() {
            source.push(account.table(&plan.source.place, &plan.source.table)?);
        }
        if is_meant(&policy.target_probe_roles) {
            targets.push(account.table(&service.place, &service.table.name)?);
            services.push(service);
        }
    }
    if source.is_empty() && targets.is_empty() {
        return Ok(None);
    }
    let statements = [
        Statement::new("TryToWriteTheSource", &PROBE_ACTIONS, source),
        Statement::new("TryToWriteTheTargets", &PROBE_ACTIONS, targets),
    ];
    let keys = key_statement("UseTheKeys", &["kms:Decrypt"], account, services.into_iter())?;
    Ok(Some(Policy::of(statements.into_iter().chain(keys))))
}

//! Why a fence cannot be raised, proven or lifted.

use super::policy::{InvalidPolicy, MOST_BYTES};
use crate::dynamo::{Failure, FailureKind, ProbeCall};

/// Why a fence by a resource policy cannot be raised, proven or lifted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FenceError {
    /// The engine has no policies.
    #[error(
        "this engine has no resource policies ({failure}): use the hook `fence` or `manual` in the plan, or another engine"
    )]
    NoPolicies {
        /// Its answer.
        failure: Box<Failure>,
    },
    /// The plan does not tell the keys of the service apart.
    #[error("{message}")]
    Plan {
        /// Why.
        message: String,
    },
    /// The policy would stop this command, too.
    #[error(
        "it is not known which role or user runs this command ({caller}), so the policy of a fence would stop it, too: name a role under `source` and under the `table` of the service in the plan"
    )]
    UnknownCaller {
        /// What STS says of the caller.
        caller: String,
    },
    /// The policy of the table is none that can be added to.
    #[error(
        "the resource policy of {table} is not understood: {reason}. Nothing was changed. Correct the policy, or use the hook \
         `fence` instead"
    )]
    NotUnderstood {
        /// ARN of the table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// With the statement of the fence, the policy would be too large.
    #[error(
        "with the statement of the fence, the resource policy of {table} would have {bytes} bytes, and DynamoDB accepts {MOST_BYTES}. \
         Nothing was changed. Shorten the policy, or use the hook `fence` instead"
    )]
    TooLarge {
        /// ARN of the table.
        table: String,
        /// Its bytes.
        bytes: usize,
    },
    /// Somebody else changed the policy at the same time.
    #[error(
        "somebody else changed the resource policy of {table} at the same time. Nothing was overwritten; run the command again"
    )]
    Changed {
        /// ARN of the table.
        table: String,
    },
    /// The table accepts no change of its policy.
    #[error(
        "{table} accepted no change of its resource policy for {seconds} seconds, because it is being changed. Run the command again"
    )]
    Busy {
        /// ARN of the table.
        table: String,
        /// How long it was tried.
        seconds: u64,
    },
    /// A probe cannot be sent as the role.
    #[error(
        "the probe role {role} cannot be used: {failure}. Let its trust policy allow `sts:AssumeRole` to the role or user that runs \
         dynasplit, or name another role in the plan"
    )]
    RoleUnusable {
        /// ARN of the role.
        role: String,
        /// Why.
        failure: Box<Failure>,
    },
    /// A role that is refused anyway proves nothing.
    #[error(
        "the probe role {role} may not write {table} now, so its refusals would prove nothing. Name a role in the plan by which the \
         application writes the table"
    )]
    ProvesNothing {
        /// ARN of the role.
        role: String,
        /// The table.
        table: String,
    },
    /// The fence does not hold.
    #[error(
        "the fence of {table} does not hold: {call} by {role} {answer} {seconds} seconds after the policy was put, so the policy was \
         taken back. Use the hook `fence` of the plan, or another `scope`, instead"
    )]
    DoesNotHold {
        /// The table.
        table: String,
        /// The call.
        call: ProbeCall,
        /// ARN of the role.
        role: String,
        /// What became of the last probe.
        answer: String,
        /// How long it was tried.
        seconds: u64,
    },
    /// A request failed.
    #[error(transparent)]
    Request(Box<Failure>),
}

impl From<Failure> for FenceError {
    fn from(failure: Failure) -> Self {
        let failure = Box::new(failure);
        match failure.kind {
            FailureKind::Unsupported => Self::NoPolicies { failure },
            _ => Self::Request(failure),
        }
    }
}

impl InvalidPolicy {
    pub(super) fn of(self, table: &str) -> FenceError {
        let table = table.to_owned();
        match self {
            Self::NotUnderstood(reason) => FenceError::NotUnderstood { table, reason },
            Self::TooLarge(bytes) => FenceError::TooLarge { table, bytes },
        }
    }
}

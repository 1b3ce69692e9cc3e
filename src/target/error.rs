use super::Difference;
use crate::dynamo::Failure;
use crate::source::refusal::Refusal;
use thiserror::Error;

/// Why a target table cannot be used as the plan says.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The table is not there.
    #[error("the table `{table}` was not found; run `dynasplit apply`, or check the region and the account")]
    Missing {
        /// Table name.
        table: String,
    },
    /// An adopted table is not there, and is not ours to create.
    #[error(
        "the table `{table}` is declared as adopted and does not exist; its owner must create it first \
         (or take `adopted` out of the plan, and `dynasplit apply` creates it)"
    )]
    AdoptedMissing {
        /// Table name.
        table: String,
    },
    /// The table holds items that the split did not write.
    #[error(
        "the table `{table}` of the service '{service}' holds items already: empty it, name another table, or say \
         `may-hold-items: true` in the plan (a repairing verify is then mandatory)"
    )]
    NotEmpty {
        /// The service.
        service: String,
        /// Its table.
        table: String,
    },
    /// The table is there, and is not what the plan says.
    #[error("the table `{table}` exists and differs from the plan:\n{}\n{}", rows(.differences), way_out(*.adopted))]
    Differs {
        /// Table name.
        table: String,
        /// Every difference that was found.
        differences: Vec<Difference>,
        /// Whether somebody else owns it.
        adopted: bool,
    },
    /// The caller lacks a permission.
    #[error(
        "not allowed: {action} on {resource}; grant it to the caller and run the command again ({message})"
    )]
    Denied {
        /// The IAM action.
        action: String,
        /// What it is missing for.
        resource: String,
        /// What the service said.
        message: String,
    },
    /// The table is in a state in which nothing can be done with it.
    #[error("the table `{table}` is {status}; see what is happening to it, then run the command again")]
    Unusable {
        /// Table name.
        table: String,
        /// Its status.
        status: String,
    },
    /// A change did not end in time.
    #[error(
        "the table `{table}` was still {status} after {waited_s} s; it may still come: run the command again"
    )]
    TimedOut {
        /// Table name.
        table: String,
        /// What it was when last seen.
        status: String,
        /// How long it was waited for, in seconds.
        waited_s: u64,
    },
    /// TTL is on, or on its way, by another attribute or in the other direction.
    #[error(
        "TTL of the table `{table}` is {actual}, and the plan says `{planned}`; correct one of them (AWS takes \
         up to an hour for each change of TTL), then run the command again"
    )]
    OtherTtl {
        /// Table name.
        table: String,
        /// The plan's attribute.
        planned: String,
        /// What it is.
        actual: String,
    },
    /// The request failed.
    #[error(transparent)]
    Request(#[from] Failure),
    /// An answer, or a request, that makes no sense.
    #[error("{operation} of the table `{table}` failed: {}", crate::source::said(.code, .message))]
    Engine {
        /// The operation.
        operation: String,
        /// Table name.
        table: String,
        /// The service's code; empty where the service was not reached.
        code: String,
        /// What the service or the client said.
        message: String,
    },
}

impl TargetError {
    /// A refusal of `operation`, told of the table.
    pub(super) fn from_refusal(refusal: Refusal, operation: &str, table: &str) -> Self {
        let engine = |code: &str, message: String| Self::Engine {
            operation: operation.to_owned(),
            table: table.to_owned(),
            code: code.to_owned(),
            message,
        };
        match refusal {
            Refusal::Missing => Self::Missing {
                table: table.to_owned(),
            },
            Refusal::Denied {
                action,
                resource,
                message,
            } => Self::Denied {
                action,
                resource,
                message,
            },
            Refusal::InUse => engine(
                "ResourceInUseException",
                "somebody is changing the table; try again".into(),
            ),
            Refusal::Limit => engine(
                "LimitExceededException",
                "too many tables are being changed; try again".into(),
            ),
            Refusal::UnknownOperation => engine(
                "UnknownOperationException",
                "this engine does not have the operation".into(),
            ),
            Refusal::Other(failure) => Self::Request(failure),
        }
    }

    /// A request that the client itself would not build.
    pub(super) fn unbuilt(operation: &str, table: &str, error: impl std::fmt::Display) -> Self {
        Self::Engine {
            operation: operation.to_owned(),
            table: table.to_owned(),
            code: String::new(),
            message: error.to_string(),
        }
    }
}

/// A line for each difference. No columns: a long value would break them on a narrow terminal.
fn rows(differences: &[Difference]) -> String {
    let lines = differences.iter().map(|each| {
        format!(
            "  {}: planned {}, actual {}",
            each.what, each.planned, each.actual
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn way_out(adopted: bool) -> &'static str {
    if adopted {
        "The table is adopted, so it is not changed: correct the plan, or ask its owner to correct the table."
    } else {
        "A table that exists is not changed: correct the plan or the table. A service that is new in the plan can also name \
         another table."
    }
}

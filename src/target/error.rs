//! Reasons why a target table cannot be used as the plan says.

use super::Difference;
use crate::dynamo::{Failure, FailureKind, TableCallError};
use thiserror::Error;

/// Why a target table cannot be used as the plan says.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The table does not exist.
    #[error("the table `{table}` was not found: run `dynasplit apply`, or check the region and the account")]
    Missing {
        /// Table name.
        table: String,
    },
    /// An adopted table does not exist, and dynasplit does not create it.
    #[error(
        "the table `{table}` is adopted and does not exist: ask its owner to create it, or remove `adopted` from the plan, so that \
         `dynasplit apply` creates it"
    )]
    AdoptedMissing {
        /// Table name.
        table: String,
    },
    /// The table holds items that the split did not write.
    #[error(
        "the table `{table}` of the service '{service}' holds items already: empty it, name another table, or set \
         `may-hold-items: true` in the plan (`dynasplit verify --repair` is then mandatory)"
    )]
    NotEmpty {
        /// The service.
        service: String,
        /// Its table.
        table: String,
    },
    /// The table exists and differs from the plan.
    #[error("the table `{table}` exists and differs from the plan:\n{}\n{}", rows(.differences), way_out(*.adopted))]
    Differs {
        /// Table name.
        table: String,
        /// Every difference that was found.
        differences: Vec<Difference>,
        /// Whether the table has another owner.
        adopted: bool,
    },
    /// The status of the table allows no work with it.
    #[error("the table `{table}` is {status}: wait until it is ACTIVE, then run the command again")]
    Unusable {
        /// Table name.
        table: String,
        /// Its status.
        status: String,
    },
    /// A change did not end in time.
    #[error(
        "the table `{table}` was still {status} after {waited_s} s: run the command again, which continues to wait"
    )]
    TimedOut {
        /// Table name.
        table: String,
        /// Its status when last seen.
        status: String,
        /// How long the command waited, in seconds.
        waited_s: u64,
    },
    /// TTL uses another attribute, or is being switched off.
    #[error(
        "TTL of the table `{table}` is {actual}, and the plan says `{planned}`: correct one of them (AWS takes up to an hour for \
         each change of TTL), then run the command again"
    )]
    OtherTtl {
        /// Table name.
        table: String,
        /// The plan's attribute.
        planned: String,
        /// The TTL of the table.
        actual: String,
    },
    /// An import would make this table.
    #[error(
        "the table `{table}` exists, and an import makes a new one: delete it if nobody needs it, or name another table in the plan"
    )]
    Exists {
        /// Table name.
        table: String,
    },
    /// An import that DynamoDB refused, or does not know.
    #[error("{failure}; {next}")]
    Import {
        /// The request and the answer.
        failure: Box<Failure>,
        /// The next step.
        next: String,
    },
    /// A call failed.
    #[error(transparent)]
    Call(TableCallError),
}

impl TargetError {
    /// A failed call about a service's table.
    pub(super) fn of(failure: Failure, table: &str) -> Self {
        match failure.kind {
            FailureKind::Missing => Self::Missing {
                table: table.to_owned(),
            },
            _ => failure.into(),
        }
    }
}

impl From<Failure> for TargetError {
    fn from(failure: Failure) -> Self {
        Self::Call(failure.into())
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
        "dynasplit does not change an adopted table: correct the plan, or ask the owner of the table to correct it."
    } else {
        "dynasplit does not change a table that exists: correct the plan or the table. A service that is new in the plan can \
         also name another table."
    }
}

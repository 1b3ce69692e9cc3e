//! TTL of a target: seen at any time, switched on at the end of a split and never before.

use super::TargetError;
use super::difference::unknown;
use crate::dynamo::{Failure, FailureKind, call_table};
use crate::fault;
use crate::plan::spec::TableSpec;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{TimeToLiveSpecification, TimeToLiveStatus};

/// TTL of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TtlState {
    /// Off.
    Off,
    /// On, or being switched on (AWS takes up to an hour).
    On {
        /// The attribute that holds the expiry.
        attribute: String,
    },
    /// Being switched off (AWS takes up to an hour), and expiring items until then.
    TurningOff {
        /// The attribute that holds the expiry.
        attribute: String,
    },
    /// The engine has no TTL, and so expires nothing.
    Unknown,
}

/// The result of switching TTL on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TtlOutcome {
    /// The plan has no TTL for this table.
    NotPlanned,
    /// Switched on now, or found on.
    On {
        /// The attribute that holds the expiry.
        attribute: String,
        /// Whether this call switched it on.
        enabled_now: bool,
    },
    /// The table is adopted: its owner switches it on.
    LeftToOwner {
        /// The attribute that holds the expiry.
        attribute: String,
    },
    /// The engine has no TTL; the note says so.
    Unknown {
        /// For people.
        note: String,
    },
}

/// The TTL of a table. Writes nothing.
///
/// # Errors
/// If the table is missing, or may not be described.
pub async fn ttl_state(client: &Client, table: &str) -> Result<TtlState, TargetError> {
    let operation = "dynamodb:DescribeTimeToLive";
    let described = call_table(operation, table, || {
        client.describe_time_to_live().table_name(table).send()
    });
    let output = match described.await {
        Ok(output) => output,
        Err(failure) if failure.kind == FailureKind::Unsupported => return Ok(TtlState::Unknown),
        Err(other) => return Err(TargetError::of(other, table)),
    };
    let Some(ttl) = output.time_to_live_description() else {
        return Ok(TtlState::Off);
    };
    let attribute = ttl.attribute_name().unwrap_or_default().to_owned();
    Ok(match ttl.time_to_live_status() {
        None | Some(TimeToLiveStatus::Disabled) => TtlState::Off,
        Some(TimeToLiveStatus::Disabling) => TtlState::TurningOff { attribute },
        // An unknown status counts as on, because this error is harmless.
        Some(_) => TtlState::On { attribute },
    })
}

/// Switches on the TTL of the plan. Only at the end of a split: if TTL removed an item while a page is still on its
/// way, the item would come back.
///
/// Idempotent, also if several processes do it at once. Does not wait: AWS takes up to an hour. See
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>.
///
/// # Errors
/// [`TargetError::OtherTtl`] if it is on by another attribute, or being switched off.
pub async fn enable_ttl(client: &Client, spec: &TableSpec) -> Result<TtlOutcome, TargetError> {
    let Some(attribute) = &spec.ttl else {
        return Ok(TtlOutcome::NotPlanned);
    };
    if let Some(outcome) = found(spec, attribute, ttl_state(client, &spec.name).await?)? {
        return Ok(outcome);
    }
    let operation = "dynamodb:UpdateTimeToLive";
    let specification = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(attribute)
        .build()
        .map_err(|error| Failure::unusable(operation, &spec.name, error))?;
    fault::moment("complete.ttl.before").await;
    let updated = call_table(operation, &spec.name, || {
        let request = client.update_time_to_live().table_name(&spec.name);
        request.time_to_live_specification(specification.clone()).send()
    })
    .await;
    fault::moment("complete.ttl.after").await;
    match updated {
        Ok(_) => Ok(TtlOutcome::On {
            attribute: attribute.clone(),
            enabled_now: true,
        }),
        Err(failure) if failure.kind == FailureKind::Unsupported => Ok(TtlOutcome::Unknown {
            note: unknown("UpdateTimeToLive", "TTL"),
        }),
        // "TimeToLive is already enabled": another process was faster.
        Err(other) => match found(spec, attribute, ttl_state(client, &spec.name).await?)? {
            Some(outcome @ TtlOutcome::On { .. }) => Ok(outcome),
            _ => Err(TargetError::of(other, &spec.name)),
        },
    }
}

/// The result that follows from the present state; `None` if TTL must be switched on.
fn found(spec: &TableSpec, planned: &str, state: TtlState) -> Result<Option<TtlOutcome>, TargetError> {
    let other = |actual: String| TargetError::OtherTtl {
        table: spec.name.clone(),
        planned: planned.to_owned(),
        actual,
    };
    match state {
        TtlState::On { attribute } if attribute == planned => Ok(Some(TtlOutcome::On {
            attribute,
            enabled_now: false,
        })),
        TtlState::On { attribute } => Err(other(format!("on by `{attribute}`"))),
        TtlState::TurningOff { attribute } => Err(other(format!("being switched off (`{attribute}`)"))),
        TtlState::Unknown => Ok(Some(TtlOutcome::Unknown {
            note: unknown("DescribeTimeToLive", "TTL"),
        })),
        TtlState::Off if spec.adopted => Ok(Some(TtlOutcome::LeftToOwner {
            attribute: planned.to_owned(),
        })),
        TtlState::Off => Ok(None),
    }
}

//! What an import cannot set: deletion protection, the table class, and warm throughput of the table.

use super::TargetError;
use super::creation::{table_class, warm};
use super::state::{TableState, describe};
use super::table::wait_ready;
use crate::dynamo::{FailureKind, Poll, call_table};
use crate::fault;
use crate::plan::spec::{TableClassSpec, TableSpec};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableFluentBuilder;
use std::time::Duration;

const UPDATE: &str = "dynamodb:UpdateTable";
/// For so long, another change of the table is waited for.
const CHANGE_PATIENCE: Duration = Duration::from_secs(300);

/// A setting that the table lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Missing {
    /// First, so that nobody deletes the good table for a partial one.
    DeletionProtection,
    Class(TableClassSpec),
    WarmThroughput,
}

/// Sets what the plan names and an import cannot set, one after the other, because a table takes one change at a time. Point-in-time
/// recovery and tags are left to [`super::ensure`]. Returns notes about an emulator.
///
/// # Errors
/// If the table is missing, or a request is refused.
pub async fn set_after_import(client: &Client, spec: &TableSpec) -> Result<Vec<String>, TargetError> {
    let mut notes = Vec::new();
    for setting in [
        Missing::DeletionProtection,
        Missing::Class(TableClassSpec::Standard),
        Missing::WarmThroughput,
    ] {
        let Some(state) = describe(client, &spec.name).await? else {
            return Err(TargetError::Missing {
                table: spec.name.clone(),
            });
        };
        let Some(setting) = setting.of(spec, &state) else {
            continue;
        };
        match update(client, spec, setting).await {
            Ok(()) => wait_ready(client, &spec.name, &|_| ()).await?,
            // Emulators know some settings only at the creation.
            Err(failure) if state.is_emulated() && is_unknown(&failure.kind) => {
                notes.push(format!(
                    "{}: this engine refuses it ({})",
                    setting.name(),
                    failure.code
                ));
            }
            Err(failure) => return Err(TargetError::of(failure, &spec.name)),
        }
    }
    Ok(notes)
}

fn is_unknown(kind: &FailureKind) -> bool {
    matches!(kind, FailureKind::Unsupported | FailureKind::Invalid)
}

impl Missing {
    /// The same setting as planned; `None` if the table has it.
    fn of(self, spec: &TableSpec, state: &TableState) -> Option<Self> {
        match self {
            Self::DeletionProtection => {
                (spec.deletion_protection == Some(true) && !state.deletion_protection).then_some(self)
            }
            Self::Class(_) => {
                let planned = spec.class?;
                let actual = state.class.as_deref().unwrap_or("STANDARD");
                (table_class(planned).as_str() != actual).then_some(Self::Class(planned))
            }
            Self::WarmThroughput => {
                let planned = spec.warm_throughput?;
                let has = state.warm.is_some_and(|warm| {
                    warm.changing
                        || warm.units.read >= planned.read.into() && warm.units.write >= planned.write.into()
                });
                (!has).then_some(self)
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::DeletionProtection => "deletion protection",
            Self::Class(_) => "table class",
            Self::WarmThroughput => "warm throughput",
        }
    }

    fn add_to(self, request: UpdateTableFluentBuilder, spec: &TableSpec) -> UpdateTableFluentBuilder {
        match self {
            Self::DeletionProtection => request.deletion_protection_enabled(true),
            Self::Class(class) => request.table_class(table_class(class)),
            Self::WarmThroughput => request.set_warm_throughput(spec.warm_throughput.map(warm)),
        }
    }
}

async fn update(client: &Client, spec: &TableSpec, setting: Missing) -> Result<(), crate::dynamo::Failure> {
    let mut poll = Poll::new(CHANGE_PATIENCE);
    loop {
        fault::moment("import.setting.before").await;
        let updated = call_table(UPDATE, &spec.name, || {
            let request = client.update_table().table_name(&spec.name);
            setting.add_to(request, spec).send()
        })
        .await;
        fault::moment("import.setting.after").await;
        match updated {
            Ok(_) => return Ok(()),
            Err(failure)
                if (failure.kind == FailureKind::InUse || failure.is_limit_of_changes())
                    && poll.pause().await => {}
            Err(failure) => return Err(failure),
        }
    }
}

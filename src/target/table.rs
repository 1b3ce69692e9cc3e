//! Target tables as a whole: inspected, created, waited for.

use super::differences::{Comparison, TableStream, compare};
use super::state::{TableState, describe};
use super::{Difference, Pending, TargetError, creation, settings};
use crate::dynamo::{FailureKind, Poll, call_table};
use crate::fault;
use crate::model::KeySchema;
use crate::plan::spec::TableSpec;
use crate::plan::{IndexKeys, TableThroughput};
use aws_sdk_dynamodb::Client;
use std::time::Duration;

/// A new table takes seconds; one with much warm throughput, or with an index that is being filled, takes longer.
const READY_LIMIT: Duration = Duration::from_secs(1800);
/// AWS may answer "not found" for a moment after it took the order to create a table.
const APPEARS_LIMIT: Duration = Duration::from_secs(60);
/// How long a place is waited for while the account creates too many tables at once.
const LIMIT_PATIENCE: Duration = Duration::from_secs(300);
/// Read, created, waited for, read again. More rounds mean that somebody keeps deleting it.
const MAX_ROUNDS: usize = 4;

/// The existing table, compared with the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableFinding {
    /// There is no such table.
    Missing,
    /// The table is as planned.
    Same {
        /// Settings that could not be read, or that an emulator leaves out.
        notes: Vec<String>,
        /// What [`ensure`] would still add to it.
        pending: Vec<Pending>,
    },
    /// The table is another one.
    Differs(Vec<Difference>),
}

/// What [`ensure`] is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableEvent<'a> {
    /// The table is being ordered.
    Creating {
        /// Table name.
        table: &'a str,
    },
    /// The table or an index is not ready yet.
    Waiting {
        /// Table name.
        table: &'a str,
        /// The status: `CREATING`, `CREATING (index by-teacher)` ...
        status: String,
    },
    /// A setting is being added.
    Setting {
        /// Table name.
        table: &'a str,
        /// Which.
        setting: &'a Pending,
    },
}

/// Receives the steps of [`ensure`], for progress.
pub type Observer<'a> = dyn Fn(TableEvent<'_>) + Send + Sync + 'a;

/// A table that exists, is ready, and matches the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// Its ARN.
    pub arn: String,
    /// Whether this call created it.
    pub created: bool,
    /// Settings that this call added to it afterwards.
    pub added: Vec<Pending>,
    /// Settings that could not be read, or that an emulator leaves out.
    pub notes: Vec<String>,
}

/// Compares a table with the plan. Writes nothing.
///
/// Needs `dynamodb:DescribeTable` and `dynamodb:DescribeTimeToLive`, and for the settings of the plan
/// `dynamodb:DescribeContinuousBackups` and `dynamodb:ListTagsOfResource`.
///
/// # Errors
/// If the table may not be read.
pub async fn inspect(
    client: &Client,
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
    stream: TableStream,
) -> Result<TableFinding, TargetError> {
    let Some((_, comparison)) = examine(client, spec, keys, indexes, stream).await? else {
        return Ok(TableFinding::Missing);
    };
    let Comparison {
        differences,
        pending,
        notes,
    } = comparison;
    Ok(if differences.is_empty() {
        TableFinding::Same { notes, pending }
    } else {
        TableFinding::Differs(differences)
    })
}

/// The throughput that a table is set to serve; `None` if it does not exist. Writes nothing.
///
/// Needs `dynamodb:DescribeTable`.
///
/// # Errors
/// If the table may not be described.
pub async fn throughput(client: &Client, table: &str) -> Result<Option<TableThroughput>, TargetError> {
    Ok(describe(client, table).await?.map(|state| state.throughput))
}

/// Makes sure that the table exists and matches the plan: creates it if it is missing, waits until it and its indexes
/// are active, and adds point-in-time recovery and tags if they are missing. TTL stays off. An adopted table is only
/// checked and waited for.
///
/// Idempotent, also if several processes do it at once.
///
/// # Errors
/// [`TargetError::Differs`] if it exists and differs, [`TargetError::AdoptedMissing`] if it has another owner and is
/// missing.
pub async fn ensure(
    client: &Client,
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
    stream: TableStream,
    observer: &Observer<'_>,
) -> Result<Ensured, TargetError> {
    let mut created = false;
    for _ in 0..MAX_ROUNDS {
        match examine(client, spec, keys, indexes, stream).await? {
            None if spec.adopted => {
                return Err(TargetError::AdoptedMissing {
                    table: spec.name.clone(),
                });
            }
            None => {
                observer(TableEvent::Creating { table: &spec.name });
                created |= create(client, spec, keys, indexes).await?;
                wait_ready(client, &spec.name, observer).await?;
            }
            Some((_, Comparison { differences, .. })) if !differences.is_empty() => {
                let (table, adopted) = (spec.name.clone(), spec.adopted);
                return Err(TargetError::Differs {
                    table,
                    differences,
                    adopted,
                });
            }
            Some((state, _)) if !state.is_ready() => wait_ready(client, &spec.name, observer).await?,
            Some((state, comparison)) => {
                return settle(client, state, comparison, created, spec, observer).await;
            }
        }
    }
    Err(TargetError::Missing {
        table: spec.name.clone(),
    })
}

/// Whether a table is empty: one consistent page of one item. A tombstone counts as an item. A table that is being
/// created, by another process or a dead one, is empty.
///
/// # Errors
/// If the table is missing, or may not be scanned.
pub async fn is_empty(client: &Client, table: &str) -> Result<bool, TargetError> {
    let operation = "dynamodb:Scan";
    let mut start = None;
    let mut poll = Poll::new(APPEARS_LIMIT);
    loop {
        let scanned = call_table(operation, table, || {
            let request = client.scan().table_name(table).consistent_read(true).limit(1);
            request.set_exclusive_start_key(start.clone()).send()
        });
        let page = match scanned.await {
            Ok(page) => page,
            // A table that is still being created answers as if it were missing, and may be ready a moment later.
            Err(failure) if failure.kind == FailureKind::Missing => {
                match describe(client, table).await?.map(|state| state.status) {
                    Some(status) if status == "CREATING" => return Ok(true),
                    Some(status) if is_scanned(&status) && poll.pause().await => continue,
                    _ => return Err(TargetError::of(failure, table)),
                }
            }
            Err(other) => return Err(TargetError::of(other, table)),
        };
        if !page.items().is_empty() {
            return Ok(false);
        }
        // A page without items proves nothing while there is another one.
        match page.last_evaluated_key {
            Some(next) => start = Some(next),
            None => return Ok(true),
        }
    }
}

fn is_scanned(status: &str) -> bool {
    matches!(status, "ACTIVE" | "UPDATING")
}

/// Reads a table and compares it; `None` if it is missing.
async fn examine(
    client: &Client,
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
    stream: TableStream,
) -> Result<Option<(TableState, Comparison)>, TargetError> {
    let Some(state) = describe(client, &spec.name).await? else {
        return Ok(None);
    };
    // The other calls may answer anything about a table that is being created or deleted.
    let settings = if is_scanned(&state.status) {
        Some(settings::read(client, spec, &state.arn).await?)
    } else {
        None
    };
    let comparison = compare(spec, keys, indexes, &state, settings.as_ref(), stream);
    Ok(Some((state, comparison)))
}

/// Orders the table, and says whether it was us: another process may have been quicker.
async fn create(
    client: &Client,
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
) -> Result<bool, TargetError> {
    let operation = "dynamodb:CreateTable";
    let mut poll = Poll::new(LIMIT_PATIENCE);
    loop {
        fault::moment("apply.target-table.before").await;
        let request = creation::request(client, spec, keys, indexes)?;
        let created = call_table(operation, &spec.name, || request.clone().send()).await;
        fault::moment("apply.target-table.after").await;
        let Err(refused) = created else { return Ok(true) };
        match refused.kind {
            FailureKind::InUse => return Ok(false),
            _ if refused.is_limit_of_changes() && poll.pause().await => {}
            _ => return Err(TargetError::of(refused, &spec.name)),
        }
    }
}

/// Waits until the table and its indexes are active.
pub(super) async fn wait_ready(
    client: &Client,
    table: &str,
    observer: &Observer<'_>,
) -> Result<(), TargetError> {
    let mut poll = Poll::new(READY_LIMIT);
    let mut appeared = false;
    loop {
        let status = match describe(client, table).await? {
            Some(state) if state.is_ready() => return Ok(()),
            Some(state) if state.is_dead_end() => {
                return Err(TargetError::Unusable {
                    table: table.to_owned(),
                    status: state.status,
                });
            }
            Some(state) => {
                appeared = true;
                state.waiting_for()
            }
            None if appeared || poll.waited() > APPEARS_LIMIT => {
                return Err(TargetError::Missing {
                    table: table.to_owned(),
                });
            }
            None => "not there yet".to_owned(),
        };
        observer(TableEvent::Waiting {
            table,
            status: status.clone(),
        });
        if !poll.pause().await {
            let waited_s = poll.waited().as_secs();
            return Err(TargetError::TimedOut {
                table: table.to_owned(),
                status,
                waited_s,
            });
        }
    }
}

/// Adds missing settings, but never to an adopted table: there they are differences.
async fn settle(
    client: &Client,
    state: TableState,
    comparison: Comparison,
    created: bool,
    spec: &TableSpec,
    observer: &Observer<'_>,
) -> Result<Ensured, TargetError> {
    let Comparison {
        pending, mut notes, ..
    } = comparison;
    let mut added = Vec::new();
    for setting in pending {
        observer(TableEvent::Setting {
            table: &spec.name,
            setting: &setting,
        });
        match settings::set(client, &spec.name, &state.arn, &setting).await? {
            None => added.push(setting),
            Some(note) => notes.push(note),
        }
    }
    Ok(Ensured {
        arn: state.arn,
        created,
        added,
        notes,
    })
}

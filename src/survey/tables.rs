//! The present state of the targets and of the state table.

use crate::plan::TableThroughput;
use crate::state::{SplitRecord, StateError, cut_over};
use crate::target::{Difference, TableFinding, TableStream, inspect, is_empty, throughput};
use crate::worker::{RunError, Split, check_split};
use serde::Serialize;
use std::collections::BTreeSet;

/// A service's table.
#[derive(Clone, Debug, Serialize)]
pub struct TableView {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// Its region, if the plan names one.
    pub region: Option<String>,
    /// Someone else owns it.
    pub adopted: bool,
    /// The plan says that it may hold items.
    pub may_hold_items: bool,
    /// The existing table.
    #[serde(rename = "standing")]
    pub status: TargetStatus,
    /// Whether it is empty; `None` if it does not exist.
    pub empty: Option<bool>,
    /// The throughput that it is set to serve; `None` if it does not exist.
    pub throughput: Option<TableThroughput>,
}

/// The existing part of a table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum TargetStatus {
    /// Nothing: it would be created.
    Missing,
    /// The planned table.
    Same {
        /// What `apply` would add to it.
        pending: Vec<String>,
        /// Settings that could not be read.
        notes: Vec<String>,
    },
    /// Another table.
    Differs {
        /// In what.
        differences: Vec<Difference>,
    },
}

/// The state of the split.
#[derive(Clone, Debug, Serialize)]
pub struct StateView {
    /// The state table.
    pub table: String,
    /// The state of the split.
    #[serde(flatten)]
    pub status: StateStatus,
    /// ARN of the stream that the split reads.
    pub stream: Option<String>,
}

/// The state of the split, according to the state table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "split")]
pub enum StateStatus {
    /// Nothing: it was never applied.
    Unknown,
    /// It was begun with this plan.
    Begun,
    /// It was begun, and `left-behind` covers more in this plan, which `apply` would record.
    Wider {
        /// The setting: before and now.
        change: String,
    },
    /// It has begun, and can't continue with this plan.
    Refused {
        /// Why, and the way out.
        reason: String,
    },
}

/// Looks at each target.
pub(super) async fn targets(split: &Split) -> Result<Vec<TableView>, RunError> {
    let mut views = Vec::with_capacity(split.targets.len());
    let is_begun = split.store.exists(&split.source.control).await?;
    let cut_over = match is_begun {
        true => cut_over(&split.store).await?,
        false => BTreeSet::new(),
    };
    for (service, clients) in split.services() {
        let spec = &service.table;
        let stream = match cut_over.contains(&service.name) {
            true => TableStream::WayBack,
            false => TableStream::Unused,
        };
        let found = inspect(&clients.control, spec, &service.keys, &service.indexes, stream).await?;
        let empty = match found {
            TableFinding::Missing => None,
            _ => Some(is_empty(&clients.control, &spec.name).await?),
        };
        views.push(TableView {
            service: service.name.clone(),
            table: spec.name.clone(),
            region: service.place.region.clone(),
            adopted: spec.adopted,
            may_hold_items: spec.may_hold_items,
            status: match found {
                TableFinding::Missing => TargetStatus::Missing,
                TableFinding::Same { notes, pending } => TargetStatus::Same {
                    pending: pending.iter().map(ToString::to_string).collect(),
                    notes,
                },
                TableFinding::Differs(differences) => TargetStatus::Differs { differences },
            },
            empty,
            throughput: throughput(&clients.control, &spec.name).await?,
        });
    }
    Ok(views)
}

/// Looks at the state.
pub(super) async fn state(split: &Split) -> Result<StateView, RunError> {
    let view = |status, stream| StateView {
        table: split.plan.state_table.clone(),
        status,
        stream,
    };
    let record = match SplitRecord::read(&split.store).await {
        Ok(stored) => stored.value,
        Err(StateError::NotApplied { .. }) => return Ok(view(StateStatus::Unknown, None)),
        Err(error @ (StateError::Unreadable { .. } | StateError::Damaged { .. })) => {
            let reason = error.to_string();
            return Ok(view(StateStatus::Refused { reason }, None));
        }
        Err(other) => return Err(other.into()),
    };
    let stream = record.stream().map(|(_, stream)| stream.arn.clone());
    let status = match check_split(split).await {
        // `apply` adds a service that is new in the plan.
        Ok(_) | Err(RunError::UnknownService { .. }) => StateStatus::Begun,
        Err(RunError::Widened { change }) => StateStatus::Wider {
            change: change.to_string(),
        },
        Err(error @ (RunError::PlanEdited { .. } | RunError::NotYet { .. })) => StateStatus::Refused {
            reason: error.to_string(),
        },
        Err(other) => return Err(other),
    };
    Ok(view(status, stream))
}

//! The parts of a fence, as the journal keeps them: each one before it is raised, until it is lifted.

use super::work::Work;
use crate::fence::RaisedPolicy;
use crate::state::CutoverRecord;
use crate::worker::RunError;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Which table is fenced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Source,
    Target,
}

/// A part of a fence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "part")]
pub(super) enum Part {
    /// A person stopped the writers.
    Manual,
    /// The hook of the plan.
    Hook,
    /// The resource policy of the table: as it is about to be put, or as it was put.
    Policy(Box<RaisedPolicy>),
}

/// The parts that are up, or may be up, in the order in which they were raised.
pub(super) fn raised(work: &Work<'_>, side: Side) -> Result<Vec<Part>, RunError> {
    let mut record = work.journal.record();
    let parts = std::mem::take(list(&mut record, side)).into_iter();
    let read = parts.map(serde_json::from_value);
    read.collect::<Result<_, _>>()
        .map_err(|error| RunError::Failed(format!("the journal holds an unknown part of a fence: {error}")))
}

/// Notes a part before it is raised, or replaces the policy that was noted before.
pub(super) async fn remember(work: &Work<'_>, side: Side, part: &Part) -> Result<(), RunError> {
    let value = serde_json::to_value(part)
        .map_err(|error| RunError::Failed(format!("the journal cannot hold a part of the fence: {error}")))?;
    let change = |record: &mut CutoverRecord| {
        let parts = list(record, side);
        let same = |each: &Json| each.get("part") == value.get("part");
        match parts.iter().position(same) {
            Some(at) => parts[at] = value,
            None => parts.push(value),
        }
    };
    work.journal.change(change).await
}

/// The last part was lifted.
pub(super) async fn forget_last(work: &Work<'_>, side: Side) -> Result<(), RunError> {
    let change = |record: &mut CutoverRecord| {
        list(record, side).pop();
    };
    work.journal.change(change).await
}

fn list(record: &mut CutoverRecord, side: Side) -> &mut Vec<Json> {
    match side {
        Side::Source => &mut record.source_fence,
        Side::Target => &mut record.target_fence,
    }
}

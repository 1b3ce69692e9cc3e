//! `apply --for-import`: the tables are left to an import, and no command touches them until it has ended.

use crate::import::{refuse_existing, refuse_plan};
use crate::state::{BackfillRecord, SplitRecord};
use crate::worker::{RunError, Split};
use std::collections::BTreeSet;

/// Leaves the tables of these services to an import, and holds their lanes until then: there is nothing that they could write to.
pub(super) async fn leave_to_import(split: &Split, services: &BTreeSet<String>) -> Result<(), RunError> {
    let mut is_held = false;
    SplitRecord::change(&split.store, |record| {
        let held = record.switch.hold(services.iter().map(String::as_str));
        is_held = held.is_some();
        if is_held {
            record.awaiting_import.extend(services.iter().cloned());
        }
    })
    .await?;
    if is_held {
        return Ok(());
    }
    Err(RunError::NotYet {
        what: "a command that writes tables of the services is under way".into(),
        next: "let it end (if it was interrupted, run it again), then run this command again".into(),
    })
}

/// Refuses to leave the tables to an import if no import can make them.
pub(super) async fn refuse_import(split: &Split, is_begun: bool) -> Result<(), RunError> {
    if split.plan.s3.is_none() {
        return Err(RunError::NotYet {
            what: "the plan has no section `s3`, which names the bucket for the items that are imported"
                .into(),
            next: "add it (docs/plan.md), or leave out --for-import".into(),
        });
    }
    let instead = "leave out --for-import";
    refuse_plan(
        &split.plan,
        "the plan has tables that no import can make",
        instead,
    )?;
    if is_begun
        && split
            .store
            .get::<BackfillRecord>(BackfillRecord::NAME)
            .await?
            .is_some()
    {
        return Err(RunError::NotYet {
            what:
                "a backfill of this split has begun, and an import makes the tables of all services at once"
                    .into(),
            next: "leave out --for-import; `dynasplit backfill` copies what was added".into(),
        });
    }
    refuse_existing(split, |_| true).await
}

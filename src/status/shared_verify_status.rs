//! Where a shared verify stands.

use crate::state::{Damaged, PhaseProgress, SharedVerifyRecord, StateError, Stored, VerifyTaskRecord};
use crate::worker::Split;
use serde::Serialize;

/// A shared verify that is under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SharedVerifyStatus {
    /// Its name.
    pub name: String,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// Its phase, in words.
    pub phase: &'static str,
    /// Parts of this phase that are done.
    pub done: usize,
    /// All parts of this phase.
    pub parts: usize,
    /// Processes that have a part of it. One that has just died is still counted.
    pub processes: usize,
}

/// Reads it; `None` if no shared verify is under way.
pub(super) async fn shared_verify_status(
    split: &Split,
    damaged: &mut Vec<Damaged>,
) -> Result<Option<SharedVerifyStatus>, StateError> {
    let store = &split.store;
    let found: Option<Stored<SharedVerifyRecord>> =
        store.get_readable(SharedVerifyRecord::NAME, damaged).await?;
    let Some(verify) = found.map(|found| found.value).filter(|found| found.end.is_none()) else {
        return Ok(None);
    };
    for phase in SharedVerifyRecord::PHASES {
        let prefix = VerifyTaskRecord::of_phase(&verify.id, phase);
        let tasks: Vec<(String, Stored<VerifyTaskRecord>)> = store.list_readable(&prefix, damaged).await?;
        let progress = PhaseProgress::of(&verify, phase, tasks.iter().map(|(_, task)| &task.value));
        if !progress.is_complete() {
            return Ok(Some(SharedVerifyStatus {
                name: verify.name,
                began_ms: verify.began_ms,
                phase: phase.words(),
                done: progress.done,
                parts: progress.all,
                processes: progress.owners.len(),
            }));
        }
    }
    Ok(None)
}

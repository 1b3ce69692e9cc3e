//! The activity of a command, saved in the state while it runs, so that `status` can show it.

use super::split::Split;
use crate::state::{ActivityRecord, Estimate, Limit, NotedLimits};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two notes.
const NOTES: Duration = Duration::from_secs(4);
/// An older note is outdated: its process is gone, or can't reach the state.
pub(crate) const ACTIVITY_FRESH_MS: u64 = 15_000;

/// The present activity.
#[derive(Debug, Default)]
pub(crate) struct ActivityNote {
    /// In a few words.
    pub phase: String,
    /// The limits of its work.
    pub limits: BTreeMap<String, Limit>,
    /// How fast it goes.
    pub estimate: Option<Estimate>,
}

impl ActivityNote {
    /// Something whose speed is not known.
    pub fn new(phase: String, limits: BTreeMap<String, Limit>) -> Self {
        Self {
            phase,
            limits,
            estimate: None,
        }
    }
}

/// Does the work, and saves its activity meanwhile. If the activity can't be saved, the work continues. Work that ends at
/// once, for example because the command refuses, leaves no record.
pub(crate) async fn with_activity_notes<T>(
    split: &Split,
    command: &str,
    doing: impl Fn() -> ActivityNote,
    work: impl Future<Output = T>,
) -> T {
    let is_noted = AtomicBool::new(false);
    let done = tokio::select! {
        biased;
        done = work => done,
        never = Box::pin(keep_noting(split, command, doing, &is_noted)) => match never {},
    };
    // A task that can't reach the state ends anyway.
    let ending = Box::pin(async {
        let name = ActivityRecord::record_name(command);
        // An earlier process of the command may have died and left its record.
        if is_noted.load(Ordering::Relaxed)
            || !matches!(split.store.get::<ActivityRecord>(&name).await, Ok(None))
        {
            note(split, command, ActivityNote::default()).await;
        }
    });
    if tokio::time::timeout(NOTES, ending).await.is_err() {
        tracing::debug!(command, "could not record that the command ended");
    }
    done
}

async fn keep_noting(
    split: &Split,
    command: &str,
    doing: impl Fn() -> ActivityNote,
    is_noted: &AtomicBool,
) -> Infallible {
    loop {
        tokio::time::sleep(NOTES / 4).await;
        is_noted.store(true, Ordering::Relaxed);
        note(split, command, doing()).await;
        tokio::time::sleep(NOTES * 3 / 4).await;
    }
}

async fn note(split: &Split, command: &str, doing: ActivityNote) {
    let record = ActivityRecord {
        command: command.to_owned(),
        phase: doing.phase,
        limits: NotedLimits {
            at_ms: split.now_ms(),
            of: doing.limits,
        },
        estimate: doing.estimate,
        waits_for: split.waits.noted(),
    };
    if let Err(error) = split
        .store
        .set(&ActivityRecord::record_name(command), &record)
        .await
    {
        tracing::debug!(%error, command, "could not record the progress of the command; trying again");
    }
}

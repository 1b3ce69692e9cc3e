//! How long a step waits for a lane, and for a worker that reads it.

use super::work::Work;
use crate::worker::RunError;
use std::time::Duration;
use tokio::time::Instant;

/// A lane that is not drained after this time, although a worker reads it, is reported as an obstacle.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How long no worker has done what is waited for. A worker that starts again, or replaces one that died, needs the lease of
/// the one before.
#[derive(Default)]
pub(super) struct Absence(Option<Instant>);

impl Absence {
    /// Refuses to wait any longer without a worker.
    pub fn refuse(&mut self, work: &Work<'_>, is_worked: bool) -> Result<(), RunError> {
        if is_worked {
            self.0 = None;
            return Ok(());
        }
        if self.0.get_or_insert_with(Instant::now).elapsed() < work.split.timing.lease * 3 {
            return Ok(());
        }
        Err(RunError::NotYet {
            what: format!("no live worker reads what {} needs", work.name()),
            next: "run `dynasplit replicate`, leave it running, then run this command again".into(),
        })
    }
}

/// Refuses to wait any longer for a lane.
pub(super) fn refuse_slow(began: Instant, lane: &str) -> Result<(), RunError> {
    if began.elapsed() < LONGEST {
        return Ok(());
    }
    Err(RunError::NotYet {
        what: format!(
            "the lane of {lane} was not drained within {} s",
            LONGEST.as_secs()
        ),
        next: "`dynasplit status` shows what limits it. Run this command again when the lane has caught up"
            .into(),
    })
}

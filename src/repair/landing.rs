//! The wait for writes that may still land: only as long as something is unknown. A process that reads the source and writes
//! targets says in its lease whether each of its requests was answered. Then there is nothing to wait for.

use super::repair_lease::RepairLease;
use crate::fault::{Rule, broken};
use crate::state::{SegmentRecord, StateError};
use crate::status::counted;
use crate::worker::{RunError, Split, pause};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two reads of the segments, while a process still holds some; many are read less often.
const POLL: Duration = Duration::from_millis(200);
const FOR_EACH_SEGMENT: Duration = Duration::from_millis(2);

/// Whose writes are waited for.
#[derive(Clone, Copy)]
pub(super) enum Writes<'a> {
    /// Those under the lease of repairs.
    Repairs(&'a RepairLease),
    /// Those of the backfill, and those under the lease of repairs: a recheck.
    Backfill(&'a RepairLease),
    /// Those of the bulk copy.
    Bulk,
}

/// What is not known about writes.
#[derive(Debug, Default)]
struct Unknown {
    /// Processes hold a segment: they may say soon that all is answered.
    held: usize,
    /// A process ended without saying it, or said that a request is unanswered.
    unsettled: usize,
    /// The same, of the lease of repairs.
    repair: bool,
    /// Segments that were read.
    segments: u32,
}

impl Unknown {
    async fn of(split: &Split, writes: Writes<'_>) -> Result<Self, StateError> {
        let lease = match writes {
            Writes::Repairs(lease) | Writes::Backfill(lease) => Some(lease),
            Writes::Bulk => None,
        };
        let mut unknown = Self {
            repair: lease.is_some_and(|lease| !lease.is_settled()),
            ..Self::default()
        };
        if matches!(writes, Writes::Repairs(_)) {
            return Ok(unknown);
        }
        for (_, segment) in split.store.list::<SegmentRecord>(SegmentRecord::PREFIX).await? {
            let lease = segment.value.lease;
            unknown.segments = unknown.segments.saturating_add(1);
            unknown.held += usize::from(lease.owner.is_some());
            unknown.unsettled += usize::from(lease.owner.is_none() && !lease.is_settled());
        }
        Ok(unknown)
    }

    fn is_nothing(&self) -> bool {
        self.held == 0 && self.unsettled == 0 && !self.repair
    }

    /// How long to wait before something else may be known, of the time that is left.
    fn wait(&self, left: Duration) -> Duration {
        if self.unsettled > 0 {
            return left;
        }
        // A live process may say soon that all is answered.
        (POLL + FOR_EACH_SEGMENT * self.segments).min(left)
    }

    fn told(&self) -> String {
        let mut reasons = Vec::new();
        if self.held > 0 {
            reasons.push(format!(
                "a process holds {}, or died with it",
                counted(self.held as u64, "segment")
            ));
        }
        if self.unsettled > 0 {
            reasons.push(format!(
                "a process died with {}, or left a request of it without an answer",
                counted(self.unsettled as u64, "segment")
            ));
        }
        if self.repair {
            reasons.push("a repair or recheck died, or left a request without an answer".to_owned());
        }
        reasons.join(", and ")
    }
}

/// Waits until no write can land any more, at most for so long: then everything that was given up before this call has
/// landed, or never will. Does not wait if every process that wrote said that all its requests were answered.
pub(super) async fn landed(
    split: &Split,
    writes: Writes<'_>,
    most: Duration,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let rule = match writes {
        Writes::Bulk => Rule::BulkLands,
        Writes::Repairs(_) | Writes::Backfill(_) => Rule::PagesLand,
    };
    if broken(rule) {
        return Ok(());
    }
    let began = Instant::now();
    let (mut told, mut waiting) = (None, None);
    loop {
        let unknown = Unknown::of(split, writes).await?;
        if unknown.is_nothing() {
            return Ok(());
        }
        let left = most.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        let what = format!("no write can land any more: {}", unknown.told());
        if told.as_ref() != Some(&what) {
            waiting = Some(split.waits.until(what.clone(), left));
            told = Some(what);
        }
        pause(unknown.wait(left), stop).await?;
    }
    drop(waiting);
    if let Writes::Repairs(lease) | Writes::Backfill(lease) = writes {
        lease.earlier_owners_have_landed();
    }
    Ok(())
}

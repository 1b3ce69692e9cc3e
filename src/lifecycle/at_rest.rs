//! Whether the source is at rest: every write that matters to the split is delivered, and none has come since the
//! last verify began. `complete` asks for it, because later writes to the source reach no target.

use crate::state::{Received, SplitRecord, VerifyRecord};
use crate::status::{SplitStatus, counted, received, split_status, split_status_with_worker};
use crate::worker::{RunError, Split, pause};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two looks at the lanes.
const POLL: Duration = Duration::from_millis(300);
/// A lane that does not reach the tip of the stream within this time plus the quiet time is reported as an obstacle.
const LONGEST_DRAIN: Duration = Duration::from_secs(5 * 60);

/// The evidence that the source is at rest.
#[derive(Debug)]
pub(crate) enum Rest {
    /// The stream is off, every lane has read it to its end, and the last verify began after that.
    StreamClosed,
    /// Every lane is complete up to a moment, and nothing came since the last verify began.
    Quiet {
        /// What the lanes had received by then.
        received: Received,
        /// In words, with the times.
        seen: String,
    },
}

/// Waits until the lanes have delivered all writes from before this call, and the source has then been quiet for this
/// long.
///
/// # Errors
/// [`RunError::Unclean`] if something came since the last verify began, [`RunError::NotYet`] if no worker reads the
/// stream, or if a lane does not reach the tip.
pub(crate) async fn wait(
    split: &Split,
    record: &SplitRecord,
    quiet: Duration,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Rest, RunError> {
    let now = split_status(split).await?;
    if now.is_drained() {
        return Ok(Rest::StreamClosed);
    }
    let verified = split.store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
    let verified = verified.map(|stored| stored.value);
    let Some((verify, before)) = verified.and_then(|verify| Some((verify.started_ms, verify.received?)))
    else {
        return Err(RunError::NotYet {
            what: "the last verify does not say what the lanes had received when it began".into(),
            next: "run `dynasplit verify`, then this command again".into(),
        });
    };
    let began = Instant::now();
    let until_ms = now
        .moment_ms(split.now_ms(), split.timing.renew())
        .saturating_add(millis(quiet));
    tell(&format!(
        "waiting until every lane has delivered all writes so far, and the source was quiet for {} s",
        quiet.as_secs()
    ));
    let what = format!(
        "every lane is complete up to {} s after the start of this command",
        quiet.as_secs()
    );
    let _waiting = split.waits.until(what, quiet + LONGEST_DRAIN);
    loop {
        let received = unchanged(split, record, &before).await?;
        let now = split_status_with_worker(split).await?;
        refuse_unread(&now)?;
        if now.is_drained() {
            return Err(RunError::NotYet {
                what: "the stream was switched off during this command, and a later write is in no stream"
                    .into(),
                next: "run `dynasplit verify`, then this command again".into(),
            });
        }
        if behind(&now, until_ms).is_none() {
            let seen = format!(
                "no write that matters to the split since the last verify began ({} s ago), and every lane is complete up to \
                 now",
                split.now_ms().saturating_sub(verify) / 1000
            );
            return Ok(Rest::Quiet { received, seen });
        }
        if began.elapsed() > quiet + LONGEST_DRAIN {
            let (lane, blocked) = behind(&now, until_ms).unwrap_or_default();
            return Err(RunError::NotYet {
                what: format!(
                    "the lane '{lane}' did not reach the end of the stream within {} s{}",
                    began.elapsed().as_secs(),
                    blocked.map(|reason| format!(" ({reason})")).unwrap_or_default()
                ),
                next: "`dynasplit status` shows what limits it. Run this command again when the lane has caught up".into(),
            });
        }
        pause(POLL, stop).await?;
    }
}

/// Refuses if a change that matters came since the last verify began. Returns what the lanes have received.
///
/// # Errors
/// [`RunError::Unclean`], with the lanes.
pub(crate) async fn unchanged(
    split: &Split,
    record: &SplitRecord,
    before: &Received,
) -> Result<Received, RunError> {
    let Some(now) = received(split, record).await? else {
        return Err(RunError::NotYet {
            what: "the stream is not captured".into(),
            next: "run `dynasplit status` for the next command".into(),
        });
    };
    if before.is_unchanged(&now) {
        return Ok(now);
    }
    Err(RunError::Unclean {
        reasons: vec![format!(
            "the source is not at rest: since the last verify began, {} arrived. The most likely cause is a writer that still \
             uses the source. Find and stop it, keep `dynasplit replicate` running, run `dynasplit verify`, then run this \
             command again",
            arrived(before, &now)
        )],
    })
}

fn arrived(before: &Received, now: &Received) -> String {
    if before.generation != now.generation {
        return "a restart of the tail".into();
    }
    let lanes = now.changes.iter().filter_map(|(lane, count)| {
        let more = count.saturating_sub(before.changes.get(lane).copied().unwrap_or(0));
        (more > 0).then(|| format!("{} of {lane}", counted(more, "change")))
    });
    lanes.collect::<Vec<_>>().join(", ")
}

/// A lane that is not complete up to a moment, and why it makes no progress.
fn behind(status: &SplitStatus, until_ms: u64) -> Option<(String, Option<String>)> {
    let now = status.read_ms;
    let lane = status
        .lanes
        .iter()
        .find(|lane| lane.lag_ms.is_none_or(|lag| now.saturating_sub(lag) < until_ms))?;
    Some((lane.lane.clone(), lane.blocked.clone()))
}

/// Refuses if no worker reads the stream, because then no lane makes progress.
///
/// # Errors
/// [`RunError::NotYet`].
pub(crate) fn refuse_unread(status: &SplitStatus) -> Result<(), RunError> {
    if status.is_read() || status.is_drained() {
        return Ok(());
    }
    Err(RunError::NotYet {
        what: "no live worker reads every lane of the stream, so the last writes to the source may be missing in the targets"
            .into(),
        next: "run `dynasplit replicate`, leave it running, then run this command again".into(),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

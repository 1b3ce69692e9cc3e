//! The reverse write path: every change of a service's own table takes the steps of [`carry_back`] to the source.

use super::apply::SinkError;
use super::back::{Back, BackLane, BackWrite, BackWriteKind, Settled, runs};
use super::coalesce::Group;
use super::stop::Stop;
use super::{Applied, WriteUse};
use crate::model::{Item, Key};

/// Attempts to carry one run back: each refusal means that somebody else wrote the item since it was read.
const ATTEMPTS: u32 = 8;
/// Why a change is suspected.
const OTHER: &str = "the source item is not the one that the target stood for before: another writer changed it, or an \
                     earlier change could not be carried back";
/// Why a change that is refused again and again is suspected.
const BUSY: &str = "another writer keeps changing the source item";

/// The source, for reverse writes. An implementation retries temporary failures without end.
pub trait SourceSide: Send + Sync {
    /// Reads an item with its marks, consistently.
    fn read(&self, key: &Key) -> impl Future<Output = Result<Option<Item>, Stop>> + Send;

    /// Makes one write under its condition. When this answers, the write is durable or refused, and no earlier attempt of
    /// it can land any more.
    fn write(&self, write: &BackWrite) -> impl Future<Output = Result<BackOutcome, SinkError>> + Send;
}

/// Where changes that can't be carried back are kept. When this answers `Ok`, the entry is durable.
pub trait BackLedger: Send + Sync {
    /// Keeps the records of a run. `is_suspected`: it is looked at again when the lane is drained.
    fn not_carried_back(
        &self,
        run: &Group,
        reason: &str,
        is_suspected: bool,
    ) -> impl Future<Output = Result<(), Stop>> + Send;
}

/// The outcome of a reverse write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackOutcome {
    /// It landed, with this use of write units.
    Written(WriteUse),
    /// The item is not the one that was read.
    Refused(WriteUse),
}

/// **The reverse write path.** Carries the records of one target item back to its source item, run by run ([`runs`]):
///
/// 1. *invert* the key, and read the source item;
/// 2. *decide* ([`BackLane::decide`]);
/// 3. *write* under the condition that the item is still the one that was read; if it is not, read it again;
/// 4. keep a change that can't be carried back.
///
/// The caller saves its checkpoint only after this has returned `Ok`.
///
/// # Errors
/// [`Stop`] if the worker must stop; the change is then not durable.
pub async fn carry_back<S: SourceSide, L: BackLedger>(
    lane: &BackLane<'_>,
    group: &Group,
    source: &S,
    ledger: &L,
) -> Result<Applied, Stop> {
    let mut applied = Applied {
        seen: group.changes.len() as u64,
        ..Applied::default()
    };
    for run in runs(group) {
        carry_run(lane, &run, source, ledger, &mut applied).await?;
    }
    Ok(applied)
}

async fn carry_run<S: SourceSide, L: BackLedger>(
    lane: &BackLane<'_>,
    run: &Group,
    source: &S,
    ledger: &L,
    applied: &mut Applied,
) -> Result<(), Stop> {
    let Some(change) = lane.change(run) else {
        return Ok(());
    };
    let key = match lane.way.source_key(change) {
        Ok(Some(key)) => key,
        // An item that the source cannot have, and that is gone.
        Ok(None) => {
            applied.unchanged += 1;
            return Ok(());
        }
        Err(reason) => {
            applied.dead_letters += 1;
            return ledger.not_carried_back(run, &reason.to_string(), false).await;
        }
    };
    let mut known = None;
    for _ in 0..ATTEMPTS {
        let current = match known.take() {
            Some(current) => current,
            None => source.read(&key).await?,
        };
        let (reason, is_suspected) = match lane.decide(run, current.as_ref()) {
            Back::Settled(settled) => {
                match settled {
                    Settled::Agreed => applied.unchanged += 1,
                    Settled::Superseded => applied.superseded += 1,
                }
                return Ok(());
            }
            Back::Suspect => (OTHER.to_owned(), true),
            Back::Impossible(reason) => (reason.to_string(), false),
            Back::Write(write) => match source.write(&write).await {
                Ok(BackOutcome::Refused(used)) => {
                    count_use(applied, used);
                    continue;
                }
                Ok(BackOutcome::Written(used)) => {
                    count_use(applied, used);
                    match write.kind {
                        // The second step follows.
                        BackWriteKind::MarkDeleting(_) => {
                            known = Some(write.merged(current.as_ref()));
                            continue;
                        }
                        BackWriteKind::Delete => applied.removed += 1,
                        BackWriteKind::Create(_) | BackWriteKind::Update { .. } => applied.put += 1,
                    }
                    return Ok(());
                }
                Err(SinkError::Rejected(reason)) => (reason, false),
                Err(SinkError::Stop(stop)) => return Err(stop),
            },
        };
        applied.dead_letters += 1;
        return ledger.not_carried_back(run, &reason, is_suspected).await;
    }
    applied.dead_letters += 1;
    ledger.not_carried_back(run, BUSY, true).await
}

fn count_use(applied: &mut Applied, used: WriteUse) {
    applied.write_milliunits += used.milliunits;
    applied.estimated_write_milliunits += used.estimated_milliunits;
}

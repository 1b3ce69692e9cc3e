//! Repairs one source key, for repairs, rechecks and dead letters. All three follow the rules of the backfill:
//! tombstones are on and acknowledged, the source is read consistently, and nothing is written over a tombstone or
//! over an item that changed since it was read.

use super::acknowledgement::Holder;
use crate::dynamo::{AccountLimit, ConcurrencyLimit, until_answered_or_hot};
use crate::fault::{Rule, Writer, broken};
use crate::flow::{Desired, Outcome, Sink, SinkError, desired, is_newer, is_tombstone, repair};
use crate::model::{Item, Key, json};
use crate::plan::{PutCost, Service, Versions};
use crate::source::Scan;
use crate::state::{MAX_RECHECKS, Phases, RecheckKey, SplitRecord, TombstonePhase, Tombstones, Validity};
use crate::target::{Fence, Gate, TargetWriter};
use crate::worker::{Budgets, RunError, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The result for one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reconciled {
    /// The target was correct.
    Agreed,
    /// It was written or removed.
    Repaired,
    /// The tail writes it at this moment: to be looked at again.
    Busy,
    /// The target holds a newer item than the source, and the options say to keep it.
    Newer,
    /// The source item is still invalid for the service, for this reason.
    Invalid(String),
}

/// Brings keys of one service in order.
pub(crate) struct Reconciler<'a> {
    service: &'a Service,
    versions: &'a Versions,
    source: Scan,
    target: Scan,
    writer: TargetWriter,
    /// A key range that is throttled for this long is skipped.
    patience: Duration,
    keeps_newer: bool,
}

const ATTEMPTS: u32 = 20;

impl<'a> Reconciler<'a> {
    /// For a service of a split, under the epoch in which its tombstones were switched on. Writes only while `stop` is not cancelled, and
    /// under this lease: the process that releases the tombstones holds it. Its writes are within these budgets.
    pub fn new(
        split: &'a Split,
        service: &'a Service,
        written_by: Writer,
        epoch: u64,
        lease: Validity,
        budgets: &Budgets,
        stop: &CancellationToken,
    ) -> Option<Self> {
        let (_, tables) = split.active().find(|(active, _)| active.name == service.name)?;
        let tombstones = Tombstones {
            phase: TombstonePhase::On,
            epoch,
        };
        let writer = TargetWriter {
            written_by,
            client: tables.items.clone(),
            table: service.table.name.clone(),
            keys: service.keys.clone(),
            fields: service.version_fields(&split.plan.versions),
            gate: Gate::new(Phases::one(&service.name, tombstones)).of(&service.name),
            always_leaves_tombstones: true,
            fence: Fence::new([lease]),
            concurrency: Arc::new(ConcurrencyLimit::new(
                split.timing.attempt,
                &AccountLimit::default(),
            )),
            budget: budgets.writes(&service.name),
            cost: PutCost::of(service),
            health: budgets.health(&service.name),
            endless: false,
            stop: stop.clone(),
            margin: split.timing.margin,
        };
        Some(Self {
            service,
            versions: &split.plan.versions,
            source: split.scan_source(true),
            target: Scan::new(
                tables.items.clone(),
                &service.table.name,
                service.keys.clone(),
                true,
            ),
            writer,
            patience: split.timing.hot_range(),
            keeps_newer: false,
        })
    }

    /// Leaves target items alone that are newer than the source: something other than dynasplit wrote them.
    pub fn keeping_newer(self) -> Self {
        Self {
            keeps_newer: true,
            ..self
        }
    }

    /// Removes an extra item whose source can't be read, if the item is `still` the one that was judged. A later
    /// write of the tail must not be removed in its place.
    pub async fn orphan(&self, target: &Key, still: impl Fn(&Item) -> bool) -> Result<Reconciled, RunError> {
        let held = self.read(&self.service.name, target, &self.target).await?;
        match held.filter(|item| !is_tombstone(item)) {
            None => Ok(Reconciled::Agreed),
            Some(held) if still(&held) => self.repair(target, Some(held), None).await,
            Some(_) => Ok(Reconciled::Busy),
        }
    }

    /// Brings one source key in order; `suspects` are target keys that it may have had.
    pub async fn source_key(&self, key: &Key, suspects: &[Key]) -> Result<Reconciled, RunError> {
        let mut keys: Vec<Key> = suspects.to_vec();
        keys.extend(self.service.target_keys(key, self.source.keys()));
        if let Ok(Some(wanted)) = self.wanted(key).await? {
            keys.push(wanted.key);
        }
        keys.sort_by_cached_key(Key::encode);
        keys.dedup();
        let mut result = Reconciled::Agreed;
        for target in &keys {
            match self.target_key(target, Some(key)).await? {
                Reconciled::Agreed => {}
                Reconciled::Repaired if result == Reconciled::Agreed => result = Reconciled::Repaired,
                Reconciled::Repaired => {}
                other => return Ok(other),
            }
        }
        match self.wanted(key).await? {
            Err(reason) => Ok(Reconciled::Invalid(reason)),
            Ok(Some(wanted)) if !keys.contains(&wanted.key) => Ok(Reconciled::Busy),
            Ok(_) => Ok(result),
        }
    }

    /// Brings one source key in order in a service whose mapping is proven: the source key alone gives every target key that the item ever
    /// had, so fewer reads than those of [`Self::source_key`] show everything.
    pub async fn proven_key(&self, key: &Key) -> Result<Reconciled, RunError> {
        let mut result = Reconciled::Agreed;
        for target in self.service.target_keys(key, self.source.keys()) {
            match self.target_key(&target, Some(key)).await? {
                Reconciled::Agreed => {}
                Reconciled::Repaired => result = Reconciled::Repaired,
                other => return Ok(other),
            }
        }
        Ok(result)
    }

    /// Repairs one target key, given the source key that it belongs to (`None`: it is an extra item).
    ///
    /// It reads the target first and then the source. The source is then at least as new as the target was, and the
    /// condition of the write finds out whether the target changed since.
    ///
    /// However, a target with a newer version than the source (a clock went back, or the target was not empty at
    /// first) refuses later writes of the tail, which leaves no trace. So after a write, it reads the source once
    /// more. If the source changed, the tail may have been refused in between, and the key is read again.
    pub async fn target_key(&self, target: &Key, source: Option<&Key>) -> Result<Reconciled, RunError> {
        let early = match source {
            Some(source) if broken(Rule::TargetFirst) => Some(self.wanted(source).await?),
            _ => None,
        };
        let held = self.read(&self.service.name, target, &self.target).await?;
        let wanted = match (early, source) {
            (Some(wanted), _) => wanted,
            (None, Some(source)) => self.wanted(source).await?,
            (None, None) => Ok(None),
        };
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(reason) => return Ok(Reconciled::Invalid(reason)),
        };
        let repaired = self.repair(target, held, wanted.clone()).await?;
        if let (Reconciled::Repaired, Some(source)) = (&repaired, source)
            && !broken(Rule::ReadsAgain)
            && self.wanted(source).await? != Ok(wanted)
        {
            return Ok(Reconciled::Busy);
        }
        Ok(repaired)
    }

    /// Puts what a service should hold for an old image, if the target has no item: what the rules of dead letters forbid.
    pub async fn replay(&self, image: &Item) -> Result<Reconciled, RunError> {
        match desired(self.service, self.versions, image) {
            Ok(Some(wanted)) => self.repair(&wanted.key.clone(), None, Some(wanted)).await,
            _ => Ok(Reconciled::Agreed),
        }
    }

    fn is_newer(&self, held: Option<&Item>, wanted: Option<&Desired>) -> bool {
        match (held, wanted) {
            (Some(held), Some(wanted)) => is_newer(self.versions, &self.writer.fields, held, &wanted.item),
            _ => false,
        }
    }

    async fn repair(
        &self,
        target: &Key,
        held: Option<Item>,
        wanted: Option<Desired>,
    ) -> Result<Reconciled, RunError> {
        if self.keeps_newer && self.is_newer(held.as_ref(), wanted.as_ref()) {
            return Ok(Reconciled::Newer);
        }
        let Some(write) = repair(self.versions, &self.writer.fields, target, held, wanted) else {
            return Ok(Reconciled::Agreed);
        };
        match self.writer.write_copied(&write).await {
            Ok(landed) => Ok(match landed.outcome {
                Outcome::Written | Outcome::TombstoneWritten => Reconciled::Repaired,
                Outcome::Superseded | Outcome::SupersededByTombstone => Reconciled::Busy,
            }),
            Err(SinkError::Rejected(reason)) => Ok(Reconciled::Invalid(reason)),
            Err(SinkError::Stop(stop)) if self.writer.stop.is_cancelled() => {
                Err(RunError::Stopped(stop.reason))
            }
            Err(SinkError::Stop(stop)) => Err(stop.into()),
        }
    }

    /// Reads a key, and retries temporary failures without end. It skips a key range that is throttled all the time.
    ///
    /// # Errors
    /// [`RunError::HotRange`] in this case.
    async fn read(&self, table: &str, key: &Key, scan: &Scan) -> Result<Option<Item>, RunError> {
        let read = until_answered_or_hot(&self.writer.health, self.patience, || scan.get(key));
        let read = tokio::select! {
            biased;
            () = self.writer.stop.cancelled() => return Err(RunError::Stopped(
                format!("reading {} again was interrupted", self.service.name),
            )),
            read = read => read,
        };
        read.map_err(|failure| {
            if !failure.is_of_key_range() {
                return failure.into();
            }
            RunError::HotRange {
                table: table.to_owned(),
                place: format!("the key {key}"),
                reason: failure.reason(),
                seconds: self.patience.as_secs(),
            }
        })
    }

    /// The item that the service should hold for a source key, by a consistent read; `Err` if the source item is
    /// invalid.
    async fn wanted(&self, key: &Key) -> Result<Result<Option<Desired>, String>, RunError> {
        let item = self.read("source", key, &self.source).await?;
        Ok(item.map_or(Ok(None), |item| {
            desired(self.service, self.versions, &item).map_err(|fault| fault.to_string())
        }))
    }
}

/// The result for the recheck list.
#[derive(Debug, Default)]
pub(crate) struct Rechecked {
    /// The services whose keys were read again. Keys of others are left to another command that needs tombstones, or needed
    /// them since.
    pub services: BTreeSet<String>,
    /// Something was written.
    pub has_written: bool,
}

/// Wait between two checks of a lease that is being renewed.
const POLL: Duration = Duration::from_millis(50);

/// Reads every key again whose timestamp went backwards, and repairs it, of the services of which the holder that claimed the
/// tombstones with this epoch is the only one. The tombstones stay on while the lease is held. If the lease is lost, the caller
/// drops this future ([`RepairLease::during`](super::repair_lease::RepairLease::during)).
///
/// # Errors
/// If the list is too long, or something can't be reached.
pub(crate) async fn recheck_all(
    split: &Split,
    (holder, since): (&Holder, u64),
    lease: &Validity,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Rechecked, RunError> {
    let list = split.dead_letters.rechecks().await?;
    // The order matters: a key that is listed again for a later holder has another revision, and stays on the list.
    let switch = SplitRecord::read(&split.store).await?.value.switch;
    let mut done = Rechecked {
        services: switch.alone(holder.name(), since),
        has_written: false,
    };
    if broken(Rule::Rechecked) {
        return Ok(done);
    }
    let is_ours = |recheck: &RecheckKey| {
        // A service that has switched writes its own table now: nothing may be written there, so there is nothing to read again.
        done.services.contains(&recheck.service) || split.has_switched(&recheck.service)
    };
    let list: Vec<_> = list
        .into_iter()
        .filter(|(_, _, recheck)| is_ours(recheck))
        .collect();
    if list.len() > MAX_RECHECKS {
        return Err(RunError::TimestampsGoBack { limit: MAX_RECHECKS });
    }
    for (name, revision, recheck) in list {
        if split.has_switched(&recheck.service) {
            split.dead_letters.rechecked(&name, revision).await?;
            continue;
        }
        match recheck_one(split, (since, lease), &recheck, budgets, stop).await? {
            Some(reconciled) => {
                done.has_written |= reconciled == Reconciled::Repaired;
                // Another process may have worked on the list, and keys may have been listed again: the lease is then
                // lost, and this is dropped here. A renewed lease shows that this did not happen.
                while !lease.may_write() {
                    crate::worker::pause(POLL, stop).await?;
                }
                split.dead_letters.rechecked(&name, revision).await?;
            }
            None => split.dead_letters.recheck(&recheck.kept()).await?,
        }
    }
    Ok(done)
}

/// `None`: it stays on the list.
async fn recheck_one(
    split: &Split,
    (epoch, lease): (u64, &Validity),
    recheck: &RecheckKey,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Option<Reconciled>, RunError> {
    let (Some((service, _)), Some(key)) = (split.target(&recheck.service), split.key_from_json(&recheck.key))
    else {
        return Ok(None);
    };
    let Some(reconciler) = Reconciler::new(
        split,
        service,
        Writer::Recheck,
        epoch,
        lease.clone(),
        budgets,
        stop,
    ) else {
        return Ok(None);
    };
    let suspects: Vec<Key> = recheck
        .targets
        .iter()
        .filter_map(|target| service.keys.key_of(&json::item_from_json(target.clone()).ok()?))
        .collect();
    let settled = match settled_with(&reconciler, &key, &suspects, stop).await {
        Err(error @ RunError::HotRange { .. }) => {
            tracing::warn!(%error, "a key stays on the recheck list");
            return Ok(None);
        }
        settled => settled?,
    };
    Ok(match settled {
        Reconciled::Busy => None,
        Reconciled::Invalid(reason) => {
            tracing::warn!(reason, "a key on the recheck list is a dead letter");
            Some(Reconciled::Invalid(reason))
        }
        other => Some(other),
    })
}

/// Removes keys of these services from the list that came to it before the epoch of the service's sweep, but after the list was
/// done. No page could land any more when the tail wrote these keys, so no page can have overwritten them. Keys that could not be
/// settled stay.
pub(crate) async fn forget_rechecks(split: &Split, unswept: &BTreeMap<String, u64>) -> Result<(), RunError> {
    for (name, revision, recheck) in split.dead_letters.rechecks().await? {
        if unswept
            .get(&recheck.service)
            .is_some_and(|epoch| recheck.epoch < *epoch)
        {
            split.dead_letters.rechecked(&name, revision).await?;
        }
    }
    Ok(())
}

/// Tries a key again while the tail writes it, a bounded number of times; `suspects` are target keys that the item may
/// have had.
pub(crate) async fn settled_with(
    reconciler: &Reconciler<'_>,
    key: &Key,
    suspects: &[Key],
    stop: &CancellationToken,
) -> Result<Reconciled, RunError> {
    while_busy(|| reconciler.source_key(key, suspects), stop).await
}

/// The same for a key of a service whose mapping is proven.
pub(crate) async fn settled_proven(
    reconciler: &Reconciler<'_>,
    key: &Key,
    stop: &CancellationToken,
) -> Result<Reconciled, RunError> {
    while_busy(|| reconciler.proven_key(key), stop).await
}

async fn while_busy<A>(attempt: impl Fn() -> A, stop: &CancellationToken) -> Result<Reconciled, RunError>
where
    A: Future<Output = Result<Reconciled, RunError>>,
{
    for number in 1..=ATTEMPTS {
        match attempt().await? {
            Reconciled::Busy => crate::worker::pause(Duration::from_millis(50) * number, stop).await?,
            other => return Ok(other),
        }
    }
    Ok(Reconciled::Busy)
}

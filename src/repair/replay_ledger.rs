//! The keys of the ledger, read again: each is brought in order by what the source holds now. No image of the ledger is written.

use super::acknowledgement::{Holder, refuse_fenced};
use super::reconcile::{Reconciled, Reconciler, settled_with};
use super::repair_lease::RepairLease;
use super::tombstone_switch::{switch_off, switch_on};
use crate::fault::Writer;
use crate::ledger::{History, Wanted};
use crate::model::{Key, RawRecord};
use crate::plan::Service;
use crate::worker::{Budgets, RunError, Split, unless_stopped};
use serde::Serialize;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// Keys that are collected before they are read again.
const KEYS_AT_ONCE: usize = 5000;
/// Keys that are named of those that stay different.
const MOST_NAMED: usize = 20;

/// What became of the keys of the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Replayed {
    /// The service.
    pub service: String,
    /// Records that were read.
    pub records: u64,
    /// Keys that were read again. One that has records far apart counts several times.
    pub keys: u64,
    /// Those whose item in the service's table was not what the source says, and is now.
    pub repaired: u64,
    /// Those whose item in the service's table is newer than that of the source. They stay.
    pub newer: u64,
    /// Those whose source item is invalid for the service.
    pub invalid: u64,
    /// Those that the tail was writing all the time, or whose key range is throttled.
    pub busy: u64,
    /// Some of the keys that stay as they are, with the reason.
    pub left: Vec<LeftKey>,
}

/// A key that stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LeftKey {
    /// The key in the source.
    pub key: serde_json::Value,
    /// Why.
    pub reason: String,
}

impl Replayed {
    /// Whether the table holds what the source says, of each key.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.newer + self.invalid + self.busy == 0
    }
}

/// Keys of source items, and the keys that they may have had in the service's table.
type Keys = BTreeMap<Vec<u8>, (Key, Vec<Key>)>;

/// Reads each key again that has a wanted record in the ledger, consistently, and brings the service's table in order. Tombstones are
/// on meanwhile, and swept after.
///
/// # Errors
/// If the service does not take part any more, or something cannot be reached. The same command begins anew.
pub async fn replay_ledger(
    split: &Split,
    service: &str,
    history: &History,
    wanted: &Wanted,
    stop: &CancellationToken,
) -> Result<Replayed, RunError> {
    let record = unless_stopped(stop, Box::pin(crate::worker::check_split(split))).await?;
    let split = &split.without_switched(&record);
    refuse_fenced(&record, [service])?;
    let Some((found, _)) = split.active().find(|(active, _)| active.name == service) else {
        return Err(RunError::NotYet {
            what: format!("{service} has switched to its own table, which dynasplit does not write any more"),
            next: "read the changes with `dynasplit ledger show`, and let the service correct its table"
                .into(),
        });
    };
    let lease = RepairLease::take(split, stop).await?;
    let budgets = Budgets::new(split, None, None);
    let command = ("ledger replay", || {
        "reading the keys of the ledger again".to_owned()
    });
    let work = Box::pin(under_lease(
        split,
        found,
        (history, wanted),
        &lease,
        &budgets,
        stop,
    ));
    let result = lease.during_command(split, command, &budgets, work).await;
    lease.release().await;
    result
}

async fn under_lease(
    split: &Split,
    service: &Service,
    (history, wanted): (&History, &Wanted),
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Replayed, RunError> {
    let epoch = switch_on(split, &Holder::RECONCILE, &[service.name.as_str()], stop).await?;
    let reconciler = Reconciler::new(
        split,
        service,
        Writer::Repair,
        epoch,
        lease.validity(),
        budgets,
        stop,
    );
    let Some(reconciler) = reconciler.map(Reconciler::keeping_newer) else {
        return Err(RunError::Failed(format!(
            "the table of {} has no client",
            service.name
        )));
    };
    let mut work = Replay {
        split,
        service,
        reconciler,
        stop,
        keys: Keys::new(),
        done: Replayed {
            service: service.name.clone(),
            ..Replayed::default()
        },
    };
    let schema = &split.plan.source.keys;
    history
        .each(schema, wanted, async |_: &str, record: RawRecord| {
            work.note(&record);
            if work.keys.len() >= KEYS_AT_ONCE {
                work.read_again().await?;
            }
            Ok::<(), RunError>(())
        })
        .await?;
    work.read_again().await?;
    let done = work.done;
    switch_off(split, &Holder::RECONCILE, lease, budgets, stop).await?;
    Ok(done)
}

struct Replay<'a> {
    split: &'a Split,
    service: &'a Service,
    reconciler: Reconciler<'a>,
    stop: &'a CancellationToken,
    keys: Keys,
    done: Replayed,
}

impl Replay<'_> {
    /// Every key counts that the service may take or have taken: its source key alone may decide that, or an image.
    fn note(&mut self, record: &RawRecord) {
        let schema = &self.split.plan.source.keys;
        self.done.records += 1;
        let Some(key) = schema.key_of(&record.keys) else {
            return;
        };
        let images = record.old.iter().chain(&record.new);
        let suspects = images.flat_map(|image| self.service.target_keys_of(image, schema));
        let suspects: Vec<Key> = suspects.chain(self.service.target_keys(&key, schema)).collect();
        let images = || record.old.iter().chain(&record.new);
        let is_own = self.service.copies_everything() || images().any(|image| self.service.belongs(image));
        if !is_own {
            return;
        }
        let (_, known) = self.keys.entry(key.encode()).or_insert_with(|| (key, Vec::new()));
        for suspect in suspects {
            if !known.contains(&suspect) {
                known.push(suspect);
            }
        }
    }

    async fn read_again(&mut self) -> Result<(), RunError> {
        for (_, (key, suspects)) in std::mem::take(&mut self.keys) {
            crate::worker::pause(std::time::Duration::ZERO, self.stop).await?;
            self.done.keys += 1;
            let settled = match settled_with(&self.reconciler, &key, &suspects, self.stop).await {
                Err(error @ RunError::HotRange { .. }) => {
                    self.done.busy += 1;
                    self.leave(&key, error.to_string());
                    continue;
                }
                settled => settled?,
            };
            match settled {
                Reconciled::Agreed => {}
                Reconciled::Repaired => self.done.repaired += 1,
                Reconciled::Busy => {
                    self.done.busy += 1;
                    self.leave(&key, "the tail is writing it; run the same command again".into());
                }
                Reconciled::Newer => {
                    self.done.newer += 1;
                    self.leave(
                        &key,
                        "the service's table holds a newer item than the source".into(),
                    );
                }
                Reconciled::Invalid(reason) => {
                    self.done.invalid += 1;
                    self.leave(&key, reason);
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, key: &Key, reason: String) {
        if self.done.left.len() < MOST_NAMED {
            let key = self.split.key_json(key);
            self.done.left.push(LeftKey { key, reason });
        }
    }
}

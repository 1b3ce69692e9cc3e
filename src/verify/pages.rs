//! From pages to entries of the comparison.

use super::invalid::InvalidItems;
use super::scan::Pages;
use super::sorting::Entries;
use super::view::{ServiceProgress, SourceProgress, add};
use crate::flow::{Watched, desired, watch};
use crate::model::{Item, Key, KeySchema};
use crate::plan::Plan;
use crate::verify::compare::{Digest, Held, classify};
use crate::worker::RunError;
use std::sync::Arc;

/// A key of a target, with the digest of its item.
pub(super) type TargetEntry = (Key, Digest);
/// Target key, source key, and the digest of the item that the target should hold.
pub(super) type SourceEntry = (Key, Key, Digest);

/// Pages of a target.
pub(super) struct TargetPages<T> {
    pub table: String,
    pub keys: KeySchema,
    pub entries: T,
    pub progress: Arc<ServiceProgress>,
}

impl<T: Entries<TargetEntry>> Pages for TargetPages<T> {
    async fn take(&self, items: Vec<Item>) -> Result<(), RunError> {
        let mut batch = Vec::with_capacity(items.len());
        let mut tombstones = 0;
        for item in &items {
            match classify(item) {
                Held::Tombstone => tombstones += 1,
                Held::Live(digest) => batch.push((key_of(&self.keys, item, &self.table)?, digest)),
            }
        }
        add(&self.progress.held, batch.len() as u64);
        add(&self.progress.tombstones, tombstones);
        self.entries.send(batch).await
    }
}

/// Pages of the source, for several services at once.
pub(super) struct SourcePages<T> {
    pub plan: Arc<Plan>,
    /// Places of the services in the plan, and where their entries go.
    pub services: Vec<(usize, T, Arc<ServiceProgress>)>,
    pub progress: Arc<SourceProgress>,
    pub invalid: Arc<InvalidItems>,
}

impl<T: Entries<SourceEntry>> Pages for SourcePages<T> {
    async fn take(&self, items: Vec<Item>) -> Result<(), RunError> {
        let plan = &*self.plan;
        let keys = items
            .iter()
            .map(|item| key_of(&plan.source.keys, item, &plan.source.table))
            .collect::<Result<Vec<_>, _>>()?;
        let unrouted = items
            .iter()
            .zip(&keys)
            .filter(|(item, _)| watch(plan, item) == Watched::Unrouted);
        for (_, key) in unrouted {
            add(&self.progress.unrouted, 1);
            self.invalid.unrouted(key);
        }
        for (place, entries, progress) in &self.services {
            let service = &plan.services[*place];
            let mut batch = Vec::new();
            for (item, source) in items.iter().zip(&keys) {
                match desired(service, &plan.versions, item) {
                    Ok(None) => {}
                    Ok(Some(wanted)) => batch.push((wanted.key, source.clone(), Digest::of(&wanted.item))),
                    Err(fault) => {
                        add(&progress.invalid, 1);
                        self.invalid.invalid(&service.name, source, &fault);
                    }
                }
            }
            add(&progress.expected, batch.len() as u64);
            entries.send(batch).await?;
        }
        add(&self.progress.scanned, items.len() as u64);
        Ok(())
    }
}

/// The key of an item that was read; no item of the table lacks it, if the plan names the table's keys.
pub(super) fn key_of(keys: &KeySchema, item: &Item, table: &str) -> Result<Key, RunError> {
    keys.key_of(item).ok_or_else(|| RunError::OtherKeys {
        table: table.to_owned(),
    })
}

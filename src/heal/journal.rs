//! The journal of a heal, which only the holder of the lease of repairs changes.

use crate::state::{HealRecord, StateError, Store};

/// The journal, as it is stored.
pub(super) struct Journal {
    store: Store,
    revision: u64,
    record: HealRecord,
}

impl Journal {
    /// The journal of the last heal; `None`: there was none.
    pub async fn find(store: &Store) -> Result<Option<Self>, StateError> {
        let found = store.get::<HealRecord>(HealRecord::NAME).await?;
        Ok(found.map(|stored| Self {
            store: store.clone(),
            revision: stored.revision,
            record: stored.value,
        }))
    }

    /// Begins a heal, in the place of the last one.
    pub async fn begin(store: &Store, last: Option<Self>, record: HealRecord) -> Result<Self, StateError> {
        let revision = last.map_or(0, |last| last.revision);
        let stored = store.put(HealRecord::NAME, record, revision).await?;
        Ok(Self {
            store: store.clone(),
            revision: stored.revision,
            record: stored.value,
        })
    }

    pub fn record(&self) -> &HealRecord {
        &self.record
    }

    /// Changes it. If another process has changed it meanwhile, that one has taken the lease over, and this one ends.
    pub async fn change(&mut self, change: impl FnOnce(&mut HealRecord)) -> Result<(), StateError> {
        let mut record = self.record.clone();
        change(&mut record);
        let stored = self.store.put(HealRecord::NAME, record, self.revision).await?;
        (self.revision, self.record) = (stored.revision, stored.value);
        Ok(())
    }
}

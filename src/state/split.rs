use super::STATE_FORMAT;
use super::phases::Switch;
use super::records::StreamRecord;
use super::store::{StateError, Store, Stored};
use serde::{Deserialize, Serialize};

/// The split as a whole. One record, changed by compare-and-set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SplitRecord {
    /// Version of the state's format.
    pub format: u32,
    /// Name of the split.
    pub split: String,
    /// The source table.
    pub source: String,
    /// Fingerprint of what all services share: source, keys, versions, what is left behind.
    pub fingerprint: String,
    /// Generations: the streams that were read, oldest first.
    pub streams: Vec<StreamRecord>,
    /// The tombstone switch, and who holds it.
    #[serde(flatten)]
    pub switch: Switch,
    /// A repairing verify is mandatory before the split completes, for this reason.
    pub repair_required: Option<String>,
    /// When `apply` first ran, in milliseconds since 1970.
    pub created_ms: u64,
    /// `complete` has begun to stop the lanes: there is no way back into the split.
    #[serde(default)]
    pub completing_ms: Option<u64>,
    /// When the split was completed.
    pub completed_ms: Option<u64>,
}

/// One service of the split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// Name of the service.
    pub name: String,
    /// Its target table.
    pub table: String,
    /// Fingerprint of its route, transform and keys.
    pub fingerprint: String,
    /// Its records are read from pinned places since this time; `None` before `replicate` first ran.
    pub captured_ms: Option<u64>,
    /// Ended by `complete`.
    pub completed: bool,
}

impl SplitRecord {
    /// Name of the record.
    pub const NAME: &'static str = "SPLIT";

    /// Reads the record, and refuses what this version does not know.
    ///
    /// # Errors
    /// [`StateError::NotApplied`] where there is none.
    pub async fn read(store: &Store) -> Result<Stored<Self>, StateError> {
        let stored = store
            .get::<Self>(Self::NAME)
            .await?
            .ok_or_else(|| StateError::NotApplied {
                table: store.table().to_owned(),
            })?;
        Self::known(store, &stored.value)?;
        Ok(stored)
    }

    fn known(store: &Store, value: &Self) -> Result<(), StateError> {
        if value.format == STATE_FORMAT {
            return Ok(());
        }
        Err(StateError::Unreadable {
            table: store.table().to_owned(),
            record: Self::NAME.to_owned(),
            cause: format!(
                "it has format {}, this version reads {STATE_FORMAT}",
                value.format
            ),
        })
    }

    /// Changes the record, whoever else changes it at the same time.
    ///
    /// # Errors
    /// When there is none, or a request fails.
    pub async fn change(store: &Store, mut change: impl FnMut(&mut Self)) -> Result<Self, StateError> {
        let table = store.table().to_owned();
        let stored = store
            .change::<Self, StateError>(Self::NAME, |found| {
                let mut value = found.ok_or_else(|| StateError::NotApplied { table: table.clone() })?;
                Self::known(store, &value)?;
                change(&mut value);
                Ok(value)
            })
            .await?;
        Ok(stored.value)
    }

    /// The stream that is read now, and its generation (from 1).
    #[must_use]
    pub fn stream(&self) -> Option<(u32, &StreamRecord)> {
        let generation = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
        self.streams.last().map(|stream| (generation, stream))
    }
}

impl ServiceRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "SERVICE#";

    /// Name of a service's record.
    #[must_use]
    pub fn record_name(service: &str) -> String {
        format!("{}{service}", Self::PREFIX)
    }
}

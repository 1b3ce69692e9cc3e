//! The recheck list in the state table: keys that are read again after the backfill.

use super::dead_letters::DeadLetters;
use super::error::StateError;
use serde::{Deserialize, Serialize};

/// A key to be read again after the backfill: its timestamp went backwards.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecheckKey {
    /// The service.
    pub service: String,
    /// Source key, as DynamoDB JSON.
    pub key: serde_json::Value,
    /// The epoch of the tombstone switch in which it was put here; the highest number for one that could not be settled.
    #[serde(default)]
    pub epoch: u64,
    /// Target keys that the item had when its timestamp went backwards, as DynamoDB JSON. A stale page may have
    /// landed at each of them, and if the item moved or is gone, the source no longer shows them.
    #[serde(default)]
    pub targets: Vec<serde_json::Value>,
}

impl RecheckKey {
    /// The entry as it stays on the list until it is settled, whatever happens to the tombstones.
    #[must_use]
    pub fn kept(&self) -> Self {
        Self {
            epoch: u64::MAX,
            ..self.clone()
        }
    }

    /// Merges the entry with an earlier one of the same key that nobody has read again yet.
    #[must_use]
    fn after(mut self, earlier: Option<Self>) -> Self {
        if let Some(earlier) = earlier {
            self.epoch = self.epoch.max(earlier.epoch);
            for target in earlier.targets {
                if !self.targets.contains(&target) {
                    self.targets.push(target);
                }
            }
        }
        self
    }
}

/// More keys than this on the recheck list mean that the timestamps can't be trusted: `sequence` mode is
/// demanded.
pub const MAX_RECHECKS: usize = 10_000;

const RECHECK: &str = "RECHECK#";

impl DeadLetters {
    /// Puts a key on the recheck list. An existing entry is merged.
    ///
    /// # Errors
    /// If the state table can't be written.
    pub async fn recheck(&self, key: &RecheckKey) -> Result<(), StateError> {
        let id = Self::id(&key.service, &key.key);
        let add = |earlier| Ok::<_, StateError>(key.clone().after(earlier));
        self.store.change(&format!("{RECHECK}{id}"), add).await?;
        Ok(())
    }

    /// The recheck list, with the revision that removes each.
    ///
    /// # Errors
    /// When the state table can't be read.
    pub async fn rechecks(&self) -> Result<Vec<(String, u64, RecheckKey)>, StateError> {
        let found = self.store.list::<RecheckKey>(RECHECK).await?;
        Ok(found
            .into_iter()
            .map(|(name, stored)| (name, stored.revision, stored.value))
            .collect())
    }

    /// Takes a key off the recheck list, unless it was put there again since.
    ///
    /// # Errors
    /// When the state table can't be written.
    pub async fn rechecked(&self, name: &str, revision: u64) -> Result<(), StateError> {
        match self.store.delete(name, revision).await {
            Err(StateError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_listed_again_keeps_what_was_known_of_it() {
        let entry = |epoch, targets: &[&str]| RecheckKey {
            service: "a".into(),
            key: "k".into(),
            epoch,
            targets: targets.iter().map(|target| (*target).into()).collect(),
        };
        assert_eq!(entry(2, &["x"]).after(None), entry(2, &["x"]));
        let both = entry(2, &["x"]).after(Some(entry(u64::MAX, &["y", "x"])));
        assert_eq!(both, entry(u64::MAX, &["x", "y"]));
        assert_eq!(both.kept().after(Some(both.clone())), both);
    }
}

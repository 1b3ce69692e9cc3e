//! Source items that were in no table's shape when they changed, and are read again.

use super::invalid::InvalidItems;
use super::reads::TableReads;
use super::view::{Progress, add};
use crate::flow::{Watched, desired, watch};
use crate::model::{Key, count};
use crate::plan::Plan;
use crate::worker::RunError;
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;

/// Items that are kept in memory and read again at most.
const MOST: usize = 10_000;
/// Items that are read at the same time.
const LOOKS_AT_ONCE: usize = 16;

/// Items that a service could not hold, or that no service took, when they changed.
#[derive(Default)]
pub(super) struct Suspects {
    /// By the service (`None`: no service took it) and the encoded key.
    keys: BTreeMap<(Option<String>, Vec<u8>), Key>,
    is_cut: bool,
}

impl Suspects {
    /// An item that was invalid for a service.
    pub fn add(&mut self, service: &str, key: &Key) {
        self.insert(Some(service.to_owned()), key);
    }

    /// An item that no service took.
    pub fn add_unrouted(&mut self, key: &Key) {
        self.insert(None, key);
    }

    fn insert(&mut self, service: Option<String>, key: &Key) {
        let id = (service, key.encode());
        if self.keys.len() < MOST || self.keys.contains_key(&id) {
            self.keys.insert(id, key.clone());
        } else {
            self.is_cut = true;
        }
    }

    /// Whether there were more than are read again: then there is no verdict.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// For a person, if there were too many.
    pub fn note(&self) -> Option<String> {
        self.is_cut.then(|| {
            format!(
                "more than {} items that changed were invalid, so not all of them were read again: run `dynasplit verify`",
                count(MOST as u64)
            )
        })
    }

    /// Reads each item again, consistently. Those that still are in no table's shape are counted and noted.
    pub async fn look(
        &self,
        plan: &Plan,
        source: &TableReads,
        invalid: &InvalidItems,
        progress: &Progress,
    ) -> Result<(), RunError> {
        let looks = self.keys.iter().map(|((service, _), key)| async move {
            let Some(item) = source.get(key).await? else {
                return Ok::<_, RunError>(());
            };
            match service {
                None if watch(plan, &item) == Watched::Unrouted => {
                    add(&progress.source.unrouted, 1);
                    invalid.unrouted(key);
                }
                None => {}
                Some(name) => {
                    let fault = plan
                        .service(name)
                        .and_then(|service| desired(service, &plan.versions, &item).err());
                    let counts = progress.services.iter().find(|each| each.service == *name);
                    if let (Some(fault), Some(counts)) = (fault, counts) {
                        add(&counts.invalid, 1);
                        invalid.invalid(name, key, &fault);
                    }
                }
            }
            Ok(())
        });
        let looks: Vec<_> = looks.collect();
        futures::stream::iter(looks)
            .buffer_unordered(LOOKS_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    fn key(number: usize) -> Key {
        Key {
            partition: Value::s(number.to_string()),
            sort: None,
        }
    }

    #[test]
    fn there_are_never_too_many_in_memory_and_this_is_told() {
        let mut suspects = Suspects::default();
        (0..MOST).for_each(|number| suspects.add("a", &key(number)));
        suspects.add("a", &key(0));
        assert!(
            !suspects.is_cut() && suspects.note().is_none(),
            "it is there already"
        );
        suspects.add_unrouted(&key(0));
        assert!(suspects.is_cut() && suspects.note().is_some());
        assert_eq!(suspects.keys.len(), MOST);
    }
}

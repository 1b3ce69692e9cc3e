//! Searches the source for items whose target keys do not show their source key: one scan for many keys.

use super::pages::key_of;
use super::point_reader::PointReader;
use super::scan::{Pages, Scanning};
use crate::flow::desired;
use crate::model::{Item, Key};
use crate::plan::Plan;
use crate::verify::compare::MAX_COLLISION_KEYS;
use crate::worker::RunError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Target keys that one scan looks for: some tens of megabytes at most.
pub(super) const KEYS_PER_SEARCH: usize = 20_000;

/// Source keys by the target key that they lead to.
pub(super) type Sources = HashMap<Key, Vec<Key>>;

struct SearchPages {
    plan: Arc<Plan>,
    place: usize,
    found: Mutex<Sources>,
}

impl Pages for SearchPages {
    async fn take(&self, items: Vec<Item>) -> Result<(), RunError> {
        let plan = &*self.plan;
        for item in &items {
            let Ok(Some(wanted)) = desired(&plan.services[self.place], &plan.versions, item) else {
                continue;
            };
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sources) = found.get_mut(&wanted.key)
                && sources.len() < MAX_COLLISION_KEYS
            {
                sources.push(key_of(&plan.source.keys, item, &plan.source.table)?);
            }
        }
        Ok(())
    }
}

/// Finds the source items that lead to these target keys, by a consistent scan: whatever led to one of them
/// before this call and still does is found.
pub(super) async fn search_keys(
    reader: &PointReader,
    scanning: &Scanning,
    keys: Vec<Key>,
) -> Result<Sources, RunError> {
    let pages = Arc::new(SearchPages {
        plan: Arc::clone(&reader.split.plan),
        place: reader.place,
        found: Mutex::new(keys.into_iter().map(|key| (key, Vec::new())).collect()),
    });
    let source = reader.source.by(reader.split.scan_source(true));
    scanning.read(&source, Arc::clone(&pages)).await?;
    let mut found = pages.found.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut found))
}

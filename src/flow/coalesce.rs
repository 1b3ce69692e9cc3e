//! Groups the changes of one batch by source item.

use crate::model::{Change, Key};
use std::collections::HashMap;
use std::sync::Arc;

/// The changes of one source item in one batch, in stream order.
#[derive(Clone, Debug)]
pub struct Group {
    /// Primary key in the source.
    pub key: Key,
    /// At least one change, oldest first. The lanes share them, so they are in `Arc`s.
    pub changes: Vec<Arc<Change>>,
}

/// Groups a batch by source item. Across items there is no order to keep; within one, it is kept.
#[must_use]
pub fn coalesce(changes: &[Arc<Change>]) -> Vec<Group> {
    let mut places: HashMap<&Key, usize> = HashMap::with_capacity(changes.len());
    let mut groups: Vec<Group> = Vec::new();
    for change in changes {
        match places.get(&change.key) {
            Some(&place) => groups[place].changes.push(Arc::clone(change)),
            None => {
                places.insert(&change.key, groups.len());
                groups.push(Group {
                    key: change.key.clone(),
                    changes: vec![Arc::clone(change)],
                });
            }
        }
    }
    groups
}

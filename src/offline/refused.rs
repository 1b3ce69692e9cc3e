//! Items that cannot be written for a service, or that belong to none.

use crate::flow::Fault;
use serde::{Deserialize, Serialize};

/// Why an item is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Reason {
    /// The service's table could never accept it.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// Neither a service nor `left-behind` takes it.
    #[error("it belongs to no service, and the plan does not leave it behind")]
    Unrouted,
}

/// Refused items with one reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// The service; `None` if the item belongs to none.
    pub service: Option<String>,
    /// Why, without item values (but with those of keys).
    pub reason: String,
    /// How many items.
    pub items: u64,
    /// The first of them: `file:line`.
    pub first: String,
}

/// Most reasons that are kept apart. Those of keys contain their values, so that each item may have its own.
const MOST: usize = 20;

/// Refused items, by their reasons.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct RefusedItems {
    groups: Vec<Refused>,
    others: u64,
}

impl RefusedItems {
    /// Counts an item.
    pub fn add(&mut self, service: Option<&str>, reason: &Reason, place: impl FnOnce() -> String) {
        self.merge(Refused {
            service: service.map(str::to_owned),
            reason: reason.to_string(),
            items: 1,
            first: place(),
        });
    }

    fn merge(&mut self, one: Refused) {
        let same = |known: &&mut Refused| known.service == one.service && known.reason == one.reason;
        if let Some(known) = self.groups.iter_mut().find(same) {
            known.items += one.items;
        } else if self.groups.len() < MOST {
            self.groups.push(one);
        } else {
            self.others += one.items;
        }
    }

    /// Adds those of another input, which comes after this one.
    pub fn extend(&mut self, other: Self) {
        other.groups.into_iter().for_each(|group| self.merge(group));
        self.others += other.others;
    }

    /// Those that are told, and how many items have other reasons.
    pub fn told(self) -> (Vec<Refused>, u64) {
        (self.groups, self.others)
    }
}

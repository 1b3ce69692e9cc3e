//! Items that may be a problem, counted with some of their keys.

use super::limits::EXAMPLES;
use crate::model::{Item, KeySchema, json};
use serde::Serialize;
use std::collections::BTreeMap;

/// Items of the sample that may be a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// A word for the sort of the problem.
    pub problem: &'static str,
    /// The problem, in a sentence without values of items.
    pub what: String,
    /// Items of the sample that have it.
    pub items: u64,
    /// Keys of some of them, as DynamoDB JSON.
    pub examples: Vec<serde_json::Value>,
}

/// Problems while they are counted, in the order of the first one of each.
pub(super) struct Tally<'a> {
    keys: &'a KeySchema,
    found: BTreeMap<(&'static str, String), Suspect>,
}

impl<'a> Tally<'a> {
    pub fn new(keys: &'a KeySchema) -> Self {
        Self {
            keys,
            found: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, problem: &'static str, what: impl Into<String>, item: &Item) {
        let what = what.into();
        let suspect = self
            .found
            .entry((problem, what.clone()))
            .or_insert_with(|| Suspect {
                problem,
                what,
                items: 0,
                examples: Vec::new(),
            });
        suspect.items += 1;
        if suspect.examples.len() < EXAMPLES
            && let Some(key) = self.keys.key_of(item)
        {
            suspect
                .examples
                .push(json::item_to_json(&self.keys.item_of(&key)));
        }
    }

    pub fn list(self) -> Vec<Suspect> {
        self.found.into_values().collect()
    }
}

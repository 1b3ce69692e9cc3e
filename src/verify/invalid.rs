//! Source items that can be in no target, and that no stream record covers: named, and recorded as dead letters by a repair.

use super::reads::TableReads;
use crate::flow::{Watched, desired, watch};
use crate::model::{Item, Key, json};
use crate::state::{DeadLetter, DeadLetters, ShardRecord};
use crate::tail::UNROUTED;
use crate::worker::{RunError, Split};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The most items that one run keeps in memory and records. A run that found more says so, and the next one continues
/// with those that have no dead letter yet.
const MOST: usize = 10_000;
/// Items that are read again at the same time.
const LOOKS_AT_ONCE: usize = 16;
/// Where such a dead letter was read.
const ORIGIN: &str = "verify";

/// A source item that a service can't hold, or that no service takes, and that has no dead letter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InvalidItem {
    /// The service; `(unrouted)` for an item that no service takes.
    pub service: String,
    /// Its key in the source, as DynamoDB JSON.
    pub source_key: serde_json::Value,
    /// Why it can be in no target.
    pub reason: String,
}

/// Collects them while the source is read.
pub(super) struct InvalidItems {
    split: Split,
    /// Ids of the dead letters that there were at the beginning.
    lettered: Arc<BTreeSet<String>>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    items: Vec<(Key, InvalidItem)>,
    more: u64,
}

/// The remaining items at the end of a run.
#[derive(Default)]
pub(super) struct Uncovered {
    items: Vec<(Key, InvalidItem)>,
    /// Those beyond [`MOST`], of which some may have a dead letter by now.
    more: u64,
}

impl InvalidItems {
    /// Before the source is read.
    pub async fn begin(split: &Split) -> Result<Self, RunError> {
        Ok(Self {
            split: split.clone(),
            lettered: Arc::new(lettered(split).await?),
            found: Mutex::default(),
        })
    }

    /// For a part of the source.
    pub fn of_part(&self) -> Self {
        Self {
            split: self.split.clone(),
            lettered: Arc::clone(&self.lettered),
            found: Mutex::default(),
        }
    }

    /// Hands out what was found in a part of the source: the items, and how many more there are.
    pub fn take_part(&self) -> (Vec<InvalidItem>, u64) {
        let Found { items, more } = self.take();
        (items.into_iter().map(|(_, item)| item).collect(), more)
    }

    /// Takes in what was found in a part of the source.
    pub fn add_part(&self, items: Vec<InvalidItem>, more: u64) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.more += more;
        for item in items {
            match self.split.key_from_json(&item.source_key) {
                Some(key) if found.items.len() < MOST => found.items.push((key, item)),
                _ => found.more += 1,
            }
        }
    }

    fn take(&self) -> Found {
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in an item that no service takes.
    pub fn unrouted(&self, key: &Key) {
        self.note(ShardRecord::WATCH, key, || UNROUTED.to_owned());
    }

    /// Takes in an item that a service can't hold.
    pub fn invalid(&self, service: &str, key: &Key, reason: &dyn std::fmt::Display) {
        self.note(service, key, || reason.to_string());
    }

    fn note(&self, service: &str, key: &Key, reason: impl FnOnce() -> String) {
        let source_key = self.split.key_json(key);
        if self.lettered.contains(&DeadLetters::id(service, &source_key)) {
            return;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.items.len() >= MOST {
            found.more += 1;
            return;
        }
        let item = InvalidItem {
            service: service.to_owned(),
            source_key,
            reason: reason(),
        };
        found.items.push((key.clone(), item));
    }

    /// Those that have no dead letter now: a lane may have recorded some since they were read.
    pub async fn uncovered(&self) -> Result<Uncovered, RunError> {
        let Found { items, more } = self.take();
        if items.is_empty() {
            return Ok(Uncovered::default());
        }
        let lettered = lettered(&self.split).await?;
        let is_left =
            |item: &InvalidItem| !lettered.contains(&DeadLetters::id(&item.service, &item.source_key));
        Ok(Uncovered {
            items: items.into_iter().filter(|(_, item)| is_left(item)).collect(),
            more,
        })
    }

    /// Reads each one again, consistently, and records a dead letter if it is still invalid. Returns how many.
    pub async fn record(&self, uncovered: &Uncovered, source: &TableReads) -> Result<u64, RunError> {
        let records: Vec<_> = uncovered
            .items
            .iter()
            .map(|(key, item)| self.record_one(key, item, source))
            .collect();
        let mut ended = futures::stream::iter(records).buffer_unordered(LOOKS_AT_ONCE);
        let mut recorded = 0;
        while let Some(is_new) = ended.try_next().await? {
            recorded += u64::from(is_new);
        }
        Ok(recorded)
    }

    async fn record_one(&self, key: &Key, item: &InvalidItem, source: &TableReads) -> Result<bool, RunError> {
        let image = match source.get(key).await {
            // The next repair records it, if its key range can be read then.
            Err(RunError::HotRange { .. }) => return Ok(false),
            read => read?,
        };
        let Some(image) = image else {
            return Ok(false);
        };
        let Some(reason) = self.still(&item.service, &image) else {
            return Ok(false);
        };
        let letter = DeadLetter {
            service: item.service.clone(),
            key: item.source_key.clone(),
            reason,
            origin: ORIGIN.to_owned(),
            at_ms: self.split.now_ms(),
            image: Some(json::item_to_json(&image)),
            old_image: None,
        };
        self.split.dead_letters.keep(&letter).await?;
        Ok(true)
    }

    /// Why the present item is invalid, if it is.
    fn still(&self, service: &str, item: &Item) -> Option<String> {
        let plan = &self.split.plan;
        match plan.service(service) {
            Some(service) => desired(service, &plan.versions, item)
                .err()
                .map(|fault| fault.to_string()),
            None => (watch(plan, item) == Watched::Unrouted).then(|| UNROUTED.to_owned()),
        }
    }
}

impl Uncovered {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.items.len() as u64 + self.more
    }

    /// Those that were not kept in memory.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// The first of them, to be named.
    pub fn first(&self, limit: usize) -> Vec<InvalidItem> {
        self.items
            .iter()
            .take(limit)
            .map(|(_, item)| item.clone())
            .collect()
    }
}

async fn lettered(split: &Split) -> Result<BTreeSet<String>, RunError> {
    let letters = split.dead_letters.list(None).await?;
    Ok(letters.into_iter().map(|letter| letter.id).collect())
}

//! Time that passes faster than the machine's: the clock of the split is set forward again and again, and the records of the stream get the
//! times at which they were written by this clock. The stream forgets what is older than 24 hours, as that of AWS does, and says nothing
//! about it.

use crate::dynamo::Clock;
use crate::source::lineage::RETENTION_MS;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The operation whose answers it changes.
pub(super) const OPERATION: &str = "GetRecords";

/// See the module.
#[derive(Debug)]
pub(super) struct PassingTime {
    ahead_ms: &'static AtomicU64,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    /// How far the clock was ahead when a record was first seen, by the id of its event.
    ahead_ms: HashMap<String, u64>,
    /// What the stream has forgotten.
    forgotten: HashSet<String>,
}

impl PassingTime {
    /// Time that passes as usual so far. Some bytes of memory stay until the process ends.
    pub fn new() -> Self {
        Self {
            ahead_ms: Box::leak(Box::default()),
            records: Mutex::default(),
        }
    }

    /// The clock of the split.
    pub fn clock(&self) -> Clock {
        Clock::ahead(self.ahead_ms)
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// How many records the stream did not show any more to a reader that asked for them.
    #[cfg(test)]
    pub fn forgotten(&self) -> u64 {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.forgotten.len() as u64
    }

    /// How many records that were read once are older than 24 hours now.
    pub fn expired(&self) -> u64 {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = records.ahead_ms.values();
        seen.filter(|then| ahead.saturating_sub(**then) > RETENTION_MS)
            .count() as u64
    }

    /// An answer with records, as it is at this time.
    pub fn change(&self, answer: &mut Value) {
        let Some(shown) = answer.get_mut("Records").and_then(Value::as_array_mut) else {
            return;
        };
        let (ahead_now, now_ms) = (self.ahead_ms.load(Ordering::Relaxed), self.clock().now_ms());
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain_mut(|record| {
            let Some(id) = record["eventID"].as_str().map(str::to_owned) else {
                return true;
            };
            let created = record["dynamodb"]["ApproximateCreationDateTime"].as_f64();
            let ahead = *records.ahead_ms.entry(id.clone()).or_insert(ahead_now);
            let Some(created) = created else { return true };
            #[allow(clippy::cast_precision_loss)] // Days in milliseconds.
            let created = created + ahead as f64 / 1000.0;
            record["dynamodb"]["ApproximateCreationDateTime"] = created.into();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A time of this century.
            let is_kept = now_ms.saturating_sub((created * 1000.0) as u64) <= RETENTION_MS;
            if !is_kept {
                records.forgotten.insert(id);
            }
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_get_the_time_of_the_clock_and_are_forgotten_after_a_day() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let time = PassingTime::new();
        let began = Clock::SYSTEM.now_ms() / 1000;
        let record =
            |id: &str| json!({ "eventID": id, "dynamodb": { "ApproximateCreationDateTime": began } });
        let times = |answer: &Value| -> Vec<u64> {
            let records = answer["Records"].as_array().unwrap().iter();
            let time = |record: &Value| record["dynamodb"]["ApproximateCreationDateTime"].as_f64();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            records
                .map(|record| time(record).unwrap() as u64 - began)
                .collect()
        };
        let mut answer = json!({ "Records": [record("1")] });
        time.change(&mut answer);
        time.pass(hours(12));
        answer = json!({ "Records": [record("1"), record("2")], "NextShardIterator": "next" });
        time.change(&mut answer);
        assert_eq!(times(&answer), [0, 12 * 3600], "each as old as it is");
        time.pass(hours(13));
        assert_eq!((time.expired(), time.forgotten()), (1, 0));
        answer = json!({ "Records": [record("1"), record("2")] });
        time.change(&mut answer);
        assert_eq!(times(&answer), [12 * 3600], "the older one is forgotten");
        assert_eq!((time.expired(), time.forgotten()), (1, 1));
    }
}

//! What was measured during the split, in one bounded record: for the charts of the page. Pure, beside the reading.

use super::error::StateError;
use super::store::{Store, Stored};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Between two samples, at first.
pub const FIRST_EVERY_MS: u64 = 15_000;
/// Most samples that are kept.
pub const MOST_SAMPLES: usize = 240;
/// Most bytes of the record, as JSON: an item of DynamoDB holds 400 KB, and each sample writes all of it.
pub const MOST_BYTES: usize = 64 * 1024;

/// The figures of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChartSample {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Lag by lane, in milliseconds.
    pub lag_ms: BTreeMap<String, u64>,
    /// Records that each lane has looked at.
    pub records: BTreeMap<String, u64>,
    /// Write units that each lane has used, in thousandths.
    pub write_milliunits: BTreeMap<String, u64>,
    /// Items that the backfill has read.
    pub items_read: u64,
}

/// The samples of a split. If there are too many, every second one is dropped, and from then on the time between two samples
/// is twice as long: the chart always covers the whole split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChartRecord {
    /// The time between two samples, in milliseconds.
    pub every_ms: u64,
    /// The samples, oldest first.
    pub samples: Vec<ChartSample>,
}

impl Default for ChartRecord {
    fn default() -> Self {
        Self {
            every_ms: FIRST_EVERY_MS,
            samples: Vec::new(),
        }
    }
}

impl ChartRecord {
    /// Name of the record.
    pub const NAME: &'static str = "CHART";

    /// The present record with its revision.
    ///
    /// # Errors
    /// If the state can't be read.
    pub async fn read(store: &Store) -> Result<Stored<Self>, StateError> {
        let found = store.get(Self::NAME).await?;
        Ok(found.unwrap_or(Stored {
            value: Self::default(),
            revision: 0,
        }))
    }

    /// Whether it is time for a sample. The clocks of two processes may differ.
    #[must_use]
    pub fn is_due(&self, now_ms: u64) -> bool {
        let last = self.samples.last();
        last.is_none_or(|last| now_ms >= last.at_ms.saturating_add(self.every_ms))
    }

    /// Adds a sample, and stays within its bounds.
    pub fn add(&mut self, sample: ChartSample) {
        self.samples.push(sample);
        // At most one sample is always kept.
        while self.samples.len() > MOST_SAMPLES || (self.samples.len() > 1 && self.bytes() > MOST_BYTES) {
            let mut place = 0;
            self.samples.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.every_ms = self.every_ms.saturating_mul(2);
        }
        // A split with so many lanes has no charts: one sample is no line.
        if self.bytes() > MOST_BYTES {
            self.samples.clear();
        }
    }

    /// The samples since a moment.
    #[must_use]
    pub fn since(&self, from_ms: u64) -> Vec<ChartSample> {
        let samples = self.samples.iter();
        samples
            .filter(|sample| sample.at_ms >= from_ms)
            .cloned()
            .collect()
    }

    fn bytes(&self) -> usize {
        // Maps of texts and numbers always have a JSON form.
        serde_json::to_string(self).map_or(usize::MAX, |text| text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, lanes: usize) -> ChartSample {
        let lanes = || (0..lanes).map(|lane| (format!("service-number-{lane}"), at_ms));
        ChartSample {
            at_ms,
            lag_ms: lanes().collect(),
            records: lanes().collect(),
            write_milliunits: lanes().collect(),
            items_read: at_ms,
        }
    }

    /// A split of that many lanes, in which a process looks every ten seconds.
    fn after(days: u64, lanes: usize) -> ChartRecord {
        let mut chart = ChartRecord::default();
        for at_ms in (0..days * 86_400_000).step_by(10_000) {
            if chart.is_due(at_ms) {
                chart.add(sample(at_ms, lanes));
                assert!(chart.samples.len() <= MOST_SAMPLES && chart.bytes() <= MOST_BYTES);
            }
        }
        chart
    }

    #[test]
    fn a_long_split_has_few_samples_that_cover_all_of_it() {
        for lanes in [1, 40] {
            let chart = after(3, lanes);
            let times: Vec<u64> = chart.samples.iter().map(|sample| sample.at_ms).collect();
            assert_eq!(times[0], 0);
            assert!(times.len() >= 10, "{lanes} lanes: {} samples", times.len());
            let last = times.last().unwrap() + 2 * chart.every_ms;
            assert!(last >= 3 * 86_400_000, "{lanes} lanes: until {last}");
        }
    }

    #[test]
    fn a_split_with_thousands_of_lanes_has_no_charts_and_no_error() {
        let mut chart = ChartRecord::default();
        chart.add(sample(1, 5000));
        assert_eq!(chart.samples, []);
    }

    #[test]
    fn a_clock_that_was_set_back_adds_nothing_until_it_has_caught_up() {
        let mut chart = ChartRecord::default();
        chart.add(sample(100_000, 1));
        assert!(!chart.is_due(50_000) && !chart.is_due(100_000));
        assert!(chart.is_due(100_000 + FIRST_EVERY_MS));
        assert_eq!(chart.since(100_001), []);
    }
}

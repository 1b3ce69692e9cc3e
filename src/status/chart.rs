//! The samples for the charts of a split: any process that reads the status adds one when it is due.

use super::split_status::SplitStatus;
use crate::state::{ChartRecord, ChartSample, StateError};
use crate::worker::Split;

/// The figures of a status.
#[must_use]
pub fn chart_sample(status: &SplitStatus) -> ChartSample {
    let lanes = || status.lanes.iter();
    ChartSample {
        at_ms: status.read_ms,
        lag_ms: lanes()
            .filter(|lane| lane.open_shards > 0)
            .filter_map(|lane| Some((lane.lane.clone(), lane.shown_lag_ms?)))
            .collect(),
        records: lanes()
            .map(|lane| (lane.lane.clone(), lane.counters.seen))
            .collect(),
        write_milliunits: lanes()
            .map(|lane| (lane.lane.clone(), lane.counters.write_milliunits))
            .collect(),
        items_read: status.scanned,
    }
}

/// Adds the figures of a status to the chart, if it is time and no other process did so. Answers the chart.
///
/// # Errors
/// If a request fails.
pub async fn add_to_chart(split: &Split, status: &SplitStatus) -> Result<ChartRecord, StateError> {
    let found = ChartRecord::read(&split.store).await?;
    if !found.value.is_due(status.read_ms) {
        return Ok(found.value);
    }
    let mut chart = found.value;
    chart.add(chart_sample(status));
    match split
        .store
        .put(ChartRecord::NAME, chart.clone(), found.revision)
        .await
    {
        // Another process was faster, with about the same figures.
        Ok(_) | Err(StateError::Conflict { .. }) => Ok(chart),
        Err(error) => Err(error),
    }
}

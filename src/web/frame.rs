//! What the live page shows beside the readings: it does not change while a command runs.

use super::reading::Reading;
use crate::dynamo::Clock;
use crate::plan::Prices;
use crate::report::{ServiceView, Standing, page};
use crate::state::ChartRecord;
use crate::status::chart_sample;
use crate::worker::Split;
use std::sync::Arc;

/// The names of a split, and how its commands are shown.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The source table.
    pub source: String,
    /// The services.
    pub services: Vec<ServiceView>,
    /// The wall clock of the process.
    pub clock: Clock,
    /// Makes the commands in a text such that they can be copied.
    pub copyable: fn(&str) -> String,
}

impl Frame {
    /// Of a split.
    pub fn of(split: &Split, copyable: fn(&str) -> String) -> Self {
        Self {
            source: split.plan.source.table.clone(),
            services: ServiceView::all(&split.plan),
            clock: split.timing.clock,
            copyable,
        }
    }

    /// The page of a reading.
    pub fn page(&self, reading: &Reading, chart: &ChartRecord) -> String {
        let mut history = chart.since(reading.moments.created_ms);
        // The chart may be sparse, so its lines end with the present figures.
        history.push(chart_sample(&reading.status));
        page(&Standing {
            status: Arc::clone(&reading.status),
            source: self.source.clone(),
            services: self.services.clone(),
            moments: reading.moments,
            prices: Prices::published(),
            forecast: None,
            history,
            now_ms: self.clock.now_ms(),
            copyable: self.copyable,
            is_live: true,
        })
    }
}

//! Units, money and hours, as a survey shows them.

use crate::plan::Prices;
use crate::state::Order;
use serde::Serialize;

/// Units, money and hours, if every table works at its full throughput.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// The prices that were taken.
    pub prices: Prices,
    /// The steps.
    pub lines: Vec<EstimateLine>,
    /// US dollars of all steps that are paid by request.
    pub dollars: f64,
    /// Hours of the backfill in the concurrent order: its wait, its slowest read or write, and its sweep.
    pub backfill_hours: f64,
    /// Its slowest read or write: the `what` of a line.
    pub slowest: String,
    /// The orders of the backfill, side by side.
    pub orders: Vec<OrderEstimate>,
    /// Hours that one core needs to send all the writes of the backfill.
    pub core_hours: f64,
    /// US dollars a day for reading the stream while it is quiet.
    pub stream_dollars_per_day: f64,
    /// Partition keys that hold a service's writes back.
    pub hot: Vec<HotKey>,
    /// Tables and indexes whose set throughput holds a service's writes back.
    pub slow: Vec<SlowTable>,
    /// The assumptions of the figures, and what they leave out.
    pub notes: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub struct EstimateLine {
    /// `backfill: read OnlineLearning` ...
    pub what: String,
    /// Read units.
    pub read_units: u64,
    /// Write units, those of indexes among them.
    pub write_units: u64,
    /// US dollars; `None` if the table is provisioned, and billed by the hour.
    pub dollars: Option<f64>,
    /// Hours; `None` if there is no forecast.
    pub hours: Option<f64>,
    /// The limit.
    pub bound: String,
}

/// The backfill in one order.
#[derive(Clone, Debug, Serialize)]
pub struct OrderEstimate {
    /// The order.
    pub order: Order,
    /// US dollars of its reads and writes, or of its reads and imports; `None` if a table is billed by the hour.
    pub dollars: Option<f64>,
    /// Hours from its beginning until it ends, its fixed waits among them.
    pub hours: f64,
    /// Requests for pages, batches and objects, about.
    pub requests: u64,
    /// The lanes are on hold for all these hours, and catch up afterwards.
    pub lanes_wait: bool,
    /// What is in its way, as far as it is known.
    pub not_possible: Option<String>,
}

/// A partition key that takes a large part of the writes.
#[derive(Clone, Debug, Serialize)]
pub struct HotKey {
    /// The service.
    pub service: String,
    /// The index; `None` for the table itself.
    pub index: Option<String>,
    /// The part of the writes that it takes, at least.
    pub share: f64,
    /// Hours that a single partition needs for them.
    pub hours: f64,
}

/// A table, or an index, that serves fewer writes than one does of which nothing was set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowTable {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// The index; `None` for the table itself.
    pub index: Option<String>,
    /// Write units a second.
    pub write_units: f64,
    /// Hours that it needs for its part of the backfill.
    pub hours: f64,
}

/// Rounds up to the next cent, so that no cost is shown as free.
pub(super) fn cents(dollars: f64) -> f64 {
    if dollars <= 0.0 {
        return 0.0;
    }
    (dollars * 100.0 - 1e-6).ceil() / 100.0
}

/// For hours.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

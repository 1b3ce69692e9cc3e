//! Units, money and hours, as a survey shows them.

use crate::plan::Prices;
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
    /// Hours of the backfill: its slowest read or write.
    pub backfill_hours: f64,
    /// The slowest step: the `what` of a line.
    pub slowest: String,
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

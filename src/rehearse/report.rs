//! The result of a rehearsal.

use super::cutover::CutoverRehearsal;
use super::imported::ImportRehearsal;
use super::outage::LedgerRehearsal;
use super::writers::WriterReport;
use crate::backfill::BackfillReport;
use crate::status::LaneStatus;
use crate::verify::VerifyResult;
use serde::Serialize;

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn as_text<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// The result of a rehearsal.
#[derive(Clone, Debug, Serialize)]
pub struct RehearseReport {
    /// The split.
    pub split: String,
    /// The engine: `embedded`, or its address.
    pub engine: String,
    /// The seed; with it, the rehearsal can be repeated. Text in JSON, whose readers round numbers above 2^53.
    #[serde(serialize_with = "as_text")]
    pub seed: u64,
    /// Items that were loaded at first.
    pub loaded: u64,
    /// The writes of the live writers.
    pub writes: WriterReport,
    /// The backfill.
    pub backfill: BackfillReport,
    /// The lanes at the end.
    pub lanes: Vec<LaneStatus>,
    /// The largest lag of each lane that was seen while writers wrote, in milliseconds.
    pub most_lag_ms: std::collections::BTreeMap<String, u64>,
    /// Milliseconds between the last write and the moment that every lane had caught up with it.
    pub catch_up_ms: u64,
    /// Verification.
    pub verify: VerifyResult,
    /// Dead letters, by service.
    pub dead_letters: std::collections::BTreeMap<String, u64>,
    /// The chaos, if there was any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chaos: Option<ChaosReport>,
    /// The cutovers, if they were rehearsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutover: Option<CutoverRehearsal>,
    /// The imports, if the order was the import order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportRehearsal>,
    /// The outage that the ledger bridged, if it was rehearsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerRehearsal>,
    /// What was replaced, because the engine lacks it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stand_ins: Vec<String>,
    /// Seconds for everything.
    pub seconds: f64,
    /// Tables are equal, there is no dead letter, and nothing went wrong in a cutover or with the ledger.
    pub clean: bool,
}

/// The chaos of a rehearsal.
#[derive(Clone, Debug, Serialize)]
pub struct ChaosReport {
    /// What happened to requests.
    pub settings: String,
    /// How often a worker died and started again.
    pub deaths: u64,
}

//! The throughput that an existing table is set to serve, as `DescribeTable` shows it: plain data.

use serde::Serialize;
use std::collections::BTreeMap;

/// Units a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Units {
    /// Read units.
    pub read: u64,
    /// Write units.
    pub write: u64,
}

/// The throughput that a table, or a global index, is set to serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Throughput {
    /// Provisioned units; `None` if it is on demand. Auto scaling may change them at any time, and is not visible.
    pub provisioned: Option<Units>,
    /// On demand: most read units that were set for it.
    pub most_reads: Option<u64>,
    /// On demand: most write units that were set for it.
    pub most_writes: Option<u64>,
    /// The units that it can serve at once; `None` if the engine does not report them.
    pub warm: Option<Units>,
}

/// The throughput that a table and its global indexes are set to serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableThroughput {
    /// The table, and its local indexes.
    #[serde(flatten)]
    pub table: Throughput,
    /// Its global indexes, by name.
    pub indexes: BTreeMap<String, Throughput>,
}

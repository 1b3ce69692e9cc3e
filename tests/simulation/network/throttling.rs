//! A time in which DynamoDB throttles requests of one sort all the time: on one table, on some of its keys, or on the
//! whole account.

use std::fmt;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Value as Json;
use tokio::time::{Duration, Instant};

use super::fault_rates::Sort;

/// No run is as long.
const OUTAGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Table,
    /// About half of the keys and pages.
    KeyRange,
    Account,
    /// All of S3.
    Objects,
}

/// A time of throttling.
#[derive(Clone, Debug)]
pub struct Throttling {
    extent: Extent,
    table: String,
    reads: bool,
    pub until: Instant,
}

impl Throttling {
    /// A throttling on one of these tables.
    pub fn drawn(rng: &mut StdRng, tables: &[&str]) -> Self {
        let extents = [Extent::Table, Extent::Table, Extent::KeyRange, Extent::Account];
        Self {
            extent: *extents.choose(rng).expect("some"),
            table: (*tables.choose(rng).expect("some")).to_owned(),
            reads: rng.random_bool(0.3),
            until: Instant::now() + Duration::from_millis(rng.random_range(300..9000)),
        }
    }

    /// A table accepts no writes until nothing goes wrong any more.
    pub fn outage(table: &str) -> Self {
        Self {
            extent: Extent::Table,
            table: table.to_owned(),
            reads: false,
            until: Instant::now() + OUTAGE,
        }
    }

    /// S3 serves nobody for a while.
    pub fn of_objects(rng: &mut StdRng) -> Self {
        Self {
            extent: Extent::Objects,
            table: "S3".to_owned(),
            reads: false,
            until: Instant::now() + Duration::from_millis(rng.random_range(1000..20_000)),
        }
    }

    /// Its kind, for the count of faults.
    pub fn kind(&self) -> &'static str {
        match self.extent {
            Extent::Table => "table throttled for seconds",
            Extent::KeyRange => "key range throttled for seconds",
            Extent::Account => "account throttled for seconds",
            Extent::Objects => "S3 throttled for seconds",
        }
    }

    /// Why it throttles a request, if it does.
    pub fn reason(&self, sort: Sort, body: &Json) -> Option<String> {
        match (self.extent, body.get("Bucket")) {
            (Extent::Objects, Some(_)) => return Some("SlowDown".to_owned()),
            (Extent::Objects, None) | (_, Some(_)) => return None,
            (_, None) => {}
        }
        let of_items = match sort {
            Sort::Read => self.reads,
            Sort::Write | Sort::Batch => !self.reads,
            Sort::Records | Sort::Control | Sort::Upload => false,
        };
        if !of_items || (self.extent != Extent::Account && !self.names_table(body)) {
            return None;
        }
        let limit = match self.extent {
            Extent::Table => "MaxOnDemandThroughputExceeded",
            Extent::KeyRange if is_in_range(body) => "KeyRangeThroughputExceeded",
            Extent::KeyRange => return None,
            Extent::Account => "AccountLimitExceeded",
            Extent::Objects => return None,
        };
        Some(format!(
            "Table{}{limit}",
            if self.reads { "Read" } else { "Write" }
        ))
    }

    fn names_table(&self, body: &Json) -> bool {
        let in_batch = || body["RequestItems"].get(&self.table).is_some();
        let in_statements = || {
            let text = format!("\"{}\"", self.table);
            let mut statements = body["Statements"].as_array().into_iter().flatten();
            statements.any(|one| one["Statement"].as_str().is_some_and(|one| one.contains(&text)))
        };
        body["TableName"] == self.table.as_str() || in_batch() || in_statements()
    }
}

/// What is throttled, without the moment: that is another one in each process.
impl fmt::Display for Throttling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.reads { "reads" } else { "writes" };
        write!(f, "{}: {what} of {}", self.kind(), self.table)
    }
}

/// Half of the requests are: by their key, their place or their items.
fn is_in_range(body: &Json) -> bool {
    let parts = ["Key", "Item", "ExclusiveStartKey", "RequestItems", "Statements"];
    let text: String = parts.iter().map(|part| body[*part].to_string()).collect();
    text.bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        % 2
        == 0
}

//! What a table serves in a second. Whoever asks for more is throttled, as an on-demand table of DynamoDB does it.

use super::call::Call;
use super::null::Answer;
use crate::tally::Count;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The rates of all tables, and what each of them has left.
#[derive(Debug)]
pub struct Throttle {
    /// Units a second: of reads, and of writes.
    rates: [Option<f64>; 2],
    left: Mutex<BTreeMap<(String, bool), Left>>,
}

#[derive(Debug)]
struct Left {
    units: f64,
    at: Instant,
}

impl Throttle {
    /// With so many units a second of each table; 0: any number.
    #[allow(clippy::cast_precision_loss)] // small numbers
    pub fn new(reads: Option<u64>, writes: Option<u64>) -> Self {
        let rate = |units: Option<u64>| units.filter(|units| *units > 0).map(|units| units as f64);
        Self {
            rates: [rate(reads), rate(writes)],
            left: Mutex::default(),
        }
    }

    /// An answer, or the one that the table has no units left. What a table serves at once is a second's units at most. The request that
    /// takes the last of them is served whole.
    #[allow(clippy::cast_precision_loss)] // units of a benchmark
    pub fn pass(&self, call: &Call, answer: Answer) -> Answer {
        let is_write = !call.writes.is_empty();
        let Some(rate) = self.rates[usize::from(is_write)] else {
            return answer;
        };
        let milliunits = match is_write {
            true => call.writes.iter().map(|write| write.milliunits).sum(),
            false => answer.count.read_milliunits,
        };
        let now = Instant::now();
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all
            .entry((call.table.clone(), is_write))
            .or_insert(Left { units: rate, at: now });
        left.units = rate.min(left.units + rate * (now - left.at).as_secs_f64());
        left.at = now;
        if left.units <= 0.0 {
            return Answer {
                status: 400,
                body: REFUSED.as_bytes().into(),
                count: Count::default(),
            };
        }
        left.units -= milliunits as f64 / 1000.0;
        answer
    }
}

const REFUSED: &str = concat!(
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","#,
    r#""message":"Throughput exceeds the current capacity of your table"}"#
);

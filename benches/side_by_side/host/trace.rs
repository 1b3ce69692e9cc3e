//! When marked items were written to the source, and when they came to a target: what a lag is.
//!
//! A writer puts [`MARK`] and a number into an item. Whatever writes it to a target, in whatever request, carries that text
//! along; both moments are seen here, by one clock.

use std::collections::BTreeMap;

/// What a mark begins with; eight digits follow.
pub const MARK: &str = "MARK#";
const DIGITS: usize = 8;

/// Moments by mark, in microseconds since the server began.
#[derive(Debug, Default)]
pub struct Trace {
    written: BTreeMap<String, u64>,
    arrived: BTreeMap<String, u64>,
}

impl Trace {
    /// Notes the marks of a write that was answered now.
    pub fn note(&mut self, source: bool, body: &[u8], now_us: u64) {
        let text = String::from_utf8_lossy(body);
        for (at, _) in text.match_indices(MARK) {
            let Some(mark) = text.get(at..at + MARK.len() + DIGITS) else {
                continue;
            };
            let moments = if source {
                &mut self.written
            } else {
                &mut self.arrived
            };
            moments.entry(mark.to_owned()).or_insert(now_us);
        }
    }

    /// Microseconds from each mark's write to its arrival; nothing for one that has not arrived.
    pub fn lags_us(&self) -> Vec<Option<u64>> {
        let lag = |(mark, written): (&String, &u64)| Some(self.arrived.get(mark)?.saturating_sub(*written));
        self.written.iter().map(lag).collect()
    }
}

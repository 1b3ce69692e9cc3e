//! Reads a shard's records from the ledger, in order.

use super::chain::Chain;
use super::error::LedgerError;
use super::object::LedgerObject;
use crate::model::{Position, RawRecord};

/// Records of a page, and bytes of their lines: as many as a page of the stream has.
const PAGE_RECORDS: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// Records of the ledger.
#[derive(Clone, Debug)]
pub struct LedgerPage {
    /// The place before the first record.
    pub from: Position,
    /// The place after the last one; [`Position::End`]: the shard ends here.
    pub to: Position,
    /// The records.
    pub records: Vec<RawRecord>,
    /// Each write before this time is in the chain up to `to`, if the page ends where its object does.
    pub complete_to_ms: Option<u64>,
}

/// Reads one shard. It keeps one object in memory.
#[derive(Debug)]
pub struct LedgerReader {
    chain: Chain,
    /// The object, the place of the last page's end, and the number of its next record.
    held: Option<(LedgerObject, Position, usize)>,
}

impl LedgerReader {
    /// Reads a chain.
    #[must_use]
    pub fn new(chain: Chain) -> Self {
        Self { chain, held: None }
    }

    /// The records after a place. There are some, or the page ends later than the place.
    ///
    /// # Errors
    /// If the chain does not have this place, or cannot be read.
    pub async fn read(&mut self, position: &Position) -> Result<LedgerPage, LedgerError> {
        let (object, mut n) = match self.held.take() {
            Some((object, at, n)) if at == *position && object.header.to > at => (object, n),
            Some((object, at, _)) if at == *position => (self.chain.next(&object.header).await?, 0),
            _ => (self.chain.holding(position).await?, 0),
        };
        let broken = |reason: String| LedgerError::Broken {
            name: format!("{:?} of shard {}", object.header.from, object.header.shard),
            reason,
        };
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut last = position.clone();
        while records.len() < PAGE_RECORDS && bytes < PAGE_BYTES {
            let Some(record) = object.record(n).map_err(broken)? else {
                break;
            };
            bytes += object.lines[n].len();
            n += 1;
            let place = Position::After(record.sequence.clone());
            if place <= last {
                continue;
            }
            last = place;
            records.push(record);
        }
        let is_end = n >= object.lines.len();
        let to = if is_end { object.header.to.clone() } else { last };
        let page = LedgerPage {
            from: position.clone(),
            complete_to_ms: is_end.then_some(object.header.complete_to_ms),
            to: to.clone(),
            records,
        };
        self.held = Some((object, to, n));
        Ok(page)
    }
}

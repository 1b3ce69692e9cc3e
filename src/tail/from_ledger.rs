//! Reads a shard from the ledger, in place of the stream, for a lane that is far behind.

use super::feed::Batch;
use crate::ledger::{About, Chain, LedgerError, LedgerReader};
use crate::model::Position;
use crate::source::lineage::ledger_lane;
use crate::source::{Read, Record, StreamSource};
use crate::state::ShardRecord;
use crate::worker::{Recorded, Split};

/// A lane that is complete only up to this long ago reads from the ledger, if the ledger has the records. The stream keeps them for a
/// few hours more, so a lane notices in time if the ledger is broken.
pub(super) const READ_LEDGER_MS: u64 = 20 * 60 * 60 * 1000;

/// What a lane took from the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// A batch, or nothing this time: the lane looks again.
    Batch,
    /// Nothing: the lane reads the stream.
    Nothing,
    /// Neither the ledger nor the stream has the records.
    Lost,
}

/// Reads one shard from the ledger.
pub(super) struct FromLedger {
    reader: LedgerReader,
    source: StreamSource,
    shard: String,
    /// The chain does not have what it should have: nothing is read from it.
    pub is_broken: bool,
}

impl FromLedger {
    /// `None`: the split has no ledger.
    pub fn new(split: &Split, source: &StreamSource, record: &ShardRecord) -> Option<Self> {
        Some(Self {
            reader: LedgerReader::new(Chain::of(split, &about(source, record))?),
            source: source.clone(),
            shard: record.shard.clone(),
            is_broken: false,
        })
    }

    /// Whether a lane at this place, which is complete up to this time, reads from the ledger.
    pub fn is_due(
        &self,
        record: &ShardRecord,
        recorded: &Recorded,
        (position, complete_to_ms): (&Position, u64),
        now_ms: u64,
    ) -> bool {
        let ledger = ledger_lane(record, recorded).and_then(|lane| record.lanes.get(&lane));
        let is_old = now_ms.saturating_sub(complete_to_ms) > READ_LEDGER_MS;
        let keeps = ledger.is_some_and(|kept| {
            kept.kept_from_ms.is_some_and(|from| from <= complete_to_ms) && *position < kept.position
        });
        is_old && keeps && !self.is_broken
    }

    /// The records after a place, as the stream would show them, and the time up to which the lane is complete after them.
    pub async fn read(&mut self, position: &Position) -> Result<(Batch, Option<u64>), LedgerError> {
        let page = self.reader.read(position).await?;
        let mut batch = Batch {
            from: page.from,
            to: page.to,
            records: Vec::with_capacity(page.records.len()),
            lines: Vec::new(),
            marker: None,
        };
        for raw in page.records {
            let read = Record::of(raw, self.source.keys(), self.source.generation());
            match read.map_err(|reason| LedgerError::Broken {
                name: format!("the objects of shard {}", self.shard),
                reason,
            })? {
                Read::Record(record) => batch.records.push(record),
                Read::Marker(marker) => batch.marker = Some(marker),
            }
        }
        Ok((batch, page.complete_to_ms))
    }
}

/// What the objects of a shard say of it.
pub(super) fn about(source: &StreamSource, record: &ShardRecord) -> About {
    About {
        stream: source.arn().to_owned(),
        shard: record.shard.clone(),
        parent: record.parent.clone(),
    }
}

//! What the lane that writes the ledger has read and not written yet.
//!
//! It keeps the records that it has read in memory until they are worth an object. So it reads ahead of its position, which moves
//! only when an object is in the bucket. It is never said to be complete beyond the oldest record that is not there yet.

use super::feed::Batch;
use crate::ledger::{About, Chain};
use crate::model::Position;
use crate::source::RecordLine;
use crate::state::LaneState;
use std::time::Duration;
use tokio::time::Instant;

/// Text of an object: the lane writes it when it has so much.
const OBJECT_BYTES: usize = 8 << 20;
/// The lane begins with records that are not older than this, if it begins where a shard may have trimmed some already: the rest of
/// the 24 hours is for reading them.
const CAPTURED_MS: u64 = 20 * 60 * 60 * 1000;
/// An engine may round creation times down by a minute.
pub(super) const ROUNDED_MS: u64 = 60_000;
/// Writes the ledger of one shard.
pub(super) struct LedgerLane {
    pub chain: Chain,
    pub about: About,
    pub split: String,
    pub table: String,
    /// An object is written when its oldest record has been in memory for so long.
    pub flush: Duration,
}

/// Records that are read and not in the bucket yet. Pure, except for the time of their arrival.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Where the first record of the next object follows.
    pub from: Position,
    /// Up to where the shard was read.
    pub to: Position,
    pub lines: Vec<RecordLine>,
    pub bytes: usize,
    /// When the first line came.
    pub since: Option<Instant>,
    pub newest_ms: Option<u64>,
    /// Older records are left out; `None`: none may be left out any more.
    pub oldest_ms: Option<u64>,
}

impl Buffer {
    pub fn at(state: &LaneState, now_ms: u64) -> Self {
        Self {
            from: state.position.clone(),
            to: state.position.clone(),
            lines: Vec::new(),
            bytes: 0,
            since: None,
            newest_ms: None,
            oldest_ms: state
                .kept_from_ms
                .is_none()
                .then(|| now_ms.saturating_sub(CAPTURED_MS)),
        }
    }

    /// Takes the records of a batch that come after what was read before.
    pub fn take(&mut self, batch: &Batch) {
        for line in &batch.lines {
            if Position::After(line.sequence.clone()) <= self.to {
                continue;
            }
            if self.lines.is_empty()
                && let (Some(oldest), Some(created)) = (self.oldest_ms, line.created_ms)
                && created < oldest
            {
                continue;
            }
            self.bytes += line.text.len() + 1;
            self.newest_ms = self.newest_ms.max(line.created_ms);
            self.lines.push(line.clone());
        }
        if batch.to > self.to {
            self.to = batch.to.clone();
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether something is not in the bucket yet.
    pub fn is_ahead(&self) -> bool {
        self.to > self.from
    }

    pub fn is_large(&self) -> bool {
        self.bytes >= OBJECT_BYTES || self.to == Position::End
    }

    /// The time up to which everything is in memory or in the bucket, given that up to which it is in the bucket.
    pub fn read_to_ms(&self, complete_to_ms: u64) -> u64 {
        match self.oldest_ms {
            Some(oldest) => self.newest_ms.unwrap_or(oldest).max(oldest),
            None => complete_to_ms.max(self.newest_ms.unwrap_or(0)),
        }
    }

    /// Another process began the chain in this shard. Its object says what the chain keeps: this process reads on from its end.
    pub fn begins_after(&mut self, to: &Position) {
        *self = Self {
            from: to.clone(),
            to: to.clone(),
            lines: Vec::new(),
            bytes: 0,
            since: None,
            newest_ms: None,
            oldest_ms: None,
        };
    }

    /// Everything up to a place is in the bucket.
    pub fn wrote(&mut self, to: &Position) {
        self.lines
            .retain(|line| Position::After(line.sequence.clone()) > *to);
        self.bytes = self.lines.iter().map(|line| line.text.len() + 1).sum();
        self.from = to.clone();
        self.to = self.to.clone().max(to.clone());
        self.oldest_ms = None;
        self.since = (self.to > self.from).then(Instant::now);
        self.newest_ms = self.lines.iter().filter_map(|line| line.created_ms).max();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SequenceNumber;

    const NOW: u64 = 10 * CAPTURED_MS;

    fn after(number: u64) -> Position {
        Position::After(SequenceNumber::new(&number.to_string()))
    }

    /// Records from one number to another, which were written at these times.
    fn batch(from: u64, times: &[u64]) -> Batch {
        let lines = times.iter().zip(from + 1..).map(|(at, number)| RecordLine {
            sequence: SequenceNumber::new(&number.to_string()),
            created_ms: Some(*at),
            text: format!("{number}"),
        });
        Batch {
            from: after(from),
            to: after(from + times.len() as u64),
            records: Vec::new(),
            lines: lines.collect(),
            marker: None,
        }
    }

    fn texts(buffer: &Buffer) -> Vec<&str> {
        buffer.lines.iter().map(|line| line.text.as_str()).collect()
    }

    fn begun(position: Position) -> LaneState {
        LaneState {
            kept_from_ms: Some(0),
            ..LaneState::starting(position, NOW)
        }
    }

    #[tokio::test]
    async fn a_ledger_that_begins_late_leaves_out_what_may_be_trimmed_before_it_is_read() {
        let mut buffer = Buffer::at(&LaneState::starting(Position::Beginning, NOW), NOW);
        let oldest = NOW - CAPTURED_MS;
        assert_eq!(
            buffer.read_to_ms(NOW),
            oldest,
            "the time of the capture says nothing"
        );
        buffer.take(&batch(0, &[oldest - 2, oldest - 1]));
        assert!(texts(&buffer).is_empty() && buffer.is_ahead(), "the place moves");
        buffer.take(&batch(2, &[oldest, oldest - 1, oldest + 5]));
        assert_eq!(texts(&buffer), ["3", "4", "5"], "only at the beginning");
        assert_eq!(buffer.read_to_ms(NOW), oldest + 5);
        buffer.wrote(&after(5));
        buffer.take(&batch(5, &[1]));
        assert_eq!(texts(&buffer), ["6"], "later, nothing is left out");
    }

    #[tokio::test]
    async fn an_object_of_another_process_counts_and_the_rest_is_written_after_it() {
        let mut buffer = Buffer::at(&begun(after(10)), NOW);
        buffer.take(&batch(8, &[NOW, NOW, NOW, NOW, NOW]));
        assert_eq!(
            texts(&buffer),
            ["11", "12", "13"],
            "a batch may begin before the place"
        );
        buffer.wrote(&after(12));
        assert_eq!((texts(&buffer), buffer.from.clone()), (vec!["13"], after(12)));
        assert!(buffer.is_ahead());
        buffer.wrote(&after(20));
        assert!(texts(&buffer).is_empty() && !buffer.is_ahead(), "it had more");
        assert_eq!(buffer.to, after(20));
        buffer.take(&batch(12, &[NOW; 10]));
        assert_eq!(texts(&buffer), ["21", "22"], "nothing is written twice");
    }

    #[tokio::test]
    async fn the_end_of_a_shard_and_eight_megabytes_are_written_at_once() {
        let mut buffer = Buffer::at(&begun(after(10)), NOW);
        buffer.take(&batch(10, &[NOW]));
        assert!(!buffer.is_large());
        buffer.lines[0].text = "x".repeat(OBJECT_BYTES);
        buffer.bytes = OBJECT_BYTES;
        assert!(buffer.is_large());
        buffer.wrote(&after(11));
        assert!(!buffer.is_large());
        buffer.take(&Batch {
            to: Position::End,
            ..batch(11, &[])
        });
        assert!(buffer.is_large() && buffer.is_ahead());
    }
}

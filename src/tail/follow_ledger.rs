//! The way of the lane that writes the ledger.

use super::feed::Next;
use super::lane::{Lane, Work};
use super::ledger_lane::{Buffer, LedgerLane, ROUNDED_MS};
use crate::fault::{self, Rule, broken};
use crate::flow::Stop;
use crate::ledger::{Appended, Header, LedgerError, LedgerObject};
use crate::model::Counters;
use crate::source::lineage::{age_gap, complete_to};
use crate::state::LaneState;
use std::time::Duration;

/// Between two attempts to write an object.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// A worker that ends gives its last object so long. The command has nine seconds after a signal.
const LAST_OBJECT: Duration = Duration::from_secs(3);

impl Lane {
    /// Reads the shard and writes its objects, until the shard is finished, records were lost, or the worker stops.
    pub(super) async fn follow_as_ledger(&mut self) -> Result<(), Stop> {
        let Some(state) = self.state() else { return Ok(()) };
        let mut buffer = Buffer::at(&state, self.split.now_ms());
        // It may begin hours before the other lanes, which must not wait for it.
        let mut is_alone = state.kept_from_ms.is_none();
        loop {
            if self
                .state()
                .is_none_or(|state| state.finished() || state.gap.is_some())
            {
                return Ok(());
            }
            let read_to_ms = buffer.read_to_ms(self.written_to_ms());
            let due = buffer.since.map(|since| since + self.flush_after());
            let is_due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let from_feed = async {
                match is_alone {
                    true => Next::Behind,
                    false => self.feed.next(&self.name, &buffer.to, read_to_ms).await,
                }
            };
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    self.write_last(&mut buffer).await;
                    return Ok(());
                }
                () = is_due => {
                    self.write(&mut buffer).await?;
                    continue;
                }
                next = from_feed => next,
            };
            let read = match next {
                Next::Lost(reason) => return self.lost(&mut buffer, reason).await,
                Next::Behind => match self.read_alone(&buffer.to.clone()).await? {
                    Some(batch) => Next::Batch(batch.into()),
                    None => {
                        is_alone = false;
                        Next::Behind
                    }
                },
                other => {
                    self.has_read();
                    other
                }
            };
            // As for every lane, after the read.
            if let Some(reason) = age_gap(read_to_ms, self.split.now_ms()) {
                return self.lost(&mut buffer, reason).await;
            }
            match read {
                Next::Batch(batch) => {
                    buffer.take(&batch);
                    if buffer.is_large() {
                        self.write(&mut buffer).await?;
                    }
                }
                // What was read before the shard was idle must be in the bucket first.
                Next::Idle(complete_ms) if !buffer.is_ahead() => self.kept_all(&mut buffer, complete_ms),
                Next::Idle(_) | Next::Behind | Next::Lost(_) => {}
            }
        }
    }

    fn ledger(&self) -> Option<&LedgerLane> {
        match &self.work {
            Work::Ledger(ledger) => ledger.as_deref(),
            _ => None,
        }
    }

    fn flush_after(&self) -> Duration {
        self.ledger().map_or(Duration::ZERO, |ledger| ledger.flush)
    }

    fn state(&self) -> Option<LaneState> {
        self.leased.snapshot().lanes.remove(&self.name)
    }

    /// The time up to which everything is in the bucket. In a shard that was not read yet, as far as its parent is.
    fn written_to_ms(&self) -> u64 {
        let record = self.leased.snapshot();
        complete_to(&record, &self.name, &self.recorded.borrow()).unwrap_or(0)
    }

    /// The stream has lost records that are in no object.
    async fn lost(&self, buffer: &mut Buffer, reason: String) -> Result<(), Stop> {
        self.write(buffer).await?;
        self.gap(reason);
        Ok(())
    }

    /// The shard has nothing that is not in the bucket.
    fn kept_all(&self, buffer: &mut Buffer, complete_to_ms: u64) {
        let kept_from_ms = buffer.oldest_ms.take().map(|oldest| oldest + ROUNDED_MS);
        self.leased.update_quietly(|record| {
            if let Some(state) = record.lanes.get_mut(&self.name) {
                state.complete_to_ms = match state.kept_from_ms {
                    Some(_) => state.complete_to_ms.max(complete_to_ms),
                    None => complete_to_ms,
                };
                state.kept_from_ms = state.kept_from_ms.or(kept_from_ms);
                state.saved_ms = self.split.now_ms();
                state.blocked = self.health.blocked();
            }
        });
    }

    /// A worker that ends writes what it has read, if that does not take long. Another worker would read it again.
    async fn write_last(&self, buffer: &mut Buffer) {
        let written = async {
            while buffer.is_ahead() {
                self.write_once(buffer).await?;
            }
            Ok::<(), LedgerError>(())
        };
        match tokio::time::timeout(LAST_OBJECT, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the last object of the ledger was not written; it is read again")
            }
            Err(_) => {
                tracing::warn!("the last object of the ledger was not written in time; it is read again")
            }
        }
    }

    /// Writes what was read, and tries again until it is in the bucket or the worker stops.
    async fn write(&self, buffer: &mut Buffer) -> Result<(), Stop> {
        let mut failed = false;
        while buffer.is_ahead() {
            let written = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                written = self.write_once(buffer) => written,
            };
            let Err(error) = written else { continue };
            // The other lanes of the shard do not wait for it.
            self.feed.detach(&self.name);
            self.health.block(format!("writing the ledger: {error}"));
            if !failed {
                tracing::warn!(%error, "the ledger could not be written; trying again");
            }
            failed = true;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AFTER_FAILURE) => {}
            }
        }
        if failed {
            self.health.clear();
            tracing::info!("the ledger is written again");
        }
        Ok(())
    }

    /// Writes an object, or takes over one that begins at the same place.
    async fn write_once(&self, buffer: &mut Buffer) -> Result<(), LedgerError> {
        let (Some(ledger), Some(state)) = (self.ledger(), self.state()) else {
            return Ok(());
        };
        let header = Header {
            ledger: Header::FORMAT,
            split: ledger.split.clone(),
            table: ledger.table.clone(),
            stream: ledger.about.stream.clone(),
            shard: ledger.about.shard.clone(),
            parent: ledger.about.parent.clone(),
            from: buffer.from.clone(),
            to: buffer.to.clone(),
            kept_from_ms: match buffer.oldest_ms {
                Some(oldest) => oldest + ROUNDED_MS,
                None => state.kept_from_ms.unwrap_or(0),
            },
            complete_to_ms: buffer.read_to_ms(self.written_to_ms()),
            records: buffer.lines.len() as u64,
            newest_ms: buffer.newest_ms,
        };
        let object = LedgerObject {
            header: header.clone(),
            lines: buffer.lines.iter().map(|line| line.text.clone()).collect(),
        };
        if broken(Rule::ObjectFirst) {
            self.move_to_end_of(&header);
        }
        let (header, is_own) = match ledger.chain.append(object).await? {
            Appended::Written => (header, true),
            Appended::Found(found) => (*found, false),
        };
        fault::moment("ledger.written").await;
        self.move_to_end_of(&header);
        // Records that this process left out as too old may be newer than the end of that object.
        match is_own || buffer.oldest_ms.is_none() {
            true => buffer.wrote(&header.to),
            false => buffer.begins_after(&header.to),
        }
        fault::moment("ledger.recorded").await;
        Ok(())
    }

    /// Moves the position to the end of an object that is in the bucket. If another process wrote it, its header says how far the chain
    /// is complete: what this process has read beyond that is in no object.
    fn move_to_end_of(&self, header: &Header) {
        self.leased.update(|record| {
            if let Some(state) = record.lanes.get_mut(&self.name)
                && header.to > state.position
            {
                state.position = header.to.clone();
                // Before the first object, the time is that of the capture, and says nothing.
                state.complete_to_ms = match state.kept_from_ms {
                    Some(_) => state.complete_to_ms.max(header.complete_to_ms),
                    None => header.complete_to_ms,
                };
                state.kept_from_ms = state.kept_from_ms.or(Some(header.kept_from_ms));
                state.last_record_ms = state.last_record_ms.max(header.newest_ms);
                state.fine_times |= header.newest_ms.is_some_and(|at| at % ROUNDED_MS != 0);
                state.saved_ms = self.split.now_ms();
                state.blocked = self.health.blocked();
                state.counters.add(&Counters {
                    seen: header.records,
                    ..Counters::default()
                });
            }
        });
    }
}

//! A lane that is far behind takes its records from the ledger.

use super::from_ledger::Taken;
use super::lane::{AFTER_FAILURE, Lane};
use crate::flow::Stop;
use crate::model::Position;
use crate::source::lineage::{age_gap, complete_to};
use tracing::Instrument as _;

impl Lane {
    /// Takes the next records from the ledger, if the lane is so far behind that it does not read the stream.
    pub(super) async fn take_from_ledger(&mut self, position: &Position) -> Result<Taken, Stop> {
        let record = self.leased.snapshot();
        let recorded = self.recorded.borrow().clone();
        let own_ms = complete_to(&record, &self.name, &recorded).unwrap_or(0);
        let now_ms = self.split.now_ms();
        let Some(ledger) = &mut self.from_ledger else {
            return Ok(Taken::Nothing);
        };
        if !ledger.is_due(&record, &recorded, (position, own_ms), now_ms) {
            return Ok(Taken::Nothing);
        }
        self.feed.detach(&self.name);
        let read = tokio::select! {
            biased;
            // The lane looks at that before it reads the stream.
            () = self.stop.cancelled() => return Ok(Taken::Nothing),
            read = ledger.read(position) => read,
        };
        let error = match read {
            Ok((batch, complete_to_ms)) => {
                self.has_read();
                let to = batch.to.clone();
                let span = self.span(&batch);
                self.take(&batch, position).instrument(span).await?;
                // The lane may have stopped before the end of the batch.
                let is_there = self.place().0 == to;
                if let Some(complete_to_ms) = complete_to_ms.filter(|_| is_there) {
                    self.complete(complete_to_ms);
                }
                return Ok(Taken::Batch);
            }
            Err(error) => error,
        };
        if let Some(reason) = error.broken() {
            ledger.is_broken = true;
            if let Some(age) = age_gap(own_ms, now_ms) {
                self.gap(format!("{age}, and {reason}"));
                return Ok(Taken::Lost);
            }
            tracing::error!(
                lane = self.name,
                shard = record.shard,
                reason,
                "reading the stream instead of the ledger"
            );
            return Ok(Taken::Nothing);
        }
        self.read_failed = true;
        self.health.block(format!("reading the ledger: {error}"));
        tracing::warn!(lane = self.name, %error, "reading the ledger again");
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(AFTER_FAILURE) => {}
        }
        Ok(Taken::Batch)
    }
}

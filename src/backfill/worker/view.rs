//! Where a backfill stands, as this process sees it.

use super::{Backfill, POLL, Running};
use crate::backfill::segment::FillShare;
use crate::backfill::segment_queue::SegmentQueue;
use crate::state::{BackfillRecord, Estimate, Limit, Order, SegmentRecord};
use crate::status::{FillStatus, duration, fill_status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::PoisonError;
use tokio::time::Instant;

/// Where a backfill stands, as this process sees it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BackfillView {
    /// The present phase, in a few words.
    pub phase: String,
    /// Which order was chosen, and why; empty before that.
    pub order_reason: String,
    /// By lane.
    pub lanes: Vec<FillStatus>,
    /// Items that were read.
    pub scanned: u64,
    /// Items that the source said to hold (about six hours old on AWS).
    pub estimated_items: u64,
    /// Read units used, in thousandths.
    pub read_milliunits: u64,
    /// The limits: of the source, of services by name, or of the segments at once.
    pub limits: BTreeMap<String, Limit>,
    /// How fast items are read, and how many are left.
    pub estimate: Option<Estimate>,
}

/// Why the order was chosen. A reason of earlier may name a forecast and a lag that are not true any more.
fn told_order(record: &BackfillRecord, began_ms: u64) -> String {
    match began_ms.saturating_sub(record.started_ms) {
        0 => record.order_reason.clone(),
        ms if record.order_reason.is_empty() => {
            format!("this continues the backfill that began {} ago", duration(ms))
        }
        ms => format!(
            "this continues the backfill that began {} ago, in the order that was chosen for it ({})",
            duration(ms),
            record.order_reason
        ),
    }
}

impl Backfill {
    pub(in crate::backfill) fn say(&self, phase: &str, record: &BackfillRecord) {
        tracing::info!(phase, "backfill");
        self.view.send_modify(|view| {
            phase.clone_into(&mut view.phase);
            view.limits.clear();
            view.estimate = None;
            view.estimated_items = record.estimated_items;
            view.order_reason = told_order(record, self.began_ms);
        });
    }

    /// Shows the limits of the sweep. Never ends.
    pub(super) async fn show_limits(&self) -> Infallible {
        loop {
            tokio::time::sleep(POLL).await;
            self.view.send_modify(|view| view.limits = self.budgets.limits());
        }
    }

    pub(super) fn show(
        &self,
        record: &BackfillRecord,
        queue: &SegmentQueue,
        running: &BTreeMap<u32, Running>,
        share: &FillShare,
    ) {
        let segments: Vec<SegmentRecord> = queue
            .records()
            .map(|known| {
                running
                    .get(&known.segment)
                    .map_or_else(|| known.clone(), |running| running.leased.snapshot())
            })
            .collect();
        let scanned = segments.iter().map(|segment| segment.scanned).sum();
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        // Items that were read and are not written yet count as remaining, too: when all are read, the remaining time
        // is unknown.
        let estimate = meter
            .estimate(scanned, record.estimated_items, Instant::now())
            .filter(|estimate| estimate.left > 0);
        self.view.send_replace(BackfillView {
            phase: match record.order {
                Order::Concurrent => "copying".into(),
                Order::Bulk => "copying in bulk".into(),
                Order::Import => "writing the items to S3".into(),
            },
            order_reason: told_order(record, self.began_ms),
            lanes: fill_status(&segments, &self.split.plan)
                .into_iter()
                // Nobody settles any while it runs.
                .map(|fill| FillStatus {
                    dead_letters: fill.counters.dead_letters,
                    ..fill
                })
                .collect(),
            scanned,
            estimate,
            estimated_items: record.estimated_items,
            read_milliunits: segments.iter().map(|segment| segment.read_milliunits).sum(),
            limits: share.limits(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backfill_that_is_continued_does_not_show_its_first_forecast_as_the_current_one() {
        let record = BackfillRecord {
            segments: 1,
            services: Vec::new(),
            round: Vec::new(),
            started_ms: 1000,
            before_ms: None,
            finished_ms: None,
            estimated_items: 0,
            order: Order::Bulk,
            order_reason: "bulk: about 12 min".into(),
            export: None,
            import: None,
        };
        assert_eq!(
            told_order(&record, 900),
            "bulk: about 12 min",
            "this process began it"
        );
        assert_eq!(
            told_order(&record, 251_000),
            "this continues the backfill that began 4m 10s ago, in the order that was chosen for it (bulk: about 12 min)"
        );
    }
}

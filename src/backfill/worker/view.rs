//! Where a backfill stands, as this process sees it.

use super::{Backfill, POLL, Running};
use crate::backfill::segment::FillShare;
use crate::backfill::segment_queue::SegmentQueue;
use crate::state::{BackfillRecord, Estimate, Limit, Order, SegmentRecord, ShardRecord};
use crate::status::{FillStatus, fill_status};
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

impl Backfill {
    pub(in crate::backfill) fn say(&self, phase: &str, record: &BackfillRecord) {
        tracing::info!(phase, "backfill");
        self.view.send_modify(|view| {
            phase.clone_into(&mut view.phase);
            view.limits.clear();
            view.estimate = None;
            view.estimated_items = record.estimated_items;
            view.order_reason.clone_from(&record.order_reason);
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
                Order::Bulk => "copying in bulk, with the lanes on hold".into(),
            },
            order_reason: record.order_reason.clone(),
            lanes: fill_status(&segments)
                .into_iter()
                .filter(|fill| fill.lane != ShardRecord::WATCH)
                .collect(),
            scanned,
            estimate,
            estimated_items: record.estimated_items,
            read_milliunits: segments.iter().map(|segment| segment.read_milliunits).sum(),
            limits: share.limits(),
        });
    }
}

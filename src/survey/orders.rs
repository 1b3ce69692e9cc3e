//! The orders of a backfill side by side: money, hours, requests, and what is in the way of each.

use super::costs::{EstimateLine, OrderEstimate, cents, rounded};
use super::view::Survey;
use crate::backfill::ImportForecast;
use crate::import::refuse_plan;
use crate::plan::{Plan, Prices};
use crate::state::Order;

/// Bytes that one request for a page reads at most.
const PAGE_BYTES: u64 = 1 << 20;
/// Items of one batch of writes.
const BATCH_ITEMS: u64 = 25;
/// Bytes of an object before compression.
const OBJECT_BYTES: u64 = 64 << 20;

/// What the orders are made of.
pub(super) struct Parts<'a> {
    pub read: &'a EstimateLine,
    pub writes: &'a [EstimateLine],
    pub sweep: &'a EstimateLine,
    /// Bytes of the source.
    pub source_bytes: u64,
    /// Items and bytes of each target.
    pub targets: Vec<(u64, u64)>,
    /// Hours of the wait before eventually consistent reads, in each order.
    pub wait_hours: f64,
    /// Hours of the slowest read or write.
    pub copy_hours: f64,
    /// Why `backfill` would not choose the bulk order.
    pub not_bulk: Option<String>,
}

/// The three orders.
pub(super) fn orders(plan: &Plan, survey: &Survey, parts: &Parts<'_>, prices: &Prices) -> Vec<OrderEstimate> {
    let pages = |bytes: u64| bytes.div_ceil(PAGE_BYTES);
    let reads = pages(parts.source_bytes);
    let batches: u64 = parts
        .targets
        .iter()
        .map(|(items, _)| items.div_ceil(BATCH_ITEMS))
        .sum();
    let sweeps: u64 = parts.targets.iter().map(|(_, bytes)| pages(*bytes)).sum();
    let writes = parts
        .writes
        .iter()
        .try_fold(0.0, |sum, line| Some(sum + line.dollars?));
    let with_writes = |more: f64| Some(cents(parts.read.dollars? + writes? + more));
    let json = |bytes: u64| ImportForecast::json_bytes(bytes);
    let all: u64 = parts.targets.iter().map(|(_, bytes)| json(*bytes)).sum();
    let most = parts.targets.iter().map(|(_, bytes)| json(*bytes)).max();
    let import_ms = ImportForecast::import_ms(most.unwrap_or(0));
    let read_hours = parts.read.hours.unwrap_or(0.0);
    #[allow(clippy::cast_precision_loss)] // an estimate
    let (import_hours, gigabytes) = (import_ms as f64 / 3_600_000.0, all as f64 / 1e9);
    let objects: u64 = parts
        .targets
        .iter()
        .map(|(_, bytes)| json(*bytes).div_ceil(OBJECT_BYTES))
        .sum();
    vec![
        OrderEstimate {
            order: Order::Concurrent,
            dollars: with_writes(parts.sweep.dollars.unwrap_or(0.0)),
            hours: rounded(parts.wait_hours + parts.copy_hours + parts.sweep.hours.unwrap_or(0.0)),
            requests: reads + batches + sweeps,
            lanes_wait: false,
            not_possible: None,
        },
        OrderEstimate {
            order: Order::Bulk,
            dollars: with_writes(0.0),
            hours: rounded(parts.wait_hours + parts.copy_hours),
            requests: reads + batches,
            lanes_wait: true,
            not_possible: parts.not_bulk.clone(),
        },
        OrderEstimate {
            order: Order::Import,
            dollars: parts
                .read
                .dollars
                .map(|read| cents(read + gigabytes * prices.import_per_gb)),
            hours: rounded(parts.wait_hours + read_hours + import_hours),
            // Each object is written and copied.
            requests: reads + 2 * objects,
            lanes_wait: true,
            not_possible: not_import(plan, survey, read_hours, import_ms),
        },
    ]
}

/// What is in the way of the import order, as far as it is known now.
fn not_import(plan: &Plan, survey: &Survey, read_hours: f64, import_ms: u64) -> Option<String> {
    if plan.s3.is_none() {
        return Some("the plan has no section `s3`".into());
    }
    if let Err(error) = refuse_plan(plan, "an import cannot make every table", "use another order") {
        return Some(error.to_string().replace("\n  - ", " "));
    }
    let mut services = plan.services.iter();
    if let Some(service) = services.find(|service| survey.throughput(&service.name).is_some()) {
        return Some(format!(
            "the table {} exists, and an import makes new tables",
            service.table.name
        ));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    let read_ms = (read_hours * 3_600_000.0) as u64;
    let is_late = ImportForecast::is_too_late(read_ms, import_ms);
    is_late
        .then(|| "an import may take twice as long, and the lanes could not catch up within 24 hours".into())
}

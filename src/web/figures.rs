//! The metrics of a split, from its status. Pure.

use super::metrics as metric;
use super::samples::Samples;
use crate::model::Counters;
use crate::state::Limit;
use crate::status::{EventsStatus, LaneStatus, LedgerStatus, SplitStatus};
use serde_json::Value;
use std::collections::BTreeMap;

/// All samples of a process that has just read the state of its split; `None`: it could not.
#[must_use]
pub fn samples(status: Option<&SplitStatus>) -> Samples {
    let mut samples = Samples::default();
    of_process(&mut samples, status.is_some(), status.map(|_| 0));
    if let Some(status) = status {
        of_split(&mut samples, status);
    }
    samples
}

/// Of this process: its version, and whether it could read the state. `age_ms` is the age of the figures of the split.
pub fn of_process(samples: &mut Samples, is_readable: bool, age_ms: Option<u64>) {
    samples.count(&metric::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1);
    samples.count(&metric::STATE_READABLE, &[], u64::from(is_readable));
    if let Some(age_ms) = age_ms {
        samples.thousandths(&metric::STATE_AGE, &[], age_ms);
    }
}

/// Of the split.
pub fn of_split(samples: &mut Samples, status: &SplitStatus) {
    let split = status.split.as_str();
    for lane in &status.lanes {
        of_lane(samples, split, lane);
    }
    for (service, count) in &status.dead_letters {
        samples.count(&metric::DEAD_LETTERS, &[split, service], *count);
    }
    if let Some(ledger) = &status.ledger {
        of_ledger(samples, split, ledger);
    }
    for events in &status.events {
        of_events(samples, split, events);
    }
    samples.count(&metric::RECHECKS, &[split], status.rechecks);
    of_backfill(samples, status);
    of_verify(samples, status);
    let mut workers: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for worker in &status.workers {
        let state = if worker.overdue { "overdue" } else { "alive" };
        *workers.entry((&worker.kind, state)).or_default() += 1;
    }
    for ((kind, state), count) in workers {
        samples.count(&metric::WORKERS, &[split, kind, state], count);
    }
    samples.count(&metric::PHASE, &[split, &word(&status.phase)], 1);
    let mut obstacles: BTreeMap<String, u64> = BTreeMap::new();
    for obstacle in &status.obstacles {
        *obstacles.entry(word(&obstacle.kind)).or_default() += 1;
    }
    for (kind, count) in obstacles {
        samples.count(&metric::OBSTACLES, &[split, &kind], count);
    }
    of_limits(samples, status);
}

fn of_lane(samples: &mut Samples, split: &str, lane: &LaneStatus) {
    let labels: &[&str] = &[split, &lane.lane];
    if let Some(left_ms) = lane.time_left_ms() {
        samples.thousandths(&metric::STREAM_TIME_LEFT, labels, left_ms);
    }
    if let Some(lag_ms) = lane.shown_lag_ms.filter(|_| lane.open_shards > 0) {
        samples.thousandths(&metric::LANE_LAG, labels, lag_ms);
    }
    if let Some(age_ms) = lane.checkpoint_age_ms {
        samples.thousandths(&metric::LANE_CHECKPOINT_AGE, labels, age_ms);
    }
    samples.count(&metric::LANE_OPEN_SHARDS, labels, lane.open_shards as u64);
    samples.count(&metric::LANE_GAP, labels, u64::from(lane.gap.is_some()));
    samples.count(&metric::LANE_BLOCKED, labels, u64::from(lane.blocked.is_some()));
    let Counters {
        seen,
        write_milliunits,
        ..
    } = lane.counters;
    samples.count(&metric::LANE_RECORDS, labels, seen);
    for (outcome, count) in [
        ("put", lane.counters.put),
        ("removed", lane.counters.removed),
        ("superseded", lane.counters.superseded),
        ("unchanged", lane.counters.unchanged),
        ("dead-letter", lane.counters.dead_letters),
    ] {
        samples.count(&metric::LANE_CHANGES, &[split, &lane.lane, outcome], count);
    }
    samples.thousandths(&metric::LANE_WRITE_UNITS, labels, write_milliunits);
    for (service, late) in &lane.late {
        samples.count(&metric::LATE_CHANGES, &[split, service], late.count);
    }
}

fn of_events(samples: &mut Samples, split: &str, events: &EventsStatus) {
    let labels: &[&str] = &[split, &events.service];
    if let Some(lag_ms) = events.lag_ms {
        samples.thousandths(&metric::EVENTS_LAG, labels, lag_ms);
    }
    if let Some(left_ms) = events.time_left_ms {
        samples.thousandths(&metric::EVENTS_TIME_LEFT, labels, left_ms);
    }
    if let Some(sent) = events.sent {
        samples.count(&metric::EVENTS_SENT, labels, sent);
    }
    samples.count(&metric::EVENTS_DEAD_LETTERS, labels, events.dead_letters);
    samples.count(&metric::EVENTS_GAP, labels, u64::from(events.gap.is_some()));
    samples.count(
        &metric::EVENTS_BLOCKED,
        labels,
        u64::from(events.blocked.is_some()),
    );
}

fn of_ledger(samples: &mut Samples, split: &str, ledger: &LedgerStatus) {
    let labels: &[&str] = &[split];
    if let Some(lag_ms) = ledger.lag_ms {
        samples.thousandths(&metric::LEDGER_LAG, labels, lag_ms);
    }
    if let Some(left_ms) = ledger.time_left_ms {
        samples.thousandths(&metric::LEDGER_TIME_LEFT, labels, left_ms);
    }
    samples.count(&metric::LEDGER_RECORDS, labels, ledger.records);
    samples.count(&metric::LEDGER_GAP, labels, u64::from(ledger.gap.is_some()));
    let is_blocked = u64::from(ledger.blocked.is_some());
    samples.count(&metric::LEDGER_BLOCKED, labels, is_blocked);
}

fn of_backfill(samples: &mut Samples, status: &SplitStatus) {
    let split = status.split.as_str();
    let Some(record) = &status.backfill_record else {
        return;
    };
    samples.count(&metric::BACKFILL_ITEMS_READ, &[split], status.scanned);
    samples.count(
        &metric::BACKFILL_ITEMS_ESTIMATED,
        &[split],
        record.estimated_items,
    );
    samples.thousandths(&metric::BACKFILL_READ_UNITS, &[split], status.read_milliunits);
    for fill in &status.backfill {
        let labels: &[&str] = &[split, &fill.lane];
        samples.count(&metric::BACKFILL_SEGMENTS, labels, fill.segments.into());
        samples.count(&metric::BACKFILL_SEGMENTS_DONE, labels, fill.segments_done.into());
        samples.thousandths(
            &metric::BACKFILL_WRITE_UNITS,
            labels,
            fill.counters.write_milliunits,
        );
        for (outcome, count) in [
            ("put", fill.counters.put),
            ("superseded", fill.counters.superseded),
            ("unchanged", fill.counters.unchanged),
            ("left-behind", fill.counters.left_behind),
            ("dead-letter", fill.counters.dead_letters),
        ] {
            samples.count(&metric::BACKFILL_ITEMS, &[split, &fill.lane, outcome], count);
        }
    }
}

fn of_verify(samples: &mut Samples, status: &SplitStatus) {
    let split = status.split.as_str();
    let Some(verify) = &status.verify else { return };
    samples.count(&metric::VERIFY_CLEAN, &[split], u64::from(verify.clean));
    let age_ms = status.read_ms.saturating_sub(verify.ended_ms);
    samples.thousandths(&metric::VERIFY_AGE, &[split], age_ms);
    for (service, found) in &verify.services {
        let others = [("unsettled", found.unsettled), ("invalid", found.invalid)];
        let classes = found
            .mismatches
            .iter()
            .map(|(class, count)| (class.as_str(), *count));
        for (class, count) in classes.chain(others) {
            samples.count(&metric::VERIFY_MISMATCHES, &[split, service, class], count);
        }
    }
}

fn of_limits(samples: &mut Samples, status: &SplitStatus) {
    // Several processes may have the same limit: one sample for all of them.
    let mut told: Vec<[String; 4]> = Vec::new();
    for limit in &status.limits {
        let labels = [
            limit.command.clone(),
            limit.of.clone(),
            by(&limit.limit),
            limit.limit.throttling_reason().to_owned(),
        ];
        if !told.contains(&labels) {
            told.push(labels);
        }
    }
    for [command, part, by, reason] in &told {
        samples.count(&metric::LIMIT, &[&status.split, command, part, by, reason], 1);
    }
}

/// The word of a limit in JSON, which is an interface already.
fn by(limit: &Limit) -> String {
    match serde_json::to_value(limit) {
        Ok(Value::Object(fields)) => fields
            .get("by")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    }
}

/// The word of a value in JSON.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

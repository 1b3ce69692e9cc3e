//! An engine on which everything goes wrong now and then, and each thing at least once: a run that met no fault proves
//! nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::faulty::{Fault, FaultKind, Faulty, Gate, Landing, Loss, Rule, SILENT, Script};

/// What happens for certain.
const CERTAIN: [FaultKind; 11] = [
    FaultKind::Throttled,
    FaultKind::ServerError,
    FaultKind::GatewayError,
    FaultKind::HungUp,
    FaultKind::Silent,
    FaultKind::LandedUnanswered,
    FaultKind::LandedLate,
    FaultKind::Held,
    FaultKind::Unprocessed,
    FaultKind::ExpiredIterator,
    FaultKind::StreamLimit,
];
/// What else may happen.
const POSSIBLE: [FaultKind; 6] = [
    FaultKind::EmptyPage,
    FaultKind::StalePage,
    FaultKind::StaleItem,
    FaultKind::Rolled,
    FaultKind::Split,
    FaultKind::NoChange,
];
/// Single writes: any part of a split has many.
const WRITES: [&str; 2] = ["PutItem", "UpdateItem"];
const BATCHES: [&str; 2] = ["BatchWriteItem", "BatchExecuteStatement"];
const READS: [&str; 1] = ["GetRecords"];
/// So many requests lie between two faults that are certain, so that no request meets all of them.
const APART: u64 = 10;
/// A small table is few batches.
const BATCHES_BEFORE: u64 = 2;

/// [`Script::random_faults`], with one of each fault in any case. `late` is as there.
pub fn script(seed: u64, late: Duration) -> Script {
    let later = Gate::Between(Duration::from_millis(50), late.min(SILENT));
    let soon = Gate::Between(Duration::from_millis(5), Duration::from_millis(250));
    let of_writes = [
        Fault::ThrottledSomehow,
        Fault::server_error(500),
        Fault::Lost(Loss::Gateway(502), Landing::Before),
        Fault::Lost(Loss::HangUp, Landing::Before),
        Fault::silent_after_landing(),
        Fault::late(later),
        Fault::Held(soon),
    ];
    let of_reads = [Fault::ExpiredIterator, Fault::StreamLimit];
    let mut script =
        Script::random_faults(seed, late).rule(once(Fault::Unprocessed).on(&BATCHES).skip(BATCHES_BEFORE));
    for (place, fault) in (1u64..).zip(of_writes) {
        script = script.rule(once(fault).on(&WRITES).skip(place * APART));
    }
    for (place, fault) in (1u64..).zip(of_reads) {
        script = script.rule(once(fault).on(&READS).skip(place * APART));
    }
    script
}

fn once(fault: Fault) -> Rule {
    Rule::new(fault).times(1)
}

/// Waits, while writers write, until each fault has struck and a shard has rolled or split; for so long at most.
pub async fn until_struck(faults: &Faulty, patience: Duration) {
    let began = Instant::now();
    while !missing(faults).is_empty() && began.elapsed() < patience {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// # Panics
/// Where a fault has not struck, or no shard has rolled or split.
pub fn assert_struck(faults: &Faulty) {
    let missing = missing(faults);
    assert!(
        missing.is_empty(),
        "this did not happen: {}; this did: {}",
        missing.join(", "),
        faults.told()
    );
}

/// How often each thing happened.
pub fn counts(faults: &Faulty) -> BTreeMap<FaultKind, u64> {
    let kinds = CERTAIN.into_iter().chain(POSSIBLE);
    kinds.map(|kind| (kind, faults.count(kind))).collect()
}

fn missing(faults: &Faulty) -> Vec<String> {
    let never = |kind: &FaultKind| faults.count(*kind) == 0;
    let mut missing: Vec<String> = CERTAIN
        .iter()
        .filter(|kind| never(kind))
        .map(|kind| format!("{kind:?}"))
        .collect();
    if [FaultKind::Rolled, FaultKind::Split].iter().all(never) {
        missing.push("Rolled or Split".to_owned());
    }
    missing
}

//! The failpoints of the product, and which tests let processes die there.

use dynasplit::fault::{MOMENTS, REQUESTS};

/// How the names begin of those of cutovers and of what follows them: `tests/cutover` and `tests/reverse` let processes die there.
const OF_CUTOVERS: [&str; 8] = [
    "cutover.",
    "rollback.",
    "reverse.",
    "fence.",
    "marker.",
    "state.cutover",
    "prune.",
    "state.prune",
];

/// How the names begin of those of notifications: `tests/cli` lets processes die there.
const OF_NOTIFICATIONS: [&str; 2] = ["notify.", "state.notify."];

/// How the names begin of those of events: `tests/cli` lets processes die there.
const OF_EVENTS: &str = "events.";

/// Whether a failpoint is one of events.
pub fn is_of_events(point: &str) -> bool {
    point.starts_with(OF_EVENTS)
}

/// Whether a failpoint is one of notifications.
pub fn is_of_notifications(point: &str) -> bool {
    OF_NOTIFICATIONS.iter().any(|of| point.starts_with(of))
}

/// Whether a failpoint is one of cutovers.
pub fn is_of_cutovers(point: &str) -> bool {
    OF_CUTOVERS.iter().any(|of| point.starts_with(of))
}

/// Every failpoint: both sides of each request, and each moment.
pub fn points() -> impl Iterator<Item = String> {
    let requests = REQUESTS
        .iter()
        .flat_map(|name| ["before", "after"].map(|side| format!("{name}.{side}")));
    requests.chain(MOMENTS.iter().map(|name| (*name).to_owned()))
}

/// Whether a failpoint is one of the ledger, where `faults::ledger` kills processes.
pub fn is_of_ledger(point: &str) -> bool {
    point.starts_with("ledger.")
}

/// Whether a failpoint is one of a large fleet, of which the simulation kills processes (`fleet`).
pub fn is_of_fleets(point: &str) -> bool {
    point.starts_with("state.copied.")
}

/// Whether a failpoint is one of a heal, where `faults::heal` kills processes.
pub fn is_of_heal(point: &str) -> bool {
    point.starts_with("heal.") || point.starts_with("state.heal.")
}

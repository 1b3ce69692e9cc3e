//! Repairs of single keys: the tombstone switch, the hold of a bulk copy, rechecks, dead letters, and the lease that
//! allows one repair at a time.

mod dead_letters;
mod hold;
mod reconcile;
mod repair_lease;
mod tombstone_switch;
mod tombstones;

pub use dead_letters::{SettledDeadLetter, discard_dead_letters, reconcile_dead_letters};
pub(crate) use hold::{free, give_up, hold};
pub(crate) use reconcile::{Reconciled, Reconciler};
pub(crate) use repair_lease::{RepairLease, backfill_runs, refuse_unready};
pub use repair_lease::{RepairRecord, repair_runs};
pub(crate) use tombstone_switch::{Holder, acknowledged, refuse_switched_since, workers_gone};
pub(crate) use tombstones::{lower, raise, sweep_of};

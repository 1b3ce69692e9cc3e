//! Repairs of single keys: the tombstone switch, the hold of a bulk copy, rechecks, dead letters, and the lease that
//! allows one repair at a time.

mod acknowledgement;
mod hold;
mod landing;
mod reconcile;
mod repair_lease;
mod replay_ledger;
mod settle_dead_letters;
mod tombstone_switch;

pub(crate) use acknowledgement::{Holder, acknowledged, refuse_fenced, refuse_switched_since, workers_gone};
pub(crate) use hold::{bulk_landed, free, give_up, hold};
pub(crate) use reconcile::{Reconciled, Reconciler, settled_proven};
pub(crate) use repair_lease::{RepairLease, backfill_runs, copied_now, refuse_uncopied, refuse_unready};
pub use repair_lease::{RepairRecord, repair_runs};
pub use replay_ledger::{LeftKey, Replayed, replay_ledger};
pub use settle_dead_letters::{SettledDeadLetter, discard_dead_letters, reconcile_dead_letters};
pub(crate) use tombstone_switch::{sweep_of, switch_off, switch_on};

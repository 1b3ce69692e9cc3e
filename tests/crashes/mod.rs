//! Torture: real processes are killed at every failpoint, stopped for longer than their leases, started twice, and lose
//! requests, while writers go on; at the end every target is exactly what it should be, and `complete` leaves nothing of
//! the product's own behind.
//!
//! - [`every`] kills at each failpoint of the product at least once, in order.
//! - [`chaos`] does what a seed says: by the clock in an ordinary run. `docs/testing.md` says how to repeat one, and how
//!   to run it for hours.
//! - [`late_workers`] and [`lineage`]: workers that come, or wake up, when they must not write any more; a child shard that must
//!   not begin before its parent's end is durable; writes under way when a lane stops.
//! - [`lost_repair_lease`]: one whose lease another took while a write of it stood still.
//! - [`concurrent`]: several commands need tombstones, and each one releases only its own hold.
//! - [`signals`]: told to stop, and held up.
mod backups;
mod chaos;
mod concurrent;
mod deaths;
mod every;
mod exporting;
mod late_workers;
mod lineage;
mod lost_repair_lease;
mod process_group;
mod report;
mod reserved_items;
mod scene;
mod signals;

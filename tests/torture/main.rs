//! Torture: real processes are killed at every failpoint, stopped for longer than their leases, started twice, and lose
//! requests, while writers go on; at the end every target is exactly what it should be, and `complete` leaves nothing of
//! the product's own behind.
//!
//! - [`every`] kills at each failpoint of the product at least once, in order.
//! - [`chaos`] does what a seed says: by the clock in an ordinary run. `docs/testing.md` says how to repeat one, and how
//!   to run it for hours.
//! - [`late`] and [`lineage`]: workers that come, or wake up, when they must not write any more; a child shard that must
//!   not begin before its parent's end is durable; writes under way when a lane stops.
//! - [`overtaken`]: one whose lease another took while a write of it stood still.
//! - [`beside`]: several who need tombstones, and what each of them lets go of.
//! - [`signals`]: told to stop, and held up.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod backups;
mod beside;
mod chaos;
mod crew;
mod deaths;
mod every;
mod late;
mod lineage;
mod overtaken;
mod own;
mod report;
mod scene;
mod signals;

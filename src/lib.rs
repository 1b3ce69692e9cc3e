//! Splits a live DynamoDB table into one table per service, and proves that the copies are exact.
//!
//! What it does is told in `README.md` and `docs/`; this is the map of the code. One thing flows through it, a
//! [`model::Change`]: a write of the source, read from its stream or found by a scan. Every change takes the same path:
//!
//! ```text
//! run::tail, run::backfill     read     stream records and scanned pages  -> Change
//! flow::route, flow::transform what each service should hold of it        -> Desired
//! flow::guard                  when the write may land                    -> Write
//! target::TargetWriter         write, again and again until it is answered
//! state                        checkpoint, last of all
//! ```
//!
//! **Read [`flow::apply()`] first**: it is that path, as one function. [`flow::effects()`] is the rules, as another. Then
//! `docs/protocol.md` says why they hold.
//!
//! The modules in the order of the flow:
//!
//! - [`plan`]: the plan file, its check, and the checked form that everything runs on. Pure.
//! - [`source`]: the live table and its stream, read; the lineage of shards. Never writes an item.
//! - [`model`]: plain data, which all others share.
//! - [`flow`]: route, transform, guard, apply. No AWS types, no clock; reaches out through two traits.
//! - [`target`]: the services' tables: created, compared, written under guards, swept.
//! - [`state`]: what must outlive a process: checkpoints, leases, the tombstone switch, dead letters.
//! - [`run`]: what runs: the tail, the backfill, verification, repairs, and the steps that begin and end a split.
//! - [`verify`]: the comparison of both sides, in bounded memory, and the verdict on what differs. Shares nothing with the
//!   write path but [`flow::desired`].
//! - [`dynamo`]: clients, value conversion, the one reading of AWS's errors, budgets and timing.
//! - [`rehearse`]: an embedded engine, sample data and live writers, for a split without AWS.
//! - [`fault`]: named failpoints for the tests, which an ordinary build leaves out.
//! - [`cli`]: the command line. Only it talks to the user.

pub mod cli;
pub mod dynamo;
pub mod fault;
pub mod flow;
pub mod model;
pub mod plan;
pub mod rehearse;
pub mod run;
pub mod source;
pub mod state;
pub mod target;
pub mod verify;

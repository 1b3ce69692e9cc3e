//! Splits a live DynamoDB table into one table per service, and proves that the copies are exact.
//!
//! What it does is told in `README.md` and `docs/`; this is the map of the code. One thing flows through it, a
//! [`model::Change`]: a write of the source, read from its stream or found by a scan. Every change takes the same path:
//!
//! ```text
//! tail, backfill               read     stream records and scanned pages  -> Change
//! flow::route, flow::transform what each service should hold of it        -> Desired
//! flow::guard                  when the write may land                    -> Write
//! target::TargetWriter         write, again and again until it is answered
//! state                        checkpoint, last of all
//! ```
//!
//! **Read [`flow::apply()`] first**: it is that path, as one function. [`flow::effects()`] is the rules, as another. Then
//! `docs/protocol.md` says why they hold.
//!
//! The rooms, from the top to the bottom. A room imports only what stands below it, and a test holds that:
//!
//! - [`cli`]: arguments, one command per file, progress, tables, JSON, exit codes. Only it talks to the user.
//! - [`rehearse`]: an embedded engine, sample data and live writers, for a split without AWS.
//! - [`survey`]: what `plan` learns from the live source.
//! - [`verify`]: the comparison of both sides while writes go on, and its repairs; [`verify::compare`] is its pure part.
//! - [`backfill`]: copies what exists into all services' tables at once.
//! - [`tail`]: follows the stream and applies it, lane by lane.
//! - [`lifecycle`]: the steps that begin and end a split: apply, restart, switch, complete, abandon.
//! - [`repair`]: the tombstone switch, the hold of a bulk copy, rechecks, dead letters, and the reconciling of one key.
//! - [`status`]: the state of the split, computed from its records.
//! - [`worker`]: what every running process shares: clients, checks, heartbeats, leased records, budgets, errors.
//! - [`target`]: the services' tables: created, compared, written under guards, swept.
//! - [`source`]: the live table and its stream, read; the lineage of shards. It never writes an item.
//! - [`state`]: what must outlive a process: checkpoints, leases, the tombstone switch, dead letters.
//! - [`dynamo`]: clients, value conversion, the one reading of AWS's errors, budgets and timing.
//! - [`flow`]: route, transform, guard, apply. No AWS types, no clock; it reaches out through two traits.
//! - [`plan`]: the plan file, its check, and the checked form that everything runs on. Pure.
//! - [`model`]: plain data, which all others share.
//! - [`fault`]: named failpoints, and rules that a test can leave out. An ordinary build contains neither.

pub mod backfill;
pub mod cli;
pub mod dynamo;
pub mod fault;
pub mod flow;
pub mod lifecycle;
pub mod model;
pub mod plan;
pub mod rehearse;
pub mod repair;
pub mod source;
pub mod state;
pub mod status;
pub mod survey;
pub mod tail;
pub mod target;
pub mod verify;
pub mod worker;

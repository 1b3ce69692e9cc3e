//! Splits a live DynamoDB table into one table per service, and proves that the copies are exact.
//!
//! `README.md` and `docs/` describe what it does; this is the map of the code. The unit of its work is a
//! [`model::Change`]: a write of the source, read from its stream or found by a scan. Every change takes the same path:
//!
//! ```text
//! tail, backfill               read     stream records and scanned pages  -> Change
//! flow::route, flow::transform the item that each service should hold     -> Desired
//! flow::guard                  when the write may land                    -> Write
//! target::TargetWriter         write, and repeat until it is answered
//! state                        checkpoint, last of all
//! ```
//!
//! **Read [`flow::apply()`] first**: it is this path, as one function. [`flow::effects()`] contains the rules.
//! `docs/protocol.md` explains them.
//!
//! The rooms, from the top to the bottom. A room imports only rooms below it, and a test checks this:
//!
//! - [`cli`]: arguments, one command per file, progress, tables, JSON, exit codes. Only it talks to the user.
//! - [`rehearse`]: an embedded engine, sample data and live writers, for a split without AWS.
//! - [`telemetry`]: metrics and traces for OpenTelemetry, and metrics in the format of CloudWatch.
//! - [`web`]: metrics, health and a live page of a split over HTTP. It changes nothing.
//! - [`report`]: the state of a split as one HTML page. Pure.
//! - [`notify`]: tells topics, event buses and webhooks what happens to a split.
//! - [`survey`]: reads the live source for `plan`.
//! - [`draft`]: a first plan from a sample of items, for `init`. Pure.
//! - [`offline_split`]: splits a table whose writers are stopped: export, shape, import, compare, with a journal in S3.
//! - [`offline`]: splits exported items into files that DynamoDB imports, without AWS.
//! - [`infrastructure`]: the plan as documents for CloudFormation, Terraform and IAM. Pure.
//! - [`cutover`]: moves the writers of a service to its own table, and back: fence, drain, close, pin, switch, rollback.
//! - [`verify`]: the comparison of both sides while writes continue, and its repairs; [`verify::compare`] is its pure part.
//! - [`backfill`]: copies existing items into all services' tables at once.
//! - [`heal`]: heals gaps of the stream: reads the keys again that incremental exports name.
//! - [`tail`]: follows the stream and applies it, lane by lane.
//! - [`lifecycle`]: the steps that begin and end a split: apply, restart, switch, complete, abandon.
//! - [`repair`]: the tombstone switch, the hold of a bulk copy, rechecks, dead letters, and the reconciling of one key.
//! - [`status`]: the state of the split, computed from its records.
//! - [`events`]: documents of events about items, and their way to a queue, a topic or an event bus.
//! - [`ledger`]: every record of the source's stream in objects of a bucket: their chain, and what they keep.
//! - [`import`]: one import of a service's table: requested, found again, waited for, finished.
//! - [`worker`]: the common part of all running processes: clients, checks, heartbeats, leased records, budgets, errors.
//! - [`fence`]: stops the writers of a service for a cutover: runs the hooks of the plan.
//! - [`publish`]: sends messages to topics, queues and event buses.
//! - [`target`]: the services' tables: created, compared, written under guards, swept.
//! - [`source`]: the live table and its stream, read; the lineage of shards. It never writes an item.
//! - [`state`]: the state that outlives a process: checkpoints, leases, the tombstone switch, dead letters.
//! - [`s3`]: exports of the source: their manifests, checksums and data files, read.
//! - [`dynamo`]: clients, value conversion, the one reading of AWS's errors, budgets and timing.
//! - [`flow`]: route, transform, guard, apply. No AWS types, no clock; it reaches out through two traits.
//! - [`plan`]: the plan file, its check, and the checked plan. Pure.
//! - [`model`]: plain data, which all others share.
//! - [`fault`]: named failpoints, and rules that a test can leave out. An ordinary build contains neither.

// What only a missing part uses is not used.
#![cfg_attr(
    not(all(feature = "messages", feature = "otlp", feature = "rehearse", feature = "s3")),
    allow(dead_code, unused_imports)
)]

pub mod backfill;
pub mod cli;
pub mod cutover;
pub mod draft;
pub mod dynamo;
pub mod events;
pub mod fault;
pub mod fence;
pub mod flow;
pub mod heal;
pub mod import;
pub mod infrastructure;
pub mod ledger;
pub mod lifecycle;
pub mod model;
pub mod notify;
pub mod offline;
pub mod offline_split;
pub mod plan;
pub mod publish;
#[cfg(feature = "rehearse")]
pub mod rehearse;
pub mod repair;
pub mod report;
pub mod s3;
pub mod source;
pub mod state;
pub mod status;
pub mod survey;
pub mod tail;
pub mod target;
pub mod telemetry;
pub mod verify;
pub mod web;
pub mod worker;

//! The protocol, explored state by state: small models of the tail, the backfill, the switch, repairs, leases and the
//! lineage of shards, with every interleaving of their steps and with crashes on each side.
//!
//! The models hold no copy of the rules: what a change writes, whether a guard lets it land, when the switch turns and
//! whom it waits for, which shard may be read, are the product's own functions. Each model states its bounds, and each
//! rule of the protocol is a switch: with it off, the checker must find what goes wrong, and tells it as a story
//! (`cargo test --test model -- --nocapture`).
//!
//! With `DYNASPLIT_EFFORT=100` the same models are explored within larger bounds: more records at once, more deaths, more
//! kinds of writes, all three ways to keep a version. That takes hours.

#![allow(clippy::unwrap_used)] // Clippy excuses test functions, but not what they share.

/// What the models share with the other tests.
#[path = "../support"]
mod support {
    pub mod effort;
    pub mod long;
}

use support::effort;

mod action;
mod bounds;
mod bulk;
mod canary;
mod copies;
mod core;
mod cutover;
mod heal;
mod held;
mod hold;
mod holder;
mod image;
mod imports;
mod key_repair;
mod keys;
mod lease;
mod ledger;
mod lineage;
mod pages;
mod plans;
mod product;
mod proof;
mod prune;
mod repair;
mod restart;
mod rule;
mod script;
mod split;
mod state;
mod tail;

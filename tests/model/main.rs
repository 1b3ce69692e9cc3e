//! The protocol, explored state by state: small models of the tail, the backfill, the switch, repairs, leases and the
//! lineage of shards, with every interleaving of their steps and with crashes on each side.
//!
//! The models hold no copy of the rules: what a change writes, whether a guard lets it land, when the switch turns and
//! whom it waits for, which shard may be read, are the product's own functions. Each model states its bounds, and each
//! rule of the protocol is a switch: with it off, the checker must find what goes wrong, and tells it as a story
//! (`cargo test --test model -- --nocapture`).

#![allow(clippy::unwrap_used)] // Clippy excuses test functions, but not what they share.

mod lease;
mod lineage;
mod proof;

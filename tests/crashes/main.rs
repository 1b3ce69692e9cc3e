//! The tests of this folder alone, as a binary that is built faster: `cargo test` runs them in `cli`.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

#[path = "mod.rs"]
mod crashes;

//! The tests of this folder alone, as a binary that is built fast: `cargo test` runs them in `together`.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

#[path = "mod.rs"]
mod crashes;

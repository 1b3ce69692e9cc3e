//! The tests of this folder alone, as a binary that is built fast: `cargo test` runs them in `both`.

#[path = "../support/mod.rs"]
mod support;

#[path = "mod.rs"]
mod engines;

//! The tests of this folder: see its `mod.rs`.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

#[path = "mod.rs"]
mod crashes;

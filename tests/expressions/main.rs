//! The tests of this folder: see its `mod.rs`.

#[path = "../support/mod.rs"]
mod support;

#[path = "mod.rs"]
mod expressions;

//! Verification on the embedded engine: equal tables, each class of mismatch, writes that go on meanwhile, repairs.
#![allow(
    clippy::unwrap_used,
    reason = "Clippy excuses test functions, but not what they share"
)]

mod bench;
mod compare;
mod proxy;
mod repair;
mod shapes;
mod shared;

//! Real engines for tests, and an independent eye on what they hold.
//!
//! Nothing here uses the product, save to start the embedded engine: what the tests write and read goes through the
//! SDK directly, so that an error in the product's own readers cannot hide itself.
//!
//! - [`Engine`]: an endpoint with SDK clients. [`Engine::embedded`] is one of its own for each call;
//!   [`Engine::genuine`] is DynamoDB Local, shared by the tests of a process; [`Engine::genuine_dedicated`] is one whose
//!   streams may be rolled and aged.
//! - [`table`]: tables and items for tests. [`contents`]: what a table holds, by an independent reader.
//!   [`stream`]: shards and records as the engine gives them. [`scripted`]: an endpoint that answers by a rule.

#![allow(
    dead_code,
    unused_imports,
    reason = "every test binary takes what it needs of this module"
)]

pub mod contents;
mod engine;
mod fetch;
mod launcher;
pub mod scripted;
pub mod stream;
pub mod table;

pub use engine::{Engine, Kind, unique};

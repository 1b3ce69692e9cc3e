//! Real engines for tests, and an independent eye on what they hold.
//!
//! Nothing here uses the product, save to start the embedded engine and to age a state: what the tests write and read goes through the
//! SDK directly, so that an error in the product's own readers cannot hide itself.
//!
//! - [`Engine`]: an endpoint with SDK clients. [`Engine::embedded`] is one of its own for each call;
//!   [`Engine::genuine`] is DynamoDB Local, shared by the tests of a process; [`Engine::genuine_dedicated`] is one whose
//!   streams may be rolled and aged.
//!   [`Engine::scripted`] is an embedded one behind scripted faults ([`faulty`]).
//! - [`table`]: tables and items for tests. [`contents`]: what a table holds, by an independent reader.
//!   [`stream`]: shards and records as the engine gives them. [`scripted`]: an endpoint that answers by a rule; [`tls`]: its certificate.
//! - [`trial`]: a split to try things on, with what each target should hold, written by hand. [`mutator`]: writers that
//!   write to its source meanwhile. [`process`]: the product's own processes, to be started, stopped and killed.
//!   [`output`]: what a process wrote. [`objects`]: an S3 server for exports. [`failpoints`]: where processes die.
//!   [`stage`]: all three on an engine. [`age`]: a split that nobody worked on for long. [`long`]: tests that are
//!   left out of `cargo test`. [`random_faults`]: an engine on which
//!   everything goes wrong.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "every test binary takes what it needs of this module"
)]

/// The allocator of the product: much of what these processes do is an engine inside them, which allocates all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod age;
pub mod contents;
pub mod effort;
mod engine;
pub mod failpoints;
pub mod faulty;
pub mod fetch;
pub mod latch;
mod launcher;
pub mod long;
pub mod mutator;
pub mod objects;
pub mod output;
pub mod process;
pub mod random_faults;
pub mod scripted;
pub mod stage;
pub mod stream;
pub mod table;
pub mod tls;
pub mod trial;

pub use engine::{Engine, Kind, role, unique};

//! The product's pure modules, as they are, without the AWS SDK that the rest of it needs (which would take most of the
//! time to build and could not be fuzzed), and arbitrary items to try them on.

#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/plan/mod.rs"]
pub mod plan;
#[path = "../../src/flow/mod.rs"]
pub mod flow;

mod items;

pub use items::Bytes;

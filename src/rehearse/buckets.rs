//! The bucket of a rehearsal: in an S3 server of its own, or on an engine that has S3 and imports.

mod embedded;
mod memory;
mod of_engine;

pub(super) use embedded::EmbeddedObjects;
pub(super) use of_engine::EngineBucket;

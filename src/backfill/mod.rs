//! The backfill: copies what exists, once for all services together, while the tail applies what changes.
//!
//! Tombstones are on before the first page is read, and off only after the last write can have landed. Each
//! segment has a durable cursor for each service, moved only after every write of a page is durable; so it
//! resumes at its page after any crash, and a service whose table is broken holds no other back.
//!
//! In the other order, bulk, the lanes are held instead (`order.rs` says when): pages are put without guards, and the lanes
//! go on where they stood.

mod bulk;
mod circuit_breaker;
mod fill_page;
mod hot_segments;
mod kept_pages;
mod open_backfill;
mod order;
mod round;
mod segment;
mod segment_queue;
mod worker;

pub(crate) use order::foreseen;
pub use order::{Forecast, OrderChoice};
pub use worker::{Backfill, BackfillOptions, BackfillReport, BackfillView};

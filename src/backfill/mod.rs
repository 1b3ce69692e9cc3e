//! The backfill: copies existing items, once for all services together, while the tail applies changes.
//!
//! Tombstones are on before the first page is read, and off only after the last write can have landed. Each segment
//! has a durable cursor for each service, which moves only after every write of a page is durable. So it resumes at
//! its page after any crash, and a service whose table is broken delays no other one.
//!
//! In the bulk order, the lanes are on hold instead (`order.rs` decides when): pages are put without guards, and then
//! the lanes continue at their positions.

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

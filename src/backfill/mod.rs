//! The backfill: copies existing items, once for all services together, while the tail applies changes.
//!
//! Tombstones are on before the first page is read, and off only after the last write can have landed. Each segment
//! has a durable cursor for each service, which moves only after every write of a page is durable. So it resumes at
//! its page after any crash, and a service whose table is broken delays no other one.
//!
//! Instead of scanning the source, a backfill can read an export of it: then its files are the segments, and a cursor is a number of
//! lines. `export_start.rs` requests one, and `from_export.rs` decides whether one may be copied.
//!
//! In the bulk order, the lanes are on hold instead (`order.rs` decides when): pages are put without guards, and then
//! the lanes continue at their positions.

mod bulk;
mod circuit_breaker;
mod export_cancel;
mod export_pages;
mod export_start;
mod fill_page;
mod from_export;
mod hot_segments;
mod import_given_up;
mod import_lease;
mod import_order;
mod import_pages;
mod import_preflight;
mod import_target;
mod kept_pages;
mod open_backfill;
mod order;
mod read_again;
mod round;
mod segment;
mod segment_queue;
mod worker;

pub use export_cancel::{CancelledExport, cancel_export};
pub use export_start::{ExportStart, StartedExport};
pub use from_export::{load_export, load_export_of};
pub(crate) use order::{Chosen, ImportForecast, foreseen};
pub use order::{Forecast, OrderChoice};
pub use worker::{Backfill, BackfillOptions, BackfillReport, BackfillView};

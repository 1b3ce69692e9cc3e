//! The services' tables: created if they are missing, and otherwise compared with the plan.
//!
//! Place in the flow: before everything else. `plan` and `status` call [`inspect`], which writes nothing; `apply`
//! calls [`ensure`]; the end of a split calls [`enable_ttl`].
//!
//! Invariants
//! - A table that exists and differs is never altered: the difference is reported.
//! - An adopted table is only read.
//! - A target's TTL and stream stay off while the split runs: it may hold tombstones, and pages that arrive late.
//! - On AWS, no setting of the plan is dropped silently. An emulator may not know one: this is a note.

mod batch;
mod batching;
mod bulk;
mod creation;
mod difference;
mod differences;
mod error;
mod gather;
mod import;
mod import_settings;
mod insert;
mod lease_fence;
mod markers;
mod prune_delete;
mod put_item;
mod removal;
mod settings;
mod state;
mod sweep;
mod switch_gate;
mod table;
mod ttl;
mod write;
mod write_back;

pub use batch::Batches;
pub use batching::Batching;
pub use bulk::Bulk;
pub use difference::{Difference, Pending};
pub use differences::TableStream;
pub use error::TargetError;
pub use gather::Batched;
pub use import::{
    DescribedImport, ImportPlace, ImportRequest, ImportStatus, describe_import, find_import, request_import,
    running_imports,
};
pub use import_settings::set_after_import;
pub use lease_fence::Fence;
pub use markers::MarkerWriter;
pub use prune_delete::{Deleted, PruneDeleter};
pub use removal::{DELETION_LANDS, Removal, delete_imported, delete_table, table_arn, table_id};
pub use sweep::{Sweep, Swept};
pub use switch_gate::{Admission, Attempts, Gate, HELD};
pub use table::{Ensured, Observer, TableEvent, TableFinding, ensure, inspect, is_empty, throughput};
pub use ttl::{TtlOutcome, TtlState, enable_ttl, ttl_state};
pub use write::TargetWriter;
pub use write_back::SourceWriter;

//! Splits a table whose writers are stopped: export, shape, import and verify, as one command that continues after a death.
//!
//! ```text
//! source -> export in S3 -> shaped files in S3 -> one imported table per service -> settings -> comparison with the live source
//! ```
//!
//! Invariants
//! - Everything that the export lacks must be impossible: the writers stopped at least a minute before the export time.
//! - A request that makes something is in the journal before it is sent, and has a token, so that it is made once.
//! - Only objects that the journal lists are imported.
//! - A table is deleted only if its id is that of the import which failed, and only with an option.
//! - The comparison never reads the export that was copied. TTL is switched on after it.

mod begin;
mod compare;
mod export;
mod import;
mod journal;
mod record;
mod run;
mod shape;
mod shape_files;
mod task;

pub use record::{ExportRecord, OfflineRecord, ShapingRecord, VerifiedRecord};
pub use run::{OfflineReport, OfflineTable};
pub use task::{OfflineOptions, OfflineSplit, Step};

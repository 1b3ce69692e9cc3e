//! One import of a service's table: requested once, found again, waited for, compared, and finished. The offline split and the import
//! order of a backfill use it; each keeps the record of the import in its own [`ImportJournal`].
//!
//! Invariants
//! - A request is in the journal before it is sent, and has a token, so that it is made once.
//! - A table is deleted only if its id is that of the import which failed, and only if the operator asked for that.
//! - A table is ready only if DynamoDB read exactly the items that were written for it.

mod decide;
mod finish;
mod journal;
mod objects;
mod partial;
mod quota;
mod task;

pub use decide::{TOKEN_MS, TableLeft, is_still_imported, needs_token, why_unusable};
pub use journal::ImportJournal;
pub use objects::{ImportObject, MOST_OBJECTS, refuse_other_objects};
pub use partial::deletion_landed;
pub use quota::RegionalImports;
pub use task::{Import, refuse_existing, refuse_failures, refuse_plan};

//! What runs: the tail, the backfill, verification, and the steps that begin and end a split.

mod backfill;
mod checks;
mod error;
mod heartbeat;
mod keeper;
mod reconcile;
mod restart;
mod split;
pub mod status;
pub mod survey;
mod tail;
mod tombstones;

pub use backfill::{Backfill, BackfillOptions, BackfillReport, BackfillView};
pub use checks::{check_split, services};
pub use error::RunError;
pub use split::{Split, StateLedger, key_json, now_ms};
pub use tail::{Ended, Tail, TailOptions};

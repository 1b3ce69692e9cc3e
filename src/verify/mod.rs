//! Verification as it runs: reads both sides of every service, looks again at what differs while writes go on, and
//! repairs where it is told to.
//!
//! ```text
//! targets' scans, then the source's scan -> sorted sides -> join -> candidates
//!     -> looks at both sides, by consistent point reads, until each is settled -> mismatches
//!     -> (with repair) tombstones on -> reconcile each -> tombstones off, swept
//! ```
//!
//! [`crate::verify::compare`] decides; this room only reads, waits and tells. The targets are read before the source, so that
//! most of what looks like an extra is settled by reading the target again. Nothing here writes a target but
//! [`crate::repair`], under the repair's lease.
//!
//! Invariants: a read that fails for what passes by itself is repeated without end and the reason shown, any other
//! failure ends the run without a verdict; memory does not grow with the tables; a verdict is kept only if the whole
//! split was compared and nobody repaired meanwhile.

mod chunks;
pub mod compare;
mod invalid;
mod key_search;
mod lanes;
mod leftovers;
mod mismatch_list;
mod pages;
mod passes;
mod point_reader;
mod reads;
mod recheck;
mod record;
mod repair;
mod result;
mod scan;
mod sorting;
mod verification;
mod view;
mod worker;

pub use invalid::InvalidItem;
pub use result::{ReadUnits, Unrepaired, VerifyOptions, VerifyResult};
pub use verification::Verify;
pub use view::{VerifyServiceView, VerifyView};

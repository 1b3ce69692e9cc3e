//! The running verification: reads both sides of every service, reads differing keys again while writes continue, and
//! repairs if it is told to.
//!
//! ```text
//! targets' scans, then the source's scan -> sorted sides -> join -> candidates
//!     -> consistent point reads of both sides, until each is settled -> mismatches
//!     -> (with repair) tombstones on -> reconcile each -> tombstones off, swept
//! ```
//!
//! [`crate::verify::compare`] decides; this room only reads, waits and reports. The targets are read before the
//! source, so that most seeming extras are settled by reading the target again. Only [`crate::repair`] writes a
//! target, under the repair's lease.
//!
//! A verification of the changes (`changed`) reads the keys from the source's stream instead, from where an earlier proof stands
//! (`base`). It never replaces that proof.
//!
//! Several processes may share a verification that repairs nothing: see `shared`.
//!
//! Invariants: a read is repeated without end after temporary failures, and the reason is shown; any other failure
//! ends the run without a verdict. Memory does not grow with the tables. A verdict is kept only if the whole split
//! was compared and no repair ran meanwhile.

mod at_rest;
mod base;
mod changed;
mod chunks;
pub mod compare;
mod delivery;
mod exported;
mod invalid;
mod key_check;
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
mod shared;
mod sorting;
mod suspects;
mod verification;
mod view;
mod worker;

pub use at_rest::{AtRest, AtRestResult};
pub use exported::Exports;
pub use invalid::InvalidItem;
pub use key_check::KeyCheck;
pub use result::{ChangesCompared, ReadUnits, ServiceChanges, Unrepaired, VerifyOptions, VerifyResult};
pub use verification::Verify;
pub use view::{VerifyServiceView, VerifyView};

//! The pure part of verification: it decides whether every target holds exactly the items that follow from the source.
//!
//! Two tables of any size are compared as two streams of small entries, (target key, digest), which are sorted in
//! bounded memory with temporary files, and joined. A difference becomes a [`Candidate`] and not yet a mismatch,
//! because neither scan is a snapshot and the target lags. [`Settling`] decides each candidate from repeated
//! consistent reads of both sides.
//!
//! ```text
//! source scan -> desired -> SourceSide --+
//!                                        +-> join -> Candidate -> CandidateFile -> Settling -> Mismatch
//! target scan -> classify -> TargetSide -+                             ^   (again later)  |
//!                                                                      +------------------+
//! ```
//!
//! A shared verify compares range by range: a [`Divider`] divides each scan by the hash of the target keys, and the entries of
//! one range fill a [`SourceSide`] and a [`TargetSide`], wherever they were read.
//!
//! This room shares nothing with the write path, and has no clock, no network and no async: its callers pass what
//! was read and when. Its only effect is temporary files, and calls that may touch them block.
//!
//! Invariants: memory never depends on the number of items or of differences; unreadable bytes are never taken for
//! the end of a file; a candidate leaves only with a verdict.

mod block;
mod candidate;
mod digest;
mod divided;
mod entry;
mod error;
mod expiry;
mod external_sort;
mod join;
mod key_code;
mod limits;
mod merge;
mod mismatch;
mod mismatch_class;
mod report;
mod run;
mod settle;
mod wire;

pub use block::SpillDir;
pub use candidate::{Candidate, CandidateFile, CandidateReader, MAX_COLLISION_KEYS, Pending};
pub use digest::{Digest, Held, classify};
pub use divided::{DividedBlock, Divider, KeyRanges, Side, Span};
pub use error::VerifyError;
pub use expiry::is_expired;
pub use external_sort::{SourceSide, TargetSide};
pub use join::{Join, JoinCounts, join};
pub use key_code::KeyCodeError;
pub use limits::{DEFAULT_MEMORY_BYTES, SortLimits};
pub use mismatch::{ClassCounts, Mismatch};
pub use mismatch_class::MismatchClass;
pub use report::{Report, ServiceReport};
pub use settle::{Delivery, Desired, Expired, Observation, Outcome, SettleRules, Settling, Written};

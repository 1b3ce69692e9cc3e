//! The ledger: every record of the source's stream, unchanged and in order, in objects of a bucket.
//!
//! Each shard has a chain of objects. An object is named by the place where it begins, and is never overwritten. Its header says where
//! it ends, which is where the next one begins, and up to when the chain is complete.

mod chain;
mod check;
mod error;
mod history;
mod object;
mod probe;
mod reader;
mod search;

pub use chain::{About, Appended, Chain};
pub use check::{LedgerChecked, check_ledger, history_of};
pub use error::LedgerError;
pub use history::{ChainFound, History, ShardChain};
pub use object::{Header, LedgerObject};
pub use probe::{LedgerBucket, probe};
pub use reader::{LedgerPage, LedgerReader};
pub use search::{Found, ShownChange, Wanted};

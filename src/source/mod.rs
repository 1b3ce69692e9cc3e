//! The live table: its facts, its scans, and the stream of its writes.
//!
//! Everything here reads the source, except [`ensure_stream`], which may switch its stream on.

mod enable;
mod error;
mod facts;
pub mod lineage;
mod page_size;
mod present;
mod scan;
mod stream;
mod stream_state;

pub use enable::{EnsuredStream, disable_stream, ensure_stream, stream_state};
pub use error::SourceError;
pub use facts::{Billing, SourceFacts, check_keys, describe_source};
pub use page_size::PageSize;
pub use present::{Present, present};
pub(crate) use scan::milliunits;
pub use scan::{PageItems, RawScanPage, Scan, ScanPage};
pub use stream::{Listing, Page, Read, Record, RecordLine, StreamSource};
pub use stream_state::StreamState;

//! Plain data: items and their values, keys, positions in a stream, and the changes that flow.
//!
//! Bottom of the import order: nothing here knows of a plan, an SDK, a clock or a network.

mod build_part;
#[cfg(test)]
pub(crate) mod cases;
mod change;
mod change_line;
mod compression;
mod counters;
mod documents;
mod index;
#[cfg(feature = "s3")]
mod ion;
mod item;
pub mod json;
mod key;
mod line;
mod line_problem;
mod marker;
mod name_places;
mod number;
mod place;
mod position;
pub mod raw;
mod raw_record;
mod reverse_mark;
mod value;
mod version;
mod words;

pub use build_part::{BuildPart, NotBuilt};
pub use change::{Change, Images, Origin};
pub use change_line::changed_key_of;
pub use compression::{Compression, Packer};
pub use counters::Counters;
pub use documents::{DocumentProblem, ItemPlace, items_of};
pub use index::{IndexFacts, Projected};
pub use item::{Item, ItemExt, MAX_ITEM_BYTES};
pub use key::{AttributeKind, Key, KeyAttribute, KeySchema};
pub use line::item_of;
pub use line_problem::LineProblem;
pub use marker::Marker;
pub use name_places::NamePlaces;
pub use number::{Compact, Number, NumberError};
pub use place::Place;
pub use position::{Position, SequenceNumber};
pub use raw_record::RawRecord;
pub use reverse_mark::{MarkImages, MarkKind, ReverseMark, strip_marks};
pub use value::Value;
pub use version::Version;
pub use words::{count, counted, duration, moment};

/// Attributes whose name begins with this are reserved for dynasplit. A source item with such an attribute cannot be
/// copied, and becomes a dead letter.
pub const RESERVED_PREFIX: &str = "dynasplit:";
/// Attributes of source items whose name begins with this are the marks of reverse writes, one for each service. Every
/// reader of the source removes them first.
pub const MARK_PREFIX: &str = "dynasplit:mark:";
/// Attributes that the first version of global tables keeps in items for its own replication. They say
/// nothing about the item, and mean nothing in another table, so they are never copied.
pub const REPLICATION_PREFIX: &str = "aws:rep:";
/// Holds the version of a target item while a split runs: a stamp in `sequence` mode, or the timestamp in `timestamp`
/// mode if the shape itself does not show it (and in tombstones).
pub const VERSION_ATTRIBUTE: &str = "dynasplit:version";
/// Marks a tombstone.
pub const TOMBSTONE_ATTRIBUTE: &str = "dynasplit:tombstone";

//! The tail: follows the stream and applies it, lane by lane.
//!
//! A worker claims shards by their leases; it owns a shard with all of its lanes, so that no shard has more
//! readers than DynamoDB serves well. Inside a shard, one front reader serves the lanes that keep up; one that
//! falls behind reads for itself, from its own checkpoint. Several workers share the shards.

mod at_once;
mod awaited;
mod capture;
mod carried_back;
mod changed_items;
mod changed_keys;
mod continued;
mod dead_letter_counts;
mod event_lane;
mod feed;
mod follow_ledger;
mod from_ledger;
mod from_places;
mod lane;
mod late;
mod ledger_lane;
mod pin;
mod reader;
mod settle_strays;
mod shard;
mod strays;
mod take_from_ledger;
mod tip;
mod worker;

pub(crate) use capture::read_history;
pub use changed_items::{ChangedItems, Changes, Reached};
pub use changed_keys::{ChangedKeys, Keys};
pub use from_places::{has_ledger, kept_after};
pub(crate) use lane::{UNROUTED, watch_item};
pub(crate) use pin::pin_lanes;
pub use settle_strays::{SettledStray, settle_strays};
pub use tip::TipReader;
pub use worker::{Ended, Tail, TailOptions};

//! Why a change of a target cannot be written to the source.

use crate::flow::Fault;
use crate::model::Key;

/// Why a change of a target's item cannot be written to the source. No item values, only names (and key values).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    /// The service owns nothing.
    #[error("the service owns nothing of its source items")]
    OwnsNothing,
    /// The plan vouches for the keys.
    #[error("nothing proves which source item a target item belongs to")]
    NotProven,
    /// The target's key is not in the item.
    #[error("the item lacks the key of the target")]
    NoKey,
    /// No source key makes this target key.
    #[error("the target key {key} matches no key template of the plan, so no source item belongs to it")]
    NoSourceKey {
        /// The target's key.
        key: Key,
    },
    /// The source's key would be too long.
    #[error("the source key '{attribute}' would have {bytes} bytes, and DynamoDB takes {limit}")]
    KeyTooLong {
        /// The attribute of the source's key.
        attribute: String,
        /// Its size.
        bytes: usize,
        /// The most that it may have.
        limit: usize,
    },
    /// The item that was handed in has another key.
    #[error("the source item that was read is not the one with the key {key}")]
    OtherItem {
        /// The key of the right one.
        key: Key,
    },
    /// The source item is gone, or there never was one, and the service may not make one.
    #[error("the source has no such item (any more), and a new one would lack what the target does not hold")]
    Gone,
    /// The source's key is taken.
    #[error("the source holds an item under this key that does not belong to the service")]
    Occupied,
    /// An attribute that no attribute of the source becomes.
    #[error("no attribute of the source is copied to '{attribute}'")]
    NoPlace {
        /// Its name in the target.
        attribute: String,
    },
    /// The source item would mean another target item.
    #[error("the source item would stand for another target item, which differs in: {}", attributes.join(", "))]
    Differs {
        /// Names of attributes of the target.
        attributes: Vec<String>,
    },
    /// The target differs in what the service does not own.
    #[error("the service changed attributes that it does not own: {}", attributes.join(", "))]
    NotOwned {
        /// Names of attributes of the target.
        attributes: Vec<String>,
    },
    /// The plan's `where` does not take the source item.
    #[error("the source item would not belong to the service: its `where` does not match")]
    NotRouted,
    /// The source item could not be copied to the target again.
    #[error("the source item could not be copied to the target again: {0}")]
    Fault(#[from] Fault),
    /// Over 400 KB.
    #[error(
        "the source item would have {bytes} bytes (with {own} of dynasplit's own), and DynamoDB takes 409600"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// How many of them are the split's own.
        own: usize,
    },
    /// What the service owns is gone, and the item still belongs to it.
    #[error("without the attributes that the service owns, its `where` would still match the source item")]
    StillRouted,
}

//! What a service owns of its source items.

use std::collections::BTreeSet;

/// What a service owns of its source items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Owns {
    /// The items themselves: only this service creates, changes and deletes them.
    Items,
    /// Nothing: it only receives data.
    Nothing,
    /// These attributes, by their names in the source, of items that another owner creates and deletes.
    Attributes(BTreeSet<String>),
}

impl Owns {
    /// Whether an attribute of the source's items belongs to it.
    #[must_use]
    pub fn has(&self, attribute: &str) -> bool {
        match self {
            Self::Items => true,
            Self::Nothing => false,
            Self::Attributes(names) => names.contains(attribute),
        }
    }
}

//! Digests of items.

use crate::model::{Item, ItemExt, RESERVED_PREFIX, TOMBSTONE_ATTRIBUTE};
use std::fmt;

/// A digest of an item's contents: equal items digest alike, and different ones, for any practical
/// purpose, do not (BLAKE3 over the canonical encoding, cut to 128 bits: among 10^9 items, two share a
/// digest with a chance below 10^-20).
///
/// Reserved attributes are left out, so a target item that carries a stamp equals its desired item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; Self::BYTES]);

impl Digest {
    /// Length of a digest.
    pub const BYTES: usize = 16;

    /// The digest of an item without its reserved attributes.
    #[must_use]
    pub fn of(item: &Item) -> Self {
        // Most items carry nothing reserved: only the others pay for a copy.
        let encoded = if item.keys().any(|name| name.starts_with(RESERVED_PREFIX)) {
            let mut bare = item.clone();
            bare.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
            bare.encode()
        } else {
            item.encode()
        };
        Self::of_bytes(&encoded)
    }

    /// The digest of any bytes.
    #[must_use]
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let mut cut = [0; Self::BYTES];
        cut.copy_from_slice(&blake3::hash(bytes).as_bytes()[..Self::BYTES]);
        Self(cut)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// A digest from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The contents of a target table under a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// An item that readers may see.
    Live(Digest),
    /// A mark of a removal: counts as absent.
    Tombstone,
}

impl Held {
    /// The digest that verification compares: a tombstone is absent.
    #[must_use]
    pub fn digest(self) -> Option<Digest> {
        match self {
            Self::Live(digest) => Some(digest),
            Self::Tombstone => None,
        }
    }
}

/// Distinguishes a live target item from a tombstone.
#[must_use]
pub fn classify(item: &Item) -> Held {
    if item.contains_key(TOMBSTONE_ATTRIBUTE) {
        Held::Tombstone
    } else {
        Held::Live(Digest::of(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Number, VERSION_ATTRIBUTE, Value};

    fn item(pairs: &[(&str, Value)]) -> Item {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    #[test]
    fn reserved_attributes_do_not_count() {
        let bare = item(&[("pk", Value::s("a")), ("n", Value::s("x"))]);
        let mut stamped = bare.clone();
        stamped.insert(VERSION_ATTRIBUTE.into(), Value::s("0001"));
        assert_eq!(classify(&stamped), Held::Live(Digest::of(&bare)));
        let mut other = bare.clone();
        other.insert("dynasplit".into(), Value::s("not reserved: no colon"));
        assert_ne!(Digest::of(&other), Digest::of(&bare));
    }

    #[test]
    fn tombstones_are_absent() {
        let tombstone = item(&[("pk", Value::s("a")), (TOMBSTONE_ATTRIBUTE, Value::Bool(true))]);
        assert_eq!(classify(&tombstone), Held::Tombstone);
        assert_eq!(classify(&tombstone).digest(), None);
    }

    #[test]
    fn comparison_is_typed_and_by_value() {
        let n = |text| item(&[("a", Value::N(Number::parse(text).unwrap()))]);
        assert_eq!(Digest::of(&n("1")), Digest::of(&n("1.00")));
        assert_ne!(Digest::of(&n("1")), Digest::of(&item(&[("a", Value::s("1"))])));
        assert_ne!(Digest::of(&n("1")), Digest::of(&n("1.000000000000000000001")));
        let set = |members: [&str; 2]| item(&[("a", Value::string_set(members.map(str::to_owned).to_vec()))]);
        assert_eq!(Digest::of(&set(["x", "y"])), Digest::of(&set(["y", "x"])));
        assert_ne!(Digest::of(&item(&[])), Digest::of(&item(&[("a", Value::Null)])));
    }

    #[test]
    fn a_digest_is_the_beginning_of_a_hash_and_comes_back_from_its_bytes() {
        let item = item(&[("pk", Value::s("a"))]);
        let digest = Digest::of(&item);
        assert_eq!(
            digest.as_bytes()[..],
            blake3::hash(&item.encode()).as_bytes()[..16]
        );
        assert_eq!(Digest::from_bytes(*digest.as_bytes()), digest);
        assert_eq!(classify(&item).digest(), Some(digest));
        // An item with only a reserved attribute has the digest of an empty item.
        let stamp = Item::from([(VERSION_ATTRIBUTE.to_owned(), Value::s("1"))]);
        assert_eq!(Digest::of(&stamp), Digest::of(&Item::new()));
    }
}

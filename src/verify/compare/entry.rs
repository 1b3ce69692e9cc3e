//! One entry of the comparison, as it is stored in memory and on disk: `[target key length u16][source key length
//! u16][digest][target key][source key]`.

use crate::verify::compare::Digest;

/// Both lengths and the digest.
const HEADER_BYTES: usize = 4 + Digest::BYTES;
/// The source key equals the target key and is not stored again. This is true for every table whose keys are copied
/// unchanged, and halves its entries.
const SAME: u16 = u16::MAX;

/// An entry: ordered by target key, then source key, then digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Entry<'a> {
    /// Encoded target key.
    pub(super) target: &'a [u8],
    /// Encoded source key; empty on the target's side.
    pub(super) source: &'a [u8],
    /// Of the desired item on the source's side, of the item held on the target's.
    pub(super) digest: Digest,
}

impl<'a> Entry<'a> {
    fn shares_key(&self) -> bool {
        self.source == self.target
    }

    /// Bytes that [`Entry::append`] takes.
    pub(super) fn size(&self) -> usize {
        let source = if self.shares_key() { 0 } else { self.source.len() };
        HEADER_BYTES + self.target.len() + source
    }

    /// Appends the entry. Its keys are no longer than `key_code::MAX_ENCODED_BYTES`.
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        let same = self.shares_key();
        let source_len = if same { SAME } else { self.source.len() as u16 };
        out.extend_from_slice(&(self.target.len() as u16).to_le_bytes());
        out.extend_from_slice(&source_len.to_le_bytes());
        out.extend_from_slice(self.digest.as_bytes());
        out.extend_from_slice(self.target);
        if !same {
            out.extend_from_slice(self.source);
        }
    }

    /// Reads the entry at the head of `bytes`; `None` if there is none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let (lengths, digest) = header.split_first_chunk::<4>()?;
        let target_len = u16::from_le_bytes([lengths[0], lengths[1]]);
        let source_len = u16::from_le_bytes([lengths[2], lengths[3]]);
        let (target, rest) = rest.split_at_checked(usize::from(target_len))?;
        let source = match source_len {
            SAME => target,
            len => rest.get(..usize::from(len))?,
        };
        Some(Self {
            target,
            source,
            digest: Digest::from_bytes(digest.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(target in "[ab]{1,3}", source in "[ab]{0,3}", digest: [u8; 16], after: Vec<u8>) {
            let entry = Entry {
                target: target.as_bytes(),
                source: source.as_bytes(),
                digest: Digest::from_bytes(digest),
            };
            let mut out = Vec::new();
            entry.append(&mut out);
            prop_assert_eq!(out.len(), entry.size());
            for cut in 0..out.len() {
                prop_assert_eq!(Entry::read(&out[..cut]), None);
            }
            out.extend(after);
            prop_assert_eq!(Entry::read(&out), Some(entry));
        }
    }

    #[test]
    fn a_key_that_is_copied_as_it_is_is_kept_once() {
        let size = |source| {
            let entry = Entry {
                target: b"key",
                source,
                digest: Digest::from_bytes([0; 16]),
            };
            entry.size()
        };
        assert_eq!(size(b"key"), size(b""));
        assert_eq!(size(b"kez"), size(b"") + 3);
    }
}

//! The encoding of temporary files. The files never outlive the process, so they have no version.

use crate::verify::compare::Digest;
use std::time::Duration;

/// Appends a length in as few bytes as it needs (7 bits a byte, lowest first).
pub(super) fn put_len(mut len: usize, out: &mut Vec<u8>) {
    while len >= 0x80 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

/// Appends bytes with their length before them.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_len(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends a moment, in nanoseconds; anything beyond 500 years is cut there.
pub(super) fn put_duration(at: Duration, out: &mut Vec<u8>) {
    let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    out.extend_from_slice(&nanos.to_le_bytes());
}

/// Appends a digest, or that there is none.
pub(super) fn put_digest(digest: Option<Digest>, out: &mut Vec<u8>) {
    out.push(u8::from(digest.is_some()));
    if let Some(digest) = digest {
        out.extend_from_slice(digest.as_bytes());
    }
}

/// Reads what the functions of this file wrote. `None` means that other bytes were found.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn len(&mut self) -> Option<usize> {
        let mut len = 0usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            len |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(len);
            }
        }
        None
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.len()?;
        self.take(len)
    }

    pub(super) fn duration(&mut self) -> Option<Duration> {
        self.array().map(u64::from_le_bytes).map(Duration::from_nanos)
    }

    pub(super) fn digest(&mut self) -> Option<Option<Digest>> {
        Some(if self.flag()? {
            Some(Digest::from_bytes(self.array()?))
        } else {
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_read(len in any::<usize>(), bytes: Vec<u8>, nanos: u64, digest: Option<[u8; 16]>) {
            let digest = digest.map(Digest::from_bytes);
            let mut out = Vec::new();
            put_len(len, &mut out);
            put_bytes(&bytes, &mut out);
            put_duration(Duration::from_nanos(nanos), &mut out);
            put_digest(digest, &mut out);
            let mut reader = Reader(&out);
            prop_assert_eq!(reader.len(), Some(len));
            prop_assert_eq!(reader.bytes(), Some(bytes.as_slice()));
            prop_assert_eq!(reader.duration(), Some(Duration::from_nanos(nanos)));
            prop_assert_eq!(reader.digest(), Some(digest));
            prop_assert!(reader.0.is_empty());
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while reader.bytes().is_some() && reader.digest().is_some() {}
        }
    }
}

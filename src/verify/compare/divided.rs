//! Entries of a scan, divided by ranges of the hash of their target keys, so that each range can be compared alone.
//!
//! All entries of a target key are in one range, on both sides. So the comparison of all ranges finds what one comparison of
//! everything finds, and no more.
//!
//! A block holds the entries of all ranges that were in memory together: one span of bytes after the other, in the order of the
//! ranges. A span is empty, or `[checksum]` and then, for each service that has entries, `[service u32][entries u32][bytes
//! u32][entries]`.

use super::digest::Digest;
use super::entry::Entry;
use super::key_code::encode_key;
use super::wire::Reader;
use crate::model::Key;
use crate::verify::compare::VerifyError;

/// Ranges of the hash of target keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRanges(u32);

impl KeyRanges {
    /// So many ranges of the same size; at least one.
    #[must_use]
    pub fn of(count: u32) -> Self {
        Self(count.max(1))
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0
    }

    /// The range of an encoded target key.
    fn range(self, target: &[u8]) -> u32 {
        let hash = Digest::of_bytes(target);
        let head = hash.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
        let part = (u128::from(u64::from_be_bytes(head)) * u128::from(self.0)) >> 64;
        u32::try_from(part).unwrap_or(u32::MAX)
    }
}

/// Which side entries come from. A span of one side is never taken for one of the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Items that the targets should hold.
    Source,
    /// Items that the targets hold.
    Target,
}

/// A block that was full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DividedBlock {
    /// The spans of all ranges, in their order.
    pub bytes: Vec<u8>,
    /// Where the span of each range ends.
    pub ends: Vec<u32>,
}

impl DividedBlock {
    /// Where the span of a range begins and ends; `None` if there is no such range.
    #[must_use]
    pub fn place(ends: &[u32], range: u32) -> Option<(u32, u32)> {
        let range = usize::try_from(range).ok()?;
        let begin = match range.checked_sub(1) {
            None => 0,
            Some(before) => *ends.get(before)?,
        };
        let end = *ends.get(range)?;
        (begin <= end).then_some((begin, end))
    }
}

/// A service's entries of one range.
#[derive(Clone, Default)]
struct Part {
    bytes: Vec<u8>,
    entries: u32,
}

/// Divides the entries of a scan. The caller takes a block when enough bytes are in memory.
pub struct Divider {
    side: Side,
    ranges: KeyRanges,
    services: usize,
    /// Range by range, and service by service within a range.
    parts: Vec<Part>,
    bytes: usize,
    target_key: Vec<u8>,
    source_key: Vec<u8>,
}

impl Divider {
    /// Nothing yet, for so many services.
    #[must_use]
    pub fn new(side: Side, ranges: KeyRanges, services: usize) -> Self {
        Self {
            side,
            ranges,
            services,
            parts: vec![Part::default(); services * ranges.0 as usize],
            bytes: 0,
            target_key: Vec::new(),
            source_key: Vec::new(),
        }
    }

    /// Adds an item that a service should hold: see [`super::SourceSide::push`].
    ///
    /// # Errors
    /// If a key is none.
    pub fn push_source(
        &mut self,
        service: usize,
        target: &Key,
        source: &Key,
        desired: Digest,
    ) -> Result<(), VerifyError> {
        encode_key(target, &mut self.target_key)?;
        encode_key(source, &mut self.source_key)?;
        self.push(service, desired);
        Ok(())
    }

    /// Adds an item that the table of a service holds: see [`super::TargetSide::push`].
    ///
    /// # Errors
    /// If the key is none.
    pub fn push_target(&mut self, service: usize, key: &Key, held: Digest) -> Result<(), VerifyError> {
        encode_key(key, &mut self.target_key)?;
        self.source_key.clear();
        self.push(service, held);
        Ok(())
    }

    fn push(&mut self, service: usize, digest: Digest) {
        let entry = Entry {
            target: &self.target_key,
            source: &self.source_key,
            digest,
        };
        let range = self.ranges.range(entry.target) as usize;
        let part = &mut self.parts[range * self.services + service];
        entry.append(&mut part.bytes);
        part.entries += 1;
        self.bytes += entry.size();
    }

    /// Bytes of the entries in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what is in memory; `None` if that is nothing.
    #[must_use]
    pub fn take(&mut self) -> Option<DividedBlock> {
        if self.bytes == 0 {
            return None;
        }
        let mut block = DividedBlock {
            bytes: Vec::with_capacity(self.bytes),
            ends: Vec::with_capacity(self.ranges.0 as usize),
        };
        for (range, parts) in (0..).zip(self.parts.chunks_mut(self.services)) {
            let begin = block.bytes.len();
            if parts.iter().any(|part| part.entries > 0) {
                block.bytes.extend_from_slice(&[0; Digest::BYTES]);
            }
            for (service, part) in (0u32..).zip(parts).filter(|(_, part)| part.entries > 0) {
                let Part { bytes, entries } = std::mem::take(part);
                for number in [service, entries, bytes.len() as u32] {
                    block.bytes.extend_from_slice(&number.to_le_bytes());
                }
                block.bytes.extend_from_slice(&bytes);
            }
            if let Some((sum, content)) = block.bytes[begin..].split_first_chunk_mut::<{ Digest::BYTES }>() {
                *sum = *checksum(self.side, range, content).as_bytes();
            }
            block.ends.push(block.bytes.len() as u32);
        }
        self.bytes = 0;
        Some(block)
    }
}

/// The side and the range are part of it: a span that turns up elsewhere is damaged.
fn checksum(side: Side, range: u32, content: &[u8]) -> Digest {
    let side = match side {
        Side::Source => 0,
        Side::Target => 1,
    };
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&[side])
        .update(&range.to_le_bytes())
        .update(content);
    let mut cut = [0; Digest::BYTES];
    cut.copy_from_slice(&hasher.finalize().as_bytes()[..Digest::BYTES]);
    Digest::from_bytes(cut)
}

/// The entries of one range, as a block holds them.
pub struct Span<'a> {
    /// What people call the block that it was read from.
    block: &'a str,
    parts: Vec<(usize, u32, &'a [u8])>,
}

impl<'a> Span<'a> {
    /// Reads what [`Divider::take`] made, from a block of this name.
    ///
    /// # Errors
    /// If these bytes are not a span of this side and range.
    pub fn read(bytes: &'a [u8], side: Side, range: u32, block: &'a str) -> Result<Self, VerifyError> {
        let mut span = Self {
            block,
            parts: Vec::new(),
        };
        if bytes.is_empty() {
            return Ok(span);
        }
        let (sum, content) = bytes
            .split_first_chunk::<{ Digest::BYTES }>()
            .ok_or_else(|| span.damaged("a span is cut short"))?;
        if checksum(side, range, content).as_bytes() != sum {
            return Err(span.damaged("a checksum does not match"));
        }
        let mut reader = Reader(content);
        while !reader.0.is_empty() {
            let mut number = || reader.array().map(u32::from_le_bytes);
            let header = number().zip(number()).zip(number());
            let part = header.and_then(|((service, entries), len)| {
                Some((service as usize, entries, reader.take(len as usize)?))
            });
            span.parts
                .push(part.ok_or_else(|| span.damaged("a part of a span is cut short"))?);
        }
        Ok(span)
    }

    /// Hands on the entries of a service.
    pub(super) fn each(
        &self,
        service: usize,
        mut take: impl FnMut(Entry<'a>) -> Result<(), VerifyError>,
    ) -> Result<(), VerifyError> {
        for (_, entries, mut bytes) in self.parts.iter().filter(|(of, ..)| *of == service).copied() {
            for _ in 0..entries {
                let entry = Entry::read(bytes).ok_or_else(|| self.damaged("an entry is cut short"))?;
                bytes = &bytes[entry.size()..];
                take(entry)?;
            }
            if !bytes.is_empty() {
                return Err(self.damaged("a part of a span has too many bytes"));
            }
        }
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> VerifyError {
        VerifyError::DamagedBlock {
            block: self.block.to_owned(),
            what,
        }
    }
}

#[cfg(test)]
mod tests;

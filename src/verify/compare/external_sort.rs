//! Sorting more entries than memory holds: full buffers are sorted and spilled as runs.

use super::block::{BlockFile, SpillDir};
use super::entry::Entry;
use super::key_code::encode_key;
use super::limits::SortLimits;
use super::merge::{Merge, Sorted};
use super::run::{Arena, Run, RunWriter, SLOT_BYTES};
use crate::model::Key;
use crate::verify::compare::{Digest, Span, VerifyError};
use std::sync::Arc;

/// The items that the target should hold, according to the source. The scan of the source adds them in any order; an
/// item may be added more than once, because a restarted scan repeats items.
#[derive(Debug)]
pub struct SourceSide {
    sorter: Sorter,
    target_key: Vec<u8>,
    source_key: Vec<u8>,
}

impl SourceSide {
    /// An empty side.
    #[must_use]
    pub fn new(dir: SpillDir, limits: SortLimits) -> Self {
        Self {
            sorter: Sorter::new(dir, limits),
            target_key: Vec::new(),
            source_key: Vec::new(),
        }
    }

    /// Adds a desired item: its target key, its digest and the key of the source item that it comes from.
    /// Now and then this spills to disk, and blocks.
    ///
    /// # Errors
    /// Where a temporary file cannot be written, or a key is none.
    pub fn push(&mut self, target: &Key, source: &Key, desired: Digest) -> Result<(), VerifyError> {
        encode_key(target, &mut self.target_key)?;
        encode_key(source, &mut self.source_key)?;
        self.sorter.push(Entry {
            target: &self.target_key,
            source: &self.source_key,
            digest: desired,
        })
    }

    /// Adds the entries of a service that another process read.
    ///
    /// # Errors
    /// As [`SourceSide::push`]; or if the span is damaged.
    pub fn push_span(&mut self, span: &Span<'_>, service: usize) -> Result<(), VerifyError> {
        span.each(service, |entry| self.sorter.push(entry))
    }

    pub(super) fn finish(self) -> Result<Sorted, VerifyError> {
        self.sorter.finish()
    }

    /// Bytes that are on disk by now.
    #[cfg(test)]
    pub(super) fn spilled_bytes(&self) -> u64 {
        self.sorter.file.as_ref().map_or(0, BlockFile::end)
    }

    /// Damages the files, for tests.
    #[cfg(test)]
    pub(super) fn spoil(&self, how: impl FnOnce(&std::fs::File)) {
        if let Some(file) = &self.sorter.file {
            file.spoil(how);
        }
    }
}

/// The items of a target, without tombstones. The scan of the target adds them, as for [`SourceSide`].
#[derive(Debug)]
pub struct TargetSide {
    sorter: Sorter,
    key: Vec<u8>,
}

impl TargetSide {
    /// An empty side.
    #[must_use]
    pub fn new(dir: SpillDir, limits: SortLimits) -> Self {
        Self {
            sorter: Sorter::new(dir, limits),
            key: Vec::new(),
        }
    }

    /// Adds an item that the target holds. Now and then this spills to disk, and blocks.
    ///
    /// # Errors
    /// Where a temporary file cannot be written, or the key is none.
    pub fn push(&mut self, key: &Key, held: Digest) -> Result<(), VerifyError> {
        encode_key(key, &mut self.key)?;
        self.sorter.push(Entry {
            target: &self.key,
            source: &[],
            digest: held,
        })
    }

    /// Adds the entries of a service that another process read.
    ///
    /// # Errors
    /// As [`TargetSide::push`]; or if the span is damaged.
    pub fn push_span(&mut self, span: &Span<'_>, service: usize) -> Result<(), VerifyError> {
        span.each(service, |entry| self.sorter.push(entry))
    }

    pub(super) fn finish(self) -> Result<Sorted, VerifyError> {
        self.sorter.finish()
    }
}

#[derive(Debug)]
struct Sorter {
    dir: SpillDir,
    limits: SortLimits,
    arena: Arena,
    file: Option<BlockFile>,
    runs: Vec<Run>,
}

impl Sorter {
    fn new(dir: SpillDir, limits: SortLimits) -> Self {
        let arena = Arena {
            bytes: Vec::new(),
            slots: Vec::new(),
        };
        Self {
            dir,
            limits,
            arena,
            file: None,
            runs: Vec::new(),
        }
    }

    fn push(&mut self, entry: Entry<'_>) -> Result<(), VerifyError> {
        let memory = self.arena.memory() + entry.size() + SLOT_BYTES;
        let slot = match u32::try_from(self.arena.bytes.len()) {
            Ok(slot) if memory <= self.limits.memory_bytes => slot,
            _ => {
                self.spill()?;
                0
            }
        };
        self.arena.slots.push(slot);
        entry.append(&mut self.arena.bytes);
        Ok(())
    }

    fn spill(&mut self) -> Result<(), VerifyError> {
        if self.arena.slots.is_empty() {
            return Ok(());
        }
        self.arena.sort();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BlockFile::create(&self.dir)?),
        };
        let mut writer = RunWriter::new(file, self.limits.block_bytes());
        let mut index = 0;
        while let Some(entry) = self.arena.get(index) {
            writer.push(entry)?;
            index += 1;
        }
        self.runs.push(writer.finish()?);
        self.arena.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Sorted, VerifyError> {
        if self.file.is_none() {
            self.arena.sort();
            return Ok(Sorted::in_memory(self.arena));
        }
        self.spill()?;
        // The merge needs the memory.
        drop(self.arena);
        let (Some(mut file), mut runs) = (self.file, self.runs) else {
            return Err(VerifyError::Damaged {
                dir: self.dir.path().to_owned(),
                what: "its runs are gone",
            });
        };
        while runs.len() > self.limits.fan_in() {
            (file, runs) = merge_pass(&self.dir, self.limits, file, &runs)?;
        }
        Merge::open(Arc::new(file), &runs).map(Sorted::Merged)
    }
}

/// Merges each `fan_in` runs into one, into a new file; the old one is given back to the disk after.
fn merge_pass(
    dir: &SpillDir,
    limits: SortLimits,
    file: BlockFile,
    runs: &[Run],
) -> Result<(BlockFile, Vec<Run>), VerifyError> {
    let file = Arc::new(file);
    let mut out = BlockFile::create(dir)?;
    let mut merged = Vec::with_capacity(runs.len().div_ceil(limits.fan_in()));
    for group in runs.chunks(limits.fan_in()) {
        let mut merge = Merge::open(Arc::clone(&file), group)?;
        let mut writer = RunWriter::new(&mut out, limits.block_bytes());
        while let Some(entry) = merge.current() {
            writer.push(entry)?;
            merge.advance()?;
        }
        merged.push(writer.finish()?);
    }
    Ok((out, merged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    fn key(n: u32) -> Key {
        Key {
            partition: Value::s(n.to_string()),
            sort: None,
        }
    }

    #[test]
    fn memory_and_fan_in_keep_their_bounds() {
        let limits = SortLimits {
            memory_bytes: 1000,
            fan_in: 3,
        };
        let mut side = TargetSide::new(SpillDir::default(), limits);
        let mut highest = 0;
        for n in 0..2000 {
            side.push(&key(n * 7919 % 2000), Digest::of_bytes(b"x")).unwrap();
            let Arena { bytes, slots } = &side.sorter.arena;
            highest = highest.max(bytes.len() + slots.len() * SLOT_BYTES);
        }
        assert!((900..=1000).contains(&highest), "{highest}");
        assert!(side.sorter.runs.len() > 27, "three passes");
        let Sorted::Merged(merge) = side.finish().unwrap() else {
            panic!("it was spilled");
        };
        assert!((1..=3).contains(&merge.width()));
    }

    #[test]
    fn runs_are_merged_beforehand_only_where_they_are_too_many() {
        // Every entry is a run.
        let limits = SortLimits {
            memory_bytes: 0,
            fan_in: 3,
        };
        let width = |entries| {
            let mut side = TargetSide::new(SpillDir::default(), limits);
            for n in 0..entries {
                side.push(&key(n), Digest::of_bytes(b"x")).unwrap();
            }
            let Sorted::Merged(merge) = side.finish().unwrap() else {
                panic!("it was spilled");
            };
            merge.width()
        };
        assert_eq!([2, 3, 4].map(width), [2, 3, 2]);
    }

    #[test]
    fn a_block_is_filled_as_far_as_entries_fit_and_holds_one_at_least() {
        let entry = |n: &'static [u8]| Entry {
            target: n,
            source: &[],
            digest: Digest::of_bytes(b"x"),
        };
        let size = entry(b"S1a").size();
        let blocks = |block_bytes| {
            let mut file = BlockFile::create(&SpillDir::default()).unwrap();
            let mut writer = RunWriter::new(&mut file, block_bytes);
            for n in [b"S1a", b"S1b", b"S1c", b"S1d", b"S1e"] {
                writer.push(entry(n)).unwrap();
            }
            let run = writer.finish().unwrap();
            let (mut at, mut payload, mut found) = (run.start, Vec::new(), Vec::new());
            while at < run.end {
                at = file.read(at, run.end, &mut payload).unwrap();
                found.push(payload.len() / size);
                assert_eq!(payload.len() % size, 0);
            }
            found
        };
        assert_eq!(blocks(3 * size), [3, 2]);
        assert_eq!(blocks(3 * size - 1), [2, 2, 1]);
        assert_eq!(blocks(1), [1; 5]);
    }
}

//! A sorted run on disk, and the entries of one in memory.

use super::block::BlockFile;
use super::entry::Entry;
use crate::verify::compare::VerifyError;

/// A slot takes four bytes, twice that in a vector that has just grown, and once more while it grows.
pub(super) const SLOT_BYTES: usize = 12;

/// A sorted stretch of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) entries: u64,
}

/// Writes one run, block by block.
pub(super) struct RunWriter<'a> {
    file: &'a mut BlockFile,
    block: Vec<u8>,
    block_bytes: usize,
    start: u64,
    entries: u64,
}

impl<'a> RunWriter<'a> {
    pub(super) fn new(file: &'a mut BlockFile, block_bytes: usize) -> Self {
        Self {
            start: file.end(),
            file,
            block: Vec::with_capacity(block_bytes),
            block_bytes,
            entries: 0,
        }
    }

    /// Adds an entry, none lower than the one before.
    pub(super) fn push(&mut self, entry: Entry<'_>) -> Result<(), VerifyError> {
        // Entries never span blocks, so each block can be checked before it is believed.
        if !self.block.is_empty() && self.block.len() + entry.size() > self.block_bytes {
            self.flush()?;
        }
        entry.append(&mut self.block);
        self.entries += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Run, VerifyError> {
        if !self.block.is_empty() {
            self.flush()?;
        }
        Ok(Run {
            start: self.start,
            end: self.file.end(),
            entries: self.entries,
        })
    }

    fn flush(&mut self) -> Result<(), VerifyError> {
        self.file.append(&self.block)?;
        self.block.clear();
        Ok(())
    }
}

/// Entries that are sorted in their encoded form: the arena holds their bytes as they go to disk, and the slots hold
/// their offsets.
#[derive(Debug)]
pub(super) struct Arena {
    pub bytes: Vec<u8>,
    pub slots: Vec<u32>,
}

impl Arena {
    pub fn memory(&self) -> usize {
        self.bytes.len() + self.slots.len() * SLOT_BYTES
    }

    pub fn sort(&mut self) {
        let bytes = &self.bytes;
        let entry = |slot: &u32| Entry::read(&bytes[*slot as usize..]);
        self.slots.sort_unstable_by(|a, b| entry(a).cmp(&entry(b)));
    }

    pub(super) fn get(&self, index: usize) -> Option<Entry<'_>> {
        Entry::read(&self.bytes[*self.slots.get(index)? as usize..])
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
    }
}

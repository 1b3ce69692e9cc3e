//! The k-way merge of sorted runs.

use super::block::BlockFile;
use super::entry::Entry;
use super::run::{Arena, Run};
use crate::verify::compare::VerifyError;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

/// Sorted entries, one at a time.
#[derive(Debug)]
pub(super) enum Sorted {
    /// They fitted into memory.
    Memory {
        /// The sorted entries.
        arena: Arena,
        /// The current one.
        at: usize,
    },
    /// They come from disk.
    Merged(Merge),
}

impl Sorted {
    pub(super) fn in_memory(arena: Arena) -> Self {
        Self::Memory { arena, at: 0 }
    }

    /// The current entry; `None` after the last.
    pub(super) fn current(&self) -> Option<Entry<'_>> {
        match self {
            Self::Memory { arena, at } => arena.get(*at),
            Self::Merged(merge) => merge.current(),
        }
    }

    /// Goes on to the next entry.
    pub(super) fn advance(&mut self) -> Result<(), VerifyError> {
        match self {
            Self::Memory { at, .. } => {
                *at += 1;
                Ok(())
            }
            Self::Merged(merge) => merge.advance(),
        }
    }
}

/// Runs of one file, merged.
#[derive(Debug)]
pub(super) struct Merge {
    /// The run whose entry is the lowest on top. Boxed: the heap moves them.
    heap: BinaryHeap<Box<RunReader>>,
}

impl Merge {
    pub(super) fn open(file: Arc<BlockFile>, runs: &[Run]) -> Result<Self, VerifyError> {
        let mut heap = BinaryHeap::with_capacity(runs.len());
        for run in runs {
            let mut reader = Box::new(RunReader::new(Arc::clone(&file), *run));
            if reader.advance()? {
                heap.push(reader);
            }
        }
        Ok(Self { heap })
    }

    pub(super) fn current(&self) -> Option<Entry<'_>> {
        self.heap.peek()?.current()
    }

    /// Runs that are read at once.
    #[cfg(test)]
    pub(super) fn width(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn advance(&mut self) -> Result<(), VerifyError> {
        if let Some(mut lowest) = self.heap.peek_mut()
            && !lowest.advance()?
        {
            PeekMut::pop(lowest);
        }
        Ok(())
    }
}

/// Reads one run. Ordered by its current entry, the lowest greatest, for the heap is a max-heap.
#[derive(Debug)]
struct RunReader {
    file: Arc<BlockFile>,
    /// Place of the next block.
    next: u64,
    end: u64,
    /// Entries not yet read.
    left: u64,
    block: Vec<u8>,
    /// The current entry's place in the block.
    at: usize,
    /// Where it ends.
    after: usize,
}

impl RunReader {
    fn new(file: Arc<BlockFile>, run: Run) -> Self {
        Self {
            file,
            next: run.start,
            end: run.end,
            left: run.entries,
            block: Vec::new(),
            at: 0,
            after: 0,
        }
    }

    fn current(&self) -> Option<Entry<'_>> {
        Entry::read(self.block.get(self.at..self.after)?)
    }

    /// Goes to the next entry; false at the end, which must be where the writer ended.
    fn advance(&mut self) -> Result<bool, VerifyError> {
        if self.left == 0 {
            return if self.after == self.block.len() && self.next == self.end {
                Ok(false)
            } else {
                Err(self.file.damaged("a run is longer than it was"))
            };
        }
        if self.after == self.block.len() {
            if self.next == self.end {
                return Err(self.file.damaged("a run ends too early"));
            }
            self.next = self.file.read(self.next, self.end, &mut self.block)?;
            self.after = 0;
        }
        self.at = self.after;
        let entry =
            Entry::read(&self.block[self.at..]).ok_or_else(|| self.file.damaged("an entry is cut short"))?;
        self.after = self.at + entry.size();
        self.left -= 1;
        Ok(true)
    }
}

impl Ord for RunReader {
    fn cmp(&self, other: &Self) -> Ordering {
        other.current().cmp(&self.current())
    }
}

impl PartialOrd for RunReader {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RunReader {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RunReader {}

#[cfg(test)]
mod tests {
    use super::super::run::RunWriter;
    use super::*;
    use crate::verify::compare::{Digest, SpillDir};

    /// A run that was written, read as if it had another number of entries.
    fn read_as(difference: i64) -> Result<u64, VerifyError> {
        let mut file = BlockFile::create(&SpillDir::default())?;
        let mut writer = RunWriter::new(&mut file, 100);
        for n in 0..20 {
            writer.push(Entry {
                target: &[b'B', 1, n],
                source: &[],
                digest: Digest::from_bytes([n; 16]),
            })?;
        }
        let mut run = writer.finish()?;
        run.entries = run.entries.saturating_add_signed(difference);
        let mut merge = Merge::open(Arc::new(file), &[run])?;
        let mut count = 0;
        while merge.current().is_some() {
            count += 1;
            merge.advance()?;
        }
        Ok(count)
    }

    #[test]
    fn a_run_has_the_entries_that_were_written_or_is_damaged() {
        assert_eq!(read_as(0).unwrap(), 20);
        for difference in [-20, -5, -4, -1, 1, 5] {
            let read = read_as(difference);
            assert!(
                matches!(read, Err(VerifyError::Damaged { .. })),
                "{difference}: {read:?}"
            );
        }
    }
}

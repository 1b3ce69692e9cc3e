//! Limits of the memory and the files of a sort.

/// Memory for sorting, for all services together, unless the operator sets it: small compared with the memory of the
/// clients, and enough that 100 million entries are written twice and read twice, no more.
pub const DEFAULT_MEMORY_BYTES: usize = 64 * 1024 * 1024;
/// Runs that one merge reads: beyond this, each run's buffer gets too small for the disk.
const DEFAULT_FAN_IN: usize = 64;

/// A block shorter than this costs more calls than it saves memory.
const MIN_BLOCK_BYTES: usize = 4 * 1024;
/// A block longer than this gains nothing.
const MAX_BLOCK_BYTES: usize = 256 * 1024;

/// The limits of one sort.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SortLimits {
    /// Memory, in bytes. Never enforced below one entry, nor below a block of 4 KiB per merged run.
    pub memory_bytes: usize,
    /// Runs merged at once; at least 2.
    pub fan_in: usize,
}

impl Default for SortLimits {
    fn default() -> Self {
        Self {
            memory_bytes: DEFAULT_MEMORY_BYTES,
            fan_in: DEFAULT_FAN_IN,
        }
    }
}

impl SortLimits {
    /// The part of each, if `sorters` that work at once share this memory: two per service, one per side.
    #[must_use]
    pub fn shared_by(self, sorters: usize) -> Self {
        Self {
            memory_bytes: self.memory_bytes / sorters.max(1),
            ..self
        }
    }

    pub(super) fn fan_in(self) -> usize {
        self.fan_in.max(2)
    }

    /// Size of a block: one per merged run and one for the output fit into the memory.
    pub(super) fn block_bytes(self) -> usize {
        (self.memory_bytes / (self.fan_in() + 1)).clamp(MIN_BLOCK_BYTES, MAX_BLOCK_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_share_the_memory() {
        let limits = SortLimits::default();
        assert_eq!((limits.memory_bytes, limits.fan_in()), (67_108_864, 64));
        let shared = limits.shared_by(4);
        assert_eq!((shared.memory_bytes, shared.fan_in), (16_777_216, 64));
        assert_eq!(limits.shared_by(0), limits);
    }

    #[test]
    fn a_block_is_a_part_of_the_memory_within_bounds() {
        let block = |memory_bytes, fan_in| SortLimits { memory_bytes, fan_in }.block_bytes();
        assert_eq!(block(5 * 10_000, 4), 10_000);
        assert_eq!(block(3 * 10_000, 0), 10_000, "two runs and one output at least");
        assert_eq!(block(0, 4), 4096);
        assert_eq!(block(usize::MAX, 4), 262_144);
    }
}

//! Temporary files of checksummed blocks.
//!
//! One unnamed file holds many runs: a run per file would meet the limit of open files long before
//! the disk is full. The system removes the file when it is dropped, or when the process dies.

use super::digest::Digest;
use crate::verify::compare::VerifyError;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory that holds temporary files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpillDir(Arc<PathBuf>);

impl SpillDir {
    /// A directory of the caller's choice.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(path.into()))
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for SpillDir {
    /// The default of the system: `TMPDIR` if it is set.
    fn default() -> Self {
        Self::at(std::env::temp_dir())
    }
}

/// A block's length and checksum stand before it.
const HEADER_BYTES: usize = 4 + Digest::BYTES;

/// A temporary file to which blocks are appended, and from which they are read by their place.
///
/// Reads share one file offset, so all readers of a file belong to one owner.
#[derive(Debug)]
pub(super) struct BlockFile {
    dir: SpillDir,
    file: File,
    end: u64,
}

impl BlockFile {
    pub(super) fn create(dir: &SpillDir) -> Result<Self, VerifyError> {
        let file = tempfile::tempfile_in(dir.path()).map_err(|source| VerifyError::Create {
            dir: dir.path().to_owned(),
            source,
        })?;
        Ok(Self::over(file, dir))
    }

    fn over(file: File, dir: &SpillDir) -> Self {
        Self {
            dir: dir.clone(),
            file,
            end: 0,
        }
    }

    /// Where the next block will be.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Appends a block. Everything is appended before anything is read.
    pub(super) fn append(&mut self, payload: &[u8]) -> Result<(), VerifyError> {
        let len = u32::try_from(payload.len()).map_err(|_| self.damaged("a block is too long"))?;
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&len.to_le_bytes());
        header[4..].copy_from_slice(checksum(self.end, payload).as_bytes());
        self.file
            .write_all(&header)
            .and_then(|()| self.file.write_all(payload))
            .map_err(|source| VerifyError::writing(self.dir.path(), source))?;
        self.end += (HEADER_BYTES + payload.len()) as u64;
        Ok(())
    }

    /// Reads the block at a place into `payload`; the place after it is returned. Nothing beyond
    /// `limit` belongs to the reader.
    pub(super) fn read(&self, at: u64, limit: u64, payload: &mut Vec<u8>) -> Result<u64, VerifyError> {
        let fail = |source| VerifyError::reading(self.dir.path(), source);
        let mut header = [0; HEADER_BYTES];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at)).map_err(fail)?;
        file.read_exact(&mut header).map_err(fail)?;
        let (len, sum) = header.split_at(4);
        let len = len
            .iter()
            .rev()
            .fold(0u64, |all, byte| all << 8 | u64::from(*byte));
        let next = at + HEADER_BYTES as u64 + len;
        if next > limit {
            return Err(self.damaged("a block reaches beyond its run"));
        }
        payload.clear();
        payload.resize(usize::try_from(len).unwrap_or(0), 0);
        file.read_exact(payload).map_err(fail)?;
        if checksum(at, payload).as_bytes() != sum {
            return Err(self.damaged("a checksum does not match"));
        }
        Ok(next)
    }

    pub(super) fn damaged(&self, what: &'static str) -> VerifyError {
        VerifyError::Damaged {
            dir: self.dir.path().to_owned(),
            what,
        }
    }

    /// Spoils the file as a bad disk would.
    #[cfg(test)]
    pub(super) fn spoil(&self, how: impl FnOnce(&File)) {
        how(&self.file);
    }
}

/// The place is part of it: a block that turns up elsewhere is damaged too.
fn checksum(at: u64, payload: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&at.to_le_bytes()).update(payload);
    let mut cut = [0; Digest::BYTES];
    cut.copy_from_slice(&hasher.finalize().as_bytes()[..Digest::BYTES]);
    Digest::from_bytes(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_blocks() -> BlockFile {
        let mut file = BlockFile::create(&SpillDir::default()).unwrap();
        file.append(b"first").unwrap();
        file.append(b"second block").unwrap();
        file
    }

    fn assert_damaged(file: &BlockFile, how: &str) {
        let mut payload = Vec::new();
        let read = file
            .read(0, file.end(), &mut payload)
            .and_then(|next| file.read(next, file.end(), &mut payload));
        assert!(
            matches!(read, Err(VerifyError::Damaged { .. })),
            "{how}: {read:?}"
        );
    }

    #[test]
    fn blocks_come_back() {
        let file = two_blocks();
        let mut payload = Vec::new();
        let next = file.read(0, file.end(), &mut payload).unwrap();
        assert_eq!(payload, b"first");
        assert_eq!(file.read(next, file.end(), &mut payload).unwrap(), file.end());
        assert_eq!(payload, b"second block");
    }

    #[test]
    fn every_changed_bit_is_seen() {
        for byte in 0..two_blocks().end() {
            let file = two_blocks();
            file.spoil(|mut file| {
                let mut old = [0];
                file.seek(SeekFrom::Start(byte)).unwrap();
                file.read_exact(&mut old).unwrap();
                file.seek(SeekFrom::Start(byte)).unwrap();
                file.write_all(&[old[0] ^ 1]).unwrap();
            });
            assert_damaged(&file, &format!("byte {byte}"));
        }
    }

    #[test]
    fn every_cut_is_seen() {
        for len in 0..two_blocks().end() {
            let file = two_blocks();
            file.spoil(|file| file.set_len(len).unwrap());
            assert_damaged(&file, &format!("length {len}"));
        }
    }

    #[test]
    fn a_missing_directory_is_named_with_the_way_out() {
        let missing = std::env::temp_dir().join("dynasplit-no-such-directory");
        let text = BlockFile::create(&SpillDir::at(&missing))
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("dynasplit-no-such-directory") && text.contains("TMPDIR"),
            "{text}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named_with_the_way_out() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut file = BlockFile::over(full, &SpillDir::at("/some/where"));
        let error = file.append(b"x").unwrap_err();
        assert!(matches!(error, VerifyError::Full { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("/some/where") && text.contains("TMPDIR"), "{text}");
    }
}

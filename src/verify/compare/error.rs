//! Reasons why a comparison could not be made.

use crate::verify::compare::KeyCodeError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a comparison could not be made. None of these says anything about the tables.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No temporary file could be made.
    #[error(
        "cannot create a temporary file in {}: {source}; \
         set TMPDIR to a directory that exists and can be written, and run verify again", dir.display()
    )]
    Create {
        /// Where it was to be.
        dir: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The disk or the quota is full.
    #[error(
        "no space is left for the temporary files of verify in {}: {source}; free some space, or set TMPDIR \
         to a directory on a larger disk, and run verify again", dir.display()
    )]
    Full {
        /// Where the files are.
        dir: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A temporary file could not be written or read.
    #[error(
        "cannot {doing} a temporary file in {}: {source}; \
         check that disk, or set TMPDIR to a directory on another one, and run verify again", dir.display()
    )]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// Where the file is.
        dir: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A temporary file does not contain what was written to it.
    #[error(
        "a temporary file in {} is damaged ({what}), so the comparison is void; \
         check that disk, or set TMPDIR to a directory on another one, and run verify again", dir.display()
    )]
    Damaged {
        /// Where the file is.
        dir: PathBuf,
        /// The damage.
        what: &'static str,
    },
    /// An object of a shared verify does not contain what was written to it.
    #[error(
        "the object {block} is damaged ({what}), so the comparison is void; run `dynasplit verify --shared NAME --replace` with a \
         new name, which compares from the beginning"
    )]
    DamagedBlock {
        /// The object.
        block: String,
        /// The damage.
        what: &'static str,
    },
    /// A key that no table can hold.
    #[error(
        "cannot compare an item: {0}; correct or delete the item in the source, then run `dynasplit verify` again"
    )]
    Key(#[from] KeyCodeError),
}

impl VerifyError {
    /// Distinguishes a full disk, which the operator can fix, from other failed writes.
    pub(super) fn writing(dir: &Path, source: io::Error) -> Self {
        let dir = dir.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { dir, source }
            }
            _ => Self::Io {
                doing: "write",
                dir,
                source,
            },
        }
    }

    /// A file that ends too early is damaged; any other failure is an error of the system.
    pub(super) fn reading(dir: &Path, source: io::Error) -> Self {
        let dir = dir.to_owned();
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged {
                dir,
                what: "it is cut short",
            },
            _ => Self::Io {
                doing: "read",
                dir,
                source,
            },
        }
    }
}

//! Why exported items cannot be shaped.

use crate::model::LineProblem;
use std::io;
use std::path::PathBuf;

/// Why the command ended. No directory remains of what it wrote; what it wrote to the standard output is not complete.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// An input cannot be read.
    #[error("{input}: cannot be read: {source}")]
    Read {
        /// The input.
        input: String,
        /// The error of the system, or of the decompression.
        source: io::Error,
    },
    /// A line is not an item.
    #[error("{input}:{line}: {problem}")]
    Line {
        /// The input.
        input: String,
        /// The line, from 1.
        line: u64,
        /// The problem.
        problem: LineProblem,
    },
    /// A directory without data.
    #[error("{}: there is no file *.json, *.jsonl, *.json.gz or *.json.zst in this directory", path.display())]
    NoFiles {
        /// The directory.
        path: PathBuf,
    },
    /// The output exists.
    #[error("{}: this exists already, and files of two runs must not be mixed", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// An output cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The standard output cannot be written.
    #[error("the standard output cannot be written: {0}")]
    Stdout(io::Error),
    /// Somebody stopped the command.
    #[error("interrupted; the output is not complete, so run the same command again")]
    Stopped,
}

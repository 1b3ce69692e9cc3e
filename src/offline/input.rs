//! The exported items: files, directories of files, or the standard input; unpacked if they are compressed.

use super::error::ShapeError;
use super::exported::Exported;
use super::lines::{LONGEST_LINE, Lines, Unread};
use crate::model::LineProblem;
use crate::plan::LookedAt;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// The first bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 1 << 17;

/// Where items come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    /// The inputs that these paths mean: `-` or no path is the standard input, and a directory is all its data files.
    ///
    /// # Errors
    /// If a path cannot be read, or a directory has no data files.
    pub fn all(paths: &[PathBuf]) -> Result<Vec<Self>, ShapeError> {
        if paths.is_empty() {
            return Ok(vec![Self::Stdin]);
        }
        let mut inputs = Vec::new();
        for path in paths {
            if path == Path::new("-") {
                inputs.push(Self::Stdin);
            } else if path.is_dir() {
                inputs.extend(files_in(path)?);
            } else {
                // Now, so that a name that is wrong is known before hours of work. A pipe can be opened only once.
                path.metadata().map_err(|source| unreadable(path, source))?;
                inputs.push(Self::File(path.clone()));
            }
        }
        Ok(inputs)
    }

    /// As it is called in errors.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Calls `each` with the number of each line and its item, until somebody stops the command.
    ///
    /// # Errors
    /// If it cannot be read or unpacked, a line is not an item, or `each` fails.
    pub fn items(
        &self,
        looked_at: &LookedAt,
        stop: &CancellationToken,
        mut each: impl FnMut(u64, &Exported) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        let failed = |source| ShapeError::Read {
            input: self.name(),
            source,
        };
        let mut lines = Lines::new(self.open().map_err(failed)?);
        while let Some(block) = lines.block().map_err(|problem| match problem {
            Unread::Failed(source) => failed(source),
            Unread::TooLong { line } => self.wrong_line(line, LineProblem::TooLong(LONGEST_LINE as u64)),
        })? {
            for (number, line) in block.lines() {
                if stop.is_cancelled() {
                    return Err(ShapeError::Stopped);
                }
                let item = Exported::of_line(&block.text, line, looked_at)
                    .map_err(|problem| self.wrong_line(number, problem))?;
                each(number, &item)?;
            }
            if let Some(number) = block.broken {
                return Err(self.wrong_line(number, LineProblem::Syntax("it is not UTF-8".into())));
            }
        }
        Ok(())
    }

    /// A line that is not an item.
    pub fn wrong_line(&self, line: u64, problem: LineProblem) -> ShapeError {
        ShapeError::Line {
            input: self.name(),
            line,
            problem,
        }
    }

    fn open(&self) -> io::Result<Box<dyn Read>> {
        let raw: Box<dyn Read> = match self {
            Self::Stdin => Box::new(io::stdin().lock()),
            Self::File(path) => Box::new(File::open(path)?),
        };
        let mut raw = BufReader::with_capacity(BUFFER, raw);
        if raw.fill_buf()?.starts_with(&GZIP_MAGIC) {
            return Ok(Box::new(MultiGzDecoder::new(raw)));
        }
        Ok(Box::new(raw))
    }
}

fn unreadable(path: &Path, source: io::Error) -> ShapeError {
    ShapeError::Read {
        input: path.display().to_string(),
        source,
    }
}

/// The data files of a directory, by name.
fn files_in(path: &Path) -> Result<Vec<Input>, ShapeError> {
    let entries = path
        .read_dir()
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|source| unreadable(path, source))?;
    let mut files: Vec<PathBuf> = entries
        .iter()
        .map(std::fs::DirEntry::path)
        .filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let data = [".json", ".jsonl", ".json.gz", ".jsonl.gz"];
            data.iter().any(|end| name.ends_with(end)) && file.is_file()
        })
        .collect();
    if files.is_empty() {
        return Err(ShapeError::NoFiles {
            path: path.to_owned(),
        });
    }
    files.sort();
    Ok(files.into_iter().map(Input::File).collect())
}

//! The exported items: files, directories of files, or the standard input; unpacked if they are compressed.

use super::error::ShapeError;
use super::exported::Exported;
use super::lines::{LONGEST_LINE, Lines, Unread};
use crate::model::{Compression, LineProblem};
use crate::plan::LookedAt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

const BUFFER: usize = 1 << 17;
const CUT_OFF: &str = "it ends before its end: a part of it is missing";

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
        let failed = |source: io::Error| ShapeError::Read {
            input: self.name(),
            source: match source.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::new(source.kind(), CUT_OFF),
                _ => source,
            },
        };
        let mut lines = Lines::new(self.open().map_err(failed)?);
        while let Some(block) = lines.block().map_err(|problem| match problem {
            Unread::Failed(source) => failed(source),
            Unread::TooLong { line } => self.wrong_line(line, LineProblem::TooLong(LONGEST_LINE as u64)),
        })? {
            if stop.is_cancelled() {
                return Err(ShapeError::Stopped);
            }
            for (number, line) in block.lines() {
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
        match self {
            Self::Stdin => unpacked(io::stdin().lock(), None),
            Self::File(path) => unpacked(File::open(path)?, path.to_str().and_then(Compression::of_name)),
        }
    }
}

/// Unpacks what is compressed. If a name says how, it must be right: otherwise it is another file, or one that another program has damaged,
/// and an import would refuse it.
fn unpacked(mut raw: impl Read + 'static, named: Option<Compression>) -> io::Result<Box<dyn Read>> {
    // A pipe may give out one byte at a time.
    let mut first = Vec::new();
    raw.by_ref()
        .take(Compression::FIRST_BYTES)
        .read_to_end(&mut first)?;
    let (found, is_empty) = (Compression::of_bytes(&first), first.is_empty());
    match named {
        Some(named) if named != found && !is_empty => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            match found {
                Compression::None => format!("its name says {named}, but it is not compressed"),
                _ => format!("its name says {named}, but it is compressed with {found}"),
            },
        )),
        _ => found.unpacked(io::Cursor::new(first).chain(BufReader::with_capacity(BUFFER, raw))),
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
            let data = [
                ".json",
                ".jsonl",
                ".json.gz",
                ".jsonl.gz",
                ".json.zst",
                ".jsonl.zst",
            ];
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Packer;
    use std::io::Write as _;

    /// Gives out one byte at a time.
    struct Slow(io::Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(1);
            self.0.read(&mut into[..most])
        }
    }

    #[test]
    fn a_slow_pipe_is_read_in_each_form() {
        for compression in [Compression::Zstd, Compression::Gzip, Compression::None] {
            let mut packer = Packer::new(compression, Vec::new()).unwrap();
            packer.write_all(b"some text").unwrap();
            let bytes = io::Cursor::new(packer.finish().unwrap());
            let mut text = String::new();
            let mut unpacked = unpacked(Slow(bytes), None).unwrap();
            unpacked.read_to_string(&mut text).unwrap();
            assert_eq!(text, "some text", "{compression}");
        }
    }
}

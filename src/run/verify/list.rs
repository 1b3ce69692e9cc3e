use crate::run::error::RunError;
use crate::verify::Mismatch;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The mismatches: the first in memory, all of them in a file where one is named.
#[derive(Clone)]
pub(super) struct MismatchList {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    limit: usize,
    faults: Vec<Mismatch>,
    expired: Vec<Mismatch>,
    file: Option<(PathBuf, BufWriter<File>)>,
}

impl MismatchList {
    /// An empty list. The file is created at once, so that a wrong path is found out before anything is read. Blocks.
    pub fn open(limit: usize, path: Option<&Path>) -> Result<Self, RunError> {
        let create = |path: &Path| match File::create(path) {
            Ok(file) => Ok((path.to_owned(), BufWriter::new(file))),
            Err(source) => Err(failed(path, source)),
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner {
                limit,
                faults: Vec::new(),
                expired: Vec::new(),
                file: path.map(create).transpose()?,
            })),
        })
    }

    /// Adds one. Now and then this blocks.
    pub fn add(&self, mismatch: Mismatch) -> Result<(), RunError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner {
            limit,
            faults,
            expired,
            file,
        } = &mut *inner;
        if let Some((path, file)) = file {
            let written = serde_json::to_writer(&mut *file, &mismatch).map_err(std::io::Error::from);
            let written = written.and_then(|()| file.write_all(b"\n"));
            written.map_err(|source| failed(path, source))?;
        }
        let kept = if mismatch.class.is_fault() {
            faults
        } else {
            expired
        };
        if kept.len() < *limit {
            kept.push(mismatch);
        }
        Ok(())
    }

    /// Writes out what is left, and answers those that were kept: faults first. Blocks.
    pub fn close(&self) -> Result<Vec<Mismatch>, RunError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, mut file)) = inner.file.take() {
            file.flush().map_err(|source| failed(&path, source))?;
        }
        let mut kept = std::mem::take(&mut inner.faults);
        kept.append(&mut inner.expired);
        kept.truncate(inner.limit);
        Ok(kept)
    }
}

fn failed(path: &Path, source: std::io::Error) -> RunError {
    RunError::List {
        path: path.to_owned(),
        source,
    }
}

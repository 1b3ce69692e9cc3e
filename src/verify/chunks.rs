//! Reads a list of candidates in chunks.

use super::sorting::blocking;
use crate::verify::compare::{CandidateFile, CandidateReader, Pending};
use crate::worker::RunError;

/// Reads a list of candidates in chunks, on a thread for blocking work.
pub(super) struct Chunks {
    reader: Option<CandidateReader>,
    size: usize,
}

impl Chunks {
    pub fn of(file: CandidateFile, size: usize) -> Self {
        Self {
            reader: Some(file.into_reader()),
            size,
        }
    }

    /// The next ones; none at the end.
    pub async fn next(&mut self) -> Result<Vec<Pending>, RunError> {
        let Some(mut reader) = self.reader.take() else {
            return Ok(Vec::new());
        };
        let size = self.size;
        let (reader, chunk) = blocking(move || {
            let chunk = reader.by_ref().take(size).collect::<Result<Vec<_>, _>>()?;
            Ok((reader, chunk))
        })
        .await?;
        self.reader = (!chunk.is_empty()).then_some(reader);
        Ok(chunk)
    }
}

/// Adds to a list of candidates, on a thread for blocking work.
pub(super) async fn push_all(
    mut file: CandidateFile,
    pendings: Vec<Pending>,
) -> Result<CandidateFile, RunError> {
    if pendings.is_empty() {
        return Ok(file);
    }
    blocking(move || {
        for pending in &pendings {
            file.push(pending)?;
        }
        Ok(file)
    })
    .await
}

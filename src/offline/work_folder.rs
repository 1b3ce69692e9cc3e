//! A folder that appears under its name when everything is in it.

use super::error::ShapeError;
use super::output::failed;
use super::report::Report;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder under another name, which is deleted if it is not published.
#[derive(Debug)]
pub struct WorkFolder {
    work: TempDir,
    to: PathBuf,
}

impl WorkFolder {
    /// Beside the folder that it will be.
    ///
    /// # Errors
    /// If that exists, or nothing can be created beside it.
    pub fn beside(to: &Path) -> Result<Self, ShapeError> {
        refuse(to)?;
        let parent = match to.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        // It holds whole items: nobody else is to read them.
        #[cfg(unix)]
        let builder = builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let work = builder
            .prefix(".dynasplit-shape-")
            .tempdir_in(parent)
            .map_err(|source| failed(parent, source))?;
        Ok(Self {
            work,
            to: to.to_owned(),
        })
    }

    /// Where it is now.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.work.path()
    }

    /// Gives it its name, with the report in it.
    ///
    /// # Errors
    /// If it cannot be written or renamed.
    pub fn publish(self, report: &Report) -> Result<(), ShapeError> {
        let path = self.path().join("report.json");
        let text = serde_json::to_vec_pretty(report).map_err(|error| failed(&path, error.into()))?;
        std::fs::write(&path, text).map_err(|source| failed(&path, source))?;
        refuse(&self.to)?;
        std::fs::rename(self.path(), &self.to).map_err(|source| failed(&self.to, source))?;
        // It has another name now, and nothing is left to delete.
        let _moved = self.work.keep();
        Ok(())
    }
}

fn refuse(to: &Path) -> Result<(), ShapeError> {
    match to.symlink_metadata() {
        Ok(_) => Err(ShapeError::Exists { path: to.to_owned() }),
        Err(_) => Ok(()),
    }
}

//! Files of items: compressed lines of `{"Item": {...}}`, as DynamoDB imports them.

use super::error::ShapeError;
use crate::model::Item;
use crate::model::json::item_to_json;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A line of an item.
pub fn item_line(item: &Item, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    serde_json::to_writer(&mut *line, &json!({ "Item": item_to_json(item) }))?;
    line.push(b'\n');
    Ok(())
}

/// The files of one service from one input. The next one begins when one is full.
pub struct Files {
    folder: PathBuf,
    /// What the names of its files begin with.
    stem: String,
    /// Most bytes of a file before compression.
    full: u64,
    open: Option<Open>,
    count: u64,
}

struct Open {
    path: PathBuf,
    packed: GzEncoder<BufWriter<File>>,
    bytes: u64,
}

impl Files {
    pub fn new(folder: &Path, input: usize, full: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            stem: format!("{:05}", input + 1),
            full,
            open: None,
            count: 0,
        }
    }

    /// How many files there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a line.
    pub fn add(&mut self, line: &[u8]) -> Result<(), ShapeError> {
        let length = line.len() as u64;
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.bytes + length > self.full)
        {
            self.end()?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        open.packed
            .write_all(line)
            .map_err(|source| failed(&open.path, source))?;
        open.bytes += length;
        self.open = Some(open);
        Ok(())
    }

    fn create(&mut self) -> Result<Open, ShapeError> {
        std::fs::create_dir_all(&self.folder).map_err(|source| failed(&self.folder, source))?;
        self.count += 1;
        let path = self
            .folder
            .join(format!("{}-{:03}.json.gz", self.stem, self.count));
        let file = File::create_new(&path).map_err(|source| failed(&path, source))?;
        Ok(Open {
            path,
            packed: GzEncoder::new(BufWriter::new(file), Compression::fast()),
            bytes: 0,
        })
    }

    /// Writes the file that is open to the disk. No error is lost, as it would be if the file were dropped.
    pub fn end(&mut self) -> Result<(), ShapeError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let ended = open.packed.finish().and_then(|writer| {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()
        });
        ended.map_err(|source| failed(&open.path, source))
    }
}

pub fn failed(path: &Path, source: io::Error) -> ShapeError {
    ShapeError::Write {
        path: path.to_owned(),
        source,
    }
}

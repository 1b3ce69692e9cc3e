//! Files of items: lines of `{"Item": {...}}`, as DynamoDB imports them.

use super::error::ShapeError;
use crate::model::{Compression, Packer};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that is complete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Its items.
    pub items: u64,
    /// Its bytes before compression, which an import is billed for.
    pub bytes: u64,
}

/// The files of one service from one input. The next one begins when one is full.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// What the names of its files begin with.
    stem: String,
    /// Most bytes of a file before compression.
    full: u64,
    compression: Compression,
    open: Option<Open>,
    written: Vec<Written>,
}

/// Text that is compressed at once, which takes less than line by line.
const AT_ONCE: usize = 1 << 16;

#[derive(Debug)]
struct Open {
    file: Written,
    packed: Packer<BufWriter<File>>,
    /// Lines that are not compressed yet.
    text: Vec<u8>,
}

impl Open {
    fn pack(&mut self) -> io::Result<()> {
        self.packed.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

impl Files {
    pub fn new(folder: &Path, input: usize, full: u64, compression: Compression) -> Self {
        Self {
            folder: folder.to_owned(),
            stem: format!("{:05}", input + 1),
            full,
            compression,
            open: None,
            written: Vec::new(),
        }
    }

    /// The files that are complete.
    pub fn written(&self) -> &[Written] {
        &self.written
    }

    /// Adds a line.
    pub fn add(&mut self, line: &[u8]) -> Result<(), ShapeError> {
        let length = line.len() as u64;
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.file.bytes + length > self.full)
        {
            self.end()?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        open.text.extend_from_slice(line);
        if open.text.len() >= AT_ONCE {
            open.pack().map_err(|source| failed(&open.file.path, source))?;
        }
        open.file.bytes += length;
        open.file.items += 1;
        self.open = Some(open);
        Ok(())
    }

    fn create(&mut self) -> Result<Open, ShapeError> {
        std::fs::create_dir_all(&self.folder).map_err(|source| failed(&self.folder, source))?;
        let (number, ending) = (self.written.len() + 1, self.compression.ending());
        let name = format!("{}-{number:03}{ending}", self.stem);
        let path = self.folder.join(name);
        let file = File::create_new(&path).map_err(|source| failed(&path, source))?;
        let packed = Packer::new(self.compression, BufWriter::new(file));
        let packed = packed.map_err(|source| failed(&path, source))?;
        Ok(Open {
            file: Written {
                path,
                items: 0,
                bytes: 0,
            },
            packed,
            text: Vec::with_capacity(AT_ONCE),
        })
    }

    /// Writes the file that is open to the disk. No error is lost, as it would be if the file were dropped.
    pub fn end(&mut self) -> Result<(), ShapeError> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let packed = open.pack().and_then(|()| open.packed.finish());
        let ended = packed.and_then(|writer| {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()
        });
        ended.map_err(|source| failed(&open.file.path, source))?;
        self.written.push(open.file);
        Ok(())
    }
}

pub fn failed(path: &Path, source: io::Error) -> ShapeError {
    ShapeError::Write {
        path: path.to_owned(),
        source,
    }
}

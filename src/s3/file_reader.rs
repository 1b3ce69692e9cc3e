//! Reads one data file of an export, page by page.

use super::bucket::Bucket;
use super::error::ExportError;
use super::manifest::{FileEntry, Sum};
use super::object::Part;
use crate::dynamo::{PATIENCE, backoff};
use crate::model::{Item, LineProblem};
use flate2::write::MultiGzDecoder;
use md5::{Digest, Md5};
use std::io::Write;
use std::ops::Range;
use std::time::Duration;
use tokio::time::Instant;

/// Text of a page: as much as a page of a scan has.
const PAGE_BYTES: usize = 1 << 20;
/// Packed bytes that are unpacked at once. They may become a thousand times as many.
const UNPACK_BYTES: usize = 16 << 10;
/// Longest line: an item has at most 400 KB, and its JSON a few times as much.
const LONGEST_LINE: usize = 16 << 20;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Reads one line.
pub(super) type ReadLine = fn(&[u8]) -> Result<Item, LineProblem>;

/// Items of a file; of an incremental export, the keys of items that changed.
#[derive(Clone, PartialEq, Debug)]
pub struct ExportPage {
    /// The items.
    pub items: Vec<Item>,
    /// Lines of the file up to the end of this page; `None`: the file ends here, and all of it was right.
    pub next: Option<u64>,
}

/// Lines of a file that are not empty.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ExportLines {
    /// Their text, each with its end.
    pub text: Vec<u8>,
    /// The number of each, and its place.
    pub lines: Vec<(u64, Range<usize>)>,
    /// As in [`ExportPage`].
    pub next: Option<u64>,
}

/// Reads one data file. It keeps a part of the packed file and a page of its text in memory.
///
/// If a request fails, nothing is lost: the next call continues at the same place.
#[derive(Debug)]
pub struct FileReader {
    bucket: Bucket,
    file: FileEntry,
    read_line: ReadLine,
    /// Packed bytes that are not unpacked yet.
    packed: Vec<u8>,
    unpacked_to: usize,
    /// Packed bytes that were read, and how many there are.
    offset: u64,
    size: Option<u64>,
    etag: Option<String>,
    hash: Md5,
    unpacker: MultiGzDecoder<Vec<u8>>,
    /// Unpacked text, and how much of it was taken.
    text: Vec<u8>,
    taken_to: usize,
    is_unpacked: bool,
    /// Lines and items that were taken.
    line: u64,
    found: u64,
    /// The page that is being read.
    page: ExportLines,
}

impl FileReader {
    pub(super) fn new(bucket: Bucket, file: FileEntry, read_line: ReadLine) -> Self {
        Self {
            bucket,
            file,
            read_line,
            packed: Vec::new(),
            unpacked_to: 0,
            offset: 0,
            size: None,
            etag: None,
            hash: Md5::new(),
            unpacker: MultiGzDecoder::new(Vec::new()),
            text: Vec::new(),
            taken_to: 0,
            is_unpacked: false,
            line: 0,
            found: 0,
            page: ExportLines::default(),
        }
    }

    /// How many lines were taken.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Passes over lines until so many were taken.
    ///
    /// # Errors
    /// If the file cannot be read, or has fewer lines.
    pub async fn skip_to(&mut self, line: u64) -> Result<(), ExportError> {
        while self.line < line {
            match self.next_line().await? {
                Some(line) => self.found += u64::from(!self.text[line].trim_ascii().is_empty()),
                None => {
                    return Err(ExportError::Checksum {
                        name: self.name(),
                        reason: "it has fewer lines than were copied",
                    });
                }
            }
        }
        Ok(())
    }

    /// Reads the next page.
    ///
    /// # Errors
    /// If the file cannot be read, is not the one that DynamoDB wrote, or a line is not an item.
    pub async fn page(&mut self) -> Result<ExportPage, ExportError> {
        let lines = self.lines().await?;
        self.items_of(&lines)
    }

    /// Reads the next page, again after temporary failures, for two minutes at most.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub async fn patient_page(&mut self) -> Result<ExportPage, ExportError> {
        let lines = self.patient_lines().await?;
        self.items_of(&lines)
    }

    /// The same as text.
    ///
    /// # Errors
    /// If the file cannot be read, or is not the one that DynamoDB wrote.
    pub async fn patient_lines(&mut self) -> Result<ExportLines, ExportError> {
        let (began, mut attempt) = (Instant::now(), 0);
        loop {
            match self.lines().await {
                Err(error) if error.passing().is_some() && began.elapsed() < PATIENCE => {
                    attempt += 1;
                    tracing::debug!(attempt, %error, "reading again");
                    tokio::time::sleep(backoff(attempt, FIRST_WAIT, LONGEST_WAIT)).await;
                }
                page => return page,
            }
        }
    }

    fn items_of(&self, page: &ExportLines) -> Result<ExportPage, ExportError> {
        let items = page.lines.iter().map(|(line, place)| {
            (self.read_line)(&page.text[place.clone()]).map_err(|problem| ExportError::Line {
                name: self.name(),
                line: *line,
                problem,
            })
        });
        Ok(ExportPage {
            items: items.collect::<Result<_, _>>()?,
            next: page.next,
        })
    }

    async fn lines(&mut self) -> Result<ExportLines, ExportError> {
        while self.page.text.len() < PAGE_BYTES {
            let Some(line) = self.next_line().await? else {
                self.check_end()?;
                return Ok(self.take_page(true));
            };
            let line = self.text[line].trim_ascii();
            if line.is_empty() {
                continue;
            }
            let start = self.page.text.len();
            self.page.text.extend_from_slice(line);
            self.page.lines.push((self.line, start..self.page.text.len()));
            self.page.text.push(b'\n');
            self.found += 1;
        }
        // So that the last page says that it is the last one.
        if self.peek().await? {
            return Ok(self.take_page(false));
        }
        self.check_end()?;
        Ok(self.take_page(true))
    }

    fn take_page(&mut self, is_last: bool) -> ExportLines {
        let mut page = std::mem::take(&mut self.page);
        page.next = (!is_last).then_some(self.line);
        page
    }

    /// The place of the next line in the text, without its end, until more is unpacked; `None` at the end of the file.
    async fn next_line(&mut self) -> Result<Option<Range<usize>>, ExportError> {
        let mut searched = self.taken_to;
        loop {
            if let Some(at) = self.text[searched..].iter().position(|byte| *byte == b'\n') {
                let end = searched + at;
                let line = self.taken_to..end;
                self.taken_to = end + 1;
                self.line += 1;
                return Ok(Some(line));
            }
            if self.text.len() - self.taken_to > LONGEST_LINE {
                return Err(ExportError::Line {
                    name: self.name(),
                    line: self.line + 1,
                    problem: LineProblem::TooLong(LONGEST_LINE as u64),
                });
            }
            if self.is_unpacked {
                let rest = self.taken_to..self.text.len();
                self.taken_to = rest.end;
                if rest.is_empty() {
                    return Ok(None);
                }
                self.line += 1;
                return Ok(Some(rest));
            }
            let rest = self.text.len() - self.taken_to;
            self.unpack_more().await?;
            searched = rest;
        }
    }

    /// Whether any text is left.
    async fn peek(&mut self) -> Result<bool, ExportError> {
        while self.taken_to >= self.text.len() && !self.is_unpacked {
            self.unpack_more().await?;
        }
        Ok(self.taken_to < self.text.len())
    }

    /// Unpacks some more bytes, after what is left of the text.
    async fn unpack_more(&mut self) -> Result<(), ExportError> {
        if self.unpacked_to >= self.packed.len() {
            self.read_more().await?;
        }
        self.text.drain(..self.taken_to);
        self.taken_to = 0;
        let end = self.packed.len().min(self.unpacked_to + UNPACK_BYTES);
        let bytes = &self.packed[self.unpacked_to..end];
        let is_last = end == self.packed.len() && self.size.is_some_and(|size| self.offset >= size);
        let mut unpacked = self.unpacker.write_all(bytes);
        if is_last && self.size != Some(0) {
            unpacked = unpacked.and_then(|()| self.unpacker.try_finish());
        }
        unpacked.map_err(|reason| ExportError::Unpack {
            name: self.bucket.object(&self.file.key),
            reason,
        })?;
        self.unpacked_to = end;
        self.is_unpacked = is_last;
        self.text.append(self.unpacker.get_mut());
        Ok(())
    }

    /// Reads the next part of the packed file. The first one proves which object it is.
    async fn read_more(&mut self) -> Result<(), ExportError> {
        let key = self.file.key.clone();
        let part = self
            .bucket
            .part(&key, self.offset)
            .await
            .map_err(ExportError::of)?;
        match &self.etag {
            None => self.prove(&part).await?,
            Some(first) if *first != part.etag => {
                return Err(ExportError::Replaced { name: self.name() });
            }
            Some(_) => {}
        }
        self.hash.update(&part.bytes);
        self.offset += part.bytes.len() as u64;
        self.size = Some(part.size);
        self.etag = Some(part.etag);
        (self.packed, self.unpacked_to) = (part.bytes, 0);
        Ok(())
    }

    /// Proves that an object is the one that DynamoDB wrote, before anything of it is used. If neither its ETag nor the sum in the ETag
    /// of a simple object shows it, all of it is read, and its sum is compared.
    async fn prove(&self, first: &Part) -> Result<(), ExportError> {
        let sum = super::manifest::read_sum(&first.etag);
        let is_sum = first.etag_is_sum && sum == Some(self.file.md5);
        if is_sum || first.etag == self.file.etag {
            return Ok(());
        }
        let mut hash = Md5::new();
        hash.update(&first.bytes);
        let mut offset = first.bytes.len() as u64;
        while offset < first.size {
            let next = self
                .bucket
                .part(&self.file.key, offset)
                .await
                .map_err(ExportError::of)?;
            if next.etag != first.etag {
                return Err(ExportError::Replaced { name: self.name() });
            }
            hash.update(&next.bytes);
            offset += next.bytes.len() as u64;
        }
        self.compare(hash.finalize().into())
    }

    fn compare(&self, sum: Sum) -> Result<(), ExportError> {
        if sum == self.file.md5 {
            return Ok(());
        }
        Err(ExportError::Checksum {
            name: self.name(),
            reason: "its MD5 sum is not that of the manifest",
        })
    }

    /// At the end of the file: it is what the manifest says.
    fn check_end(&self) -> Result<(), ExportError> {
        self.compare(self.hash.clone().finalize().into())?;
        if self.found == self.file.items {
            return Ok(());
        }
        Err(ExportError::Count {
            name: self.name(),
            expected: self.file.items,
            found: self.found,
        })
    }

    fn name(&self) -> String {
        self.bucket.object(&self.file.key)
    }
}

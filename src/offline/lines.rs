//! The lines of an input, in blocks: a line is copied once, and nothing is allocated for it.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// Longest line: an item has at most 400 KB, and its JSON a few times as much.
pub const LONGEST_LINE: usize = 64 << 20;
/// Bytes of a block, unless a line is longer.
const BLOCK_BYTES: usize = 1 << 18;

/// Why there is no next block.
#[derive(Debug)]
pub enum Unread {
    /// The input cannot be read.
    Failed(io::Error),
    /// A line is too long.
    TooLong {
        /// Its number.
        line: u64,
    },
}

/// Some lines.
#[derive(Debug)]
pub struct Block {
    /// Their text.
    pub text: Arc<str>,
    /// The number of the first one.
    first: u64,
    /// The line behind these, which is not UTF-8.
    pub broken: Option<u64>,
}

impl Block {
    /// The number and the place of each line that is not empty.
    pub fn lines(&self) -> impl Iterator<Item = (u64, Range<usize>)> {
        let mut at = 0;
        let each = self.text.split_inclusive('\n').map(move |line| {
            let start = at;
            at += line.len();
            let text = line.trim_ascii_end();
            let begins = text.len() - text.trim_ascii_start().len();
            start + begins..start + text.len()
        });
        (self.first..).zip(each).filter(|(_, line)| !line.is_empty())
    }
}

/// Reads blocks of whole lines.
pub struct Lines<R> {
    reader: R,
    /// What is read; `used` bytes of it hold text.
    bytes: Vec<u8>,
    used: usize,
    /// The number of the next line.
    next: u64,
    has_ended: bool,
}

impl<R: Read> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            bytes: vec![0; BLOCK_BYTES],
            used: 0,
            next: 1,
            has_ended: false,
        }
    }

    /// The next lines; `None` at the end.
    pub fn block(&mut self) -> Result<Option<Block>, Unread> {
        let mut searched = 0;
        let end = loop {
            self.fill().map_err(Unread::Failed)?;
            let text = &self.bytes[..self.used];
            if self.has_ended {
                break self.used;
            }
            if let Some(at) = text[searched..].iter().rposition(|byte| *byte == b'\n') {
                break searched + at + 1;
            }
            if self.used >= LONGEST_LINE {
                return Err(Unread::TooLong { line: self.next });
            }
            searched = self.used;
            self.bytes.resize(2 * self.bytes.len(), 0);
        };
        if end == 0 {
            return Ok(None);
        }
        let block = self.take(end);
        self.bytes.copy_within(end..self.used, 0);
        self.used -= end;
        // A long line is an exception.
        self.bytes.truncate(BLOCK_BYTES.max(self.used));
        self.bytes.resize(BLOCK_BYTES.max(self.used), 0);
        Ok(Some(block))
    }

    fn take(&mut self, end: usize) -> Block {
        let (whole, first) = (&self.bytes[..end], self.next);
        let (text, is_broken) = match std::str::from_utf8(whole) {
            Ok(text) => (text, false),
            Err(error) => {
                let good = &whole[..error.valid_up_to()];
                let lines = good
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |at| at + 1);
                (std::str::from_utf8(&good[..lines]).unwrap_or_default(), true)
            }
        };
        let count = line_ends(text.as_bytes());
        self.next += count;
        Block {
            text: text.into(),
            first,
            broken: is_broken.then_some(self.next),
        }
    }

    /// Reads until there is no more room, or the end is reached.
    fn fill(&mut self) -> io::Result<()> {
        while self.used < self.bytes.len() {
            match self.reader.read(&mut self.bytes[self.used..]) {
                Ok(0) => {
                    self.has_ended = true;
                    return Ok(());
                }
                Ok(read) => self.used += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How many lines end in a text. In parts that a byte can count, so that the compiler counts many bytes at once.
fn line_ends(text: &[u8]) -> u64 {
    let of_part = |part: &[u8]| part.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>();
    text.chunks(u8::MAX.into())
        .map(|part| u64::from(of_part(part)))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out a few bytes at a time.
    struct Slow<'t>(&'t [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(into.len());
            let (now, later) = self.0.split_at(count);
            into[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    fn all(text: &[u8], at_once: usize) -> (Vec<(u64, String)>, Option<u64>) {
        let mut lines = Lines::new(Slow(text, at_once));
        let mut found = Vec::new();
        while let Some(block) = lines.block().expect("a block") {
            found.extend(
                block
                    .lines()
                    .map(|(number, line)| (number, block.text[line].to_owned())),
            );
            if block.broken.is_some() {
                return (found, block.broken);
            }
        }
        (found, None)
    }

    #[test]
    fn every_line_comes_once_with_its_number() {
        let long = "x".repeat(3 * BLOCK_BYTES);
        let text = format!("a\n\n  b \r\n{long}\n{}c", "y\n".repeat(BLOCK_BYTES));
        for at_once in [7, BLOCK_BYTES - 1, usize::MAX] {
            let (found, broken) = all(text.as_bytes(), at_once);
            assert_eq!(broken, None);
            let expected: Vec<(u64, String)> = (1u64..)
                .zip(text.split('\n'))
                .map(|(number, line)| (number, line.trim_ascii().to_owned()))
                .filter(|(_, line)| !line.is_empty())
                .collect();
            assert!(found == expected, "{at_once}");
        }
    }

    #[test]
    fn the_lines_before_one_that_is_no_text_come_and_its_number() {
        let (found, broken) = all(b"a\n\nb\n\xff\nc\n", 2);
        assert_eq!(found, [(1, "a".to_owned()), (3, "b".to_owned())]);
        assert_eq!(broken, Some(4));
    }

    #[test]
    fn a_line_that_is_too_long_is_named() {
        let mut lines = Lines::new(io::BufReader::new(b"a\n".chain(io::repeat(b'x'))));
        let _first = lines.block().expect("the first line");
        match lines.block() {
            Err(Unread::TooLong { line: 2 }) => {}
            other => panic!("{other:?}"),
        }
    }
}

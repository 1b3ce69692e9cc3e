//! One object of the ledger: a header and lines of records, compressed. Pure.

use crate::model::{Position, RawRecord, SequenceNumber};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};

/// Version of the format of objects.
const FORMAT: u32 = 1;
/// Unpacked text of an object, at most. The lane writes far smaller ones.
const MOST_TEXT: u64 = 256 << 20;
const EXTENSION: &str = ".jsonl.gz";

/// The first line of an object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// Version of the format.
    pub ledger: u32,
    /// The split that wrote it.
    pub split: String,
    /// The source table.
    pub table: String,
    /// ARN of its stream.
    pub stream: String,
    /// The shard.
    pub shard: String,
    /// The shard that this one continues.
    pub parent: Option<String>,
    /// Where the object begins: the place before its first record.
    pub from: Position,
    /// Where it ends, and the next one begins. [`Position::End`]: the shard is closed, and no object follows.
    pub to: Position,
    /// Each write of the shard since this time (milliseconds since 1970) is in the chain, up to `to`.
    pub kept_from_ms: u64,
    /// Each write before this time is in the chain, from `kept_from_ms` on.
    pub complete_to_ms: u64,
    /// Number of records.
    pub records: u64,
    /// Creation time of the newest record.
    pub newest_ms: Option<u64>,
}

impl Header {
    /// The version of the format that this version writes.
    pub const FORMAT: u32 = FORMAT;
}

/// An object of the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerObject {
    /// Its header.
    pub header: Header,
    /// The records, one a line, in the order of the stream.
    pub lines: Vec<String>,
}

impl LedgerObject {
    /// The bytes of the object.
    ///
    /// # Errors
    /// If they cannot be packed.
    pub fn pack(&self) -> std::io::Result<Vec<u8>> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut packed, &self.header)?;
        packed.write_all(b"\n")?;
        for line in &self.lines {
            packed.write_all(line.as_bytes())?;
            packed.write_all(b"\n")?;
        }
        packed.finish()
    }

    /// Reads the bytes of an object. The checksum of GZIP and the number of records are right.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn unpack(bytes: &[u8]) -> Result<Self, String> {
        let unpacked = MultiGzDecoder::new(bytes).take(MOST_TEXT);
        let mut lines = BufReader::new(unpacked).lines();
        let unreadable = |error: std::io::Error| format!("it cannot be unpacked ({error})");
        let first = lines.next().ok_or("it is empty")?.map_err(unreadable)?;
        let header: Header =
            serde_json::from_str(&first).map_err(|error| format!("its first line is no header ({error})"))?;
        if header.ledger != FORMAT {
            return Err(format!(
                "it has format {}, and this version of dynasplit reads {FORMAT}",
                header.ledger
            ));
        }
        let lines = lines.collect::<Result<Vec<String>, _>>().map_err(unreadable)?;
        if lines.len() as u64 != header.records {
            return Err(format!(
                "it has {} records, and its header says {}",
                lines.len(),
                header.records
            ));
        }
        Ok(Self { header, lines })
    }

    /// A record of the object.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn record(&self, n: usize) -> Result<Option<RawRecord>, String> {
        let Some(line) = self.lines.get(n) else {
            return Ok(None);
        };
        let record = RawRecord::from_line(line);
        // The header is the first line.
        record.map(Some).map_err(|what| format!("line {}: {what}", n + 2))
    }
}

/// The name of the object that begins at a place, in the folder of its shard. Names sort as the places do.
pub(super) fn name(from: &Position) -> Option<String> {
    let (number, is_after) = match from {
        Position::Beginning => (SequenceNumber::new(""), 0),
        Position::At(number) => (number.clone(), 0),
        Position::After(number) => (number.clone(), 1),
        Position::End => return None,
    };
    Some(format!("{}-{is_after}{EXTENSION}", number.padded()))
}

/// The place at which an object of this name begins; `None`: it is no object of a ledger.
pub(super) fn place(name: &str) -> Option<Position> {
    let (number, is_after) = name.strip_suffix(EXTENSION)?.split_once('-')?;
    let is_number =
        number.len() == SequenceNumber::PADDED_DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| SequenceNumber::new(number))?;
    match is_after {
        "0" if number.as_text() == "0" => Some(Position::Beginning),
        "0" => Some(Position::At(number)),
        "1" => Some(Position::After(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(lines: usize) -> LedgerObject {
        LedgerObject {
            header: Header {
                ledger: FORMAT,
                split: "s".into(),
                table: "t".into(),
                stream: "arn".into(),
                shard: "shard".into(),
                parent: None,
                from: Position::Beginning,
                to: Position::End,
                kept_from_ms: 1,
                complete_to_ms: 2,
                records: lines as u64,
                newest_ms: Some(2),
            },
            lines: (0..lines).map(|n| format!("{{\"n\":{n}}}")).collect(),
        }
    }

    #[test]
    fn an_object_is_read_as_it_was_written_or_not_at_all() {
        for lines in [0, 1, 1000] {
            let object = object(lines);
            let bytes = object.pack().unwrap();
            assert_eq!(LedgerObject::unpack(&bytes).as_ref(), Ok(&object));
            for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                assert!(LedgerObject::unpack(&bytes[..cut]).is_err(), "{lines} {cut}");
            }
            let mut flipped = bytes.clone();
            let last = flipped.len() - 6;
            flipped[last] ^= 1;
            assert!(LedgerObject::unpack(&flipped).is_err(), "the checksum");
        }
        let mut wrong = object(3);
        wrong.header.records = 4;
        let error = LedgerObject::unpack(&wrong.pack().unwrap()).unwrap_err();
        assert_eq!(error, "it has 3 records, and its header says 4");
        wrong.header.ledger = 2;
        let error = LedgerObject::unpack(&wrong.pack().unwrap()).unwrap_err();
        assert!(error.contains("format 2"), "{error}");
    }

    #[test]
    fn names_sort_as_the_places_do() {
        let number = SequenceNumber::new;
        let places = [
            Position::Beginning,
            Position::At(number("9")),
            Position::After(number("9")),
            Position::At(number("10")),
            Position::After(number("4000000000000000000001")),
        ];
        let names: Vec<String> = places.iter().filter_map(name).collect();
        assert!(names.is_sorted() && names.len() == places.len());
        let read: Vec<Position> = names.iter().filter_map(|name| place(name)).collect();
        assert_eq!(read, places);
        assert_eq!(name(&Position::End), None);
        for other in [
            "x",
            "7-0.jsonl.gz",
            &names[1].replace("-0", "-2"),
            &names[1].replace(".gz", ""),
        ] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}

//! How files of items are compressed: those that are written, and those that are read.

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use zstd::stream::read::Decoder as ZstdDecoder;
use zstd::stream::write::Encoder as ZstdEncoder;

/// How a file of items is compressed. DynamoDB imports all of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Smaller files than gzip, in about the same time.
    #[default]
    Zstd,
    /// What everything reads.
    Gzip,
    /// Not at all.
    None,
}

/// The fastest one that still finds what repeats: the files are read once.
const ZSTD_LEVEL: i32 = 1;
/// It looks 128 KiB back (2 to the power of this) and not 512 KiB: the files are 5 % larger, and packing them takes a sixth less time,
/// because more of what it looks at is in the cache of the processor, and in one piece.
const ZSTD_WINDOW: u32 = 17;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Compression {
    /// That of files which no record names: versions that knew no other one wrote them.
    #[must_use]
    pub fn of_old_records() -> Self {
        Self::Gzip
    }

    /// What the name of a file of items ends with.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Zstd => ".json.zst",
            Self::Gzip => ".json.gz",
            Self::None => ".json",
        }
    }

    /// So many first bytes of a file tell.
    pub const FIRST_BYTES: u64 = ZSTD_MAGIC.len() as u64;

    /// By the first bytes of a file.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        if bytes.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if bytes.starts_with(&ZSTD_MAGIC) {
            Self::Zstd
        } else {
            Self::None
        }
    }

    /// By the name of a file, if it says that the file is compressed.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Unpacks a file.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn unpacked<'r>(self, packed: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Zstd => Box::new(ZstdDecoder::with_buffer(packed)?),
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Self::None => Box::new(packed),
        })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        })
    }
}

/// Compresses what is written. Its checksum goes with it.
pub struct Packer<W: Write>(Kind<W>);

enum Kind<W: Write> {
    Zstd(ZstdEncoder<'static, W>),
    Gzip(GzEncoder<W>),
    None(W),
}

impl<W: Write> Packer<W> {
    /// Into a writer.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(compression: Compression, into: W) -> io::Result<Self> {
        Ok(Self(match compression {
            Compression::Zstd => {
                let mut packer = ZstdEncoder::new(into, ZSTD_LEVEL)?;
                packer.include_checksum(true)?;
                packer.window_log(ZSTD_WINDOW)?;
                Kind::Zstd(packer)
            }
            Compression::Gzip => Kind::Gzip(GzEncoder::new(into, flate2::Compression::fast())),
            Compression::None => Kind::None(into),
        }))
    }

    /// Completes the file. What is only dropped is not complete.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Kind::Zstd(packer) => packer.finish(),
            Kind::Gzip(packer) => packer.finish(),
            Kind::None(into) => Ok(into),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Zstd(packer) => packer.write(bytes),
            Kind::Gzip(packer) => packer.write(bytes),
            Kind::None(into) => into.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Zstd(packer) => packer.flush(),
            Kind::Gzip(packer) => packer.flush(),
            Kind::None(into) => into.flush(),
        }
    }
}

impl<W: Write> fmt::Debug for Packer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 3] = [Compression::Zstd, Compression::Gzip, Compression::None];

    fn packed(compression: Compression, text: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new(compression, Vec::new()).unwrap();
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Compression::of_bytes(bytes)
            .unpacked(bytes)?
            .read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_is_packed_comes_back_also_from_several_parts() {
        let text = b"{\"Item\":{}}\n".repeat(9_000);
        for compression in ALL {
            let bytes = packed(compression, &text);
            assert_eq!(Compression::of_bytes(&bytes), compression);
            assert_eq!(unpacked(&bytes).unwrap(), text, "{compression}");
            assert_eq!(
                unpacked(&bytes.repeat(2)).unwrap(),
                text.repeat(2),
                "{compression}"
            );
            assert_eq!(unpacked(&packed(compression, b"")).unwrap(), b"", "{compression}");
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_an_error() {
        let text: Vec<u8> = (0..40_000u32)
            .flat_map(|n| (n * n).to_string().into_bytes())
            .collect();
        for compression in [Compression::Zstd, Compression::Gzip] {
            let bytes = packed(compression, &text);
            for end in [5, bytes.len() / 2, bytes.len() - 1] {
                assert!(unpacked(&bytes[..end]).is_err(), "{compression} {end}");
            }
            // The checksum is at the end.
            let mut damaged = bytes.clone();
            *damaged.last_mut().unwrap() ^= 1;
            assert!(unpacked(&damaged).is_err(), "{compression}");
        }
    }

    #[test]
    fn a_name_says_what_the_ending_says() {
        for compression in [Compression::Zstd, Compression::Gzip] {
            let name = format!("00001{}", compression.ending());
            assert_eq!(Compression::of_name(&name), Some(compression));
        }
        for name in ["00001.json", "gz", "a.gz.json", ""] {
            assert_eq!(Compression::of_name(name), None, "{name}");
        }
    }
}

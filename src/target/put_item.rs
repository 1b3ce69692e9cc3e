//! The item of a put in a batch: whole, or mostly as it came from the source.

use crate::flow::WriteKind;
use crate::model::raw::{RawPut, write_item, write_value};
use crate::model::{Item, ItemExt};
use crate::plan::PutCost;

/// The item of a put.
#[derive(Debug)]
pub enum PutItem {
    /// Whole.
    Whole(Item),
    /// Mostly as it came from the source.
    Raw(RawPut),
}

/// Bytes of JSON beside the contents of an average item, so that a body has its size at once.
const AROUND: usize = 512;

impl PutItem {
    /// Bytes that DynamoDB charges for it.
    pub fn size(&self) -> usize {
        match self {
            Self::Whole(item) => item.size(),
            Self::Raw(item) => item.size(),
        }
    }

    /// Its use if the engine does not report it.
    pub fn milliunits(&self, cost: &PutCost) -> u64 {
        match self {
            Self::Whole(item) => cost.milliunits(item),
            Self::Raw(item) => cost.milliunits_with(item.made(), item.size() - item.made().size()),
        }
    }

    /// The names of its attributes, in one order.
    pub fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Whole(item) => Box::new(item.keys().map(String::as_str)),
            Self::Raw(item) => Box::new(item.names()),
        }
    }

    /// About how many bytes it has as text.
    pub fn text_bytes(&self) -> usize {
        self.size() + AROUND
    }

    /// Writes its values, in the order of the names.
    pub fn write_values(&self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(item) => {
                for (place, value) in item.values().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    write_value(value, out);
                }
            }
            Self::Raw(item) => item.write_values(out),
        }
    }

    /// Writes it.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(item) => write_item(item, out),
            Self::Raw(item) => item.write(out),
        }
    }

    /// The kind of write that it came from.
    pub fn into_kind(self) -> WriteKind {
        match self {
            Self::Whole(item) => WriteKind::Put(item),
            Self::Raw(item) => WriteKind::PutRaw(item),
        }
    }
}

#[cfg(test)]
mod tests;

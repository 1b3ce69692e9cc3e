//! An item to write, of which most attributes are carried as they are.

use super::cursor::{Cursor, Unreadable};
use super::item::{RawAttribute, RawItem};
use super::read;
use super::write::{write_text, write_value};
use crate::model::{Item, ItemExt};
use std::fmt;
use std::sync::Arc;

/// An item to write: attributes that were made, and others that are carried from an answer as they are.
#[derive(Clone)]
pub struct RawPut {
    made: Item,
    carried: Vec<RawAttribute>,
    text: Arc<str>,
    bytes: usize,
}

impl RawPut {
    /// An item with these attributes, and with those of a source item that are not read and that are kept. None of the
    /// latter has the name of one of the former.
    #[must_use]
    pub fn new(made: Item, source: &RawItem, keeps: impl Fn(&str) -> bool) -> Self {
        let kept = source.carried().filter(|one| keeps(one.name_in(&source.text)));
        let carried: Vec<RawAttribute> = kept.cloned().collect();
        let weighs = |one: &RawAttribute| one.name.len() + one.bytes as usize;
        Self {
            bytes: made.size() + carried.iter().map(weighs).sum::<usize>(),
            made,
            carried,
            text: Arc::clone(&source.text),
        }
    }

    /// Bytes that DynamoDB charges for the item.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes
    }

    /// The same without these of the attributes that were made.
    #[must_use]
    pub fn without(mut self, is_left_out: impl Fn(&str) -> bool) -> Self {
        let bytes = &mut self.bytes;
        self.made.retain(|name, value| {
            let is_left_out = is_left_out(name);
            *bytes -= if is_left_out { name.len() + value.size() } else { 0 };
            !is_left_out
        });
        self
    }

    /// The attributes that were made.
    #[must_use]
    pub fn made(&self) -> &Item {
        &self.made
    }

    /// The names of all attributes, in one order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let carried = self.carried.iter().map(|one| one.name_in(&self.text));
        self.made.keys().map(String::as_str).chain(carried)
    }

    /// Writes the values of all attributes in DynamoDB JSON, with commas between them, in the order of the names.
    pub fn write_values(&self, out: &mut Vec<u8>) {
        let mut first = true;
        for value in self.made.values() {
            comma(&mut first, out);
            write_value(value, out);
        }
        for one in &self.carried {
            comma(&mut first, out);
            out.extend_from_slice(one.value_in(&self.text).as_bytes());
        }
    }

    /// Writes the item in DynamoDB JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        for (name, value) in &self.made {
            comma(&mut first, out);
            write_text(name, out);
            out.push(b':');
            write_value(value, out);
        }
        for one in &self.carried {
            comma(&mut first, out);
            // Its name has no escapes.
            out.push(b'"');
            out.extend_from_slice(one.name_in(&self.text).as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(one.value_in(&self.text).as_bytes());
        }
        out.push(b'}');
    }

    /// The whole item.
    ///
    /// # Errors
    /// If the text of an attribute is no value, which was found out before.
    pub fn decoded(&self) -> Result<Item, Unreadable> {
        let mut item = self.made.clone();
        for one in &self.carried {
            let value = read::value(&mut Cursor::at(&self.text, one.value.start as usize))?;
            item.insert(one.name_in(&self.text).to_owned(), value);
        }
        Ok(item)
    }
}

pub(super) fn comma(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// By their contents, wherever the text is.
impl PartialEq for RawPut {
    fn eq(&self, other: &Self) -> bool {
        self.decoded() == other.decoded()
    }
}

impl Eq for RawPut {}

/// Without contents: they belong to the user.
impl fmt::Debug for RawPut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPut")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

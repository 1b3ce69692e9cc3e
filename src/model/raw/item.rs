//! An item of an answer, of which only some attributes are read.

use super::cursor::{Cursor, Unreadable};
use super::names::Names;
use super::{read, size};
use crate::model::Item;
use std::ops::Range;
use std::sync::Arc;

/// An item of an answer. The attributes that somebody looks at are read; of the others, only the place in the answer is
/// known.
#[derive(Clone, Debug)]
pub struct RawItem {
    /// The attributes that are read.
    pub read: Item,
    pub(super) carried: Vec<RawAttribute>,
    pub(super) text: Arc<str>,
    whole: Range<usize>,
}

/// An attribute that is not read. Its name has no escapes.
#[derive(Clone, Debug)]
pub(super) struct RawAttribute {
    pub name: Range<u32>,
    pub value: Range<u32>,
    /// What the value weighs.
    pub bytes: u32,
}

impl RawAttribute {
    pub fn name_in<'t>(&self, text: &'t str) -> &'t str {
        part(text, &self.name)
    }

    pub fn value_in<'t>(&self, text: &'t str) -> &'t str {
        part(text, &self.value)
    }
}

fn part<'t>(text: &'t str, range: &Range<u32>) -> &'t str {
    &text[range.start as usize..range.end as usize]
}

fn range(start: usize, end: usize) -> Result<Range<u32>, Unreadable> {
    let place = |at| u32::try_from(at).map_err(|_| Unreadable);
    Ok(place(start)?..place(end)?)
}

impl RawItem {
    /// Passes an item of a text.
    pub(super) fn pass(
        text: &Arc<str>,
        cursor: &mut Cursor<'_>,
        is_looked_at: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Unreadable> {
        cursor.peek();
        let start = cursor.place();
        let (mut read, mut carried) = (Item::new(), Vec::new());
        let mut names = Names::default();
        cursor.object(|cursor, name| {
            cursor.peek();
            if !names.add(name.said()?) {
                return Err(Unreadable);
            }
            if name.is_escaped || is_looked_at(name.raw) {
                read.insert(name.to_text()?, read::value(cursor)?);
                return Ok(());
            }
            let value = cursor.place();
            let bytes = size::size(cursor)?;
            carried.push(RawAttribute {
                name: range(name.start, name.start + name.raw.len())?,
                value: range(value, cursor.place())?,
                bytes: u32::try_from(bytes).map_err(|_| Unreadable)?,
            });
            Ok(())
        })?;
        if !names.are_distinct() {
            return Err(Unreadable);
        }
        Ok(Self {
            read,
            carried,
            text: Arc::clone(text),
            whole: start..cursor.place(),
        })
    }

    /// The item with all its attributes, but without those that were read and then removed.
    ///
    /// # Errors
    /// If its text is not an item, which was found out before.
    pub fn decoded(&self) -> Result<Item, Unreadable> {
        let mut item = read::item(&mut Cursor::at(&self.text, self.whole.start))?;
        if item.len() == self.read.len() + self.carried.len() {
            return Ok(item);
        }
        let is_carried = |name: &str| {
            let mut names = self.carried.iter().map(|one| one.name_in(&self.text));
            names.any(|carried| carried == name)
        };
        item.retain(|name, _| self.read.contains_key(name) || is_carried(name));
        Ok(item)
    }
}

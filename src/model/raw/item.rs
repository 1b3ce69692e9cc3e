//! An item of an answer, of which only some attributes are read.

use super::cursor::{Cursor, Unreadable};
use super::kind::Kind;
use super::known::Known;
use super::names::{Names, has_distinct_names};
use super::{read, size};
use crate::model::{Item, RESERVED_PREFIX};
use std::ops::Range;
use std::sync::Arc;

/// An item with more attributes needs another piece of memory.
const USUAL_ATTRIBUTES: usize = 16;

/// An item of an answer. The attributes that somebody looks at are read; of the others, only the place in the answer is
/// known.
#[derive(Clone, Debug)]
pub struct RawItem {
    /// The attributes that are read.
    pub read: Item,
    /// All attributes of the text, in its order.
    pub(super) attributes: Vec<RawAttribute>,
    pub(super) text: Arc<str>,
    whole: Range<usize>,
    is_plain: bool,
}

/// An attribute of a text.
#[derive(Clone, Debug)]
pub(super) struct RawAttribute {
    /// Without its quotes. The name of one that is not read has no escapes.
    pub name: Range<u32>,
    pub value: Range<u32>,
    /// What the value weighs.
    pub bytes: u32,
    pub kind: Kind,
    pub known: Known,
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
        known: impl Fn(&str) -> Known,
    ) -> Result<Self, Unreadable> {
        cursor.peek();
        let start = cursor.place();
        let (mut read, mut attributes) = (Item::new(), Vec::with_capacity(USUAL_ATTRIBUTES));
        let (mut names, mut is_plain) = (Names::default(), true);
        cursor.object(|cursor, name| {
            cursor.peek();
            names.add(name);
            let value = cursor.place();
            let mut known = known(name.raw);
            known.is_read |= name.is_escaped;
            let (kind, bytes) = if known.is_read {
                is_plain &= !name.is_escaped && !name.raw.starts_with(RESERVED_PREFIX);
                let value = read::value(cursor)?;
                let found = (Kind::of_value(&value), value.size());
                read.insert(name.to_text()?, value);
                found
            } else {
                size::kind_and_size(cursor)?
            };
            attributes.push(RawAttribute {
                name: range(name.start, name.start + name.raw.len())?,
                value: range(value, cursor.place())?,
                bytes: u32::try_from(bytes).map_err(|_| Unreadable)?,
                kind,
                known,
            });
            Ok(())
        })?;
        if !names.are_distinct() && !has_distinct_names(&mut cursor.again(start))? {
            return Err(Unreadable);
        }
        Ok(Self {
            read,
            attributes,
            text: Arc::clone(text),
            whole: start..cursor.place(),
            is_plain,
        })
    }

    /// The attributes that are not read.
    pub(super) fn carried(&self) -> impl Iterator<Item = &RawAttribute> {
        self.attributes.iter().filter(|one| !one.known.is_read)
    }

    /// The attribute with a known name: its name, and the type of its value and what it weighs.
    #[must_use]
    pub fn attribute(&self, place: u32) -> Option<(&str, &'static str, usize)> {
        let found = self
            .attributes
            .iter()
            .find(|one| one.known.place == Some(place))?;
        Some((found.name_in(&self.text), found.kind.name(), found.bytes as usize))
    }

    /// Whether the text can be carried as it is: the name of no attribute has escapes, or is reserved for dynasplit, as far as
    /// somebody looks at reserved names.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The item with all its attributes, but without those that were read and then removed.
    ///
    /// # Errors
    /// If its text is not an item, which was found out before.
    pub fn decoded(&self) -> Result<Item, Unreadable> {
        let mut item = read::item(&mut Cursor::at(&self.text, self.whole.start))?;
        if item.len() == self.read.len() + self.carried().count() {
            return Ok(item);
        }
        let is_carried = |name: &str| {
            let mut names = self.carried().map(|one| one.name_in(&self.text));
            names.any(|carried| carried == name)
        };
        item.retain(|name, _| self.read.contains_key(name) || is_carried(name));
        Ok(item)
    }
}

//! An exported item: read as far as the plan looks at it, if its line is like those that DynamoDB writes.

use crate::model::raw::RawItem;
use crate::model::{Item, LineProblem, item_of, strip_marks};
use crate::plan::LookedAt;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// An exported item, without the marks of reverse writes.
#[derive(Clone, Debug)]
pub enum Exported {
    /// All of it is read.
    Read(Item),
    /// What the plan looks at is read, and the rest is carried.
    Raw(RawItem),
}

impl Exported {
    /// The item of a line, which stands at a place of a text.
    ///
    /// # Errors
    /// If the line is not an item.
    pub fn of_line(text: &Arc<str>, line: Range<usize>, looked_at: &LookedAt) -> Result<Self, LineProblem> {
        match RawItem::of_line(text, line.clone(), |name| looked_at.known(name)) {
            Ok(mut raw) => {
                strip_marks(&mut raw.read);
                Ok(Self::Raw(raw))
            }
            // It is in another form, or the complete reading says what is wrong.
            Err(_) => item_of(text[line].as_bytes()).map(Self::Read),
        }
    }

    /// The attributes that the plan looks at, and perhaps others.
    #[must_use]
    pub fn read(&self) -> &Item {
        match self {
            Self::Read(item) => item,
            Self::Raw(raw) => &raw.read,
        }
    }

    /// All attributes.
    ///
    /// # Errors
    /// If the line is not an item, which was found out before.
    pub fn whole(&self) -> Result<Cow<'_, Item>, LineProblem> {
        match self {
            Self::Read(item) => Ok(Cow::Borrowed(item)),
            Self::Raw(raw) => match raw.decoded() {
                Ok(item) => Ok(Cow::Owned(item)),
                Err(problem) => Err(LineProblem::Syntax(problem.to_string())),
            },
        }
    }
}

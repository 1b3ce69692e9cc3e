//! The parts of key mappings: parts of patterns and templates, captures, and the makers of key attributes.

use super::template::Template;
use crate::model::{AttributeKind, KeyAttribute, Number, Value};

/// Makes one target key attribute.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    pub attribute: KeyAttribute,
    pub template: Vec<Piece>,
    /// The template is one capture that becomes a number.
    pub number: bool,
    pub written: Template,
}

/// A part of a pattern or template: text, or the number of a capture's slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    Text(String),
    Slot(usize),
}

/// The facts about a capture that do not depend on an item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub name: String,
    /// The source attribute that it is read from, and whether it is part of the primary key.
    pub attribute: String,
    pub of_key: bool,
    pub content: Content,
}

/// The content of a capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// A part of a text, up to the first occurrence of the delimiter; without one, up to the end.
    Text { delimiter: Option<String> },
    /// A whole value; of this type, if it is part of a key.
    Whole(Option<AttributeKind>),
}

/// Text of a capture inside other text: a string unchanged, a number in its canonical form.
pub(super) fn as_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::S(text) => Some(text.clone()),
        Value::N(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A capture from its text inside other text.
pub(super) fn from_text(text: &str, content: &Content) -> Option<Value> {
    match content {
        _ if text.is_empty() => None,
        Content::Whole(Some(AttributeKind::N)) => {
            // Only the canonical form was ever written.
            let number = Number::parse(text).ok()?;
            (number.to_string() == text).then_some(Value::N(number))
        }
        Content::Whole(Some(AttributeKind::B)) => None,
        Content::Whole(_) | Content::Text { .. } => Some(Value::s(text)),
    }
}

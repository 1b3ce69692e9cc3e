//! What a source item may be, in two bytes.

use dynasplit::model::{Item, Key, Value};
use std::fmt;

/// A live source item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Which service takes it: 0 is `a`, 1 is `b`, more is nobody.
    pub service: u8,
    /// What a vouched target key is made of: 0 is `x`.
    pub slot: u8,
    /// What readers of the target see.
    pub body: u8,
    /// What they don't: the transform drops it.
    pub hidden: u8,
    /// Whether it has a timestamp.
    pub timed: bool,
}

/// Nobody takes items of this service.
pub const NOBODY: u8 = 2;
/// The target refuses items with this body, until its table is fixed.
pub const REFUSED: u8 = 3;

/// An item of service `a`, or `b`, that is told by its slot and body.
pub const fn of(service: u8, slot: u8, body: u8) -> Shape {
    Shape {
        service,
        slot,
        body,
        hidden: 0,
        timed: true,
    }
}

impl Shape {
    /// The same, with another part that no target shows.
    pub const fn hiding(self, hidden: u8) -> Self {
        Self { hidden, ..self }
    }

    /// The same, without a timestamp.
    pub const fn untimed(self) -> Self {
        Self { timed: false, ..self }
    }
}

/// A source item after a write, packed: there is none, or a shape and the timestamp at which it was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Image(u16);

impl Image {
    /// There is no item.
    pub const NONE: Self = Self(0);

    /// A live item. The timestamp is noted even where the item does not show it.
    pub fn new(shape: Shape, at: u8) -> Self {
        let packed = 1
            | u16::from(shape.service) << 1
            | u16::from(shape.slot) << 3
            | u16::from(shape.body) << 5
            | u16::from(shape.hidden) << 7
            | u16::from(shape.timed) << 8;
        let at = if shape.timed { at } else { 0 };
        Self(packed | u16::from(at) << 9)
    }

    /// What it is, if it is.
    pub fn shape(self) -> Option<Shape> {
        let part = |from: u16, bits: u16| ((self.0 >> from) & ((1 << bits) - 1)) as u8;
        (self.0 != 0).then(|| Shape {
            service: part(1, 2),
            slot: part(3, 2),
            body: part(5, 2),
            hidden: part(7, 1),
            timed: part(8, 1) == 1,
        })
    }

    /// Its timestamp.
    pub fn at(self) -> u8 {
        (self.0 >> 9) as u8
    }

    /// The source item.
    pub fn item(self, id: u8) -> Option<Item> {
        let shape = self.shape()?;
        let text = |value: &str| Value::s(value);
        let mut item = Item::from([
            ("id".to_owned(), text(id_name(id))),
            (
                "kind".to_owned(),
                text(["a", "b", "other"][usize::from(shape.service)]),
            ),
            ("slot".to_owned(), text(slot_name(shape.slot))),
            ("body".to_owned(), text(&shape.body.to_string())),
            ("hidden".to_owned(), text(&shape.hidden.to_string())),
        ]);
        if shape.timed {
            item.insert("at".to_owned(), text(&timestamp(self.at())));
        }
        Some(item)
    }
}

/// A timestamp as items show it.
pub fn timestamp(at: u8) -> String {
    format!("{at:04}")
}

/// What the source calls its items.
pub fn id_name(id: u8) -> &'static str {
    ["one", "two"][usize::from(id)]
}

/// What slots are called.
pub fn slot_name(slot: u8) -> &'static str {
    ["x", "y", "z", "w"][usize::from(slot)]
}

/// The key of a source item.
pub fn source_key(id: u8) -> Key {
    Key {
        partition: Value::s(id_name(id)),
        sort: None,
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(shape) = self.shape() else {
            return f.write_str("nothing");
        };
        let service = ["a", "b", "nobody"][usize::from(shape.service)];
        write!(
            f,
            "{service}'s {} with body {}",
            slot_name(shape.slot),
            shape.body
        )?;
        if shape.hidden > 0 {
            write!(f, " hiding {}", shape.hidden)?;
        }
        if shape.timed {
            write!(f, " at {}", self.at())
        } else {
            f.write_str(" without a timestamp")
        }
    }
}

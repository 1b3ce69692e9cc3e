//! DynamoDB JSON that is carried from an answer to a request as it is.
//!
//! Most of an item means nothing to a copy: its attributes only have to arrive. So the text of an answer is walked once.
//! The attributes that somebody looks at become values, and for the others only their place in the text is kept. A
//! request then takes them from there.
//!
//! Everything here is strict and says little: what it cannot read is [`Unreadable`], and the caller reads the answer with
//! the SDK, which says what is wrong.

mod carry;
mod cursor;
mod item;
mod kind;
mod known;
mod line;
mod names;
mod page;
mod put;
mod read;
mod size;
mod write;

pub use carry::Carry;
pub use cursor::Unreadable;
pub use item::RawItem;
pub use known::Known;
pub use page::RawPage;
pub use put::RawPut;
pub use write::{write_item, write_text, write_value};

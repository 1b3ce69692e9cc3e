//! The steps, in words.

use super::dynamo::Outcome;
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Put(u8),
    Delete(u8),
    Apply,
    /// The next step of the command, in words.
    Works(&'static str),
    /// It writes what it has read to an object.
    WritesObject,
    /// It copies one of the objects that are left.
    Copies(usize),
    /// The operator allows the deletion.
    DeletesPartial,
    GivesUp,
    /// It dies. Of its copies, this one is under way.
    Dies(usize),
    LateLands,
    LateIsLost,
    ImportEnds(Outcome),
    Hours,
    ReplacesObject,
    ReplacesTable,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put(item) => return write!(f, "source   puts item {item}"),
            Self::Delete(item) => return write!(f, "source   deletes item {item}"),
            Self::Apply => "tail     applies a record",
            Self::Works(what) => return write!(f, "command  {what}"),
            Self::WritesObject => "command  writes an object",
            Self::Copies(at) => return write!(f, "command  copies one of its objects ({at})"),
            Self::DeletesPartial => "operator allows that the partial table is deleted",
            Self::GivesUp => "operator gives the import order up",
            Self::Dies(_) => "command  dies or is held up, and another one continues",
            Self::LateLands => "command  the last request of the dead one lands",
            Self::LateIsLost => "command  the last request of the dead one is lost",
            Self::ImportEnds(Outcome::Complete { .. }) => "DynamoDB ends the import",
            Self::ImportEnds(Outcome::Short) => "DynamoDB ends the import, and has lost an item",
            Self::ImportEnds(Outcome::Partial) => "DynamoDB fails the import, and leaves a part",
            Self::ImportEnds(Outcome::Early) => "DynamoDB fails the import, and leaves no table",
            Self::Hours => "eight hours pass",
            Self::ReplacesObject => "somebody replaces an object",
            Self::ReplacesTable => "somebody deletes the table and makes another one",
        })
    }
}

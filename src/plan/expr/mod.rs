//! Route expressions: the `where` of a service, and the items left behind.
//!
//! The language is DynamoDB's condition-expression grammar with literal values in place of `:values`
//! and plain or double-quoted names in place of `#names`:
//!
//! ```text
//! begins_with(PK, 'COURSE#') AND type = 'Course' AND NOT attribute_exists("deleted-at")
//! ```
//!
//! | written | meaning |
//! |---|---|
//! | `type`, `"GSI1-PK"`, `a.b[3]."c.d"` | attribute names and document paths; `""` inside quotes is one quote |
//! | `'text'`, `'it''s'` | a string |
//! | `12`, `-1.5e3` | a number, up to 38 digits |
//! | `true`, `false`, `null` | booleans and null |
//! | `b64'AQI='` | binary |
//! | `<<'a', 'b'>>` | a set of strings, numbers or binaries |
//! | `[1, 'a']`, `{'a': 1}` | a list, a map |
//!
//! The flow inside: `lexer` -> `parser` (with `path`, `literal` and the static checks of `check`) ->
//! `ast`, which `eval` holds against items and `render` writes down again, for people or for DynamoDB.
//!
//! What holds: evaluation never fails and never panics; whatever parses is also accepted by DynamoDB
//! in the form of [`Condition::to_filter`], and selects the same items there. Recursion is bounded by
//! [`MAX_DEPTH`], so no text overflows the stack.
//!
//! See [operators and functions](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html)
//! and [expression limits](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters).

mod ast;
mod check;
mod condition;
mod cover;
mod doubt;
mod error;
mod eval;
mod filter;
mod known;
mod lexer;
mod limits;
mod literal;
mod parser;
mod path;
mod placed;
mod render;
#[cfg(test)]
mod strategy;

pub use condition::Condition;
pub(super) use doubt::{Compared, Doubt, Doubts};
pub use error::ExprError;
pub use filter::FilterExpression;
pub(super) use known::Known;
pub use limits::{MAX_BYTES, MAX_DEPTH, MAX_DOCUMENT_DEPTH, MAX_IN_OPERANDS, MAX_OPERATORS};
pub use render::{written_name, written_text};

#[cfg(test)]
mod tests;

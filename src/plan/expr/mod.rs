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
mod cover;
mod doubt;
mod error;
mod eval;
mod filter;
mod lexer;
mod literal;
mod parser;
mod path;
mod render;
#[cfg(test)]
mod strategy;

pub(super) use doubt::{Compared, Doubt, Doubts};
pub use error::ExprError;
pub use filter::FilterExpression;

use crate::model::{Item, Value};
use std::collections::BTreeSet;
use std::fmt;

/// The longest expression, in bytes: as it is written, in its canonical form, and in DynamoDB's form.
/// It is DynamoDB's own limit for an expression string (4 KB).
pub const MAX_BYTES: usize = 4096;
/// The deepest nesting of parentheses and `NOT`.
pub const MAX_DEPTH: usize = 64;
/// The most comparisons, functions, `AND`, `OR` and `NOT` in one expression (DynamoDB's limit).
pub const MAX_OPERATORS: usize = 300;
/// The most operands of `IN` (DynamoDB's limit).
pub const MAX_IN_OPERANDS: usize = 100;
/// The most elements of a document path, and the deepest nesting of a list or map (DynamoDB's limit).
pub const MAX_DOCUMENT_DEPTH: usize = 32;

/// A parsed condition over items.
///
/// `Display` gives its canonical text, which parses back to an equal condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    expr: ast::Expr,
}

impl Condition {
    /// Parses the text of a condition.
    ///
    /// # Errors
    /// What is wrong, where, and often how to write it: anything outside the grammar, and what
    /// DynamoDB itself would refuse before it looks at an item (see [`ExprError`]).
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        Ok(Self::parse_with_doubts(text)?.0)
    }

    /// Parses the text of a condition, and gives what in it is probably not meant.
    pub(super) fn parse_with_doubts(text: &str) -> Result<(Self, Doubts), ExprError> {
        let (expr, doubts) = parser::parse(text)?;
        let condition = Self { expr };
        check::limits(&condition)?;
        Ok((condition, doubts))
    }

    /// Whether the condition holds for an item, as DynamoDB would say.
    #[must_use]
    pub fn matches(&self, item: &Item) -> bool {
        eval::holds(&self.expr, item)
    }

    /// The literal that a top-level conjunct `attribute = literal` (either way round) pins a top-level
    /// attribute to: no item with another value, or without the attribute, can match.
    #[must_use]
    pub fn pinned(&self, attribute: &str) -> Option<&Value> {
        self.expr
            .conjuncts()
            .find_map(|conjunct| conjunct.pins(attribute))
    }

    /// The text that a top-level conjunct `begins_with(attribute, 'text')` requires a top-level
    /// attribute to begin with.
    #[must_use]
    pub fn prefix(&self, attribute: &str) -> Option<&str> {
        self.expr
            .conjuncts()
            .find_map(|conjunct| conjunct.prefixes(attribute))
    }

    /// Names of the top-level attributes that the condition reads.
    #[must_use]
    pub fn attributes(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.expr.visit_paths(&mut |path| {
            if !names.contains(&path.name) {
                names.insert(path.name.clone());
            }
        });
        names
    }

    /// Whether this condition is proven to hold for each item for which `narrow` holds. `false` proves nothing.
    #[must_use]
    pub fn covers(&self, narrow: &Self) -> bool {
        cover::covers(&self.expr, &narrow.expr)
    }

    /// The condition as DynamoDB takes it, for a FilterExpression or a ConditionExpression.
    #[must_use]
    pub fn to_filter(&self) -> FilterExpression {
        FilterExpression::of(&self.expr)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::text(&self.expr))
    }
}

#[cfg(test)]
mod tests;

//! A parsed condition over items, with its questions.

use super::doubt::Doubts;
use super::error::ExprError;
use super::filter::FilterExpression;
use super::known::Known;
use super::limits::{MAX_BYTES, MAX_OPERATORS};
use super::{ast, cover, eval, known, parser, render};
use crate::model::{Item, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A parsed condition over items.
///
/// `Display` gives its canonical text, which parses back to an equal condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub(super) expr: ast::Expr,
}

impl Condition {
    /// Parses the text of a condition.
    ///
    /// # Errors
    /// The problem, its place, and often how to write it: anything outside the grammar, and everything that DynamoDB
    /// itself would refuse before it reads an item (see [`ExprError`]).
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        Ok(Self::parse_with_doubts(text)?.0)
    }

    /// Parses the text of a condition, and returns its doubts.
    pub(in crate::plan) fn parse_with_doubts(text: &str) -> Result<(Self, Doubts), ExprError> {
        let (expr, doubts) = parser::parse(text)?;
        let condition = Self { expr };
        limits(&condition)?;
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
            .filter_map(ast::Expr::pin)
            .find_map(|(name, value)| (name == attribute).then_some(value))
    }

    /// All top-level attributes that are pinned so, with their literals.
    #[must_use]
    pub fn pins(&self) -> BTreeMap<&str, &Value> {
        self.expr.conjuncts().filter_map(ast::Expr::pin).collect()
    }

    /// Whether the condition holds for every item of which this is known, or for none. `None` proves nothing.
    pub(in crate::plan) fn verdict<'v>(&self, known: &dyn Fn(&str) -> Known<'v>) -> Option<bool> {
        known::verdict(&self.expr, known)
    }

    /// The text that a top-level conjunct `begins_with(attribute, 'text')` requires a top-level
    /// attribute to begin with.
    #[must_use]
    pub fn prefix(&self, attribute: &str) -> Option<&str> {
        self.expr
            .conjuncts()
            .find_map(|conjunct| conjunct.prefixes(attribute))
    }

    /// Texts of which a top-level attribute begins with one (`false`) or is one (`true`), in each item that matches. `None`
    /// if it may be anything.
    pub(in crate::plan) fn heads(&self, attribute: &str) -> Option<Vec<(&str, bool)>> {
        self.expr.heads(attribute)
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

/// Checks the whole condition against DynamoDB's limits. The canonical text must obey the same length, so that it
/// parses again.
pub(super) fn limits(condition: &Condition) -> Result<(), ExprError> {
    let operators = condition.expr.operators();
    if operators > MAX_OPERATORS {
        return Err(ExprError::new(
            0,
            format!(
                "the expression has {operators} operators and functions, but DynamoDB accepts at most \
                 {MAX_OPERATORS}"
            ),
        )
        .hint("IN with many values counts as one"));
    }
    let forms = [
        ("in its canonical form", condition.to_string().len()),
        ("in DynamoDB's form", condition.to_filter().expression.len()),
    ];
    for (form, bytes) in forms {
        if bytes > MAX_BYTES {
            return Err(ExprError::new(
                0,
                format!("the expression is {bytes} bytes long {form}, but at most {MAX_BYTES} are allowed"),
            ));
        }
    }
    Ok(())
}

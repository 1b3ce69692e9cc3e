//! Static checks: DynamoDB refuses these expressions before it reads an item; this check reports their place.

use super::ast::{Comparator, Operand, Path};
use super::error::ExprError;
use super::eval::order;
use super::limits::MAX_DOCUMENT_DEPTH;
use super::placed::Placed;
use crate::model::Value;
use std::cmp::Ordering;

/// Checks `left comparator right`.
pub(super) fn compare(left: &Placed, comparator: Comparator, right: &Placed) -> Result<(), ExprError> {
    distinct(left, right, comparator.symbol())?;
    if comparator.orders() {
        ordered(left, comparator.symbol())?;
        ordered(right, comparator.symbol())?;
    }
    Ok(())
}

/// Checks `value BETWEEN low AND high`.
pub(super) fn between(value: &Placed, low: &Placed, high: &Placed) -> Result<(), ExprError> {
    for bound in [low, high] {
        distinct(value, bound, "BETWEEN")?;
    }
    for operand in [value, low, high] {
        ordered(operand, "BETWEEN")?;
    }
    let (Operand::Literal(low_value), Operand::Literal(high_value)) = (&low.operand, &high.operand) else {
        return Ok(());
    };
    match order(low_value, high_value) {
        None => Err(ExprError::new(
            high.start,
            format!(
                "the bounds of BETWEEN are of two types, {} and {}",
                low_value.type_name(),
                high_value.type_name()
            ),
        )),
        Some(Ordering::Greater) => Err(ExprError::new(
            low.start,
            "the lower bound of BETWEEN is above the upper one",
        )
        .hint("write the lower bound first")),
        Some(_) => Ok(()),
    }
}

/// Checks the second operand of `begins_with`.
pub(super) fn prefix(operand: &Placed) -> Result<(), ExprError> {
    let type_name = match &operand.operand {
        Operand::Path(_) | Operand::Literal(Value::S(_) | Value::B(_)) => return Ok(()),
        Operand::Literal(value) => value.type_name(),
        Operand::Size(_) => "N",
    };
    Err(ExprError::new(
        operand.start,
        format!("begins_with accepts a string or binary, not {type_name}"),
    ))
}

/// DynamoDB refuses to compare a path with itself.
pub(super) fn distinct(first: &Placed, other: &Placed, operator: &str) -> Result<(), ExprError> {
    match (&first.operand, &other.operand) {
        (Operand::Path(first), Operand::Path(second)) if first == second => Err(ExprError::new(
            other.start,
            format!("both sides of {operator} are the same attribute"),
        )
        .hint("to test whether it exists, write attribute_exists(...)")),
        _ => Ok(()),
    }
}

/// Refuses a literal that has no order.
fn ordered(operand: &Placed, operator: &str) -> Result<(), ExprError> {
    match &operand.operand {
        Operand::Literal(value) if order(value, value).is_none() => Err(ExprError::new(
            operand.start,
            format!("{operator} cannot order a value of type {}", value.type_name()),
        )
        .hint("only strings, numbers and binaries have an order; use = or <>")),
        _ => Ok(()),
    }
}

/// Checks how deep a path goes.
pub(super) fn path(path: &Path, start: usize) -> Result<(), ExprError> {
    if path.steps.len() >= MAX_DOCUMENT_DEPTH {
        return Err(ExprError::new(
            start,
            format!("a document path has at most {MAX_DOCUMENT_DEPTH} elements"),
        ));
    }
    Ok(())
}

//! An operand with its place in the text.

use super::ast::Operand;
use super::error::ExprError;

/// An operand with its place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) operand: Operand,
    pub(super) start: usize,
}

impl Placed {
    pub(super) fn no_condition(&self) -> ExprError {
        let (what, hint) = match self.operand {
            Operand::Path(_) => ("an attribute", "compare it, or write attribute_exists(...)"),
            Operand::Literal(_) => ("a value", "compare it with an attribute: name = 'value'"),
            Operand::Size(_) => ("a number", "compare it: size(...) > 0"),
        };
        ExprError::new(self.start, format!("this is {what}, not a condition")).hint(hint)
    }
}

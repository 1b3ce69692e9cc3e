//! Doubts: expressions that are correct but probably not intended, because the quotes of names and strings are easily
//! confused.

use super::ast::{Operand, Path};
use super::placed::Placed;
use super::render::{is_bare_name, quoted};
use crate::model::Value;
use std::collections::BTreeSet;

/// The doubts in the text of one condition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::plan) struct Doubts {
    pub list: Vec<Doubt>,
    /// Attributes that the condition certainly means: a function looks at them, or they are compared with a value.
    pub certain: BTreeSet<String>,
}

/// One doubt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::plan) enum Doubt {
    /// Two attributes are compared with each other.
    Attributes { left: Compared, right: Compared },
    /// Values are compared with each other, so that the result does not depend on the item.
    Values {
        /// First byte of the first one.
        offset: usize,
        /// How to write an attribute with the name of the first one, if it is a text.
        name: Option<String>,
    },
}

/// An attribute that is compared with another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::plan) struct Compared {
    /// Its first byte.
    pub offset: usize,
    /// Its name at the top level of the item.
    pub name: String,
    /// It has a name that stands in double quotes because it has to.
    pub odd: bool,
    /// It is a path into a map or list, so it is not a string by mistake.
    pub nested: bool,
}

impl Doubts {
    /// A function looks at an attribute.
    pub(super) fn looked_at(&mut self, path: &Path) {
        self.certain.insert(path.name.clone());
    }

    /// A value is compared with others.
    pub(super) fn compared(&mut self, value: &Placed, others: &[&Placed]) {
        if let Operand::Literal(literal) = &value.operand
            && others
                .iter()
                .all(|other| matches!(other.operand, Operand::Literal(_)))
        {
            let name = match literal {
                Value::S(text) if !text.is_empty() => Some(quoted(text)),
                _ => None,
            };
            self.list.push(Doubt::Values {
                offset: value.start,
                name,
            });
        }
        for other in others {
            match (attribute(value), attribute(other)) {
                (Some(left), Some(right)) => self.list.push(Doubt::Attributes { left, right }),
                (Some(only), None) | (None, Some(only)) => _ = self.certain.insert(only.name),
                (None, None) => {}
            }
        }
    }
}

fn attribute(placed: &Placed) -> Option<Compared> {
    match &placed.operand {
        Operand::Path(path) => Some(Compared {
            offset: placed.start,
            name: path.name.clone(),
            odd: !is_bare_name(&path.name),
            nested: !path.steps.is_empty(),
        }),
        Operand::Literal(_) | Operand::Size(_) => None,
    }
}

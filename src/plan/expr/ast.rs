//! The tree of a condition, and facts that follow from it without an item.

use crate::model::Value;

/// A condition. `And` and `Or` have two members or more, none of which is of the same kind itself ([`Expr::and`] and
/// [`Expr::or`] ensure this), so equal conditions have one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Compare {
        left: Operand,
        comparator: Comparator,
        right: Operand,
    },
    Between {
        value: Operand,
        low: Operand,
        high: Operand,
    },
    In {
        value: Operand,
        list: Vec<Operand>,
    },
    AttributeExists(Path),
    AttributeNotExists(Path),
    AttributeType(Path, &'static str),
    BeginsWith(Path, Operand),
    Contains(Path, Operand),
}

/// The operand of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Path(Path),
    Literal(Value),
    Size(Path),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Comparator {
    pub(super) const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge];

    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    /// Whether it asks for an order, which only strings, numbers and binaries have.
    pub(super) fn orders(self) -> bool {
        !matches!(self, Self::Eq | Self::Ne)
    }
}

/// DynamoDB's type names, as `attribute_type` takes them.
pub(super) const TYPE_NAMES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"];

/// A document path: a top-level attribute, then steps into maps and lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(u32),
}

impl Path {
    fn is_attribute(&self, name: &str) -> bool {
        self.steps.is_empty() && self.name == name
    }
}

impl Expr {
    pub(super) fn and(members: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Self::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match <[Self; 1]>::try_from(flat) {
            Ok([only]) => only,
            Err(flat) => Self::And(flat),
        }
    }

    pub(super) fn or(members: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(members.len());
        for member in members {
            match member {
                Self::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match <[Self; 1]>::try_from(flat) {
            Ok([only]) => only,
            Err(flat) => Self::Or(flat),
        }
    }

    /// The conditions that must all hold, as far as they stand side by side at the top.
    pub(super) fn conjuncts(&self) -> impl Iterator<Item = &Self> {
        match self {
            Self::And(members) => members.as_slice(),
            other => std::slice::from_ref(other),
        }
        .iter()
    }

    /// The top-level attribute and the literal of `attribute = literal`, either way round.
    pub(super) fn pin(&self) -> Option<(&str, &Value)> {
        match self {
            Self::Compare {
                left: Operand::Path(path),
                comparator: Comparator::Eq,
                right: Operand::Literal(value),
            }
            | Self::Compare {
                left: Operand::Literal(value),
                comparator: Comparator::Eq,
                right: Operand::Path(path),
            } if path.steps.is_empty() => Some((&path.name, value)),
            _ => None,
        }
    }

    /// The text of `begins_with(attribute, 'text')`.
    pub(super) fn prefixes(&self, attribute: &str) -> Option<&str> {
        match self {
            Self::BeginsWith(path, Operand::Literal(Value::S(prefix))) if path.is_attribute(attribute) => {
                Some(prefix)
            }
            _ => None,
        }
    }

    /// Texts of which an attribute begins with one, or is one, in each item for which the condition holds. `None` if it may
    /// be anything.
    pub(super) fn heads(&self, attribute: &str) -> Option<Vec<(&str, bool)>> {
        match self {
            Self::And(members) => members.iter().find_map(|member| member.heads(attribute)),
            Self::Or(members) => {
                let heads = members.iter().map(|member| member.heads(attribute));
                Some(heads.collect::<Option<Vec<_>>>()?.concat())
            }
            Self::In {
                value: Operand::Path(path),
                list,
            } if path.is_attribute(attribute) => list.iter().map(exact).collect(),
            other => match (other.pin(), other.prefixes(attribute)) {
                (Some((name, Value::S(text))), _) if name == attribute => Some(vec![(text, true)]),
                (_, Some(prefix)) => Some(vec![(prefix, false)]),
                _ => None,
            },
        }
    }

    /// Shows every path in the condition.
    pub(super) fn visit_paths(&self, visit: &mut impl FnMut(&Path)) {
        fn operand(operand: &Operand, visit: &mut impl FnMut(&Path)) {
            match operand {
                Operand::Path(path) | Operand::Size(path) => visit(path),
                Operand::Literal(_) => {}
            }
        }
        match self {
            Self::And(members) | Self::Or(members) => members.iter().for_each(|m| m.visit_paths(visit)),
            Self::Not(inner) => inner.visit_paths(visit),
            Self::Compare { left, right, .. } => [left, right].into_iter().for_each(|o| operand(o, visit)),
            Self::Between { value, low, high } => {
                [value, low, high].into_iter().for_each(|o| operand(o, visit));
            }
            Self::In { value, list } => std::iter::once(value).chain(list).for_each(|o| operand(o, visit)),
            Self::AttributeExists(path) | Self::AttributeNotExists(path) | Self::AttributeType(path, _) => {
                visit(path);
            }
            Self::BeginsWith(path, other) | Self::Contains(path, other) => {
                visit(path);
                operand(other, visit);
            }
        }
    }

    /// Operators and functions as DynamoDB counts them: `size` is one, and `n` members joined by AND or
    /// OR are `n - 1`.
    pub(super) fn operators(&self) -> usize {
        fn sizes<'a>(operands: impl IntoIterator<Item = &'a Operand>) -> usize {
            operands
                .into_iter()
                .filter(|o| matches!(o, Operand::Size(_)))
                .count()
        }
        match self {
            Self::And(members) | Self::Or(members) => {
                members.len().saturating_sub(1) + members.iter().map(Self::operators).sum::<usize>()
            }
            Self::Not(inner) => 1 + inner.operators(),
            Self::Compare { left, right, .. } => 1 + sizes([left, right]),
            Self::Between { value, low, high } => 1 + sizes([value, low, high]),
            Self::In { value, list } => 1 + sizes(std::iter::once(value).chain(list)),
            Self::AttributeExists(_) | Self::AttributeNotExists(_) | Self::AttributeType(..) => 1,
            Self::BeginsWith(_, other) | Self::Contains(_, other) => 1 + sizes([other]),
        }
    }
}

/// A text, as [`Expr::heads`] has it.
fn exact(operand: &Operand) -> Option<(&str, bool)> {
    match operand {
        Operand::Literal(Value::S(text)) => Some((text, true)),
        _ => None,
    }
}

//! The values that a key attribute may have, as far as a plan shows: enough to prove that two sets of keys are
//! disjoint.

use super::key_pieces::Piece;
use crate::model::{Key, Value};

/// The values of one key attribute. Where it is not known better, it holds more values than there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// This value.
    Exact(Value),
    /// Texts of at least this many bytes that begin and end with these.
    Text {
        head: String,
        tail: String,
        least: usize,
    },
    /// Any value.
    Any,
}

/// A part of a text: known, or unknown but for how it begins. None is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stretch<'t> {
    Known(&'t str),
    Unknown(&'t str),
}

impl<'t> Stretch<'t> {
    /// A piece of a pattern.
    pub fn of_pattern(piece: &'t Piece) -> Self {
        match piece {
            Piece::Text(text) => Self::Known(text),
            Piece::Slot(_) => Self::Unknown(""),
        }
    }
}

impl Extent {
    /// The texts that are these parts, one behind the other.
    pub fn of_text(parts: &[Stretch<'_>]) -> Self {
        let known = |part: &Stretch<'_>| match part {
            Stretch::Known(text) => Some((*text).to_owned()),
            Stretch::Unknown(_) => None,
        };
        if let Some(text) = parts.iter().map(known).collect::<Option<String>>() {
            return Self::Exact(Value::S(text));
        }
        let mut head: String = parts.iter().map_while(known).collect();
        if let Some(Stretch::Unknown(begin)) = parts.iter().find(|part| known(part).is_none()) {
            head.push_str(begin);
        }
        let mut tail: Vec<String> = parts.iter().rev().map_while(known).collect();
        tail.reverse();
        let bytes = |part: &Stretch<'_>| match part {
            Stretch::Known(text) => text.len(),
            Stretch::Unknown(begin) => begin.len().max(1),
        };
        Self::Text {
            head,
            tail: tail.concat(),
            least: parts.iter().map(bytes).sum(),
        }
    }

    /// Those of the texts that begin with `required`.
    pub fn beginning_with(self, required: &str) -> Self {
        match self {
            Self::Text { head, tail, least } if required.starts_with(&head) => Self::Text {
                head: required.to_owned(),
                tail,
                least: least.max(required.len()),
            },
            other => other,
        }
    }

    /// Whether it is certain that no value is in both.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => false,
            (Self::Exact(one), Self::Exact(two)) => one != two,
            (Self::Exact(value), text @ Self::Text { .. })
            | (text @ Self::Text { .. }, Self::Exact(value)) => !text.holds(value),
            (
                Self::Text { head, tail, .. },
                Self::Text {
                    head: other_head,
                    tail: other_tail,
                    ..
                },
            ) => {
                let begin_alike =
                    head.starts_with(other_head.as_str()) || other_head.starts_with(head.as_str());
                let end_alike = tail.ends_with(other_tail.as_str()) || other_tail.ends_with(tail.as_str());
                !begin_alike || !end_alike
            }
        }
    }

    /// Whether the value may be one of them.
    pub fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Exact(exact), value) => exact == value,
            (Self::Text { head, tail, least }, Value::S(text)) => {
                text.starts_with(head.as_str()) && text.ends_with(tail.as_str()) && text.len() >= *least
            }
            (Self::Text { .. }, _) => false,
        }
    }
}

/// Whether a key may be one of those whose attributes are within the extents.
pub(super) fn may_be(extents: &[Extent], key: &Key) -> bool {
    let values = std::iter::once(&key.partition).chain(&key.sort);
    extents
        .iter()
        .zip(values)
        .all(|(extent, value)| extent.holds(value))
}

/// Whether it is certain that no key is within both.
pub(super) fn are_disjoint(one: &[Extent], two: &[Extent]) -> bool {
    one.iter().zip(two).any(|(one, two)| one.is_disjoint(two))
}

#[cfg(test)]
mod tests {
    use super::Stretch::{Known, Unknown};
    use super::*;
    use crate::model::cases::cases;
    use proptest::prelude::*;

    #[test]
    fn texts_are_told_apart_by_what_is_known_of_them() {
        let text = Extent::of_text;
        for (one, two, disjoint) in [
            (
                text(&[Known("a#"), Unknown("")]),
                text(&[Known("b#"), Unknown("")]),
                true,
            ),
            (
                text(&[Known("a#"), Unknown("")]),
                text(&[Known("a#b#"), Unknown("")]),
                false,
            ),
            (text(&[Unknown("")]), text(&[Known("b#"), Unknown("")]), false),
            (
                text(&[Unknown(""), Known("#a")]),
                text(&[Unknown(""), Known("#b")]),
                true,
            ),
            (
                text(&[Unknown(""), Known("#a")]),
                text(&[Unknown(""), Known("a")]),
                false,
            ),
            (text(&[Unknown("a#")]), text(&[Known("b"), Unknown("")]), true),
            (text(&[Known("META")]), text(&[Known("META"), Unknown("")]), true),
            (text(&[Known("META")]), text(&[Known("ME"), Unknown("")]), false),
            (text(&[Known("META")]), text(&[Unknown("META")]), false),
            (
                text(&[Known("a"), Known("b")]),
                Extent::Exact(Value::s("ab")),
                false,
            ),
            (
                Extent::Exact(Value::s("1")),
                Extent::Exact(Value::N(1.into())),
                true,
            ),
            (Extent::Exact(Value::N(1.into())), Extent::Any, false),
            (
                text(&[Unknown("")]).beginning_with("a#"),
                text(&[Known("b"), Unknown("")]),
                true,
            ),
        ] {
            assert_eq!(one.is_disjoint(&two), disjoint, "{one:?} {two:?}");
            assert_eq!(two.is_disjoint(&one), disjoint, "{two:?} {one:?}");
        }
    }

    fn parts() -> impl Strategy<Value = Vec<(bool, String, String)>> {
        prop::collection::vec((any::<bool>(), "[ab]{1,2}", "[ab]{0,2}"), 1..4)
    }

    /// An extent of the parts, and a text of it.
    fn of(parts: &[(bool, String, String)]) -> (Extent, Value) {
        let stretches: Vec<_> = parts
            .iter()
            .map(|(known, begin, _)| if *known { Known(begin) } else { Unknown(begin) })
            .collect();
        let text = |(known, begin, rest): &(bool, String, String)| match known {
            true => begin.clone(),
            false => format!("{begin}{rest}"),
        };
        (
            Extent::of_text(&stretches),
            Value::S(parts.iter().map(text).collect()),
        )
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn what_is_disjoint_has_no_value_in_common(one in parts(), two in parts()) {
            let ((one, text), (two, other)) = (of(&one), of(&two));
            prop_assert!(one.holds(&text) && two.holds(&other));
            if one.is_disjoint(&two) {
                prop_assert!(text != other && !two.holds(&text) && !one.holds(&other));
            }
        }
    }
}

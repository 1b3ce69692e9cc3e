//! The types of values.

use crate::model::Value;

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    S,
    N,
    B,
    Bool,
    Null,
    L,
    M,
    Ss,
    Ns,
    Bs,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::S,
        Self::N,
        Self::B,
        Self::Bool,
        Self::Null,
        Self::L,
        Self::M,
        Self::Ss,
        Self::Ns,
        Self::Bs,
    ];

    /// As DynamoDB calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
            Self::Bool => "BOOL",
            Self::Null => "NULL",
            Self::L => "L",
            Self::M => "M",
            Self::Ss => "SS",
            Self::Ns => "NS",
            Self::Bs => "BS",
        }
    }

    /// The one with a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The one whose name is this letter.
    pub fn of_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'S' => Self::S,
            b'N' => Self::N,
            b'B' => Self::B,
            b'L' => Self::L,
            b'M' => Self::M,
            _ => return None,
        })
    }

    /// That of a value.
    pub fn of_value(value: &Value) -> Self {
        match value {
            Value::S(_) => Self::S,
            Value::N(_) => Self::N,
            Value::B(_) => Self::B,
            Value::Bool(_) => Self::Bool,
            Value::Null => Self::Null,
            Value::L(_) => Self::L,
            Value::M(_) => Self::M,
            Value::Ss(_) => Self::Ss,
            Value::Ns(_) => Self::Ns,
            Value::Bs(_) => Self::Bs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_name_and_by_its_letter() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_name(kind.name()), Some(kind));
            if let [letter] = kind.name().as_bytes() {
                assert_eq!(Kind::of_letter(*letter), Some(kind));
            }
        }
        for name in ["", "s", "SN", "SSS", "X"] {
            assert_eq!(Kind::of_name(name), None, "{name}");
        }
        let letters = (0..=u8::MAX).filter(|letter| Kind::of_letter(*letter).is_some());
        assert_eq!(letters.count(), 5);
    }

    #[test]
    fn a_value_has_the_kind_that_it_calls_its_type() {
        for value in [
            Value::s(""),
            Value::N(1.into()),
            Value::B(vec![]),
            Value::Bool(true),
            Value::Null,
            Value::L(vec![]),
            Value::M([].into()),
            Value::Ss(vec![]),
            Value::Ns(vec![]),
            Value::Bs(vec![]),
        ] {
            assert_eq!(Kind::of_value(&value).name(), value.type_name());
        }
    }
}

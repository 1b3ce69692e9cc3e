//! Versions, which order the writes of one source item.

use super::{Number, Value};

/// A version orders the writes of one source item: the newest wins.
///
/// All versions of one split have the same kind, so the order across kinds never matters; DynamoDB's own comparison
/// of a number with a string is false either way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// A numeric timestamp.
    Number(Number),
    /// Text of fixed width: a timestamp, or the stamp of `sequence` mode.
    Text(String),
}

impl Version {
    /// The version as an attribute value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Number(number) => Value::N(number.clone()),
            Self::Text(text) => Value::S(text.clone()),
        }
    }

    /// Reads a version back from an attribute value; `None` for any other type.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::N(number) => Some(Self::Number(number.clone())),
            Value::S(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_or_a_text_and_comes_back() {
        for value in [Value::N(7.into()), Value::s("0007")] {
            let version = Version::from_value(&value).unwrap();
            assert_eq!(version.to_value(), value);
        }
        for value in [
            Value::Null,
            Value::Bool(true),
            Value::B(vec![1]),
            Value::L(vec![]),
        ] {
            assert_eq!(Version::from_value(&value), None, "{value:?}");
        }
        assert!(Version::Number(9.into()) < Version::Number(10.into()));
        assert!(Version::Text("10".into()) < Version::Text("9".into()));
    }
}

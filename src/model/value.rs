//! Attribute values, as in DynamoDB's data model.

use super::Number;
use std::collections::BTreeMap;

/// One attribute value, in the terms of DynamoDB's data model.
///
/// Equality is DynamoDB's: sets have no order (their constructors sort), `1` and `1.0` are one
/// number. A value's `Debug` form shows contents, so it must never reach a log.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Value {
    /// String.
    S(String),
    /// Number.
    N(Number),
    /// Binary.
    B(Vec<u8>),
    /// Boolean.
    Bool(bool),
    /// Null.
    Null,
    /// List.
    L(Vec<Value>),
    /// Map.
    M(BTreeMap<String, Value>),
    /// String set, sorted.
    Ss(Vec<String>),
    /// Number set, sorted.
    Ns(Vec<Number>),
    /// Binary set, sorted.
    Bs(Vec<Vec<u8>>),
}

impl Value {
    /// A string value.
    pub fn s(text: impl Into<String>) -> Self {
        Self::S(text.into())
    }

    /// A string set: sorted, without duplicates.
    #[must_use]
    pub fn string_set(mut members: Vec<String>) -> Self {
        members.sort_unstable();
        members.dedup();
        Self::Ss(members)
    }

    /// A number set: sorted, without duplicates.
    #[must_use]
    pub fn number_set(mut members: Vec<Number>) -> Self {
        members.sort_unstable();
        members.dedup();
        Self::Ns(members)
    }

    /// A binary set: sorted, without duplicates.
    #[must_use]
    pub fn binary_set(mut members: Vec<Vec<u8>>) -> Self {
        members.sort_unstable();
        members.dedup();
        Self::Bs(members)
    }

    /// DynamoDB's name of the type: `S`, `N`, `B`, `BOOL`, `NULL`, `L`, `M`, `SS`, `NS`, `BS`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::L(_) => "L",
            Self::M(_) => "M",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::Bs(_) => "BS",
        }
    }

    /// Bytes that DynamoDB charges for the value.
    /// See [item sizes](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.size(),
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::L(values) => 3 + values.iter().map(|v| v.size() + 1).sum::<usize>(),
            Self::M(entries) => 3 + entries.iter().map(|(k, v)| k.len() + v.size() + 1).sum::<usize>(),
            Self::Ss(members) => members.iter().map(String::len).sum(),
            Self::Ns(members) => members.iter().map(Number::size).sum(),
            Self::Bs(members) => members.iter().map(Vec::len).sum(),
        }
    }

    /// Appends a canonical encoding: equal values, and only those, encode alike.
    pub fn encode(&self, out: &mut Vec<u8>) {
        fn bytes(tag: u8, content: &[u8], out: &mut Vec<u8>) {
            out.push(tag);
            out.extend_from_slice(&(content.len() as u64).to_be_bytes());
            out.extend_from_slice(content);
        }
        fn many(tag: u8, count: usize, out: &mut Vec<u8>) {
            out.push(tag);
            out.extend_from_slice(&(count as u64).to_be_bytes());
        }
        match self {
            Self::S(text) => bytes(b'S', text.as_bytes(), out),
            Self::N(number) => bytes(b'N', number.compact().to_string().as_bytes(), out),
            Self::B(content) => bytes(b'B', content, out),
            Self::Bool(value) => out.extend_from_slice(&[b'?', u8::from(*value)]),
            Self::Null => out.push(b'0'),
            Self::L(values) => {
                many(b'L', values.len(), out);
                values.iter().for_each(|value| value.encode(out));
            }
            Self::M(entries) => {
                many(b'M', entries.len(), out);
                for (name, value) in entries {
                    bytes(b'k', name.as_bytes(), out);
                    value.encode(out);
                }
            }
            Self::Ss(members) => {
                many(b's', members.len(), out);
                members.iter().for_each(|m| bytes(b'S', m.as_bytes(), out));
            }
            Self::Ns(members) => {
                many(b'n', members.len(), out);
                members
                    .iter()
                    .for_each(|m| bytes(b'N', m.compact().to_string().as_bytes(), out));
            }
            Self::Bs(members) => {
                many(b'b', members.len(), out);
                members.iter().for_each(|m| bytes(b'B', m, out));
            }
        }
    }
}

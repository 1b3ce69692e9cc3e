//! Lets serde read a [`Node`], with errors that keep the problem and its place as data.

use super::path::{Path, Step};
use super::source_map::{Data, Entry, Node};
use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use std::fmt;

/// Why a node cannot be read as requested.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// The steps to the node, innermost first, while the error travels up.
    steps: Vec<Step>,
    pub kind: FaultKind,
}

/// The problem of the node.
#[derive(Clone, Debug)]
pub(super) enum FaultKind {
    UnknownField {
        field: String,
        expected: &'static [&'static str],
    },
    MissingField(&'static str),
    UnknownWord {
        word: String,
        expected: &'static [&'static str],
    },
    WrongType {
        found: String,
        expected: String,
    },
    Other(String),
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self { steps: vec![], kind }
    }

    fn under(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The node's path.
    pub fn path(&self) -> Path {
        Path(self.steps.iter().rev().cloned().collect())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(FaultKind::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Str(text) if text.parse::<f64>().is_ok() => "a number in quotes".to_owned(),
            Unexpected::Str("true" | "false") => "a word in quotes".to_owned(),
            Unexpected::Str(_) => "text".to_owned(),
            Unexpected::Bool(value) => format!("`{value}`"),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            Unexpected::Float(number) => format!("the number {number}"),
            Unexpected::Unit => "nothing".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a mapping".to_owned(),
            other => other.to_string(),
        };
        Self::new(FaultKind::WrongType {
            found,
            expected: expected.to_string(),
        })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(word: &str, expected: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownWord {
            word: word.to_owned(),
            expected,
        })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(FaultKind::UnknownField {
            field: field.to_owned(),
            expected,
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(FaultKind::MissingField(field))
    }
}

/// Reads a node.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'n>(pub &'n Node);

/// The replacement for a missing node.
static HOLE: Node = Node {
    at: super::mark::Mark { line: 1, column: 1 },
    data: Data::Hole,
};

impl<'de> IntoDeserializer<'de, Fault> for NodeReader<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for NodeReader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.data {
            Data::Null => visitor.visit_unit(),
            Data::Bool(value) => visitor.visit_bool(*value),
            Data::Integer(number) => match u64::try_from(*number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(*number),
            },
            Data::Float(number) => visitor.visit_f64(*number),
            Data::Text(text, _) => visitor.visit_str(text),
            Data::List(list) => visitor.visit_seq(List(list.iter().enumerate())),
            Data::Map(entries) => visitor.visit_map(Map {
                entries: entries.iter(),
                next: None,
            }),
            Data::Hole => visitor.visit_str(""),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.data {
            Data::Hole => visitor.visit_none(),
            // `key:` with nothing behind it was begun and not finished; it does not mean the default.
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.data {
            Data::Hole => visitor.visit_u32(0),
            Data::Integer(number) => match u32::try_from(*number) {
                Ok(number) => visitor.visit_u32(number),
                Err(_) => Err(de::Error::invalid_type(
                    Unexpected::Signed(*number),
                    &"a whole number from 0 to 4294967295",
                )),
            },
            _ => self.deserialize_any(Expecting(visitor, "a whole number")),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.data {
            Data::Hole => visitor.visit_bool(false),
            _ => self.deserialize_any(Expecting(visitor, "`true` or `false`")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_any(Expecting(visitor, "text"))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.data {
            Data::Hole => visitor.visit_seq(List([].iter().enumerate())),
            _ => self.deserialize_any(Expecting(visitor, "a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.data {
            Data::Hole => visitor.visit_map(Map {
                entries: [].iter(),
                next: None,
            }),
            _ => self.deserialize_any(Expecting(visitor, "a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.data {
            Data::Hole => {
                let holes = fields.iter().map(|field| (*field, NodeReader(&HOLE)));
                visitor.visit_map(MapDeserializer::<_, Fault>::new(holes))
            }
            _ => self.deserialize_any(Expecting(visitor, "a mapping")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.data {
            Data::Hole => visitor.visit_enum(StrDeserializer::<Fault>::new(
                words.first().copied().unwrap_or(""),
            )),
            Data::Text(word, _) => visitor.visit_enum(StrDeserializer::<Fault>::new(word)),
            _ => self.deserialize_any(Expecting(visitor, "a word")),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct newtype_struct tuple tuple_struct identifier ignored_any
    }
}

/// Describes the expected value in plain words instead of a Rust type.
struct Expecting<V>(V, &'static str);

impl<'de, V: Visitor<'de>> Visitor<'de> for Expecting<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<V::Value, E> {
        match self.1 {
            "`true` or `false`" => self.0.visit_bool(value),
            _ => Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<V::Value, E> {
        match self.1 {
            "text" => self.0.visit_str(text),
            _ => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        match self.1 {
            "a list" => self.0.visit_seq(list),
            _ => Err(de::Error::invalid_type(Unexpected::Seq, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        match self.1 {
            "a mapping" => self.0.visit_map(map),
            _ => Err(de::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}

struct List<'n>(std::iter::Enumerate<std::slice::Iter<'n, Node>>);

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.0
            .next()
            .map(|(n, node)| {
                seed.deserialize(NodeReader(node))
                    .map_err(|fault| fault.under(Step::Index(n)))
            })
            .transpose()
    }
}

struct Map<'n> {
    entries: std::slice::Iter<'n, Entry>,
    next: Option<&'n Entry>,
}

impl<'de> MapAccess<'de> for Map<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.next = self.entries.next();
        self.next
            .map(|entry| {
                seed.deserialize(StrDeserializer::<Fault>::new(&entry.name))
                    .map_err(|fault| fault.under(Step::Field(entry.name.clone())))
            })
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let entry = self
            .next
            .ok_or_else(|| Fault::new(FaultKind::Other("a name without a value".to_owned())))?;
        seed.deserialize(NodeReader(&entry.value))
            .map_err(|fault| fault.under(Step::Field(entry.name.clone())))
    }
}

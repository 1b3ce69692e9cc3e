//! A word or a mapping: settings that have a short and a long form.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A short form (one word) or the long form (a mapping). The text in the file decides which, so that an error is
/// about the intended form. (Serde's `untagged` would only say that nothing matched.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum WordOr<W, M> {
    /// The word.
    Word(W),
    /// The mapping.
    Map(M),
}

impl<W, M> WordOr<W, M> {
    /// The mapping, if it is one.
    pub fn map(&self) -> Option<&M> {
        match self {
            Self::Word(_) => None,
            Self::Map(map) => Some(map),
        }
    }
}

impl<'de, W: Deserialize<'de>, M: Deserialize<'de>> Deserialize<'de> for WordOr<W, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<W, M>(PhantomData<(W, M)>);
        impl<'de, W: Deserialize<'de>, M: Deserialize<'de>> Visitor<'de> for Either<W, M> {
            type Value = WordOr<W, M>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a mapping")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                W::deserialize(StrDeserializer::new(text)).map(WordOr::Word)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                M::deserialize(MapAccessDeserializer::new(map)).map(WordOr::Map)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<W: JsonSchema, M: JsonSchema> JsonSchema for WordOr<W, M> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}-or-{}", W::schema_name(), M::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let forms = [generator.subschema_for::<W>(), generator.subschema_for::<M>()];
        json_schema!({ "anyOf": forms })
    }
}

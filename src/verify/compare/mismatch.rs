//! Mismatches and their counts by class.

use crate::model::{Key, Value, json};
use crate::verify::compare::{Candidate, MismatchClass};
use base64::Engine as _;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// How many there are of each class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClassCounts {
    /// See [`MismatchClass::Missing`].
    pub missing: u64,
    /// See [`MismatchClass::Extra`].
    pub extra: u64,
    /// See [`MismatchClass::Different`].
    pub different: u64,
    /// See [`MismatchClass::Misrouted`].
    pub misrouted: u64,
    /// See [`MismatchClass::Collision`].
    pub collision: u64,
    /// See [`MismatchClass::Expired`]: no fault.
    pub expired: u64,
}

impl ClassCounts {
    /// Counts one.
    pub fn add(&mut self, class: MismatchClass) {
        let count = match class {
            MismatchClass::Missing => &mut self.missing,
            MismatchClass::Extra => &mut self.extra,
            MismatchClass::Different => &mut self.different,
            MismatchClass::Misrouted => &mut self.misrouted,
            MismatchClass::Collision => &mut self.collision,
            MismatchClass::Expired => &mut self.expired,
        };
        *count += 1;
    }

    /// Counts those of others.
    pub fn add_all(&mut self, others: &Self) {
        self.missing += others.missing;
        self.extra += others.extra;
        self.different += others.different;
        self.misrouted += others.misrouted;
        self.collision += others.collision;
        self.expired += others.expired;
    }

    /// All that are faults.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.missing + self.extra + self.different + self.misrouted + self.collision
    }
}

/// A confirmed mismatch. Serialized, it is one JSON line; it names keys, never contents.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mismatch {
    /// Name of the service.
    pub service: String,
    /// The class of the mismatch.
    pub class: MismatchClass,
    /// Key in the service's table.
    #[serde(serialize_with = "key_json", deserialize_with = "read_key")]
    pub target_key: Key,
    /// Keys in the source that lead to it; empty if none is known.
    #[serde(serialize_with = "keys_json", deserialize_with = "read_keys")]
    pub source_keys: Vec<Key>,
}

impl Mismatch {
    /// A candidate's verdict.
    #[must_use]
    pub fn of(service: &str, class: MismatchClass, candidate: &Candidate) -> Self {
        Self {
            service: service.to_owned(),
            class,
            target_key: candidate.target_key().clone(),
            source_keys: candidate.source_keys().to_vec(),
        }
    }
}

impl fmt::Display for Mismatch {
    /// For people: class, service, target key, and the source keys if they differ from it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<9} {}  {}",
            self.class,
            self.service,
            Printable(&self.target_key)
        )?;
        if self.source_keys.iter().any(|key| *key != self.target_key) {
            let keys: Vec<_> = self
                .source_keys
                .iter()
                .map(|key| Printable(key).to_string())
                .collect();
            write!(f, "  (source: {})", keys.join("; "))?;
        }
        Ok(())
    }
}

/// A key without anything that would move a terminal's cursor: keys are other people's data.
struct Printable<'a>(&'a Key);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.to_string().chars().try_for_each(|c| {
            if c.is_control() {
                write!(f, "{}", c.escape_default())
            } else {
                f.write_char(c)
            }
        })
    }
}

/// A key part as DynamoDB JSON: `{"S": "text"}`.
struct PartJson<'a>(&'a Value);

impl Serialize for PartJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self.0 {
            Value::S(text) => text.clone(),
            Value::N(number) => number.to_string(),
            Value::B(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes),
            other => {
                let message = format!("a key part has the type {}", other.type_name());
                return Err(serde::ser::Error::custom(message));
            }
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0.type_name(), &text)?;
        map.end()
    }
}

/// A key: `{"partition": {"S": "text"}, "sort": {"N": "1"}}`.
struct KeyJson<'a>(&'a Key);

impl Serialize for KeyJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("partition", &PartJson(&self.0.partition))?;
        if let Some(sort) = &self.0.sort {
            map.serialize_entry("sort", &PartJson(sort))?;
        }
        map.end()
    }
}

fn key_json<S: Serializer>(key: &Key, serializer: S) -> Result<S::Ok, S::Error> {
    KeyJson(key).serialize(serializer)
}

fn keys_json<S: Serializer>(keys: &[Key], serializer: S) -> Result<S::Ok, S::Error> {
    let mut all = serializer.serialize_seq(Some(keys.len()))?;
    for key in keys {
        all.serialize_element(&KeyJson(key))?;
    }
    all.end()
}

/// A key as [`KeyJson`] writes it.
#[derive(Deserialize)]
struct ReadKey {
    partition: serde_json::Value,
    #[serde(default)]
    sort: Option<serde_json::Value>,
}

impl ReadKey {
    fn key<E: serde::de::Error>(self) -> Result<Key, E> {
        let part = |part| json::value_from_json(part).map_err(E::custom);
        Ok(Key {
            partition: part(self.partition)?,
            sort: self.sort.map(part).transpose()?,
        })
    }
}

fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
    ReadKey::deserialize(deserializer)?.key()
}

fn read_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Key>, D::Error> {
    let keys = Vec::<ReadKey>::deserialize(deserializer)?;
    keys.into_iter().map(ReadKey::key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Number;

    fn mismatch() -> Mismatch {
        Mismatch::of(
            "progress",
            MismatchClass::Different,
            &Candidate::Different {
                target_key: Key {
                    partition: Value::s("u\n1"),
                    sort: Some(Value::N(Number::from(7))),
                },
                source_key: Key {
                    partition: Value::B(vec![0, 255]),
                    sort: None,
                },
            },
        )
    }

    #[test]
    fn json_spells_keys_as_dynamodb_does() {
        assert_eq!(
            serde_json::to_string(&mismatch()).unwrap(),
            concat!(
                r#"{"service":"progress","class":"different","#,
                r#""target_key":{"partition":{"S":"u\n1"},"sort":{"N":"7"}},"#,
                r#""source_keys":[{"partition":{"B":"AP8="}}]}"#
            )
        );
        let read: Mismatch = serde_json::from_str(&serde_json::to_string(&mismatch()).unwrap()).unwrap();
        assert_eq!(read, mismatch());
        assert!(
            serde_json::from_str::<Mismatch>(
                r#"{"service":"a","class":"extra","target_key":{},"source_keys":[]}"#
            )
            .is_err()
        );
    }

    #[test]
    fn people_see_one_line_without_control_characters() {
        let text = mismatch().to_string();
        assert_eq!(text, r"different progress  u\n1 / 7  (source: 0x00ff)");
    }

    #[test]
    fn words_are_the_same_everywhere() {
        for class in [
            MismatchClass::Missing,
            MismatchClass::Extra,
            MismatchClass::Different,
            MismatchClass::Misrouted,
            MismatchClass::Collision,
            MismatchClass::Expired,
        ] {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
            let mut counts = ClassCounts::default();
            counts.add(class);
            assert_eq!(serde_json::to_value(counts).unwrap()[class.as_str()], 1);
            assert_eq!(counts.faults(), u64::from(class.is_fault()));
        }
    }
}

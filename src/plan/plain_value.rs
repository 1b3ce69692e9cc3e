//! Values as a plan writes them: plain, or DynamoDB JSON where the type does not show.

use crate::model::Value;
use crate::model::json::{JsonError, value_from_json};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// DynamoDB's type names, as they mark a value in DynamoDB JSON.
const TYPES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"];

/// Reads a value. A map whose only key is the name of a type is DynamoDB JSON; everything else is itself.
pub(super) fn read(json: &Json) -> Result<Value, JsonError> {
    match json {
        Json::Null => Ok(Value::Null),
        Json::Bool(value) => Ok(Value::Bool(*value)),
        Json::String(text) => Ok(Value::s(text)),
        Json::Number(number) => value_from_json(json!({ "N": number.to_string() })),
        Json::Array(values) => values.iter().map(read).collect::<Result<_, _>>().map(Value::L),
        Json::Object(entries) => match entries.iter().next() {
            Some((name, contents)) if entries.len() == 1 && TYPES.contains(&name.as_str()) => {
                value_from_json(json!({ name: as_texts(contents) }))
            }
            _ => {
                let entry = |(name, value): (&String, &Json)| Ok((name.clone(), read(value)?));
                entries
                    .iter()
                    .map(entry)
                    .collect::<Result<BTreeMap<_, _>, _>>()
                    .map(Value::M)
            }
        },
    }
}

/// People write the numbers of DynamoDB JSON without quotes, too: `{ N: 10 }`.
fn as_texts(contents: &Json) -> Json {
    match contents {
        Json::Number(number) => Json::String(number.to_string()),
        Json::Array(members) => members.iter().map(as_texts).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Number;

    #[test]
    fn values_are_plain_or_typed() {
        let n = |text: &str| Value::N(Number::parse(text).unwrap());
        for (json, value) in [
            (json!("text"), Value::s("text")),
            (json!(""), Value::s("")),
            (json!(10), n("10")),
            (json!(1.5), n("1.5")),
            (json!(true), Value::Bool(true)),
            (json!(null), Value::Null),
            (json!(["a", 1]), Value::L(vec![Value::s("a"), n("1")])),
            (json!({}), Value::M(BTreeMap::new())),
            (
                json!({ "a": { "N": "1" }, "N": "2" }),
                Value::M([("a".into(), n("1")), ("N".into(), Value::s("2"))].into()),
            ),
            (json!({ "N": "10" }), n("10")),
            (json!({ "N": 10 }), n("10")),
            (
                json!({ "NS": [1, "2"] }),
                Value::number_set(vec![Number::from(1), Number::from(2)]),
            ),
            (
                json!({ "SS": ["b", "a"] }),
                Value::string_set(vec!["a".into(), "b".into()]),
            ),
            (json!({ "B": "AQI=" }), Value::B(vec![1, 2])),
        ] {
            assert_eq!(read(&json), Ok(value), "{json}");
        }
        for json in [
            json!({ "N": "ten" }),
            json!({ "SS": [] }),
            json!({ "B": "?" }),
            json!(["a", { "N": "x" }]),
        ] {
            assert!(read(&json).is_err(), "{json}");
        }
    }
}

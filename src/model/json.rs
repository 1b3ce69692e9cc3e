//! Reads and writes DynamoDB JSON (`{"S": "text"}`).
//!
//! Strict: everything that DynamoDB itself would refuse (an empty set, a repeated member, a number of 39 digits) is
//! refused here, and an error names the problem and its place. It never shows contents, because they belong to the
//! user. See [the
//! format](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html#Programming.LowLevelAPI.DataTypeDescriptors).

use super::raw::{RawPut, write_item};
use super::{Item, Number, NumberError, Place, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Why a text or a JSON value is no DynamoDB JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct JsonError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: JsonProblem,
}

/// The problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonProblem {
    /// An item must be an object.
    #[error("an item is a JSON object of attributes, not {0}")]
    NotAnItem(&'static str),
    /// A value without a type.
    #[error("this is {0} without a type; write the type too, as in {{\"S\": \"text\"}} or {{\"N\": \"1\"}}")]
    Untyped(&'static str),
    /// No type, or several.
    #[error("a value has exactly one type, as in {{\"S\": \"text\"}}; this object has {0} entries")]
    NotOneType(usize),
    /// A type that DynamoDB does not have.
    #[error("'{0}' is not a DynamoDB type; the types are S, N, B, BOOL, NULL, L, M, SS, NS and BS")]
    UnknownType(String),
    /// The contents do not fit the type.
    #[error("{type_name} takes {expected}, not {found}")]
    Contents {
        /// The type.
        type_name: &'static str,
        /// The expected value.
        expected: &'static str,
        /// The value that was found.
        found: &'static str,
    },
    /// A text that is not a DynamoDB number.
    #[error("the number {0}")]
    Number(&'static str),
    /// A text that is not base64.
    #[error("binary contents are written in base64 with padding; this text is not")]
    Base64,
    /// DynamoDB has no empty sets.
    #[error("a set cannot be empty")]
    EmptySet,
    /// A member that the set has already.
    #[error("this member is in the set twice")]
    RepeatedMember,
}

impl JsonError {
    fn here(problem: JsonProblem) -> Self {
        Self {
            place: Place::root(),
            problem,
        }
    }

    fn under(self, name: &str) -> Self {
        Self {
            place: self.place.under(name),
            ..self
        }
    }

    fn at(self, index: usize) -> Self {
        Self {
            place: self.place.at(index),
            ..self
        }
    }
}

/// Why a text is no number, without showing it: a sentence's end, after "the number".
#[must_use]
pub fn number_reason(error: &NumberError) -> &'static str {
    match error {
        NumberError::Malformed(_) => "is not decimal notation",
        NumberError::TooPrecise(_) => "has more than 38 significant digits",
        NumberError::OutOfRange(_) => "is outside DynamoDB's range (1E-130 to 9.9E+125)",
    }
}

/// Reads an item; texts are moved, not copied.
///
/// # Errors
/// See [`JsonProblem`].
pub fn item_from_json(json: Json) -> Result<Item, JsonError> {
    match json {
        Json::Object(entries) => attributes(entries),
        other => Err(JsonError::here(JsonProblem::NotAnItem(json_kind(&other)))),
    }
}

/// Whether the value of `Item` in an exported document is an item: all its entries are objects. The entry of a typed
/// value, which a bare item may have under this name, is a text, a boolean or an array, or else a map.
#[must_use]
pub fn is_wrapped(json: &Json) -> bool {
    json.as_object()
        .is_none_or(|entries| entries.values().all(Json::is_object))
}

/// Reads one value; texts are moved, not copied.
///
/// # Errors
/// See [`JsonProblem`].
pub fn value_from_json(json: Json) -> Result<Value, JsonError> {
    let Json::Object(entries) = json else {
        return Err(JsonError::here(JsonProblem::Untyped(json_kind(&json))));
    };
    let count = entries.len();
    let mut entries = entries.into_iter();
    match (entries.next(), count) {
        (Some((name, contents)), 1) => typed(&name, contents),
        _ => Err(JsonError::here(JsonProblem::NotOneType(count))),
    }
}

fn typed(name: &str, contents: Json) -> Result<Value, JsonError> {
    match name {
        "S" => text("S", contents).map(Value::S),
        "N" => number("N", contents).map(Value::N),
        "B" => binary("B", contents).map(Value::B),
        "BOOL" => match contents {
            Json::Bool(value) => Ok(Value::Bool(value)),
            other => Err(invalid("BOOL", "true or false", &other)),
        },
        "NULL" => match contents {
            Json::Bool(true) => Ok(Value::Null),
            other => Err(invalid("NULL", "true", &other)),
        },
        "L" => list(contents),
        "M" => match contents {
            Json::Object(entries) => attributes(entries).map(Value::M),
            other => Err(invalid("M", "an object of values", &other)),
        },
        "SS" => members("SS", contents, text).map(Value::Ss),
        "NS" => members("NS", contents, number).map(Value::Ns),
        "BS" => members("BS", contents, binary).map(Value::Bs),
        other => Err(JsonError::here(JsonProblem::UnknownType(other.to_owned()))),
    }
}

fn attributes(entries: serde_json::Map<String, Json>) -> Result<BTreeMap<String, Value>, JsonError> {
    entries
        .into_iter()
        .map(|(name, json)| match value_from_json(json) {
            Ok(value) => Ok((name, value)),
            Err(error) => Err(error.under(&name)),
        })
        .collect()
}

fn list(contents: Json) -> Result<Value, JsonError> {
    let Json::Array(values) = contents else {
        return Err(invalid("L", "an array of values", &contents));
    };
    let values = values
        .into_iter()
        .enumerate()
        .map(|(index, json)| value_from_json(json).map_err(|error| error.at(index)));
    values.collect::<Result<_, _>>().map(Value::L)
}

/// The members of a set, sorted.
fn members<T: Ord>(
    type_name: &'static str,
    contents: Json,
    read: fn(&'static str, Json) -> Result<T, JsonError>,
) -> Result<Vec<T>, JsonError> {
    let Json::Array(texts) = contents else {
        return Err(invalid(type_name, "an array of texts", &contents));
    };
    if texts.is_empty() {
        return Err(JsonError::here(JsonProblem::EmptySet));
    }
    let mut members = Vec::with_capacity(texts.len());
    for (index, json) in texts.into_iter().enumerate() {
        members.push((read(type_name, json).map_err(|error| error.at(index))?, index));
    }
    members.sort_unstable();
    if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(JsonError::here(JsonProblem::RepeatedMember).at(pair[1].1));
    }
    Ok(members.into_iter().map(|(member, _)| member).collect())
}

fn text(type_name: &'static str, contents: Json) -> Result<String, JsonError> {
    match contents {
        Json::String(text) => Ok(text),
        other => Err(invalid(type_name, "a text in quotes", &other)),
    }
}

fn number(type_name: &'static str, contents: Json) -> Result<Number, JsonError> {
    Number::parse(&text(type_name, contents)?)
        .map_err(|error| JsonError::here(JsonProblem::Number(number_reason(&error))))
}

fn binary(type_name: &'static str, contents: Json) -> Result<Vec<u8>, JsonError> {
    BASE64
        .decode(text(type_name, contents)?)
        .map_err(|_| JsonError::here(JsonProblem::Base64))
}

fn invalid(type_name: &'static str, expected: &'static str, found: &Json) -> JsonError {
    let found = json_kind(found);
    JsonError::here(JsonProblem::Contents {
        type_name,
        expected,
        found,
    })
}

/// JSON's word for the kind of a value.
#[must_use]
pub fn json_kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(true) => "true",
        Json::Bool(false) => "false",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

/// A line of an item, as DynamoDB exports and imports it: `{"Item": {...}}`.
pub fn item_line(item: &Item, line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(LINE_BEGINS);
    write_item(item, line);
    line.extend_from_slice(LINE_ENDS);
}

/// The same of an item of which some attributes are carried as they are.
pub fn raw_line(item: &RawPut, line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(LINE_BEGINS);
    item.write(line);
    line.extend_from_slice(LINE_ENDS);
}

/// What comes before and after the item.
pub(crate) const LINE_BEGINS: &[u8] = br#"{"Item":"#;
pub(crate) const LINE_ENDS: &[u8] = b"}\n";

/// An item as DynamoDB JSON.
#[must_use]
pub fn item_to_json(item: &Item) -> Json {
    let entries = item
        .iter()
        .map(|(name, value)| (name.clone(), value_to_json(value)));
    Json::Object(entries.collect())
}

/// A value as DynamoDB JSON.
#[must_use]
pub fn value_to_json(value: &Value) -> Json {
    let base64 = |bytes: &Vec<u8>| Json::String(BASE64.encode(bytes));
    let contents = match value {
        Value::S(text) => Json::String(text.clone()),
        Value::N(number) => Json::String(number.to_string()),
        Value::B(bytes) => base64(bytes),
        Value::Bool(value) => Json::Bool(*value),
        Value::Null => Json::Bool(true),
        Value::L(values) => values.iter().map(value_to_json).collect(),
        Value::M(entries) => item_to_json(entries),
        Value::Ss(members) => members.iter().cloned().map(Json::String).collect(),
        Value::Ns(members) => members.iter().map(|m| Json::String(m.to_string())).collect(),
        Value::Bs(members) => members.iter().map(base64).collect(),
    };
    Json::Object(std::iter::once((value.type_name().to_owned(), contents)).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::json;

    fn any_number() -> impl Strategy<Value = Number> {
        (any::<i64>(), -100i32..100)
            .prop_map(|(digits, power)| Number::parse(&format!("{digits}e{power}")).unwrap())
    }

    /// Any value that DynamoDB can hold, three levels deep.
    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            ".{0,12}".prop_map(Value::S),
            any_number().prop_map(Value::N),
            vec(any::<u8>(), 0..12).prop_map(Value::B),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::Null),
            vec(".{0,5}", 1..4).prop_map(Value::string_set),
            vec(any_number(), 1..4).prop_map(Value::number_set),
            vec(vec(any::<u8>(), 0..5), 1..4).prop_map(Value::binary_set),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::L),
                btree_map(".{0,5}", inner, 0..4).prop_map(Value::M),
            ]
        })
    }

    /// Any item.
    pub(crate) fn any_item() -> impl Strategy<Value = Item> {
        btree_map(".{1,8}", any_value(), 0..6)
    }

    #[test]
    fn reads_every_type() {
        let item = item_from_json(
            serde_json::from_str(
                r#"{"s":{"S":"é"},"n":{"N":"1.50"},"b":{"B":"AAE="},"t":{"BOOL":true},"z":{"NULL":true},
                "l":{"L":[{"S":"a"},{"N":"2"}]},"m":{"M":{"x":{"S":""}}},
                "ss":{"SS":["b","a"]},"ns":{"NS":["10","9"]},"bs":{"BS":["AQ==",""]}}"#,
            )
            .unwrap(),
        )
        .unwrap();
        assert_eq!(item["s"], Value::s("é"));
        assert_eq!(item["n"], Value::N(Number::parse("1.5").unwrap()));
        assert_eq!(item["b"], Value::B(vec![0, 1]));
        assert_eq!(item["t"], Value::Bool(true));
        assert_eq!(item["z"], Value::Null);
        assert_eq!(item["l"], Value::L(vec![Value::s("a"), Value::N(2.into())]));
        assert_eq!(item["m"], Value::M(BTreeMap::from([("x".into(), Value::s(""))])));
        assert_eq!(item["ss"], Value::Ss(vec!["a".into(), "b".into()]));
        assert_eq!(item["ns"], Value::Ns(vec![9.into(), 10.into()]));
        assert_eq!(item["bs"], Value::Bs(vec![vec![], vec![1]]));
    }

    #[test]
    fn errors_say_where_and_what() {
        let cases = [
            (json!({"a": "x"}), "a: this is a text without a type"),
            (json!({"a": {}}), "a: a value has exactly one type"),
            (json!({"a": {"S": "x", "N": "1"}}), "this object has 2 entries"),
            (json!({"a": {"s": "x"}}), "a: 's' is not a DynamoDB type"),
            (
                json!({"a": {"S": 1}}),
                "a: S takes a text in quotes, not a number",
            ),
            (
                json!({"a": {"N": 1}}),
                "a: N takes a text in quotes, not a number",
            ),
            (
                json!({"a": {"N": "one"}}),
                "a: the number is not decimal notation",
            ),
            (json!({"a": {"N": "1e126"}}), "outside DynamoDB's range"),
            (
                json!({"a": {"N": "1".repeat(39)}}),
                "more than 38 significant digits",
            ),
            (
                json!({"a": {"B": "?"}}),
                "a: binary contents are written in base64",
            ),
            (
                json!({"a": {"BOOL": "true"}}),
                "a: BOOL takes true or false, not a text",
            ),
            (json!({"a": {"NULL": false}}), "a: NULL takes true, not false"),
            (
                json!({"a": {"L": {}}}),
                "a: L takes an array of values, not an object",
            ),
            (
                json!({"a": {"L": [{"S": "x"}, {"M": {"b": 5}}]}}),
                "a[1].b: this is a number without",
            ),
            (
                json!({"a": {"M": []}}),
                "a: M takes an object of values, not an array",
            ),
            (json!({"a": {"SS": []}}), "a: a set cannot be empty"),
            (
                json!({"a": {"SS": ["x", "y", "x"]}}),
                "a[2]: this member is in the set twice",
            ),
            (
                json!({"a": {"NS": ["1", "1.0"]}}),
                "a[1]: this member is in the set twice",
            ),
            (
                json!({"a": {"BS": ["AQ==", 7]}}),
                "a[1]: BS takes a text in quotes",
            ),
            (json!([1]), "an item is a JSON object of attributes, not an array"),
        ];
        for (json, expected) in cases {
            let message = item_from_json(json.clone()).unwrap_err().to_string();
            assert!(message.contains(expected), "{json} gave: {message}");
        }
    }

    proptest! {
        #[test]
        fn items_round_trip(item in any_item()) {
            let json = item_to_json(&item);
            prop_assert_eq!(&item_from_json(json.clone()).unwrap(), &item);
            let read = serde_json::from_str(&json.to_string()).unwrap();
            prop_assert_eq!(item_from_json(read).unwrap(), item);
        }

        #[test]
        fn never_panics(text in "[{}\\[\\]\":,a-zSNBL0-9]{0,40}") {
            if let Ok(json) = serde_json::from_str(&text) {
                let _ = item_from_json(json);
            }
        }
    }
}

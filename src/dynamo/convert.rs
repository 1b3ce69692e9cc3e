//! Converts items between the SDK's types and the model's. Payloads are moved.
//!
//! The SDK has two types for the same values: `aws_sdk_dynamodb::types::AttributeValue` in tables, and
//! `aws_sdk_dynamodbstreams::types::AttributeValue` in streams. [`SdkValue`] is their common part. A type that this
//! SDK does not know is an error, because a skipped attribute would be lost data.

use crate::model::json::number_reason;
use crate::model::{Item, Number, Place, Value};
use std::collections::{BTreeMap, HashMap};

/// Why an item that the service sent cannot be taken. It never shows contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute {place}: {problem}")]
pub struct ConvertError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: ConvertProblem,
}

/// The problem of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertProblem {
    /// A type that came after this build.
    #[error(
        "DynamoDB sent a type of value that this version of dynasplit does not know; use a newer \
         version"
    )]
    UnknownType,
    /// A number outside the rules that the service itself has published.
    #[error("the number {0}")]
    Number(&'static str),
}

impl ConvertError {
    fn here(problem: ConvertProblem) -> Self {
        Self {
            place: Place::root(),
            problem,
        }
    }
}

/// An attribute value in an SDK's terms.
pub trait SdkValue: Sized {
    /// The model's value.
    ///
    /// # Errors
    /// See [`ConvertProblem`].
    fn into_value(self) -> Result<Value, ConvertError>;

    /// The SDK's value.
    fn from_value(value: Value) -> Self;
}

/// Converts an item that DynamoDB sent, from a table or from a stream.
///
/// # Errors
/// See [`ConvertProblem`].
pub fn item_from_sdk<A: SdkValue>(attributes: HashMap<String, A>) -> Result<Item, ConvertError> {
    attributes
        .into_iter()
        .map(|(name, value)| match value.into_value() {
            Ok(value) => Ok((name, value)),
            Err(error) => Err(ConvertError {
                place: error.place.under(&name),
                ..error
            }),
        })
        .collect()
}

/// The attributes to send for an item.
#[must_use]
pub fn item_to_sdk<A: SdkValue>(item: Item) -> HashMap<String, A> {
    item.into_iter()
        .map(|(name, value)| (name, A::from_value(value)))
        .collect()
}

/// The value to send.
#[must_use]
pub fn value_to_sdk<A: SdkValue>(value: Value) -> A {
    A::from_value(value)
}

fn number(text: &str) -> Result<Number, ConvertError> {
    Number::parse(text).map_err(|error| ConvertError::here(ConvertProblem::Number(number_reason(&error))))
}

fn numbers(texts: &[String]) -> Result<Vec<Number>, ConvertError> {
    let parse = |(index, text): (usize, &String)| {
        number(text).map_err(|error| ConvertError {
            place: error.place.at(index),
            ..error
        })
    };
    texts.iter().enumerate().map(parse).collect()
}

fn list<A: SdkValue>(values: Vec<A>) -> Result<Vec<Value>, ConvertError> {
    let convert = |(index, value): (usize, A)| {
        let at = |error: ConvertError| ConvertError {
            place: error.place.at(index),
            ..error
        };
        value.into_value().map_err(at)
    };
    values.into_iter().enumerate().map(convert).collect()
}

fn map<A: SdkValue>(entries: HashMap<String, A>) -> Result<BTreeMap<String, Value>, ConvertError> {
    item_from_sdk(entries)
}

/// The same code for both SDK crates, whose types differ only in their paths.
macro_rules! sdk_value {
    ($sdk:ident) => {
        impl SdkValue for $sdk::types::AttributeValue {
            fn into_value(self) -> Result<Value, ConvertError> {
                Ok(match self {
                    Self::S(text) => Value::S(text),
                    Self::N(text) => Value::N(number(&text)?),
                    Self::B(blob) => Value::B(blob.into_inner()),
                    Self::Bool(value) => Value::Bool(value),
                    Self::Null(_) => Value::Null,
                    Self::L(values) => Value::L(list(values)?),
                    Self::M(entries) => Value::M(map(entries)?),
                    Self::Ss(members) => Value::string_set(members),
                    Self::Ns(members) => Value::number_set(numbers(&members)?),
                    Self::Bs(members) => {
                        Value::binary_set(members.into_iter().map(|blob| blob.into_inner()).collect())
                    }
                    _ => return Err(ConvertError::here(ConvertProblem::UnknownType)),
                })
            }

            fn from_value(value: Value) -> Self {
                match value {
                    Value::S(text) => Self::S(text),
                    Value::N(number) => Self::N(number.to_string()),
                    Value::B(bytes) => Self::B($sdk::primitives::Blob::new(bytes)),
                    Value::Bool(value) => Self::Bool(value),
                    Value::Null => Self::Null(true),
                    Value::L(values) => Self::L(values.into_iter().map(Self::from_value).collect()),
                    Value::M(entries) => Self::M(item_to_sdk(entries)),
                    Value::Ss(members) => Self::Ss(members),
                    Value::Ns(members) => Self::Ns(members.iter().map(Number::to_string).collect()),
                    Value::Bs(members) => Self::Bs(
                        members
                            .into_iter()
                            .map($sdk::primitives::Blob::new)
                            .collect(),
                    ),
                }
            }
        }
    };
}

sdk_value!(aws_sdk_dynamodb);
sdk_value!(aws_sdk_dynamodbstreams);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json::tests::any_item;
    use aws_sdk_dynamodb::types::AttributeValue as InTable;
    use aws_sdk_dynamodbstreams::types::AttributeValue as InStream;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_round_trip(item in any_item()) {
            let table: HashMap<String, InTable> = item_to_sdk(item.clone());
            prop_assert_eq!(&item_from_sdk(table).unwrap(), &item);
            let stream: HashMap<String, InStream> = item_to_sdk(item.clone());
            prop_assert_eq!(item_from_sdk(stream).unwrap(), item);
        }
    }

    #[test]
    fn each_type_keeps_its_own() {
        assert_eq!(
            value_to_sdk::<InTable>(Value::N(5.into())),
            InTable::N("5".into())
        );
        assert_eq!(value_to_sdk::<InTable>(Value::Null), InTable::Null(true));
        assert_eq!(value_to_sdk::<InStream>(Value::s("5")), InStream::S("5".into()));
        let set = InStream::Ns(vec!["10".into(), "9".into(), "9.0".into()]);
        assert_eq!(set.into_value().unwrap(), Value::Ns(vec![9.into(), 10.into()]));
    }

    #[test]
    fn a_bad_value_deep_inside_is_found() {
        let bad = InTable::M(HashMap::from([(
            "list".to_owned(),
            InTable::L(vec![
                InTable::Bool(true),
                InTable::Ns(vec!["1".into(), "x".into()]),
            ]),
        )]));
        let error = item_from_sdk(HashMap::from([("doc".to_owned(), bad)])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "attribute doc.list[1][1]: the number is not decimal notation"
        );
    }

    #[tokio::test]
    async fn an_unknown_type_is_an_error() {
        let answer = serde_json::json!({"Item": {"pk": {"S": "x"}, "doc": {"M": {"odd": {"ZZ": "x"}}}}});
        let (client, _) = crate::dynamo::scripted::scripted(vec![(200, answer)]).await;
        let request = client
            .get_item()
            .table_name("source")
            .key("pk", InTable::S("x".into()));
        let item = request.send().await.unwrap().item.unwrap();
        let error = item_from_sdk(item).unwrap_err();
        assert_eq!(error.problem, ConvertProblem::UnknownType);
        assert!(
            error
                .to_string()
                .starts_with("attribute doc.odd: DynamoDB sent a type"),
            "{error}"
        );
    }
}

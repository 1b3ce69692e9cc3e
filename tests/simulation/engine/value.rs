//! Values of items, in a form that compares as DynamoDB compares them: numbers by value, sets without order.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use serde_json::{Map, Value as Json, json};

use super::refusal::Refusal;

/// An attribute value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    S(String),
    N(BigDecimal),
    B(Vec<u8>),
    Bool(bool),
    Null,
    L(Vec<Value>),
    M(Item),
    Ss(BTreeSet<String>),
    Ns(BTreeSet<BigDecimal>),
    Bs(BTreeSet<Vec<u8>>),
}

/// An item, or a map inside an item.
pub type Item = BTreeMap<String, Value>;

impl Value {
    /// Reads DynamoDB JSON: an object with the type as its only member.
    pub fn of(json: &Json) -> Result<Self, Refusal> {
        let wrong = || Refusal::invalid(format!("{json} is no attribute value"));
        let members = json.as_object().filter(|members| members.len() == 1);
        let (kind, content) = members
            .and_then(|members| members.iter().next())
            .ok_or_else(wrong)?;
        let list = || content.as_array().ok_or_else(wrong);
        let texts = || -> Result<Vec<&str>, Refusal> {
            let texts: Option<Vec<&str>> = list()?.iter().map(Json::as_str).collect();
            texts
                .filter(|texts| !texts.is_empty())
                .ok_or_else(|| Refusal::invalid("a set is empty, or its members are no texts"))
        };
        let text = || content.as_str().ok_or_else(wrong);
        Ok(match kind.as_str() {
            "S" => Self::S(text()?.to_owned()),
            "N" => Self::N(number(text()?)?),
            "B" => Self::B(bytes(text()?)?),
            "BOOL" => Self::Bool(content.as_bool().ok_or_else(wrong)?),
            "NULL" if content == &Json::Bool(true) => Self::Null,
            "L" => Self::L(list()?.iter().map(Self::of).collect::<Result<_, _>>()?),
            "M" => Self::M(item_of(content)?),
            "SS" => Self::Ss(texts()?.into_iter().map(str::to_owned).collect()),
            "NS" => Self::Ns(texts()?.into_iter().map(number).collect::<Result<_, _>>()?),
            "BS" => Self::Bs(texts()?.into_iter().map(bytes).collect::<Result<_, _>>()?),
            _ => return Err(wrong()),
        })
    }

    /// As DynamoDB JSON.
    pub fn json(&self) -> Json {
        match self {
            Self::S(text) => json!({ "S": text }),
            Self::N(number) => json!({ "N": digits(number) }),
            Self::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
            Self::Bool(truth) => json!({ "BOOL": truth }),
            Self::Null => json!({ "NULL": true }),
            Self::L(list) => json!({ "L": list.iter().map(Self::json).collect::<Vec<_>>() }),
            Self::M(map) => json!({ "M": item_json(map) }),
            Self::Ss(set) => json!({ "SS": set }),
            Self::Ns(set) => json!({ "NS": set.iter().map(digits).collect::<Vec<_>>() }),
            Self::Bs(set) => json!({ "BS": set.iter().map(|b| STANDARD.encode(b)).collect::<Vec<_>>() }),
        }
    }

    /// The name of the type, as `attribute_type` takes it.
    pub fn kind(&self) -> &'static str {
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

    /// Whether `<` and its like order values of this type.
    pub fn has_order(&self) -> bool {
        matches!(self, Self::S(_) | Self::N(_) | Self::B(_))
    }

    /// Bytes, about as AWS counts them.
    fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => digits(number).len() / 2 + 1,
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::L(list) => 3 + list.iter().map(|value| value.size() + 1).sum::<usize>(),
            Self::M(map) => 3 + size_of_item(map) + map.len(),
            Self::Ss(set) => set.iter().map(String::len).sum(),
            Self::Ns(set) => set.iter().map(|number| digits(number).len() / 2 + 1).sum(),
            Self::Bs(set) => set.iter().map(Vec::len).sum(),
        }
    }
}

/// Bytes of an item.
pub fn size_of_item(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// Reads an item.
pub fn item_of(json: &Json) -> Result<Item, Refusal> {
    let members = json
        .as_object()
        .ok_or_else(|| Refusal::invalid(format!("{json} is no item")))?;
    members
        .iter()
        .map(|(name, value)| Ok((name.clone(), Value::of(value)?)))
        .collect()
}

/// An item as DynamoDB JSON.
pub fn item_json(item: &Item) -> Json {
    let members = item.iter().map(|(name, value)| (name.clone(), value.json()));
    Json::Object(members.collect::<Map<_, _>>())
}

fn number(text: &str) -> Result<BigDecimal, Refusal> {
    BigDecimal::from_str(text).map_err(|error| Refusal::invalid(format!("{text:?} is no number: {error}")))
}

fn digits(number: &BigDecimal) -> String {
    number.normalized().to_plain_string()
}

fn bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD
        .decode(text)
        .map_err(|error| Refusal::invalid(format!("{text:?} is no base64: {error}")))
}

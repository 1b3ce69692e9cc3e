//! Answers and parameters, as they are counted.

use crate::size::{ItemSize, ValueSize, read_milliunits};
use crate::tally::Count;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::call::Asked;

/// The values of a statement, together.
#[derive(Debug, Default)]
pub struct Parameters {
    /// What they weigh.
    pub bytes: u64,
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let values = Vec::<ValueSize>::deserialize(from)?;
        Ok(Self {
            bytes: values.iter().map(|value| value.0).sum(),
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Items", default)]
    items: Vec<ItemSize>,
    #[serde(rename = "Item")]
    item: Option<ItemSize>,
    #[serde(rename = "Records", default)]
    records: Vec<IgnoredAny>,
    #[serde(rename = "ConsumedCapacity")]
    consumed: Option<Consumed>,
}

#[derive(Deserialize)]
struct Consumed {
    #[serde(rename = "CapacityUnits", default)]
    units: f64,
}

/// What a read that was answered gave, and what it cost. Of a filtered one only the engine knows how much was read.
pub fn given(operation: &str, asked: &Asked, body: &[u8]) -> Count {
    if !matches!(operation, "Scan" | "Query" | "GetItem" | "GetRecords") {
        return Count::default();
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
        return Count::default();
    };
    if operation == "GetRecords" {
        return Count {
            items: answer.records.len() as u64,
            ..Count::default()
        };
    }
    let all = answer.items.iter().chain(&answer.item);
    let (items, bytes) = all.fold((0, 0), |(items, bytes), item| (items + 1, bytes + item.0));
    let read_milliunits = match answer.consumed {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // units are small and positive
        Some(consumed) if asked.filtered => (consumed.units.max(0.0) * 1000.0).round() as u64,
        _ => read_milliunits(bytes, asked.consistent),
    };
    Count {
        items,
        read_milliunits,
        ..Count::default()
    }
}

#[derive(Deserialize)]
struct Statements {
    #[serde(rename = "Responses", default)]
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "Error")]
    error: Option<IgnoredAny>,
}

/// Which statements of a batch failed, in the order of the request.
pub fn failed_statements(body: &[u8]) -> Vec<bool> {
    let answer = serde_json::from_slice::<Statements>(body);
    let responses = answer.map(|answer| answer.responses).unwrap_or_default();
    responses
        .iter()
        .map(|response| response.error.is_some())
        .collect()
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "UnprocessedItems", default)]
    unprocessed: std::collections::BTreeMap<String, Vec<IgnoredAny>>,
}

/// How many writes of a batch were left undone.
pub fn unprocessed(body: &[u8]) -> usize {
    let answer = serde_json::from_slice::<Batch>(body);
    answer.map_or(0, |answer| answer.unprocessed.values().map(Vec::len).sum())
}

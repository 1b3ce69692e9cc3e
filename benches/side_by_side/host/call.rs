//! A request, as it is counted: what it writes to which table, or what it asks to read.

use crate::host::reading::Parameters;
use crate::size::{ItemSize, write_milliunits};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A request to the server.
#[derive(Debug, Default)]
pub struct Call {
    /// As in `PutItem`.
    pub operation: String,
    /// The table, or the first of a batch.
    pub table: String,
    /// What it writes, in the order of the request.
    pub writes: Vec<Written>,
    /// What it asks to read.
    pub read: Asked,
}

/// One item that is written or removed.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its table.
    pub table: String,
    /// What it costs, in thousandths of a unit.
    pub milliunits: u64,
}

/// What a read asks for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Segment, and of how many.
    pub segment: (u64, u64),
    /// The partition key to go on after, or to get.
    pub key: Option<String>,
    /// Items at most.
    pub limit: Option<u64>,
    /// Some of what is read is not given.
    pub filtered: bool,
    /// At twice the units.
    pub consistent: bool,
}

#[derive(Deserialize)]
struct Single<'a> {
    #[serde(borrow, rename = "TableName", default)]
    table: Cow<'a, str>,
    #[serde(rename = "Item")]
    item: Option<ItemSize>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow, rename = "RequestItems")]
    tables: BTreeMap<Cow<'a, str>, Vec<One>>,
}

#[derive(Deserialize)]
struct One {
    #[serde(rename = "PutRequest")]
    put: Option<Put>,
}

#[derive(Deserialize)]
struct Put {
    #[serde(rename = "Item")]
    item: ItemSize,
}

#[derive(Deserialize)]
struct Statements<'a> {
    #[serde(borrow, rename = "Statements")]
    statements: Vec<Statement<'a>>,
}

#[derive(Deserialize)]
struct Statement<'a> {
    #[serde(borrow, rename = "Statement")]
    text: Cow<'a, str>,
    #[serde(rename = "Parameters", default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Reading<'a> {
    #[serde(borrow, rename = "TableName", default)]
    table: Cow<'a, str>,
    #[serde(rename = "Segment", default)]
    segment: u64,
    #[serde(rename = "TotalSegments")]
    segments: Option<u64>,
    #[serde(borrow, rename = "ExclusiveStartKey")]
    after: Option<Key<'a>>,
    #[serde(borrow, rename = "Key")]
    key: Option<Key<'a>>,
    #[serde(rename = "Limit")]
    limit: Option<u64>,
    #[serde(rename = "FilterExpression")]
    filter: Option<IgnoredAny>,
    #[serde(rename = "ConsistentRead", default)]
    consistent: bool,
}

#[derive(Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    pk: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow, rename = "S")]
    text: Option<Cow<'a, str>>,
}

impl Call {
    /// Reads a request. What it can't read is counted by its operation alone.
    pub fn read(operation: &str, body: &[u8]) -> Self {
        let mut call = Self::parse(operation, body).unwrap_or_default();
        operation.clone_into(&mut call.operation);
        call
    }

    fn parse(operation: &str, body: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(match operation {
            "PutItem" | "DeleteItem" | "UpdateItem" => {
                let single: Single<'_> = serde_json::from_slice(body)?;
                let bytes = single.item.unwrap_or_default().0;
                Self::writing(vec![Written {
                    table: single.table.into_owned(),
                    milliunits: write_milliunits(bytes),
                }])
            }
            "BatchWriteItem" => {
                let batch: Batch<'_> = serde_json::from_slice(body)?;
                let written = |(table, ones): (Cow<'_, str>, Vec<One>)| {
                    let table = table.into_owned();
                    let one = |one: One| Written {
                        table: table.clone(),
                        milliunits: write_milliunits(one.put.map_or(0, |put| put.item.0)),
                    };
                    ones.into_iter().map(one).collect::<Vec<_>>()
                };
                Self::writing(batch.tables.into_iter().flat_map(written).collect())
            }
            "BatchExecuteStatement" => {
                let batch: Statements<'_> = serde_json::from_slice(body)?;
                Self::writing(batch.statements.iter().map(Statement::written).collect())
            }
            _ => {
                let reading: Reading<'_> = serde_json::from_slice(body)?;
                let text = |key: Key<'_>| key.pk.and_then(|pk| pk.text).map(Cow::into_owned);
                Self {
                    table: reading.table.into_owned(),
                    read: Asked {
                        segment: (reading.segment, reading.segments.unwrap_or(1).max(1)),
                        key: reading.after.or(reading.key).and_then(text),
                        limit: reading.limit,
                        filtered: reading.filter.is_some(),
                        consistent: reading.consistent,
                    },
                    ..Self::default()
                }
            }
        })
    }

    fn writing(writes: Vec<Written>) -> Self {
        Self {
            table: writes
                .first()
                .map(|write| write.table.clone())
                .unwrap_or_default(),
            writes,
            ..Self::default()
        }
    }
}

impl Statement<'_> {
    /// Of `INSERT INTO "table" VALUE {'name': ?, ...}`: its table, and what the item weighs.
    fn written(&self) -> Written {
        let table = self.text.split('"').nth(1).unwrap_or_default();
        let names: usize = self.text.split('\'').skip(1).step_by(2).map(str::len).sum();
        Written {
            table: table.to_owned(),
            milliunits: write_milliunits(names as u64 + self.parameters.bytes),
        }
    }
}

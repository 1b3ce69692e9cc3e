//! A request, as rules see it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hyper::body::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::support::role;

/// A request to the engine.
#[derive(Clone, Debug)]
pub struct Call {
    /// As in `PutItem`.
    pub operation: String,
    /// The tables that it is for: one, or those of a batch.
    pub tables: Vec<String>,
    /// Which call of this operation on (the first of) these tables it is, from 0.
    pub nth: u64,
    /// The access key by which it is signed.
    pub access_key: String,
    /// The value of `x-amz-target`.
    pub(super) target: String,
    pub(super) body: Bytes,
}

/// What names tables in a body; the rest is skipped without being built.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named<'a> {
    #[serde(borrow)]
    table_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stream_arn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    table_arn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    export_arn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    import_arn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    shard_iterator: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request_items: Option<BTreeMap<Cow<'a, str>, IgnoredAny>>,
    statements: Option<Value>,
    statement: Option<Value>,
    transact_items: Option<Value>,
    table_creation_parameters: Option<Value>,
}

impl Call {
    pub(super) fn of(target: &str, access_key: &str, body: Bytes) -> Self {
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        Self {
            operation,
            tables: tables(&body),
            nth: 0,
            access_key: access_key.to_owned(),
            target: target.to_owned(),
            body,
        }
    }

    /// The first of its tables; empty where it names none.
    pub fn table(&self) -> &str {
        self.tables.first().map_or("", String::as_str)
    }

    /// What that table is there for: its name, as far as it is the same in every run.
    pub(super) fn role(&self) -> &str {
        role(self.table())
    }

    /// The body.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body, parsed.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The same, with pages of at most so many items.
    pub(super) fn limited(&self, items: u64) -> Self {
        let mut body = self.json();
        let asked = body["Limit"].as_u64().unwrap_or(items);
        body["Limit"] = asked.min(items).into();
        Self {
            body: body.to_string().into(),
            ..self.clone()
        }
    }

    /// Whether it is one of the Streams API.
    pub fn is_of_streams(&self) -> bool {
        self.target.starts_with("DynamoDBStreams_")
    }

    /// Whether it changes items.
    pub fn writes(&self) -> bool {
        const READS: [&str; 4] = ["Get", "Query", "Scan", "Describe"];
        !READS.iter().any(|word| self.operation.contains(word))
    }
}

/// The tables that a body names.
fn tables(body: &[u8]) -> Vec<String> {
    let Ok(named) = serde_json::from_slice::<Named<'_>>(body) else {
        return Vec::new();
    };
    // `arn:...:table/NAME/stream/LABEL`, which an iterator of ours begins with.
    let of_arn = |arn: &str| arn.split('/').nth(1).unwrap_or_default().to_owned();
    if let Some(table) = named.table_name {
        return vec![table.into_owned()];
    }
    if let Some(arn) = named
        .stream_arn
        .or(named.shard_iterator)
        .or(named.table_arn)
        .or(named.export_arn)
        .or(named.import_arn)
    {
        return vec![of_arn(&arn)];
    }
    if let Some(items) = named.request_items {
        return items.into_keys().map(Cow::into_owned).collect();
    }
    let mut found = Vec::new();
    for value in [
        named.statements,
        named.statement,
        named.transact_items,
        named.table_creation_parameters,
    ]
    .into_iter()
    .flatten()
    {
        collect(&value, &mut found);
    }
    found.dedup();
    found
}

/// Tables inside statements (`INSERT INTO "name" ...`) and transactions.
fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(statement) => found.extend(table_of_statement(statement)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(fields) => {
            if let Some(Value::String(table)) = fields.get("TableName") {
                found.push(table.clone());
            } else if let Some(Value::String(statement)) = fields.get("Statement") {
                found.extend(table_of_statement(statement));
            } else {
                fields.values().for_each(|value| collect(value, found));
            }
        }
        _ => {}
    }
}

/// The table of a PartiQL statement.
pub fn table_of_statement(statement: &str) -> Option<String> {
    statement.split('"').nth(1).map(str::to_owned)
}

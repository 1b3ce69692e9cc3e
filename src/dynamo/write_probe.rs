//! Writes that change nothing, to see whether a role may write a table.
//!
//! They are sent as a role of the application, so they need no permission of dynasplit's own.

use super::convert::item_to_sdk;
use super::failure::ROLE_DENIED;
use super::{Failure, FailureKind, Tables};
use crate::model::{Item, Key, KeySchema};
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// A kind of write. `PartiQLInsert` has no probe: an insert that is accepted makes an item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeCall {
    /// `PutItem` under a condition that never holds.
    Put,
    /// `UpdateItem` under a condition that never holds.
    Update,
    /// `DeleteItem` under a condition that never holds.
    Delete,
    /// `BatchWriteItem` with a delete of a key that nothing has.
    BatchWrite,
    /// A PartiQL `UPDATE` of a key that nothing has.
    PartiqlUpdate,
    /// A PartiQL `DELETE` of a key that nothing has.
    PartiqlDelete,
}

impl ProbeCall {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Put,
        Self::Update,
        Self::Delete,
        Self::BatchWrite,
        Self::PartiqlUpdate,
        Self::PartiqlDelete,
    ];

    /// The IAM action that it needs.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Put => "dynamodb:PutItem",
            Self::Update => "dynamodb:UpdateItem",
            Self::Delete => "dynamodb:DeleteItem",
            Self::BatchWrite => "dynamodb:BatchWriteItem",
            Self::PartiqlUpdate => "dynamodb:PartiQLUpdate",
            Self::PartiqlDelete => "dynamodb:PartiQLDelete",
        }
    }
}

impl fmt::Display for ProbeCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action())
    }
}

/// The answer to a probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeAnswer {
    /// The role may write.
    Accepted,
    /// A policy refuses the write.
    Refused,
    /// It shows nothing, for example because the request was throttled.
    Unknown(Failure),
}

/// Where probes are sent, and with which key: one that no item has.
#[derive(Clone, Debug)]
pub struct ProbePlace<'a> {
    /// The table.
    pub table: &'a str,
    /// Its key schema.
    pub keys: &'a KeySchema,
    /// The key.
    pub key: &'a Key,
}

impl Tables {
    /// Sends a probe. It changes nothing, whatever the answer is.
    ///
    /// # Errors
    /// If the role cannot be used at all: it may not be assumed, or its credentials are not valid.
    pub async fn probe_write(&self, place: &ProbePlace<'_>, call: ProbeCall) -> Result<ProbeAnswer, Failure> {
        let key = place.keys.item_of(place.key);
        match self.sent(place, key, call).await {
            Ok(()) => Ok(ProbeAnswer::Accepted),
            Err(failure) if failure.code == ROLE_DENIED => Err(failure),
            Err(failure) => match failure.kind {
                FailureKind::Condition => Ok(ProbeAnswer::Accepted),
                FailureKind::Denied => Ok(ProbeAnswer::Refused),
                FailureKind::Credentials | FailureKind::Missing => Err(failure),
                _ => Ok(ProbeAnswer::Unknown(failure)),
            },
        }
    }

    async fn sent(&self, place: &ProbePlace<'_>, key: Item, call: ProbeCall) -> Result<(), Failure> {
        const NEVER: &str = "attribute_exists(#p) AND attribute_not_exists(#p)";
        let (table, name) = (place.table, place.keys.partition.name.as_str());
        let failed = |failure: Option<Failure>| failure.map_or(Ok(()), Err);
        let items = &self.items;
        failed(match call {
            ProbeCall::Put => {
                let put = items
                    .put_item()
                    .table_name(table)
                    .set_item(Some(item_to_sdk(key)));
                let sent = put
                    .condition_expression(NEVER)
                    .expression_attribute_names("#p", name);
                let sent = sent.send().await;
                sent.err().map(|error| Failure::of(call.action(), table, &error))
            }
            ProbeCall::Update => {
                let update = items
                    .update_item()
                    .table_name(table)
                    .set_key(Some(item_to_sdk(key)));
                let sent = update
                    .condition_expression(NEVER)
                    .expression_attribute_names("#p", name);
                let sent = sent.send().await;
                sent.err().map(|error| Failure::of(call.action(), table, &error))
            }
            ProbeCall::Delete => {
                let delete = items
                    .delete_item()
                    .table_name(table)
                    .set_key(Some(item_to_sdk(key)));
                let sent = delete
                    .condition_expression(NEVER)
                    .expression_attribute_names("#p", name);
                let sent = sent.send().await;
                sent.err().map(|error| Failure::of(call.action(), table, &error))
            }
            ProbeCall::BatchWrite => {
                let delete = DeleteRequest::builder().set_key(Some(item_to_sdk(key))).build();
                let delete = delete.map_err(|error| Failure::unusable(call.action(), table, error))?;
                let request = WriteRequest::builder().delete_request(delete).build();
                let sent = items
                    .batch_write_item()
                    .request_items(table, vec![request])
                    .send()
                    .await;
                sent.err().map(|error| Failure::of(call.action(), table, &error))
            }
            ProbeCall::PartiqlUpdate | ProbeCall::PartiqlDelete => {
                let (condition, parameters) = where_key(place.keys, item_to_sdk(key));
                let statement = match call {
                    ProbeCall::PartiqlUpdate => {
                        format!("UPDATE \"{table}\" SET \"dynasplit:probe\"=1 WHERE {condition}")
                    }
                    _ => format!("DELETE FROM \"{table}\" WHERE {condition}"),
                };
                let sent = items.execute_statement().statement(statement);
                let sent = sent.set_parameters(Some(parameters)).send().await;
                sent.err().map(|error| Failure::of(call.action(), table, &error))
            }
        })
    }
}

fn where_key(keys: &KeySchema, mut item: HashMap<String, AttributeValue>) -> (String, Vec<AttributeValue>) {
    let mut conditions = Vec::new();
    let mut parameters = Vec::new();
    for attribute in keys.attributes() {
        conditions.push(format!("\"{}\"=?", attribute.name.replace('"', "\"\"")));
        parameters.extend(item.remove(&attribute.name));
    }
    (conditions.join(" AND "), parameters)
}

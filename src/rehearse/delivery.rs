//! Writes of the rehearsal's own application: each one is sent until it lands.

use super::mutate::Request;
use super::retry::{Refusal, until_landed};
use super::writers::WriterError;
use crate::dynamo::convert::{item_to_sdk, value_to_sdk};
use crate::model::{Item, Key, KeySchema};
use aws_sdk_dynamodb::Client;
use std::sync::atomic::AtomicU64;

/// A table that the application writes.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub client: Client,
    pub table: String,
    pub keys: KeySchema,
}

impl Delivery {
    /// Sends a write until it has landed.
    pub async fn send(&self, key: &Key, request: Request, retries: &AtomicU64) -> Result<(), WriterError> {
        let name = key.to_string();
        let key = item_to_sdk(self.keys.item_of(key));
        let (operation, landed) = match request {
            Request::Put(item) => {
                let request = self
                    .client
                    .put_item()
                    .table_name(&self.table)
                    .set_item(Some(item_to_sdk(item)));
                let send = || request.clone().send();
                ("PutItem", until_landed(retries, send).await.map(drop))
            }
            Request::Set(attributes) => {
                let request = self.update(attributes).set_key(Some(key));
                let send = || request.clone().send();
                ("UpdateItem", until_landed(retries, send).await.map(drop))
            }
            Request::Delete => {
                let request = self
                    .client
                    .delete_item()
                    .table_name(&self.table)
                    .set_key(Some(key));
                let send = || request.clone().send();
                ("DeleteItem", until_landed(retries, send).await.map(drop))
            }
        };
        landed.map_err(|Refusal { sends, reason }| WriterError::Write {
            operation,
            key: name,
            table: self.table.clone(),
            sends,
            reason,
        })
    }

    /// An update that sets attributes, whatever their names are.
    fn update(
        &self,
        attributes: Item,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        let mut request = self.client.update_item().table_name(&self.table);
        let mut clauses = Vec::with_capacity(attributes.len());
        for (index, (name, value)) in attributes.into_iter().enumerate() {
            clauses.push(format!("#a{index} = :v{index}"));
            request = request
                .expression_attribute_names(format!("#a{index}"), name)
                .expression_attribute_values(format!(":v{index}"), value_to_sdk(value));
        }
        request.update_expression(format!("SET {}", clauses.join(", ")))
    }
}

//! Reads that do without damaged records, and the removal of such a record.

use super::damage::Damaged;
use super::damage::PARTITION;
use super::error::StateError;
use super::store::{Store, Stored};
use crate::dynamo::{Failure, FailureKind};
use crate::fault;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

impl Store {
    /// As [`Store::list`], for callers that can do without some of the records: damaged records are listed
    /// separately.
    ///
    /// # Errors
    /// If a request fails.
    pub async fn list_readable<T: DeserializeOwned>(
        &self,
        prefix: &str,
        damaged: &mut Vec<Damaged>,
    ) -> Result<Vec<(String, Stored<T>)>, StateError> {
        let mut found = Vec::new();
        for (name, item) in self.items(prefix).await? {
            match self.decode(&name, &item) {
                Ok(stored) => found.push((name, stored)),
                Err(broken) => damaged.push(broken),
            }
        }
        Ok(found)
    }

    /// As [`Store::get`], for callers that can do without the record: a damaged record is returned separately.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn get_readable<T: DeserializeOwned>(
        &self,
        name: &str,
        damaged: &mut Vec<Damaged>,
    ) -> Result<Option<Stored<T>>, StateError> {
        let Some(item) = self.item(name).await? else {
            return Ok(None);
        };
        match self.decode(name, &item) {
            Ok(stored) => Ok(Some(stored)),
            Err(broken) => {
                damaged.push(broken);
                Ok(None)
            }
        }
    }

    /// Removes a damaged record, unless another process wrote it again since it was read.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn discard(&self, damaged: &Damaged) -> Result<(), StateError> {
        let name = &damaged.record;
        let sent = self
            .patiently("dynamodb:DeleteItem", || async {
                fault::before(fault::saving(name, true)).await?;
                let delete = self
                    .client()
                    .delete_item()
                    .table_name(self.table())
                    .key("pk", AttributeValue::S(PARTITION.into()))
                    .key("sk", AttributeValue::S(name.clone()))
                    .expression_attribute_names("#r", "record");
                let delete = match &damaged.text {
                    Some(text) => delete
                        .condition_expression("attribute_not_exists(pk) OR #r = :text")
                        .expression_attribute_values(":text", AttributeValue::S(text.clone())),
                    None => delete.condition_expression("attribute_not_exists(#r)"),
                };
                delete
                    .send()
                    .await
                    .map_err(|error| Failure::of("dynamodb:DeleteItem", self.table(), &error))?;
                Ok(fault::after(fault::saving(name, true)).await?)
            })
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(failure) if failure.kind == FailureKind::Condition => Ok(()),
            Err(failure) => Err(self.failed(failure)),
        }
    }
}

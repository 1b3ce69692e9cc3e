//! Writes the markers of a cutover to a table, and deletes them. A marker has the attributes of its key, and no others.

use super::write::is_decided;
use crate::dynamo::convert::item_to_sdk;
use crate::dynamo::{Failure, Health, until_answered};
use crate::fault;
use crate::model::{KeySchema, Marker};
use aws_sdk_dynamodb::Client;
use futures::future::join_all;
use std::ops::Range;

/// Requests at once.
const AT_ONCE: usize = 16;

/// Writes markers to one table.
#[derive(Clone, Debug)]
pub struct MarkerWriter {
    /// For items, without retries of its own.
    pub client: Client,
    /// The table.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
}

impl MarkerWriter {
    /// Writes markers of a run, each with one request. Returns whether each request was answered. A marker that was not written for
    /// a passing reason is left out, because any other one does as well.
    ///
    /// # Errors
    /// A permanent failure.
    pub async fn put(&self, run: u64, numbers: Range<u32>) -> Result<bool, Failure> {
        let mut settled = true;
        let markers: Vec<Marker> = numbers.map(|number| Marker { run, number }).collect();
        for some in markers.chunks(AT_ONCE) {
            for done in join_all(some.iter().map(|marker| self.put_one(*marker))).await {
                let Err(failure) = done else { continue };
                settled &= is_decided(&failure);
                if !failure.passes() {
                    return Err(failure);
                }
                tracing::debug!(table = self.table, %failure, "a marker was not written");
            }
        }
        Ok(settled)
    }

    async fn put_one(&self, marker: Marker) -> Result<(), Failure> {
        let key = self.keys.item_of(&marker.key(&self.keys));
        fault::before("marker.put").await?;
        let put = self.client.put_item().table_name(&self.table);
        let sent = put.set_item(Some(item_to_sdk(key))).send().await;
        fault::after("marker.put").await?;
        sent.map_err(|error| Failure::of("dynamodb:PutItem", &self.table, &error))?;
        Ok(())
    }

    /// Deletes the markers of a run whose numbers are below `count`. Temporary failures are retried without end.
    ///
    /// # Errors
    /// A permanent failure.
    pub async fn delete(&self, run: u64, count: u32) -> Result<(), Failure> {
        let health = Health::default();
        let markers: Vec<Marker> = (0..count).map(|number| Marker { run, number }).collect();
        for some in markers.chunks(AT_ONCE) {
            let deletes = some
                .iter()
                .map(|marker| until_answered(&health, || self.delete_one(*marker)));
            join_all(deletes).await.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    async fn delete_one(&self, marker: Marker) -> Result<(), Failure> {
        let key = self.keys.item_of(&marker.key(&self.keys));
        fault::before("marker.delete").await?;
        let delete = self.client.delete_item().table_name(&self.table);
        let sent = delete.set_key(Some(item_to_sdk(key))).send().await;
        fault::after("marker.delete").await?;
        sent.map_err(|error| Failure::of("dynamodb:DeleteItem", &self.table, &error))?;
        Ok(())
    }
}

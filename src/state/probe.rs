//! A test write that shows whether the engine supports batches of PartiQL inserts.

use super::store::Store;
use crate::dynamo::{Failure, retry_transient};
use crate::fault;
use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest};

/// Sort key of the item that the probe writes: no record of the state, which is why it is not named like one.
const ITEM: &str = "probe";

impl Store {
    /// Tests whether a PartiQL `INSERT` in a batch leaves existing items unchanged, as DynamoDB documents it. A
    /// backfill that writes in batches depends on it. The test uses an item of the state table that nothing else
    /// reads.
    ///
    /// # Errors
    /// Why batches can't be used, for a person.
    pub async fn probe_inserts(&self) -> Result<(), String> {
        let told = |failure: Failure| failure.to_string();
        let (client, table) = (self.client(), self.table());
        let text = |value: &str| AttributeValue::S(value.to_owned());
        retry_transient(|| async {
            fault::before("probe.put").await?;
            let put = client
                .put_item()
                .table_name(table)
                .item("pk", text(super::damage::PARTITION))
                .item("sk", text(ITEM));
            put.send()
                .await
                .map_err(|error| Failure::of("dynamodb:PutItem", table, &error))?;
            Ok(fault::after("probe.put").await?)
        })
        .await
        .map_err(told)?;
        let statement = BatchStatementRequest::builder()
            .statement(format!("INSERT INTO \"{table}\" VALUE {{'pk':?,'sk':?}}"))
            .parameters(text(super::damage::PARTITION))
            .parameters(text(ITEM))
            .build()
            .map_err(|error| error.to_string())?;
        // An engine's first statement may take it long.
        let answer = retry_transient(|| async {
            fault::before("probe.insert").await?;
            let tried = client.batch_execute_statement().statements(statement.clone());
            let answer = tried
                .send()
                .await
                .map_err(|error| Failure::of("dynamodb:BatchExecuteStatement", table, &error))?;
            fault::after("probe.insert").await?;
            Ok(answer)
        })
        .await
        .map_err(told)?;
        let error = answer.responses().first().and_then(|response| response.error());
        match error.map(|error| (error.code(), error.message().unwrap_or_default())) {
            Some((Some(BatchStatementErrorCodeEnum::DuplicateItem), _)) => Ok(()),
            Some((code, message)) => Err(format!(
                "a test of BatchExecuteStatement on {table} failed with {}: {message}",
                code.map_or("an error", BatchStatementErrorCodeEnum::as_str)
            )),
            None => Err(format!(
                "the PartiQL INSERT of this engine overwrites existing items (tested on {table})"
            )),
        }
    }
}

//! Loads a rehearsal's items into the source, before anything else is done.

use super::generate::GenerateError;
use super::retry::{MAX_SENDS, Refusal, until_landed, wait_before};
use crate::dynamo::convert::item_to_sdk;
use crate::model::{Item, ItemExt};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures::stream::{self, StreamExt};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Operations that one `BatchWriteItem` may hold.
/// See [BatchWriteItem](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html).
const BATCH_ITEMS: usize = 25;

/// The result of loading.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Loaded {
    /// Items.
    pub items: u64,
    /// Their size, in bytes as DynamoDB counts.
    pub bytes: u64,
    /// Requests that were sent again: refused, unanswered, or with items left unprocessed.
    pub retries: u64,
}

/// Why loading ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An item could not be made.
    #[error(transparent)]
    Item(#[from] GenerateError),
    /// A batch did not land.
    #[error(
        "cannot load sample items into the table '{table}' (attempt {sends}): {reason}; check that the \
         engine runs and that the table exists, then rehearse again"
    )]
    Write {
        /// The table.
        table: String,
        /// How often the batch was sent.
        sends: u32,
        /// The last answer.
        reason: String,
    },
}

/// Loads items in concurrent batches, and reports the number of items after each batch.
///
/// No two items may have the same key, as a [`Population`](super::population::Population) and a [sample
/// file](super::sample::read) ensure: the service refuses a batch that writes one key twice.
///
/// # Errors
/// See [`LoadError`]. Some items may exist then.
pub async fn load<I>(
    client: &Client,
    table: &str,
    items: I,
    concurrency: usize,
    mut progress: impl FnMut(u64),
) -> Result<Loaded, LoadError>
where
    I: IntoIterator<Item = Result<Item, GenerateError>>,
{
    let retries = AtomicU64::new(0);
    let mut items = items.into_iter();
    let batches = std::iter::from_fn(|| {
        let batch: Result<Vec<Item>, GenerateError> = items.by_ref().take(BATCH_ITEMS).collect();
        (!matches!(&batch, Ok(batch) if batch.is_empty())).then_some(batch)
    });
    let mut writes = stream::iter(batches)
        .map(|batch| async {
            let batch = batch?;
            let part = Loaded {
                items: batch.len() as u64,
                bytes: batch.iter().map(ItemExt::size).sum::<usize>() as u64,
                retries: 0,
            };
            write_batch(client, table, batch, &retries).await.map(|()| part)
        })
        .buffer_unordered(concurrency.max(1));
    let mut loaded = Loaded::default();
    while let Some(part) = writes.next().await {
        let part = part?;
        loaded.items += part.items;
        loaded.bytes += part.bytes;
        progress(loaded.items);
    }
    drop(writes);
    loaded.retries = retries.into_inner();
    Ok(loaded)
}

/// Writes one batch. Unprocessed items are sent again, until all are written or none of them is accepted any more.
async fn write_batch(
    client: &Client,
    table: &str,
    batch: Vec<Item>,
    retries: &AtomicU64,
) -> Result<(), LoadError> {
    let failed = |refusal: Refusal| LoadError::Write {
        table: table.to_owned(),
        sends: refusal.sends,
        reason: refusal.reason,
    };
    let mut left = Vec::with_capacity(batch.len());
    for item in batch {
        let put = PutRequest::builder().set_item(Some(item_to_sdk(item))).build();
        // Cannot fail, since the item is set.
        let put = put.map_err(|error| {
            failed(Refusal {
                sends: 0,
                reason: error.to_string(),
            })
        })?;
        left.push(WriteRequest::builder().put_request(put).build());
    }
    let mut idle_sends = 0;
    while !left.is_empty() {
        let before = left.len();
        let request = client
            .batch_write_item()
            .set_request_items(Some(HashMap::from([(table.to_owned(), left)])));
        let answer = until_landed(retries, || request.clone().send())
            .await
            .map_err(failed)?;
        left = answer
            .unprocessed_items
            .unwrap_or_default()
            .remove(table)
            .unwrap_or_default();
        idle_sends = if left.len() < before { 0 } else { idle_sends + 1 };
        if idle_sends == MAX_SENDS {
            let reason = format!("the engine leaves all {before} items of a batch unprocessed");
            return Err(failed(Refusal {
                sends: idle_sends,
                reason,
            }));
        }
        if !left.is_empty() {
            retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait_before(idle_sends + 1)).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::scripted::scripted;
    use crate::model::Value;
    use serde_json::{Value as Json, json};

    fn items(count: usize) -> impl Iterator<Item = Result<Item, GenerateError>> + Send {
        (0..count).map(|n| Ok(Item::from([("pk".to_owned(), Value::s(n.to_string()))])))
    }

    /// The puts of a request, as the service would hand them back.
    fn puts(numbers: &[usize]) -> Json {
        let put = |n: &usize| json!({"PutRequest": {"Item": {"pk": {"S": n.to_string()}}}});
        json!({ "source": numbers.iter().map(put).collect::<Vec<_>>() })
    }

    fn sent<F: Future + Send>(future: F) -> F {
        future
    }

    #[tokio::test]
    async fn what_is_left_unprocessed_is_sent_again_and_nothing_else() {
        let throttled = json!({"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"});
        let (client, asked) = scripted(vec![
            (200, json!({"UnprocessedItems": puts(&[1, 3])})),
            (400, throttled),
            (200, json!({"UnprocessedItems": puts(&[3])})),
            (200, json!({"UnprocessedItems": {}})),
        ])
        .await;
        let loaded = sent(load(&client, "source", items(4), 2, |_| ())).await.unwrap();
        assert_eq!((loaded.items, loaded.bytes, loaded.retries), (4, 12, 2));
        let asked: Vec<Json> = asked
            .lock()
            .unwrap()
            .iter()
            .map(|body| body["RequestItems"].clone())
            .collect();
        assert_eq!(
            asked,
            [puts(&[0, 1, 2, 3]), puts(&[1, 3]), puts(&[1, 3]), puts(&[3])]
        );
    }

    #[tokio::test]
    async fn batches_hold_25() {
        let (client, asked) = scripted(vec![(200, json!({})); 3]).await;
        let mut told = Vec::new();
        let loaded = load(&client, "source", items(51), 1, |items| told.push(items))
            .await
            .unwrap();
        assert_eq!((loaded.items, told), (51, vec![25, 50, 51]));
        let size = |body: &Json| body["RequestItems"]["source"].as_array().unwrap().len();
        assert_eq!(
            asked.lock().unwrap().iter().map(size).collect::<Vec<_>>(),
            [25, 25, 1]
        );
    }

    #[tokio::test]
    async fn what_cannot_land_is_an_error() {
        let refused =
            json!({"__type": "com.amazon.coral.validate#ValidationException", "message": "too big"});
        let (client, _) = scripted(vec![(400, refused)]).await;
        let failed = load(&client, "source", items(1), 1, |_| ())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            failed.contains("'source' (attempt 1): ValidationException: too big"),
            "{failed}"
        );
    }
}

//! The floor: the least that a copy can be with this SDK. Segments of a parallel scan are read side by side, and what comes
//! is put as it is. It has no conditions, no checkpoints, no routing and no tail: it loses and resurrects under a concurrent
//! writer, and is what everything else is measured against.

use crate::trouble::{Told, Tried};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::{StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Writes {
    /// One `PutItem` for each.
    Put,
    /// `BatchWriteItem`, 25 at once.
    Batch,
}

/// `floor`: copies a table.
#[derive(clap::Args, Clone, Debug)]
pub struct Floor {
    /// The engine.
    #[arg(long)]
    endpoint: String,
    /// What is copied.
    #[arg(long)]
    source: String,
    /// Where to.
    #[arg(long)]
    target: String,
    /// How items are written.
    #[arg(long)]
    writes: Writes,
    /// Segments of the scan.
    #[arg(long, default_value_t = 16)]
    segments: u32,
    /// Segments that are worked on at once.
    #[arg(long, default_value_t = 4)]
    workers: u32,
    /// Requests that each of them has under way. (The product begins with 16 for each table, and finds out how many it
    /// takes.)
    #[arg(long, default_value_t = 16)]
    in_flight: usize,
}

type Item = HashMap<String, AttributeValue>;

impl Floor {
    /// Copies the whole table.
    pub fn run(self) -> Tried<()> {
        let runtime = tokio::runtime::Runtime::new().told("a runtime")?;
        runtime.block_on(self.copy())
    }

    async fn copy(self) -> Tried<()> {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "benchmark"))
            .endpoint_url(&self.endpoint)
            .build();
        let client = Client::from_conf(config);
        let (floor, next) = (Arc::new(self), Arc::new(AtomicU32::new(0)));
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..floor.workers {
            let (floor, next, client) = (Arc::clone(&floor), Arc::clone(&next), client.clone());
            workers.spawn(async move {
                loop {
                    let segment = next.fetch_add(1, Ordering::Relaxed);
                    if segment >= floor.segments {
                        return Ok(());
                    }
                    floor.segment(&client, segment).await?;
                }
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker.told("a worker")??;
        }
        Ok(())
    }

    async fn segment(&self, client: &Client, segment: u32) -> Tried<()> {
        let mut after = None;
        loop {
            let page = client
                .scan()
                .table_name(&self.source)
                .segment(i32::try_from(segment).told("a segment")?)
                .total_segments(i32::try_from(self.segments).told("segments")?)
                .set_exclusive_start_key(after)
                .send()
                .await
                .told("Scan")?;
            let items = page.items.unwrap_or_default();
            match self.writes {
                Writes::Put => self.put(client, items).await?,
                Writes::Batch => self.put_batches(client, items).await?,
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn put(&self, client: &Client, items: Vec<Item>) -> Tried<()> {
        let put = |item: Item| async move {
            let request = client.put_item().table_name(&self.target).set_item(Some(item));
            request.send().await.map(|_| ()).told("PutItem")
        };
        let puts: Vec<_> = items.into_iter().map(put).collect();
        futures::stream::iter(puts)
            .buffer_unordered(self.in_flight)
            .try_collect()
            .await
    }

    async fn put_batches(&self, client: &Client, items: Vec<Item>) -> Tried<()> {
        let mut batches = Vec::new();
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let batch: Vec<Item> = items.by_ref().take(25).collect();
            batches.push(self.put_batch(client, batch));
        }
        futures::stream::iter(batches)
            .buffer_unordered(self.in_flight)
            .try_collect()
            .await
    }

    async fn put_batch(&self, client: &Client, items: Vec<Item>) -> Tried<()> {
        let write = |item: Item| {
            let put = PutRequest::builder().set_item(Some(item)).build().told("a put")?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let mut left: Vec<WriteRequest> = items.into_iter().map(write).collect::<Tried<_>>()?;
        while !left.is_empty() {
            let request = client.batch_write_item().request_items(&self.target, left);
            let answer = request.send().await.told("BatchWriteItem")?;
            left = answer
                .unprocessed_items
                .and_then(|mut tables| tables.remove(&self.target))
                .unwrap_or_default();
        }
        Ok(())
    }
}

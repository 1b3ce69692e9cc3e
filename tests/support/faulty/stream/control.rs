//! Commands of a test to a stream.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::{Streams, TableStream};
use crate::support::faulty::tally::Kind;

/// The stream of a table, to be commanded. Each command takes in first what was written before it.
#[derive(Clone)]
pub struct Stream {
    pub(in crate::support::faulty) table: String,
    pub(in crate::support::faulty) streams: Arc<Streams>,
    pub(in crate::support::faulty) runtime: Handle,
}

/// A shard, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its identifier.
    pub id: String,
    /// The shard that it continues.
    pub parent: Option<String>,
    /// It takes records.
    pub open: bool,
    /// It is listed.
    pub kept: bool,
    /// The records that it holds.
    pub records: usize,
}

impl Stream {
    /// Does something to the stream, on the server's runtime, which owns the connections.
    ///
    /// # Panics
    /// Where the table has no stream, or the embedded engine fails.
    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut TableStream, &Streams) -> T + Send + 'static,
    ) -> T {
        let (streams, table) = (Arc::clone(&self.streams), self.table.clone());
        let done = self.runtime.spawn(async move {
            let stream: Arc<Mutex<TableStream>> = streams
                .of(&table)
                .await
                .expect("the engine answers")
                .expect("the table has a stream");
            let mut stream = stream.lock().await;
            stream.take_in(&streams).await.expect("the engine answers");
            act(&mut stream, &streams)
        });
        done.await.expect("the server runs")
    }

    /// All shards of the newest stream, oldest first, those no longer kept included.
    pub async fn shards(&self) -> Vec<Seen> {
        self.with(|stream, _| {
            let lineage = stream
                .generations
                .last()
                .map(|generation| generation.lineage.shards());
            let seen = lineage.unwrap_or_default().iter().map(|shard| Seen {
                id: shard.id.clone(),
                parent: shard.parent.clone(),
                open: shard.ending.is_none(),
                kept: shard.kept,
                records: shard.len(),
            });
            seen.collect()
        })
        .await
    }

    /// Takes in what was written so far, so that its time is known.
    pub async fn take_in(&self) {
        self.with(|_, _| ()).await;
    }

    /// Its open shards' identifiers.
    pub async fn open(&self) -> Vec<String> {
        let shards = self.shards().await.into_iter();
        shards.filter(|shard| shard.open).map(|shard| shard.id).collect()
    }

    /// Continues an open shard by two.
    ///
    /// # Panics
    /// Where it is not open.
    pub async fn split(&self, id: &str) {
        self.change(id, Kind::Split).await;
    }

    /// Continues an open shard by one.
    ///
    /// # Panics
    /// Where it is not open.
    pub async fn roll(&self, id: &str) {
        self.change(id, Kind::Rolled).await;
    }

    /// Continues every open shard by two.
    pub async fn split_all(&self) {
        for id in self.open().await {
            self.split(&id).await;
        }
    }

    /// Continues every open shard by one.
    pub async fn roll_all(&self) {
        for id in self.open().await {
            self.roll(&id).await;
        }
    }

    /// Forgets every record that a shard holds now. One that is closed is no longer listed. Answers how many records
    /// that were. (AWS forgets after 24 hours only: a test that trims younger ones must age the split's own state.)
    ///
    /// # Panics
    /// Where there is no such shard.
    pub async fn trim(&self, id: &str) -> usize {
        let id = id.to_owned();
        self.with(move |stream, streams| {
            let last = stream.generations.last_mut().expect("a stream has an ARN");
            streams.tally.add(Kind::Trimmed);
            last.lineage.trim(&id).expect("a shard of the stream")
        })
        .await
    }

    /// Expires every iterator that was given so far.
    pub async fn expire_iterators(&self) {
        self.with(|stream, _| stream.epoch += 1).await;
    }

    /// The next so many pages that would hold records are empty. Answers when they are set, not when they were read.
    pub async fn empty_pages(&self, count: u64) {
        self.with(move |stream, _| stream.empty_pages += count).await;
    }

    /// No more pages are empty for this reason.
    pub async fn full_pages(&self) {
        self.with(|stream, _| stream.empty_pages = 0).await;
    }

    /// Its ARN now.
    pub async fn arn(&self) -> String {
        self.with(|stream, _| {
            let last = stream.generations.last();
            last.map(|generation| generation.arn.clone()).unwrap_or_default()
        })
        .await
    }

    async fn change(&self, id: &str, kind: Kind) {
        let id = id.to_owned();
        let changed = self.with(move |stream, streams| {
            let last = stream.generations.last_mut().expect("a stream has an ARN");
            streams.tally.add(kind);
            match kind {
                Kind::Split => last.lineage.split(&id),
                _ => last.lineage.roll(&id),
            }
        });
        assert!(changed.await, "an open shard of the stream");
    }
}

//! All chains of a ledger: the history of all changes.

use super::chain::{Chain, bucket, table_folder};
use super::error::LedgerError;
use super::object::{Header, LedgerObject};
use crate::model::Position;
use crate::plan::LedgerPlace;
use crate::s3::Bucket;
use crate::worker::Split;
use serde::Serialize;

/// The ledger of a table, as it is in the bucket.
#[derive(Clone, Debug)]
pub struct History {
    bucket: Bucket,
    folder: String,
}

/// The objects of one shard, in one chain.
#[derive(Clone, Debug)]
pub struct ShardChain {
    /// The stream, the chain and the shard, as its folder names them.
    pub name: String,
    chain: Chain,
}

/// What is found of a chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ChainFound {
    /// The stream, the chain and the shard, as its folder names them.
    pub chain: String,
    /// Number of objects.
    pub objects: u64,
    /// Number of records.
    pub records: u64,
    /// Each write since this time (milliseconds since 1970) is in it.
    pub kept_from_ms: Option<u64>,
    /// Each write before this time is in it.
    pub complete_to_ms: Option<u64>,
    /// The shard is closed, and its end is in the chain.
    pub ended: bool,
    /// What is wrong: objects that are missing or damaged.
    pub holes: Vec<String>,
}

impl History {
    /// The ledger of a split's source.
    #[must_use]
    pub fn of(split: &Split, place: &LedgerPlace, table_id: &str) -> Self {
        Self {
            bucket: bucket(split, place),
            folder: table_folder(place, table_id),
        }
    }

    /// All its chains, by stream, time and shard.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn chains(&self) -> Result<Vec<ShardChain>, LedgerError> {
        let mut folders = vec![self.folder.clone()];
        // Streams, chains, shards.
        for _ in 0..3 {
            let mut within = Vec::new();
            for folder in &folders {
                within.extend(self.bucket.folders(folder).await?);
            }
            folders = within;
        }
        let chain = |folder: String| ShardChain {
            name: folder[self.folder.len()..].trim_end_matches('/').to_owned(),
            chain: Chain::at(self.bucket.clone(), folder),
        };
        Ok(folders.into_iter().map(chain).collect())
    }
}

impl ShardChain {
    /// Where the objects of the chain begin, in order.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn list(&self) -> Result<Vec<Position>, LedgerError> {
        self.chain.list().await
    }

    /// An object of the chain; `None`: it was removed since it was listed.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn read(&self, from: &Position) -> Result<Option<LedgerObject>, LedgerError> {
        self.chain.read(from).await
    }

    /// Reads every object, and tells each hole between them.
    ///
    /// # Errors
    /// If a request fails.
    pub async fn check(&self) -> Result<ChainFound, LedgerError> {
        let mut found = ChainFound {
            chain: self.name.clone(),
            objects: 0,
            records: 0,
            kept_from_ms: None,
            complete_to_ms: None,
            ended: false,
            holes: Vec::new(),
        };
        let mut before: Option<Header> = None;
        for begin in self.list().await? {
            let object = match self.read(&begin).await {
                Ok(Some(object)) => object,
                Ok(None) => {
                    found
                        .holes
                        .push(format!("the object that begins {begin} was removed"));
                    continue;
                }
                Err(error) => match error.broken() {
                    Some(reason) => {
                        found.holes.push(reason);
                        continue;
                    }
                    None => return Err(error),
                },
            };
            found.note(&object, before.as_ref());
            before = Some(object.header);
        }
        found.ended = before.is_some_and(|header| header.to == Position::End);
        Ok(found)
    }
}

impl ChainFound {
    fn note(&mut self, object: &LedgerObject, before: Option<&Header>) {
        let header = &object.header;
        if let Some(before) = before
            && before.to != header.from
        {
            self.holes.push(format!(
                "no object has the records {} (the next one begins {})",
                before.to, header.from
            ));
        }
        let mut at = header.from.clone();
        for n in 0..object.lines.len() {
            match object.record(n) {
                Ok(Some(record)) => {
                    let place = Position::After(record.sequence);
                    if place <= at || place > header.to {
                        self.holes.push(format!(
                            "the object that begins {} has a record {place} out of order",
                            header.from
                        ));
                        break;
                    }
                    at = place;
                }
                Ok(None) => break,
                Err(what) => {
                    self.holes
                        .push(format!("the object that begins {}: {what}", header.from));
                    break;
                }
            }
        }
        self.objects += 1;
        self.records += header.records;
        self.kept_from_ms = self.kept_from_ms.or(Some(header.kept_from_ms));
        self.complete_to_ms = Some(header.complete_to_ms);
    }
}

//! Streams with a life of their own.
//!
//! Each table's stream in the embedded engine has one shard for ever. It is read in order ([`intake`]), and its records
//! are dealt onto shards of ours ([`lineage`]) by where their item's key lies, as DynamoDB does it; [`service`] answers
//! the Streams API from those, [`switching`] lets a stream be switched off and on, and [`past`] keeps former images for
//! stale pages. Records are taken in when somebody asks (a call of the Streams API, a command of [`control`], a stale
//! scan), so what a command closes holds all that was written before it.

pub mod control;
mod intake;
mod lineage;
mod past;
mod service;
mod switching;

pub use self::intake::key_text;
pub use self::service::{empty_page, expired, has_records};

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;

use self::intake::Cursor;
use self::lineage::Lineage;
use self::past::Past;
use super::answer::Answer;
use super::backend::{self, Backend};
use super::call::Call;
use super::changes::Changes;
use super::tally::Tally;

/// How streams behave by themselves.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Shards of a new stream.
    pub shards: usize,
    /// About so many records until a shard rolls or splits.
    pub reshard_every: Option<u64>,
    /// Shards in a page of `DescribeStream`.
    pub listed_at_once: usize,
    /// Records in a page of `GetRecords`.
    pub records_at_once: usize,
    /// Life of an iterator.
    pub iterators_live: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            shards: 1,
            reshard_every: None,
            listed_at_once: 100,
            records_at_once: 1000,
            iterators_live: Duration::from_secs(15 * 60),
        }
    }
}

/// The streams of all tables.
pub struct Streams {
    pub(super) habits: Habits,
    pub(super) seed: u64,
    pub(super) backend: Backend,
    pub(super) tally: Arc<Tally>,
    pub(super) changes: Arc<Changes>,
    tables: Mutex<HashMap<String, Arc<AsyncMutex<TableStream>>>>,
}

/// The stream of one table, through all of its ARNs.
pub struct TableStream {
    table: String,
    cursor: Cursor,
    /// Oldest first; the last is the one that is on, or was last.
    generations: Vec<Generation>,
    past: Past,
    /// Iterators of a former epoch are expired.
    epoch: u64,
    /// Pages of `GetRecords` that will be empty.
    empty_pages: u64,
}

/// A stream under one ARN.
struct Generation {
    arn: String,
    label: String,
    on: bool,
    lineage: Lineage,
}

impl Streams {
    pub fn new(habits: Habits, seed: u64, backend: Backend, tally: Arc<Tally>) -> Self {
        Self {
            habits,
            seed,
            backend,
            tally,
            changes: Arc::default(),
            tables: Mutex::default(),
        }
    }

    /// Notes every write there.
    pub fn noting(self, changes: Arc<Changes>) -> Self {
        Self { changes, ..self }
    }

    /// The stream of a table: known, or found on the embedded engine now. `None` where it has none.
    pub async fn of(&self, table: &str) -> Result<Option<Arc<AsyncMutex<TableStream>>>, String> {
        if let Some(known) = self.known(table) {
            return Ok(Some(known));
        }
        let body = serde_json::json!({ "TableName": table });
        let Ok(described) = self.backend.ask(&backend::tables("DescribeTable"), &body).await else {
            return Ok(None);
        };
        let table_of = &described["Table"];
        let (Some(arn), Some(true)) = (
            table_of["LatestStreamArn"].as_str(),
            table_of["StreamSpecification"]["StreamEnabled"].as_bool(),
        ) else {
            return Ok(None);
        };
        let label = table_of["LatestStreamLabel"].as_str().unwrap_or_default();
        let fresh = TableStream {
            table: table.to_owned(),
            cursor: Cursor::at_beginning(arn),
            generations: vec![Generation {
                arn: arn.to_owned(),
                label: label.to_owned(),
                on: true,
                lineage: Lineage::new(&self.habits, self.seed, table, 0),
            }],
            past: Past::default(),
            epoch: 0,
            empty_pages: 0,
        };
        let mut tables = self.tables.lock().expect("no thread panicked");
        let kept = tables
            .entry(table.to_owned())
            .or_insert_with(|| Arc::new(AsyncMutex::new(fresh)));
        Ok(Some(Arc::clone(kept)))
    }

    fn known(&self, table: &str) -> Option<Arc<AsyncMutex<TableStream>>> {
        self.tables
            .lock()
            .expect("no thread panicked")
            .get(table)
            .cloned()
    }

    /// Takes in what was written to a table so far, if it has a stream.
    pub async fn take_in(&self, table: &str) -> Result<(), String> {
        match self.of(table).await? {
            Some(stream) => stream.lock().await.take_in(self).await,
            None => Ok(()),
        }
    }

    /// A call that is about streams, answered here; `None` where it is the embedded engine's.
    pub async fn answer(&self, call: &Call) -> Option<Answer> {
        let answered = match call.operation.as_str() {
            "DescribeStream" | "GetShardIterator" | "GetRecords" => self.serve(call).await,
            "UpdateTable" => self.switch(call).await,
            _ => Ok(None),
        };
        match answered {
            Ok(answer) => answer,
            Err(error) => Some(Answer::failed(&error)),
        }
    }

    /// An answer of the embedded engine, as it should be where streams are our own.
    pub async fn amended(&self, call: &Call, answer: Answer) -> Answer {
        if answer.status != 200 {
            return answer;
        }
        match call.operation.as_str() {
            "DeleteTable" => {
                self.tables
                    .lock()
                    .expect("no thread panicked")
                    .remove(call.table());
                answer
            }
            "DescribeTable" | "UpdateTable" => match self.known(call.table()) {
                Some(known) => known.lock().await.amend(answer),
                None => answer,
            },
            _ => answer,
        }
    }
}

/// A member of a body, as text.
fn member<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_default()
}

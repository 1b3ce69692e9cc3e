//! Reads and writes of records, each under a revision.

use super::damage::{Damaged, PARTITION, cure};
use super::error::StateError;
use crate::dynamo::chance;
use crate::dynamo::{Failure, FailureKind, PATIENCE, answered, backoff};
use crate::fault::{self, Rule, broken};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Attributes of an item of the table.
pub(super) type Attributes = std::collections::HashMap<String, AttributeValue>;

/// A stored record, with the revision that its next write must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// The record.
    pub value: T,
    /// Raised by one with each write; 0 is a record that does not exist yet.
    pub revision: u64,
}

/// The state table: small records under a name each.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    /// Until the engine has answered once.
    first: Client,
    table: Arc<str>,
    /// The engine has answered once.
    reached: Arc<AtomicBool>,
    /// A record was read or written. From then on, a missing table was deleted.
    found: Arc<AtomicBool>,
    /// The worker runs: see [`Store::runs`].
    runs: Arc<AtomicBool>,
    /// Cancelled when the command ends soon: failed requests are not repeated.
    stop_retrying: CancellationToken,
}

/// A running worker repeats its requests and does other work meanwhile, so it is told of a failure after this many
/// attempts.
const ATTEMPTS: u32 = 12;
/// Attempts before the engine has answered for the first time, so that a wrong address is reported soon.
const FIRST_ATTEMPTS: u32 = 1;
/// The least time of an attempt until then, even if the lease is short: a process without an answer has no lease to
/// lose, and an engine that has just started is slow.
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// How a page of records is read.
#[derive(Clone, Copy, Default)]
struct Part {
    /// So many records at most.
    most: Option<i32>,
    /// Not consistently.
    eventually: bool,
}

/// The key of a record.
fn key_of(name: &str) -> Attributes {
    let key = [("pk", PARTITION), ("sk", name)];
    key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.into())))
        .into()
}

/// The same client, whose attempts may take as long as the first ones.
fn patient(client: &Client) -> Client {
    let config = client.config();
    let attempt = config
        .timeout_config()
        .and_then(TimeoutConfig::operation_attempt_timeout);
    if attempt.is_none_or(|attempt| attempt >= FIRST_ATTEMPT) {
        return client.clone();
    }
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(FIRST_ATTEMPT)
        .connect_timeout(FIRST_ATTEMPT)
        .build();
    Client::from_conf(config.to_builder().timeout_config(timeouts).build())
}

impl Store {
    /// The state in a table, which need not exist yet.
    #[must_use]
    pub fn new(client: Client, table: &str) -> Self {
        Self {
            first: patient(&client),
            client,
            table: table.into(),
            reached: Arc::default(),
            found: Arc::default(),
            runs: Arc::default(),
            stop_retrying: CancellationToken::new(),
        }
    }

    /// A worker has begun, which asks again by itself: from here on, a request that fails is not sent again for two
    /// minutes, as one is that a command cannot do without.
    pub fn runs(&self) {
        self.runs.store(true, Ordering::Relaxed);
    }

    /// The same, which sends nothing again once this is cancelled.
    #[must_use]
    pub fn without_retries_after(self, stop_retrying: &CancellationToken) -> Self {
        Self {
            stop_retrying: stop_retrying.clone(),
            ..self
        }
    }

    /// Name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    pub(super) fn client(&self) -> &Client {
        if self.reached.load(Ordering::Relaxed) {
            &self.client
        } else {
            &self.first
        }
    }

    /// Reads a record, consistently.
    ///
    /// # Errors
    /// When the request fails or the record can't be read.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<Stored<T>>, StateError> {
        let item = self.item(name).await?;
        let stored = item.map(|item| self.decode(name, &item)).transpose();
        stored.map_err(|damaged| damaged.into_error(&self.table))
    }

    /// Reads the item of a record.
    pub(super) async fn item(&self, name: &str) -> Result<Option<Attributes>, StateError> {
        let answer = self
            .patiently("dynamodb:GetItem", || async {
                self.client()
                    .get_item()
                    .table_name(&*self.table)
                    .key("pk", AttributeValue::S(PARTITION.into()))
                    .key("sk", AttributeValue::S(name.into()))
                    .consistent_read(true)
                    .send()
                    .await
                    .map_err(|error| Failure::of("dynamodb:GetItem", &*self.table, &error))
            })
            .await;
        Ok(answer.map_err(|failure| self.failed(failure))?.item)
    }

    /// Reads all records whose name begins with a prefix, in the order of their names, consistently.
    ///
    /// # Errors
    /// When a request fails or a record can't be read.
    pub async fn list<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, Stored<T>)>, StateError> {
        self.decode_all(self.items(prefix).await?)
    }

    /// The same, without the records up to a name, which begins with the prefix. It reads none of them.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_after<T: DeserializeOwned>(
        &self,
        prefix: &str,
        name: &str,
    ) -> Result<Vec<(String, Stored<T>)>, StateError> {
        self.decode_all(self.items_after(prefix, Some(key_of(name))).await?)
    }

    /// The first records of those after a name, or of all: at most so many, consistently.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_part<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<(String, Stored<T>)>, StateError> {
        let (mut found, mut from) = (Vec::new(), after.map(key_of));
        while found.len() < most {
            let part = Part {
                most: i32::try_from(most - found.len()).ok(),
                ..Part::default()
            };
            let (items, last) = Box::pin(self.page(prefix, from, part)).await?;
            found.extend(items);
            from = last;
            if from.is_none() {
                break;
            }
        }
        self.decode_all(found)
    }

    /// Reads all records whose name begins with a prefix, but not consistently: what was written within the last second may be
    /// missing. That costs half of [`Store::list`].
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_recent<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, Stored<T>)>, StateError> {
        let part = Part {
            eventually: true,
            ..Part::default()
        };
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let (items, last) = Box::pin(self.page(prefix, from, part)).await?;
            found.extend(items);
            from = last;
            if from.is_none() {
                return self.decode_all(found);
            }
        }
    }

    fn decode_all<T: DeserializeOwned>(
        &self,
        items: Vec<(String, Attributes)>,
    ) -> Result<Vec<(String, Stored<T>)>, StateError> {
        let mut found = Vec::with_capacity(items.len());
        for (name, item) in items {
            let stored = self.decode(&name, &item);
            found.push((name, stored.map_err(|damaged| damaged.into_error(&self.table))?));
        }
        Ok(found)
    }

    /// Reads the items of records.
    pub(super) async fn items(&self, prefix: &str) -> Result<Vec<(String, Attributes)>, StateError> {
        self.items_after(prefix, None).await
    }

    /// The same, from a key on.
    async fn items_after(
        &self,
        prefix: &str,
        mut from: Option<Attributes>,
    ) -> Result<Vec<(String, Attributes)>, StateError> {
        let mut found = Vec::new();
        loop {
            let (items, last) = Box::pin(self.page(prefix, from, Part::default())).await?;
            found.extend(items);
            from = last;
            if from.is_none() {
                return Ok(found);
            }
        }
    }

    /// One page of records, and where the next one begins.
    async fn page(
        &self,
        prefix: &str,
        from: Option<Attributes>,
        part: Part,
    ) -> Result<(Vec<(String, Attributes)>, Option<Attributes>), StateError> {
        let page = self
            .patiently("dynamodb:Query", || async {
                self.client()
                    .query()
                    .table_name(&*self.table)
                    .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                    .expression_attribute_values(":pk", AttributeValue::S(PARTITION.into()))
                    .expression_attribute_values(":prefix", AttributeValue::S(prefix.into()))
                    .consistent_read(!part.eventually)
                    .set_limit(part.most)
                    .set_exclusive_start_key(from.clone())
                    .send()
                    .await
                    .map_err(|error| Failure::of("dynamodb:Query", &*self.table, &error))
            })
            .await;
        let page = page.map_err(|failure| self.failed(failure))?;
        let named = |item: Attributes| {
            let name = item.get("sk").and_then(|v| v.as_s().ok()).cloned();
            (name.unwrap_or_default(), item)
        };
        let items = page.items.unwrap_or_default().into_iter().map(named);
        Ok((items.collect(), page.last_evaluated_key))
    }

    /// Writes a record, if it still has the named revision (0: if it does not exist).
    ///
    /// # Errors
    /// [`StateError::Conflict`] if another process wrote it first.
    pub async fn put<T: Serialize>(
        &self,
        name: &str,
        value: T,
        revision: u64,
    ) -> Result<Stored<T>, StateError> {
        let text = serde_json::to_string(&value).map_err(|error| self.broken(name, error))?;
        // The token distinguishes our own write that landed without an answer from a write of another process.
        let token = format!("{:032x}", chance::any::<u128>());
        let sent = self
            .patiently("dynamodb:PutItem", || async {
                fault::before(fault::saving(name, false)).await?;
                self.client()
                    .put_item()
                    .table_name(&*self.table)
                    .item("pk", AttributeValue::S(PARTITION.into()))
                    .item("sk", AttributeValue::S(name.into()))
                    .item("revision", AttributeValue::N((revision + 1).to_string()))
                    .item("token", AttributeValue::S(token.clone()))
                    .item("record", AttributeValue::S(text.clone()))
                    .condition_expression(if revision == 0 {
                        "attribute_not_exists(pk) OR #t = :t"
                    } else if broken(Rule::CompareAndSet) {
                        "revision = :r OR #t = :t OR attribute_exists(pk)"
                    } else {
                        "revision = :r OR #t = :t"
                    })
                    .expression_attribute_names("#t", "token")
                    .set_expression_attribute_values(Some(Self::condition_values(revision, &token)))
                    .send()
                    .await
                    .map_err(|error| Failure::of("dynamodb:PutItem", &*self.table, &error))?;
                Ok(fault::after(fault::saving(name, false)).await?)
            })
            .await;
        match sent {
            Ok(_) => {
                self.found.store(true, Ordering::Relaxed);
                Ok(Stored {
                    value,
                    revision: revision + 1,
                })
            }
            Err(Failure {
                kind: FailureKind::Condition,
                ..
            }) => Err(StateError::Conflict {
                record: name.to_owned(),
            }),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    fn condition_values(revision: u64, token: &str) -> std::collections::HashMap<String, AttributeValue> {
        let mut values =
            std::collections::HashMap::from([(":t".to_owned(), AttributeValue::S(token.into()))]);
        if revision > 0 {
            values.insert(":r".to_owned(), AttributeValue::N(revision.to_string()));
        }
        values
    }

    /// Writes a record whatever its revision: only for records that hold one fact and have no owner.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn set<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StateError> {
        let text = serde_json::to_string(value).map_err(|error| self.broken(name, error))?;
        self.patiently("dynamodb:UpdateItem", || async {
            fault::before(fault::saving(name, false)).await?;
            self.client()
                .update_item()
                .table_name(&*self.table)
                .key("pk", AttributeValue::S(PARTITION.into()))
                .key("sk", AttributeValue::S(name.into()))
                .update_expression("SET #r = :text ADD revision :one")
                .expression_attribute_names("#r", "record")
                .expression_attribute_values(":text", AttributeValue::S(text.clone()))
                .expression_attribute_values(":one", AttributeValue::N("1".into()))
                .send()
                .await
                .map_err(|error| Failure::of("dynamodb:UpdateItem", &*self.table, &error))?;
            Ok(fault::after(fault::saving(name, false)).await?)
        })
        .await
        .map_err(|failure| self.failed(failure))?;
        Ok(())
    }

    /// Changes a record by a function, again and again until no one else wrote in between.
    ///
    /// # Errors
    /// When a request fails; what `change` answers is handed on.
    pub async fn change<T, E>(
        &self,
        name: &str,
        mut change: impl FnMut(Option<T>) -> Result<T, E>,
    ) -> Result<Stored<T>, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<StateError>,
    {
        loop {
            let (value, revision) = match self.get::<T>(name).await? {
                Some(stored) => (Some(stored.value), stored.revision),
                None => (None, 0),
            };
            match self.put(name, change(value)?, revision).await {
                Err(StateError::Conflict { .. }) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Removes a record, if it still has the named revision.
    ///
    /// # Errors
    /// [`StateError::Conflict`] if it was changed since.
    pub async fn delete(&self, name: &str, revision: u64) -> Result<(), StateError> {
        let sent = self
            .patiently("dynamodb:DeleteItem", || async {
                fault::before(fault::saving(name, true)).await?;
                self.client()
                    .delete_item()
                    .table_name(&*self.table)
                    .key("pk", AttributeValue::S(PARTITION.into()))
                    .key("sk", AttributeValue::S(name.into()))
                    .condition_expression("attribute_not_exists(pk) OR revision = :r")
                    .expression_attribute_values(":r", AttributeValue::N(revision.to_string()))
                    .send()
                    .await
                    .map_err(|error| Failure::of("dynamodb:DeleteItem", &*self.table, &error))?;
                Ok(fault::after(fault::saving(name, true)).await?)
            })
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(Failure {
                kind: FailureKind::Condition,
                ..
            }) => Err(StateError::Conflict {
                record: name.to_owned(),
            }),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// The error of a failed request. A missing table becomes its consequence for the split.
    pub(super) fn failed(&self, failure: Failure) -> StateError {
        match failure.kind {
            FailureKind::Missing => self.missing(),
            _ => failure.into(),
        }
    }

    /// The table, or the record of the split in it, is not there: the split was never applied, or its state was deleted.
    #[must_use]
    pub fn missing(&self) -> StateError {
        let table = self.table.to_string();
        if self.found.load(Ordering::Relaxed) {
            StateError::Gone { table }
        } else {
            StateError::NotApplied { table }
        }
    }

    pub(super) fn decode<T: DeserializeOwned>(
        &self,
        name: &str,
        item: &Attributes,
    ) -> Result<Stored<T>, Damaged> {
        let text = item.get("record").and_then(|v| v.as_s().ok());
        let damaged = |cause| Damaged {
            record: name.to_owned(),
            cause,
            cure: cure(&self.table, name),
            text: text.cloned(),
        };
        let revision = item
            .get("revision")
            .and_then(|v| v.as_n().ok())
            .and_then(|n| n.parse().ok());
        match (text, revision) {
            (Some(text), Some(revision)) => {
                let value = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
                self.found.store(true, Ordering::Relaxed);
                Ok(Stored { value, revision })
            }
            _ => Err(damaged("it lacks the record or the revision".into())),
        }
    }

    pub(super) fn broken(&self, name: &str, cause: impl ToString) -> StateError {
        StateError::Unreadable {
            table: self.table.to_string(),
            record: name.to_owned(),
            cause: cause.to_string(),
        }
    }

    /// Repeats a request after a temporary failure, with growing waits and jitter, a bounded number of times.
    pub(super) async fn patiently<T, F, A>(&self, action: &'static str, send: F) -> Result<T, Failure>
    where
        F: Fn() -> A,
        A: Future<Output = Result<T, Failure>>,
    {
        let (mut attempt, began) = (0, Instant::now());
        loop {
            let sent = send().await;
            if !sent.as_ref().is_err_and(Failure::is_unreachable) {
                self.reached.store(true, Ordering::Relaxed);
                answered();
            }
            let is_over = if !self.reached.load(Ordering::Relaxed) {
                attempt >= FIRST_ATTEMPTS
            } else if self.runs.load(Ordering::Relaxed) {
                attempt >= ATTEMPTS
            } else {
                began.elapsed() >= PATIENCE
            };
            match sent {
                Err(failure) if failure.passes() && !is_over => {
                    attempt += 1;
                    tracing::debug!(action, attempt, reason = failure.reason(), "state request again");
                    tokio::select! {
                        biased;
                        () = self.stop_retrying.cancelled() => return Err(failure),
                        () = tokio::time::sleep(backoff(attempt, FIRST_WAIT, LONGEST_WAIT)) => {}
                    }
                }
                other => return other,
            }
        }
    }
}

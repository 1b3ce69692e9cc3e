//! The cutover of a service with a way back: the phase, which every worker reads; the journal, which the next command
//! continues; and the pins.
//!
//! The phase is part of the split's record, so that a worker reads it together with `switched`. The journal and the pins
//! are records of their own.

use super::{StateError, Store, Stored};
use crate::model::SequenceNumber;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where a service is between its source and its own table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutoverPhase {
    /// The application writes the source, and the forward lane applies its changes. Also the phase after a cancel and
    /// after a rollback.
    Replicating,
    /// The source is fenced, or is being fenced. The forward lane applies what was accepted before, until it is closed. The
    /// reverse lane writes nothing.
    Fenced,
    /// The forward lane is closed, and the reverse lane carries back what is after the pin. When the switch hook has begun, there
    /// is no cancel any more, because the hook may have moved some writers.
    Switching,
    /// The application writes the service's own table. The reverse lane carries its writes back.
    Switched,
    /// The target is fenced, or is being fenced, for a rollback. The reverse lane carries back what was accepted before.
    FencedForRollback,
    /// The way back has ended: nothing is carried back any more. The watcher still looks at what came to the source before.
    Ending,
    /// The service is completed: it writes its own table for good, and dynasplit neither reads nor writes for it.
    Completed,
}

impl CutoverPhase {
    /// Whether the reverse lane carries changes of the target back to the source.
    #[must_use]
    pub fn carries_back(self) -> bool {
        matches!(self, Self::Switching | Self::Switched | Self::FencedForRollback)
    }

    /// Whether the lane of a service that has switched looks for stray writes.
    #[must_use]
    pub fn is_watched(self) -> bool {
        !matches!(self, Self::Replicating | Self::Completed)
    }
}

impl std::fmt::Display for CutoverPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Replicating => "replicating",
            Self::Fenced => "fenced",
            Self::Switching => "switching",
            Self::Switched => "switched",
            Self::FencedForRollback => "fenced for rollback",
            Self::Ending => "ending",
            Self::Completed => "completed",
        })
    }
}

/// The cutover of a service, as every worker sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutoverState {
    /// Raised with each cutover of this service, from 1. Pins, marks and hooks name it, so a delayed process of an earlier
    /// cutover is recognised.
    pub epoch: u64,
    /// Where the service is.
    pub phase: CutoverPhase,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

/// Where the way back begins in the target's stream. Written once for each cutover, after every worker has stopped writing
/// the target and before the application may write it. A process that wakes up late cannot replace it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamPin {
    /// The epoch of the cutover.
    pub epoch: u64,
    /// The stream.
    pub stream_arn: String,
    /// The generation of the target's stream: raised if the service is cut over again with another stream.
    pub generation: u32,
    /// When it was pinned, in milliseconds since 1970.
    pub pinned_ms: u64,
    /// The shards that were open, each with the sequence number of the last record before the pin. `None`: the shard held
    /// no record, so all of its records come after the pin.
    pub shards: BTreeMap<String, Option<SequenceNumber>>,
    /// The shards that were closed: all of their records come before the pin. A shard that is listed nowhere appeared
    /// later.
    #[serde(default)]
    pub closed: BTreeSet<String>,
}

impl StreamPin {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "CUTOVERPIN#";

    /// Name of the record of a service's pin.
    #[must_use]
    pub fn record_name(service: &str, epoch: u64) -> String {
        format!("{}{service}#{epoch:06}", Self::PREFIX)
    }

    /// The pin of a cutover, if there is one.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn read(store: &Store, service: &str, epoch: u64) -> Result<Option<Self>, StateError> {
        let stored = store.get::<Self>(&Self::record_name(service, epoch)).await?;
        Ok(stored.map(|stored| stored.value))
    }

    /// Writes the pin, unless there is one of this epoch. Returns the pin that counts.
    ///
    /// # Errors
    /// If a request fails.
    pub async fn write_once(self, store: &Store, service: &str) -> Result<Self, StateError> {
        let name = Self::record_name(service, self.epoch);
        let stored: Stored<Self> = store
            .change::<Self, StateError>(&name, |found| Ok(found.unwrap_or_else(|| self.clone())))
            .await?;
        Ok(stored.value)
    }
}

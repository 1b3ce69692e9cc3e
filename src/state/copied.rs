//! Which blocks of segments are copied, and which processes copy.

use super::error::StateError;
use super::lease::Lease;
use super::records::{BackfillRecord, Order};
use super::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Blocks of neighbouring segments of which every segment is durable for every lane. Processes that share thousands of segments tell
/// each other in this record, so that none of them has to read all segments. It belongs to one round of the backfill, in one order:
/// with another one, it begins anew.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CopiedRecord {
    /// When the round began, in milliseconds since 1970.
    started_ms: u64,
    /// Lanes that are or were copied in this round and before.
    services: Vec<String>,
    /// The order of the copy.
    order: Order,
    /// Segments of the round.
    segments: u32,
    /// The numbers of the blocks.
    pub blocks: BTreeSet<u32>,
}

impl CopiedRecord {
    /// Name of the record.
    pub const NAME: &'static str = "COPIED";
    /// Segments in a block: with their counters, they cost some ten read units.
    pub const BLOCK: u32 = 32;

    /// Nothing is copied.
    #[must_use]
    pub fn new(round: &BackfillRecord) -> Self {
        Self {
            started_ms: round.started_ms,
            services: round.services.clone(),
            order: round.order,
            segments: round.segments,
            blocks: BTreeSet::new(),
        }
    }

    fn is_of(&self, round: &BackfillRecord) -> bool {
        let empty = Self::new(round);
        Self {
            blocks: BTreeSet::new(),
            ..self.clone()
        } == empty
    }

    /// The copied blocks of a round.
    ///
    /// # Errors
    /// If the state can't be read.
    pub async fn read(store: &Store, round: &BackfillRecord) -> Result<Self, StateError> {
        let found = store.get::<Self>(Self::NAME).await?.map(|stored| stored.value);
        let of_round = found.filter(|found| found.is_of(round));
        Ok(of_round.unwrap_or_else(|| Self::new(round)))
    }

    /// Adds a block whose segments were all read as durable.
    ///
    /// # Errors
    /// If the state can't be read or written.
    pub async fn add(store: &Store, round: &BackfillRecord, block: u32) -> Result<Self, StateError> {
        let added = store.change::<Self, StateError>(Self::NAME, |found| {
            let of_round = found.filter(|found| found.is_of(round));
            let mut record = of_round.unwrap_or_else(|| Self::new(round));
            record.blocks.insert(block);
            Ok(record)
        });
        Ok(added.await?.value)
    }

    /// Forgets all blocks, because segments are written anew.
    ///
    /// # Errors
    /// If the state can't be read or written.
    pub async fn forget(store: &Store) -> Result<(), StateError> {
        while let Some(stored) = store.get::<Self>(Self::NAME).await? {
            match store.delete(Self::NAME, stored.revision).await {
                Err(StateError::Conflict { .. }) => {}
                other => return other,
            }
        }
        Ok(())
    }
}

/// A process that shares the work of a command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its lease: the process is gone when the record stays unchanged for the lease time.
    pub lease: Lease,
    /// Raised with each renewal.
    pub beat: u64,
}

impl MemberRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "MEMBER#";

    /// The beginning of the names of the processes of one command, by the kind of their owners.
    #[must_use]
    pub fn of_kind(kind: &str) -> String {
        format!("{}{kind}-", Self::PREFIX)
    }
}

//! The ledger of a split, and whether it is whole.

use super::history::{ChainFound, History};
use super::probe::{LedgerBucket, probe};
use crate::state::SplitRecord;
use crate::worker::{RunError, Split};
use serde::Serialize;

/// What is found of the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LedgerChecked {
    /// The bucket.
    pub bucket: LedgerBucket,
    /// Each shard.
    pub chains: Vec<ChainFound>,
}

impl LedgerChecked {
    /// Whether no object is missing or damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.chains.iter().all(|chain| chain.holes.is_empty())
    }
}

/// The history of a split.
///
/// # Errors
/// If the split has no ledger, or the plan names another one.
pub async fn history_of(split: &Split) -> Result<History, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let planned = split.plan.ledger.as_ref();
    let known = record.ledger.as_ref();
    match (planned, known) {
        (Some(place), Some(known)) if place.to_string() == known.place => {
            Ok(History::of(split, place, &known.table_id))
        }
        (None, None) => Err(RunError::NotYet {
            what: "neither the plan nor the split has a ledger".into(),
            next: "add `ledger` to the plan, run `dynasplit apply`, and start `dynasplit replicate` again"
                .into(),
        }),
        _ => Err(RunError::NotYet {
            what: "the plan names another ledger than the split has".into(),
            next: "if this plan is the newest, run `dynasplit apply`, which takes its `ledger` over".into(),
        }),
    }
}

/// Reads every object of the ledger, and what the bucket does with objects.
///
/// # Errors
/// If the split has no ledger, or the bucket cannot be read.
pub async fn check_ledger(split: &Split) -> Result<LedgerChecked, RunError> {
    let history = history_of(split).await?;
    let record = SplitRecord::read(&split.store).await?.value;
    let (Some(place), Some(known)) = (&split.plan.ledger, &record.ledger) else {
        return Err(RunError::Failed("the split has no ledger".into()));
    };
    let bucket = probe(split, place, &known.table_id).await?;
    let mut chains = Vec::new();
    for chain in history.chains().await? {
        chains.push(chain.check().await?);
    }
    Ok(LedgerChecked { bucket, chains })
}

//! The ledger of a plan: `apply` tries its bucket before it creates anything, and takes it over.

use crate::ledger::{LedgerBucket, probe};
use crate::source::lineage::SURELY_KEPT_MS;
use crate::state::SplitRecord;
use crate::status::{LaneStatus, lane_status};
use crate::target::table_id;
use crate::worker::{RunError, Split, recorded_shards};

/// The ledger of the plan, whose bucket can hold one.
pub(super) struct TriedLedger {
    /// The id of the source table, which is part of the keys.
    table_id: String,
    /// What was found; `None`: the plan has no ledger.
    pub bucket: Option<LedgerBucket>,
}

/// Tries the bucket of the plan's ledger.
pub(super) async fn try_ledger(split: &Split) -> Result<TriedLedger, RunError> {
    let source = &split.plan.source.table;
    // An engine without ids has one table of this name.
    let id = table_id(&split.source.control, source).await?.flatten();
    let table_id = id.unwrap_or_else(|| source.clone());
    let bucket = match &split.plan.ledger {
        Some(place) => Some(probe(split, place, &table_id).await?),
        None => None,
    };
    Ok(TriedLedger { table_id, bucket })
}

/// Takes over where the ledger of the plan is.
pub(super) async fn take_ledger_over(
    split: &Split,
    tried: &TriedLedger,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<(), RunError> {
    let bucket = tried.bucket.as_ref();
    let planned = bucket.map(|bucket| (bucket.place.as_str(), tried.table_id.as_str()));
    let now_ms = split.now_ms();
    let record = SplitRecord::read(&split.store).await?.value;
    if record.clone().set_ledger(planned, now_ms) {
        refuse_needed(split, &record).await?;
        SplitRecord::change(&split.store, |record| _ = record.set_ledger(planned, now_ms)).await?;
        tell(&match bucket {
            Some(bucket) => format!("the ledger of all changes is in {}", bucket.place),
            None => "the split has no ledger any more".to_owned(),
        });
    }
    Ok(())
}

/// Refuses to end or to move a ledger that lanes still need: the stream does not keep their next records any more.
async fn refuse_needed(split: &Split, record: &SplitRecord) -> Result<(), RunError> {
    let split = split.without_switched(record);
    let generation = record.stream().map_or(1, |(generation, _)| generation);
    let recorded = recorded_shards(&split, generation).await?;
    let lanes = split.tail_lanes().into_keys();
    let lanes = lanes.map(|lane| lane_status(&recorded, &lane, split.now_ms()));
    let needs = |lane: &LaneStatus| {
        lane.stream_lag_ms.is_some()
            && lane.lag_ms.is_some_and(|lag| lag > SURELY_KEPT_MS)
            && lane.gap.is_none()
    };
    let needing: Vec<String> = lanes.filter(needs).map(|lane| lane.lane).collect();
    if needing.is_empty() {
        return Ok(());
    }
    Err(RunError::NotYet {
        what: format!(
            "{} read the ledger that the split has, because the stream does not keep their records any more",
            needing.join(", ")
        ),
        next: "let `dynasplit replicate` run with the plan of before until they have caught up (`dynasplit status`), then run \
               `dynasplit apply` again; if the objects are lost for good, run `dynasplit replicate --restart-tail`, then `dynasplit \
               verify --repair`"
            .into(),
    })
}

//! Restarts the tail: a new generation of its positions.

use crate::fault;
use crate::repair::refuse_fenced;
use crate::source::{StreamState, stream_state};
use crate::state::{RepairScope, ShardRecord, SplitRecord, StreamRecord};
use crate::worker::{RunError, Split, recorded_shards};
use std::collections::BTreeSet;

/// The stream that the split reads, with its generation. Refuses when the table's stream is another one.
pub(crate) async fn current_stream(split: &Split) -> Result<(u32, StreamRecord), RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let table = split.plan.source.table.clone();
    let Some((generation, known)) = record.stream() else {
        return Err(RunError::StreamOff { table });
    };
    match stream_state(&split.source.control, &table).await? {
        // A stream that was switched off can be read for 24 hours. A fenced source is drained in this way.
        StreamState::On { arn, .. } if arn != known.arn => Err(RunError::StreamReplaced {
            table,
            was: known.arn.clone(),
            is: arn,
        }),
        _ => Ok((generation, known.clone())),
    }
}

/// Whether a restart began a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restarted {
    /// Now, by this command.
    Now,
    /// Another command did so, and this one follows it.
    Before,
}

/// Begins a new generation at the present stream. The mandatory repairing verify finds what was lost in between.
/// `seen` is the generation that the command found when it started.
///
/// The whole restart is one change of the split's record. Services are captured in a generation
/// ([`SplitRecord::has_captured`]), so no lane has pinned positions in the new one. Of several restarts at once, the
/// first begins the generation, and the others follow it.
pub(crate) async fn restart_tail(split: &Split, seen: u32) -> Result<Restarted, RunError> {
    let table = split.plan.source.table.clone();
    let arn = match stream_state(&split.source.control, &table).await? {
        StreamState::On { arn, .. } => arn,
        _ => return Err(RunError::StreamOff { table }),
    };
    let (mut damaged, shards) = (Vec::new(), ShardRecord::record_name(seen, ""));
    let shards = split
        .store
        .list_readable::<ShardRecord>(&shards, &mut damaged)
        .await?;
    let mut lanes = shards.iter().flat_map(|(_, shard)| &shard.value.lanes);
    // No worker can continue a shard whose record is damaged, so this is a gap, too. Events that were lost are in no table.
    let has_gap = !damaged.is_empty()
        || lanes.any(|(lane, state)| state.gap.is_some() && !ShardRecord::is_beside(lane));
    let found = Found { seen, arn, has_gap };
    let lease_ms = u64::try_from(split.timing.lease.as_millis()).unwrap_or(u64::MAX);
    let (mut begun, mut is_ending) = (false, false);
    let mut watched = None;
    let record = SplitRecord::change(&split.store, |record| {
        let now = split.now_ms();
        is_ending = record.completing_ms.is_some();
        watched = record.watched().next().cloned();
        begun = !is_ending
            && watched.is_none()
            && record.fenced_service().is_none()
            && found.is_reason(record, now, lease_ms);
        if begun {
            record.streams.push(StreamRecord {
                arn: found.arn.clone(),
                captured_ms: None,
                ended_ms: None,
                restarted_ms: Some(now),
            });
            // What it has of the former generation may not continue.
            if let Some(chain) = record.ledger.as_ref().map(|ledger| ledger.chain) {
                record.restart_ledger(chain, now);
            }
            // Services that this plan does not know lose the same changes.
            let known = record.services.clone();
            let planned = split.plan.services.iter().map(|service| service.name.as_str());
            let services = known.iter().map(String::as_str).chain(planned);
            record.require_repair("the tail was restarted", services, RepairScope::LostChanges);
        }
    })
    .await?;
    fault::moment("restart.begun").await;
    if let Some(service) = watched {
        // Its lane continues at its checkpoint after a rollback. In a new generation, it would begin before the switch.
        return Err(RunError::NotYet {
            what: format!(
                "{service} has switched with a way back, so its lane must keep its position in the stream"
            ),
            next: "roll the service back or end its way back, then run this command again".into(),
        });
    }
    if is_ending {
        return Err(RunError::NotYet {
            what: "the split is being completed, so its tail is not restarted".into(),
            next: "run `dynasplit complete --yes` until it ends".into(),
        });
    }
    refuse_fenced(&record, split.plan.service_names())?;
    if begun {
        tracing::warn!(
            arn = found.arn,
            "the tail was restarted: `dynasplit verify --repair` is mandatory"
        );
        Ok(Restarted::Now)
    } else {
        tracing::warn!(
            arn = found.arn,
            "the tail was not restarted again: another command restarted it, or nothing was read of this stream yet"
        );
        Ok(Restarted::Before)
    }
}

/// Begins the events anew of each service whose events were lost. The tables have lost nothing by that.
pub(crate) async fn restart_events(split: &Split) -> Result<(), RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let generation = record.stream().map_or(1, |(generation, _)| generation);
    let split = split.without_switched(&record);
    let shards = recorded_shards(&split, generation).await?;
    let mut lost = BTreeSet::new();
    for (lane, state) in shards.values().flat_map(|shard| &shard.lanes) {
        if let (Some(of), Some(_)) = (ShardRecord::of_events(lane), &state.gap) {
            lost.insert((of.0.to_owned(), of.1));
        }
    }
    if lost.is_empty() {
        tracing::warn!("no events were lost, so none begin anew");
        return Ok(());
    }
    SplitRecord::change(&split.store, |record| {
        for (service, epoch) in &lost {
            record.restart_events(service, *epoch);
        }
    })
    .await?;
    for (service, _) in &lost {
        tracing::warn!(
            service,
            "its events begin anew: those that were lost are never sent, so let the receivers read its table"
        );
    }
    Ok(())
}

/// Begins the ledger anew if it lost records. The tables have lost nothing by that, unless a lane was behind the gap.
pub(crate) async fn restart_ledger(split: &Split) -> Result<(), RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let generation = record.stream().map_or(1, |(generation, _)| generation);
    let Some(ledger) = &record.ledger else {
        return Err(RunError::NotYet {
            what: "the split has no ledger".into(),
            next: "add `ledger` to the plan and run `dynasplit apply`, or leave --restart-ledger out".into(),
        });
    };
    let (chain, lane) = (ledger.chain, ShardRecord::ledger_lane(ledger.chain));
    let shards = recorded_shards(&split.without_switched(&record), generation).await?;
    let has_gap = |shard: &ShardRecord| shard.lanes.get(&lane).is_some_and(|state| state.gap.is_some());
    if !shards.values().any(has_gap) {
        tracing::warn!("the ledger has lost nothing, so it does not begin anew");
        return Ok(());
    }
    SplitRecord::change(&split.store, |record| {
        record.restart_ledger(chain, split.now_ms())
    })
    .await?;
    tracing::warn!("the ledger begins anew, with what the stream still keeps");
    Ok(())
}

/// The facts that a restart finds before it changes anything.
struct Found {
    /// The generation in which the command started.
    seen: u32,
    /// The stream that is on.
    arn: String,
    /// A lane of that generation lost records.
    has_gap: bool,
}

impl Found {
    /// Whether a new generation is needed, by the present record.
    fn is_reason(&self, record: &SplitRecord, now_ms: u64, lease_ms: u64) -> bool {
        let Some((generation, stream)) = record.stream() else {
            return true;
        };
        if stream.arn != self.arn {
            return true;
        }
        if generation != self.seen {
            // Another command restarted the tail at this stream since this one started.
            return false;
        }
        if self.has_gap {
            return true;
        }
        match (stream.captured_ms, stream.restarted_ms) {
            (None, _) => false,
            (Some(_), Some(restarted)) => now_ms.saturating_sub(restarted) > lease_ms,
            (Some(_), None) => true,
        }
    }
}

#[cfg(test)]
#[path = "restart/tests.rs"]
mod tests;

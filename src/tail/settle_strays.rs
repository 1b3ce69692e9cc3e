//! Settles stray writes: a person decides that the service's own table is right.

use super::strays::SETTLING;
use crate::dynamo::{AccountLimit, Budget, ConcurrencyLimit, Health};
use crate::fault::Writer;
use crate::flow::{BackLane, BackOutcome, SinkError, SourceSide, Stop, WayBack};
use crate::model::{Item, Key, json, strip_marks};
use crate::plan::{PutCost, Service};
use crate::source::Scan;
use crate::state::{CutoverPhase, DeadLetter, DeadLetterHead, DeadLetters, SplitRecord};
use crate::target::{Fence, Gate, SourceWriter, TargetWriter};
use crate::worker::{RunError, Split, check_split, pause};
use serde::Serialize;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Attempts for one key: each refusal means that somebody else wrote it since it was read.
const ATTEMPTS: u32 = 8;

/// What became of a stray write.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SettledStray {
    /// Its id.
    pub id: String,
    /// It is off the list, or is as soon as the watcher has seen the write.
    pub settled: bool,
    /// The outcome, in words.
    pub outcome: String,
}

/// Settles the stray writes to a service's items: all of them, or those with these ids. A key on which both sides agree by now
/// is taken off the list. Otherwise the source gets what the service's own table holds, if `overwrite` says so.
///
/// # Errors
/// If the service has no way back at present, or a request fails.
pub async fn settle_strays(
    split: &Split,
    service: &str,
    ids: &[String],
    overwrite: bool,
    stop: &CancellationToken,
) -> Result<Vec<SettledStray>, RunError> {
    let record = check_split(split).await?;
    let settling = Settling::new(split, &record, service, overwrite, stop)?;
    let strays = settling.strays.list(Some(service)).await?;
    let mut settled = Vec::new();
    for head in strays
        .iter()
        .filter(|head| ids.is_empty() || ids.contains(&head.id))
    {
        settled.push(settling.settle(head, overwrite, stop).await?);
    }
    Ok(settled)
}

struct Settling<'a> {
    split: &'a Split,
    service: &'a Service,
    epoch: u64,
    writer: SourceWriter,
    target: Scan,
    strays: DeadLetters,
}

impl<'a> Settling<'a> {
    fn new(
        split: &'a Split,
        record: &SplitRecord,
        name: &str,
        overwrite: bool,
        stop: &CancellationToken,
    ) -> Result<Self, RunError> {
        let (service, tables) = split.target(name).ok_or_else(|| RunError::NoSuchService {
            service: name.to_owned(),
            known: split.plan.service_names().join(", "),
        })?;
        let cutover = record
            .cutovers
            .get(name)
            // When the way back ends, the source is not written any more, but both sides may agree.
            .filter(|state| state.phase.carries_back() || state.phase == CutoverPhase::Ending && !overwrite);
        let epoch = cutover.map(|state| state.epoch).ok_or_else(|| RunError::NotYet {
            what: format!("{name} has not switched with a way back, so there are no stray writes"),
            next: "see `dynasplit status`".into(),
        })?;
        let gate = Gate::new(record.switch.phases());
        gate.obey_record(record);
        let source = &split.plan.source;
        let way = TargetWriter {
            written_by: Writer::DeadLetters,
            client: split.source.items.clone(),
            table: source.table.clone(),
            keys: source.keys.clone(),
            fields: service.version_fields(&split.plan.versions),
            gate: gate.back_of(name),
            always_leaves_tombstones: false,
            fence: Fence::new([]),
            concurrency: Arc::new(ConcurrencyLimit::new(
                split.timing.attempt,
                &AccountLimit::default(),
            )),
            budget: Arc::new(Budget::new(None)),
            cost: PutCost::default(),
            health: Arc::new(Health::default()),
            endless: false,
            stop: stop.clone(),
            margin: split.timing.margin,
        };
        Ok(Self {
            split,
            service,
            epoch,
            writer: SourceWriter {
                way,
                reads: split.scan_source(true).keeping_marks(),
            },
            target: Scan::new(
                tables.items.clone(),
                &service.table.name,
                service.keys.clone(),
                true,
            ),
            strays: DeadLetters::strays(split.store.clone()),
        })
    }

    fn lane(&self) -> BackLane<'_> {
        let plan = &self.split.plan;
        BackLane {
            way: WayBack {
                service: self.service,
                source: &plan.source.keys,
                versions: &plan.versions,
                mark_bytes: BackLane::mark_bytes(&plan.split, &self.service.name),
            },
            split: &plan.split,
            epoch: self.epoch,
        }
    }

    async fn settle(
        &self,
        head: &DeadLetterHead,
        overwrite: bool,
        stop: &CancellationToken,
    ) -> Result<SettledStray, RunError> {
        let told = |settled: bool, outcome: &str| SettledStray {
            id: head.id.clone(),
            settled,
            outcome: outcome.to_owned(),
        };
        let Some(key) = self.split.key_from_json(&head.key) else {
            return Ok(told(false, "its key can't be read"));
        };
        if head.reason == SETTLING {
            // An earlier run of this command may have died, and its last request must not land after this one.
            pause(self.split.timing.landed(), stop).await?;
        }
        for _ in 0..ATTEMPTS {
            let (at, target) = self.target_item(&key).await?;
            let current = self.writer.read(&key).await.map_err(stopped)?;
            let stripped = bare(current.clone());
            if self.lane().way.stands_for(target.as_ref(), stripped.as_ref()) {
                self.strays.settle(head).await?;
                return Ok(told(true, "both sides agree"));
            }
            if !overwrite {
                return Ok(told(
                    false,
                    "the source differs from the service's own table: correct the item with the service, or add --overwrite to \
                     write what the service's own table holds",
                ));
            }
            let write = match self.lane().overwrite(&at, target.as_ref(), current.as_ref()) {
                Ok(Some(write)) => write,
                Ok(None) => return Ok(told(false, "nothing of what the service owns differs")),
                Err(reason) => return Ok(told(false, &reason.to_string())),
            };
            self.announce(head, bare(write.merged(current.as_ref()))).await?;
            match self.writer.write(&write).await {
                Ok(BackOutcome::Written(_)) => {
                    return Ok(told(
                        true,
                        "overwritten; it leaves the list when `replicate` has seen the write",
                    ));
                }
                Ok(BackOutcome::Refused(_)) => {}
                Err(SinkError::Rejected(reason)) => return Ok(told(false, &reason)),
                Err(SinkError::Stop(stop)) => return Err(stopped(stop)),
            }
        }
        Ok(told(false, "another writer keeps changing the source item"))
    }

    /// The target key of a source item, and the item there.
    async fn target_item(&self, source: &Key) -> Result<(Key, Option<Item>), RunError> {
        let mut keys = self
            .service
            .target_keys(source, &self.split.plan.source.keys)
            .into_iter();
        let Some(key) = keys.next() else {
            return Err(RunError::Failed(format!("no target key belongs to {source}")));
        };
        let held = self.target.get(&key).await?;
        Ok((key, held))
    }

    /// Records what the source will hold, before it does, so that the watcher recognises the write.
    async fn announce(&self, head: &DeadLetterHead, after: Option<Item>) -> Result<(), RunError> {
        let shown = self.strays.show(&head.id).await?;
        let letter = DeadLetter {
            service: head.service.clone(),
            key: head.key.clone(),
            reason: SETTLING.to_owned(),
            origin: head.origin.clone(),
            at_ms: head.at_ms,
            image: after.as_ref().map(json::item_to_json),
            old_image: shown.and_then(|shown| shown.letter.old_image),
        };
        Ok(self.strays.keep(&letter).await?)
    }
}

fn bare(item: Option<Item>) -> Option<Item> {
    item.map(|mut item| {
        strip_marks(&mut item);
        item
    })
}

fn stopped(stop: Stop) -> RunError {
    RunError::Stopped(stop.reason)
}

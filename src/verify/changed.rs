//! A comparison of only what changed since an earlier proof: the keys come from the source's stream, or from its ledger, in bounded
//! memory, and each is looked at as a key that differs in a scan of both sides.

use super::base::{Base, bases, earliest};
use super::delivery::LONGEST_LAG;
use super::passes::{Run, Sides, join_sides};
use super::reads::interrupted;
use super::record::Baseline;
use super::result::{ChangesCompared, ServiceChanges, VerifyResult};
use super::sorting::{Entries, Sorting};
use super::suspects::Suspects;
use super::verification::Verify;
use super::view::add;
use crate::flow::{Watched, desired, watch};
use crate::model::{Item, Key, duration};
use crate::plan::{Plan, Service};
use crate::source::Record;
use crate::state::SplitRecord;
use crate::tail::{ChangedItems, Changes, Reached};
use crate::verify::compare::{Digest, SourceSide, TargetSide};
use crate::worker::{Recorded, RunError, Split, recorded_shards};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument as _;

/// A key of a target, and the key of a source item that made or makes it.
type ChangedEntry = (Key, Key);

/// What was read from the stream.
struct ReadChanges {
    sides: Vec<SourceSide>,
    reached: Reached,
    records: u64,
    from_ledger: u64,
    suspects: Suspects,
    /// The lanes did not get to the moment at which the comparison began.
    is_late: bool,
}

impl Verify {
    /// Compares what changed since the last proof of each service.
    pub(super) async fn compare_changes(
        &self,
        record: &SplitRecord,
        places: Vec<usize>,
    ) -> Result<VerifyResult, RunError> {
        let services = places.iter().map(|place| &self.split.plan.services[*place]);
        let services: Vec<&Service> = services.collect();
        let baseline = Baseline::read(&self.split, record, None).await?;
        let bases = bases(&self.split, record, &services).await?;
        let run = Run::begin(self, record, places, &self.stop).await?;
        let progress = Arc::clone(&run.progress);
        let span = tracing::info_span!(target: "dynasplit::span", "verify", changed = true);
        let work = Box::pin(run.changed(&bases, baseline.clone()).instrument(span));
        let (mut result, reached) = progress.while_shown(work).await?;
        baseline
            .keep_changes(&self.split, &bases, &reached.places, &mut result)
            .await?;
        Ok(result)
    }

    /// Refuses to compare only changes where that means nothing.
    pub(super) fn refuse_changes(&self, record: &SplitRecord) -> Result<(), RunError> {
        let refused = |what: String| {
            Err(RunError::NotYet {
                what,
                next: "leave --changed out".into(),
            })
        };
        if let Some(back) = self.back.as_ref().and_then(Split::back_side) {
            return refused(format!(
                "{} has switched with a way back, and --changed compares only services that write the source",
                back.service
            ));
        }
        if record.completed_ms.is_some() {
            return refused("the split is complete, so no lane follows the stream".into());
        }
        Ok(())
    }
}

impl Run {
    async fn changed(
        mut self,
        bases: &[Base],
        mut baseline: Baseline,
    ) -> Result<(VerifyResult, Reached), RunError> {
        let span = |part| tracing::info_span!(target: "dynasplit::span", "part", part);
        self.progress.say("reading the changes");
        let read = self.read_changes(bases, baseline.began_ms());
        let read = Box::pin(read).instrument(span("read changes")).await?;
        self.progress.say("comparing");
        let mut compared = Vec::with_capacity(self.reader.len());
        for (source, progress) in read.sides.into_iter().zip(&self.progress.services) {
            let target = TargetSide::new(self.dir.clone(), self.limits(1));
            let sides = Sides { target, source };
            let joined = join_sides(sides, Arc::clone(progress), self.dir.clone(), self.stop.clone());
            let (candidates, mut report) = joined.await?;
            // These are keys that changed, and not items that the service should hold.
            report.expected = 0;
            report.complete = !read.is_late && !read.suspects.is_cut();
            compared.push((candidates, report));
        }
        if let Some(reader) = self.reader.first() {
            let look = read
                .suspects
                .look(&self.split.plan, &reader.source, &self.invalid, &self.progress);
            look.await?;
        }
        for ((_, report), progress) in compared.iter_mut().zip(&self.progress.services) {
            report.invalid = super::view::get(&progress.invalid);
        }
        self.progress.say("reading changed keys");
        let keys: Vec<u64> = compared.iter().map(|(_, report)| report.candidates).collect();
        let settled = self
            .recheck(compared)
            .instrument(span("read changed keys"))
            .await?;
        self.lanes
            .notes
            .extend(late(&read.reached, read.is_late, self.split.now_ms()));
        self.lanes.notes.extend(read.suspects.note());
        let mut result = self.conclude(settled, None, &mut baseline).await?;
        let services = bases.iter().zip(keys).map(|(base, keys)| ServiceChanges {
            service: base.service.clone(),
            since_ms: base.since_ms,
            whole_ms: base.whole_ms,
            keys,
            items: base.items,
        });
        result.changes = Some(ChangesCompared {
            records: read.records,
            from_ledger: read.from_ledger,
            complete_to_ms: read.reached.places.complete_to_ms,
            services: services.collect(),
        });
        Ok((result, read.reached))
    }

    /// Reads the stream, or the ledger, up to the present: until each lane has delivered everything from before this comparison began.
    async fn read_changes(&self, bases: &[Base], began_ms: u64) -> Result<ReadChanges, RunError> {
        let nothing = Digest::of(&Item::new());
        let sorting = || {
            let side = SourceSide::new(self.dir.clone(), self.limits(1));
            Sorting::of(
                side,
                |side: &mut SourceSide, (target, source, digest): &(Key, Key, Digest)| {
                    side.push(target, source, *digest)
                },
            )
        };
        let sortings: Vec<_> = self.reader.iter().map(|_| sorting()).collect();
        let names = bases.iter().map(|base| base.service.clone()).collect();
        let recorded = match bases.first() {
            Some(base) => recorded_shards(&self.split, base.places.generation).await?,
            None => Recorded::default(),
        };
        let Some(from) = earliest(bases, &recorded) else {
            return Err(RunError::NotYet {
                what: "every service has switched to its own table, so there is nothing to compare".into(),
                next: "run `dynasplit status`".into(),
            });
        };
        let mut changed = ChangedItems::since(&self.split, names, from).await?;
        let (mut records, mut suspects) = (0u64, Suspects::default());
        let plan = Arc::clone(&self.split.plan);
        let services: Vec<_> = self.reader.iter().map(|reader| reader.place).collect();
        let began = Instant::now();
        loop {
            let (reached, at) = match changed.read(&self.stop).await? {
                Changes::Page(page) => {
                    records += page.len() as u64;
                    add(&self.progress.source.scanned, page.len() as u64);
                    for (place, sorting) in services.iter().zip(&sortings) {
                        let service = &plan.services[*place];
                        let keys = changed_keys(&plan, service, &page, &mut suspects);
                        let entries = keys.into_iter().map(|(target, source)| (target, source, nothing));
                        sorting.send(entries.collect()).await?;
                    }
                    suspects.note_unrouted(&plan, &page);
                    continue;
                }
                Changes::Reached(reached, at) => (reached, at),
            };
            let is_there = reached.is_drained || reached.places.complete_to_ms >= began_ms;
            // Where the lanes stood when it was asked, however long the reading took.
            let is_late = !is_there && at.duration_since(began) >= LONGEST_LAG;
            if is_there || is_late {
                return Ok(ReadChanges {
                    sides: sortings
                        .into_iter()
                        .map(Sorting::finish)
                        .collect::<Result<_, _>>()?,
                    reached,
                    records,
                    from_ledger: changed.from_ledger(),
                    suspects,
                    is_late,
                });
            }
            self.wait_for_lanes().await?;
        }
    }

    async fn wait_for_lanes(&self) -> Result<(), RunError> {
        let what = "every lane has delivered what was written before this verify began";
        let _waiting = self.split.waits.until(what, LONGEST_LAG);
        let pause: Duration = self.split.timing.renew() / 4;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(interrupted()),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}

/// The keys of a service's table that the records of a page may have changed, each once, with the keys of their source items. Items that
/// are invalid for the service are noted.
fn changed_keys(
    plan: &Plan,
    service: &Service,
    page: &[Record],
    suspects: &mut Suspects,
) -> Vec<ChangedEntry> {
    let mut keys = std::collections::BTreeMap::new();
    for record in page {
        let (source, images) = (&record.change.key, &record.change.images);
        for (image, is_new) in [(&images.old, false), (&images.new, true)] {
            let Some(image) = image else { continue };
            let made = match desired(service, &plan.versions, image) {
                Ok(None) => continue,
                Ok(Some(wanted)) => vec![wanted.key],
                Err(_) => {
                    if is_new {
                        suspects.add(&service.name, source);
                    }
                    service.target_keys_of(image, &plan.source.keys)
                }
            };
            for target in made {
                let entry = (target.encode(), source.encode());
                keys.entry(entry).or_insert_with(|| (target, source.clone()));
            }
        }
    }
    keys.into_values().collect()
}

/// Why the comparison says nothing about the latest changes.
fn late(reached: &Reached, is_late: bool, now_ms: u64) -> Option<String> {
    is_late.then(|| {
        format!(
            "a lane is {} behind, and `dynasplit verify` waited {} for it, so later changes were not compared: `dynasplit status` \
             shows what holds it up",
            duration(now_ms.saturating_sub(reached.places.complete_to_ms)),
            duration(u64::try_from(LONGEST_LAG.as_millis()).unwrap_or(u64::MAX)),
        )
    })
}

impl Suspects {
    /// Notes items of a page that no service takes.
    fn note_unrouted(&mut self, plan: &Plan, page: &[Record]) {
        for record in page {
            let image = record.change.images.new.as_ref();
            if image.is_some_and(|image| watch(plan, image) == Watched::Unrouted) {
                self.add_unrouted(&record.change.key);
            }
        }
    }
}

//! The task that compares one range of the keys, and settles what differs.

use super::outcomes::{Block, Outcomes, RangeOutcome, RangeService, ScanOutcome};
use super::task::Share;
use crate::state::{StoredRef, VerifyTask};
use crate::verify::compare::{
    CandidateFile, DividedBlock, ServiceReport, Side, SourceSide, Span, TargetSide,
};
use crate::verify::mismatch_list::MismatchList;
use crate::verify::passes::{Sides, join_sides};
use crate::verify::recheck::{LOOKS_AT_ONCE, Recheck, Settled, settle_rules};
use crate::verify::sorting::blocking;
use crate::verify::view::{ServiceProgress, add, get};
use crate::worker::RunError;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::sync::Arc;

/// Objects that are read at the same time.
const READS_AT_ONCE: usize = 16;
/// Bytes of an object with mismatches, about.
const LIST_BYTES: usize = 4 << 20;

/// A part of an object that belongs to the range.
struct Place {
    side: Side,
    object: StoredRef,
    from: u32,
    len: u32,
}

impl Share {
    /// Compares a range. `at_once`: so many ranges are compared by this process at the same time.
    pub(super) async fn compare_range(
        &self,
        claim: &str,
        (range, scans): (u32, &Outcomes),
        at_once: usize,
    ) -> Result<RangeOutcome, RunError> {
        let progress: Vec<_> = self
            .run
            .reader
            .iter()
            .map(|reader| ServiceProgress::of(&reader.service().name))
            .collect();
        let compared = {
            // Few ranges are sorted at the same time, so that each has enough memory. Many wait for their lanes together.
            let _sorts = self.sorts.acquire().await;
            let sides = self.load(range, scans).await?;
            let mut compared = Vec::with_capacity(sides.len());
            for (sides, progress) in sides.into_iter().zip(&progress) {
                let (dir, stop) = (self.run.dir.clone(), self.run.stop.clone());
                compared.push(join_sides(sides, Arc::clone(progress), dir, stop).await?);
            }
            compared
        };
        let file = self.list_file()?;
        let list = MismatchList::into_file(file.try_clone().map_err(|error| self.no_list(error))?);
        let looks = (LOOKS_AT_ONCE / at_once.max(1)).max(1);
        let (settled, source_milliunits, target_milliunits) =
            Box::pin(self.settle(compared, &list, &progress, looks)).await?;
        blocking(move || list.close().map(drop)).await?;
        let services = settled.into_iter().map(|settled| RangeService {
            report: settled.report,
            undelivered_keys: settled.undelivered_keys,
            hot: settled.hot,
        });
        Ok(RangeOutcome {
            services: services.collect(),
            source_milliunits,
            target_milliunits,
            mismatches: self.upload_list(file, claim).await?,
        })
    }

    /// Reads the entries of the range, and sorts them.
    async fn load(&self, range: u32, scans: &Outcomes) -> Result<Vec<Sides>, RunError> {
        let limits = self.run.limits(super::task::SORTS_AT_ONCE);
        let dir = &self.run.dir;
        let empty = || Sides {
            target: TargetSide::new(dir.clone(), limits),
            source: SourceSide::new(dir.clone(), limits),
        };
        let mut sides: Vec<Sides> = self.run.reader.iter().map(|_| empty()).collect();
        let blocks = self.blocks.get_or_try_init(|| self.read_blocks(scans)).await?;
        let mut places = Vec::new();
        for (side, block) in blocks {
            let (from, end) = DividedBlock::place(&block.ends, range)
                .ok_or_else(|| self.folder.gone(&block.object, "it has other ranges"))?;
            if from < end {
                places.push(Place {
                    side: *side,
                    object: block.object.clone(),
                    from,
                    len: end - from,
                });
            }
        }
        for places in places.chunks(READS_AT_ONCE) {
            let spans = places
                .iter()
                .map(|place| self.folder.range(&place.object, place.from, place.len));
            let spans = futures::future::try_join_all(spans).await?;
            let names = places
                .iter()
                .map(|place| (place.side, self.folder.told(&place.object)));
            let spans: Vec<_> = names.zip(spans).collect();
            sides = blocking(move || {
                for ((side, name), bytes) in &spans {
                    let span = Span::read(bytes, *side, range, name)?;
                    for (service, sides) in sides.iter_mut().enumerate() {
                        match side {
                            Side::Source => sides.source.push_span(&span, service)?,
                            Side::Target => sides.target.push_span(&span, service)?,
                        }
                    }
                }
                Ok(sides)
            })
            .await?;
        }
        Ok(sides)
    }

    /// Which blocks the scans wrote. A process reads that once: it is some hundred bytes for each block of megabytes.
    async fn read_blocks(&self, scans: &Outcomes) -> Result<Vec<(Side, Block)>, RunError> {
        let mut blocks = Vec::new();
        for scans in scans.chunks(READS_AT_ONCE) {
            let outcomes = scans
                .iter()
                .map(|(_, done)| self.folder.read_json::<ScanOutcome>(done));
            let outcomes = futures::future::try_join_all(outcomes).await?;
            for ((task, _), outcome) in scans.iter().zip(outcomes) {
                let side = match task {
                    VerifyTask::Source { .. } => Side::Source,
                    _ => Side::Target,
                };
                blocks.extend(outcome.blocks.into_iter().map(|block| (side, block)));
            }
        }
        Ok(blocks)
    }

    /// Settles the candidates of all services at once, because they wait for the same time. Also returns the read units of the looks.
    async fn settle(
        &self,
        compared: Vec<(CandidateFile, ServiceReport)>,
        list: &MismatchList,
        progress: &[Arc<ServiceProgress>],
        looks: usize,
    ) -> Result<(Vec<Settled>, u64, u64), RunError> {
        let deliveries = Arc::new(self.run.deliveries.anew());
        let rules = settle_rules(self.run.written, &deliveries);
        let mut readers = self.run.reader.clone();
        let source = readers.first().map(|reader| reader.source.counted_anew());
        for reader in &mut readers {
            reader.target = reader.target.counted_anew();
            reader.source = source.clone().unwrap_or_else(|| reader.source.clone());
        }
        let _waiting = self.run.tell_waiting();
        let settle: Vec<_> = readers
            .iter()
            .zip(progress)
            .zip(compared)
            .map(|((reader, progress), (candidates, report))| {
                let recheck = Recheck {
                    reader: reader.clone(),
                    rules,
                    deliveries: Arc::clone(&deliveries),
                    dir: self.run.dir.clone(),
                    scanning: self.run.scanning.clone(),
                    list: list.clone(),
                    looks,
                    progress: Arc::clone(progress),
                    stop: self.run.stop.clone(),
                };
                Box::pin(recheck.run(candidates, report))
            })
            .collect();
        let settled = futures::future::try_join_all(settle).await?;
        for (shown, progress) in self.run.progress.services.iter().zip(progress) {
            add(&shown.mismatches, get(&progress.mismatches));
        }
        let targets = readers.iter().map(|reader| reader.target.milliunits()).sum();
        Ok((settled, source.map_or(0, |source| source.milliunits()), targets))
    }

    fn list_file(&self) -> Result<File, RunError> {
        tempfile::tempfile_in(self.run.dir.path()).map_err(|error| self.no_list(error))
    }

    fn no_list(&self, source: std::io::Error) -> RunError {
        RunError::List {
            path: self.run.dir.path().to_owned(),
            source,
        }
    }

    /// Writes the mismatches to S3, some at a time.
    async fn upload_list(&self, mut file: File, claim: &str) -> Result<Vec<StoredRef>, RunError> {
        file.rewind().map_err(|error| self.no_list(error))?;
        let (mut reader, mut objects) = (BufReader::new(file), Vec::new());
        loop {
            let (read, bytes) = blocking(move || {
                let mut bytes = Vec::new();
                let mut read = || -> std::io::Result<()> {
                    while bytes.len() < LIST_BYTES && reader.read_until(b'\n', &mut bytes)? > 0 {}
                    Ok(())
                };
                let read = read();
                Ok((read.map(|()| reader), bytes))
            })
            .await?;
            reader = read.map_err(|error| self.no_list(error))?;
            if bytes.is_empty() {
                return Ok(objects);
            }
            let key = format!("{claim}mismatches-{:06}", objects.len());
            objects.push(self.folder.write(key, &bytes).await?);
        }
    }
}

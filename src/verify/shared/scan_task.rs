//! The tasks that read a segment of a table.

use super::divided::Divided;
use super::outcomes::{ScanCounts, ScanOutcome};
use super::task::Share;
use crate::verify::compare::{Divider, KeyRanges, Side};
use crate::verify::pages::{SourcePages, TargetPages};
use crate::verify::view::{ServiceProgress, SourceProgress, add, get};
use crate::worker::RunError;
use std::sync::Arc;

/// A smaller block costs more requests than it saves memory.
const LEAST_BLOCK_BYTES: usize = 64 * 1024;

impl Share {
    /// The entries of a segment. Vectors that grow have room for twice as much as they hold.
    fn divided(&self, side: Side, claim: &str, at_once: usize) -> Divided {
        let ranges = KeyRanges::of(self.verify.ranges);
        let most = (self.run.memory_bytes / at_once.max(1) / 2).max(LEAST_BLOCK_BYTES);
        let divider = Divider::new(side, ranges, self.run.reader.len());
        Divided::new(&self.folder, claim, most, divider)
    }

    /// Reads a segment of a service's table.
    pub(super) async fn read_target(
        &self,
        claim: &str,
        (service, segment): (usize, u32),
        at_once: usize,
    ) -> Result<ScanOutcome, RunError> {
        let Some(reader) = self.run.reader.get(service) else {
            return Err(RunError::Failed(
                "a task is about a service that is not compared".into(),
            ));
        };
        let table = reader.target.counted_anew();
        let progress = ServiceProgress::of(&reader.service().name);
        let divided = self.divided(Side::Target, claim, at_once);
        let pages = TargetPages {
            table: reader.service().table.name.clone(),
            keys: reader.service().keys.clone(),
            entries: divided.part(service),
            progress: Arc::clone(&progress),
        };
        let place = (segment, self.verify.segments);
        if let Some(hot) = self.run.scanning.one(&table, place, Arc::new(pages)).await? {
            return Err(hot);
        }
        let mut counts = vec![ScanCounts::default(); self.run.reader.len()];
        counts[service].tombstones = get(&progress.tombstones);
        let shown = &self.run.progress.services[service];
        add(&shown.held, get(&progress.held));
        add(&shown.tombstones, get(&progress.tombstones));
        Ok(ScanOutcome {
            blocks: divided.finish().await?,
            counts,
            milliunits: table.milliunits(),
            ..ScanOutcome::default()
        })
    }

    /// Reads a segment of the source, for all services together.
    pub(super) async fn read_source(
        &self,
        claim: &str,
        segment: u32,
        at_once: usize,
    ) -> Result<ScanOutcome, RunError> {
        let Some(first) = self.run.reader.first() else {
            return Ok(ScanOutcome::default());
        };
        let table = first.source.counted_anew();
        let divided = self.divided(Side::Source, claim, at_once);
        let progress: Arc<SourceProgress> = Arc::default();
        let invalid = Arc::new(self.run.invalid.of_part());
        let services: Vec<_> = self
            .run
            .reader
            .iter()
            .map(|reader| ServiceProgress::of(&reader.service().name))
            .collect();
        let of_services = self.run.reader.iter().zip(&services).enumerate();
        let pages = SourcePages {
            plan: Arc::clone(&self.run.split.plan),
            services: of_services
                .map(|(service, (reader, progress))| {
                    (reader.place, divided.part(service), Arc::clone(progress))
                })
                .collect(),
            progress: Arc::clone(&progress),
            invalid: Arc::clone(&invalid),
        };
        let place = (segment, self.verify.segments);
        if let Some(hot) = self.run.scanning.one(&table, place, Arc::new(pages)).await? {
            return Err(hot);
        }
        for (shown, progress) in self.run.progress.services.iter().zip(&services) {
            add(&shown.expected, get(&progress.expected));
            add(&shown.invalid, get(&progress.invalid));
        }
        add(&self.run.progress.source.scanned, get(&progress.scanned));
        let (items, more_invalid) = invalid.take_part();
        let counts = services.iter().map(|progress| ScanCounts {
            tombstones: 0,
            invalid: get(&progress.invalid),
        });
        Ok(ScanOutcome {
            blocks: divided.finish().await?,
            counts: counts.collect(),
            unrouted: get(&progress.unrouted),
            invalid: items,
            more_invalid,
            milliunits: table.milliunits(),
        })
    }
}

//! The files of each service, shaped from the export.

use super::record::ShapingRecord;
use super::shape_files::{FileRecord, Shaper};
use super::task::{OfflineSplit, plan_identity};
use crate::import::MOST_OBJECTS;
use crate::offline::{Counts, Report};
use crate::worker::{RunError, unless_stopped};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// Records that are read at the same time.
const READS_AT_ONCE: usize = 16;

impl OfflineSplit<'_> {
    /// The files of each service are in S3.
    pub(super) async fn shape(&mut self) -> Result<(), RunError> {
        let shaping = self.shaping().await?;
        if shaping.report.is_some() {
            return Ok(());
        }
        let export = Box::pin(self.found_export()).await?;
        let expected = export.summary.items;
        let shaper = Arc::new(Shaper {
            plan: Arc::clone(&self.split.plan),
            export,
            bucket: self.bucket.clone(),
            folder: self.shaped_folder(shaping.attempt),
            form: shaping.form(),
            stop: self.stop.clone(),
        });
        self.shape_files(&shaper).await?;
        let records = self.file_records(&shaper).await?;
        let mut counts = Counts::of(&self.split.plan);
        records
            .values()
            .for_each(|record| counts.extend(record.counts.clone()));
        if counts.items != expected {
            return Err(RunError::Failed(format!(
                "{} items were shaped, and the export has {expected}: report this as an error of dynasplit",
                counts.items
            )));
        }
        let report = counts.report(&self.split.plan);
        refuse_many(&report)?;
        self.journal
            .change(|record| {
                if let Some(shaping) = &mut record.shaping {
                    shaping.report = Some(report);
                }
            })
            .await
    }

    /// The record of the shaping with this plan. With another plan, it begins anew, until the first import.
    async fn shaping(&mut self) -> Result<ShapingRecord, RunError> {
        let plan = plan_identity(&self.split.plan);
        let attempt = match &self.record().shaping {
            Some(shaping) if shaping.plan == plan => return Ok(shaping.clone()),
            Some(_) if self.record().has_imports() => {
                return Err(RunError::NotYet {
                    what: "the plan was edited after the first import was requested, so the tables would not be of one plan".into(),
                    next: "restore the plan; or delete the imported tables, and begin anew with another folder (--to) and the same \
                           export (--export)"
                        .into(),
                });
            }
            Some(shaping) => shaping.attempt + 1,
            None => 1,
        };
        let shaping = ShapingRecord {
            attempt,
            plan,
            file_bytes: self.options.file_bytes,
            compression: self.options.compression,
            report: None,
        };
        let begun = shaping.clone();
        self.journal.change(|record| record.shaping = Some(begun)).await?;
        Ok(shaping)
    }

    /// The folder of the shaped files. Each attempt has its own, so that files of two plans are never mixed.
    pub(super) fn shaped_folder(&self, attempt: u32) -> String {
        self.options.to.key(&format!("shaped-{attempt}/"))
    }

    /// Shapes the files that no earlier process has.
    async fn shape_files(&self, shaper: &Arc<Shaper>) -> Result<(), RunError> {
        let done = unless_stopped(self.stop, shaper.done()).await?;
        let all = shaper.export.files.len();
        let left: Vec<usize> = (0..all).filter(|at| !done.contains(at)).collect();
        let (left, next) = (Arc::new(left), Arc::new(AtomicUsize::new(0)));
        let finished = Arc::new(AtomicUsize::new(all - left.len()));
        let mut tasks = JoinSet::new();
        for _ in 0..self.options.workers.clamp(1, left.len().max(1)) {
            let (shaper, left) = (Arc::clone(shaper), Arc::clone(&left));
            let (next, finished) = (Arc::clone(&next), Arc::clone(&finished));
            tasks.spawn(async move {
                while let Some(at) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                    shaper.file(*at).await?;
                    finished.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, RunError>(())
            });
        }
        let counting = async {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(10)).await;
                let finished = finished.load(Ordering::Relaxed);
                (self.tell)(&format!("shaped {finished} of {all} files"));
            }
        };
        let work = async {
            while let Some(ended) = tasks.join_next().await {
                ended
                    .map_err(|error| RunError::Failed(format!("a part of the shaping failed: {error}")))??;
            }
            Ok::<_, RunError>(())
        };
        tokio::select! {
            biased;
            done = unless_stopped(self.stop, work) => done?,
            () = counting => {}
        }
        (self.tell)(&format!("shaped all {all} files of the export"));
        Ok(())
    }

    /// The records of all files of the export.
    pub(super) async fn file_records(
        &self,
        shaper: &Shaper,
    ) -> Result<BTreeMap<usize, FileRecord>, RunError> {
        let reads = futures::stream::iter(0..shaper.export.files.len())
            .map(|at| async move { Ok::<_, RunError>((at, shaper.record(at).await?)) })
            .buffer_unordered(READS_AT_ONCE);
        unless_stopped(self.stop, reads.try_collect::<BTreeMap<_, _>>()).await
    }
}

fn refuse_many(report: &Report) -> Result<(), RunError> {
    let many = report
        .services
        .iter()
        .find(|service| service.files > MOST_OBJECTS as u64);
    let Some(service) = many else { return Ok(()) };
    Err(RunError::NotYet {
        what: format!(
            "{} has {} objects, and an import takes {MOST_OBJECTS}",
            service.service, service.files
        ),
        next:
            "begin anew with another folder (--to), the same export (--export) and larger files (--file-size)"
                .into(),
    })
}

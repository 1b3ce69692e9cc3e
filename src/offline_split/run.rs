//! The command: which steps are left, in their order.

use super::begin::Begin;
use super::task::{OfflineOptions, OfflineSplit, Step, plan_identity};
use crate::offline::Report;
use crate::state::{ImportPhase, ImportRecord};
use crate::verify::AtRestResult;
use crate::worker::{RunError, Split};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// What an offline split has done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OfflineReport {
    /// The folder.
    pub folder: String,
    /// The last step that is complete.
    pub step: Option<Step>,
    /// The export.
    pub export: Option<String>,
    /// Its export time, in milliseconds since 1970.
    pub export_time_ms: Option<u64>,
    /// What was shaped.
    pub shaped: Option<Report>,
    /// The tables.
    pub tables: Vec<OfflineTable>,
    /// The comparison of this command.
    pub comparison: Option<AtRestResult>,
    /// Everything is done, and it is clean.
    pub done: bool,
}

/// A table of an offline split.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OfflineTable {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// How far it is; `None`: it is not requested yet.
    pub phase: Option<ImportPhase>,
    /// Remarks about the engine.
    pub notes: Vec<String>,
}

impl<'a> OfflineSplit<'a> {
    /// Does the steps up to this one that are not done. Run again after an interruption, it continues.
    ///
    /// # Errors
    /// If a step is refused or fails. The message says what to do; the same command then continues.
    pub async fn run(
        split: &'a Split,
        options: &'a OfflineOptions,
        steps: (Step, Step),
        stop: &'a CancellationToken,
        tell: &'a (dyn Fn(&str) + Sync),
    ) -> Result<OfflineReport, RunError> {
        let (first, last) = steps;
        let begin = Begin {
            split,
            options,
            stop,
            tell,
        };
        let mut this = Box::pin(begin.open(first)).await?;
        if this.record().finished_ms.is_some() {
            return Ok(this.report());
        }
        for step in Step::ALL {
            if step > last {
                break;
            }
            if step < first {
                this.refuse_without(step)?;
                continue;
            }
            match step {
                Step::Export => Box::pin(this.export()).await?,
                Step::Shape => Box::pin(this.shape()).await?,
                Step::Import => Box::pin(this.import()).await?,
                Step::Verify => Box::pin(this.verify()).await?,
            }
            if step == Step::Shape && this.refused() > 0 {
                // One such item makes a whole import fail, and an item that belongs to nobody would be lost.
                break;
            }
        }
        Ok(this.report())
    }

    /// How far an offline split is. Changes nothing.
    ///
    /// # Errors
    /// If the journal cannot be read, or there is none.
    pub async fn look(
        split: &'a Split,
        options: &'a OfflineOptions,
        stop: &'a CancellationToken,
        tell: &'a (dyn Fn(&str) + Sync),
    ) -> Result<OfflineReport, RunError> {
        let begin = Begin {
            split,
            options,
            stop,
            tell,
        };
        Ok(Box::pin(begin.look()).await?.report())
    }

    /// Refuses a step if one before it is not done.
    fn refuse_without(&self, step: Step) -> Result<(), RunError> {
        let record = self.record();
        let plan = plan_identity(&self.split.plan);
        let shaped = record
            .shaping
            .as_ref()
            .filter(|shaping| shaping.report.is_some() && shaping.plan == plan);
        let is_ready = |import: &ImportRecord| import.phase == ImportPhase::Ready;
        let is_done = match step {
            Step::Export => record.export.found.is_some(),
            Step::Shape => shaped.is_some(),
            Step::Import => {
                let names = self.split.plan.services.iter().map(|service| &service.name);
                names
                    .into_iter()
                    .all(|name| record.imports.get(name).is_some_and(is_ready))
            }
            Step::Verify => true,
        };
        if is_done && step == Step::Shape && self.refused() > 0 {
            return Err(RunError::NotYet {
                what: "items were refused, which no table would get".into(),
                next: format!(
                    "correct the plan, and run `dynasplit offline shape --to s3://{}`, which shapes the same export again",
                    self.options.to.path()
                ),
            });
        }
        if is_done {
            return Ok(());
        }
        let to = self.options.to.path();
        let (what, next) = match step {
            Step::Export => (
                "the export is not complete",
                format!("run `dynasplit offline export --to s3://{to}` first"),
            ),
            Step::Shape => (
                "the export is not shaped with this plan",
                format!("run `dynasplit offline shape --to s3://{to}` first"),
            ),
            Step::Import | Step::Verify => (
                "the tables are not imported",
                format!("run `dynasplit offline import --to s3://{to}` first"),
            ),
        };
        Err(RunError::NotYet {
            what: what.into(),
            next,
        })
    }

    /// Items that no table can hold.
    fn refused(&self) -> u64 {
        let shaping = self.record().shaping.as_ref();
        let report = shaping.and_then(|shaping| shaping.report.as_ref());
        report.map_or(0, Report::refused_items)
    }

    fn report(&self) -> OfflineReport {
        let record = self.record();
        let shaped = record.shaping.as_ref().and_then(|shaping| shaping.report.clone());
        let tables: Vec<OfflineTable> = self
            .split
            .plan
            .services
            .iter()
            .map(|service| {
                let import = record.imports.get(&service.name);
                OfflineTable {
                    service: service.name.clone(),
                    table: service.table.name.clone(),
                    phase: import.map(|import| import.phase),
                    notes: import.map(|import| import.notes.clone()).unwrap_or_default(),
                }
            })
            .collect();
        let are_ready = tables.iter().all(|table| table.phase == Some(ImportPhase::Ready));
        let is_verified = record.verified.as_ref().is_some_and(|verified| verified.clean);
        let export = record.export.found.as_ref();
        let step = match (&export, &shaped) {
            (Some(_), Some(_)) if are_ready && is_verified => Some(Step::Verify),
            (Some(_), Some(_)) if are_ready => Some(Step::Import),
            (Some(_), Some(_)) => Some(Step::Shape),
            (Some(_), None) => Some(Step::Export),
            (None, _) => None,
        };
        OfflineReport {
            folder: self.options.to.to_string(),
            step,
            export: export.map(|export| export.arn.clone()),
            export_time_ms: export.map(|export| export.export_time_ms),
            shaped,
            tables,
            done: record.finished_ms.is_some(),
            comparison: self.comparison.clone(),
        }
    }
}

//! The comparison: every table with the live source, or with a later export of it.

use super::record::VerifiedRecord;
use super::task::OfflineSplit;
use crate::backfill::load_export;
use crate::fault;
use crate::model::moment;
use crate::s3::Export;
use crate::source::present;
use crate::state::UNDEFINED_MS;
use crate::verify::AtRest;
use crate::worker::{RunError, unless_stopped};

impl OfflineSplit<'_> {
    /// The tables hold exactly what the source holds. Then TTL is switched on, and the split is done.
    pub(super) async fn verify(&mut self) -> Result<(), RunError> {
        let source = present(&self.split.source.control, &self.split.plan.source.table);
        let source = unless_stopped(self.stop, source).await?;
        let (export, at_ms) = match &self.options.against {
            None => (None, source.at_ms),
            Some(place) => {
                let region = self.options.region.as_deref();
                let export = unless_stopped(self.stop, load_export(self.split, place, region)).await?;
                self.refuse_copied(&export)?;
                let at_ms = export.summary.export_time_ms.saturating_sub(UNDEFINED_MS);
                (Some(export), at_ms)
            }
        };
        let named = export.as_ref().map(|export| export.summary.arn.clone());
        (self.tell)(&match &named {
            None => "comparing the tables with the source".to_owned(),
            Some(export) => format!(
                "comparing the tables with the export {export}, which has every write from before {}",
                moment(at_ms)
            ),
        });
        let comparison = AtRest {
            split: self.split.clone(),
            export,
            limit: self.options.limit,
            stop: self.stop.clone(),
        };
        let result = Box::pin(comparison.run()).await?;
        let verified = VerifiedRecord {
            at_ms,
            export: named,
            clean: result.clean,
            mismatches: result.total_mismatches,
        };
        self.journal
            .change(|record| record.verified = Some(verified))
            .await?;
        fault::moment("offline.verified").await;
        let is_clean = result.clean;
        self.comparison = Some(result);
        if is_clean {
            self.switch_ttl_on().await?;
            let now_ms = self.split.now_ms();
            self.journal
                .change(|record| record.finished_ms = Some(now_ms))
                .await?;
        }
        Ok(())
    }

    /// The export that was copied proves nothing: what it lacks is in no table, and in neither side of such a comparison.
    fn refuse_copied(&self, export: &Export) -> Result<(), RunError> {
        let copied = self.record().export.found.as_ref();
        let earliest = copied.map_or(0, |copied| copied.export_time_ms.saturating_add(2 * UNDEFINED_MS));
        if export.summary.export_time_ms >= earliest {
            return Ok(());
        }
        Err(RunError::NotYet {
            what: format!(
                "the export {} of {} is the one that was copied, or not two minutes later than it, so a comparison with it shows no write \
                 that was too late",
                export.summary.arn,
                moment(export.summary.export_time_ms)
            ),
            next: "leave out --against, to read the source, or request a later export".into(),
        })
    }
}

//! What a cutover of each service would refuse now, for the days before it. Nothing is changed.

use super::objection::{Check, Objection};
use super::tried::tried;
use super::{capacity, ready};
use crate::source::describe_source;
use crate::state::{ChartRecord, CutoverPhase, SplitRecord};
use crate::target::throughput;
use crate::worker::{RunError, Split};
use serde::Serialize;

/// How a service is prepared for its cutover.
#[derive(Clone, Debug, Serialize)]
pub struct Preparation {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// What a cutover would refuse now.
    pub refused: Vec<Objection>,
    /// What it would not refuse, and what may go wrong.
    pub warnings: Vec<Objection>,
    /// What cannot be tried without an effect.
    pub untried: Vec<String>,
    /// The most write units per second that its lane used between two samples of the chart, if there are any.
    pub peak_write_units: Option<u64>,
}

/// Looks at each service that writes the source, and tries what its cutover needs. The split has begun.
///
/// # Errors
/// If the state or a table cannot be read.
pub async fn preparations(split: &Split) -> Result<Vec<Preparation>, RunError> {
    if !split.plan.has_cutover() {
        return Ok(Vec::new());
    }
    let record = SplitRecord::read(&split.store).await?.value;
    let mut found = Vec::new();
    for (service, _) in split.services() {
        let phase = record.cutover_phase(&service.name);
        let writes_source =
            phase == CutoverPhase::Replicating && !record.switched.contains_key(&service.name);
        if writes_source && record.completed_ms.is_none() {
            found.push(Box::pin(preparation(split, &service.name)).await?);
        }
    }
    Ok(found)
}

/// Looks at one service.
///
/// # Errors
/// If the state or a table cannot be read.
pub(super) async fn preparation(split: &Split, name: &str) -> Result<Preparation, RunError> {
    let (service, tables) = split.target(name).ok_or_else(|| RunError::NoSuchService {
        service: name.to_owned(),
        known: split.plan.service_names().join(", "),
    })?;
    let mut found = Preparation {
        service: name.to_owned(),
        table: service.table.name.clone(),
        refused: ready::objections(split, service).await?,
        warnings: Vec::new(),
        untried: Vec::new(),
        peak_write_units: None,
    };
    // A service that never goes that way needs nothing.
    if found
        .refused
        .iter()
        .any(|objection| objection.check == Check::Reversible)
    {
        return Ok(found);
    }
    let source = describe_source(&split.source.control, &split.plan.source.table).await?;
    let target = describe_source(&tables.control, &service.table.name).await?;
    let tried = tried(split, (service, tables), (&source, &target)).await;
    found.refused.extend(tried.refused);
    found.warnings.extend(tried.warnings);
    found.untried.extend(tried.untried);
    let chart = ChartRecord::read(&split.store).await?.value;
    if let Some(peak) = capacity::peak(&chart.samples, name) {
        if let Some(serves) = throughput(&tables.control, &service.table.name).await? {
            found.warnings.extend(capacity::too_small(service, &serves, peak));
        }
        found.peak_write_units = Some(capacity::whole(peak));
    }
    Ok(found)
}

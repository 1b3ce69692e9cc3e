//! What refuses a prune.

use crate::dynamo::{Tables, point_in_time_recovery};
use crate::model::counted;
use crate::plan::{Owns, Service};
use crate::s3::{ExportStatus, describe_export};
use crate::source::{SourceFacts, describe_source};
use crate::state::{DeadLetters, PruneSide, SplitRecord, UNDEFINED_MS};
use crate::status::{ObstacleKind, split_status};
use crate::worker::{RunError, Split};
use serde::Serialize;

/// Options of `prune`.
#[derive(Clone, Debug, Default)]
pub struct PruneOptions {
    /// Which table: the source, or the service's own.
    pub side: PruneSide,
    /// Count, and delete nothing.
    pub dry_run: bool,
    /// Delete although there is no backup.
    pub no_backup: bool,
    /// The ARN of an export of the table, which counts as a backup.
    pub export: Option<String>,
    /// Delete although writes of others are only in the source.
    pub lose_late_writes: bool,
    /// Most read units a second on the table.
    pub read_units: Option<f64>,
    /// Most write units a second on the table.
    pub write_units: Option<f64>,
}

/// The backup of the table that there is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "arn")]
pub enum Backup {
    /// Point-in-time recovery is on.
    PointInTimeRecovery,
    /// An export from after the end of the service's way back.
    Export(String),
    /// There is none.
    None,
}

/// Refuses a service that is not completed, or of which nothing is to be deleted.
pub(super) fn allowed<'a>(
    split: &'a Split,
    record: &SplitRecord,
    service: &str,
    side: PruneSide,
) -> Result<&'a Service, RunError> {
    let planned = split
        .plan
        .service(service)
        .ok_or_else(|| RunError::NoSuchService {
            service: service.to_owned(),
            known: split.plan.service_names().join(", "),
        })?;
    if side == PruneSide::Target && planned.irrelevant.is_none() {
        return Err(RunError::Failed(format!(
            "the plan declares no items in {} as irrelevant, so none of them can be deleted. Add `irrelevant` to {service}, which needs \
             `copy: everything`",
            planned.table.name
        )));
    }
    if side == PruneSide::Source && *planned.owns() != Owns::Items {
        return Err(RunError::Failed(format!(
            "{service} does not own its items (`owns` in the plan), so none of them can be deleted for it. Prune the service that owns \
             them"
        )));
    }
    if record.has_ended(service) {
        return Ok(planned);
    }
    Err(RunError::NotYet {
        what: match side {
            PruneSide::Source => {
                format!("{service} is not completed, so the source may still be needed for it")
            }
            PruneSide::Target => format!(
                "{service} is not completed, so its table may still receive items from the source, or lose some to a rollback"
            ),
        },
        next: if record.cutover_phase(service).carries_back() {
            format!("run `dynasplit complete --service {service} --yes` when nobody goes back any more")
        } else {
            format!(
                "move it with `dynasplit cutover --service {service} --yes` and end it with `dynasplit complete --service {service} \
                 --yes`, or end the whole split with `dynasplit complete --yes`"
            )
        },
    })
}

/// The table that is pruned, its backup, and every reason against deleting anything now.
pub(super) async fn backup(
    split: &Split,
    record: &SplitRecord,
    service: &Service,
    options: &PruneOptions,
) -> Result<(Backup, Vec<String>), RunError> {
    let (tables, table) = place(split, service, options.side);
    let facts = describe_source(&tables.control, table).await?;
    let mut refused = by_table(&facts);
    if options.side == PruneSide::Source {
        refused.extend(only_in_source(split, &service.name, options).await?);
    }
    let (found, problem) = found(tables, record, &facts, service, options).await?;
    if found == Backup::None && !options.no_backup {
        let named = match options.side {
            PruneSide::Source => "the source",
            PruneSide::Target => table,
        };
        let what = problem.unwrap_or_else(|| format!("point-in-time recovery of {} is off", facts.table));
        refused.push(format!(
            "there is no backup of {named}: {what}. Enable point-in-time recovery, name an export of {named} with --export, or \
             add --no-backup"
        ));
    }
    Ok((found, refused))
}

/// The table that is pruned, with its client.
fn place<'a>(split: &'a Split, service: &'a Service, side: PruneSide) -> (&'a Tables, &'a str) {
    match (side, split.target(&service.name)) {
        (PruneSide::Target, Some((_, tables))) => (tables, &service.table.name),
        _ => (&split.source, &split.plan.source.table),
    }
}

async fn found(
    tables: &Tables,
    record: &SplitRecord,
    facts: &SourceFacts,
    service: &Service,
    options: &PruneOptions,
) -> Result<(Backup, Option<String>), RunError> {
    if let Some(arn) = &options.export {
        let problem = match exported(tables, record, facts, &service.name, arn).await? {
            None => return Ok((Backup::Export(arn.clone()), None)),
            Some(problem) => problem,
        };
        return Ok((Backup::None, Some(problem)));
    }
    Ok(
        match point_in_time_recovery(&tables.control, &facts.table).await? {
            Some(true) => (Backup::PointInTimeRecovery, None),
            Some(false) => (Backup::None, None),
            None => {
                let what = "this engine does not say whether point-in-time recovery is on".to_owned();
                (Backup::None, Some(what))
            }
        },
    )
}

/// Why an export is no backup of a service's items.
async fn exported(
    tables: &Tables,
    record: &SplitRecord,
    facts: &SourceFacts,
    service: &str,
    arn: &str,
) -> Result<Option<String>, RunError> {
    if !arn.starts_with(&format!("{}/export/", facts.arn)) {
        return Ok(Some(format!("{arn} is no export of {}", facts.arn)));
    }
    let described = describe_export(&tables.control, arn).await?;
    if described.status != ExportStatus::Completed {
        return Ok(Some(format!("the export {arn} is not complete")));
    }
    let ended_ms = record.ended_ms(service);
    let is_late = |time_ms: u64| ended_ms.is_some_and(|ended| time_ms >= ended + UNDEFINED_MS);
    if described.export_time_ms.is_some_and(is_late) {
        return Ok(None);
    }
    Ok(Some(format!(
        "the export {arn} is from before the end of {service}, so it may lack later writes"
    )))
}

fn by_table(facts: &SourceFacts) -> Vec<String> {
    if !facts.is_global() {
        return Vec::new();
    }
    vec![format!(
        "{} is a global table: a condition sees only the writes of its own region, so an item that changes in another region could \
         be deleted",
        facts.table
    )]
}

/// Writes that are in the source and in no table of a service.
async fn only_in_source(
    split: &Split,
    service: &str,
    options: &PruneOptions,
) -> Result<Vec<String>, RunError> {
    let mut found = Vec::new();
    let letters = DeadLetters::new(split.store.clone()).list(Some(service)).await?;
    if !letters.is_empty() {
        found.push(format!(
            "{} of {service} never landed in its table. Run `dynasplit dead-letters discard --service {service}` when you have applied them there",
            counted(letters.len() as u64, "dead letter")
        ));
    }
    if options.lose_late_writes {
        return Ok(found);
    }
    let strays = DeadLetters::strays(split.store.clone())
        .list(Some(service))
        .await?;
    if !strays.is_empty() {
        found.push(format!(
            "{} of others to the source's items of {service} are not in its table (`dynasplit reverse list --service {service}`). If \
             they do not matter, add --lose-late-writes",
            counted(strays.len() as u64, "write")
        ));
    }
    let status = split_status(split).await?;
    let late = status.obstacles.iter().filter(|obstacle| {
        obstacle.kind == ObstacleKind::WrittenAfterSwitch && obstacle.service.as_deref() == Some(service)
    });
    found.extend(late.map(|obstacle| {
        format!(
            "{}, and these writes are not in its table. If they do not matter, add --lose-late-writes",
            obstacle.what
        )
    }));
    Ok(found)
}

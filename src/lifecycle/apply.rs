//! The lifecycle step `apply`: creates the state table, the stream, the targets and the records of a split.

use super::for_import::{leave_to_import, refuse_import};
use super::ledger_of_plan::{take_ledger_over, try_ledger};
use crate::ledger::LedgerBucket;
use crate::plan::Service;
use crate::source::{StreamState, check_keys, describe_source, ensure_stream, stream_state};
use crate::state::{RepairScope, ServiceRecord, SplitRecord, StateError, cut_over};
use crate::target::{
    TableEvent, TableFinding, TableStream, TargetError, ensure, inspect, is_empty, table_id,
};
use crate::worker::{
    PlanChange, RunError, SettingChange, Split, check_left_out, completed, plan_change, refuse_abandoned,
    services,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What `apply` did.
#[derive(Clone, Debug, Serialize)]
pub struct ApplyReport {
    /// The state table.
    pub state_table: String,
    /// It was created now.
    pub state_created: bool,
    /// ARN of the source's stream.
    pub stream: String,
    /// It was switched on now.
    pub stream_enabled: bool,
    /// `left-behind` covers more than before, as of now.
    pub widened: Option<SettingChange>,
    /// What was found of the bucket of the ledger; without a ledger, the field is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<LedgerBucket>,
    /// The targets.
    pub tables: Vec<AppliedTable>,
}

/// What `apply` did with one target.
#[derive(Clone, Debug, Serialize)]
pub struct AppliedTable {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// It was created now.
    pub created: bool,
    /// It is left to an import, and does not exist yet.
    pub awaits_import: bool,
    /// Settings that were added now.
    pub added: Vec<String>,
    /// Operations that the engine does not know, and other remarks.
    pub notes: Vec<String>,
}

/// Options of `apply`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyOptions {
    /// Switch the source's stream on again although the split has read one before. Writes while it was off are in no
    /// stream, so the tail must be restarted and the targets repaired.
    pub enable_stream: bool,
    /// Create no tables: `backfill --order import` makes them.
    pub for_import: bool,
}

/// Creates what is missing. It checks everything before it creates anything, so that no known problem leaves half of
/// the tables.
///
/// # Errors
/// With every problem that was found.
pub async fn apply(
    split: &Split,
    options: ApplyOptions,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<ApplyReport, RunError> {
    let known = Box::pin(look(split, options)).await?;
    let ledger = try_ledger(split).await?;
    let state_created = split.store.ensure_table(&split.source.control).await?;
    if state_created {
        tell(&format!("created the state table {}", split.plan.state_table));
    }
    let stream = ensure_stream(&split.source.control, &split.plan.source.table).await?;
    if stream.enabled_now {
        tell(&format!("switched the stream of {} on", split.plan.source.table));
    }
    record_split(split, &stream.arn).await?;
    record_settings(split, known.widened.is_some()).await?;
    let with_events: BTreeSet<&str> = split
        .plan
        .with_events()
        .map(|(service, _)| service.name.as_str())
        .collect();
    if SplitRecord::read(&split.store)
        .await?
        .value
        .set_events(&with_events)
    {
        SplitRecord::change(&split.store, |record| _ = record.set_events(&with_events)).await?;
        tell(&match with_events.is_empty() {
            true => "no service sends events any more".to_owned(),
            false => format!(
                "services that send events: {}",
                with_events.iter().copied().collect::<Vec<_>>().join(", ")
            ),
        });
    }
    take_ledger_over(split, &ledger, tell).await?;
    for (service, table) in &known.lost {
        // Before the table is created: a process that dies in between leaves the duty behind.
        let reason = format!("{table} was missing and was created again");
        SplitRecord::change(&split.store, |record| {
            record.require_repair(&reason, [service.as_str()], RepairScope::LostChanges);
        })
        .await?;
    }
    if options.for_import {
        leave_to_import(split, &known.awaiting_import).await?;
    }
    let mut tables = Vec::new();
    for (service, clients) in split.services() {
        if known.awaiting_import.contains(&service.name) {
            if !known.services.contains(&service.name) {
                record_service(split, service).await?;
            }
            record_names(split, &known, service).await?;
            tables.push(AppliedTable {
                service: service.name.clone(),
                table: service.table.name.clone(),
                created: false,
                awaits_import: true,
                added: Vec::new(),
                notes: Vec::new(),
            });
            continue;
        }
        if known.switched.contains(&service.name) {
            // The table is the service's own now: nothing of it is compared or changed.
            continue;
        }
        let observer = |event: TableEvent<'_>| {
            if matches!(event, TableEvent::Creating { .. }) {
                tell(&format!(
                    "creating table {} for {}",
                    service.table.name, service.name
                ));
            }
        };
        let ensured = ensure(
            &clients.control,
            &service.table,
            &service.keys,
            &service.indexes,
            known.stream_of(&service.name),
            &observer,
        )
        .await?;
        if !known.services.contains(&service.name) {
            record_service(split, service).await?;
        }
        if ensured.created {
            let id = table_id(&clients.control, &service.table.name).await?;
            record_created(split, service, &ensured.arn, id.flatten()).await?;
        }
        record_names(split, &known, service).await?;
        tables.push(AppliedTable {
            service: service.name.clone(),
            table: service.table.name.clone(),
            created: ensured.created,
            awaits_import: false,
            added: ensured.added.iter().map(ToString::to_string).collect(),
            notes: ensured.notes,
        });
    }
    Ok(ApplyReport {
        state_table: split.plan.state_table.clone(),
        state_created,
        stream: stream.arn,
        stream_enabled: stream.enabled_now,
        widened: known.widened,
        ledger: ledger.bucket,
        tables,
    })
}

/// Writes the names of the services down, also of those that were known: an earlier version did not.
async fn record_names(split: &Split, known: &Known, service: &Service) -> Result<(), RunError> {
    SplitRecord::change(&split.store, |record| {
        // A service that was given up at the same moment stays given up.
        let names = known.services.iter().chain([&service.name]);
        let kept: Vec<String> = names
            .filter(|name| !record.abandoned.contains_key(*name))
            .cloned()
            .collect();
        record.services.extend(kept);
    })
    .await?;
    Ok(())
}

/// The facts that the split has already recorded.
struct Known {
    services: BTreeSet<String>,
    /// Tables that held items of the split, and are missing.
    lost: Vec<(String, String)>,
    /// `left-behind` of the plan covers more than the split recorded.
    widened: Option<SettingChange>,
    /// Services that have switched: their tables are not compared or changed.
    switched: BTreeSet<String>,
    /// Services that are being cut over, or were: the streams of their tables are on.
    cut_over: BTreeSet<String>,
    /// Services whose tables are left to an import, now or before.
    awaiting_import: BTreeSet<String>,
}

impl Known {
    fn stream_of(&self, service: &str) -> TableStream {
        stream_of(&self.cut_over, service)
    }
}

fn stream_of(cut_over: &BTreeSet<String>, service: &str) -> TableStream {
    match cut_over.contains(service) {
        true => TableStream::WayBack,
        false => TableStream::Unused,
    }
}

/// Looks at everything, and changes nothing.
async fn look(split: &Split, options: ApplyOptions) -> Result<Known, RunError> {
    let source = &split.plan.source;
    check_keys(
        &source.keys,
        &describe_source(&split.source.control, &source.table).await?,
    )?;
    let stream = stream_state(&split.source.control, &source.table).await?;
    // The error of another view type comes from here too; nothing is changed by asking.
    if let StreamState::WrongView { .. } = stream {
        ensure_stream(&split.source.control, &source.table).await?;
    }
    let (record, known, change) = known_services(split).await?;
    let switched: BTreeSet<String> = record
        .iter()
        .flat_map(|record| record.switched.keys().cloned())
        .collect();
    let cut_over = match &record {
        Some(_) => cut_over(&split.store).await?,
        None => BTreeSet::new(),
    };
    let mut awaiting_import = record
        .as_ref()
        .map_or_else(BTreeSet::new, |record| record.awaiting_import.clone());
    if options.for_import {
        refuse_import(split, record.is_some()).await?;
        let new = split.services().map(|(service, _)| &service.name);
        awaiting_import.extend(new.filter(|name| !switched.contains(*name)).cloned());
    }
    let captured =
        record.is_some_and(|record| record.streams.iter().any(|stream| stream.captured_ms.is_some()));
    if stream == StreamState::Off && captured && !options.enable_stream {
        return Err(RunError::NotYet {
            what: format!(
                "the stream of {} is off, and the split has read it before, so later writes are in no \
                 stream",
                source.table
            ),
            next: "if the source is at rest, leave it off and go on (`dynasplit status` names the next \
                 command); to replicate again, `dynasplit apply --enable-stream`, then run `dynasplit \
                 replicate --restart-tail`, then `dynasplit verify --repair`"
                .into(),
        });
    }
    let mut lost = Vec::new();
    let mut problems = Vec::new();
    for (service, clients) in split.services() {
        if switched.contains(&service.name) || awaiting_import.contains(&service.name) {
            continue;
        }
        let stream = stream_of(&cut_over, &service.name);
        let finding = inspect(
            &clients.control,
            &service.table,
            &service.keys,
            &service.indexes,
            stream,
        )
        .await;
        match finding {
            Err(error) => problems.push(error),
            Ok(TableFinding::Differs(differences)) => problems.push(TargetError::Differs {
                table: service.table.name.clone(),
                adopted: service.table.adopted,
                differences,
            }),
            Ok(TableFinding::Missing) if service.table.adopted => {
                problems.push(TargetError::AdoptedMissing {
                    table: service.table.name.clone(),
                });
            }
            Ok(TableFinding::Missing) => {
                if known
                    .get(&service.name)
                    .is_some_and(|record| record.captured_ms.is_some())
                {
                    lost.push((service.name.clone(), service.table.name.clone()));
                }
            }
            Ok(TableFinding::Same { .. }) => {
                let may = service.table.may_hold_items || known.contains_key(&service.name);
                // Sent again by the SDK: nothing else would.
                if !may && !is_empty(&clients.control, &service.table.name).await? {
                    problems.push(TargetError::NotEmpty {
                        service: service.name.clone(),
                        table: service.table.name.clone(),
                    });
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(Known {
            services: known.into_keys().collect(),
            switched,
            cut_over,
            awaiting_import,
            lost,
            widened: change.widened,
        })
    } else {
        Err(RunError::Targets { problems })
    }
}

/// The split's record, the services that are part of the split, and the changes of the plan. Refuses a plan that was
/// edited while the split runs, and a split that is over.
async fn known_services(
    split: &Split,
) -> Result<(Option<SplitRecord>, BTreeMap<String, ServiceRecord>, PlanChange), RunError> {
    if !split.store.exists(&split.source.control).await? {
        return Ok(Default::default());
    }
    let record = match SplitRecord::read(&split.store).await {
        Ok(stored) => stored.value,
        Err(StateError::NotApplied { .. }) => return Ok(Default::default()),
        Err(error) => return Err(error.into()),
    };
    refuse_abandoned(&split.plan, &record)?;
    if record.completed_ms.is_some() {
        return Err(completed(split));
    }
    if record.completing_ms.is_some() {
        return Err(RunError::NotYet {
            what: "the split is being completed, so nothing is added to it".into(),
            next: "run `dynasplit complete --yes` until it ends".into(),
        });
    }
    let known = services(split).await?;
    let change = plan_change(&split.plan, &record, &known);
    if change.is_edited() {
        return Err(RunError::edited(change, split));
    }
    check_left_out(&split.plan, &known)?;
    if let Some(change) = change.outdated {
        return Err(RunError::Outdated {
            change: Box::new(change),
        });
    }
    let known = known
        .into_iter()
        .map(|record| (record.name.clone(), record))
        .collect();
    Ok((Some(record), known, change))
}

async fn record_split(split: &Split, arn: &str) -> Result<(), RunError> {
    let record = SplitRecord::beginning(&split.plan, arn, split.now_ms());
    match split.store.put(SplitRecord::NAME, record, 0).await {
        Ok(_) | Err(StateError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    // A stream that was replaced before anybody read the first one is no gap.
    SplitRecord::change(&split.store, |record| {
        if let [stream] = record.streams.as_mut_slice()
            && stream.captured_ms.is_none()
        {
            arn.clone_into(&mut stream.arn);
        }
    })
    .await?;
    Ok(())
}

/// Records a `left-behind` that was widened, and the settings of a split that an older version began.
async fn record_settings(split: &Split, widened: bool) -> Result<(), RunError> {
    let plan = &split.plan;
    let fingerprint = plan.fingerprint();
    let is_recorded = |record: &SplitRecord| record.fingerprint == fingerprint;
    let record = SplitRecord::read(&split.store).await?.value;
    if !is_recorded(&record) || record.settings.is_empty() {
        let record = SplitRecord::change(&split.store, |record| {
            let change = plan_change(plan, record, &[]);
            if is_recorded(record) {
                record.settings = plan.settings();
            } else if widened && change.widened.is_some() && !change.is_edited() {
                record.widen(&fingerprint, plan.settings());
            }
        })
        .await?;
        if !is_recorded(&record) {
            return Err(RunError::NotYet {
                what: format!(
                    "another `dynasplit apply` recorded another plan of the split '{}' at the same time",
                    plan.split
                ),
                next: "make sure that all use the newest plan, then run `dynasplit apply` again".into(),
            });
        }
    }
    for service in &plan.services {
        let name = ServiceRecord::record_name(&service.name);
        let Some(stored) = split.store.get::<ServiceRecord>(&name).await? else {
            continue;
        };
        let mut record = stored.value;
        if record.settings.is_empty() && record.fingerprint == service.fingerprint {
            record.settings = service.settings();
            match split.store.put(&name, record, stored.revision).await {
                // The process that changed it continues with it; the next `apply` adds the settings.
                Ok(_) | Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Notes that the table did not exist before the split: only then may `abandon` delete it.
async fn record_created(
    split: &Split,
    service: &Service,
    arn: &str,
    id: Option<String>,
) -> Result<(), RunError> {
    let name = ServiceRecord::record_name(&service.name);
    split
        .store
        .change::<ServiceRecord, RunError>(&name, |found| {
            let mut record = found.unwrap_or_else(|| ServiceRecord::beginning(service));
            record.created = true;
            record.created_arn = Some(arn.to_owned());
            record.created_id.clone_from(&id);
            Ok(record)
        })
        .await?;
    Ok(())
}

async fn record_service(split: &Split, service: &Service) -> Result<(), RunError> {
    if service.table.may_hold_items {
        let reason = format!("{} may hold items from before the split", service.table.name);
        SplitRecord::change(&split.store, |record| {
            record.require_repair(&reason, [service.name.as_str()], RepairScope::AnyItem);
        })
        .await?;
    }
    let record = ServiceRecord::beginning(service);
    match split
        .store
        .put(&ServiceRecord::record_name(&service.name), record, 0)
        .await
    {
        Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

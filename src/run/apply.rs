use super::checks::{same, services};
use super::error::RunError;
use super::split::{Split, now_ms};
use crate::plan::Service;
use crate::source::{StreamState, check_keys, describe_source, ensure_stream, stream_state};
use crate::state::{STATE_FORMAT, ServiceRecord, SplitRecord, StateError, StreamRecord, Switch};
use crate::target::{TableEvent, TableFinding, TargetError, ensure, inspect, is_empty};
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
    /// Settings that were added now.
    pub added: Vec<String>,
    /// What the engine does not know, and other remarks.
    pub notes: Vec<String>,
}

/// Creates what is missing. Everything is looked at before anything is created, so that nothing is half done for
/// a reason that could have been known.
///
/// # Errors
/// With everything that is in the way.
pub async fn apply(split: &Split, tell: &(dyn Fn(&str) + Sync)) -> Result<ApplyReport, RunError> {
    let known = look(split).await?;
    let state_created = split.store.ensure_table(&split.source.control).await?;
    if state_created {
        tell(&format!("created the state table {}", split.plan.state_table));
    }
    let stream = ensure_stream(&split.source.control, &split.plan.source.table).await?;
    if stream.enabled_now {
        tell(&format!("switched the stream of {} on", split.plan.source.table));
    }
    record_split(split, &stream.arn).await?;
    for table in &known.lost {
        // Before the table is created: whoever dies in between leaves the duty behind.
        let reason = format!("{table} was gone, and is created anew");
        SplitRecord::change(&split.store, |record| {
            record.repair_required = Some(reason.clone())
        })
        .await?;
    }
    let mut tables = Vec::new();
    for (service, clients) in split.services() {
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
            &observer,
        )
        .await?;
        if !known.services.contains(&service.name) {
            record_service(split, service).await?;
        }
        tables.push(AppliedTable {
            service: service.name.clone(),
            table: service.table.name.clone(),
            created: ensured.created,
            added: ensured.added.iter().map(ToString::to_string).collect(),
            notes: ensured.notes,
        });
    }
    Ok(ApplyReport {
        state_table: split.plan.state_table.clone(),
        state_created,
        stream: stream.arn,
        stream_enabled: stream.enabled_now,
        tables,
    })
}

/// What the split knows already.
struct Known {
    services: BTreeSet<String>,
    /// Tables that held what was split, and are missing.
    lost: Vec<String>,
}

/// Looks at everything, and changes nothing.
async fn look(split: &Split) -> Result<Known, RunError> {
    let source = &split.plan.source;
    check_keys(
        &source.keys,
        &describe_source(&split.source.control, &source.table).await?,
    )?;
    // The error of another view type comes from here too; nothing is changed by asking.
    if let StreamState::WrongView { .. } = stream_state(&split.source.control, &source.table).await? {
        ensure_stream(&split.source.control, &source.table).await?;
    }
    let known = known_services(split).await?;
    let mut lost = Vec::new();
    let mut problems = Vec::new();
    for (service, clients) in split.services() {
        let finding = inspect(&clients.control, &service.table, &service.keys, &service.indexes).await;
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
                    lost.push(service.table.name.clone());
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
            lost,
        })
    } else {
        Err(RunError::Targets { problems })
    }
}

/// Services that are part of the split; refuses a plan that was edited in the middle.
async fn known_services(split: &Split) -> Result<BTreeMap<String, ServiceRecord>, RunError> {
    if !split.store.exists(&split.source.control).await? {
        return Ok(BTreeMap::new());
    }
    let record = match SplitRecord::read(&split.store).await {
        Ok(stored) => stored.value,
        Err(StateError::NotApplied { .. }) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    same(
        "the source",
        &record.fingerprint,
        &split.plan.fingerprint(),
        split,
    )?;
    let known = services(split).await?;
    for service in &split.plan.services {
        if let Some(record) = known.iter().find(|record| record.name == service.name) {
            same(
                &format!("the service '{}'", service.name),
                &record.fingerprint,
                &service.fingerprint,
                split,
            )?;
        }
    }
    Ok(known
        .into_iter()
        .map(|record| (record.name.clone(), record))
        .collect())
}

async fn record_split(split: &Split, arn: &str) -> Result<(), RunError> {
    let plan = &split.plan;
    let record = SplitRecord {
        format: STATE_FORMAT,
        split: plan.split.clone(),
        source: plan.source.table.clone(),
        fingerprint: plan.fingerprint(),
        streams: vec![StreamRecord {
            arn: arn.to_owned(),
            captured_ms: None,
            ended_ms: None,
            restarted_ms: None,
        }],
        switch: Switch::default(),
        repair_required: None,
        created_ms: now_ms(),
        completing_ms: None,
        completed_ms: None,
    };
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

async fn record_service(split: &Split, service: &Service) -> Result<(), RunError> {
    if service.table.may_hold_items {
        let reason = format!("{} may hold items from before the split", service.table.name);
        SplitRecord::change(&split.store, |record| {
            record.repair_required.get_or_insert_with(|| reason.clone());
        })
        .await?;
    }
    let record = ServiceRecord {
        name: service.name.clone(),
        table: service.table.name.clone(),
        fingerprint: service.fingerprint.clone(),
        captured_ms: None,
        captured_in: None,
        completed: false,
    };
    match split
        .store
        .put(&ServiceRecord::record_name(&service.name), record, 0)
        .await
    {
        Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

//! Gives up a service, or the whole split. Each step can be repeated, so an interrupted command continues if it is
//! run again.

use super::created_tables::{delete_created, refuse_other_tables};
use crate::fault;
use crate::repair::{RepairLease, backfill_runs, refuse_fenced};
use crate::source::{StreamState, disable_stream, stream_state};
use crate::state::{
    BackfillRecord, ImportPhase, ImportsRecord, LeaseWatch, SegmentRecord, ServiceImport, ServiceRecord,
    ShardRecord, SplitRecord, StateError, VerifyRecord, WorkerRecord,
};
use crate::worker::{ActivityNote, RunError, Split, pause, with_activity_notes};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What is deleted or switched off if a split is given up. Everything else is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AbandonOptions {
    /// The tables of the services, but for adopted ones.
    pub delete_targets: bool,
    /// The state table.
    pub delete_state: bool,
    /// The source's stream.
    pub disable_stream: bool,
}

/// A part of a split, and what happens to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AbandonedThing {
    /// `state table`, `stream`, or the service whose table it is.
    pub what: String,
    /// The table, or the table whose stream it is.
    pub table: String,
    /// In words.
    pub outcome: String,
}

/// Between two looks at workers.
const POLL: Duration = Duration::from_millis(300);

/// What would happen to every part of the split. Changes nothing.
#[must_use]
pub fn abandon_preview(split: &Split, options: AbandonOptions) -> Vec<AbandonedThing> {
    let mut things = Vec::new();
    let mut add = |what: &str, table: &str, outcome: &str| {
        things.push(AbandonedThing {
            what: what.to_owned(),
            table: table.to_owned(),
            outcome: outcome.to_owned(),
        });
    };
    let source = &split.plan.source.table;
    add(
        "stream",
        source,
        either(
            options.disable_stream,
            "is switched off",
            "stays on (--disable-stream)",
        ),
    );
    for service in &split.plan.services {
        let outcome = if service.table.adopted {
            "is kept: it is adopted"
        } else {
            either(options.delete_targets, "is deleted", "is kept (--delete-targets)")
        };
        add(&service.name, &service.table.name, outcome);
    }
    let state = either(options.delete_state, "is deleted", "is kept (--delete-state)");
    add("state table", &split.plan.state_table, state);
    things
}

fn either(yes: bool, so: &'static str, otherwise: &'static str) -> &'static str {
    if yes { so } else { otherwise }
}

/// Gives up the whole split: its workers end, no command continues it, and everything that the options name is
/// deleted or switched off. The state table is deleted last, so that an interrupted command can be repeated.
///
/// # Errors
/// If the split is completed and its tables were to be deleted, a repair runs, or something can't be reached.
pub async fn abandon(
    split: &Split,
    options: AbandonOptions,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<AbandonedThing>, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let begun = |record: &SplitRecord| {
        record.completing_ms.is_some() || record.completed_ms.is_some() || !record.switched.is_empty()
    };
    let refused = || RunError::NotYet {
        what: "the split was completed, or a service has switched, so tables belong to their services".into(),
        next: "leave out --delete-targets".into(),
    };
    if options.delete_targets && begun(&record) {
        return Err(refused());
    }
    if options.delete_targets {
        refuse_other_tables(split, None).await?;
        refuse_importing(split).await?;
    }
    if record.source != split.plan.source.table {
        return Err(RunError::NotYet {
            what: format!(
                "the split reads {}, and the plan {}",
                record.source, split.plan.source.table
            ),
            next: "give the plan that the split has".into(),
        });
    }
    refuse_fenced(&record, split.plan.service_names())?;
    let lease = RepairLease::take(split, stop).await?;
    let work = async {
        let record = SplitRecord::change(&split.store, |record| {
            if !(options.delete_targets && begun(record)) {
                record.abandoned_ms.get_or_insert_with(|| split.now_ms());
            }
        })
        .await?;
        if record.abandoned_ms.is_none() {
            return Err(refused());
        }
        fault::moment("abandon.marked").await;
        tell("waiting until the workers of the split have ended");
        let doing = || ActivityNote::new(split.waits.beside("giving the split up"), BTreeMap::new());
        let ended = Box::pin(everyone_ended(split, stop, tell));
        with_activity_notes(split, "abandon", doing, ended).await?;
        clear(split, options, &record, tell).await
    };
    let done = lease.during(Box::pin(work)).await;
    lease.release().await;
    done.unwrap_or_else(|| Err(overtaken()))
}

/// Refuses while DynamoDB may be making a table: an import that has begun cannot be cancelled, and its table not be deleted.
async fn refuse_importing(split: &Split) -> Result<(), RunError> {
    let Some(imports) = split.store.get::<ImportsRecord>(ImportsRecord::NAME).await? else {
        return Ok(());
    };
    let is_open = |known: &ServiceImport| {
        let import = known.import.as_ref();
        import.is_some_and(|import| matches!(import.phase, ImportPhase::Requested | ImportPhase::Imported))
    };
    let services = imports.value.services;
    match services.iter().find(|(_, known)| is_open(known)) {
        None => Ok(()),
        Some((service, _)) => Err(RunError::NotYet {
            what: format!("the import of {service} was requested, and an import cannot be cancelled"),
            next: "run `dynasplit backfill` until it ends; or leave out --delete-targets".into(),
        }),
    }
}

/// Waits until no process of the split writes anything any more.
async fn everyone_ended(
    split: &Split,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<(), RunError> {
    let most = split.timing.lease + split.timing.landed();
    let _running = split
        .waits
        .until("every worker and every backfill of the split has ended", most);
    released(split, None, stop).await?;
    segments_released(split, stop, tell).await?;
    if backfill_runs(split).await? {
        // A process may have been about to take its first segment. It finds the split given up when it takes one, or
        // loses what it sends within this time.
        let settled = split.timing.settle + split.timing.lease + split.timing.landed();
        let what = "no backfill that was about to begin can write any more";
        let _waiting = split.waits.until(what, settled);
        pause(settled, stop).await?;
        segments_released(split, stop, tell).await?;
    }
    Ok(())
}

/// Deletes and switches off what the options name.
async fn clear(
    split: &Split,
    options: AbandonOptions,
    record: &SplitRecord,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<AbandonedThing>, RunError> {
    let mut things = abandon_preview(split, options);
    if options.disable_stream {
        let table = &split.plan.source.table;
        let ours = record.stream().map(|(_, stream)| stream.arn.as_str());
        let outcome = match stream_state(&split.source.control, table).await? {
            StreamState::On { arn, .. } if Some(arn.as_str()) == ours => {
                tell(&format!("switching the stream of {table} off"));
                disable_stream(&split.source.control, table).await?;
                "is switched off"
            }
            StreamState::Off => "was off",
            _ => "stays on: it is not the one that the split reads",
        };
        things[0].outcome = outcome.to_owned();
    }
    if options.delete_targets {
        for service in split
            .plan
            .services
            .iter()
            .filter(|service| !service.table.adopted)
        {
            let outcome = delete_created(split, &service.name, tell).await?;
            if let Some(thing) = things.iter_mut().find(|thing| thing.what == service.name) {
                thing.outcome = outcome.into();
            }
        }
    }
    if options.delete_state {
        tell(&format!("deleting {}", split.plan.state_table));
        split.store.delete_table(&split.source.control).await?;
    }
    Ok(things)
}

/// Gives up one service: its lane ends, and the split continues without it, with a plan that does not have it.
///
/// # Errors
/// If the service is not part of the split, or is the only one; while a backfill or a repair runs; or if something
/// can't be reached.
pub async fn abandon_service(
    split: &Split,
    name: &str,
    deletes_table: bool,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<AbandonedThing>, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let Some((service, _)) = split.target(name) else {
        return Err(RunError::NoSuchService {
            service: name.to_owned(),
            known: split.plan.service_names().join(", "),
        });
    };
    let table = &service.table.name;
    refuse_service(split, &record, name, deletes_table).await?;
    let lease = RepairLease::take(split, stop).await?;
    let work = async {
        let record = SplitRecord::change(&split.store, |record| {
            if record.switch.is_off() && record.completing_ms.is_none() {
                record.abandoned.insert(name.to_owned(), table.clone());
                record.services.remove(name);
                if let Some(events) = record.events.get_mut(name) {
                    events.on = false;
                }
            }
        })
        .await?;
        if !record.abandoned.contains_key(name) {
            return Err(busy());
        }
        if backfill_runs(split).await? {
            return Err(RunError::NotYet {
                what: "a backfill began at the same moment".into(),
                next: "stop it, and run the same `dynasplit abandon` again when `dynasplit status` shows no backfill that runs".into(),
            });
        }
        fault::moment("abandon.marked").await;
        tell(&format!("waiting until no worker has '{name}' in its plan"));
        released(split, Some(name), stop).await?;
        // Before the service is forgotten, so that a run after one that was interrupted still knows whose table it is.
        let known = crate::worker::services(split).await?;
        let outcome = if !deletes_table {
            "is kept"
        } else if known.iter().all(|record| record.name != name) {
            "was dealt with by an earlier run"
        } else {
            delete_created(split, name, tell).await?
        };
        forget(split, name).await?;
        fault::moment("abandon.forgotten").await;
        Ok(outcome)
    };
    let done = lease.during(Box::pin(work)).await;
    lease.release().await;
    let outcome = done.unwrap_or_else(|| Err(overtaken()))?;
    Ok(vec![AbandonedThing {
        what: name.to_owned(),
        table: table.clone(),
        outcome: outcome.to_owned(),
    }])
}

async fn refuse_service(
    split: &Split,
    record: &SplitRecord,
    name: &str,
    deletes_table: bool,
) -> Result<(), RunError> {
    let Some((service, _)) = split.target(name) else {
        return Ok(());
    };
    let refused = |what: String, next: &str| {
        Err(RunError::NotYet {
            what,
            next: next.to_owned(),
        })
    };
    if record.cutover_phase(name).is_watched() {
        return refused(
            format!("'{name}' is cut over with a way back, or its cutover is under way"),
            "roll it back first (`dynasplit status` shows the next command)",
        );
    }
    if deletes_table && record.switched.contains_key(name) {
        let what = format!("'{name}' has switched to its table {}", service.table.name);
        return refused(
            what,
            "leave out --delete-table: the table holds the service's own data",
        );
    }
    if deletes_table && service.table.adopted {
        let what = format!(
            "the table {} is adopted, and is never deleted",
            service.table.name
        );
        return refused(what, "leave out --delete-table; its owner decides about it");
    }
    if record.abandoned_ms.is_some() || record.completing_ms.is_some() || record.completed_ms.is_some() {
        return refused(
            "the split is over, or ends".into(),
            "a service is given up while a split runs",
        );
    }
    let services = crate::worker::services(split).await?;
    let was = match record.abandoned.get(name) {
        // An interrupted command continues.
        Some(table) => Some(table.clone()),
        None => services
            .iter()
            .find(|known| known.name == name)
            .map(|known| known.table.clone()),
    };
    match was {
        None => {
            return Err(RunError::UnknownService {
                service: name.to_owned(),
            });
        }
        Some(was) if was != service.table.name => {
            let what = format!(
                "the table of '{name}' is {was} in the split, and {} in the plan",
                service.table.name
            );
            return refused(what, "give the plan that the split has");
        }
        Some(_) => {}
    }
    if services.iter().all(|known| known.name == name) && !record.abandoned.contains_key(name) {
        return refused(
            format!("'{name}' is the only service"),
            "give up the whole split: leave out --service",
        );
    }
    if backfill_runs(split).await? || !record.switch.is_off() {
        return Err(busy());
    }
    if deletes_table && services.iter().any(|known| known.name == name) {
        refuse_other_tables(split, Some(name)).await?;
    }
    Ok(())
}

fn busy() -> RunError {
    RunError::NotYet {
        what: "a backfill or a repair is under way".into(),
        next: "let it end (`dynasplit status` names the command), then run this command again".into(),
    }
}

fn overtaken() -> RunError {
    RunError::Stopped("another process took over; run the same command to continue".into())
}

/// Removes a service from the records, when no process works for it any more.
async fn forget(split: &Split, name: &str) -> Result<(), RunError> {
    let store = &split.store;
    for (record, _) in store.list::<ShardRecord>(ShardRecord::PREFIX).await? {
        let without = |found: Option<ShardRecord>| {
            let mut value = found.ok_or_else(|| store.missing())?;
            value.lanes.remove(name);
            Ok::<_, StateError>(value)
        };
        store.change(&record, without).await?;
    }
    for (record, _) in store.list::<SegmentRecord>(SegmentRecord::PREFIX).await? {
        let without = |found: Option<SegmentRecord>| {
            let mut value = found.ok_or_else(|| store.missing())?;
            value.services.remove(name);
            Ok::<_, StateError>(value)
        };
        store.change(&record, without).await?;
    }
    if let Some(mut stored) = store.get::<BackfillRecord>(BackfillRecord::NAME).await? {
        stored.value.services.retain(|service| service != name);
        stored.value.round.retain(|service| service != name);
        store
            .put(BackfillRecord::NAME, stored.value, stored.revision)
            .await?;
    }
    if let Some(mut stored) = store.get::<VerifyRecord>(VerifyRecord::NAME).await? {
        stored.value.services.remove(name);
        store
            .put(VerifyRecord::NAME, stored.value, stored.revision)
            .await?;
    }
    for head in split.dead_letters.list(Some(name)).await? {
        split.dead_letters.settle(&head).await?;
    }
    for (record, revision, recheck) in split.dead_letters.rechecks().await? {
        if recheck.service == name {
            split.dead_letters.rechecked(&record, revision).await?;
        }
    }
    // Last: until then, a plan without the service is refused.
    let record = ServiceRecord::record_name(name);
    if let Some(stored) = store.get::<ServiceRecord>(&record).await? {
        store.delete(&record, stored.revision).await?;
    }
    Ok(())
}

/// Waits until no live worker has the service in its plan; without a name, until there is no worker. A worker without
/// a sign of life for a lease time is dead, and its last requests have landed after a margin.
async fn released(split: &Split, name: Option<&str>, stop: &CancellationToken) -> Result<(), RunError> {
    let mut watch = LeaseWatch::default();
    let mut died = false;
    loop {
        let workers = split.store.list::<WorkerRecord>(WorkerRecord::PREFIX).await?;
        let mut waiting = false;
        for (record, worker) in &workers {
            let services = &worker.value.services;
            // A worker of an older version does not say.
            let is_meant = name.is_none_or(|name| services.is_empty() || services.contains(name));
            let is_free = watch.is_free(record, &worker.value.lease, worker.revision, Instant::now());
            waiting |= is_meant && !is_free;
            // One that gave its lease back and knew every answer has nothing under way.
            died |= is_meant && is_free && !worker.value.lease.is_settled();
        }
        if !waiting {
            break;
        }
        pause(POLL, stop).await?;
    }
    if died {
        pause(split.timing.landed(), stop).await?;
    }
    Ok(())
}

/// Waits until no process copies a segment.
async fn segments_released(
    split: &Split,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<(), RunError> {
    let mut watch = LeaseWatch::until_landed(split.timing.landed());
    let mut told = false;
    loop {
        let segments = split.store.list::<SegmentRecord>(SegmentRecord::PREFIX).await?;
        let held = segments
            .iter()
            .filter(|(name, found)| !watch.is_free(name, &found.value.lease, found.revision, Instant::now()))
            .count();
        if held == 0 {
            return Ok(());
        }
        if !told {
            tell("waiting until every `dynasplit backfill` has ended: stop those that run");
            told = true;
        }
        pause(POLL, stop).await?;
    }
}

//! The import order of a backfill: it holds the lanes, writes the items of each service to S3, lets DynamoDB import them into new
//! tables, and releases each lane when its table is ready. The lanes bring in order whatever the copy read too early or too late, as
//! in the bulk order.

use super::import_lease::ImportLease;
use super::import_target::ImportTarget;
use super::order::{ImportForecast, lasting};
use super::round::filled;
use super::worker::{Backfill, BackfillReport};
use crate::dynamo::Tables;
use crate::fault;
use crate::import::{
    Import, ImportJournal, ImportObject, MOST_OBJECTS, refuse_failures, refuse_other_objects,
};
use crate::plan::Service;
use crate::repair::{bulk_landed, hold};
use crate::s3::Bucket;
use crate::state::{
    BackfillRecord, CommittedObject, ImportClaim, ImportPhase, Order, ServiceRecord, SplitRecord,
};
use crate::target::{table_arn, table_id};
use crate::worker::{RunError, refuse_abandoned, unless_stopped};
use futures::{StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};

/// Objects that are copied at the same time.
const COPIES_AT_ONCE: usize = 16;

/// Why this process does not go on with the imports.
enum End {
    /// Every table is ready.
    Ready,
    /// The import order was given up: by this process or by another one.
    GivenUp,
}

impl Backfill {
    /// The import order.
    pub(super) async fn import(
        &self,
        record: &BackfillRecord,
        consistent: bool,
    ) -> Result<BackfillReport, RunError> {
        let unready = self.unready(record).await?;
        if !unready.is_empty() {
            self.say("holding the lanes", record);
            let names: Vec<&str> = unready.iter().map(String::as_str).collect();
            hold(&self.split, &names, &self.stop).await?;
            // A page may not be older than the position of any lane: no lane would write its items again.
            self.settle(record, consistent).await?;
        }
        let halt = self.stop.child_token();
        let copied = tokio::select! {
            biased;
            copied = self.copy(record, consistent, &halt) => copied,
            never = self.watch_age(record, &halt) => match never {},
        };
        if let Err(error) = copied {
            return match self.is_given_up(record).await? {
                true => Box::pin(self.concurrent_after(record, consistent)).await,
                false => Err(error),
            };
        }
        fault::moment("backfill.copied").await;
        self.say(
            "waiting until no late write can land, then importing the tables",
            record,
        );
        // No table depends on this wait: an object that lands late is in no record, and a late change of a record is refused. But a
        // dead letter of a dead process is there before the lanes continue.
        bulk_landed(&self.split, &self.stop).await?;
        let lease = ImportLease::take(&self.split, &self.stop).await?;
        let end = lease
            .during(Box::pin(self.import_tables(record, &lease, &unready)))
            .await;
        lease.release().await;
        match end? {
            End::Ready => {
                self.finish(record).await?;
                self.report().await
            }
            End::GivenUp => Box::pin(self.concurrent_after(record, consistent)).await,
        }
    }

    async fn concurrent_after(
        &self,
        record: &BackfillRecord,
        consistent: bool,
    ) -> Result<BackfillReport, RunError> {
        let now = self.current(record).await?;
        Box::pin(self.concurrent(&now, consistent)).await
    }

    async fn current(&self, record: &BackfillRecord) -> Result<BackfillRecord, RunError> {
        let now = self
            .split
            .store
            .get::<BackfillRecord>(BackfillRecord::NAME)
            .await?;
        Ok(now.map_or_else(|| record.clone(), |now| now.value))
    }

    /// Whether the order of this backfill is the concurrent one by now.
    async fn is_given_up(&self, record: &BackfillRecord) -> Result<bool, RunError> {
        let now = self.current(record).await?;
        let is_same = now.services == record.services && !self.stop.is_cancelled();
        Ok(now.order == Order::Concurrent && is_same)
    }

    /// The services of this backfill whose tables are left to an import.
    pub(super) async fn awaited(&self, record: &BackfillRecord) -> Result<BTreeSet<String>, RunError> {
        let split_record = SplitRecord::read(&self.split.store).await?.value;
        let filled = filled(&self.split, record).into_iter();
        let is_awaited = |name: &&str| split_record.awaiting_import.contains(*name);
        Ok(filled.filter(is_awaited).map(str::to_owned).collect())
    }

    /// The services of this backfill whose tables are not ready, or whose lanes are still on hold.
    async fn unready(&self, record: &BackfillRecord) -> Result<BTreeSet<String>, RunError> {
        let split_record = SplitRecord::read(&self.split.store).await?.value;
        let filled = filled(&self.split, record).into_iter();
        let is_unready = |name: &&str| {
            split_record.awaiting_import.contains(*name) || split_record.switch.of(name).holds()
        };
        Ok(filled.filter(is_unready).map(str::to_owned).collect())
    }

    /// Imports the tables of these services, and releases each lane when its table is ready.
    async fn import_tables(
        &self,
        record: &BackfillRecord,
        lease: &ImportLease,
        unready: &BTreeSet<String>,
    ) -> Result<End, RunError> {
        let target = self.import_target(record)?;
        // A table whose import has failed keeps no other table waiting: those are finished first, then all failures are told.
        let mut failures = Vec::new();
        let mut services: Vec<(&Service, &Tables)> = Vec::new();
        for (service, tables) in self.split.active() {
            if !unready.contains(&service.name) {
                continue;
            }
            let import = self.import_of(&target, lease, service, tables);
            let mut journal = lease.journal(&service.name);
            let delete = self.options.delete_partial;
            match Box::pin(import.remove_partial(&mut journal, delete)).await? {
                Ok(()) => services.push((service, tables)),
                Err(failed) => failures.push(failed),
            }
        }
        let mut objects = self.committed().await?;
        for (service, _) in &services {
            let objects = objects.remove(&service.name).unwrap_or_default();
            Box::pin(self.claim(&target, lease, service, &objects)).await?;
        }
        for (service, tables) in &services {
            let import = self.import_of(&target, lease, service, tables);
            let mut journal = lease.journal(&service.name);
            let is_asked = journal.import().is_some_and(|import| import.is_answered());
            // From here on, there is no way back to S3 alone: DynamoDB ends every import that it has begun.
            if !is_asked && !Box::pin(self.may_request(record, lease)).await? {
                return Ok(End::GivenUp);
            }
            Box::pin(import.request(&mut journal)).await?;
        }
        self.say("DynamoDB imports the tables", record);
        let mut each = Vec::with_capacity(services.len());
        for (service, tables) in &services {
            let import = self.import_of(&target, lease, service, tables);
            each.push(Box::pin(self.import_one(import, lease)));
        }
        let ends = futures::future::join_all(each).await;
        for end in ends {
            failures.extend(end?.err());
        }
        refuse_failures(failures)?;
        Ok(End::Ready)
    }

    /// Waits for the import of one service, finishes its table, and releases its lane.
    async fn import_one(
        &self,
        import: Import<'_>,
        lease: &ImportLease,
    ) -> Result<Result<(), String>, RunError> {
        let service = import.service;
        let mut journal = lease.journal(&service.name);
        if let Err(failed) = import.ended(&mut journal).await? {
            self.note_created(service, import.tables, lease).await?;
            return Ok(Err(failed));
        }
        self.note_created(service, import.tables, lease).await?;
        // Deletion protection is among these settings, so that no delayed process deletes the good table.
        import.finish(&mut journal).await?;
        self.note_created(service, import.tables, lease).await?;
        fault::moment("import.ready").await;
        self.free_service(&service.name).await?;
        Ok(Ok(()))
    }

    /// The table of a service is ready: its lane continues.
    pub(super) async fn free_service(&self, service: &str) -> Result<(), RunError> {
        SplitRecord::change(&self.split.store, |record| {
            record.awaiting_import.remove(service);
            record.switch.free_service(service);
        })
        .await?;
        fault::moment("import.freed").await;
        Ok(())
    }

    /// Notes that the split made the table, so that `abandon` may delete it.
    pub(super) async fn note_created(
        &self,
        service: &Service,
        tables: &Tables,
        lease: &ImportLease,
    ) -> Result<(), RunError> {
        let import = lease.of(&service.name).import;
        let name = &service.table.name;
        let found = unless_stopped(&self.stop, table_id(&tables.control, name)).await?;
        let own = import.as_ref().and_then(|import| import.table_id.as_ref());
        let is_own = match (&found, own) {
            (None, _) => false,
            (Some(Some(found)), Some(own)) => found == own,
            // Engines other than AWS may have no ids; and without items, the table was created and not imported.
            (Some(_), _) => import.is_some_and(|import| import.phase == ImportPhase::Ready),
        };
        let arn = match is_own {
            true => unless_stopped(&self.stop, table_arn(&tables.control, name)).await?,
            false => None,
        };
        if let Some(arn) = arn {
            self.record_created(service, &arn, found.flatten()).await?;
        }
        Ok(())
    }

    /// Whether the table is the one that the split is on record to have made. Another table of the same name has the same ARN, so the
    /// ids decide, unless the engine gives none.
    pub(super) async fn has_created(&self, service: &Service, tables: &Tables) -> Result<bool, RunError> {
        let name = ServiceRecord::record_name(&service.name);
        let known = self.split.store.get::<ServiceRecord>(&name).await?;
        let Some(known) = known.map(|known| known.value) else {
            return Ok(false);
        };
        let table = &service.table.name;
        match unless_stopped(&self.stop, table_id(&tables.control, table)).await? {
            None => Ok(false),
            Some(Some(id)) => Ok(known.created_id == Some(id)),
            Some(None) => {
                let found = unless_stopped(&self.stop, table_arn(&tables.control, table)).await?;
                Ok(known.created_arn.is_some() && known.created_arn == found)
            }
        }
    }

    pub(super) async fn record_created(
        &self,
        service: &Service,
        arn: &str,
        id: Option<String>,
    ) -> Result<(), RunError> {
        let name = ServiceRecord::record_name(&service.name);
        let store = &self.split.store;
        store
            .change::<ServiceRecord, RunError>(&name, |found| {
                let mut known = found.unwrap_or_else(|| ServiceRecord::beginning(service));
                known.created = true;
                known.created_arn = Some(arn.to_owned());
                known.created_id.clone_from(&id);
                Ok(known)
            })
            .await?;
        Ok(())
    }

    /// Whether an import may be requested now: nobody gave the order or the split up, and the lanes have time enough to catch up after
    /// it. Otherwise the order is given up.
    async fn may_request(&self, record: &BackfillRecord, lease: &ImportLease) -> Result<bool, RunError> {
        let split_record = SplitRecord::read(&self.split.store).await?.value;
        refuse_abandoned(&self.split.plan, &split_record)?;
        if self.is_given_up(record).await? {
            return Ok(false);
        }
        let claims = lease.record().services.into_values();
        let most = claims
            .filter_map(|known| known.claim)
            .map(|claim| claim.bytes)
            .max();
        let import_ms = ImportForecast::import_ms(most.unwrap_or(0));
        let (lag_ms, gap) = self.places(&split_record).await?;
        let reason = match gap {
            Some(gap) => format!("a lane lost records ({gap})"),
            None if ImportForecast::is_too_late(lag_ms, import_ms) => format!(
                "the lanes on hold are {} behind, and an import may take twice the {} that it is forecast to take, so that the lanes \
                 could not catch up within the 24 hours for which the stream keeps its records",
                lasting(lag_ms),
                lasting(import_ms)
            ),
            None => return Ok(true),
        };
        let reason = format!("concurrent, because the import order was given up: {reason}");
        tracing::warn!("{reason}");
        self.give_bulk_up(record, &reason).await?;
        Ok(false)
    }

    /// The objects of each service that the segments name.
    async fn committed(&self) -> Result<BTreeMap<String, Vec<CommittedObject>>, RunError> {
        let mut found: BTreeMap<String, Vec<CommittedObject>> = BTreeMap::new();
        for (_, segment) in self.segments().await? {
            for (lane, progress) in segment.value.services {
                found.entry(lane).or_default().extend(progress.objects);
            }
        }
        Ok(found)
    }

    /// Claims a fresh prefix, and copies exactly the committed objects to it. What a process that was replaced still writes or copies
    /// goes elsewhere, and is never imported.
    async fn claim(
        &self,
        target: &ImportTarget,
        lease: &ImportLease,
        service: &Service,
        objects: &[CommittedObject],
    ) -> Result<(), RunError> {
        let name = &service.name;
        if !lease.of(name).needs_claim() {
            return Ok(());
        }
        if objects.len() > MOST_OBJECTS {
            return Err(RunError::NotYet {
                what: format!("{name} has {} objects, and an import takes {MOST_OBJECTS}", objects.len()),
                next: "run `dynasplit backfill --order concurrent`, which creates the tables and copies without an import".into(),
            });
        }
        let ending = target.folder.compression.ending();
        if let Some(other) = objects.iter().find(|object| !object.key.ends_with(ending)) {
            return Err(RunError::NotYet {
                what: format!(
                    "{} was written by another version of dynasplit, and all objects of an import must be compressed in one way ({})",
                    other.key, target.folder.compression
                ),
                next: "run `dynasplit backfill --order concurrent`, which creates the tables and copies without an import".into(),
            });
        }
        let attempt = format!("{:032x}", crate::dynamo::chance::any::<u128>());
        let prefix = format!("{}import/{name}/{attempt}/", target.folder.prefix);
        let claim = ImportClaim {
            prefix: prefix.clone(),
            items: objects.iter().map(|object| object.items).sum(),
            bytes: objects.iter().map(|object| object.bytes).sum(),
            objects: objects.len() as u64,
            complete: false,
        };
        lease.change(name, |known| known.claim = Some(claim)).await?;
        fault::moment("import.claimed").await;
        let mut copies = Vec::with_capacity(objects.len());
        for (place, object) in objects.iter().enumerate() {
            let to = format!("{prefix}{place:06}{ending}");
            copies.push(copy(target.bucket.clone(), object.clone(), to));
        }
        let copying = futures::stream::iter(copies)
            .buffer_unordered(COPIES_AT_ONCE)
            .try_collect::<BTreeMap<String, ImportObject>>();
        let copied = unless_stopped(&self.stop, Box::pin(copying)).await?;
        let anew = "run the same command again, which copies the objects to another folder";
        let checking = refuse_other_objects(&target.bucket, &prefix, &copied, anew);
        unless_stopped(&self.stop, Box::pin(checking)).await?;
        lease
            .change(name, |known| {
                if let Some(claim) = &mut known.claim {
                    claim.complete = true;
                }
            })
            .await?;
        fault::moment("import.copied").await;
        Ok(())
    }

    pub(super) fn import_of<'a>(
        &'a self,
        target: &'a ImportTarget,
        lease: &ImportLease,
        service: &'a Service,
        tables: &'a Tables,
    ) -> Import<'a> {
        let claim = lease.of(&service.name).claim;
        let (prefix, expected) = claim.map_or_else(Default::default, |claim| (claim.prefix, claim.items));
        Import {
            split: &self.split,
            service,
            tables,
            bucket: &target.folder.bucket,
            owner: target.folder.owner.as_deref(),
            prefix,
            expected,
            compression: target.folder.compression,
            replaced_next: "Give the split up with `dynasplit abandon`, and begin anew",
            partial_next: ". Or run `dynasplit backfill --order concurrent`, which keeps the table and copies the rest without an import",
            stop: &self.stop,
            tell: &tell,
        }
    }

    /// The bucket and the folder of this backfill.
    pub(super) fn import_target(&self, record: &BackfillRecord) -> Result<ImportTarget, RunError> {
        let Some(folder) = record.import.clone() else {
            return Err(RunError::Failed(
                "the record of the backfill names no folder for the items of an import".into(),
            ));
        };
        let (region, owner) = (folder.region.as_deref(), folder.owner.clone());
        Ok(ImportTarget {
            bucket: Bucket::new(&self.split.source, region, &folder.bucket, owner),
            folder,
        })
    }
}

/// The command shows its phases by itself.
fn tell(text: &str) {
    tracing::info!("{text}");
}

async fn copy(
    bucket: Bucket,
    object: CommittedObject,
    to: String,
) -> Result<(String, ImportObject), RunError> {
    let size = object.size;
    match bucket.copy(&object.key, &object.etag, &to).await? {
        Some(etag) => Ok((to, ImportObject { etag, size })),
        None => Err(RunError::NotYet {
            what: format!(
                "s3://{}/{} is not the object that dynasplit wrote, or was removed",
                bucket.name(),
                object.key
            ),
            next: "restore it and run the same command again, or run `dynasplit backfill --order concurrent`, which copies without an \
                   import"
                .into(),
        }),
    }
}

//! The import order is given up: imports that have begun are waited for, tables that are missing are created, and what the order copied
//! counts only if its table is ready.

use super::import_lease::ImportLease;
use super::worker::Backfill;
use crate::dynamo::Tables;
use crate::fault;
use crate::import::{ImportJournal, TableLeft, deletion_landed};
use crate::plan::Service;
use crate::repair::{Holder, give_up};
use crate::state::{BackfillRecord, ImportPhase, SplitRecord, TombstonePhase};
use crate::target::{TableStream, TargetError, ensure, is_empty, set_after_import, table_id};
use crate::worker::{RunError, pause, unless_stopped};
use std::collections::BTreeSet;

impl Backfill {
    /// Before the concurrent order copies anything: tables that were left to an import exist, and what the import order copied counts
    /// only if its table is ready.
    pub(super) async fn after_import(&self, record: &BackfillRecord) -> Result<(), RunError> {
        if self.awaited(record).await?.is_empty() {
            return Ok(());
        }
        self.say(
            "giving up the import order: waiting for imports that have begun",
            record,
        );
        let lease = ImportLease::take(&self.split, &self.stop).await?;
        let done = lease.during(Box::pin(self.without_imports(record, &lease))).await;
        lease.release().await;
        done
    }

    async fn without_imports(&self, record: &BackfillRecord, lease: &ImportLease) -> Result<(), RunError> {
        let unready = self.awaited(record).await?;
        let services = self.split.active();
        let services: Vec<(&Service, &Tables)> = services
            .filter(|(service, _)| unready.contains(&service.name))
            .collect();
        for (service, tables) in services {
            if Box::pin(self.is_imported(record, lease, service, tables)).await? {
                self.free_service(&service.name).await?;
                continue;
            }
            // A partial table is an early page. An absent one is created.
            let (client, spec) = (&tables.control, &service.table);
            let own = lease.of(&service.name).import.and_then(|import| import.table_id);
            let found = unless_stopped(&self.stop, table_id(client, &spec.name)).await?;
            match TableLeft::of(found, own.as_deref()) {
                TableLeft::Nothing => {}
                TableLeft::Own => {
                    drop(unless_stopped(&self.stop, Box::pin(set_after_import(client, spec))).await?);
                }
                // An earlier run of this command created it.
                TableLeft::Unknown(_) if self.has_created(service, tables).await? => {}
                TableLeft::Unknown(_) if unless_stopped(&self.stop, is_empty(client, &spec.name)).await? => {}
                TableLeft::Unknown(_) => {
                    let (service, table) = (service.name.clone(), spec.name.clone());
                    return Err(TargetError::NotEmpty { service, table }.into());
                }
            }
            let (keys, indexes) = (&service.keys, &service.indexes);
            let made = ensure(client, spec, keys, indexes, TableStream::Unused, &|_| ());
            let made = unless_stopped(&self.stop, Box::pin(made)).await?;
            if made.created {
                let id = unless_stopped(&self.stop, table_id(client, &spec.name)).await?;
                self.record_created(service, &made.arn, id.flatten()).await?;
            }
        }
        let ready = lease.record();
        let is_ready = |service: &str| ready.is_ready(service);
        give_up(&self.split, &Holder::backfill(record), &is_ready, &self.stop).await?;
        fault::moment("import.given-up").await;
        SplitRecord::change(&self.split.store, |record| {
            let held = [TombstonePhase::Held];
            let still: BTreeSet<String> = record.switch.services_in(&held).map(str::to_owned).collect();
            record.awaiting_import.retain(|service| still.contains(service));
        })
        .await?;
        Ok(())
    }

    /// Waits for the import of a service, if it was requested. Whether the table is ready now.
    async fn is_imported(
        &self,
        record: &BackfillRecord,
        lease: &ImportLease,
        service: &Service,
        tables: &Tables,
    ) -> Result<bool, RunError> {
        let mut journal = lease.journal(&service.name);
        let Some(known) = journal.import() else {
            return Ok(false);
        };
        if known.phase == ImportPhase::Ready {
            return Ok(true);
        }
        if known.phase == ImportPhase::Removing {
            // What is deleted later than this must not be the table that is filled from now on.
            deletion_landed(&self.split, &self.stop).await?;
        }
        if known.has_failed() || record.import.is_none() {
            return Ok(false);
        }
        let target = self.import_target(record)?;
        let import = self.import_of(&target, lease, service, tables);
        if !known.is_answered() {
            // The request of a process that died may still arrive.
            let what = "no request for an import can arrive any more";
            let landed = self.split.timing.landed();
            let _waiting = self.split.waits.until(what, landed);
            pause(landed, &self.stop).await?;
            if !Box::pin(import.was_requested(&mut journal)).await? {
                return Ok(false);
            }
        }
        if import.ended(&mut journal).await?.is_err() {
            self.note_created(service, tables, lease).await?;
            return Ok(false);
        }
        import.finish(&mut journal).await?;
        self.note_created(service, tables, lease).await?;
        Ok(true)
    }
}

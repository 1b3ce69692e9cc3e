//! One import per service, with the record of each in the journal.

use super::journal::Journal;
use super::record::OfflineRecord;
use super::shape_files::Shaper;
use super::task::OfflineSplit;
use crate::dynamo::Tables;
use crate::import::{
    Import, ImportJournal, ImportObject, refuse_existing, refuse_failures, refuse_other_objects,
};
use crate::model::Compression;
use crate::plan::Service;
use crate::state::ImportRecord;
use crate::target::{TtlOutcome, enable_ttl};
use crate::worker::{RunError, unless_stopped};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The record of one import, in the journal of the split.
struct OfflineImport<'j> {
    journal: &'j mut Journal,
    service: &'j str,
}

impl ImportJournal for OfflineImport<'_> {
    fn import(&self) -> Option<ImportRecord> {
        self.journal.record.imports.get(self.service).cloned()
    }

    async fn change(&mut self, change: impl FnOnce(&mut ImportRecord) + Send) -> Result<(), RunError> {
        let service = self.service.to_owned();
        let changing = |record: &mut OfflineRecord| {
            let import = record.imports.entry(service);
            change(import.or_insert_with(|| ImportRecord::requested(String::new(), 0)));
        };
        self.journal.change(changing).await
    }

    async fn forget(&mut self) -> Result<(), RunError> {
        let service = self.service;
        let forgetting = |record: &mut OfflineRecord| {
            record.imports.remove(service);
        };
        self.journal.change(forgetting).await
    }
}

impl<'a> OfflineSplit<'a> {
    /// The tables are there, with everything that the plan names but TTL.
    pub(super) async fn import(&mut self) -> Result<(), RunError> {
        let imports = self.record().imports.clone();
        let (split, stop) = (self.split, self.stop);
        unless_stopped(stop, refuse_existing(split, |name| !imports.contains_key(name))).await?;
        // A table whose import has failed keeps no other table waiting: those are finished first, then all failures are told.
        let mut failures = Vec::new();
        let mut services: Vec<(&Service, &Tables)> = Vec::new();
        for (service, tables) in split.services() {
            let (import, delete) = (self.import_of(service, tables), self.options.delete_partial);
            let mut journal = self.journal_of(service);
            match Box::pin(import.remove_partial(&mut journal, delete)).await? {
                Ok(()) => services.push((service, tables)),
                Err(failed) => failures.push(failed),
            }
        }
        if services.iter().any(|(service, _)| !self.is_requested(service)) {
            Box::pin(self.check_objects()).await?;
        }
        for (service, tables) in &services {
            let import = self.import_of(service, tables);
            Box::pin(import.request(&mut self.journal_of(service))).await?;
        }
        for (service, tables) in &services {
            let import = self.import_of(service, tables);
            let mut journal = self.journal_of(service);
            match Box::pin(import.ended(&mut journal)).await? {
                Ok(()) => drop(Box::pin(import.finish(&mut journal)).await?),
                // The others are waited for, so that nothing of them is left to do.
                Err(failed) => failures.push(failed),
            }
        }
        refuse_failures(failures)
    }

    fn import_of(&self, service: &'a Service, tables: &'a Tables) -> Import<'a> {
        Import {
            split: self.split,
            service,
            tables,
            bucket: &self.options.to.bucket,
            owner: self.options.owner.as_deref(),
            prefix: self.prefix(service),
            expected: self.expected(service),
            compression: self.compression(),
            replaced_next: "Begin anew with another folder (--to) and the same export (--export), after you have deleted the imported \
                            tables",
            partial_next: "",
            stop: self.stop,
            tell: self.tell,
        }
    }

    fn journal_of<'j>(&'j mut self, service: &'j Service) -> OfflineImport<'j> {
        OfflineImport {
            journal: &mut self.journal,
            service: &service.name,
        }
    }

    fn is_requested(&self, service: &Service) -> bool {
        let import = self.record().imports.get(&service.name);
        import.is_some_and(ImportRecord::is_answered)
    }

    /// The items that a service should get.
    fn expected(&self, service: &Service) -> u64 {
        let shaping = self.record().shaping.as_ref();
        let report = shaping.and_then(|shaping| shaping.report.as_ref());
        let found =
            report.and_then(|report| report.services.iter().find(|each| each.service == service.name));
        found.map_or(0, |found| found.items)
    }

    fn prefix(&self, service: &Service) -> String {
        let attempt = self
            .record()
            .shaping
            .as_ref()
            .map_or(0, |shaping| shaping.attempt);
        Shaper::prefix(&self.shaped_folder(attempt), &service.name)
    }

    /// How the files are compressed.
    fn compression(&self) -> Compression {
        let shaping = self.record().shaping.as_ref();
        shaping.map_or(Compression::of_old_records(), |shaping| shaping.compression)
    }

    /// The objects below the prefixes are exactly those that were shaped.
    async fn check_objects(&self) -> Result<(), RunError> {
        let export = Box::pin(self.found_export()).await?;
        let Some(shaping) = self.record().shaping.clone() else {
            return Err(RunError::Failed("the journal names no shaped files".into()));
        };
        let shaper = Shaper {
            plan: Arc::clone(&self.split.plan),
            export,
            bucket: self.bucket.clone(),
            folder: self.shaped_folder(shaping.attempt),
            form: shaping.form(),
            stop: self.stop.clone(),
        };
        let mut expected: BTreeMap<String, BTreeMap<String, ImportObject>> = BTreeMap::new();
        let records = self.file_records(&shaper).await?.into_values();
        for object in records.flat_map(|record| record.objects) {
            let (etag, size) = (object.etag, object.size);
            if let Some(service) = object.service {
                let of_service = expected.entry(service).or_default();
                of_service.insert(object.key, ImportObject { etag, size });
            }
        }
        let anew = "restore it, or begin anew with another folder (--to) and the same export (--export)";
        for service in &self.split.plan.services {
            if self.is_requested(service) {
                continue;
            }
            let (prefix, expected) = (
                self.prefix(service),
                expected.remove(&service.name).unwrap_or_default(),
            );
            let checking = refuse_other_objects(&self.bucket, &prefix, &expected, anew);
            unless_stopped(self.stop, Box::pin(checking)).await?;
        }
        Ok(())
    }

    /// TTL of every table, after the comparison: an item that expired in between would look like a loss.
    pub(super) async fn switch_ttl_on(&self) -> Result<(), RunError> {
        for (service, tables) in self.split.services() {
            let enabled = unless_stopped(self.stop, enable_ttl(&tables.control, &service.table)).await?;
            match enabled {
                TtlOutcome::On { attribute, .. } => {
                    (self.tell)(&format!("TTL of {} is on ({attribute})", service.table.name));
                }
                TtlOutcome::Unknown { note } => (self.tell)(&format!("{}: {note}", service.table.name)),
                TtlOutcome::NotPlanned | TtlOutcome::LeftToOwner { .. } => {}
            }
        }
        Ok(())
    }
}

//! One import per service: requested, found again, waited for.

use super::begin::refuse_existing;
use super::export::{FIRST_LOOK, LONGEST_LOOK, TOKEN_MS};
use super::record::{ImportPhase, ImportRecord};
use super::shape_files::{ShapedObject, Shaper};
use super::task::OfflineSplit;
use crate::dynamo::{Tables, chance};
use crate::fault;
use crate::plan::Service;
use crate::source::present;
use crate::target::{
    DescribedImport, ImportPlace, ImportRequest, ImportStatus, describe_import, find_import, request_import,
};
use crate::worker::{RunError, pause, unless_stopped};
use std::collections::BTreeMap;
use std::sync::Arc;

impl OfflineSplit<'_> {
    /// The tables are there, with everything that the plan names but TTL.
    pub(super) async fn import(&mut self) -> Result<(), RunError> {
        let imports = self.record().imports.clone();
        let split = self.split;
        unless_stopped(
            self.stop,
            refuse_existing(split, |name| !imports.contains_key(name)),
        )
        .await?;
        let services: Vec<(&Service, &Tables)> = split.services().collect();
        let mut failures = Vec::new();
        for (service, tables) in &services {
            if let Err(failed) = Box::pin(self.remove_partial(service, tables)).await? {
                failures.push(failed);
            }
        }
        refuse(failures)?;
        if services.iter().any(|(service, _)| !self.is_requested(service)) {
            Box::pin(self.check_objects()).await?;
        }
        for (service, tables) in &services {
            Box::pin(self.request(service, tables)).await?;
        }
        let mut failures = Vec::new();
        for (service, tables) in &services {
            match Box::pin(self.imported(service, tables)).await? {
                Ok(()) => Box::pin(self.finish(service, tables)).await?,
                // The others are waited for, so that nothing of them is left to do.
                Err(failed) => failures.push(failed),
            }
        }
        refuse(failures)
    }

    fn is_requested(&self, service: &Service) -> bool {
        let import = self.record().imports.get(&service.name);
        import.is_some_and(|import| import.arn.is_some() || import.phase != ImportPhase::Requested)
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

    /// The objects below the prefixes are exactly those that were shaped: an import takes whatever is there.
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
            file_bytes: shaping.file_bytes,
            stop: self.stop.clone(),
        };
        let records = self.file_records(&shaper).await?;
        let mut expected: BTreeMap<String, ShapedObject> = records
            .into_values()
            .flat_map(|record| record.objects)
            .filter(|object| object.service.is_some())
            .map(|object| (object.key.clone(), object))
            .collect();
        let wrong = |key: &str, what: &str, next: &str| {
            Err(RunError::NotYet {
                what: format!("s3://{}/{key} {what}", self.bucket.name()),
                next: next.into(),
            })
        };
        let anew = "restore it, or begin anew with another folder (--to) and the same export (--export)";
        for service in self
            .split
            .plan
            .services
            .iter()
            .filter(|service| !self.is_requested(service))
        {
            let listed = unless_stopped(self.stop, self.bucket.list(&self.prefix(service))).await?;
            for object in listed {
                let Some(known) = expected.remove(&object.key) else {
                    let next = "remove it, because an import takes every object of this folder, and run the command again";
                    return wrong(&object.key, "was not written by this split", next);
                };
                let etag = match object.etag.is_empty() {
                    true => unless_stopped(self.stop, self.bucket.etag(&object.key)).await?,
                    false => object.etag,
                };
                if (etag, object.size) != (known.etag, known.size) {
                    return wrong(&object.key, "is not the object that dynasplit wrote", anew);
                }
            }
        }
        let is_missing = |key: &&String| {
            let services = self.split.plan.services.iter();
            services
                .filter(|service| !self.is_requested(service))
                .any(|service| key.starts_with(&self.prefix(service)))
        };
        match expected.keys().find(is_missing) {
            Some(key) => wrong(key, "was removed", anew),
            None => Ok(()),
        }
    }

    /// The import of a service is requested. A token makes sure that it is requested once.
    async fn request(&mut self, service: &Service, tables: &Tables) -> Result<(), RunError> {
        if self.is_requested(service) {
            return Ok(());
        }
        if self.expected(service) == 0 {
            // There is nothing to import: the table is only created.
            let record = ImportRecord {
                phase: ImportPhase::Imported,
                ..requested(String::new(), 0)
            };
            return self.change(service, |import| *import = record).await;
        }
        let prefix = self.prefix(service);
        let (to, owner) = (&self.options.to, self.options.owner.clone());
        let from = ImportPlace {
            bucket: &to.bucket,
            owner: owner.as_deref(),
            prefix: &prefix,
        };
        let control = &self.split.source.control;
        let now = unless_stopped(self.stop, present(control, &self.split.plan.source.table)).await?;
        if let Some(known) = self.record().imports.get(&service.name).cloned() {
            let found = find_import(&tables.control, from, &known.token);
            if let Some(found) = unless_stopped(self.stop, found).await? {
                return self.note(service, &found).await;
            }
            if now.at_ms.saturating_sub(known.asked_ms) >= TOKEN_MS {
                // It never came, and the token holds no longer.
                self.new_token(service, now.at_ms).await?;
            }
        } else {
            self.new_token(service, now.at_ms).await?;
        }
        let token = self.record().imports[&service.name].token.clone();
        let request = ImportRequest {
            spec: &service.table,
            keys: &service.keys,
            indexes: &service.indexes,
            from,
            token: &token,
        };
        let asked = unless_stopped(self.stop, Box::pin(request_import(&tables.control, &request))).await?;
        (self.tell)(&format!("importing {} into {}", service.name, service.table.name));
        self.note(service, &asked).await
    }

    async fn new_token(&mut self, service: &Service, now_ms: u64) -> Result<(), RunError> {
        let record = requested(format!("dynasplit-{:032x}", chance::any::<u128>()), now_ms);
        self.change(service, |import| *import = record).await
    }

    /// Notes the answer to a request.
    async fn note(&mut self, service: &Service, found: &DescribedImport) -> Result<(), RunError> {
        let (arn, id) = (found.arn.clone(), found.table_id.clone());
        self.change(service, |import| {
            import.arn = Some(arn);
            import.table_id = id.or(import.table_id.take());
        })
        .await
    }

    pub(super) async fn change(
        &mut self,
        service: &Service,
        change: impl FnOnce(&mut ImportRecord),
    ) -> Result<(), RunError> {
        self.journal
            .change(|record| {
                let import = record.imports.entry(service.name.clone());
                change(import.or_insert_with(|| requested(String::new(), 0)));
            })
            .await
    }

    /// Waits until the import of a service has ended. The inner error is a failed import, which is in the journal then.
    async fn imported(&mut self, service: &Service, tables: &Tables) -> Result<Result<(), String>, RunError> {
        let Some(import) = self.record().imports.get(&service.name).cloned() else {
            return Err(RunError::Failed(format!(
                "the journal names no import of {}",
                service.name
            )));
        };
        let arn = match (import.phase, import.arn) {
            (ImportPhase::Imported | ImportPhase::Ready, _) => return Ok(Ok(())),
            (_, Some(arn)) => arn,
            (_, None) => {
                return Err(RunError::Failed(format!(
                    "the import of {} has no ARN",
                    service.name
                )));
            }
        };
        let mut look = FIRST_LOOK;
        let described = loop {
            let described = unless_stopped(self.stop, describe_import(&tables.control, &arn)).await?;
            if import.table_id.is_none() && described.table_id.is_some() {
                self.note(service, &described).await?;
            }
            if described.status != ImportStatus::InProgress {
                break described;
            }
            pause(look, self.stop).await?;
            look = (look * 3 / 2).min(LONGEST_LOOK);
        };
        let expected = self.expected(service);
        let failure = failure(&described, expected);
        if let Some(failure) = failure {
            self.change(service, |import| {
                import.phase = ImportPhase::Failed;
                import.failure = Some(failure);
            })
            .await?;
            return Ok(Err(Box::pin(self.told_failure(service, tables)).await?));
        }
        let mut notes = Vec::new();
        if described.imported_items != expected {
            // Nothing is known of how DynamoDB counts an item that is in the export twice. The comparison decides.
            notes.push(format!(
                "DynamoDB says that it imported {} of {expected} items, without an error",
                described.imported_items
            ));
        }
        self.change(service, |import| {
            import.phase = ImportPhase::Imported;
            import.notes.extend(notes);
        })
        .await?;
        fault::moment("offline.imported").await;
        (self.tell)(&format!("imported {expected} items into {}", service.table.name));
        Ok(Ok(()))
    }
}

fn requested(token: String, asked_ms: u64) -> ImportRecord {
    ImportRecord {
        phase: ImportPhase::Requested,
        token,
        asked_ms,
        arn: None,
        table_id: None,
        failure: None,
        notes: Vec::new(),
    }
}

/// Why an import that has ended cannot be used.
fn failure(import: &DescribedImport, expected: u64) -> Option<String> {
    let counts = format!(
        "{} of {expected} items were read, {} were imported, and {} had errors",
        import.processed_items, import.imported_items, import.errors
    );
    let log = import.log_group.as_ref().map_or(String::new(), |group| {
        format!(". The log group {group} of CloudWatch names the items with errors")
    });
    match &import.status {
        ImportStatus::InProgress => None,
        ImportStatus::Failed(reason) => Some(format!("{reason} ({counts}){log}")),
        ImportStatus::Completed if import.errors > 0 || import.processed_items != expected => {
            Some(format!("{counts}{log}"))
        }
        ImportStatus::Completed => None,
    }
}

pub fn refuse(failures: Vec<String>) -> Result<(), RunError> {
    if failures.is_empty() {
        return Ok(());
    }
    Err(RunError::Failed(failures.join("\n")))
}

//! One import: requested, found again, waited for.

use super::decide::{needs_token, why_unusable};
use super::journal::ImportJournal;
use crate::dynamo::{Tables, chance};
use crate::fault;
use crate::model::Compression;
use crate::plan::{Plan, Service};
use crate::source::present;
use crate::state::{ImportPhase, ImportRecord};
use crate::target::{
    DescribedImport, ImportPlace, ImportRequest, ImportStatus, TargetError, describe_import, find_import,
    request_import, table_id,
};
use crate::worker::{Looks, RunError, Split, unless_stopped};
use tokio_util::sync::CancellationToken;

/// The import of one service.
pub struct Import<'a> {
    /// The split.
    pub split: &'a Split,
    /// The service.
    pub service: &'a Service,
    /// The clients of its table.
    pub tables: &'a Tables,
    /// The bucket of the objects.
    pub bucket: &'a str,
    /// The account that owns the bucket, if the operator named one.
    pub owner: Option<&'a str>,
    /// What the keys of the objects begin with.
    pub prefix: String,
    /// The items in these objects.
    pub expected: u64,
    /// How these objects are compressed.
    pub compression: Compression,
    /// What to do if somebody replaced the imported table.
    pub replaced_next: &'a str,
    /// What else can be done about a partial table, or nothing.
    pub partial_next: &'a str,
    /// Somebody stops the command.
    pub stop: &'a CancellationToken,
    /// Shows progress.
    pub tell: &'a (dyn Fn(&str) + Sync),
}

impl Import<'_> {
    /// The import is requested. A token makes sure that it is requested once. A service without items gets no import.
    ///
    /// # Errors
    /// If DynamoDB refuses, or the journal cannot be changed.
    pub async fn request<J: ImportJournal>(&self, journal: &mut J) -> Result<(), RunError> {
        if journal.import().is_some_and(|import| import.is_answered()) {
            return Ok(());
        }
        let service = self.service;
        if self.expected == 0 {
            // There is nothing to import: the table is only created.
            let record = ImportRecord {
                phase: ImportPhase::Imported,
                ..ImportRecord::requested(String::new(), 0)
            };
            return journal.change(|import| *import = record).await;
        }
        let control = &self.split.source.control;
        let now = unless_stopped(self.stop, present(control, &self.split.plan.source.table)).await?;
        if let Some(known) = journal.import()
            && let Some(found) = self.find(&known).await?
        {
            return note(journal, &found).await;
        }
        if needs_token(journal.import().as_ref(), now.at_ms) {
            new_token(journal, now.at_ms).await?;
        }
        let token = journal.import().unwrap_or_else(nothing).token;
        let request = ImportRequest {
            spec: &service.table,
            keys: &service.keys,
            indexes: &service.indexes,
            from: self.from(),
            compression: self.compression,
            token: &token,
        };
        let asked = request_import(&self.tables.control, &request);
        let asked = unless_stopped(self.stop, Box::pin(asked)).await?;
        (self.tell)(&format!("importing {} into {}", service.name, service.table.name));
        note(journal, &asked).await
    }

    /// The import that was requested with a token; `None` if it never came.
    async fn find(&self, known: &ImportRecord) -> Result<Option<DescribedImport>, RunError> {
        let found = find_import(&self.tables.control, self.from(), &known.token);
        unless_stopped(self.stop, found).await
    }

    /// Whether DynamoDB knows an import that was about to be requested. Notes it.
    ///
    /// # Errors
    /// If the imports may not be listed, or the journal cannot be changed.
    pub async fn was_requested<J: ImportJournal>(&self, journal: &mut J) -> Result<bool, RunError> {
        let Some(known) = journal.import().filter(|known| !known.is_answered()) else {
            return Ok(journal.import().is_some());
        };
        match self.find(&known).await? {
            Some(found) => {
                note(journal, &found).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn from(&self) -> ImportPlace<'_> {
        ImportPlace {
            bucket: self.bucket,
            owner: self.owner,
            prefix: &self.prefix,
        }
    }

    /// Waits until the import has ended. The inner error is a failed import, which is in the journal then.
    ///
    /// # Errors
    /// If it cannot be described, or the journal cannot be changed.
    pub async fn ended<J: ImportJournal>(&self, journal: &mut J) -> Result<Result<(), String>, RunError> {
        let service = self.service;
        let Some(import) = journal.import() else {
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
        let mut looks = Looks::default();
        let described = loop {
            let asked = describe_import(&self.tables.control, &arn);
            let described = unless_stopped(self.stop, asked).await?;
            if import.table_id.is_none() && described.table_id.is_some() {
                note(journal, &described).await?;
            }
            if described.status != ImportStatus::InProgress {
                break described;
            }
            looks.pause(self.stop).await?;
        };
        let expected = self.expected;
        if let Some(failure) = why_unusable(&described, expected) {
            journal
                .change(|import| {
                    import.phase = ImportPhase::Failed;
                    import.failure = Some(failure);
                })
                .await?;
            return Ok(Err(Box::pin(self.told_failure(journal)).await?));
        }
        let mut notes = Vec::new();
        if described.imported_items != expected {
            // Nothing is known of how DynamoDB counts an item that is in the objects twice. The comparison decides.
            notes.push(format!(
                "DynamoDB says that it imported {} of {expected} items, without an error",
                described.imported_items
            ));
        }
        journal
            .change(|import| {
                import.phase = ImportPhase::Imported;
                import.notes.extend(notes);
            })
            .await?;
        fault::moment("import.ended").await;
        (self.tell)(&format!("imported {expected} items into {}", service.table.name));
        Ok(Ok(()))
    }
}

fn nothing() -> ImportRecord {
    ImportRecord::requested(String::new(), 0)
}

async fn new_token<J: ImportJournal>(journal: &mut J, now_ms: u64) -> Result<(), RunError> {
    let token = format!("dynasplit-{:032x}", chance::any::<u128>());
    let record = ImportRecord::requested(token, now_ms);
    journal.change(|import| *import = record).await
}

/// Notes the answer to a request.
async fn note<J: ImportJournal>(journal: &mut J, found: &DescribedImport) -> Result<(), RunError> {
    let (arn, id) = (found.arn.clone(), found.table_id.clone());
    journal
        .change(|import| {
            import.arn = Some(arn);
            import.table_id = id.or(import.table_id.take());
        })
        .await
}

/// Refuses to continue if imports failed.
///
/// # Errors
/// With all of them.
pub fn refuse_failures(failures: Vec<String>) -> Result<(), RunError> {
    if failures.is_empty() {
        return Ok(());
    }
    Err(RunError::Failed(failures.join("\n")))
}

/// Refuses a plan with tables that an import cannot make. `cannot` is the whole in words; `instead` is another way for such a table.
///
/// # Errors
/// With every such table, and its line.
pub fn refuse_plan(plan: &Plan, cannot: &str, instead: &str) -> Result<(), RunError> {
    let mut problems = Vec::new();
    for service in &plan.services {
        let at = |setting: &str| plan.setting_place(Some(&service.name), setting);
        if let Some(index) = service.indexes.iter().find(|index| index.local) {
            problems.push(format!(
                "{}: the table {} has the local index {}, and an import cannot make one: remove it, make it a global index, or {instead}",
                at("table.local-indexes"),
                service.table.name,
                index.name
            ));
        }
        if service.table.adopted {
            problems.push(format!(
                "{}: the table {} is adopted, and an import makes a new table: remove `adopted`, or {instead}",
                at("table.adopted"),
                service.table.name
            ));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(RunError::Failed(format!(
        "{cannot}:\n  - {}",
        problems.join("\n  - ")
    )))
}

/// Refuses if a table of these services exists: an import makes a new one.
///
/// # Errors
/// With every such table.
pub async fn refuse_existing(split: &Split, of: impl Fn(&str) -> bool) -> Result<(), RunError> {
    let mut problems = Vec::new();
    let services: Vec<_> = split
        .services()
        .filter(|(service, _)| of(&service.name))
        .collect();
    for (service, clients) in services {
        let table = &service.table.name;
        match table_id(&clients.control, table).await {
            Ok(None) => {}
            Ok(Some(_)) => problems.push(TargetError::Exists { table: table.clone() }),
            Err(error) => problems.push(error),
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(RunError::Targets { problems })
}

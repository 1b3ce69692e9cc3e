//! What a failed import leaves: told, and removed if the table is the one that it made.

use super::decide::TableLeft;
use super::journal::ImportJournal;
use super::task::Import;
use crate::state::{ImportPhase, ImportRecord};
use crate::target::{DELETION_LANDS, Removal, delete_imported, table_id};
use crate::worker::{RunError, Split, pause, unless_stopped};
use tokio_util::sync::CancellationToken;

impl Import<'_> {
    /// The failure of an import, and what to do.
    pub(super) async fn told_failure<J: ImportJournal>(&self, journal: &J) -> Result<String, RunError> {
        let (service, table) = (self.service, &self.service.table.name);
        let import = journal.import();
        let reason = import
            .as_ref()
            .and_then(|import| import.failure.clone())
            .unwrap_or_default();
        let next = match self.left(import.as_ref()).await? {
            TableLeft::Nothing => format!(
                "It left no table. Fix the cause, and run the same command again, which imports {} again",
                service.name
            ),
            TableLeft::Own => format!(
                "The table {table} that it left has only a part of the items. Fix the cause, and run the same command with \
                 --delete-partial, which deletes this table, because the import made it, and imports again{}",
                self.partial_next
            ),
            TableLeft::Unknown(id) => format!(
                "A table {table} exists, and nothing shows that the import made it ({}), so dynasplit does not delete it. Delete it if \
                 nobody needs it, and run the same command again",
                id.map_or("it has no id".to_owned(), |id| format!("its id is {id}"))
            ),
        };
        Ok(format!(
            "the import of {} into {table} failed: {reason}. {next}",
            service.name
        ))
    }

    async fn left(&self, import: Option<&ImportRecord>) -> Result<TableLeft, RunError> {
        let own = import.and_then(|import| import.table_id.clone());
        let asked = table_id(&self.tables.control, &self.service.table.name);
        let found = unless_stopped(self.stop, asked).await?;
        Ok(TableLeft::of(found, own.as_deref()))
    }

    /// Forgets a failed import, after its table is gone. The table is deleted only if `delete` is set. The inner error is one that only
    /// a person can decide on.
    ///
    /// # Errors
    /// If the table cannot be described or deleted, or the journal cannot be changed.
    pub async fn remove_partial<J: ImportJournal>(
        &self,
        journal: &mut J,
        delete: bool,
    ) -> Result<Result<(), String>, RunError> {
        let Some(import) = journal.import().filter(ImportRecord::has_failed) else {
            return Ok(Ok(()));
        };
        let table = &self.service.table.name;
        let mut is_settled = import.phase != ImportPhase::Removing;
        match self.left(Some(&import)).await? {
            TableLeft::Nothing => {}
            TableLeft::Own if delete || import.phase == ImportPhase::Removing => {
                journal
                    .change(|import| import.phase = ImportPhase::Removing)
                    .await?;
                let id = import.table_id.clone().unwrap_or_default();
                let removal = delete_imported(&self.tables.control, table, &id);
                match unless_stopped(self.stop, removal).await? {
                    Removal::Gone { is_settled: answered } => is_settled &= answered,
                    Removal::Other { id } => {
                        return Ok(Err(format!(
                            "the table {table} has another id ({id}) than the one that the import made, so dynasplit does not delete it. \
                             Delete it if nobody needs it, and run the same command again"
                        )));
                    }
                }
                (self.tell)(&format!("deleted the partial table {table}"));
            }
            TableLeft::Own | TableLeft::Unknown(_) => return Ok(Err(self.told_failure(journal).await?)),
        }
        if !is_settled {
            // The new table must not be there yet.
            deletion_landed(self.split, self.stop).await?;
        }
        journal.forget().await?;
        Ok(Ok(()))
    }
}

/// Waits until no request to delete a partial table can land any more. DynamoDB deletes by name, so a request that a process sent and
/// that was not answered, or that a process which died was about to send, may delete the next table of this name.
///
/// # Errors
/// If the command is stopped.
pub async fn deletion_landed(split: &Split, stop: &CancellationToken) -> Result<(), RunError> {
    let what = "no request to delete a partial table can land any more";
    let _waiting = split.waits.until(what, DELETION_LANDS);
    pause(DELETION_LANDS, stop).await
}

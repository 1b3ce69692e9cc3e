//! What a failed import leaves: told, and removed if the table is the one that it made.

use super::journal::ImportJournal;
use super::task::Import;
use crate::state::{ImportPhase, ImportRecord};
use crate::target::{DELETION_LANDS, Removal, delete_imported, table_id};
use crate::worker::{RunError, pause, unless_stopped};

/// The table of a failed import.
enum Left {
    /// There is none.
    Nothing,
    /// It is the one that the import made.
    Partial,
    /// Its id is another one, or not known.
    Unknown(Option<String>),
}

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
            Left::Nothing => format!(
                "It left no table. Fix the cause, and run the same command again, which imports {} again",
                service.name
            ),
            Left::Partial => format!(
                "The table {table} that it left has only a part of the items. Fix the cause, and run the same command with \
                 --delete-partial, which deletes this table, because the import made it, and imports again{}",
                self.partial_next
            ),
            Left::Unknown(id) => format!(
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

    async fn left(&self, import: Option<&ImportRecord>) -> Result<Left, RunError> {
        let own = import.and_then(|import| import.table_id.clone());
        let asked = table_id(&self.tables.control, &self.service.table.name);
        let found = unless_stopped(self.stop, asked).await?;
        Ok(match found {
            None => Left::Nothing,
            Some(Some(id)) if own.as_ref() == Some(&id) => Left::Partial,
            Some(id) => Left::Unknown(id),
        })
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
        match self.left(Some(&import)).await? {
            Left::Nothing => {}
            Left::Partial if delete || import.phase == ImportPhase::Removing => {
                journal
                    .change(|import| import.phase = ImportPhase::Removing)
                    .await?;
                let id = import.table_id.clone().unwrap_or_default();
                let removal = delete_imported(&self.tables.control, table, &id);
                if let Removal::Other { id } = unless_stopped(self.stop, removal).await? {
                    return Ok(Err(format!(
                        "the table {table} has another id ({id}) than the one that the import made, so dynasplit does not delete it. \
                         Delete it if nobody needs it, and run the same command again"
                    )));
                }
                (self.tell)(&format!("deleted the partial table {table}"));
            }
            Left::Partial | Left::Unknown(_) => return Ok(Err(self.told_failure(journal).await?)),
        }
        if import.phase == ImportPhase::Removing {
            // A process that began the deletion may still send its request, which names no id. The new table must not be there yet.
            let what = "a request to delete the partial table has ended";
            let _waiting = self.split.waits.until(what, DELETION_LANDS);
            pause(DELETION_LANDS, self.stop).await?;
        }
        journal.forget().await?;
        Ok(Ok(()))
    }
}

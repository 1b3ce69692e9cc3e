//! What a failed import leaves: told, and removed if the table is the one that it made.

use super::record::{ImportPhase, ImportRecord};
use super::task::OfflineSplit;
use crate::dynamo::Tables;
use crate::plan::Service;
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

impl OfflineSplit<'_> {
    /// The failure of an import, and what to do.
    pub(super) async fn told_failure(&self, service: &Service, tables: &Tables) -> Result<String, RunError> {
        let table = &service.table.name;
        let import = self.record().imports.get(&service.name);
        let reason = import
            .and_then(|import| import.failure.clone())
            .unwrap_or_default();
        let next = match self.left(service, tables).await? {
            Left::Nothing => format!(
                "It left no table. Fix the cause, and run the same command again, which imports {} again",
                service.name
            ),
            Left::Partial => format!(
                "The table {table} that it left has only a part of the items. Fix the cause, and run the same command with \
                 --delete-partial, which deletes this table, because the import made it, and imports again"
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

    async fn left(&self, service: &Service, tables: &Tables) -> Result<Left, RunError> {
        let import = self.record().imports.get(&service.name);
        let own = import.and_then(|import| import.table_id.clone());
        let found = unless_stopped(self.stop, table_id(&tables.control, &service.table.name)).await?;
        Ok(match found {
            None => Left::Nothing,
            Some(Some(id)) if own.as_ref() == Some(&id) => Left::Partial,
            Some(id) => Left::Unknown(id),
        })
    }

    /// Forgets a failed import, after its table is gone. The inner error is one that only a person can decide on.
    pub(super) async fn remove_partial(
        &mut self,
        service: &Service,
        tables: &Tables,
    ) -> Result<Result<(), String>, RunError> {
        let import = self.record().imports.get(&service.name).cloned();
        let Some(import) = import.filter(is_failed) else {
            return Ok(Ok(()));
        };
        match self.left(service, tables).await? {
            Left::Nothing => {}
            Left::Partial if self.options.delete_partial || import.phase == ImportPhase::Removing => {
                self.change(service, |import| import.phase = ImportPhase::Removing)
                    .await?;
                let id = import.table_id.clone().unwrap_or_default();
                let removal = delete_imported(&tables.control, &service.table.name, &id);
                if let Removal::Other { id } = unless_stopped(self.stop, removal).await? {
                    return Ok(Err(format!(
                        "the table {} has another id ({id}) than the one that the import made, so dynasplit does not delete it. Delete it \
                         if nobody needs it, and run the same command again",
                        service.table.name
                    )));
                }
                (self.tell)(&format!("deleted the partial table {}", service.table.name));
            }
            Left::Partial | Left::Unknown(_) => return Ok(Err(self.told_failure(service, tables).await?)),
        }
        if import.phase == ImportPhase::Removing {
            // A process that began the deletion may still send its request, which names no id. The new table must not be there yet.
            let _waiting = self
                .split
                .waits
                .until("a request to delete the partial table has ended", DELETION_LANDS);
            pause(DELETION_LANDS, self.stop).await?;
        }
        let name = service.name.clone();
        self.journal
            .change(|record| {
                record.imports.remove(&name);
            })
            .await?;
        Ok(Ok(()))
    }
}

fn is_failed(import: &ImportRecord) -> bool {
    matches!(import.phase, ImportPhase::Failed | ImportPhase::Removing)
}

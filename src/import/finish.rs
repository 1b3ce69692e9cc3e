//! What an import leaves to do: the settings that it cannot set, and the tables of services without items.

use super::decide::is_still_imported;
use super::journal::ImportJournal;
use super::task::Import;
use crate::state::ImportPhase;
use crate::target::{Ensured, TableStream, ensure, set_after_import, table_id};
use crate::worker::{RunError, unless_stopped};

impl Import<'_> {
    /// The table is as planned, but for TTL. `None`: it was before.
    ///
    /// # Errors
    /// If it is not the table that the import made, or a setting is refused.
    pub async fn finish<J: ImportJournal>(&self, journal: &mut J) -> Result<Option<Ensured>, RunError> {
        let import = journal.import();
        let Some(import) = import.filter(|import| import.phase == ImportPhase::Imported) else {
            return Ok(None);
        };
        let (service, client, spec) = (self.service, &self.tables.control, &self.service.table);
        let mut notes = Vec::new();
        if !import.token.is_empty() {
            let found = unless_stopped(self.stop, table_id(client, &spec.name)).await?;
            if !is_still_imported(found.as_ref(), import.table_id.as_deref()) {
                return Err(RunError::Failed(format!(
                    "the table {} is not the one that the import made: somebody deleted or replaced it. {}",
                    spec.name, self.replaced_next
                )));
            }
            notes = unless_stopped(self.stop, Box::pin(set_after_import(client, spec))).await?;
        }
        let (keys, indexes) = (&service.keys, &service.indexes);
        let ensured = ensure(client, spec, keys, indexes, TableStream::Unused, &|_| ());
        let ensured = unless_stopped(self.stop, Box::pin(ensured)).await?;
        notes.extend(ensured.notes.iter().cloned());
        journal
            .change(|import| {
                import.phase = ImportPhase::Ready;
                import.notes.extend(notes);
            })
            .await?;
        (self.tell)(&format!("{} is ready", spec.name));
        Ok(Some(ensured))
    }
}

//! What an import leaves to do: the settings that it cannot set, and the tables of services without items.

use super::record::ImportPhase;
use super::task::OfflineSplit;
use crate::dynamo::Tables;
use crate::plan::Service;
use crate::target::{TableStream, TtlOutcome, enable_ttl, ensure, set_after_import, table_id};
use crate::worker::{RunError, unless_stopped};

impl OfflineSplit<'_> {
    /// The table is as planned, but for TTL.
    pub(super) async fn finish(&mut self, service: &Service, tables: &Tables) -> Result<(), RunError> {
        let import = self.record().imports.get(&service.name).cloned();
        let Some(import) = import.filter(|import| import.phase == ImportPhase::Imported) else {
            return Ok(());
        };
        let (client, spec) = (&tables.control, &service.table);
        let mut notes = Vec::new();
        if !import.token.is_empty() {
            let found = unless_stopped(self.stop, table_id(client, &spec.name)).await?;
            let is_own = match (&found, &import.table_id) {
                (None, _) => false,
                (Some(Some(found)), Some(own)) => found == own,
                // Engines other than AWS may have no ids.
                (Some(_), _) => true,
            };
            if !is_own {
                return Err(RunError::Failed(format!(
                    "the table {} is not the one that the import made: somebody deleted or replaced it. Begin anew with another folder \
                     (--to) and the same export (--export), after you have deleted the imported tables",
                    spec.name
                )));
            }
            notes = unless_stopped(self.stop, Box::pin(set_after_import(client, spec))).await?;
        }
        let ensured = ensure(
            client,
            spec,
            &service.keys,
            &service.indexes,
            TableStream::Unused,
            &|_| (),
        );
        let ensured = unless_stopped(self.stop, Box::pin(ensured)).await?;
        notes.extend(ensured.notes);
        self.change(service, |import| {
            import.phase = ImportPhase::Ready;
            import.notes.extend(notes);
        })
        .await?;
        (self.tell)(&format!("{} is ready", spec.name));
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

//! Where the record of an import is kept.

use crate::state::ImportRecord;
use crate::worker::RunError;

/// The record of the import of one service, as the process that owns it keeps it.
pub trait ImportJournal: Send {
    /// The record; `None` before the first request.
    fn import(&self) -> Option<ImportRecord>;

    /// Changes the record, durably. A record that does not exist is one without a token.
    ///
    /// # Errors
    /// If another process owns it by now, or it cannot be saved.
    fn change(
        &mut self,
        change: impl FnOnce(&mut ImportRecord) + Send,
    ) -> impl Future<Output = Result<(), RunError>> + Send;

    /// Removes the record, durably: the import may be requested again.
    ///
    /// # Errors
    /// The same.
    fn forget(&mut self) -> impl Future<Output = Result<(), RunError>> + Send;
}

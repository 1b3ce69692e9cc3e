//! The reason why something makes no progress at the moment.

use std::sync::{Mutex, PoisonError};

/// Why something does not move at the moment: shown in status lines, saved with checkpoints.
#[derive(Debug, Default)]
pub struct Health {
    blocked: Mutex<Option<String>>,
}

impl Health {
    /// It is held up, for this reason.
    pub fn block(&self, reason: String) {
        *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// It moves again.
    pub fn clear(&self) {
        *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why it is held up, if it is.
    #[must_use]
    pub fn blocked(&self) -> Option<String> {
        self.blocked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

//! Why the ledger cannot be read or written.

use crate::dynamo::Failure;
use crate::s3::ExportError;
use crate::worker::RunError;

/// Why the ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A request failed.
    #[error(transparent)]
    Request(#[from] ExportError),
    /// An object is missing, or is not what dynasplit wrote.
    #[error("the ledger is broken at {name}: {reason}")]
    Broken {
        /// The object.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl LedgerError {
    /// The reason, if no further attempt can help.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        matches!(self, Self::Broken { .. }).then(|| self.to_string())
    }

    /// The failed request, if one failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Request(error) => error.failure(),
            Self::Broken { .. } => None,
        }
    }
}

impl From<LedgerError> for RunError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Request(error) => error.into(),
            broken @ LedgerError::Broken { .. } => Self::Failed(format!(
                "{broken}. Restore the object (a bucket with versions keeps the former one); `dynasplit ledger check` shows every \
                 hole"
            )),
        }
    }
}

//! Why a rehearsal has no S3.

use crate::model::NotBuilt;

/// Why a rehearsal has no S3.
#[derive(Debug, thiserror::Error)]
pub enum BucketsError {
    /// No port on the loopback interface.
    #[error("the S3 server of the rehearsal cannot listen on 127.0.0.1: {0}")]
    Listen(#[source] std::io::Error),
    /// This build has none.
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
}

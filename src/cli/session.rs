//! The data that all parts of one command share: whether it was told to stop, and where its engine is.

use crate::dynamo::Endpoints;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The time after a signal in which work may end and be saved; then it is dropped. Supervisors kill after thirty
/// seconds, some after ten.
pub const GRACE: Duration = Duration::from_secs(9);

/// One command's session.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Cancelled by the first signal: no new work begins.
    pub stop: CancellationToken,
    /// Cancelled a little later: a request that failed is not sent again.
    pub stop_retrying: CancellationToken,
    at: Arc<OnceLock<At>>,
}

/// Where the engine is.
#[derive(Clone, Debug)]
pub struct At {
    /// The endpoints that replace AWS's.
    pub endpoints: Endpoints,
    /// The source's region.
    pub region: String,
}

impl Session {
    /// The engine is known from here on.
    pub fn arrived(&self, at: At) {
        // A command opens the plan only once; the first value stays.
        self.at.get_or_init(|| at);
    }

    /// The place of the engine, when it is known.
    pub fn at(&self) -> Option<&At> {
        self.at.get()
    }
}

//! What all parts of one command share: whether it was told to stop, and where its engine is.

use crate::dynamo::Endpoints;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After a signal, what is under way may land and be saved for so long; then it is left as it is. Supervisors kill after
/// thirty seconds, some after ten.
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
        // The plan is opened once in a command; what was known first stays.
        self.at.get_or_init(|| at);
    }

    /// Where the engine is, once that is known.
    pub fn at(&self) -> Option<&At> {
        self.at.get()
    }
}

//! Whether other shards continue a shard.

use crate::worker::Recorded;
use tokio::sync::watch;

/// Knows whether other shards continue a shard.
#[derive(Clone)]
pub(super) struct Continued {
    pub shard: String,
    pub recorded: watch::Receiver<Recorded>,
}

impl Continued {
    /// Whether a shard that names it as its parent was found.
    pub fn known(&self) -> bool {
        let recorded = self.recorded.borrow();
        recorded
            .values()
            .any(|record| record.parent.as_deref() == Some(self.shard.as_str()))
    }
}

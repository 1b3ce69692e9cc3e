//! What a rehearsal is asked for.

use crate::backfill::OrderChoice;
use crate::dynamo::{Chaos, Endpoint, Timing};
use crate::state::Order;
use std::path::PathBuf;
use std::time::Duration;

/// Options of a rehearsal.
#[derive(Clone, Debug)]
pub struct RehearseOptions {
    /// Another engine than the embedded one.
    pub endpoint: Option<Endpoint>,
    /// Items to load before the split begins.
    pub items: u64,
    /// Writes a second of the live writers.
    pub writes_per_second: u32,
    /// Decides on the items and the writes.
    pub seed: u64,
    /// The live writers write for at least this long.
    pub seconds: u64,
    /// The user's own items.
    pub sample: Option<PathBuf>,
    /// How long things may take; [`Timing::LOCAL`] by default.
    pub timing: Timing,
    /// Keep the tables.
    pub keep: bool,
    /// Whether the lanes continue during the copy.
    pub order: OrderChoice,
    /// What happens to the requests of the split. The live writers are spared.
    pub chaos: Option<Chaos>,
    /// Cut the services over as well, one of them back and over again.
    pub cutover: bool,
    /// How often the first service goes back and is cut over again.
    pub rounds: u32,
    /// Keep a ledger, and let a table accept no writes for this long.
    pub ledger: Option<Duration>,
}

impl RehearseOptions {
    /// Whether the tables are imported.
    pub(super) fn imports(&self) -> bool {
        self.order == OrderChoice::Only(Order::Import)
    }
}

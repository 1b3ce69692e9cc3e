//! A heal that runs: what its steps share.

use crate::repair::RepairLease;
use crate::s3::Folder;
use crate::worker::{Budgets, Split};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Options of a heal.
#[derive(Clone, Debug, Default)]
pub struct HealOptions {
    /// Where the exports go; `None`: where those of the interrupted heal go.
    pub to: Option<Folder>,
    /// The region of the bucket, if it is not that of the source.
    pub s3_region: Option<String>,
    /// Request the exports that are not healed yet once more.
    pub new_exports: bool,
}

/// How far a heal is, for people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HealView {
    /// What it does.
    pub phase: String,
    /// Windows that are healed, and all of them.
    pub windows: (usize, usize),
    /// Keys that were read again.
    pub keys: u64,
    /// Items that were written or removed.
    pub repaired: u64,
}

/// A heal that runs.
pub(super) struct Healing<'a> {
    pub split: &'a Split,
    pub options: &'a HealOptions,
    pub lease: &'a RepairLease,
    pub budgets: &'a Arc<Budgets>,
    pub view: &'a watch::Sender<HealView>,
    pub stop: &'a CancellationToken,
}

impl Healing<'_> {
    /// Shows something of the progress.
    pub(super) fn say(&self, change: impl FnOnce(&mut HealView)) {
        self.view.send_modify(change);
    }
}

//! A verification: its scope, its budgets, and its progress.

use super::result::VerifyOptions;
use super::view::VerifyView;
use crate::worker::{Budgets, Split};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A verification.
pub struct Verify {
    pub(super) split: Split,
    pub(super) options: VerifyOptions,
    pub(super) budgets: Arc<Budgets>,
    pub(super) stop: CancellationToken,
    /// The tail of the one service that is compared, if it has switched with a way back.
    pub(super) back: Option<Split>,
    pub(super) view: watch::Sender<VerifyView>,
}

impl Verify {
    /// A verification, and a view of it that is refreshed a few times a second.
    #[must_use]
    pub fn new(
        split: Split,
        options: VerifyOptions,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<VerifyView>) {
        let (view, seen) = watch::channel(VerifyView::default());
        let budgets = Budgets::new(&split, options.read_units, None);
        let verify = Self {
            split,
            options,
            budgets,
            stop,
            back: None,
            view,
        };
        (verify, seen)
    }
}

//! Something that is so or not, and that several tasks wait for. They wake in the order in which they began to wait, unlike
//! those of a `watch` channel, whose order is drawn.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Something that is so or not.
#[derive(Debug, Default)]
pub struct Latch {
    is_set: AtomicBool,
    changed: Notify,
}

impl Latch {
    /// Sets it.
    pub fn set(&self, is_set: bool) {
        self.is_set.store(is_set, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Whether it is so.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Waits until it is so, or not.
    pub async fn until(&self, is_set: bool) {
        loop {
            // From here on, no change is missed.
            let changed = self.changed.notified();
            if self.is_set() == is_set {
                return;
            }
            changed.await;
        }
    }
}

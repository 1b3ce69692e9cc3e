//! Segments of the source whose key range is throttled all the time, and their next attempt.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Segments of the source whose key range is throttled all the time. This process leaves them out, so that they
/// occupy none of its workers while other segments can be read, and tries each again from time to time.
#[derive(Debug)]
pub(super) struct HotSegments {
    left: Mutex<BTreeMap<u32, Left>>,
    retry: Duration,
}

#[derive(Debug)]
struct Left {
    until: Instant,
    reason: String,
}

impl HotSegments {
    /// No segment. A segment that was left is tried again after this time.
    pub fn new(retry: Duration) -> Self {
        Self {
            left: Mutex::default(),
            retry,
        }
    }

    /// Leaves a segment, for this reason.
    pub fn leave(&self, segment: u32, reason: String) {
        let until = Instant::now() + self.retry;
        self.lock().insert(segment, Left { until, reason });
    }

    /// A page of the segment was read.
    pub fn take_back(&self, segment: u32) {
        self.lock().remove(&segment);
    }

    /// Whether the segment is left out for now.
    pub fn is_left(&self, segment: u32) -> bool {
        let left = self.lock();
        left.get(&segment).is_some_and(|left| Instant::now() < left.until)
    }

    /// Why a segment is left out, and how many others are.
    pub fn told(&self) -> Option<String> {
        let left = self.lock();
        let (_, first) = left.first_key_value()?;
        Some(match left.len() {
            1 => first.reason.clone(),
            2 => format!("{}, and 1 more segment", first.reason),
            several => format!("{}, and {} more segments", first.reason, several - 1),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_left_out_until_it_is_tried_again_and_told_until_a_page_was_read() {
        let hot = HotSegments::new(Duration::from_secs(60));
        assert_eq!(hot.told(), None);
        hot.leave(3, "throttled: X: segment 3".into());
        assert!(hot.is_left(3) && !hot.is_left(4));
        hot.leave(7, "throttled: X: segment 7".into());
        assert_eq!(hot.told().unwrap(), "throttled: X: segment 3, and 1 more segment");
        hot.take_back(3);
        assert_eq!(hot.told().unwrap(), "throttled: X: segment 7");
        let soon = HotSegments::new(Duration::ZERO);
        soon.leave(3, "throttled: X".into());
        assert!(!soon.is_left(3), "it may be tried");
        assert!(soon.told().is_some(), "and is still hot");
    }
}

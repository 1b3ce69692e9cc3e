//! Pages that are kept for a service whose table accepts no writes, so that the source is not read again for each
//! attempt.

use crate::flow::PageItem;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Pages that were read for a service whose table accepts no writes. The next attempt on the same page uses them,
/// because the source must not pay for a table that is not ready.
///
/// A page stays valid during one copy, because the tombstones have been on, or the lanes on hold, since before it was
/// read. So the pages belong to one copy of one process.
#[derive(Debug, Default)]
pub(super) struct KeptPages(Mutex<BTreeMap<Place, Page>>);

/// A segment, and the cursor that the page follows.
type Place = (u32, Option<String>);

/// A page of a segment, as changes.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Its items.
    pub items: Arc<Vec<PageItem>>,
    /// The cursor after it; `None` at the segment's end.
    pub next: Option<String>,
    /// Read units that it used, in thousandths.
    pub read_milliunits: u64,
    /// It was counted before.
    pub counted: bool,
}

/// Pages that are kept at most: each may have 1 MB, and several times that when it is parsed.
const MOST: usize = 8;

impl KeptPages {
    /// Keeps the page after a cursor of a segment, if there is room.
    pub fn keep(&self, segment: u32, cursor: Option<String>, page: Page) {
        let mut kept = self.lock();
        if kept.len() < MOST {
            kept.insert(
                (segment, cursor),
                Page {
                    counted: true,
                    ..page
                },
            );
        }
    }

    /// The page after a cursor of a segment, if it is kept.
    pub fn take(&self, segment: u32, cursor: Option<&str>) -> Option<Page> {
        self.lock().remove(&(segment, cursor.map(str::to_owned)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Place, Page>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(next: &str) -> Page {
        Page {
            items: Arc::default(),
            next: Some(next.to_owned()),
            read_milliunits: 500,
            counted: false,
        }
    }

    #[test]
    fn a_page_is_used_again_at_its_place_and_is_not_counted_twice() {
        let kept = KeptPages::default();
        assert!(kept.take(1, None).is_none());
        kept.keep(1, None, page("a"));
        let taken = kept.take(1, None).unwrap();
        assert_eq!((taken.next.as_deref(), taken.counted), (Some("a"), true));
        assert!(kept.take(1, None).is_none(), "it was taken");
        kept.keep(1, None, page("a"));
        assert!(kept.take(1, Some("a")).is_none(), "other services are further");
        assert!(kept.take(1, None).is_some(), "and do not take it");
    }

    #[test]
    fn only_a_few_pages_are_kept() {
        let kept = KeptPages::default();
        for segment in 0..20 {
            kept.keep(segment, None, page("a"));
        }
        assert_eq!(
            (0..20).filter_map(|segment| kept.take(segment, None)).count(),
            MOST
        );
    }
}

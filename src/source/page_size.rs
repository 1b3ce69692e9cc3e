//! How many records one read of a shard asks for. Pure.

/// The most records of a page, if nothing limits it.
const MOST: u32 = 1000;
/// Full pages in a row that must come in time before more is asked for again.
const FIRST_TRUST: u32 = 4;
/// The longest trust: a connection that can carry only this much is not tested with more too often.
const LONGEST_TRUST: u32 = 64;

/// Halves the page size after a read that took too long, and doubles it again after several that did not. Otherwise a
/// page that can't come in time would be requested forever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageSize {
    records: u32,
    full: u32,
    trust: u32,
    /// The last change was to ask for more, and nothing came of it yet.
    trying: bool,
}

impl Default for PageSize {
    fn default() -> Self {
        Self {
            records: MOST,
            full: 0,
            trust: FIRST_TRUST,
            trying: false,
        }
    }
}

impl PageSize {
    /// The number of records to request; `None`: no limit.
    #[must_use]
    pub fn limit(&self) -> Option<u32> {
        (self.records < MOST).then_some(self.records)
    }

    /// No answer came in time.
    pub fn timed_out(&mut self) {
        if self.trying {
            self.trust = (self.trust * 2).min(LONGEST_TRUST);
        }
        self.records = (self.records / 2).max(1);
        self.full = 0;
        self.trying = false;
    }

    /// A page with this many records came in time. A page that is not full says nothing about larger ones.
    pub fn came(&mut self, records: usize) {
        if self.limit().is_none() || !self.is_full(records) {
            return;
        }
        self.full += 1;
        if self.trying && self.full >= 2 {
            // The last attempt succeeds.
            self.trust = FIRST_TRUST;
            self.trying = false;
        }
        if self.full >= self.trust {
            self.records = self.records.saturating_mul(2).min(MOST);
            self.full = 0;
            self.trying = true;
        }
    }

    /// Whether a page with this many records is as large as requested.
    #[must_use]
    pub fn is_full(&self, records: usize) -> bool {
        u32::try_from(records).is_ok_and(|records| records >= self.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(size: &mut PageSize, pages: u32) -> Option<u32> {
        for _ in 0..pages {
            size.came(size.limit().map_or(1000, |limit| limit as usize));
        }
        size.limit()
    }

    #[test]
    fn it_halves_down_to_one_record_and_grows_back_to_no_limit() {
        let mut size = PageSize::default();
        assert_eq!(size.limit(), None);
        let halves: Vec<_> = (0..12)
            .map(|_| {
                size.timed_out();
                size.limit().unwrap()
            })
            .collect();
        assert_eq!(halves, [500, 250, 125, 62, 31, 15, 7, 3, 1, 1, 1, 1]);
        assert_eq!(after(&mut size, FIRST_TRUST - 1), Some(1));
        assert_eq!(after(&mut size, 1), Some(2));
        assert_eq!(after(&mut size, 200), None);
        assert_eq!(after(&mut size, 1000), None);
    }

    #[test]
    fn pages_that_are_not_full_prove_nothing() {
        let mut size = PageSize::default();
        size.timed_out();
        for _ in 0..100 {
            size.came(499);
        }
        assert_eq!(size.limit(), Some(500));
        assert!(size.is_full(500) && !size.is_full(499));
    }

    #[test]
    fn what_never_carries_more_is_tried_less_and_less_often() {
        let mut size = PageSize::default();
        let (mut pages, mut failures) = (0u32, 0u32);
        // Nothing above 100 records comes in time.
        while pages < 1000 {
            let asked = size.limit().unwrap_or(1000);
            if asked > 100 {
                size.timed_out();
                failures += 1;
            } else {
                size.came(asked as usize);
                pages += 1;
            }
        }
        // Four halvings at first, then one failure in up to 64 pages.
        assert!((8..=25).contains(&failures), "{failures}");
    }
}

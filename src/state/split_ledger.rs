//! The ledger in the split's record, and how it begins and ends. Pure.

use super::STATE_FORMAT_LEDGER;
use super::ledger_state::LedgerState;
use super::split::SplitRecord;

impl SplitRecord {
    /// Takes over where the ledger of a plan is; `None`: the plan has none. It raises the format, because a version that does not
    /// know the ledger would remove this part of the record, and would take records that only the ledger keeps for lost. Returns
    /// whether anything changed.
    pub fn set_ledger(&mut self, planned: Option<(&str, &str)>, now_ms: u64) -> bool {
        let is_same = match (&self.ledger, planned) {
            (None, None) => true,
            (Some(known), Some((place, _))) => known.place == place,
            _ => false,
        };
        if is_same {
            return false;
        }
        let before = self.ledger.take().map_or(0, |known| known.chain);
        self.ended_chain = self.ended_chain.max(before);
        if let Some((place, table_id)) = planned {
            self.format = self.format.max(STATE_FORMAT_LEDGER);
            self.begin_chain(place.to_owned(), table_id.to_owned(), now_ms);
        }
        true
    }

    /// Begins the ledger anew after a gap of it, unless another command did so since `chain`.
    pub fn restart_ledger(&mut self, chain: u64, now_ms: u64) {
        if let Some(known) = self.ledger.take_if(|known| known.chain == chain) {
            self.ended_chain = self.ended_chain.max(known.chain);
            self.begin_chain(known.place, known.table_id, now_ms);
        }
    }

    fn begin_chain(&mut self, place: String, table_id: String, now_ms: u64) {
        self.ledger = Some(LedgerState {
            // Also if a clock goes back, no chain has the name of an earlier one.
            chain: now_ms.max(self.ended_chain + 1),
            place,
            table_id,
            captured_in: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_begins_anew_has_another_chain() {
        let mut record = SplitRecord::sample();
        let format = record.format;
        assert!(!record.set_ledger(None, 5));
        assert_eq!(
            record.format, format,
            "without a ledger, an older version can read it"
        );
        assert!(record.set_ledger(Some(("s3://a/b/", "t")), 5));
        assert_eq!(record.format, STATE_FORMAT_LEDGER);
        assert!(!record.set_ledger(Some(("s3://a/b/", "t")), 6));
        let chain = |record: &SplitRecord| record.ledger.as_ref().map(|ledger| ledger.chain);
        assert_eq!(chain(&record), Some(5));
        record.restart_ledger(4, 9);
        assert_eq!(chain(&record), Some(5), "another command did so before");
        record.restart_ledger(5, 3);
        assert_eq!(chain(&record), Some(6), "also if the clock went back");
        assert!(record.set_ledger(None, 8) && record.ledger.is_none());
        assert!(record.set_ledger(Some(("s3://a/c/", "t")), 2));
        assert_eq!(chain(&record), Some(7));
    }
}

//! The report of a verification, service by service.

use crate::verify::compare::{ClassCounts, JoinCounts, Outcome};
use serde::{Deserialize, Serialize};

/// The result of a verification, service by service.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// One for each service that was verified.
    pub services: Vec<ServiceReport>,
}

impl Report {
    /// Whether every target holds exactly the items that it should. If nothing was verified, the result is not clean.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.services.is_empty() && self.services.iter().all(ServiceReport::is_clean)
    }
}

/// The result for one service.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Name of the service.
    pub service: String,
    /// Source items that the service should hold.
    pub expected: u64,
    /// Live items that its target holds.
    pub found: u64,
    /// Keys that agreed at first sight.
    pub equal: u64,
    /// Keys that did not, and were looked at again.
    pub candidates: u64,
    /// Looks that this took: each a consistent read of both sides.
    pub rechecked: u64,
    /// Items that changed while they were read, and agreed when they were read again. So `expected` and `found` need
    /// not be equal.
    pub changed: u64,
    /// Candidates without a verdict: they changed too often, or the lane did not deliver in time what was written before.
    pub unsettled: u64,
    /// Tombstones in the target, which count as absent.
    pub tombstones: u64,
    /// Source items whose desired item cannot be built: dead letters.
    pub invalid: u64,
    /// Confirmed mismatches; expired items are counted here too, and are no fault.
    pub mismatches: ClassCounts,
    /// Those of them in which the target is newer than the source: a lost change explains them only if the application
    /// wrote an older timestamp.
    #[serde(default)]
    pub newer: u64,
    /// Both sides were read and compared to the end.
    pub complete: bool,
}

impl ServiceReport {
    /// A report that says nothing yet.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            ..Self::default()
        }
    }

    /// Adds the counts of the join, which has them only after it is complete.
    pub fn compared(&mut self, counts: JoinCounts) {
        self.expected = counts.source_items;
        self.found = counts.target_items;
        self.equal = counts.equal;
        self.candidates = counts.candidates;
        self.complete = true;
    }

    /// Takes in the outcome of one recheck.
    pub fn rechecked(&mut self, outcome: Outcome) {
        self.rechecked += 1;
        match outcome {
            Outcome::Agreed => self.changed += 1,
            Outcome::Mismatch(class) => self.mismatches.add(class),
            Outcome::Unsettled | Outcome::Undelivered => self.unsettled += 1,
            Outcome::Wait { .. } => {}
        }
    }

    /// The report of all ranges of the keys, by the reports of each. It is complete if all of them are.
    #[must_use]
    pub fn of_ranges<'a>(
        service: impl Into<String>,
        ranges: impl IntoIterator<Item = &'a ServiceReport>,
    ) -> Self {
        let mut all = Self::new(service);
        let mut complete = None;
        for range in ranges {
            all.expected += range.expected;
            all.found += range.found;
            all.equal += range.equal;
            all.candidates += range.candidates;
            all.rechecked += range.rechecked;
            all.changed += range.changed;
            all.unsettled += range.unsettled;
            all.tombstones += range.tombstones;
            all.invalid += range.invalid;
            all.mismatches.add_all(&range.mismatches);
            all.newer += range.newer;
            complete = Some(complete.unwrap_or(true) && range.complete);
        }
        all.complete = complete.unwrap_or(false);
        all
    }

    /// Candidates that have no verdict yet.
    #[must_use]
    pub fn undecided(&self) -> u64 {
        let decided = self.changed + self.unsettled + self.mismatches.faults() + self.mismatches.expired;
        self.candidates.saturating_sub(decided)
    }

    /// Whether the target holds exactly the items that it should, and the comparison left nothing out.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.complete
            && self.mismatches.faults() == 0
            && self.unsettled == 0
            && self.invalid == 0
            && self.undecided() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::compare::MismatchClass;
    use std::time::Duration;

    fn compared(candidates: u64) -> ServiceReport {
        let mut report = ServiceReport::new("a");
        report.compared(JoinCounts {
            candidates,
            ..JoinCounts::default()
        });
        report
    }

    #[test]
    fn only_a_complete_comparison_without_faults_is_clean() {
        assert!(!Report::default().is_clean());
        assert!(!ServiceReport::new("a").is_clean());
        assert!(compared(0).is_clean());
        assert!(!compared(1).is_clean(), "one is undecided");
        let after = |outcome| {
            let mut report = compared(1);
            report.rechecked(outcome);
            report.is_clean()
        };
        assert!(after(Outcome::Agreed));
        assert!(after(Outcome::Mismatch(MismatchClass::Expired)));
        assert!(!after(Outcome::Mismatch(MismatchClass::Missing)));
        assert!(!after(Outcome::Unsettled));
        assert!(!after(Outcome::Undelivered));
        assert!(!after(Outcome::Wait { due: Duration::ZERO }));
        let services = vec![compared(0), compared(1)];
        assert!(!Report { services }.is_clean());
        let services = vec![compared(0), compared(0)];
        assert!(Report { services }.is_clean());
        let invalid = ServiceReport {
            invalid: 1,
            ..compared(0)
        };
        assert!(!invalid.is_clean());
    }

    #[test]
    fn the_ranges_are_clean_together_only_if_each_of_them_is() {
        let of = |ranges: &[ServiceReport]| ServiceReport::of_ranges("a", ranges);
        assert!(of(&[compared(0), compared(0)]).is_clean());
        assert!(!of(&[]).is_clean(), "nothing was compared");
        assert!(!of(&[compared(0), ServiceReport::new("a")]).is_clean(), "a part");
        assert!(!of(&[compared(0), compared(1)]).is_clean());
        let mut full = compared(7);
        for outcome in [
            Outcome::Agreed,
            Outcome::Unsettled,
            Outcome::Mismatch(MismatchClass::Missing),
            Outcome::Mismatch(MismatchClass::Extra),
            Outcome::Mismatch(MismatchClass::Different),
            Outcome::Mismatch(MismatchClass::Misrouted),
            Outcome::Mismatch(MismatchClass::Collision),
            Outcome::Mismatch(MismatchClass::Expired),
        ] {
            full.rechecked(outcome);
        }
        let counted = |value: &serde_json::Value| {
            fn sum(value: &serde_json::Value) -> u64 {
                match value {
                    serde_json::Value::Number(number) => number.as_u64().unwrap(),
                    serde_json::Value::Object(fields) => fields.values().map(sum).sum(),
                    _ => 0,
                }
            }
            sum(value)
        };
        (full.expected, full.found, full.equal) = (10, 20, 30);
        (full.tombstones, full.invalid) = (40, 50);
        let json = |report: &ServiceReport| serde_json::to_value(report).unwrap();
        let twice = of(&[full.clone(), full.clone()]);
        assert_eq!(
            counted(&json(&twice)),
            2 * counted(&json(&full)),
            "no count is left out"
        );
        let read: ServiceReport = serde_json::from_value(json(&twice)).unwrap();
        assert_eq!(read, twice);
    }

    #[test]
    fn every_recheck_is_counted_once() {
        let mut report = compared(50);
        let waits = Outcome::Wait { due: Duration::ZERO };
        for (times, outcome) in [
            (2, Outcome::Agreed),
            (3, Outcome::Mismatch(MismatchClass::Missing)),
            (5, Outcome::Mismatch(MismatchClass::Expired)),
            (7, Outcome::Unsettled),
            (11, waits),
        ] {
            (0..times).for_each(|_| report.rechecked(outcome));
        }
        let ServiceReport { mismatches, .. } = report;
        assert_eq!((mismatches.faults(), mismatches.expired), (3, 5));
        assert_eq!((report.changed, report.unsettled), (2, 7));
        assert_eq!(report.rechecked, 28);
        assert_eq!(report.undecided(), 50 - 17);
    }
}

//! Records the result of a verification, if the state has not changed since it began.

use super::result::VerifyResult;
use crate::state::{
    Proof, ProofRecord, Received, SplitRecord, StateError, StreamPlaces, VerifyRecord, VerifyService,
};
use crate::status::{lane_places, received, stream_places};
use crate::verify::compare::ServiceReport;
use crate::worker::{RunError, Split};
use std::collections::BTreeMap;

/// The state when a verification began. Its verdict is kept only if this is still the state at the end.
#[derive(Debug)]
pub(super) struct Baseline {
    started_ms: u64,
    repairs: u64,
    requirement: Option<String>,
    received: Option<Received>,
    places: Option<StreamPlaces>,
    /// The places of each lane alone.
    lane_places: BTreeMap<String, StreamPlaces>,
}

/// The kind of verification to record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// All services were compared.
    pub whole: bool,
    /// It was told to repair.
    pub repair: bool,
}

/// Whether a repair got a verdict on every key, and repaired every key that differed. A key that kept changing may still
/// differ.
fn has_repaired_all(scope: Scope, result: &VerifyResult) -> bool {
    let is_settled = result
        .report
        .services
        .iter()
        .all(|service| service.unsettled == 0);
    scope.repair && is_settled && result.unrepaired.total() == 0
}

impl Baseline {
    /// Reads it.
    pub async fn read(split: &Split, record: &SplitRecord) -> Result<Self, StateError> {
        let found = split.store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
        Ok(Self {
            started_ms: split.now_ms(),
            repairs: found.map_or(0, |stored| stored.value.repairs),
            requirement: record.repair_duty(),
            received: received(split, record).await?,
            places: stream_places(split, record).await?,
            lane_places: lane_places(split, record).await?,
        })
    }

    /// A repair is about to write: whatever was proven before, by anybody, is proven no more.
    pub async fn repairing(&mut self, split: &Split) -> Result<(), StateError> {
        let stored = split
            .store
            .change::<VerifyRecord, StateError>(VerifyRecord::NAME, |found| {
                let mut record = found.unwrap_or_else(|| VerifyRecord::blank(self.started_ms));
                record.clean = false;
                record.repairs += 1;
                Ok(record)
            })
            .await?;
        self.repairs = stored.value.repairs;
        Ok(())
    }

    /// Records the result, and ends the duty to repair if it was done. Adds notes to the result.
    pub async fn keep(
        &self,
        split: &Split,
        mut scope: Scope,
        result: &mut VerifyResult,
    ) -> Result<(), RunError> {
        // A switch that was recorded or taken back meanwhile: other services were compared than count now.
        let record = SplitRecord::read(&split.store).await?.value;
        scope.whole &= split.has_same_switches(&record);
        let is_same = |report: &&ServiceReport| split.has_same_switch(&record, &report.service);
        // Before the result as a whole: none of them is proven any more, whatever happens from here on.
        let unclean = result.report.services.iter().filter(|report| !report.is_clean());
        for report in unclean {
            let name = ProofRecord::record_name(&report.service);
            if let Some(found) = split.store.get::<ProofRecord>(&name).await? {
                split.store.delete(&name, found.revision).await?;
            }
        }
        // What a repair has just written was not compared.
        let clean = result.report.services.iter().filter(|report| report.is_clean());
        let proven: Vec<String> = match result.repaired {
            0 => clean
                .filter(is_same)
                .map(|report| report.service.clone())
                .collect(),
            _ => Vec::new(),
        };
        // One of some services that is clean proves nothing of the whole, and disproves nothing.
        if scope.whole || !result.clean {
            self.keep_whole(split, scope, result).await?;
        }
        if !(scope.whole && result.recorded && result.clean) {
            self.keep_proofs(split, &proven).await?;
            result.proven = proven;
        }
        Ok(())
    }

    /// A record for each service that was compared, and found to be exact.
    async fn keep_proofs(&self, split: &Split, proven: &[String]) -> Result<(), RunError> {
        for service in proven {
            let Some(planned) = split.plan.service(service) else {
                continue;
            };
            let proof = ProofRecord {
                service: service.clone(),
                fingerprint: planned.fingerprint.clone(),
                proof: Proof {
                    started_ms: self.started_ms,
                    places: self.lane_places.get(service).cloned(),
                },
                repairs: self.repairs,
            };
            let name = ProofRecord::record_name(service);
            let kept = split
                .store
                .change::<ProofRecord, StateError>(&name, |_| Ok(proof.clone()));
            kept.await?;
        }
        Ok(())
    }

    async fn keep_whole(
        &self,
        split: &Split,
        scope: Scope,
        result: &mut VerifyResult,
    ) -> Result<(), RunError> {
        let found = split.store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
        let found = found.map(|stored| stored.value);
        let undisturbed = found.as_ref().map_or(0, |record| record.repairs) == self.repairs;
        let clean = scope.whole && result.clean && undisturbed;
        let repaired = scope.whole && has_repaired_all(scope, result);
        let done = scope.repair || found.is_some_and(|record| record.repaired_for == self.requirement);
        if clean && done {
            self.end_duty(split).await?;
        }
        let stored = split
            .store
            .change::<VerifyRecord, RunError>(VerifyRecord::NAME, |found| {
                let before = found.unwrap_or_else(|| VerifyRecord::blank(self.started_ms));
                let undisturbed = before.repairs == self.repairs;
                Ok(VerifyRecord {
                    started_ms: self.started_ms,
                    ended_ms: split.now_ms(),
                    clean: clean && undisturbed,
                    repaired: result.repaired,
                    services: self.services(split, before.services, result),
                    unrouted: result.unrouted,
                    repairs: before.repairs,
                    repaired_for: match (clean && done, repaired) {
                        (true, _) => None,
                        (false, true) => self.requirement.clone(),
                        (false, false) => before.repaired_for,
                    },
                    received: self.received.clone(),
                    places: self.places.clone(),
                    last_clean_ms: if clean && undisturbed {
                        Some(self.started_ms)
                    } else {
                        before.last_clean_ms
                    },
                })
            })
            .await?;
        result.recorded = scope.whole;
        if result.clean && !stored.value.clean {
            result.recorded = false;
            result.notes.push(
                "a repair ran meanwhile, so this result is not kept: run `dynasplit verify` again".into(),
            );
        }
        Ok(())
    }

    /// The mandatory repairing verify was made: unless a new reason came up since this one began.
    async fn end_duty(&self, split: &Split) -> Result<(), StateError> {
        if self.requirement.is_none() {
            return Ok(());
        }
        SplitRecord::change(&split.store, |record| {
            if record.repair_duty() == self.requirement {
                record.end_repair_duty();
            }
        })
        .await?;
        Ok(())
    }

    fn services(
        &self,
        split: &Split,
        mut services: BTreeMap<String, VerifyService>,
        result: &VerifyResult,
    ) -> BTreeMap<String, VerifyService> {
        for report in &result.report.services {
            let counts = &report.mismatches;
            let named = [
                ("missing", counts.missing),
                ("extra", counts.extra),
                ("different", counts.different),
                ("misrouted", counts.misrouted),
                ("collision", counts.collision),
                ("expired", counts.expired),
            ];
            let fingerprint = split.plan.service(&report.service).map(|s| s.fingerprint.clone());
            let service = VerifyService {
                expected: report.expected,
                found: report.found,
                mismatches: named
                    .into_iter()
                    .filter(|(_, count)| *count > 0)
                    .map(|(class, count)| (class.to_owned(), count))
                    .collect(),
                unsettled: report.unsettled,
                invalid: report.invalid,
                fingerprint: fingerprint.unwrap_or_default(),
            };
            services.insert(report.service.clone(), service);
        }
        services
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::compare::ServiceReport;

    #[test]
    fn a_repair_that_left_a_key_without_a_verdict_was_not_made() {
        let after = |unsettled| {
            let service = ServiceReport {
                unsettled,
                ..ServiceReport::default()
            };
            let mut result = VerifyResult::default();
            result.report.services.push(service);
            result
        };
        let scope = |repair| Scope { whole: true, repair };
        assert!(has_repaired_all(scope(true), &after(0)));
        assert!(!has_repaired_all(scope(true), &after(1)), "it may still differ");
        assert!(!has_repaired_all(scope(false), &after(0)));
    }
}

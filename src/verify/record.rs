//! Records the result of a verification, if the state has not changed since it began.

use super::base::Base;
use super::result::VerifyResult;
use crate::state::{
    ChangesRecord, ComparedChanges, Proof, ProofRecord, Received, SplitRecord, StateError, StreamPlaces,
    VerifyRecord, VerifyService,
};
use crate::status::{lane_places, received, stream_places};
use crate::verify::compare::ServiceReport;
use crate::worker::{RunError, Split};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state when a verification began. Its verdict is kept only if this is still the state at the end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// What a clean result is about: everything from before this moment was compared.
    started_ms: u64,
    /// When the verification began. A mismatch was there later than that, whatever was read.
    began_ms: u64,
    repairs: u64,
    requirement: Option<String>,
    received: Option<Received>,
    places: Option<StreamPlaces>,
    /// The places of each lane alone.
    lane_places: BTreeMap<String, StreamPlaces>,
    /// Whether exports are read, which are of an earlier moment.
    is_past: bool,
    /// Another verification that began later counts more than a clean result of this one: exports are of an earlier moment, and a
    /// shared verify may have stood still for days.
    yields: bool,
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

/// The clock of a machine may differ from AWS's by this much. A result about a moment on AWS's clock counts as so much older, so that
/// it never seems to be later than something that happened after it.
const CLOCKS_MS: u64 = 10 * 60 * 1000;

impl Baseline {
    /// Reads it. `as_of_ms`: exports are read, and the result is about this moment.
    pub async fn read(
        split: &Split,
        record: &SplitRecord,
        as_of_ms: Option<u64>,
    ) -> Result<Self, StateError> {
        let found = split.store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
        let found = found.map(|stored| stored.value);
        let (repairs, requirement) = (
            found.as_ref().map_or(0, |verify| verify.repairs),
            record.repair_duty(),
        );
        let began_ms = split.now_ms();
        match as_of_ms {
            None => Ok(Self {
                started_ms: began_ms,
                began_ms,
                repairs,
                requirement,
                received: received(split, record).await?,
                places: stream_places(split, record).await?,
                lane_places: lane_places(split, record).await?,
                is_past: false,
                yields: false,
            }),
            Some(at_ms) => {
                let started_ms = at_ms.saturating_sub(CLOCKS_MS);
                let (received, places, lane_places) = known_before(split, found, started_ms).await?;
                Ok(Self {
                    started_ms,
                    began_ms,
                    repairs,
                    requirement,
                    received,
                    places,
                    lane_places,
                    is_past: true,
                    yields: true,
                })
            }
        }
    }

    /// The same for a shared verify.
    pub fn shared(self) -> Self {
        Self { yields: true, ..self }
    }

    /// When the verification began, in milliseconds since 1970.
    pub fn began_ms(&self) -> u64 {
        self.began_ms
    }

    /// Records the result of a comparison of changes. If it is clean, each proof that it goes on from stays as it is, and the record
    /// beside it says how far the changes were compared. If it is not, nothing is proven any more, as after every other verification.
    pub async fn keep_changes(
        &self,
        split: &Split,
        bases: &[Base],
        reached: &StreamPlaces,
        result: &mut VerifyResult,
    ) -> Result<(), RunError> {
        let record = SplitRecord::read(&split.store).await?.value;
        let reports = || result.report.services.iter().zip(bases);
        let is_faulty = |report: &ServiceReport| report.mismatches.faults() > 0 || report.invalid > 0;
        let faulty = reports().filter(|(report, _)| is_faulty(report));
        let faulty: Vec<&ServiceReport> = faulty.map(|(report, _)| report).collect();
        for report in &faulty {
            self.disprove(split, &report.service).await?;
        }
        // A key without a verdict says nothing against what was proven before.
        if !faulty.is_empty() || result.unrouted > 0 {
            self.keep_unclean(split, &faulty, result.unrouted).await?;
        }
        let mut proven = Vec::new();
        for (report, base) in reports() {
            if !report.is_clean() || !split.has_same_switch(&record, &report.service) {
                continue;
            }
            let changes = ChangesRecord {
                service: base.service.clone(),
                fingerprint: base.fingerprint.clone(),
                based_on_ms: base.whole_ms,
                repairs: base.repairs,
                changes: ComparedChanges {
                    started_ms: self.started_ms,
                    places: reached.clone(),
                },
            };
            let name = ChangesRecord::record_name(&base.service);
            let kept = split.store.change::<ChangesRecord, StateError>(&name, |found| {
                // Of two that ran at the same time, the one that goes on from the later proof counts, and of one proof the later one.
                let order = |record: &ChangesRecord| (record.based_on_ms, record.changes.started_ms);
                let newer = found.filter(|found| order(found) > order(&changes));
                Ok(newer.unwrap_or_else(|| changes.clone()))
            });
            kept.await?;
            proven.push(base.service.clone());
        }
        result.proven = proven;
        Ok(())
    }

    /// Nothing is proven of a service any more.
    async fn disprove(&self, split: &Split, service: &str) -> Result<(), StateError> {
        let name = ProofRecord::record_name(service);
        match split.store.get::<ProofRecord>(&name).await? {
            Some(found) => split.store.delete(&name, found.revision).await,
            None => Ok(()),
        }
    }

    /// The last verify was not clean. What earlier ones counted in whole tables stays.
    async fn keep_unclean(
        &self,
        split: &Split,
        faulty: &[&ServiceReport],
        unrouted: u64,
    ) -> Result<(), StateError> {
        let kept = split
            .store
            .change::<VerifyRecord, StateError>(VerifyRecord::NAME, |found| {
                let mut record = found.unwrap_or_else(|| VerifyRecord::blank(self.started_ms));
                record.started_ms = self.began_ms;
                record.ended_ms = split.now_ms();
                record.clean = false;
                record.repaired = 0;
                record.unrouted = unrouted;
                for report in faulty {
                    let before = record.services.remove(&report.service).unwrap_or_default();
                    let service = VerifyService {
                        expected: before.expected,
                        found: before.found,
                        ..service_of(split, report)
                    };
                    record.services.insert(report.service.clone(), service);
                }
                Ok(record)
            });
        kept.await.map(|_| ())
    }

    /// A repair is about to write: whatever was proven before, by anybody, is proven no more.
    pub async fn repairing(&mut self, split: &Split) -> Result<(), StateError> {
        self.repairs = VerifyRecord::note_repair(&split.store, self.started_ms).await?;
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
            self.disprove(split, &report.service).await?;
        }
        if self.yields && result.clean && self.is_outdated(split).await? {
            result.notes.push(
                "another verify began later than that, so this result is not kept: that one counts".into(),
            );
            return Ok(());
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

    /// Whether a verify began later than the moment that this one is about. What that found out is newer.
    async fn is_outdated(&self, split: &Split) -> Result<bool, StateError> {
        let found = split.store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
        Ok(found.is_some_and(|found| found.value.started_ms > self.started_ms))
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
            let kept = split.store.change::<ProofRecord, StateError>(&name, |found| {
                let newer = found.filter(|found| {
                    self.yields
                        && found.proof.started_ms > proof.proof.started_ms
                        && (&found.fingerprint, found.repairs) == (&proof.fingerprint, proof.repairs)
                });
                Ok(newer.unwrap_or_else(|| proof.clone()))
            });
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
        // What made a repair necessary may have happened since the exports were made.
        let done = !self.is_past
            && (scope.repair || found.is_some_and(|record| record.repaired_for == self.requirement));
        if clean && done {
            self.end_duty(split).await?;
        }
        let stored = split
            .store
            .change::<VerifyRecord, RunError>(VerifyRecord::NAME, |found| {
                let before = found.unwrap_or_else(|| VerifyRecord::blank(self.started_ms));
                if self.yields && result.clean && before.started_ms > self.started_ms {
                    return Ok(before);
                }
                let undisturbed = before.repairs == self.repairs;
                Ok(VerifyRecord {
                    started_ms: if result.clean {
                        self.started_ms
                    } else {
                        self.began_ms
                    },
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
            services.insert(report.service.clone(), service_of(split, report));
        }
        services
    }
}

/// What the record of a verify says of a service.
fn service_of(split: &Split, report: &ServiceReport) -> VerifyService {
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
    VerifyService {
        expected: report.expected,
        found: report.found,
        mismatches: named
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| (class.to_owned(), count))
            .collect(),
        unsettled: report.unsettled,
        invalid: report.invalid,
        newer: report.newer,
        fingerprint: fingerprint.unwrap_or_default(),
    }
}

/// Where the lanes stood at a moment in the past is not known. But where they stood when an earlier verify began is: whatever comes
/// before those places was written before that moment.
async fn known_before(
    split: &Split,
    verify: Option<VerifyRecord>,
    at_ms: u64,
) -> Result<
    (
        Option<Received>,
        Option<StreamPlaces>,
        BTreeMap<String, StreamPlaces>,
    ),
    StateError,
> {
    let verify = verify.filter(|verify| verify.started_ms <= at_ms);
    let (received, places) = verify.map_or((None, None), |verify| (verify.received, verify.places));
    let mut lane_places = BTreeMap::new();
    for service in &split.plan.services {
        let own = split
            .store
            .get::<ProofRecord>(&ProofRecord::record_name(&service.name))
            .await?;
        let own = own.map(|stored| stored.value.proof);
        let own = own.filter(|proof| proof.started_ms <= at_ms);
        let known = own.and_then(|proof| proof.places).into_iter();
        // The newer of the two leaves less to compare in a cutover.
        let newest = known
            .chain(places.clone())
            .max_by_key(|places| places.complete_to_ms);
        lane_places.extend(newest.map(|places| (service.name.clone(), places)));
    }
    Ok((received, places, lane_places))
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

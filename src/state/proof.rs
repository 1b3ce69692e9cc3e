//! What the last verifies proved of one service. A verify of the whole split proves every service; one of some services, or one
//! that found faults in others, is kept in a record for each service.

use super::{StreamPlaces, VerifyRecord};
use serde::{Deserialize, Serialize};

/// A clean comparison of one service that was not one of the whole split, or in which others had faults.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProofRecord {
    /// The service.
    pub service: String,
    /// The fingerprint of the service that was verified.
    pub fingerprint: String,
    /// What it proves.
    pub proof: Proof,
    /// Repairs that had begun to write when it began. It proves nothing after another one.
    pub repairs: u64,
}

/// That a table held exactly what it should.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// When the comparison began, in milliseconds since 1970.
    pub started_ms: u64,
    /// Where the lanes stood in the source's stream when it began. It has compared every change from before these places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<StreamPlaces>,
}

/// A clean comparison of the items of a service that changed since an earlier proof, and of nothing else. It counts only together with
/// that proof: as soon as that counts no more, or a newer one is there, this one has no effect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChangesRecord {
    /// The service.
    pub service: String,
    /// The fingerprint of the service that was verified.
    pub fingerprint: String,
    /// When the comparison of the whole table began on which this one is based ([`Proof::started_ms`]).
    pub based_on_ms: u64,
    /// Repairs that had begun to write when it began. It proves nothing after another one.
    pub repairs: u64,
    /// What was compared.
    pub changes: ComparedChanges,
}

/// Everything that changed between an earlier comparison and these places was compared, too.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ComparedChanges {
    /// When the comparison began, in milliseconds since 1970.
    pub started_ms: u64,
    /// Up to where the source's stream was read. Every key that changed before these places was compared.
    pub places: StreamPlaces,
}

impl ChangesRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "CHANGES#";

    /// Name of a service's record.
    #[must_use]
    pub fn record_name(service: &str) -> String {
        format!("{}{service}", Self::PREFIX)
    }

    /// What this record adds to the present proof of a service; `None` if it belongs to another proof.
    #[must_use]
    pub fn added_to(&self, proof: &Proof, fingerprint: &str, repairs: u64) -> Option<&ComparedChanges> {
        let based_on = proof.places.as_ref()?;
        let counts = self.fingerprint == fingerprint
            && self.repairs == repairs
            && self.based_on_ms == proof.started_ms
            && self.changes.places.generation == based_on.generation;
        counts.then_some(&self.changes)
    }
}

impl ProofRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "PROOF#";

    /// Name of a service's record.
    #[must_use]
    pub fn record_name(service: &str) -> String {
        format!("{}{service}", Self::PREFIX)
    }
}

impl Proof {
    /// From where on the changes of the source must be compared, to know what the table should hold. Comparisons of changes since then
    /// leave less to read. But they do not see what others wrote into the table, so they make the proof no younger: the places are as
    /// old as the comparison of the whole table, from which on the stream of the table must be read.
    #[must_use]
    pub fn read_from(&self, changes: Option<&ComparedChanges>) -> Option<StreamPlaces> {
        let places = self.places.as_ref()?;
        Some(StreamPlaces {
            shards: changes
                .map_or(&places.shards, |changes| &changes.places.shards)
                .clone(),
            ..places.clone()
        })
    }

    /// The newest proof of a service with this fingerprint: by the last verify of the whole split, or by one of its own.
    #[must_use]
    pub fn of(
        service: &str,
        fingerprint: &str,
        whole: Option<&VerifyRecord>,
        own: Option<&ProofRecord>,
    ) -> Option<Self> {
        let repairs = whole.map_or(0, |verify| verify.repairs);
        let by_all = whole.filter(|verify| {
            let found = verify.services.get(service);
            verify.clean && found.is_some_and(|found| found.fingerprint == fingerprint)
        });
        let by_all = by_all.map(|verify| Self {
            started_ms: verify.started_ms,
            places: verify.places.clone(),
        });
        let is_valid = |own: &&ProofRecord| {
            own.service == service && own.fingerprint == fingerprint && own.repairs == repairs
        };
        let by_itself = own.filter(is_valid).map(|own| own.proof.clone());
        by_all
            .into_iter()
            .chain(by_itself)
            .max_by_key(|proof| proof.started_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Position, SequenceNumber};
    use crate::state::VerifyService;

    fn whole(started_ms: u64, clean: bool, repairs: u64) -> VerifyRecord {
        let service = VerifyService {
            fingerprint: "f".into(),
            ..VerifyService::default()
        };
        VerifyRecord {
            started_ms,
            clean,
            repairs,
            services: [("a".to_owned(), service)].into(),
            ..VerifyRecord::blank(started_ms)
        }
    }

    fn own(started_ms: u64, repairs: u64) -> ProofRecord {
        ProofRecord {
            service: "a".into(),
            fingerprint: "f".into(),
            proof: Proof {
                started_ms,
                places: None,
            },
            repairs,
        }
    }

    fn proven(whole: Option<&VerifyRecord>, own: Option<&ProofRecord>) -> Option<u64> {
        Proof::of("a", "f", whole, own).map(|proof| proof.started_ms)
    }

    #[test]
    fn compared_changes_count_only_with_the_proof_that_they_are_based_on() {
        let places = |generation| StreamPlaces {
            generation,
            complete_to_ms: 1,
            shards: [].into(),
        };
        let record = ChangesRecord {
            service: "a".into(),
            fingerprint: "f".into(),
            based_on_ms: 5,
            repairs: 2,
            changes: ComparedChanges {
                started_ms: 9,
                places: places(1),
            },
        };
        let proof = |started_ms, generation| Proof {
            started_ms,
            places: Some(places(generation)),
        };
        let added = |proof: &Proof, fingerprint, repairs| {
            let changes = record.added_to(proof, fingerprint, repairs);
            changes.map(|changes| changes.started_ms)
        };
        assert_eq!(added(&proof(5, 1), "f", 2), Some(9));
        assert_eq!(added(&proof(6, 1), "f", 2), None, "a newer proof");
        assert_eq!(added(&proof(5, 2), "f", 2), None, "the tail was restarted");
        assert_eq!(added(&proof(5, 1), "g", 2), None, "another plan");
        assert_eq!(added(&proof(5, 1), "f", 3), None, "a repair wrote since");
        let placeless = Proof {
            started_ms: 5,
            places: None,
        };
        assert_eq!(added(&placeless, "f", 2), None);
    }

    #[test]
    fn compared_changes_leave_less_to_read_and_make_a_proof_no_younger() {
        let at = |number| Position::After(SequenceNumber::new(number));
        let places = |complete_to_ms, number| StreamPlaces {
            generation: 1,
            complete_to_ms,
            shards: [("one".to_owned(), at(number))].into(),
        };
        let proof = Proof {
            started_ms: 5,
            places: Some(places(4, "40")),
        };
        let later = ComparedChanges {
            started_ms: 9,
            places: places(8, "80"),
        };
        assert_eq!(proof.read_from(None), Some(places(4, "40")));
        assert_eq!(proof.read_from(Some(&later)), Some(places(4, "80")));
    }

    #[test]
    fn the_newest_clean_comparison_counts() {
        assert_eq!(proven(None, None), None);
        assert_eq!(proven(Some(&whole(5, true, 0)), None), Some(5));
        assert_eq!(proven(Some(&whole(5, false, 0)), None), None, "it was not clean");
        assert_eq!(proven(None, Some(&own(7, 0))), Some(7));
        assert_eq!(
            proven(Some(&whole(5, false, 2)), Some(&own(7, 2))),
            Some(7),
            "the fault is another's"
        );
        assert_eq!(proven(Some(&whole(5, true, 2)), Some(&own(7, 2))), Some(7));
        assert_eq!(proven(Some(&whole(9, true, 2)), Some(&own(7, 2))), Some(9));
        assert_eq!(
            proven(Some(&whole(5, false, 3)), Some(&own(7, 2))),
            None,
            "a repair wrote since"
        );
        assert_eq!(
            Proof::of("a", "g", Some(&whole(5, true, 0)), Some(&own(7, 0))),
            None,
            "another plan"
        );
        assert_eq!(
            Proof::of("b", "f", Some(&whole(5, true, 0)), Some(&own(7, 0))),
            None
        );
    }
}

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

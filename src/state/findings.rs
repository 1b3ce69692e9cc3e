//! The findings of the last verify as text, for `status` and `complete`.

use super::records::VerifyRecord;
use crate::model::{count, counted};
use std::collections::BTreeMap;

/// Several source items lead to one target key: only a person can say which one is right.
const COLLISION: &str = "collision";
/// Information, not a fault.
const EXPIRED: &str = "expired";

impl VerifyRecord {
    /// The mismatches by service and class, for example `orders: 2 missing, 1 collision; carts: 1 invalid`. Empty if
    /// there were none, or if an earlier version, which did not record them, made the verify.
    #[must_use]
    pub fn findings(&self) -> String {
        let mut parts: Vec<String> = self
            .services
            .keys()
            .filter_map(|service| {
                let found: Vec<String> = self.faults(service).map(|(class, n)| words(class, n)).collect();
                (!found.is_empty()).then(|| format!("{service}: {}", found.join(", ")))
            })
            .collect();
        if self.unrouted > 0 {
            parts.push(format!(
                "{} that no service takes",
                counted(self.unrouted, "item")
            ));
        }
        parts.join("; ")
    }

    /// Whether nothing was wrong but collisions, which no repair touches.
    #[must_use]
    pub fn only_collisions(&self) -> bool {
        let mut classes = BTreeMap::new();
        for service in self.services.keys() {
            self.faults(service)
                .for_each(|(class, n)| *classes.entry(class).or_insert(0) += n);
        }
        self.unrouted == 0 && classes.len() == 1 && classes.contains_key(COLLISION)
    }

    fn faults(&self, service: &str) -> impl Iterator<Item = (&str, u64)> {
        self.services.get(service).into_iter().flat_map(|service| {
            let classes = service.mismatches.iter().map(|(class, n)| (class.as_str(), *n));
            classes
                .filter(|(class, _)| *class != EXPIRED)
                .chain([("unsettled", service.unsettled), ("invalid", service.invalid)])
                .filter(|(_, n)| *n > 0)
        })
    }
}

fn words(class: &str, number: u64) -> String {
    let plural = if class == COLLISION && number != 1 {
        "s"
    } else {
        ""
    };
    format!("{} {class}{plural}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::VerifyService;

    /// Name, mismatches by class, invalid items.
    type Found<'a> = (&'a str, &'a [(&'a str, u64)], u64);

    fn record(services: &[Found<'_>], unrouted: u64) -> VerifyRecord {
        let service = |(name, classes, invalid): &Found<'_>| {
            let mismatches = classes.iter().map(|(class, n)| ((*class).to_owned(), *n));
            let service = VerifyService {
                mismatches: mismatches.collect(),
                invalid: *invalid,
                ..VerifyService::default()
            };
            ((*name).to_owned(), service)
        };
        VerifyRecord {
            received: None,
            places: None,
            last_clean_ms: None,
            started_ms: 0,
            ended_ms: 0,
            clean: false,
            repaired: 0,
            services: services.iter().map(service).collect(),
            unrouted,
            repairs: 0,
            repaired_for: None,
        }
    }

    #[test]
    fn what_was_found_is_told_by_service_and_class() {
        let found = record(
            &[
                ("carts", &[], 1),
                ("orders", &[("missing", 2), ("collision", 2), ("expired", 9)], 0),
                ("users", &[("expired", 1)], 0),
            ],
            1,
        );
        assert_eq!(
            found.findings(),
            "carts: 1 invalid; orders: 2 collisions, 2 missing; 1 item that no service takes"
        );
        assert_eq!(record(&[("users", &[], 0)], 0).findings(), "");
    }

    #[test]
    fn collisions_alone_are_told_apart() {
        assert!(record(&[("orders", &[("collision", 2), ("expired", 1)], 0)], 0).only_collisions());
        for other in [
            record(&[("orders", &[("collision", 2), ("missing", 1)], 0)], 0),
            record(&[("orders", &[("collision", 2)], 1)], 0),
            record(&[("orders", &[("collision", 2)], 0)], 1),
            record(&[("orders", &[], 0)], 0),
        ] {
            assert!(!other.only_collisions(), "{other:?}");
        }
    }

    #[test]
    fn a_record_of_an_earlier_version_is_read() {
        let old = r#"{"started_ms":1,"ended_ms":2,"clean":false,"repaired":0,"services":{"orders":
            {"expected":3,"found":2,"mismatches":{"missing":1},"fingerprint":"f"}}}"#;
        let read: VerifyRecord = serde_json::from_str(old).unwrap();
        assert_eq!(read.findings(), "orders: 1 missing");
    }
}

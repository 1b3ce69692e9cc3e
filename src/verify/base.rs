//! The earlier proof that a comparison of changes goes on from, or why there is none.

use crate::plan::Service;
use crate::source::lineage::age_gap;
use crate::state::{
    BackfillRecord, ChangesRecord, Proof, ProofRecord, SplitRecord, StreamPlaces, VerifyRecord,
};
use crate::status::lane_status;
use crate::tail::{has_ledger, kept_after};
use crate::worker::{Recorded, RunError, Split, recorded_shards};
use std::collections::BTreeSet;

/// What a comparison of the changes of a service goes on from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Base {
    pub service: String,
    pub fingerprint: String,
    /// When the comparison of the whole table began, in milliseconds since 1970.
    pub whole_ms: u64,
    /// When the last comparison began: of the whole table, or of changes.
    pub since_ms: u64,
    /// Everything that changed before was compared.
    pub places: StreamPlaces,
    /// Repairs that had begun to write.
    pub repairs: u64,
    /// Items that the service should hold, by the last verify that counted them.
    pub items: Option<u64>,
}

/// What the state says of a service.
struct Known<'a> {
    whole: Option<&'a VerifyRecord>,
    own: Option<&'a ProofRecord>,
    changes: Option<&'a ChangesRecord>,
    /// When its backfill ended.
    copied_ms: Option<u64>,
    /// Of the stream that is read at present.
    generation: Option<u32>,
    /// Its lane lost records.
    gap: Option<String>,
    /// The stream is off, and its lane has read it to its end.
    is_drained: bool,
    /// The shards of this stream, if there is a ledger.
    in_ledger: Option<&'a Recorded>,
    now_ms: u64,
}

/// What each of these services goes on from.
///
/// # Errors
/// [`RunError::NotYet`] if there is nothing to go on from for one of them, with each reason.
pub(super) async fn bases(
    split: &Split,
    record: &SplitRecord,
    services: &[&Service],
) -> Result<Vec<Base>, RunError> {
    if let Some(reason) = &record.repair_required {
        return Err(refused(&[format!("a repair is mandatory ({reason})")], true));
    }
    let store = &split.store;
    let whole = store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
    let backfill = store.get::<BackfillRecord>(BackfillRecord::NAME).await?;
    let stream = record.stream().filter(|(_, stream)| stream.captured_ms.is_some());
    let generation = stream.map(|(generation, _)| generation);
    let recorded = match generation {
        Some(generation) => Some(recorded_shards(split, generation).await?),
        None => None,
    };
    let now_ms = split.now_ms();
    let (mut found, mut reasons) = (Vec::new(), Vec::new());
    for service in services {
        let own = store
            .get::<ProofRecord>(&ProofRecord::record_name(&service.name))
            .await?;
        let changes = store
            .get::<ChangesRecord>(&ChangesRecord::record_name(&service.name))
            .await?;
        let lane = recorded
            .as_ref()
            .map(|recorded| lane_status(recorded, &service.name, now_ms));
        let known = Known {
            whole: whole.as_ref().map(|stored| &stored.value),
            own: own.as_ref().map(|stored| &stored.value),
            changes: changes.as_ref().map(|stored| &stored.value),
            copied_ms: backfill
                .as_ref()
                .and_then(|stored| stored.value.copied_ms(&service.name)),
            generation,
            is_drained: lane.as_ref().is_some_and(|lane| lane.drained_ms.is_some()),
            gap: lane.and_then(|lane| lane.gap),
            in_ledger: recorded.as_ref().filter(|_| has_ledger(split)),
            now_ms,
        };
        match known.base(&service.name, &service.fingerprint) {
            Ok(base) => found.push(base),
            Err(reason) => reasons.push(format!("{}: {reason}", service.name)),
        }
    }
    match reasons.is_empty() {
        true => Ok(found),
        false => Err(refused(&reasons, false)),
    }
}

fn refused(reasons: &[String], repair: bool) -> RunError {
    RunError::NotYet {
        what: format!(
            "there is no verify from which on only the changes could be compared ({})",
            reasons.join("; ")
        ),
        next: if repair {
            "run `dynasplit verify --repair`, then `dynasplit verify`".into()
        } else {
            "run `dynasplit verify`, which compares everything; from then on, --changed goes on from it"
                .into()
        },
    }
}

impl Known<'_> {
    /// What the service goes on from.
    fn base(&self, service: &str, fingerprint: &str) -> Result<Base, String> {
        if let Some(gap) = &self.gap {
            return Err(format!("its lane lost records ({gap})"));
        }
        let Some(proof) = Proof::of(service, fingerprint, self.whole, self.own) else {
            return Err(self.unproven(service, fingerprint).to_owned());
        };
        if self.copied_ms.is_some_and(|copied| proof.started_ms < copied) {
            return Err("its items were copied after the last clean verify began".into());
        }
        let repairs = self.whole.map_or(0, |whole| whole.repairs);
        let added = self.changes.and_then(|changes| {
            let added = changes.added_to(&proof, fingerprint, repairs)?;
            Some((added.started_ms, added.places.clone()))
        });
        let of_proof = || Some((proof.started_ms, proof.places.clone()?));
        let Some((since_ms, places)) = added.or_else(of_proof) else {
            return Err("the last clean verify does not say where the stream stood then".into());
        };
        if Some(places.generation) != self.generation {
            return Err("the tail was restarted since the last clean verify".into());
        }
        if self.is_drained {
            return Err("the stream is off, so it shows no later change".into());
        }
        let is_old = |kept_ms: u64| age_gap(kept_ms, self.now_ms);
        if let Some(age) = is_old(places.complete_to_ms)
            && self
                .in_ledger
                .and_then(|recorded| kept_after(&places, recorded, service))
                .is_none_or(|kept_ms| is_old(kept_ms).is_some())
        {
            return Err(format!("the last clean verify is too old: {age}"));
        }
        let counted = self.whole.and_then(|whole| whole.services.get(service));
        Ok(Base {
            service: service.to_owned(),
            fingerprint: fingerprint.to_owned(),
            whole_ms: proof.started_ms,
            since_ms,
            places,
            repairs,
            items: counted.map(|counted| counted.expected),
        })
    }

    /// Why nothing is proven of the service.
    fn unproven(&self, service: &str, fingerprint: &str) -> &'static str {
        let verified = self.whole.and_then(|whole| whole.services.get(service));
        let fingerprints = [
            verified.map(|verified| verified.fingerprint.as_str()),
            self.own.map(|own| own.fingerprint.as_str()),
        ];
        let mut fingerprints = fingerprints.into_iter().flatten().peekable();
        if fingerprints.peek().is_none() {
            return "it was never verified";
        }
        if fingerprints.all(|verified| verified != fingerprint) {
            return "the plan says something else since it was verified";
        }
        let repairs = self.whole.map_or(0, |whole| whole.repairs);
        match self.own {
            Some(own) if own.repairs != repairs => "a repair wrote since its last clean verify",
            _ => "its last verify was not clean, or a repair wrote since",
        }
    }
}

/// Places before which everything was compared for all of these services. A shard that one of them reads and does not name is read from
/// its beginning.
pub(super) fn earliest(bases: &[Base], recorded: &Recorded) -> Option<StreamPlaces> {
    let first = bases.first()?;
    let reads = |base: &Base, shard: &str| {
        let record = recorded.get(shard);
        record.is_none_or(|record| record.lanes.contains_key(&base.service))
    };
    let place = |shard: &String| {
        let readers = bases
            .iter()
            .filter(|base| base.places.shards.contains_key(shard) || reads(base, shard));
        let places: Option<Vec<_>> = readers.map(|base| base.places.shards.get(shard)).collect();
        places?.into_iter().min().cloned()
    };
    let shards: BTreeSet<&String> = bases.iter().flat_map(|base| base.places.shards.keys()).collect();
    let complete_to_ms = bases.iter().map(|base| base.places.complete_to_ms).min()?;
    Some(StreamPlaces {
        generation: first.places.generation,
        complete_to_ms,
        shards: shards
            .into_iter()
            .filter_map(|shard| Some((shard.clone(), place(shard)?)))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Position, SequenceNumber};
    use crate::state::{ComparedChanges, LaneState, Lease, ShardRecord, VerifyService};
    use std::sync::Arc;

    const HOUR_MS: u64 = 3_600_000;
    const NOW: u64 = 100 * HOUR_MS;
    const THEN: u64 = NOW - HOUR_MS;

    fn at(number: &str) -> Position {
        Position::After(SequenceNumber::new(number))
    }

    fn places(complete_to_ms: u64, shards: &[(&str, &str)]) -> StreamPlaces {
        let shards = shards.iter().map(|(id, place)| ((*id).to_owned(), at(place)));
        StreamPlaces {
            generation: 1,
            complete_to_ms,
            shards: shards.collect(),
        }
    }

    fn whole() -> VerifyRecord {
        let service = VerifyService {
            expected: 20,
            fingerprint: "f".into(),
            ..VerifyService::default()
        };
        VerifyRecord {
            clean: true,
            places: Some(places(THEN, &[("one", "5")])),
            services: [("a".to_owned(), service)].into(),
            ..VerifyRecord::blank(THEN)
        }
    }

    fn known(whole: &VerifyRecord) -> Known<'_> {
        Known {
            whole: Some(whole),
            own: None,
            changes: None,
            copied_ms: Some(THEN - 1),
            generation: Some(1),
            gap: None,
            is_drained: false,
            in_ledger: None,
            now_ms: NOW,
        }
    }

    fn reason(known: &Known<'_>) -> String {
        known.base("a", "f").unwrap_err()
    }

    #[test]
    fn a_service_goes_on_from_its_newest_proof() {
        let whole = whole();
        let base = known(&whole).base("a", "f").unwrap();
        assert_eq!((base.whole_ms, base.since_ms), (THEN, THEN));
        assert_eq!((base.items, base.repairs), (Some(20), 0));
        // A clean comparison of changes that is based on it leaves less to read.
        let later = places(THEN + 500, &[("one", "9")]);
        let mut changes = ChangesRecord {
            service: "a".into(),
            fingerprint: "f".into(),
            based_on_ms: THEN,
            repairs: 0,
            changes: ComparedChanges {
                started_ms: THEN + 600,
                places: later.clone(),
            },
        };
        let go_on = |changes: &ChangesRecord| {
            let known = Known {
                changes: Some(changes),
                ..known(&whole)
            };
            known.base("a", "f").unwrap()
        };
        let base = go_on(&changes);
        assert_eq!(
            (base.whole_ms, base.since_ms, base.places),
            (THEN, THEN + 600, later)
        );
        changes.based_on_ms = THEN - 1;
        assert_eq!(go_on(&changes).since_ms, THEN, "it belongs to an earlier proof");
    }

    #[test]
    fn each_reason_why_there_is_nothing_to_go_on_from_is_told() {
        let clean = whole();
        let none = VerifyRecord::blank(1);
        assert!(reason(&known(&none)).contains("never verified"));
        let other = known(&clean).base("a", "g").unwrap_err();
        assert!(other.contains("the plan says something else"), "{other}");
        let unclean = VerifyRecord {
            clean: false,
            ..whole()
        };
        assert!(reason(&known(&unclean)).contains("not clean"));
        let own = ProofRecord {
            service: "a".into(),
            fingerprint: "f".into(),
            proof: Proof {
                started_ms: THEN,
                places: None,
            },
            repairs: 3,
        };
        let repaired = Known {
            own: Some(&own),
            ..known(&unclean)
        };
        assert!(reason(&repaired).contains("a repair wrote since"));
        let placeless = VerifyRecord {
            places: None,
            ..whole()
        };
        assert!(reason(&known(&placeless)).contains("where the stream stood"));
        let of = |change: &dyn Fn(&mut Known<'_>)| {
            let mut known = known(&clean);
            change(&mut known);
            reason(&known)
        };
        assert!(of(&|known| known.copied_ms = Some(THEN + 1)).contains("copied after"));
        assert!(of(&|known| known.generation = Some(2)).contains("restarted"));
        assert!(of(&|known| known.generation = None).contains("restarted"));
        assert!(of(&|known| known.is_drained = true).contains("stream is off"));
        assert!(of(&|known| known.gap = Some("trimmed".into())).contains("lost records (trimmed)"));
        assert!(of(&|known| known.now_ms = NOW + 23 * HOUR_MS).contains("too old"));
    }

    #[test]
    fn several_services_are_read_from_the_earliest_place_of_each_shard() {
        let base = |service: &str, complete_to_ms, shards: &[(&str, &str)]| Base {
            service: service.into(),
            fingerprint: "f".into(),
            whole_ms: 1,
            since_ms: 1,
            places: places(complete_to_ms, shards),
            repairs: 0,
            items: None,
        };
        let bases = [
            base(
                "a",
                70,
                &[("one", "7"), ("two", "1"), ("late", "4"), ("before", "2")],
            ),
            base("b", 50, &[("one", "5"), ("two", "3")]),
        ];
        let recorded = |lanes: &[(&str, &[&str])]| -> Recorded {
            let record = |(id, lanes): &(&str, &[&str])| {
                let lane = |name: &&str| ((*name).to_owned(), LaneState::starting(at("9"), 1));
                let record = ShardRecord {
                    generation: 1,
                    shard: (*id).to_owned(),
                    parent: None,
                    lease: Lease::default(),
                    beat: 0,
                    lanes: lanes.iter().map(lane).collect(),
                };
                ((*id).to_owned(), record)
            };
            Arc::new(lanes.iter().map(record).collect())
        };
        let both: &[&str] = &["a", "b"];
        let shards = recorded(&[("one", both), ("two", both), ("late", both), ("before", &["a"])]);
        let all = [("one", "5"), ("two", "1"), ("before", "2")];
        assert_eq!(earliest(&bases, &shards), Some(places(50, &all)));
        assert_eq!(
            earliest(&bases, &Recorded::default()),
            Some(places(50, &all[..2])),
            "of a shard that is not recorded, nothing is known"
        );
        assert_eq!(earliest(&[], &shards), None);
    }
}

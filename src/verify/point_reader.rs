//! Consistent reads of one key on both sides.

use super::reads::TableReads;
use crate::flow::{copied_from, desired, is_newer};
use crate::model::{Item, Key};
use crate::plan::Service;
use crate::verify::compare::{
    Candidate, Delivery, Desired, Digest, Expired, Held, Observation, Written, classify, is_expired,
};
use crate::worker::{RunError, Split};
use std::time::Duration;
use tokio::time::Instant;

/// The result of reading both sides.
pub(super) struct PointRead {
    pub observation: Observation,
    /// The target holds a higher timestamp than the source, which no lost change explains.
    pub target_is_newer: bool,
    /// The item belongs to the service on one of the sides, or the service copies only its own items.
    pub is_own: bool,
}

/// Looks at both sides of one service's keys.
#[derive(Clone)]
pub(super) struct PointReader {
    pub split: Split,
    /// The service's place in the plan.
    pub place: usize,
    pub target: TableReads,
    pub source: TableReads,
    /// Which side the application writes.
    pub written: Written,
    /// The clock that all looks share.
    pub clock: Instant,
}

impl PointReader {
    pub fn service(&self) -> &Service {
        &self.split.plan.services[self.place]
    }

    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Whether the source key follows from a target key. Otherwise only a scan of the source can find it.
    pub fn can_invert(&self) -> bool {
        self.service().is_injective()
    }

    /// Source keys that are known to lead to the candidate's target key.
    pub fn source_keys(&self, candidate: &Candidate) -> Vec<Key> {
        match candidate {
            Candidate::Extra { target_key } => self.service().source_keys(target_key),
            other => other.source_keys().to_vec(),
        }
    }

    /// One look: the copy first, then the side that is written, both consistently. `delivery` is from before it.
    pub async fn look(&self, candidate: &Candidate, delivery: Delivery) -> Result<PointRead, RunError> {
        let began = self.now();
        let (held, items) = match self.written {
            Written::Source => {
                let held = self.target.get(candidate.target_key()).await?;
                (held, self.source_items(candidate).await?)
            }
            Written::Target => {
                let items = self.source_items(candidate).await?;
                (self.target.get(candidate.target_key()).await?, items)
            }
        };
        let ended = self.now();
        let mut takers = Vec::new();
        let mut source = None;
        let mut target_is_newer = false;
        let service = self.service();
        let mut is_own = !service.copies_everything();
        if let Some(held) = held.as_ref().filter(|_| !is_own) {
            let shown = copied_from(service, &self.split.plan.source.keys, held);
            is_own = shown.is_none_or(|shown| service.belongs(&shown));
        }
        let mut expired = Expired {
            source: false,
            target: held.as_ref().is_some_and(|item| self.has_expired(item)),
        };
        for item in items {
            source.get_or_insert_with(|| Digest::of(&item));
            is_own |= service.belongs(&item);
            if let Some(wanted) = self.leads_to(&item, candidate.target_key()) {
                // The taker's digest says whether the source rests, rather than a bystander's.
                source = Some(Digest::of(&item));
                expired.source |= self.has_expired(&wanted);
                takers.push(Digest::of(&wanted));
                target_is_newer |= held.as_ref().is_some_and(|held| self.is_newer(held, &wanted));
            }
        }
        let observation = Observation {
            delivery,
            began,
            ended,
            held: held.as_ref().map(classify).and_then(Held::digest),
            desired: match takers.as_slice() {
                [] => Desired::Nothing,
                [one] => Desired::Item(*one),
                _ => Desired::Several,
            },
            source,
            expired,
        };
        Ok(PointRead {
            observation,
            target_is_newer,
            is_own,
        })
    }

    /// The source items that may lead to the candidate's target key.
    async fn source_items(&self, candidate: &Candidate) -> Result<Vec<Item>, RunError> {
        let mut items = Vec::new();
        for key in self.source_keys(candidate) {
            items.extend(self.source.get(&key).await?);
        }
        Ok(items)
    }

    fn is_newer(&self, held: &Item, wanted: &Item) -> bool {
        let versions = &self.split.plan.versions;
        is_newer(versions, &self.service().version_fields(versions), held, wanted)
    }

    /// The digest of the item under a key of the target; `None` if there is no item, or if its key range is throttled all
    /// the time.
    pub async fn held(&self, key: &Key) -> Result<Option<Digest>, RunError> {
        let item = match self.target.get(key).await {
            Err(RunError::HotRange { .. }) => return Ok(None),
            read => read?,
        };
        Ok(item.as_ref().map(classify).and_then(Held::digest))
    }

    /// The target item that a source item makes, if it belongs under this key.
    fn leads_to(&self, item: &Item, target: &Key) -> Option<Item> {
        let wanted = desired(self.service(), &self.split.plan.versions, item)
            .ok()
            .flatten()?;
        (wanted.key == *target).then_some(wanted.item)
    }

    /// Of an item as the target shows it: there the attribute has the name that the plan gives.
    fn has_expired(&self, item: &Item) -> bool {
        let seconds = i64::try_from(self.split.now_ms() / 1000).unwrap_or(i64::MAX);
        let attribute = self.service().table.ttl.as_deref();
        attribute.is_some_and(|attribute| is_expired(item, attribute, seconds))
    }
}

//! Which keys of a service changed since a verify, or since its switch: read from the streams, and not taken from what the lanes
//! did, so that the check of a cutover or of a rollback does not rest on the work that it checks.

use super::from_places::{FromPlaces, too_old};
use super::lane::is_own;
use crate::model::{Images, Key, Position};
use crate::plan::Service;
use crate::source::{Record, StreamSource};
use crate::state::{StreamPin, StreamPlaces};
use crate::worker::{RunError, Split, pause, recorded_shards};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// Keys of a service's table whose items may have changed, in the order of their encoding.
#[derive(Debug, Default)]
pub struct Keys(BTreeMap<Vec<u8>, Key>);

impl Keys {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all of them out, in their order.
    pub fn take(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    /// Adds keys.
    pub fn extend(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.0.extend(keys.into_iter().map(|key| (key.encode(), key)));
    }
}

/// Reads the source's stream from where the lanes stood when a verify began, or the stream of a service's own table from its pin.
pub struct ChangedKeys {
    split: Split,
    service: String,
    reader: FromPlaces,
    /// Keys of the service's table that changed since, as far as it was read.
    pub keys: Keys,
}

impl ChangedKeys {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// If the stream is another one by now.
    pub async fn since(split: &Split, service: &str, from: StreamPlaces) -> Result<Self, RunError> {
        Ok(Self {
            split: split.clone(),
            service: service.to_owned(),
            reader: FromPlaces::of_source(split, from).await?,
            keys: Keys::default(),
        })
    }

    /// The same for the changes that the reverse lane of a service carries back: from the pin of its cutover, as far as the stream
    /// still has them. Reads nothing yet.
    ///
    /// # Errors
    /// If the service is not in the plan.
    pub fn since_switch(split: &Split, service: &str, pin: StreamPin) -> Result<Self, RunError> {
        let (planned, tables) = split.target(service).ok_or_else(|| RunError::NoSuchService {
            service: service.to_owned(),
            known: split.plan.service_names().join(", "),
        })?;
        let (streams, keys) = (tables.streams.clone(), planned.keys.clone());
        let pinned = pin.shards.iter().map(|(id, last)| {
            let place = last.clone().map_or(Position::Beginning, Position::After);
            (id.clone(), place)
        });
        let source = StreamSource::new(streams, &pin.stream_arn, pin.generation, keys);
        let from = StreamPlaces {
            generation: pin.generation,
            complete_to_ms: pin.pinned_ms,
            shards: pinned.collect(),
        };
        Ok(Self {
            service: service.to_owned(),
            reader: FromPlaces::new(source, from),
            split: split.back(service, pin),
            keys: Keys::default(),
        })
    }

    /// Reads on to where the service's lane stands now, in every shard. `full` of the keys are gathered at most before it
    /// returns `false`: then they are to be taken out, and it is to be called again.
    ///
    /// # Errors
    /// If the stream can't be read, or may not keep the records any more, or the command is stopped.
    pub async fn follow(&mut self, full: usize, stop: &CancellationToken) -> Result<bool, RunError> {
        let recorded = recorded_shards(&self.split, self.reader.generation()).await?;
        let goals = recorded.iter().filter_map(|(id, record)| {
            let lane = record.lanes.get(&self.service)?;
            Some((id.clone(), lane.position.clone()))
        });
        let goals: Vec<(String, Position)> = goals.collect();
        if goals.is_empty() {
            return Err(too_old(&format!(
                "no shard with the lane of {} is recorded",
                self.service
            )));
        }
        for (id, goal) in goals {
            while self.reader.place(&id) < goal {
                if self.keys.len() >= full {
                    return Ok(false);
                }
                if !self.read(&id, &goal).await? {
                    pause(self.split.timing.poll / 2, stop).await?;
                }
            }
        }
        if self.split.back_side().is_some() {
            return Ok(true);
        }
        // Afterwards: while they were read, records may have been trimmed.
        match self.reader.lost(self.split.now_ms()) {
            Some(reason) => Err(too_old(&reason)),
            None => Ok(true),
        }
    }

    /// Reads a page of a shard. Returns whether it moved.
    async fn read(&mut self, shard: &str, goal: &Position) -> Result<bool, RunError> {
        let before = self.reader.place(shard);
        let Some(batch) = self.reader.page(shard, goal).await? else {
            return Ok(false);
        };
        if self.split.back_side().is_some() {
            self.keys
                .extend(batch.records.iter().map(|record| record.change.key.clone()));
        } else if let Some(service) = self.split.plan.service(&self.service) {
            let schema = &self.split.plan.source.keys;
            let changed = batch
                .records
                .iter()
                .flat_map(|record| keys_of(service, &record.change.images, schema));
            self.keys.extend(changed);
        }
        Ok(batch.to != before)
    }
}

/// The keys of the service's table that the item had before and after a change, whatever shape it had.
fn keys_of(service: &Service, images: &Images, schema: &crate::model::KeySchema) -> Vec<Key> {
    // Copies of others' items change while the writers of the service are stopped.
    if !is_own(service, images) {
        return Vec::new();
    }
    let images = [&images.old, &images.new].into_iter().flatten();
    images
        .flat_map(|image| service.target_keys_of(image, schema))
        .collect()
}

/// The keys of the records of a service's own table, from a moment on.
pub(super) fn keys_since(records: &[Record], since_ms: u64) -> impl Iterator<Item = Key> {
    let is_later = move |record: &&Record| record.created_ms.is_none_or(|created| created >= since_ms);
    records
        .iter()
        .filter(is_later)
        .map(|record| record.change.key.clone())
}

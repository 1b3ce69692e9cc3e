//! Which keys of a service changed since a verify, or since its switch: read from the streams, and not taken from what the lanes
//! did, so that the check of a cutover or of a rollback does not rest on the work that it checks.

use super::lane::is_own;
use super::reader::{ShardReader, is_trimmed};
use crate::model::{Images, Key, Position};
use crate::plan::Service;
use crate::source::lineage::age_gap;
use crate::source::{Record, StreamSource};
use crate::state::{SplitRecord, StreamPin, StreamPlaces};
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
    source: StreamSource,
    from: StreamPlaces,
    shards: BTreeMap<String, (ShardReader, Position)>,
    /// Keys of the service's table that changed since, as far as it was read.
    pub keys: Keys,
}

impl ChangedKeys {
    /// Reads nothing yet.
    ///
    /// # Errors
    /// If the stream is another one by now.
    pub async fn since(split: &Split, service: &str, from: StreamPlaces) -> Result<Self, RunError> {
        let record = SplitRecord::read(&split.store).await?.value;
        let arn = match record.stream() {
            Some((generation, stream)) if generation == from.generation => stream.arn.clone(),
            _ => return Err(too_old("the tail was restarted since")),
        };
        let keys = split.plan.source.keys.clone();
        Ok(Self {
            source: StreamSource::new(split.source.streams.clone(), &arn, from.generation, keys),
            split: split.clone(),
            service: service.to_owned(),
            from,
            shards: BTreeMap::new(),
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
        Ok(Self {
            source: StreamSource::new(streams, &pin.stream_arn, pin.generation, keys),
            service: service.to_owned(),
            from: StreamPlaces {
                generation: pin.generation,
                complete_to_ms: pin.pinned_ms,
                shards: pinned.collect(),
            },
            split: split.back(service, pin),
            shards: BTreeMap::new(),
            keys: Keys::default(),
        })
    }

    /// Reads on to where the service's lane stands now, in every shard. `full` of the keys are gathered at most before it
    /// returns `false`: then they are to be taken out, and it is to be called again.
    ///
    /// # Errors
    /// If the stream can't be read, or may not keep the records any more, or the command is stopped.
    pub async fn follow(&mut self, full: usize, stop: &CancellationToken) -> Result<bool, RunError> {
        let recorded = recorded_shards(&self.split, self.from.generation).await?;
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
            while self.place(&id) < goal {
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
        match age_gap(self.from.complete_to_ms, self.split.now_ms()) {
            Some(reason) => Err(too_old(&reason)),
            None => Ok(true),
        }
    }

    fn place(&self, shard: &str) -> Position {
        let read = self.shards.get(shard).map(|(_, place)| place);
        let begun = read.or_else(|| self.from.shards.get(shard));
        begun.cloned().unwrap_or(Position::Beginning)
    }

    /// Reads a page of a shard. Returns whether it moved.
    async fn read(&mut self, shard: &str, goal: &Position) -> Result<bool, RunError> {
        let begin = self.place(shard);
        let make = || (ShardReader::new(&self.source, shard), begin.clone());
        let (reader, place) = self.shards.entry(shard.to_owned()).or_insert_with(make);
        let read = match reader.read(place).await {
            // Its age says afterwards whether records were lost.
            Err(failure) if is_trimmed(&failure) => reader.read_horizon(place, *goal == Position::End).await,
            other => other,
        };
        let batch = match read {
            Ok(batch) => batch,
            Err(failure) if failure.passes() => return Ok(false),
            Err(failure) => return Err(failure.into()),
        };
        let is_moved = batch.to != *place;
        *place = batch.to;
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
        Ok(is_moved)
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

fn too_old(reason: &str) -> RunError {
    RunError::NotYet {
        what: format!("the last verify is too old to know what changed since: {reason}"),
        next: "run `dynasplit verify`, then run this command again".into(),
    }
}

//! What the lanes have delivered so far, for the verdict on a difference.
//!
//! A lane records up to when it is complete, by the clock of its worker. A difference that was seen before that time is no
//! lag. Clocks are compared only to find out how long to wait: a worker whose clock is visibly ahead is waited for longer.

use crate::plan::Service;
use crate::source::lineage::watermark;
use crate::state::{ShardRecord, SplitRecord, StateError, StreamPin, WorkerRecord};
use crate::status::{LaneStatus, counted, duration, lane_status};
use crate::verify::compare::Delivery;
use crate::worker::{Recorded, Split, recorded_shards};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// A verification never waits longer than this for a lane. A difference that may still be lag then gets no verdict.
pub(super) const LONGEST_LAG: Duration = Duration::from_secs(15 * 60);

/// What the lanes of a verification's services have delivered.
pub(super) struct Deliveries {
    split: Split,
    services: Vec<String>,
    /// A change is late for no longer than this, whatever the lanes say.
    fixed: Option<Duration>,
    /// When the first question was asked (on the clock of the looks).
    first: OnceLock<Duration>,
    reading: Arc<Mutex<Reading>>,
}

/// The lanes, as last read.
#[derive(Default)]
struct Reading {
    /// When the last reading was made (on the clock of the looks).
    last: Option<Duration>,
    /// How far the clock of a worker was ahead of this machine's at any time, as far as that showed. What such a worker
    /// has recorded stays wrong after its end.
    ahead_ms: u64,
    lanes: BTreeMap<String, Lane>,
}

/// One lane.
#[derive(Default)]
struct Lane {
    /// How far it was behind when it was last read; `None` before its places are pinned.
    lag: Option<Duration>,
    /// Up to when it was complete at the first and at the last reading, in milliseconds since 1970.
    complete_ms: Option<(u64, u64)>,
    /// It lost records: nothing of it is waited for.
    has_gap: bool,
    /// It is known since then (on the clock of the looks) that it has read the stream to its end.
    drained_since: Option<Duration>,
}

/// What was read at one moment.
struct Seen<'a> {
    /// On the clock of the looks.
    now: Duration,
    /// In milliseconds since 1970.
    now_ms: u64,
    workers: &'a [WorkerRecord],
    /// The shards of the present generation; `None` if the stream is not captured.
    shards: Option<&'a BTreeMap<String, ShardRecord>>,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Reading {
    /// Takes in what was read. A worker records its time every `renew`, and this is read every `poll`: as much of the
    /// difference between two clocks may be hidden.
    fn take_in(&mut self, services: &[String], seen: &Seen<'_>, (renew, poll): (Duration, Duration)) {
        self.last = Some(seen.now);
        let Some(shards) = seen.shards else {
            self.lanes.clear();
            return;
        };
        let recorded = shards.values().flat_map(|shard| shard.lanes.values());
        let times = recorded.map(|lane| lane.complete_to_ms.max(lane.saved_ms));
        let latest = times
            .chain(seen.workers.iter().map(|worker| worker.seen_ms))
            .max();
        self.ahead_ms = self.ahead_ms.max(latest.unwrap_or(0).saturating_sub(seen.now_ms));
        let hidden = if self.ahead_ms > 0 { renew.max(poll) } else { poll };
        let moment_ms = seen
            .now_ms
            .saturating_add(self.ahead_ms)
            .saturating_add(ms(hidden));
        for service in services {
            let status = lane_status(shards, service, seen.now_ms);
            let complete = watermark(shards, service);
            let lane = self.lanes.entry(service.clone()).or_default();
            lane.take_in(&status, complete, seen.now, moment_ms);
        }
    }

    fn of(&self, service: &str, (first, now): (Duration, Duration), margin: Duration) -> Delivery {
        let last = self.last.unwrap_or_default();
        let lane = self.lanes.get(service);
        let is_over =
            |lane: &Lane| lane.has_gap || lane.drained_since.is_some_and(|since| now >= since + margin);
        let up_to = match lane {
            Some(lane) if !is_over(lane) => lane.lag.map_or(Duration::ZERO, |lag| last.saturating_sub(lag)),
            _ => now.saturating_sub(margin),
        };
        Delivery {
            up_to,
            is_given_up: now >= first + LONGEST_LAG,
        }
    }
}

impl Lane {
    fn take_in(&mut self, status: &LaneStatus, complete: Option<u64>, now: Duration, moment_ms: u64) {
        self.lag = complete.map(|complete| Duration::from_millis(moment_ms.saturating_sub(complete)));
        self.complete_ms = match (self.complete_ms, complete) {
            (Some((first, _)), Some(last)) => Some((first, last)),
            (_, last) => last.map(|last| (last, last)),
        };
        self.has_gap = status.gap.is_some();
        self.drained_since = match status.drained_ms {
            Some(_) => self.drained_since.or(Some(now)),
            None => None,
        };
    }

    /// Why there is no verdict on differences that this lane did not deliver in time.
    fn told(&self, name: &str) -> String {
        let most = duration(ms(LONGEST_LAG));
        match (self.lag, self.complete_ms) {
            (Some(lag), Some((first, last))) if first != last => format!(
                "the lane '{name}' is {} behind, and `dynasplit verify` waited {most} for it",
                duration(ms(lag))
            ),
            (Some(_), _) => format!("the lane '{name}' stood still for {most}"),
            (None, _) => format!("the lane '{name}' did not follow the stream for {most}"),
        }
    }
}

impl Deliveries {
    /// Of the lanes of these services. With `fixed`, no lane is asked.
    pub fn new(split: &Split, services: &[&Service], fixed: Option<Duration>) -> Self {
        Self {
            split: split.clone(),
            services: services.iter().map(|service| service.name.clone()).collect(),
            fixed,
            first: OnceLock::new(),
            reading: Arc::default(),
        }
    }

    /// For another comparison of this process, which waits for the lanes as long as if it were alone.
    pub fn anew(&self) -> Self {
        Self {
            split: self.split.clone(),
            services: self.services.clone(),
            fixed: self.fixed,
            first: OnceLock::new(),
            reading: Arc::clone(&self.reading),
        }
    }

    /// For how long both sides must rest at least before a difference is a mismatch.
    pub fn rest(&self) -> Duration {
        self.fixed.unwrap_or(self.split.timing.idle)
    }

    /// The longest wait for a lane.
    pub fn longest(&self) -> Duration {
        if self.fixed.is_some() {
            Duration::ZERO
        } else {
            LONGEST_LAG
        }
    }

    /// Twice in the time in which a worker renews its lease, and saves what an idle lane has completed.
    fn poll(&self) -> Duration {
        self.split.timing.renew() / 2
    }

    /// When to ask again, if the next look is due at the earliest after `left`.
    pub fn next_look(&self, left: Duration) -> Duration {
        match self.fixed {
            Some(_) => left,
            None if left.is_zero() => self.poll(),
            None => left.min(self.poll()),
        }
    }

    /// What a service's lane has delivered. Reads the lanes again if the last reading is old.
    pub async fn of(&self, service: &str, now: Duration) -> Result<Delivery, StateError> {
        if let Some(lag) = self.fixed {
            return Ok(Delivery {
                up_to: now.saturating_sub(lag),
                is_given_up: false,
            });
        }
        let first = *self.first.get_or_init(|| now);
        let mut reading = self.reading.lock().await;
        let is_old = |last: Duration| now.saturating_sub(last) >= self.poll() / 2;
        if reading.last.is_none_or(is_old) {
            self.read(&mut reading, now).await?;
        }
        let margin = self.split.timing.idle + self.split.timing.landed();
        Ok(reading.of(service, (first, now), margin))
    }

    /// The time is from before the records are read, so a lane never seems to be further than it is.
    async fn read(&self, reading: &mut MutexGuard<'_, Reading>, now: Duration) -> Result<(), StateError> {
        let split = &self.split;
        let now_ms = split.now_ms();
        let record = SplitRecord::read(&split.store).await?.value;
        let workers = split.store.list::<WorkerRecord>(WorkerRecord::PREFIX).await?;
        let workers: Vec<WorkerRecord> = workers.into_iter().map(|(_, stored)| stored.value).collect();
        let stream = record.stream().filter(|(_, stream)| stream.captured_ms.is_some());
        let shards: Option<Recorded> = match (split.back_side(), stream) {
            (Some(back), _) => followed_back(split, &back.pin).await?,
            (None, Some((generation, _))) => Some(recorded_shards(split, generation).await?),
            (None, None) => None,
        };
        let seen = Seen {
            now,
            now_ms,
            workers: &workers,
            shards: shards.as_deref(),
        };
        reading.take_in(&self.services, &seen, (split.timing.renew(), self.poll()));
        Ok(())
    }

    /// For a person: why differences of these lanes have no verdict.
    pub async fn notes(&self, undelivered: &[(String, u64)]) -> Vec<String> {
        let reading = self.reading.lock().await;
        let nothing = Lane::default();
        let note = |(name, count): &(String, u64)| {
            let lane = reading.lanes.get(name).unwrap_or(&nothing);
            format!(
                "{}, so {} of {name} may only be {} that it has not delivered, and {} no verdict: `dynasplit status` shows what \
                 holds the lane up. Run `dynasplit verify` again when it has caught up",
                lane.told(name),
                counted(*count, "difference"),
                if *count == 1 { "a change" } else { "changes" },
                if *count == 1 { "has" } else { "have" },
            )
        };
        undelivered.iter().map(note).collect()
    }
}

/// The recorded shards of a service's own table; `None` as long as nobody reads one that the pin names.
async fn followed_back(split: &Split, pin: &StreamPin) -> Result<Option<Recorded>, StateError> {
    let recorded = recorded_shards(split, pin.generation).await?;
    let is_begun = pin.shards.keys().all(|shard| recorded.contains_key(shard));
    Ok(is_begun.then_some(recorded))
}

#[cfg(test)]
#[path = "delivery/tests.rs"]
mod tests;

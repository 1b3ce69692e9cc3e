//! The feed of a shard: batches that the front reader passes to the lanes that keep up.

use crate::model::{Marker, Position};
use crate::source::lineage::age_gap;
use crate::source::{Record, RecordLine};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The result of one read of a shard, for the lanes.
#[derive(Debug)]
pub struct Batch {
    /// The place before its first record.
    pub from: Position,
    /// The place after its last record; [`Position::End`] when the shard is finished with it.
    pub to: Position,
    /// Its records; shared by the lanes.
    pub records: Vec<Record>,
    /// All records as the stream shows them, if the worker writes a ledger.
    pub lines: Vec<RecordLine>,
    /// The last marker of a cutover between both places.
    pub marker: Option<Marker>,
}

/// The answer to a lane that asks for the records after its position.
#[derive(Debug)]
pub enum Next {
    /// The batch that holds it. It may begin before the lane's position.
    Batch(Arc<Batch>),
    /// Nothing new, and the shard was read to its tip: the lane is complete up to this time.
    Idle(u64),
    /// The lane fell behind the buffered batches: it must read for itself.
    Behind,
    /// Records were trimmed before the lane read them, for this reason.
    Lost(String),
}

/// The front of a shard: one reader puts batches in, all lanes that keep up take them from here.
///
/// Bounded: at most [`Feed::BATCHES`] are kept. A lane that held the front up for longer than [`Feed::GRACE`] in all,
/// since it last kept up, is cut loose, so that it holds back no other; when it has caught up, it is taken on again.
#[derive(Debug, Default)]
pub struct Feed {
    inner: Mutex<Inner>,
    /// Wakes lanes: something new is there.
    news: Notify,
    /// Wakes the front: a lane came, went or moved on.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    batches: VecDeque<Arc<Batch>>,
    /// The position at which the front reader continues.
    tip: Option<Position>,
    idle_to_ms: u64,
    /// The front is held up, and was last looked at then.
    held: Option<Instant>,
    /// Lanes that keep up, and how far each is.
    attached: BTreeMap<String, Attached>,
    /// Lanes whose position was trimmed, each with the reason why this is a gap.
    lost: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Attached {
    position: Position,
    complete_to_ms: u64,
    /// For how long it has held the front up since it last had everything. (Not for how long it has not moved: a
    /// throttled lane moves now and then, and would slow all others down to its own pace for ever.)
    held: Duration,
    idle_to_ms: u64,
}

impl Feed {
    /// Batches that are kept for lanes that keep up; each holds at most 1,000 records or 1 MB.
    pub const BATCHES: usize = 8;
    /// How long a lane may hold the front up, all in all.
    pub const GRACE: Duration = Duration::from_secs(3);

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something for a lane at `position`.
    pub async fn next(&self, lane: &str, position: &Position, complete_to_ms: u64) -> Next {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(next) = self.look(lane, position, complete_to_ms) {
                return next;
            }
            news.await;
        }
    }

    fn look(&self, lane: &str, position: &Position, complete_to_ms: u64) -> Option<Next> {
        let mut inner = self.lock();
        self.moved.notify_one();
        if let Some(reason) = inner.lost.remove(lane) {
            inner.attached.remove(lane);
            return Some(Next::Lost(reason));
        }
        if let Some(found) = inner.batches.iter().find(|batch| batch.to > *position) {
            if found.from > *position {
                inner.attached.remove(lane);
                return Some(Next::Behind);
            }
            let batch = Arc::clone(found);
            inner.attach(lane, position, complete_to_ms);
            return Some(Next::Batch(batch));
        }
        if inner.tip.as_ref().is_some_and(|tip| tip > position) {
            inner.attached.remove(lane);
            return Some(Next::Behind);
        }
        let idle_to_ms = inner.idle_to_ms;
        let at_tip = inner.tip.as_ref() == Some(position);
        let attached = inner.attach(lane, position, complete_to_ms);
        if at_tip && attached.idle_to_ms < idle_to_ms {
            attached.idle_to_ms = idle_to_ms;
            return Some(Next::Idle(idle_to_ms));
        }
        None
    }

    /// A lane stops for good.
    pub fn detach(&self, lane: &str) {
        self.lock().attached.remove(lane);
        self.moved.notify_one();
    }

    /// For the front: waits until it should read on, and answers from where. `None`: the shard is finished.
    pub async fn wanted(&self) -> Option<Position> {
        loop {
            match self.lock().wanted(Instant::now()) {
                Wanted::Read(position) => return Some(position),
                Wanted::Finished => return None,
                Wanted::Wait => {}
            }
            tokio::select! {
                biased;
                () = self.moved.notified() => {}
                () = tokio::time::sleep(Self::GRACE / 10) => {}
            }
        }
    }

    /// For the front: puts a batch in.
    pub fn put(&self, batch: Batch) {
        let mut inner = self.lock();
        inner.tip = Some(batch.to.clone());
        inner.batches.push_back(Arc::new(batch));
        drop(inner);
        self.news.notify_waiters();
    }

    /// For the front: the shard was empty for long enough that it is known to be complete up to this time.
    pub fn idle(&self, complete_to_ms: u64) {
        let mut inner = self.lock();
        inner.idle_to_ms = inner.idle_to_ms.max(complete_to_ms);
        drop(inner);
        self.news.notify_waiters();
    }

    /// For the front reader: its position was trimmed. Lanes that were complete up to a time that the stream still
    /// keeps have lost nothing, even if their position is old; the others have a gap. Returns whether any lane
    /// continues.
    pub fn trimmed(&self, now_ms: u64) -> bool {
        let mut inner = self.lock();
        let Inner { attached, lost, .. } = &mut *inner;
        attached.retain(|lane, state| match age_gap(state.complete_to_ms, now_ms) {
            None => true,
            Some(reason) => {
                lost.insert(lane.clone(), reason);
                false
            }
        });
        let go_on = !inner.attached.is_empty();
        drop(inner);
        self.news.notify_waiters();
        go_on
    }
}

enum Wanted {
    Read(Position),
    Finished,
    Wait,
}

impl Inner {
    fn attach(&mut self, lane: &str, position: &Position, complete_to_ms: u64) -> &mut Attached {
        let entry = self.attached.entry(lane.to_owned()).or_insert_with(|| Attached {
            position: position.clone(),
            complete_to_ms,
            held: Duration::ZERO,
            idle_to_ms: 0,
        });
        entry.complete_to_ms = complete_to_ms;
        entry.position = position.clone();
        if self.tip.as_ref().is_none_or(|tip| tip <= position) {
            entry.held = Duration::ZERO;
        }
        entry
    }

    fn wanted(&mut self, now: Instant) -> Wanted {
        self.evict(now);
        let Some(first) = self.attached.values().map(|lane| &lane.position).min().cloned() else {
            return Wanted::Wait;
        };
        // All lanes that keep up are past the tip (they read for themselves meanwhile), or there is none yet.
        if self.tip.as_ref().is_none_or(|tip| *tip < first) {
            self.batches.clear();
            self.tip = Some(first);
        }
        match &self.tip {
            Some(Position::End) => Wanted::Finished,
            Some(tip) if self.batches.len() < Feed::BATCHES => Wanted::Read(tip.clone()),
            _ => Wanted::Wait,
        }
    }

    /// Drops batches that every lane has passed; cuts lanes loose that held the front up for too long.
    fn evict(&mut self, now: Instant) {
        self.blame(now);
        loop {
            let passed = |batch: &Arc<Batch>| self.attached.values().all(|lane| lane.position >= batch.to);
            while !self.attached.is_empty() && self.batches.front().is_some_and(passed) {
                self.batches.pop_front();
            }
            let oldest = match self.batches.front() {
                Some(oldest) if self.batches.len() >= Feed::BATCHES && !self.attached.is_empty() => {
                    oldest.to.clone()
                }
                _ => return,
            };
            let attached = self.attached.len();
            self.attached
                .retain(|_, lane| lane.position >= oldest || lane.held <= Feed::GRACE);
            if self.attached.len() == attached {
                self.held = Some(now);
                return;
            }
        }
    }

    /// Puts the time for which the front was held up down to the slowest lanes.
    fn blame(&mut self, now: Instant) {
        let Some(since) = self.held.take() else { return };
        let slowest = self.attached.values().map(|lane| &lane.position).min().cloned();
        for lane in self.attached.values_mut() {
            if Some(&lane.position) == slowest.as_ref() {
                lane.held += now.saturating_duration_since(since);
            }
        }
    }
}

#[cfg(test)]
mod tests;

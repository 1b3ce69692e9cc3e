use crate::model::Position;
use crate::source::Record;
use crate::source::lineage::age_gap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What one read of a shard gave, as lanes take it.
#[derive(Debug)]
pub struct Batch {
    /// The place before its first record.
    pub from: Position,
    /// The place after its last record; [`Position::End`] when the shard is finished with it.
    pub to: Position,
    /// Its records; shared by the lanes.
    pub records: Vec<Record>,
}

/// What a lane gets when it asks for what comes after its position.
#[derive(Debug)]
pub enum Next {
    /// The batch that holds it. It may begin before the lane's position.
    Batch(Arc<Batch>),
    /// Nothing new, and the shard was read to its tip: the lane is complete up to this time.
    Idle(u64),
    /// The lane fell behind what is kept: it must read for itself.
    Behind,
    /// Records were trimmed before the lane read them, for this reason.
    Lost(String),
}

/// The front of a shard: one reader puts batches in, all lanes that keep up take them from here.
///
/// Bounded: at most [`Feed::BATCHES`] are kept. A lane that holds the front up for longer than
/// [`Feed::GRACE`] is cut loose, so that it holds back no other; when it has caught up, it is taken on again.
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
    /// Where the front goes on reading.
    tip: Option<Position>,
    idle_to_ms: u64,
    /// Lanes that keep up, and how far each is.
    attached: BTreeMap<String, Attached>,
    /// Lanes whose place was trimmed, and why that is a gap.
    lost: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Attached {
    position: Position,
    complete_to_ms: u64,
    moved: Instant,
    idle_to_ms: u64,
}

impl Feed {
    /// Batches that are kept for lanes that keep up; each holds at most 1,000 records or 1 MB.
    pub const BATCHES: usize = 8;
    /// How long a lane may hold the front up.
    pub const GRACE: Duration = Duration::from_secs(3);

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something for a lane that is at `position`.
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

    /// For the front: its place was trimmed. Lanes that were complete to a time that the stream still keeps have
    /// lost nothing, whatever their old position says; the others have a gap. Answers whether any lane goes on.
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
            moved: Instant::now(),
            idle_to_ms: 0,
        });
        entry.complete_to_ms = complete_to_ms;
        if entry.position != *position {
            entry.position = position.clone();
            entry.moved = Instant::now();
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

    /// Drops batches that every lane has passed; cuts lanes loose that hold the front up.
    fn evict(&mut self, now: Instant) {
        while let Some(oldest) = self.batches.front() {
            let passed = |lane: &Attached| lane.position >= oldest.to;
            if !self.attached.is_empty() && self.attached.values().all(passed) {
                self.batches.pop_front();
            } else if self.batches.len() >= Feed::BATCHES
                && self
                    .attached
                    .values()
                    .any(|lane| !passed(lane) && now.duration_since(lane.moved) > Feed::GRACE)
            {
                let to = oldest.to.clone();
                self.attached
                    .retain(|_, lane| lane.position >= to || now.duration_since(lane.moved) <= Feed::GRACE);
                if self.attached.is_empty() {
                    return;
                }
            } else {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SequenceNumber;

    fn after(number: u32) -> Position {
        Position::After(SequenceNumber::new(&number.to_string()))
    }

    fn batch(from: u32, to: u32) -> Batch {
        Batch {
            from: after(from),
            to: after(to),
            records: Vec::new(),
        }
    }

    #[tokio::test]
    async fn lanes_take_what_follows_their_place() {
        let feed = Feed::default();
        assert!(feed.look("a", &after(0), 0).is_none(), "attached, and waiting");
        assert_eq!(feed.wanted().await, Some(after(0)));
        feed.put(batch(0, 5));
        feed.put(batch(5, 9));
        assert!(matches!(feed.next("a", &after(0), 0).await, Next::Batch(b) if b.to == after(5)));
        assert!(matches!(feed.next("a", &after(3), 0).await, Next::Batch(b) if b.to == after(5)));
        assert!(matches!(feed.next("a", &after(5), 0).await, Next::Batch(b) if b.to == after(9)));
        assert_eq!(feed.wanted().await, Some(after(9)));
        assert!(feed.look("a", &after(9), 0).is_none());
        feed.idle(77);
        assert!(matches!(feed.next("a", &after(9), 0).await, Next::Idle(77)));
        assert!(feed.look("a", &after(9), 0).is_none(), "told once");
        assert!(matches!(feed.next("b", &after(1), 0).await, Next::Behind));
    }

    #[test]
    fn a_lane_that_holds_the_front_up_is_cut_loose() {
        let feed = Feed::default();
        let _ = (feed.look("fast", &after(0), 0), feed.look("slow", &after(0), 0));
        let start = Instant::now();
        assert!(matches!(feed.lock().wanted(start), Wanted::Read(_)));
        for n in 0..u32::try_from(Feed::BATCHES).unwrap() {
            feed.put(batch(n, n + 1));
        }
        let _ = feed.look("fast", &after(8), 0);
        let _ = feed.look("slow", &after(0), 0);
        assert!(matches!(feed.lock().wanted(start), Wanted::Wait));
        let late = start + Feed::GRACE * 2;
        feed.lock().attached.get_mut("fast").unwrap().moved = late;
        assert!(matches!(feed.lock().wanted(late), Wanted::Read(p) if p == after(8)));
        assert!(!feed.lock().attached.contains_key("slow"));
    }

    #[test]
    fn the_front_follows_lanes_that_went_ahead_by_themselves() {
        let feed = Feed::default();
        let _ = feed.look("a", &after(0), 0);
        assert!(matches!(feed.lock().wanted(Instant::now()), Wanted::Read(p) if p == after(0)));
        let _ = feed.look("a", &after(50), 0);
        assert!(matches!(feed.lock().wanted(Instant::now()), Wanted::Read(p) if p == after(50)));
    }

    #[test]
    fn a_trimmed_place_is_a_gap_only_for_lanes_that_are_old() {
        let feed = Feed::default();
        let now = 10 * crate::source::lineage::RETENTION_MS;
        let _ = (
            feed.look("young", &after(1), now - 5),
            feed.look("old", &after(1), 5),
        );
        assert!(feed.trimmed(now));
        assert!(matches!(feed.look("old", &after(1), 5), Some(Next::Lost(_))));
        assert!(feed.look("young", &after(1), now).is_none());
    }

    #[tokio::test]
    async fn the_end_is_the_end() {
        let feed = Feed::default();
        let _ = feed.look("a", &after(0), 0);
        let _ = feed.wanted().await;
        feed.put(Batch {
            from: after(0),
            to: Position::End,
            records: Vec::new(),
        });
        assert!(matches!(feed.next("a", &after(0), 0).await, Next::Batch(b) if b.to == Position::End));
        let _ = feed.look("a", &Position::End, 0);
        assert_eq!(feed.wanted().await, None);
    }
}

//! The feed, step by step and under many lanes at once.

use super::*;
use crate::model::SequenceNumber;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

fn after(number: u32) -> Position {
    Position::After(SequenceNumber::new(&number.to_string()))
}

fn batch(from: u32, to: u32) -> Batch {
    Batch {
        from: after(from),
        to: after(to),
        records: Vec::new(),
        marker: None,
        lines: Vec::new(),
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
    assert!(matches!(feed.lock().wanted(late), Wanted::Read(p) if p == after(8)));
    assert!(!feed.lock().attached.contains_key("slow"));
}

#[test]
fn a_lane_that_only_moves_now_and_then_is_cut_loose_too() {
    let feed = Feed::default();
    let _ = (feed.look("fast", &after(0), 0), feed.look("slow", &after(0), 0));
    let (mut now, mut read) = (Instant::now(), 0);
    for step in 1..100 {
        let reads = || matches!(feed.lock().wanted(now), Wanted::Read(_));
        while reads() {
            feed.put(batch(read, read + 1));
            read += 1;
        }
        let _ = feed.look("fast", &after(read), 0);
        let _ = feed.look("slow", &after(step), 0);
        if !feed.lock().attached.contains_key("slow") {
            assert!(step > 3, "not before it had its grace");
            return;
        }
        now += Feed::GRACE / 3;
    }
    panic!("the others go at its pace");
}

#[test]
fn a_burst_after_a_quiet_time_cuts_nobody_loose() {
    let feed = Feed::default();
    let start = Instant::now();
    let _ = (feed.look("a", &after(0), 0), feed.look("b", &after(0), 0));
    assert!(matches!(feed.lock().wanted(start), Wanted::Read(_)));
    let burst = start + Feed::GRACE * 9;
    for n in 0..u32::try_from(Feed::BATCHES).unwrap() {
        feed.put(batch(n, n + 1));
    }
    let _ = feed.look("a", &after(8), 0);
    assert!(matches!(feed.lock().wanted(burst), Wanted::Wait));
    assert!(
        feed.lock().attached.contains_key("b"),
        "it only just got something to do"
    );
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
        marker: None,
        lines: Vec::new(),
    });
    assert!(matches!(feed.next("a", &after(0), 0).await, Next::Batch(b) if b.to == Position::End));
    let _ = feed.look("a", &Position::End, 0);
    assert_eq!(feed.wanted().await, None);
}

/// A shard of numbered records, of which more and more can be read.
struct Shard {
    published: AtomicU32,
    last: u32,
}

impl Shard {
    /// As the reader does it: up to so many records after a place; the end only behind the last.
    fn read(&self, from: &Position, most: u32) -> (Vec<u32>, Position) {
        let next = match from {
            Position::Beginning => 1,
            Position::At(number) => number.to_string().parse().unwrap(),
            Position::After(number) => number.to_string().parse::<u32>().unwrap() + 1,
            Position::End => return (vec![], Position::End),
        };
        let published = self.published.load(Ordering::SeqCst);
        let records: Vec<u32> = (next..=published).take(most as usize).collect();
        let to = match records.last() {
            Some(last) => after(*last),
            None if published == self.last => Position::End,
            None => from.clone(),
        };
        (records, to)
    }
}

fn numbered(number: u32) -> Record {
    Record {
        sequence: SequenceNumber::new(&number.to_string()),
        created_ms: None,
        change: Arc::new(crate::model::Change {
            key: crate::model::Key {
                partition: crate::model::Value::s("x"),
                sort: None,
            },
            images: crate::model::Images::default(),
            origin: crate::model::Origin::Backfill,
        }),
        marks: crate::model::MarkImages::default(),
    }
}

fn number(record: &Record) -> u32 {
    record.sequence.to_string().parse().unwrap()
}

/// How long a lane takes for a batch, and for how many batches from its first.
#[derive(Clone, Copy)]
struct Pace {
    starts: Duration,
    takes: Duration,
    batches: u32,
    /// It takes no time any more once so many lanes have ended.
    until_ended: usize,
}

/// Waits until so many lanes have ended.
async fn until_ended(ended: &AtomicUsize, lanes: usize) {
    while ended.load(Ordering::SeqCst) < lanes {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Follows the shard as a lane does.
async fn lane(
    name: String,
    (feed, shard, ended): (Arc<Feed>, Arc<Shard>, Arc<AtomicUsize>),
    pace: Pace,
    mut rng: StdRng,
) {
    tokio::time::sleep(pace.starts).await;
    let (mut position, mut seen, mut batches) = (Position::At(SequenceNumber::new("1")), 0u32, 0);
    let mut idle = 0;
    while position != Position::End {
        // A wait that is given up and begun again must lose nothing.
        let patience = Duration::from_micros(rng.random_range(0..3000));
        let Ok(next) = tokio::time::timeout(patience, feed.next(&name, &position, 0)).await else {
            continue;
        };
        let (records, to) = match next {
            Next::Batch(batch) => {
                let fresh = batch.records.iter().map(number).filter(|n| after(*n) > position);
                (fresh.collect::<Vec<_>>(), batch.to.clone())
            }
            Next::Idle(complete) => {
                assert!(complete > idle, "told once");
                assert!(
                    u64::from(seen) >= complete,
                    "{name} is at {seen}, told to be complete to {complete}"
                );
                idle = complete;
                continue;
            }
            Next::Behind => shard.read(&position, 100),
            Next::Lost(reason) => panic!("{reason}"),
        };
        for record in records {
            assert_eq!(record, seen + 1, "{name}: every record once, in order");
            seen = record;
        }
        position = position.max(to);
        batches += 1;
        if batches <= pace.batches {
            let takes = pace.takes.mul_f64(rng.random_range(0.5..1.5));
            tokio::select! {
                () = tokio::time::sleep(takes) => {}
                () = until_ended(&ended, pace.until_ended) => {}
            }
        } else {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(seen, shard.last, "{name} has seen all");
    feed.detach(&name);
    ended.fetch_add(1, Ordering::SeqCst);
}

async fn front(feed: Arc<Feed>, shard: Arc<Shard>, mut rng: StdRng) {
    while let Some(from) = feed.wanted().await {
        let (records, to) = shard.read(&from, rng.random_range(1..40));
        if to == from {
            // All up to here was published before it was asked for: complete up to this record.
            if let Position::After(number) = &from {
                feed.idle(number.to_string().parse().unwrap());
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        } else {
            feed.put(Batch {
                from,
                to,
                records: records.into_iter().map(numbered).collect(),
                marker: None,
                lines: Vec::new(),
            });
        }
    }
}

/// Runs lanes beside one front to their ends.
async fn follow(seed: u64, records: u32, paces: &[Pace]) {
    let shard = Arc::new(Shard {
        published: AtomicU32::new(0),
        last: records,
    });
    let feed = Arc::new(Feed::default());
    let ended = Arc::new(AtomicUsize::new(0));
    let rng = |n: usize| StdRng::seed_from_u64(seed ^ (n as u64) << 32);
    let lanes: Vec<_> = paces
        .iter()
        .enumerate()
        .map(|(n, pace)| {
            let shared = (Arc::clone(&feed), Arc::clone(&shard), Arc::clone(&ended));
            tokio::spawn(lane(format!("lane {n}"), shared, *pace, rng(n)))
        })
        .collect();
    let reading = tokio::spawn(front(Arc::clone(&feed), Arc::clone(&shard), rng(90)));
    let mut publish = rng(91);
    let publishing = async {
        let mut published = 0;
        while published < records {
            published = (published + publish.random_range(1..200)).min(records);
            shard.published.store(published, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_micros(publish.random_range(0..2000))).await;
        }
    };
    let all = async {
        publishing.await;
        for lane in lanes {
            lane.await.unwrap();
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(90), all).await;
    // As the shard's task does it when no lane is left.
    reading.abort();
    assert!(all.is_ok(), "seed {seed}: a lane hangs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_lane_sees_every_record_in_order_at_any_pace() {
    for seed in 0..12 {
        let mut rng = StdRng::seed_from_u64(seed);
        let paces: Vec<Pace> = (0..rng.random_range(1..6))
            .map(|_| Pace {
                starts: Duration::from_millis(rng.random_range(0..40)),
                takes: Duration::from_micros(rng.random_range(0..4000)),
                batches: rng.random_range(0..40),
                until_ended: usize::MAX,
            })
            .collect();
        follow(seed, 4000, &paces).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lane_that_is_stuck_or_slow_holds_back_no_other() {
    let quick = Pace {
        starts: Duration::ZERO,
        takes: Duration::ZERO,
        batches: 0,
        until_ended: 2,
    };
    let stuck = Pace {
        takes: Duration::from_secs(3600),
        batches: 1,
        ..quick
    };
    // At this pace, the whole takes minutes.
    let slow = Pace {
        takes: Duration::from_millis(400),
        batches: u32::MAX,
        ..quick
    };
    // Those two go on when the quick ones have ended: who waits for them hangs.
    follow(7, 20_000, &[quick, stuck, slow, quick]).await;
}

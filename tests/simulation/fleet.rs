//! What it costs that many workers share shards and segments: the requests that they send to the state table, and how
//! long it takes until others have taken over what a third of them leaves.
//!
//! These are the product's own workers. Nothing goes wrong on the network, the source is empty, and its stream too.
//!
//! `cargo test --test simulation fleet` runs small fleets and larger ones. `DYNASPLIT_FLEET=256,2000` names another size of the larger
//! ones: how many workers share how many shards or segments.

mod shared_verify;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use dynasplit::backfill::{Backfill, BackfillOptions, BackfillReport};
use dynasplit::dynamo::{Clients, Clock, Timing, chance};
use dynasplit::lifecycle::{ApplyOptions, apply};
use dynasplit::plan::Plan;
use dynasplit::tail::{Tail, TailOptions};
use dynasplit::worker::Split;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::Value as Json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Habits, Value};
use crate::network::{Cost, EPOCH_MS, Network, Trace, WINDOW_MS};
use crate::script::Cuts;
use crate::support::long::in_the_long_run;
use crate::support::table;
use crate::support::trial::{Mode, Trial};
use crate::worker::configuration;

const STACK: usize = 16 << 20;
/// A lane looks for records so seldom, because this costs nothing of the state.
const POLL: Duration = Duration::from_secs(20);
/// Workers start so far apart, as a deployment starts them.
const BETWEEN_STARTS: Duration = Duration::from_millis(100);
/// Segments that a backfill works on at once. Each has one page, which takes a fifth of a lease.
const AT_ONCE: usize = 4;
/// Nothing takes longer.
const MOST: Duration = Duration::from_secs(1200);

/// What was counted in some time.
struct Counted {
    time: Duration,
    sum: Cost,
    most_requests: u64,
    described: u64,
    kinds: Vec<(String, Cost)>,
    hottest: (String, u64),
}

impl Counted {
    fn a_second(&self, number: f64) -> f64 {
        number / self.time.as_secs_f64()
    }

    fn reads(&self) -> f64 {
        self.a_second(self.sum.read_units())
    }

    fn writes(&self) -> f64 {
        self.a_second(self.sum.write_units as f64)
    }

    fn requests(&self) -> f64 {
        self.a_second(self.sum.requests as f64)
    }

    /// How many times as many requests as in the mean came in the window with most of them.
    fn herd(&self) -> f64 {
        let mean = self.requests() * Duration::from_millis(WINDOW_MS).as_secs_f64();
        self.most_requests as f64 / mean
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:.0} s: {:.0} read units/s, {:.0} write units/s, {:.0} requests/s; in 100 ms at most {}, {:.1} times the mean; \
             {:.1} DescribeStream/s; most written: {} ({:.2} units/s)",
            self.time.as_secs_f64(),
            self.reads(),
            self.writes(),
            self.requests(),
            self.most_requests,
            self.herd(),
            self.a_second(self.described as f64),
            self.hottest.0,
            self.a_second(self.hottest.1 as f64),
        )?;
        for (kind, cost) in self.kinds.iter().take(6) {
            writeln!(
                f,
                "    {kind}: {:.1} requests/s, {:.1} read units/s, {:.1} write units/s",
                self.a_second(cost.requests as f64),
                self.a_second(cost.read_units()),
                self.a_second(cost.write_units as f64),
            )?;
        }
        Ok(())
    }
}

/// A worker.
struct Member {
    name: String,
    stop: CancellationToken,
    task: JoinHandle<Result<Option<BackfillReport>, String>>,
}

/// How workers leave.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaving {
    Stopped,
    Killed,
}

struct Fleet {
    network: Network,
    trial: Trial,
    plan: Plan,
    timing: Timing,
    members: Vec<Member>,
    began: Instant,
    rng: StdRng,
    joined: usize,
}

/// Runs something in a thread of its own, in simulated time.
fn simulated<T: Send>(work: impl AsyncFnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let here = move || {
            chance::seed(1);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            runtime.block_on(async { Box::pin(work()).await })
        };
        let thread = std::thread::Builder::new().stack_size(STACK);
        let ended = thread.spawn_scoped(scope, here).expect("a thread").join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Fleet {
    /// A split whose source is empty.
    async fn new(shards: usize, lease: Duration) -> Self {
        Box::pin(Self::paged(shards, lease, 100)).await
    }

    /// The same, with so many items in a page.
    async fn paged(shards: usize, lease: Duration, page_items: usize) -> Self {
        let engine = Engine::new(Habits {
            page_items,
            page_records: 100,
            shards: shards as u64,
            creation_ms: 250,
            policy_rest_ms: 0,
        });
        let timing = Timing {
            poll: POLL,
            settle: Duration::ZERO,
            clock: Clock::simulated(Instant::now(), EPOCH_MS, 0),
            ..Timing::LIVE.with_lease(lease)
        };
        let network = Network::new(engine, 1, timing.landed(), Cuts::default(), Trace::default());
        let trial = Trial {
            mode: Mode::Timestamp,
            source: "source".into(),
            split: "trial".into(),
            orders: "orders".into(),
            invoices: "invoices".into(),
            names: "names".into(),
        };
        network.measure(&trial.state_table());
        let plan = Plan::parse(&trial.plan(), "plan.yaml").expect("the plan is right");
        let mut fleet = Self {
            network,
            trial,
            plan,
            timing,
            members: Vec::new(),
            began: Instant::now(),
            rng: StdRng::seed_from_u64(1),
            joined: 0,
        };
        let (wire, _) = fleet.network.join("operator", false, None);
        table::create(
            &aws_sdk_dynamodb::Client::new(&configuration(wire)),
            &fleet.trial.source,
        )
        .await;
        let split = fleet.split("apply").await;
        let options = ApplyOptions {
            enable_stream: false,
            for_import: false,
        };
        Box::pin(apply(&split, options, &|_| {}))
            .await
            .expect("it applies");
        fleet
    }

    async fn split(&mut self, name: &str) -> Split {
        let (wire, _) = self.network.join(name, false, None);
        Split::open(self.plan.clone(), &Clients::of(configuration(wire), self.timing)).await
    }

    async fn start(&mut self, kind: &str, segments: u32) {
        self.joined += 1;
        let name = format!("{kind}{}", self.joined);
        let split = self.split(&name).await;
        let stop = CancellationToken::new();
        let own = stop.clone();
        let is_tail = kind == "tail";
        let task = tokio::spawn(Box::pin(async move {
            if is_tail {
                let (tail, _) = Tail::new(split, TailOptions::default(), own);
                let ended = Box::pin(tail.run()).await;
                return ended.map(|_| None).map_err(|error| error.to_string());
            }
            let options = BackfillOptions {
                segments: Some(segments),
                workers: Some(AT_ONCE),
                ..BackfillOptions::default()
            };
            let (backfill, _) = Backfill::new(split, options, own);
            let ended = Box::pin(backfill.run()).await;
            ended.map(Some).map_err(|error| error.to_string())
        }));
        self.members.push(Member { name, stop, task });
    }

    /// Starts workers one after the other.
    async fn start_all(&mut self, kind: &str, number: usize, segments: u32) {
        for _ in 0..number {
            self.start(kind, segments).await;
            sleep(BETWEEN_STARTS).await;
        }
    }

    /// A third of the workers leaves. Answers their names.
    async fn a_third_leaves(&mut self, how: Leaving) -> Vec<String> {
        self.members.shuffle(&mut self.rng);
        let stay = self.members.len() - self.members.len() / 3;
        let mut gone = Vec::new();
        for member in self.members.split_off(stay) {
            match how {
                Leaving::Stopped => member.stop.cancel(),
                Leaving::Killed => {
                    self.network.bury(&member.name, "was killed");
                    member.task.abort();
                }
            }
            gone.push(member.name);
        }
        gone
    }

    fn is_captured(&self) -> bool {
        let split = &self.records("SPLIT")["SPLIT"];
        !split["streams"][0]["captured_ms"].is_null()
    }

    /// The records of a kind, by their names.
    fn records(&self, prefix: &str) -> BTreeMap<String, Json> {
        let table = self.trial.state_table();
        self.network.with_engine(|engine, _| {
            let of_kind = |(key, item): (Vec<Value>, &crate::engine::Item)| {
                let Some(Value::S(name)) = key.last().filter(|name| is_of(name, prefix)) else {
                    return None;
                };
                let Some(Value::S(text)) = item.get("record") else {
                    return None;
                };
                Some((name.clone(), serde_json::from_str(text).expect("a record")))
            };
            engine.contents(&table).into_iter().filter_map(of_kind).collect()
        })
    }

    /// Waits until something is so, and answers how long it took.
    async fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) -> Duration {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < MOST, "in {} s: {what}", MOST.as_secs());
            sleep(Duration::from_millis(500)).await;
        }
        began.elapsed()
    }

    /// Whether every record with work left is owned, and by nobody of these.
    fn is_taken_over(&self, prefix: &str, gone: &[String], records: &BTreeMap<String, Json>) -> bool {
        let now = self.records(prefix);
        self.network.with_meter(|meter| {
            records.keys().all(|name| {
                let record = &now[name];
                let last = meter.writer(name).unwrap_or_default();
                let is_held = !record["lease"]["owner"].is_null() && !gone.iter().any(|gone| gone == last);
                is_held || is_done(record)
            })
        })
    }

    /// Whether every shard has an owner, and no worker has more than so many.
    fn are_shared(&self, share: usize) -> bool {
        let records = self.records("SHARD#");
        self.network.with_meter(|meter| {
            let mut owned: BTreeMap<&str, usize> = BTreeMap::new();
            for (name, record) in &records {
                let owner = meter.writer(name).unwrap_or_default();
                if record["lease"]["owner"].is_null() {
                    return false;
                }
                *owned.entry(owner).or_default() += 1;
            }
            owned.values().all(|owned| *owned <= share)
        })
    }

    /// The records that somebody of these holds.
    fn held_by(&self, prefix: &str, who: &[String]) -> BTreeMap<String, Json> {
        let mut records = self.records(prefix);
        self.network.with_meter(|meter| {
            records.retain(|name, record| {
                let is_theirs = meter
                    .writer(name)
                    .is_some_and(|last| who.iter().any(|one| one == last));
                is_theirs && !record["lease"]["owner"].is_null()
            });
        });
        records
    }

    /// A third of the workers leaves. Answers how many records they held, and how long it took until others had them all.
    async fn leave(&mut self, how: Leaving, prefix: &str) -> (usize, Duration) {
        let all: Vec<String> = self.members.iter().map(|member| member.name.clone()).collect();
        let held = self.held_by(prefix, &all);
        let gone = self.a_third_leaves(how).await;
        let theirs: BTreeMap<String, Json> = self.network.with_meter(|meter| {
            let is_theirs = |name: &String| {
                meter
                    .writer(name)
                    .is_some_and(|last| gone.iter().any(|one| one == last))
            };
            held.into_iter().filter(|(name, _)| is_theirs(name)).collect()
        });
        let taken = self.until("others have taken over", |fleet| {
            fleet.is_taken_over(prefix, &gone, &theirs)
        });
        (theirs.len(), taken.await)
    }

    fn count_again(&mut self) {
        self.began = Instant::now();
        self.network.with_meter(crate::network::Meter::begin_again);
    }

    fn counted(&self) -> Counted {
        let time = self.began.elapsed();
        self.network.with_meter(|meter| Counted {
            time,
            sum: meter.sum(),
            most_requests: meter.most_requests(),
            described: meter.described,
            kinds: meter.kinds(),
            hottest: meter.hottest(),
        })
    }
}

fn is_of(name: &Value, prefix: &str) -> bool {
    matches!(name, Value::S(name) if name.starts_with(prefix))
}

/// Whether nothing is left to do: of a segment for every service, of a shard never.
fn is_done(record: &Json) -> bool {
    let services = record["services"].as_object();
    services.is_some_and(|services| services.values().all(|service| service["done"] == true))
}

/// What a fleet did.
struct Measured {
    steady: Counted,
    /// A third as many joined: how long it took until each had its share.
    joined: Option<Duration>,
    /// After workers left: how, how many records they held, how long it took, and what it cost.
    left: Vec<(Leaving, usize, Duration, Counted)>,
    whole: Duration,
}

impl Measured {
    fn told(&self, what: &str) {
        eprintln!("{what}\n  steady, {}", self.steady);
        if let Some(joined) = self.joined {
            eprintln!(
                "  a third as many joined, and had their share after {:.1} s",
                joined.as_secs_f64()
            );
        }
        for (how, held, time, counted) in &self.left {
            eprintln!(
                "  {how:?}, {held} records had new owners after {:.1} s; {counted}",
                time.as_secs_f64()
            );
        }
        eprintln!("  the whole took {:.0} s", self.whole.as_secs_f64());
    }

    fn taken_over(&self, how: Leaving) -> Duration {
        let times = self.left.iter().filter(|left| left.0 == how);
        times.map(|left| left.2).max().expect("some left")
    }
}

/// Workers of `replicate` share shards; of them, a third is stopped, and then a third dies.
fn tails((workers, shards): (usize, usize), lease: Duration) -> Measured {
    simulated(async || {
        let mut fleet = Box::pin(Fleet::new(shards, lease)).await;
        let began = Instant::now();
        // The first one pins the shards: others that start meanwhile would do so, too.
        fleet.start("tail", 0).await;
        fleet.until("the stream is captured", Fleet::is_captured).await;
        fleet.count_again();
        fleet.start_all("tail", workers - 1, 0).await;
        let are_owned = |fleet: &Fleet| {
            let records = fleet.records("SHARD#");
            records.len() == shards && records.values().all(|record| !record["lease"]["owner"].is_null())
        };
        let taken = fleet.until("every shard has an owner", are_owned).await;
        eprintln!(
            "{workers} tails had all {shards} shards {:.1} s after the last one started; {}",
            taken.as_secs_f64(),
            fleet.counted()
        );
        sleep(2 * lease).await;
        fleet.count_again();
        sleep(2 * lease).await;
        let counted = fleet.counted();
        fleet.start_all("tail", workers.div_ceil(3), 0).await;
        let are_shared = |fleet: &Fleet| fleet.are_shared(shards.div_ceil(fleet.members.len()));
        let joined = fleet.until("the new workers have their share", are_shared).await;
        let mut left = Vec::new();
        for how in [Leaving::Stopped, Leaving::Killed] {
            fleet.count_again();
            let (held, time) = fleet.leave(how, "SHARD#").await;
            left.push((how, held, time, fleet.counted()));
            sleep(lease / 2).await;
        }
        Measured {
            steady: counted,
            joined: Some(joined),
            left,
            whole: began.elapsed(),
        }
    })
}

/// Processes of `backfill` share segments; of them, a third is stopped, and then a third dies. The others copy everything.
fn backfills((workers, segments): (usize, usize), lease: Duration) -> Measured {
    let segments = u32::try_from(segments).expect("few");
    simulated(async || {
        let mut fleet = Box::pin(Fleet::new(1, lease)).await;
        fleet.start("tail", 0).await;
        fleet.until("the stream is captured", Fleet::is_captured).await;
        let tail = fleet.members.remove(0);
        fleet.network.slow_scans(lease / 5);
        let began = Instant::now();
        fleet.start_all("backfill", workers, segments).await;
        let part = |part: f64| {
            move |fleet: &Fleet| {
                let records = fleet.records("SEGMENT#");
                let done = records.values().filter(|record| is_done(record)).count();
                done as f64 >= part * f64::from(segments)
            }
        };
        fleet.until("some segments are done", part(0.1)).await;
        fleet.count_again();
        fleet.until("a third of the segments is done", part(0.33)).await;
        let counted = fleet.counted();
        let mut left = Vec::new();
        for (how, at) in [(Leaving::Stopped, 0.33), (Leaving::Killed, 0.6)] {
            fleet.until("more segments are done", part(at)).await;
            fleet.count_again();
            let (held, time) = fleet.leave(how, "SEGMENT#").await;
            left.push((how, held, time, fleet.counted()));
        }
        for member in std::mem::take(&mut fleet.members) {
            let report = member.task.await.expect("it ends").expect("it copies everything");
            let report = report.expect("a backfill");
            let done = report
                .lanes
                .iter()
                .map(|lane| (lane.segments_done, lane.segments));
            assert!(
                done.into_iter().all(|done| done == (segments, segments)),
                "{report:?}"
            );
        }
        let whole = began.elapsed();
        tail.stop.cancel();
        tail.task.await.expect("it ends").expect("it is stopped");
        Measured {
            steady: counted,
            joined: None,
            left,
            whole,
        }
    })
}

/// The units and the times that the documentation promises, whatever the size. `lease`: its time.
fn check(what: &str, measured: &Measured, lease: Duration) {
    measured.told(what);
    let phases = measured.left.iter().map(|left| &left.3).chain([&measured.steady]);
    for counted in phases {
        assert!(counted.reads() < MOST_READS, "{what}: {counted}");
    }
    assert!(measured.steady.herd() < MOST_HERD, "{what}: {}", measured.steady);
    // Given back: others take them as soon as they have seen that the former owners have left. A lease that has to expire is not free
    // before it was seen for a whole lease time.
    let stopped = measured.taken_over(Leaving::Stopped);
    assert!(
        stopped < if lease == SHORT { lease } else { 3 * lease },
        "{what}: {stopped:?}"
    );
    assert!(
        measured.joined.is_none_or(|joined| joined < 3 * lease),
        "{what}: {:?}",
        measured.joined
    );
    // Dead: a lease, and its last requests, must be seen to pass, twice if the part of a dead worker must be watched by another one.
    let killed = measured.taken_over(Leaving::Killed);
    assert!(killed < 6 * lease, "{what}: {killed:?}");
}

/// Read units of the state table in a second, of all workers.
const MOST_READS: f64 = 700.0;
/// Requests in 100 ms, as a multiple of the mean.
const MOST_HERD: f64 = 12.0;
const SHORT: Duration = Duration::from_secs(5);

#[test]
fn three_tails_share_shards_and_take_over() {
    check("3 tails, 6 shards", &tails((3, 6), SHORT), SHORT);
}

#[test]
fn four_backfills_share_segments_and_take_over() {
    check("4 backfills, 80 segments", &backfills((4, 80), SHORT), SHORT);
}

#[test]
fn a_large_fleet_of_tails_costs_the_state_little() {
    in_the_long_run!(a_large_fleet_of_tails_costs_the_state_little);
    let size = size((32, 250));
    check(&format!("{size:?} tails and shards"), &tails(size, USUAL), USUAL);
}

#[test]
fn a_large_fleet_of_backfills_costs_the_state_little() {
    in_the_long_run!(a_large_fleet_of_backfills_costs_the_state_little);
    let size = size((32, 1250));
    check(
        &format!("{size:?} backfills and segments"),
        &backfills(size, USUAL),
        USUAL,
    );
}

/// The usual lease.
const USUAL: Duration = Duration::from_secs(20);

/// Another size, as `DYNASPLIT_FLEET=workers,records`.
fn size(usual: (usize, usize)) -> (usize, usize) {
    let Ok(text) = std::env::var("DYNASPLIT_FLEET") else {
        return usual;
    };
    let (workers, records) = text.split_once(',').expect("DYNASPLIT_FLEET=workers,records");
    let number = |text: &str| text.parse().expect("a number");
    (number(workers), number(records))
}

//! One run: a source that writers change all the time, workers that die and come back, a network on which everything
//! goes wrong, shards that split; then calm, in which everything must become exact, and stay so.
//!
//! A seed decides everything: the same seed makes the same run, to the last byte of each request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynasplit::dynamo::{Clock, Timing, chance};
use dynasplit::fault::break_rule;
use dynasplit::plan::Plan;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::check::{Wrong, differences};
use crate::engine::{Engine, Habits as EngineHabits};
use crate::network::{Doom, EPOCH_MS, Fate, FaultRates, Network, Trace};
use crate::script::{Cuts, Script};
use crate::support::mutator::{Habits, Mutator, Writes};
use crate::support::trial::Trial;
use crate::worker::{Job, configuration};

/// What the product's waits are built on. A late request lands within `attempt + margin`.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(4),
    attempt: Duration::from_millis(1500),
    margin: Duration::from_secs(1),
    poll: Duration::from_millis(300),
    idle: Duration::from_millis(500),
    settle: Duration::from_millis(1600),
    clock: Clock::SYSTEM,
};
/// Items of the source: few, so that histories grow long.
pub const KEYS: usize = 42;
const HABITS: Habits = Habits {
    keys: KEYS,
    writers: 3,
    pause: Duration::from_millis(250),
    backwards: 20,
};
/// Trouble lasts at most so long, and at least the second.
const STORM: Duration = Duration::from_secs(60);
const SHORTEST_STORM: Duration = Duration::from_secs(12);
/// In calm, everything is exact after so long.
const LIVENESS: Duration = Duration::from_secs(240);
/// What stays wrong for so long, while no backfill is under way, stays so.
const STAYS_WRONG: Duration = Duration::from_secs(45);
/// And stays exact for so long.
const STAYS: Duration = Duration::from_secs(10);
/// Clocks are wrong by up to so much.
const WRONG_MS: i64 = 5 * 60 * 1000;
const WRONG_PPM: i32 = 2000;

/// What a run came to.
pub struct Outcome {
    pub trace: Trace,
    pub fates: BTreeMap<Fate, u64>,
    /// How workers ended, and how often.
    pub ends: BTreeMap<String, u64>,
    /// Requests that met trouble, by their numbers.
    pub trouble: BTreeMap<u64, Fate>,
    /// Workers that died or were stopped.
    pub dead: BTreeSet<String>,
    pub writes: Writes,
    pub simulated: Duration,
    /// Why the run failed, if it did.
    pub wrong: Option<Wrong>,
}

struct World {
    seed: u64,
    cuts: Cuts,
    trial: Trial,
    plan: Plan,
    network: Network,
    began: Instant,
    consistent: bool,
    calm: AtomicBool,
    /// Backfills that have not ended well. One that dies may hold the switch of the tombstones although another one
    /// ended: it is run again, as `status` says.
    unfilled: AtomicUsize,
    ends: Mutex<BTreeMap<String, u64>>,
    dead: Mutex<BTreeSet<String>>,
}

/// Makes a run.
pub fn run(script: &Script, trace: Trace) -> Outcome {
    chance::seed(script.seed);
    break_rule(script.without);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = Arc::new(World::new(script, trace));
        Box::pin(world.live()).await
    })
}

impl World {
    fn new(script: &Script, trace: Trace) -> Self {
        let Script {
            seed, mode, ref cuts, ..
        } = *script;
        let mut rng = StdRng::seed_from_u64(seed);
        let engine = Engine::new(EngineHabits {
            page_items: rng.random_range(2..8),
            page_records: rng.random_range(3..40),
            shards: rng.random_range(1..4),
            creation_ms: 250,
        });
        let network = Network::new(engine, rng.random(), TIMING.landed(), cuts.clone(), trace);
        let trial = Trial {
            mode,
            source: "source".into(),
            split: "trial".into(),
            orders: "orders".into(),
            invoices: "invoices".into(),
            names: "names".into(),
        };
        let plan = Plan::parse(&trial.plan(), "plan.yaml").expect("the plan is right");
        Self {
            seed,
            cuts: cuts.clone(),
            trial,
            plan,
            network,
            began: Instant::now(),
            consistent: rng.random(),
            calm: AtomicBool::new(false),
            unfilled: AtomicUsize::new(0),
            ends: Mutex::default(),
            dead: Mutex::default(),
        }
    }

    async fn live(self: Arc<Self>) -> Outcome {
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_add(1));
        let (wire, _) = self.network.join("writers", false, None);
        let client = aws_sdk_dynamodb::Client::new(&configuration(wire));
        self.trial.create_source(&client).await;
        let writers = Mutator::start(&client, &self.trial.source, HABITS, rng.random()).await;
        let fault_rates = FaultRates::drawn(&mut rng);
        self.network.note(|| format!("{fault_rates:?}"));
        self.network.set_fault_rates(fault_rates);
        let mut tasks = JoinSet::new();
        if !self.cuts.steady_shards {
            tasks.spawn(Arc::clone(&self).shards());
        }
        Arc::clone(&self).slot(Job::Apply, 0).await;
        let consistent = self.consistent;
        let places = rng.random_range(1..3);
        for place in 0..places.min(self.cuts.crew.unwrap_or(places)) {
            self.unfilled.fetch_add(1, Ordering::Relaxed);
            tasks.spawn(Arc::clone(&self).slot(Job::Replicate, place));
            tasks.spawn(Arc::clone(&self).slot(Job::Backfill { consistent }, place));
        }
        self.storm().await;
        self.network.note(|| "calm".into());
        self.calm.store(true, Ordering::Relaxed);
        self.network.set_fault_rates(FaultRates::NONE);
        self.network.spare_all();
        let deadline = Instant::now() + LIVENESS;
        while !self.is_filled() && Instant::now() < deadline {
            sleep(Duration::from_secs(1)).await;
        }
        let writes = writers.tally().await;
        self.network.note(|| "the writers stop".into());
        let wrong = self.becomes_exact(deadline).await;
        // A task of the product that panicked would be told by the join.
        tasks.abort_all();
        let panicked = async {
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended
                    && error.is_panic()
                {
                    return Some(Wrong::because("a worker panicked", error.to_string()));
                }
            }
            None
        };
        let wrong = panicked.await.or(wrong);
        Outcome {
            trace: self.network.take_trace(),
            fates: self.network.fates(),
            trouble: self.network.trouble(),
            dead: std::mem::take(&mut *self.dead.lock().expect("no thread panicked")),
            ends: std::mem::take(&mut *self.ends.lock().expect("no thread panicked")),
            writes,
            simulated: self.began.elapsed(),
            wrong,
        }
    }

    fn is_filled(&self) -> bool {
        self.unfilled.load(Ordering::Relaxed) == 0
    }

    /// Lasts until the backfill has ended, within bounds.
    async fn storm(&self) {
        let began = Instant::now();
        let [shortest, longest] = [SHORTEST_STORM, STORM].map(|time| self.cuts.storm(time));
        while began.elapsed() < shortest || (began.elapsed() < longest && !self.is_filled()) {
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Why the targets are not what they should be, when everything has had its time.
    async fn becomes_exact(&self, deadline: Instant) -> Option<Wrong> {
        let differing = |what: &str| {
            self.network
                .with_engine(|engine, _| differences(engine, &self.trial, what))
        };
        let unsupported = || {
            self.network
                .with_engine(|engine, _| engine.unsupported.first().cloned())
        };
        let mut same = (None, Instant::now());
        loop {
            if let Some(what) = unsupported() {
                return Some(Wrong::because(
                    "the simulated engine has to learn something",
                    what,
                ));
            }
            let filled = self.is_filled();
            let found = differing("not exact in time");
            let details = found.as_ref().map(|wrong| wrong.details.clone());
            if details != same.0 {
                same = (details, Instant::now());
            }
            if filled && found.is_none() {
                break;
            }
            let stays_wrong = filled && same.1.elapsed() >= STAYS_WRONG;
            if stays_wrong || Instant::now() >= deadline {
                let ends = self.ends.lock().expect("no thread panicked");
                let ends = format!("\nWorkers ended so: {ends:#?}");
                return Some(match found {
                    Some(wrong) => Wrong {
                        details: wrong.details + &ends,
                        ..wrong
                    },
                    None => Wrong::because("a backfill did not end", ends),
                });
            }
            sleep(Duration::from_millis(500)).await;
        }
        sleep(STAYS).await;
        differing("exact, and then no more")
    }

    /// Workers of one kind, one life after another.
    async fn slot(self: Arc<Self>, job: Job, place: u64) {
        let salt = job.name().bytes().fold(place, |salt, byte| {
            salt.wrapping_mul(131).wrapping_add(u64::from(byte))
        });
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(salt));
        for life in 0.. {
            let name = format!("{}{place}.{life}", job.name());
            let end = self.life(job, &name, &mut rng).await;
            let done = match job {
                Job::Apply | Job::Backfill { .. } => end == "done",
                Job::Replicate => false,
            };
            self.note_end(format!("{}: {end}", job.name()));
            if done {
                if job != Job::Apply {
                    self.unfilled.fetch_sub(1, Ordering::Relaxed);
                }
                return;
            }
            sleep(Duration::from_millis(rng.random_range(20..2500))).await;
        }
    }

    fn note_end(&self, end: String) {
        *self
            .ends
            .lock()
            .expect("no thread panicked")
            .entry(end)
            .or_default() += 1;
    }

    /// One life of a worker: it ends by itself, is stopped, or dies. Dropping it is its death: what it sent still lands.
    async fn life(&self, job: Job, name: &str, rng: &mut StdRng) -> String {
        let is_calm = || self.calm.load(Ordering::Relaxed) || !self.cuts.may_die(name);
        let doom = rng.random_bool(0.6).then(|| Doom {
            at_request: rng.random_range(0.0..6.2_f64).exp() as u64 + 1,
            sends_it: rng.random(),
        });
        let (wire, died) = self.network.join(name, true, doom.filter(|_| !is_calm()));
        let timing = Timing {
            clock: self.clock(rng),
            ..TIMING
        };
        let stop = CancellationToken::new();
        let (stopped_after, killed_after) = (rng.random_range(2..90), rng.random_range(1..90));
        let later = async |seconds: u64| {
            sleep(Duration::from_secs(seconds)).await;
            if is_calm() {
                std::future::pending::<()>().await;
            }
        };
        let stopping = async {
            later(stopped_after).await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            biased;
            () = died.notified() => "died at a request".to_owned(),
            () = later(killed_after) => "was killed".to_owned(),
            () = stopping => String::new(),
            end = Box::pin(job.work(self.plan.clone(), wire, timing, stop.clone())) => end.unwrap_or_else(|error| error),
        };
        let stopped = stop.is_cancelled();
        if stopped || ["died at a request", "was killed"].contains(&&*end) {
            let mut dead = self.dead.lock().expect("no thread panicked");
            dead.insert(name.to_owned());
        }
        self.network.bury(name, &end);
        end
    }

    /// A clock that is wrong.
    fn clock(&self, rng: &mut StdRng) -> Clock {
        let (wrong_ms, ppm) = (
            rng.random_range(-WRONG_MS..WRONG_MS),
            rng.random_range(-WRONG_PPM..WRONG_PPM),
        );
        let right = self.cuts.right_clocks;
        let (wrong_ms, ppm) = if right { (0, 0) } else { (wrong_ms, ppm) };
        let began_ms = EPOCH_MS.saturating_add_signed(wrong_ms);
        Clock::simulated(self.began, began_ms, ppm)
    }

    /// Shards of the source's stream split and roll by themselves.
    async fn shards(self: Arc<Self>) {
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_add(2));
        loop {
            sleep(Duration::from_millis(rng.random_range(500..9000))).await;
            let (splits, draw) = (rng.random::<bool>(), rng.random::<u32>() as usize);
            let table = &self.trial.source;
            let done = self.network.with_engine(|engine, now_ms| {
                let stream = engine.stream(table)?;
                let open = stream.open_shards();
                let id = open.get(draw % open.len())?.clone();
                if splits && open.len() < 5 {
                    stream.split_shard(now_ms, &id);
                    Some(format!("{id} splits"))
                } else {
                    stream.roll_shard(now_ms, &id);
                    Some(format!("{id} rolls"))
                }
            });
            self.network.note(|| done.unwrap_or_default());
        }
    }
}

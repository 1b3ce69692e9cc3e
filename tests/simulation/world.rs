//! One run: a source that writers change all the time, workers that die and come back, an operator, a network on which
//! everything goes wrong; then quiet moments, in which everything must become exact or the tool must say what is lost;
//! and at last an operator who follows the tool's advice until the split is complete.
//!
//! A seed decides everything: the same seed makes the same run, to the last byte of each request.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynasplit::dynamo::{Clock, Timing, chance};
use dynasplit::fault::break_rule;
use dynasplit::plan::Plan;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::beside::with_beside;
use crate::cast::{Cast, Outage};
use crate::check::Wrong;
use crate::crew::Tails;
use crate::engine::{Engine, JobHabits, Stream};
use crate::life::doom;
use crate::network::{EPOCH_MS, FaultRates, Network, Throttling, Trace};
use crate::operator::Operator;
use crate::script::{Cuts, KEPT, Script};
use crate::shop::Shop;
use crate::shop::goods;
use crate::support::latch::Latch;
use crate::support::mutator::{Habits, Mutator, Spice};
use crate::support::trial::Trial;
use crate::tally::Tally;
use crate::worker::{Job, configuration};
use crate::writers::Writers;

/// What the product's waits are built on: as long as a run can afford, because each renewal and each poll is a request. A
/// late request lands within `attempt + margin`.
pub const TIMING: Timing = Timing {
    lease: Duration::from_secs(12),
    attempt: Duration::from_millis(1500),
    margin: Duration::from_secs(2),
    poll: Duration::from_millis(900),
    idle: Duration::from_millis(1500),
    settle: Duration::from_millis(1600),
    shared_milliunits: Timing::LIVE.shared_milliunits,
    clock: Clock::SYSTEM,
};
/// Trouble lasts at most so long in a run with cutovers, and until so many of them have ended.
const MOVING_STORM: Duration = Duration::from_secs(180);
const MOVED_IN_TROUBLE: u64 = 2;
/// If trouble begins with the copy, it begins after so long at the latest.
const START: Duration = Duration::from_secs(30);
/// A copy has begun, and not ended.
const BEFORE_AN_OUTAGE: Duration = Duration::from_secs(6);
/// A source whose exports are asked for could be restored long before.
const RESTORABLE_MS: u64 = 24 * 60 * 60 * 1000;
/// The bucket of a run.
pub const BUCKET: &str = "objects";
const STACK: usize = 16 << 20;

/// What a run came to.
pub struct Outcome {
    pub trace: Trace,
    /// What went wrong, by kind.
    pub faults: Tally,
    /// How commands ended, and how often.
    pub ends: Tally,
    pub requests: u64,
    /// The numbers of requests that met trouble.
    pub trouble: BTreeSet<u64>,
    /// Commands that died, were stopped or were suspended.
    pub dead: BTreeSet<String>,
    pub writes: u64,
    pub simulated: Duration,
    /// Why the run failed, if it did.
    pub wrong: Option<Wrong>,
}

/// What everything in a run shares.
pub struct World {
    pub seed: u64,
    pub cuts: Cuts,
    pub cast: Cast,
    pub trial: Trial,
    /// The plans, oldest first.
    plans: Vec<Plan>,
    /// The place of the newest plan that was applied.
    newest: AtomicUsize,
    pub network: Network,
    pub began: Instant,
    calm: AtomicBool,
    /// Everybody is away: no command runs.
    away: Latch,
    /// Supervised backfills that have not ended well. One that dies may hold the switch of the tombstones although
    /// another one ended: it is run again, as `status` says.
    pub unfilled: AtomicUsize,
    pub tails: Mutex<Tails>,
    /// Everything that runs beside.
    pub crew: Mutex<JoinSet<()>>,
    ends: Mutex<Tally>,
    dead: Mutex<BTreeSet<String>>,
    writers: Client,
    /// The applications of a run with cutovers.
    pub shop: Option<Arc<Shop>>,
}

/// Makes a run, in a thread whose stack has room for commands that call each other, without optimization.
pub fn run(script: &Script, trace: Trace) -> Outcome {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let running = thread.spawn_scoped(scope, || run_here(script, trace));
        let ended = running.expect("a thread").join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn run_here(script: &Script, trace: Trace) -> Outcome {
    chance::seed(script.seed);
    break_rule(script.without.filter(|_| std::env::var_os(KEPT).is_none()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new(script, trace);
        if world.cast.cutovers {
            let rng = world.rng(9);
            world.shop = Some(Shop::open(
                &world.network,
                script.mode,
                &script.cuts,
                &world.cast,
                rng,
            ));
        }
        let world = Arc::new(world);
        match world.cast.heals {
            true => Box::pin(with_beside(world.live())).await,
            false => Box::pin(world.live()).await,
        }
    })
}

impl World {
    fn new(script: &Script, trace: Trace) -> Self {
        let Script {
            seed, mode, ref cuts, ..
        } = *script;
        let mut rng = StdRng::seed_from_u64(seed);
        let cast = Cast::drawn(&mut rng).on(script.focus());
        let cast = cast.with_cutovers(seed, script.focus()).without(script.without);
        let cast = cast.with_s3(seed, script.focus());
        let cast = match (script.is_small, script.without) {
            (true, Some(rule)) => cast.small(script.focus()).sharpened(rule),
            (true, None) => cast.small(script.focus()).with_fleet(seed),
            (false, None) => cast.with_fleet(seed),
            (false, Some(_)) => cast,
        };
        let cast = cast.cut(cuts);
        let engine = Engine::new(cast.engine);
        let network = Network::new(engine, rng.random(), TIMING.landed(), cuts.clone(), trace);
        network.note(|| format!("{cast:?}"));
        network.set_policy_lag(cast.policy_lag_ms);
        let trial = Trial {
            mode,
            source: "source".into(),
            split: "trial".into(),
            orders: "orders".into(),
            invoices: cast.layout.kinds()[1].name().into(),
            names: "names".into(),
        };
        let text = if cast.cutovers {
            goods::plan(mode, cast.layout)
        } else {
            trial.plan()
        };
        let section = [
            cast.imports.then_some("s3: { bucket: objects, prefix: live }\n"),
            cast.ledger
                .then_some("ledger: { bucket: objects, prefix: history }\n"),
        ];
        let section: String = section.into_iter().flatten().collect();
        let text = text.replacen("unrouted:", &format!("{section}unrouted:"), 1);
        let (first, _) = text.split_once("  - name: names").expect("its last service");
        let texts = if cast.grows {
            vec![first, &text]
        } else {
            vec![text.as_str()]
        };
        let plans = texts
            .iter()
            .map(|text| Plan::parse(text, "plan.yaml").expect("the plan is right"));
        let plans = plans.collect();
        network.with_engine(|engine, _| engine.make_bucket(BUCKET));
        let (wire, _) = network.join("writers", false, None);
        let is_spared = cast.spares_start;
        Self {
            seed,
            cuts: cuts.clone(),
            cast,
            trial,
            plans,
            newest: AtomicUsize::new(0),
            writers: Client::new(&configuration(wire)),
            shop: None,
            network,
            began: Instant::now(),
            calm: AtomicBool::new(is_spared),
            away: Latch::default(),
            unfilled: AtomicUsize::new(0),
            tails: Mutex::default(),
            crew: Mutex::default(),
            ends: Mutex::default(),
            dead: Mutex::default(),
        }
    }

    /// Begins to write the source.
    async fn begin_writers(self: &Arc<Self>, rng: &mut StdRng) -> Writers {
        if let Some(shop) = &self.shop {
            shop.fill_all(&mut self.rng(8));
            let mut crew = self.crew.lock().expect("no thread panicked");
            for (place, kind) in (20..).step_by(2).zip(shop.kinds()) {
                crew.spawn(Arc::clone(shop).write(kind, self.rng(place)));
                crew.spawn(Arc::clone(shop).stray(kind, self.rng(place + 1)));
                crew.spawn(Arc::clone(shop).stray_of_table(kind, self.rng(place + 10)));
            }
            return Writers::Shop(Arc::clone(shop));
        }
        let spice = Spice {
            odd: self.cast.odd,
            expires: self.cast.expires.then_some((self.began, EPOCH_MS)),
            retires: self.cast.retires,
        };
        let habits = Habits {
            keys: self.cast.keys,
            writers: 3,
            pause: self.cast.pause,
            backwards: self.cast.backwards,
        };
        let writers = Mutator::start_with(&self.writers, &self.trial.source, habits, spice, rng.random());
        Writers::Mutator(writers.await)
    }

    async fn live(self: Arc<Self>) -> Outcome {
        let mut rng = self.rng(1);
        self.trial.create_source(&self.writers).await;
        self.expire_items(true).await;
        if self.cast.exports || self.cast.heals {
            let source = &self.trial.source;
            self.network
                .with_engine(|engine, now_ms| engine.keep_restorable(source, now_ms - RESTORABLE_MS));
        }
        if self.cast.ledger {
            self.network
                .with_engine(|engine, _| engine.stream(&self.trial.source).map(Stream::keep_all));
        }
        let writers = self.begin_writers(&mut rng).await;
        if !(self.cast.spares_apply || self.cast.spares_start) {
            self.network.set_fault_rates(self.cast.fault_rates);
        }
        self.begin_events();
        self.jobs_fail(true);
        self.begin_crew(&mut rng).await;
        if self.cast.spares_start {
            self.until_copying().await;
            self.begin_trouble(&mut rng);
        }
        self.network.set_fault_rates(self.cast.fault_rates);
        let wrong = Box::pin(self.acts(&writers, &mut rng)).await;
        self.network.note(|| "an operator follows the advice".into());
        let (wrong, writes) = match wrong {
            wrong @ Some(_) => (wrong, writers.so_far()),
            None if !self.cast.is_completed => (None, writers.so_far()),
            None => Box::pin(Operator::of(&self).ends_split(writers)).await,
        };
        let ignored_hold = || self.shop.as_ref().and_then(|shop| shop.ignored_hold());
        let wrong = self.panicked().await.or(wrong).or_else(ignored_hold);
        Outcome {
            trace: self.network.take_trace(),
            faults: self.network.tally(),
            ends: std::mem::take(&mut *self.ends.lock().expect("no thread panicked")),
            requests: self.network.requests(),
            trouble: self.network.trouble(),
            dead: std::mem::take(&mut *self.dead.lock().expect("no thread panicked")),
            writes,
            simulated: self.began.elapsed(),
            wrong,
        }
    }

    /// Trouble, and a quiet moment in which everything must become exact; once, or again and again.
    async fn acts(self: &Arc<Self>, writers: &Writers, rng: &mut StdRng) -> Option<Wrong> {
        for act in 0..self.cast.acts {
            if act > 0 {
                self.network.note(|| "trouble begins again".into());
                self.network.set_fault_rates(self.cast.fault_rates);
                self.begin_trouble(rng);
                self.jobs_fail(true);
                writers.rest(false);
            }
            self.storm(writers).await;
            if let Some(minutes) = self.cast.away_minutes.filter(|_| act == 0) {
                self.everybody_is_away(writers, minutes).await;
            }
            if let Some(outage) = self.cast.outage.clone().filter(|_| act == 0) {
                self.long_outage(writers, &outage).await;
            }
            self.network.note(|| "calm".into());
            self.calm.store(true, Ordering::Relaxed);
            self.network.set_fault_rates(FaultRates::NONE);
            self.jobs_fail(false);
            self.network.spare_all();
            let wrong = Box::pin(self.quiet_moment(writers)).await;
            if wrong.is_some() {
                return wrong;
            }
        }
        writers.rest(false);
        None
    }

    /// A backfill holds the tombstones, or the lanes: it copies soon.
    async fn until_copying(&self) {
        let began = Instant::now();
        while !self.network.is_copying() && began.elapsed() < START {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// From now on, commands die.
    fn begin_trouble(&self, rng: &mut StdRng) {
        if !self.cast.spares_lives {
            self.network.doom_all(|| doom(rng));
        }
        self.calm.store(false, Ordering::Relaxed);
    }

    /// While trouble lasts, jobs of DynamoDB fail.
    fn jobs_fail(&self, fail: bool) {
        let jobs = JobHabits {
            seed: self.seed,
            lasts_ms: (500, self.cast.job_ms),
            fails: if fail { self.cast.failing_jobs } else { 0 },
        };
        self.network.with_engine(|engine, _| engine.set_jobs(jobs));
    }

    /// Lasts until the backfill has ended, within bounds. No key rests before it begins, and nothing that it does is hidden.
    async fn storm(&self, writers: &Writers) {
        let began = Instant::now();
        let (shortest, longest) = (self.cast.storm[0], self.cast.longest_storm());
        if self.cast.outage.as_ref().is_some_and(|outage| outage.is_early) {
            sleep(BEFORE_AN_OUTAGE).await;
            return;
        }
        let longest = if self.shop.is_some() {
            MOVING_STORM
        } else {
            longest
        };
        let [shortest, longest] = [shortest, longest].map(|time| self.cuts.storm(time));
        let is_moved = || {
            self.shop
                .as_ref()
                .is_none_or(|shop| shop.reached() >= MOVED_IN_TROUBLE)
        };
        let is_done = || self.is_filled() && is_moved();
        while began.elapsed() < shortest || (began.elapsed() < longest && !is_done()) {
            // What is in an export may have been deleted long before the copy begins.
            if self.network.is_copying() || self.cast.exports {
                writers.let_keys_rest();
            }
            sleep(Duration::from_millis(500)).await;
        }
        writers.let_keys_rest();
    }

    /// No command runs for so long, and hardly anything is written.
    async fn everybody_is_away(&self, writers: &Writers, minutes: u64) {
        self.network
            .note(|| format!("everybody is away for {minutes} minutes"));
        self.network.count("everybody away for long");
        self.away.set(true);
        for part in 0..4 {
            writers.rest(part > 0 && part < 3);
            sleep(Duration::from_secs(2)).await;
            writers.rest(true);
            sleep(Duration::from_secs(minutes * 15)).await;
        }
        writers.rest(false);
        self.network.note(|| "everybody comes back".into());
        self.away.set(false);
    }

    /// A table accepts no writes for long, and workers run only now and then.
    async fn long_outage(&self, writers: &Writers, outage: &Outage) {
        let trial = &self.trial;
        let tables = [&trial.orders, &trial.invoices, &trial.names];
        let table = tables[outage.table % tables.len()];
        self.network.count("long outage of a table");
        self.network.throttle(Throttling::outage(table));
        for minutes in &outage.absences {
            self.network
                .note(|| format!("everybody is away for {minutes} minutes"));
            self.away.set(true);
            for part in 0..3 {
                writers.rest(part != 1);
                let pause = if part == 1 {
                    Duration::from_secs(2)
                } else {
                    Duration::from_secs(minutes * 30)
                };
                sleep(pause).await;
            }
            self.network.note(|| "everybody comes back".into());
            self.away.set(false);
            writers.rest(false);
            sleep(Duration::from_secs(outage.visit_s)).await;
        }
    }

    /// No command runs for so long.
    pub async fn leave_for(&self, time: Duration) {
        self.network.note(|| format!("everybody is away for {time:?}"));
        self.away.set(true);
        sleep(time).await;
        self.network.note(|| "everybody comes back".into());
        self.away.set(false);
    }

    /// Ends when everybody leaves.
    pub async fn everybody_leaves(&self) {
        self.away.until(true).await;
    }

    /// Ends when everybody is back.
    pub async fn everybody_is_back(&self) {
        self.away.until(false).await;
    }

    /// Nothing goes wrong any more, for a while at least.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Every supervised backfill has ended well.
    pub fn is_filled(&self) -> bool {
        self.unfilled.load(Ordering::Relaxed) == 0
    }

    /// The newest plan that was applied.
    pub fn plan(&self) -> &Plan {
        &self.plans[self.newest.load(Ordering::Relaxed)]
    }

    /// The oldest plan.
    pub fn oldest_plan(&self) -> &Plan {
        &self.plans[0]
    }

    /// Takes the next plan, if there is one: nothing of the older plan is forgotten by those who run with it.
    pub fn grow(&self) {
        if self.newest.load(Ordering::Relaxed) + 1 < self.plans.len() {
            self.newest.fetch_add(1, Ordering::Relaxed);
            self.network.count("service added");
        }
    }

    /// What the waits of this run are built on.
    pub fn timing(&self) -> Timing {
        Timing {
            poll: self.cast.poll,
            shared_milliunits: self.cast.shared_milliunits,
            ..TIMING
        }
    }

    /// The engine's time of day.
    pub fn now_ms(&self) -> u64 {
        EPOCH_MS + u64::try_from(self.began.elapsed().as_millis()).expect("a short time")
    }

    /// A client that meets no trouble.
    pub fn hand(&self) -> &Client {
        &self.writers
    }

    /// Chances of one part of the run.
    pub fn rng(&self, salt: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(salt))
    }

    /// Notes that a command died, was stopped or was suspended.
    pub fn note_dead(&self, name: &str) {
        let mut dead = self.dead.lock().expect("no thread panicked");
        dead.insert(name.to_owned());
    }

    /// Counts how a command ended.
    pub fn note_end(&self, end: &str) {
        self.ends.lock().expect("no thread panicked").count(end);
    }

    /// How commands ended so far.
    pub fn ends(&self) -> String {
        self.ends.lock().expect("no thread panicked").to_string()
    }

    /// Whether a task of the product panicked. Ends everything.
    async fn panicked(&self) -> Option<Wrong> {
        let mut crew = std::mem::take(&mut *self.crew.lock().expect("no thread panicked"));
        crew.abort_all();
        while let Some(ended) = crew.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                return Some(Wrong::because("a worker panicked", error.to_string()));
            }
        }
        None
    }
}

/// What is done in its first seconds by everybody who belongs to the split.
impl World {
    async fn begin_crew(self: &Arc<Self>, rng: &mut StdRng) {
        let apply = match self.cast.imports {
            true => Job::ApplyForImport,
            false => Job::Apply { enable_stream: false },
        };
        self.until_done(apply, 0).await;
        for place in 0..self.cast.tails {
            self.supervise_tail(place == 0 && rng.random(), false);
        }
        for place in 0..self.cast.backfills {
            match self.cast.exports {
                true => self.supervise_copy_of_export(place),
                false => self.supervise_backfill(place),
            }
        }
        if self.cast.operator {
            let operator = Operator::of(self);
            let mut crew = self.crew.lock().expect("no thread panicked");
            crew.spawn(Box::pin(operator.works_beside()));
            if let Some(shop) = self.shop.clone().filter(|_| self.cast.holds) {
                crew.spawn(Box::pin(Arc::clone(self).holds_steps(shop)));
            }
        }
    }
}

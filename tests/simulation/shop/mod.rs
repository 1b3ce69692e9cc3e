//! A run with cutovers: two services with an application each, and a third one that copies from both. An application writes the
//! source until it is told to stop, and its own table from the switch on. Instances that were forgotten write the source
//! nevertheless.
//!
//! Each write is accepted by the engine at once, so the shop knows what every accepted write came to.

mod application;
pub mod goods;
mod holds;
mod judge;
mod person;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value as Json;
use tokio::time::{Instant, sleep};

use crate::cast::Cast;
use crate::check::Wrong;
use crate::engine::{Engine, Value, role_arn};
use crate::network::Network;
use crate::script::Cuts;
use crate::support::trial::Mode;
use application::Application;
use goods::{Kind, Layout};

/// An application that is stopping looks so often for something to write.
const TRIES: u32 = 10;

/// What an operator has yet to bring about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// The service writes its own table.
    Cutover(Kind),
    /// The service writes the source again.
    Rollback(Kind),
    /// The service has no way back any more.
    Complete(Kind),
    /// The copies that its table does not need are gone.
    Prune(Kind),
}

impl Goal {
    /// Of which service.
    pub fn kind(self) -> Kind {
        match self {
            Self::Cutover(kind) | Self::Rollback(kind) | Self::Complete(kind) | Self::Prune(kind) => kind,
        }
    }
}

/// The applications of a run, and what they wrote.
pub struct Shop {
    network: Network,
    mode: Mode,
    cuts: Cuts,
    applications: [Mutex<Application>; 2],
    layout: Layout,
    /// Instances are forgotten.
    has_strays: bool,
    /// By which role these write: one that a policy does not stop, or that of the application.
    strays_as: String,
    /// A change of a policy takes effect for each request after so many milliseconds at most.
    policy_lag_ms: u64,
    /// An application goes on for a while after it was told to stop.
    slow_person: bool,
    /// While a lane is drained by markers, records are shown up to so much later.
    late_ms: u64,
    /// What the person decides who stops and moves the applications.
    person: Mutex<StdRng>,
    /// Writes make a pause.
    resting: AtomicBool,
    ended: AtomicBool,
    writes: AtomicU64,
    goals: Mutex<VecDeque<Goal>>,
    reached: AtomicU64,
    /// Copies were removed from the table of everything.
    pruned: AtomicBool,
    /// What was found wrong at a moment of the product's choice.
    wrong: Mutex<Option<Wrong>>,
}

impl Shop {
    /// With what operators are to bring about.
    pub fn open(network: &Network, mode: Mode, cuts: &Cuts, cast: &Cast, mut rng: StdRng) -> Arc<Self> {
        let goals = goals(cast.layout, &mut rng);
        network.note(|| format!("shop: {goals:?}"));
        let shop = Self {
            network: network.clone(),
            mode,
            cuts: cuts.clone(),
            layout: cast.layout,
            applications: cast.layout.kinds().map(|kind| Mutex::new(Application::of(kind))),
            has_strays: cast.strays,
            policy_lag_ms: cast.policy_lag_ms,
            slow_person: cast.slow_person,
            late_ms: cast.late_ms,
            pruned: AtomicBool::new(false),
            person: Mutex::new(StdRng::seed_from_u64(rng.random())),
            strays_as: role_arn([goods::FORGOTTEN, goods::APPLICATION][rng.random_range(0..2)]),
            resting: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            writes: AtomicU64::new(0),
            goals: Mutex::new(goals),
            reached: AtomicU64::new(0),
            wrong: Mutex::default(),
        };
        Arc::new(shop)
    }

    /// The items that the source has at the beginning.
    pub fn fill_all(&self, rng: &mut StdRng) {
        for kind in self.kinds() {
            self.fill(kind, rng);
        }
    }

    /// The services with an application.
    pub fn kinds(&self) -> [Kind; 2] {
        self.layout.kinds()
    }

    fn application(&self, kind: Kind) -> MutexGuard<'_, Application> {
        let place = usize::from(kind != Kind::Orders);
        self.applications[place].lock().expect("no thread panicked")
    }

    /// The application of a service writes all the time.
    pub async fn write(self: Arc<Self>, kind: Kind, mut rng: StdRng) {
        while !self.ended.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(rng.random_range(150..900))).await;
            if self.is_resting() {
                continue;
            }
            // An application that was told to stop writes until it does: the proof of a fence rests on that.
            let is_stopping = self.application(kind).stops.is_some();
            let tries = if is_stopping { TRIES } else { 1 };
            for _ in 0..tries {
                if self.step(kind, &mut rng) {
                    break;
                }
            }
        }
    }

    /// Instances that were forgotten write, for a while after a fence was raised.
    pub async fn stray(self: Arc<Self>, kind: Kind, mut rng: StdRng) {
        loop {
            sleep(Duration::from_millis(rng.random_range(300..4000))).await;
            if !self.is_resting() {
                self.stray_step(kind, &mut rng);
            }
        }
    }

    /// Instances that nobody moved back write the table of their service.
    pub async fn stray_of_table(self: Arc<Self>, kind: Kind, mut rng: StdRng) {
        loop {
            sleep(Duration::from_millis(rng.random_range(500..5000))).await;
            if !self.is_resting() {
                self.table_stray_step(kind, &mut rng);
            }
        }
    }

    fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed)
    }

    /// Lets everybody who writes make a pause, or go on.
    pub fn rest(&self, rest: bool) {
        self.resting.store(rest, Ordering::Relaxed);
    }

    /// Nobody writes any more.
    pub fn end(&self) {
        self.rest(true);
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Accepted writes.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// The present goal of operators; those that were reached are left behind. The services whose way back is to be ended come
    /// last.
    pub fn goal(&self) -> Option<Goal> {
        let mut goals = self.goals.lock().expect("no thread panicked");
        while let Some(goal) = goals.front().copied() {
            if !self.is_reached(goal) {
                return Some(goal);
            }
            self.network.note(|| format!("shop: {goal:?} is reached"));
            self.network.count(match goal {
                Goal::Cutover(_) => "cutover",
                Goal::Rollback(_) => "rollback",
                Goal::Complete(_) => "service completed",
                Goal::Prune(_) => "copies pruned",
            });
            self.reached.fetch_add(1, Ordering::Relaxed);
            goals.pop_front();
        }
        let kinds = self.kinds().into_iter();
        let goals = kinds.flat_map(|kind| [Goal::Complete(kind), Goal::Prune(kind)]);
        let is_open = |goal: &Goal| match goal {
            Goal::Complete(kind) => self.is_away(*kind),
            Goal::Prune(kind) => *kind == Kind::People && self.phase(*kind) == "completed",
            _ => false,
        };
        goals
            .into_iter()
            .find(|goal| is_open(goal) && !self.is_reached(*goal))
    }

    /// How many goals were reached so far.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }

    /// Whether a service writes its own table.
    fn is_away(&self, kind: Kind) -> bool {
        self.application(kind).official == goods::Side::Target
    }

    fn is_reached(&self, goal: Goal) -> bool {
        match goal {
            Goal::Cutover(kind) => self.is_away(kind),
            Goal::Rollback(kind) => !self.is_away(kind),
            Goal::Complete(kind) => self.phase(kind) == "completed",
            Goal::Prune(_) => self.pruned.load(Ordering::Relaxed),
        }
    }

    /// Where the split's record says that a service is.
    fn phase(&self, kind: Kind) -> String {
        let record = self.network.with_engine(|engine, _| split_record(engine));
        let phase = record["cutovers"][kind.name()]["phase"].as_str();
        phase.unwrap_or("replicating").to_owned()
    }

    /// Notes the first thing that is wrong.
    fn fails(&self, wrong: Wrong) {
        self.network.note(|| format!("shop: wrong: {wrong}"));
        self.wrong
            .lock()
            .expect("no thread panicked")
            .get_or_insert(wrong);
    }

    /// What was found wrong at a moment of the product's choice.
    pub fn wrong(&self) -> Option<Wrong> {
        self.wrong.lock().expect("no thread panicked").clone()
    }
}

/// One or both services, one after the other; some go back, and over again.
fn goals(layout: Layout, rng: &mut StdRng) -> VecDeque<Goal> {
    let mut kinds = layout.kinds();
    kinds.shuffle(rng);
    let count = rng.random_range(1..=2);
    let mut goals = VecDeque::new();
    for kind in &kinds[..count] {
        goals.push_back(Goal::Cutover(*kind));
        if rng.random_bool(0.6) {
            goals.push_back(Goal::Rollback(*kind));
            if rng.random_bool(0.7) {
                goals.push_back(Goal::Cutover(*kind));
            }
        }
    }
    goals
}

/// The state table.
const STATE: &str = "dynasplit-trial";

/// The record of the split, as the state table holds it.
fn split_record(engine: &Engine) -> Json {
    records(engine)
        .find(|(name, _)| *name == "SPLIT")
        .and_then(|(_, record)| serde_json::from_str(record).ok())
        .unwrap_or_default()
}

/// The records of the state table, by their names.
fn records(engine: &Engine) -> impl Iterator<Item = (&str, &str)> {
    let items = engine.contents(STATE).into_iter();
    items.filter_map(|(_, item)| match (item.get("sk"), item.get("record")) {
        (Some(Value::S(name)), Some(Value::S(record))) => Some((name.as_str(), record.as_str())),
        _ => None,
    })
}

/// When something is over that lasts from now on for so many milliseconds.
fn after(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

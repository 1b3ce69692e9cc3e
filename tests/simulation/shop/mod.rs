//! A run with cutovers: two services with an application each, and a third one that copies from both. An application writes the
//! source until it is told to stop, and its own table from the switch on. Instances that were forgotten write the source
//! nevertheless.
//!
//! Each write is accepted by the engine at once, so the shop knows what every accepted write came to.

mod application;
pub mod goods;
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

use crate::check::Wrong;
use crate::engine::{Engine, Value};
use crate::network::Network;
use crate::script::Cuts;
use crate::support::trial::Mode;
use application::Application;
use goods::Kind;

/// What an operator has yet to bring about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// The service writes its own table.
    Cutover(Kind),
    /// The service writes the source again.
    Rollback(Kind),
    /// The service has no way back any more.
    Complete(Kind),
}

/// The applications of a run, and what they wrote.
pub struct Shop {
    network: Network,
    mode: Mode,
    cuts: Cuts,
    applications: [Mutex<Application>; 2],
    /// Instances are forgotten.
    has_strays: bool,
    /// What the person decides who stops and moves the applications.
    person: Mutex<StdRng>,
    /// Writes make a pause.
    resting: AtomicBool,
    ended: AtomicBool,
    writes: AtomicU64,
    goals: Mutex<VecDeque<Goal>>,
    reached: AtomicU64,
    /// What was found wrong at a moment of the product's choice.
    wrong: Mutex<Option<Wrong>>,
}

impl Shop {
    /// With what operators are to bring about.
    pub fn open(network: &Network, mode: Mode, cuts: &Cuts, has_strays: bool, mut rng: StdRng) -> Arc<Self> {
        let goals = goals(&mut rng);
        network.note(|| format!("shop: {goals:?}"));
        let shop = Self {
            network: network.clone(),
            mode,
            cuts: cuts.clone(),
            applications: Kind::ALL.map(|kind| Mutex::new(Application::of(kind))),
            has_strays,
            person: Mutex::new(StdRng::seed_from_u64(rng.random())),
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
        for kind in Kind::ALL {
            self.fill(kind, rng);
        }
    }

    fn application(&self, kind: Kind) -> MutexGuard<'_, Application> {
        let place = match kind {
            Kind::Orders => 0,
            Kind::Invoices => 1,
        };
        self.applications[place].lock().expect("no thread panicked")
    }

    /// The application of a service writes all the time.
    pub async fn write(self: Arc<Self>, kind: Kind, mut rng: StdRng) {
        while !self.ended.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(rng.random_range(150..900))).await;
            if !self.is_resting() {
                self.step(kind, &mut rng);
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
            });
            self.reached.fetch_add(1, Ordering::Relaxed);
            goals.pop_front();
        }
        let open = Kind::ALL.into_iter().map(Goal::Complete);
        open.into_iter().find(|goal| match goal {
            Goal::Complete(kind) => self.is_away(*kind) && !self.is_reached(*goal),
            _ => false,
        })
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
fn goals(rng: &mut StdRng) -> VecDeque<Goal> {
    let mut kinds = Kind::ALL;
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

/// The record of the split, as the state table holds it.
fn split_record(engine: &Engine) -> Json {
    records(engine)
        .find(|(name, _)| *name == "SPLIT")
        .and_then(|(_, record)| serde_json::from_str(record).ok())
        .unwrap_or_default()
}

/// The records of the state table, by their names.
fn records(engine: &Engine) -> impl Iterator<Item = (&str, &str)> {
    let items = engine.contents("dynasplit-trial").into_iter();
    items.filter_map(|(_, item)| match (item.get("sk"), item.get("record")) {
        (Some(Value::S(name)), Some(Value::S(record))) => Some((name.as_str(), record.as_str())),
        _ => None,
    })
}

/// When something is over that lasts from now on for so many milliseconds.
fn after(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

//! The network: the SDK's HTTP client, whose requests go to the engine in the same thread after a simulated time. One
//! seeded source decides how long each is on its way and what goes wrong with it.
//!
//! A request that was sent takes effect whatever becomes of its sender: it lives in a task of its own.

mod failed_answers;
mod fault_rates;
mod meter;
mod objects;
mod sender;
mod throttling;
mod trace;
mod travelling;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value as Json;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::engine::{Answer, Engine};
use crate::script::Cuts;
use crate::tally::Tally;
use fault_rates::Sort;
pub use fault_rates::{Fate, FaultRates};
pub use meter::{Cost, Meter, WINDOW_MS};
pub use sender::Doom;
use sender::Sender;
pub use throttling::Throttling;
pub use trace::Trace;
use travelling::Travelling;
pub use wire::Wire;

/// When simulated time begins, in milliseconds since 1970.
pub const EPOCH_MS: u64 = 1_800_000_000_000;

/// A network with one engine. Its clones are the same network.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    engine: Engine,
    rng: StdRng,
    began: Instant,
    fault_rates: FaultRates,
    /// A request that was given up lands within so long after it was sent.
    landed: Duration,
    trace: Trace,
    /// What went wrong, by kind.
    tally: Tally,
    requests: u64,
    /// Requests of senders that meet trouble.
    troubled: u64,
    /// The numbers, among these, of requests that met trouble.
    trouble: BTreeSet<u64>,
    cuts: Cuts,
    throttlings: Vec<Throttling>,
    /// A change of a resource policy takes effect for each request after so long at most.
    policy_lag_ms: u64,
    senders: BTreeMap<String, Sender>,
    /// Counts what the requests of one table cost.
    meter: Option<Meter>,
    /// A page of a scan takes so much longer.
    slow_scans: Duration,
    /// A backfill has written the record of the split: it switches tombstones on, or holds the lanes.
    is_copying: bool,
}

/// How a request ends for its sender; nothing where no answer comes.
enum End {
    Answer(Answer),
    Broken,
}

impl Network {
    /// A network in front of an engine.
    pub fn new(engine: Engine, seed: u64, landed: Duration, cuts: Cuts, trace: Trace) -> Self {
        let inner = Inner {
            engine,
            rng: StdRng::seed_from_u64(seed),
            began: Instant::now(),
            fault_rates: FaultRates::NONE,
            landed,
            trace,
            tally: Tally::default(),
            requests: 0,
            troubled: 0,
            trouble: BTreeSet::new(),
            cuts,
            throttlings: Vec::new(),
            policy_lag_ms: 0,
            senders: BTreeMap::new(),
            meter: None,
            slow_scans: Duration::ZERO,
            is_copying: false,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// The time of day, in milliseconds since 1970.
    fn time_ms(&self) -> u64 {
        self.lock().now_ms()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no thread panicked")
    }

    /// Sets the fault_rates.
    pub fn set_fault_rates(&self, fault_rates: FaultRates) {
        self.lock().fault_rates = fault_rates;
    }

    /// Says how long a change of a resource policy takes at most until it is in effect for every request.
    pub fn set_policy_lag(&self, most_ms: u64) {
        self.lock().policy_lag_ms = most_ms;
    }

    /// Counts what the requests of a table cost from now on.
    pub fn measure(&self, table: &str) {
        self.lock().meter = Some(Meter::new(table));
    }

    /// Looks at what was counted.
    pub fn with_meter<T>(&self, look: impl FnOnce(&mut Meter) -> T) -> T {
        look(self.lock().meter.as_mut().expect("it is measured"))
    }

    /// Lets each page of a scan take so much longer.
    pub fn slow_scans(&self, by: Duration) {
        self.lock().slow_scans = by;
    }

    /// Throttles some of the requests for a while.
    pub fn throttle(&self, throttling: Throttling) {
        self.note(|| throttling.to_string());
        let mut inner = self.lock();
        inner.tally.count(throttling.kind());
        inner.throttlings.push(throttling);
    }

    /// An HTTP client for somebody new. Answers a signal that tells of their death as well.
    pub fn join(&self, name: &str, troubled: bool, doom: Option<Doom>) -> (Wire, Arc<Notify>) {
        let sender = Sender::new(troubled, doom);
        let suspended = Arc::clone(&sender.suspended);
        let died = Arc::clone(&sender.died);
        self.note(|| format!("{name} begins, {doom:?}"));
        self.lock().senders.insert(name.to_owned(), sender);
        (Wire::new(self.clone(), name, suspended), died)
    }

    /// Stops somebody: no answer reaches them and they send nothing, until they are woken. What they sent still lands.
    pub fn suspend(&self, name: &str) {
        self.note(|| format!("{name} is suspended"));
        let mut inner = self.lock();
        inner.tally.count("suspended");
        if let Some(sender) = inner.senders.get(name) {
            sender.suspended.set(true);
        }
    }

    /// Lets somebody go on.
    pub fn wake(&self, name: &str) {
        self.note(|| format!("{name} goes on"));
        if let Some(sender) = self.lock().senders.get(name) {
            sender.suspended.set(false);
        }
    }

    /// Somebody is dead: nothing is sent any more, also by tasks that are left of them.
    pub fn bury(&self, name: &str, how: &str) {
        self.note(|| format!("{name} ends: {how}"));
        if let Some(sender) = self.lock().senders.get_mut(name) {
            sender.dead = true;
        }
    }

    /// Nobody dies at a request any more, everybody goes on, and no request is throttled.
    pub fn spare_all(&self) {
        let mut inner = self.lock();
        inner.throttlings.clear();
        for sender in inner.senders.values_mut() {
            sender.doom = None;
            sender.suspended.set(false);
        }
    }

    /// Everybody who lives may die at a request again.
    pub fn doom_all(&self, mut draw: impl FnMut() -> Option<Doom>) {
        let mut inner = self.lock();
        let living = inner.senders.values_mut();
        for sender in living.filter(|sender| sender.troubled && !sender.dead) {
            let sent = sender.sent;
            sender.doom = draw().map(|doom| Doom {
                at_request: sent + doom.at_request,
                ..doom
            });
        }
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut inner = self.lock();
        let at_ms = inner.elapsed_ms();
        inner.trace.add(at_ms, line);
    }

    /// Does something to the engine, at once.
    pub fn with_engine<T>(&self, act: impl FnOnce(&mut Engine, u64) -> T) -> T {
        let mut inner = self.lock();
        let now_ms = inner.now_ms();
        inner.engine.pass(now_ms);
        inner.count_happened();
        act(&mut inner.engine, now_ms)
    }

    /// Counts something that went wrong.
    pub fn count(&self, kind: &str) {
        self.lock().tally.count(kind);
    }

    /// What went wrong so far, by kind.
    pub fn tally(&self) -> Tally {
        self.lock().tally.clone()
    }

    /// The numbers of requests that met trouble.
    pub fn trouble(&self) -> BTreeSet<u64> {
        self.lock().trouble.clone()
    }

    /// Requests that were sent so far.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// Whether a backfill has switched tombstones on, or holds the lanes: it copies soon.
    pub fn is_copying(&self) -> bool {
        self.lock().is_copying
    }

    /// The trace so far, which begins anew.
    pub fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.lock().trace)
    }

    /// Sends a request. Nothing may ever come back.
    fn send(&self, name: &str, who: String, target: String, body: Json) -> oneshot::Receiver<End> {
        let (give, end) = oneshot::channel();
        let mut inner = self.lock();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let at_ms = inner.elapsed_ms();
        let sender = inner.senders.get_mut(name).expect("it has joined");
        if sender.dead {
            return end;
        }
        sender.sent += 1;
        let troubled = sender.troubled;
        let doomed = sender.doom.filter(|doom| doom.at_request == sender.sent);
        let number = sender.sent;
        if let Some(doom) = doomed {
            sender.dead = true;
            sender.died.notify_one();
            if !doom.sends_it {
                inner
                    .trace
                    .add(at_ms, || format!("{name} dies before {operation}"));
                return end;
            }
        }
        inner.requests += 1;
        let fault_rates = if troubled {
            inner.fault_rates
        } else {
            FaultRates::NONE
        };
        let sort = Sort::of(&operation);
        let mut drawn = fault_rates.fate(&mut inner.rng, sort);
        let mut slower_ms = 0;
        if fault_rates.slow_pages && writes_pages(name, sort, &body) {
            (drawn, slower_ms) = fault_rates.page(&mut inner.rng, drawn);
        }
        if fault_rates.slow_writes && name.starts_with("replicate") && writes_target(sort, &body) {
            slower_ms = fault_rates.tail_write(&mut inner.rng);
        }
        let (fate, reason) = match troubled {
            true => inner.troubled(drawn, sort, &body),
            false => (drawn, None),
        };
        if fate != Fate::Answered {
            inner.tally.count(fate.kind());
        }
        inner
            .trace
            .add(at_ms, || format!("{name} > {number} {operation} {body} {fate:?}"));
        let is_split = sort == Sort::Write && body["Item"]["sk"]["S"] == "SPLIT";
        inner.is_copying |= is_split && name.starts_with("backfill");
        let scan = if operation == "Scan" {
            inner.slow_scans
        } else {
            Duration::ZERO
        };
        let there = scan + Duration::from_millis(slower_ms + fault_rates.latency(&mut inner.rng));
        let back = Duration::from_millis(fault_rates.latency(&mut inner.rng));
        let landed = u64::try_from(inner.landed.as_millis()).expect("a short time");
        let late = Duration::from_millis(inner.rng.random_range(landed / 4..landed));
        drop(inner);
        let travelling = Travelling {
            network: self.clone(),
            who,
            sender: name.to_owned(),
            tag: format!("{name} < {number} {operation}"),
            target,
            body,
            fault_rates,
            reason,
            is_troubled: troubled,
        };
        tokio::spawn(travelling.go(fate, [there, back, late], give));
        end
    }
}

/// Whether somebody writes targets from what they read in the source.
fn writes_pages(name: &str, sort: Sort, body: &Json) -> bool {
    let writes = sort == Sort::Batch || writes_target(sort, body);
    let mut commands = ["backfill", "repair", "reconcile"].iter();
    writes && commands.any(|command| name.contains(command))
}

fn writes_target(sort: Sort, body: &Json) -> bool {
    let mut targets = ["orders", "invoices", "people", "names"].iter();
    sort == Sort::Write && targets.any(|table| body["TableName"] == *table)
}

impl Inner {
    /// How a policy refuses a write. Its last changes may be in effect for this request, or not yet.
    fn denial(&mut self, who: &str, target: &str, body: &Json) -> Option<Answer> {
        if !self.engine.has_policies() {
            return None;
        }
        let as_of_ms = self.now_ms() - self.rng.random_range(0..=self.policy_lag_ms);
        let operation = target.rsplit('.').next().unwrap_or_default();
        let denied = self.engine.denial(who, operation, body, as_of_ms)?;
        self.tally.count("refused by a policy");
        Some(denied)
    }

    /// Counts what the engine did by itself.
    fn count_happened(&mut self) {
        let at_ms = self.elapsed_ms();
        for what in std::mem::take(&mut self.engine.happened) {
            self.tally.count(what);
            self.trace.add(at_ms, || what.to_owned());
        }
    }

    /// What becomes of a request, and why it is throttled, unless that is cut.
    fn troubled(&mut self, drawn: Fate, sort: Sort, body: &Json) -> (Fate, Option<String>) {
        self.troubled += 1;
        let number = self.troubled;
        let reason = match drawn {
            Fate::Answered => self.throttled_by(sort, body),
            _ => None,
        };
        let fate = if reason.is_some() { Fate::Throttled } else { drawn };
        if fate == Fate::Answered || !self.cuts.has_trouble(number) {
            return (Fate::Answered, None);
        }
        self.trouble.insert(number);
        (fate, reason)
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).expect("a short time")
    }

    fn now_ms(&self) -> u64 {
        EPOCH_MS + self.elapsed_ms()
    }

    /// The reason for which a throttling throttles a request.
    fn throttled_by(&mut self, sort: Sort, body: &Json) -> Option<String> {
        let now = Instant::now();
        self.throttlings.retain(|throttling| throttling.until > now);
        self.throttlings
            .iter()
            .find_map(|throttling| throttling.reason(sort, body))
    }
}

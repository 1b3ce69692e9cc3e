//! Which requests go wrong.

use std::sync::{Arc, Mutex};

use rand::Rng;
use tokio::sync::watch;

use super::call::Call;
use super::chance;
use super::fault::Fault;

type When = Box<dyn Fn(&Call) -> bool + Send + Sync>;

/// Requests that match it go wrong in its way.
pub struct Rule {
    pub(super) fault: Fault,
    operations: Vec<&'static str>,
    tables: Vec<String>,
    when: Option<When>,
    skip: u64,
    times: u64,
    probability: f64,
}

impl Rule {
    /// Everything goes wrong in this way, unless it is narrowed.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            operations: Vec::new(),
            tables: Vec::new(),
            when: None,
            skip: 0,
            times: u64::MAX,
            probability: 1.0,
        }
    }

    /// Only these operations.
    pub fn on(mut self, operations: &[&'static str]) -> Self {
        self.operations.extend(operations);
        self
    }

    /// Only this table (again: that one too). Of a batch, it is enough that one of its tables is named.
    pub fn table(mut self, table: &str) -> Self {
        self.tables.push(table.to_owned());
        self
    }

    /// Only what this says yes to.
    pub fn when(mut self, when: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Box::new(when));
        self
    }

    /// Only what holds this text.
    pub fn holding(self, text: &str) -> Self {
        let text = text.to_owned();
        self.when(move |call| call.text().contains(&text))
    }

    /// Not the first so many that match.
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// At most so many.
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    /// Each that matches with this probability.
    pub fn sometimes(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    fn matches(&self, call: &Call) -> bool {
        let operation = self.operations.is_empty() || self.operations.contains(&call.operation.as_str());
        let table = self.tables.is_empty() || self.tables.iter().any(|table| call.tables.contains(table));
        operation && table && self.when.as_ref().is_none_or(|when| when(call))
    }
}

/// A rule in force: tells how often it struck, and takes it back.
#[derive(Clone)]
pub struct Switch(pub(super) Arc<Active>);

impl Switch {
    /// How often it struck.
    pub fn hits(&self) -> u64 {
        *self.0.hits.borrow()
    }

    /// Waits until it has struck so often.
    ///
    /// # Panics
    /// When that does not come within a minute.
    pub async fn until(&self, hits: u64) {
        let mut seen = self.0.hits.subscribe();
        let waited = tokio::time::timeout(super::server::PATIENCE, seen.wait_for(|seen| *seen >= hits));
        let Ok(struck) = waited.await else {
            panic!("the fault struck {} times of {hits}", self.hits());
        };
        struck.expect("the sender is held");
    }

    /// Takes the rule back.
    pub fn off(&self) {
        self.0.state.lock().expect("no thread panicked").off = true;
    }

    /// Puts it in force again.
    pub fn on(&self) {
        self.0.state.lock().expect("no thread panicked").off = false;
    }
}

/// A rule with its counts.
pub(super) struct Active {
    rule: Rule,
    /// Tells its draws from those of other rules.
    name: String,
    seed: u64,
    state: Mutex<State>,
    hits: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    matched: u64,
    struck: u64,
    off: bool,
}

impl Active {
    pub(super) fn new(rule: Rule, index: usize, seed: u64) -> Self {
        Self {
            rule,
            name: format!("rule {index}"),
            seed,
            state: Mutex::default(),
            hits: watch::channel(0).0,
        }
    }

    /// The fault, where it strikes this call, with its delay drawn.
    pub(super) fn strikes(&self, call: &Call) -> Option<Fault> {
        if !self.rule.matches(call) {
            return None;
        }
        let mut state = self.state.lock().expect("no thread panicked");
        if state.off {
            return None;
        }
        state.matched += 1;
        let mut chance = chance::at(self.seed, &[&self.name, &call.operation, call.role()], call.nth);
        let drawn = self.rule.probability >= 1.0 || chance.random_bool(self.rule.probability);
        if state.matched <= self.rule.skip || state.struck >= self.rule.times || !drawn {
            return None;
        }
        state.struck += 1;
        self.hits.send_replace(state.struck);
        Some(self.rule.fault.drawn(&mut chance))
    }
}

//! One application: where it writes, what it wrote, and what forgotten instances of it wrote.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::goods::{self, Act, FencedBy, Kind, Side};
use super::{Ordering, Shop};
use crate::engine::{Arrival, Item, item_json, role_arn};

/// Items of one service.
const ITEMS: usize = crate::cast::KEYS / 2;
/// One item in so many is deleted once, and not created again.
const MORTAL: usize = 3;

/// An application.
pub struct Application {
    pub kind: Kind,
    /// The side whose writes count.
    pub official: Side,
    /// It writes until then, if it was told to stop.
    pub stops: Option<Instant>,
    /// What all accepted writes came to, in the shape of the source.
    pub truth: BTreeMap<usize, Item>,
    /// The last timestamp of each item.
    pub at: BTreeMap<usize, i64>,
    /// Items that were deleted for good.
    dead: BTreeSet<usize>,
    /// Forgotten instances write the source until then.
    pub strays_until: Option<Instant>,
    /// The command says that the fence holds: what is accepted from now on may be late.
    pub is_fenced: bool,
    /// When each item was written last, on the side that counts.
    pub written: BTreeMap<usize, Instant>,
    /// Instances that nobody moved back write the table of the service until then.
    pub table_strays_until: Option<Instant>,
    /// Items of this table that such an instance wrote, and when: a verify finds them.
    pub table_strays: BTreeMap<usize, Instant>,
    /// Items that a forgotten instance wrote since the application was told to stop.
    pub late: BTreeSet<usize>,
    /// Items of which the source and the target may differ, because a forgotten instance wrote the source.
    pub disputed: BTreeSet<usize>,
    /// Items whose attribute that the target lacks is not known, for the same reason.
    pub loose: BTreeSet<usize>,
}

impl Application {
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            official: Side::Source,
            stops: None,
            truth: BTreeMap::new(),
            at: BTreeMap::new(),
            dead: BTreeSet::new(),
            strays_until: None,
            is_fenced: false,
            written: BTreeMap::new(),
            table_strays_until: None,
            table_strays: BTreeMap::new(),
            late: BTreeSet::new(),
            disputed: BTreeSet::new(),
            loose: BTreeSet::new(),
        }
    }

    /// The numbers of its items.
    pub fn numbers(&self) -> std::ops::Range<usize> {
        let first = match self.kind {
            Kind::Orders => 0,
            Kind::Invoices | Kind::People => ITEMS,
        };
        first..first + ITEMS
    }

    /// Half of the writes go to a few items, so that histories grow long.
    fn number(&self, rng: &mut StdRng) -> usize {
        let all = self.numbers();
        let last = if rng.random() { all.start + 3 } else { all.end };
        rng.random_range(all.start..last)
    }

    /// The next timestamp of an item: some are ties, and a few go backwards.
    fn tick(&mut self, rng: &mut StdRng, number: usize) -> i64 {
        let at = self.at.entry(number).or_insert(500);
        match rng.random_range(0..20) {
            0 => *at -= rng.random_range(1..20),
            1..5 => {}
            _ => *at += rng.random_range(1..100),
        }
        *at
    }

    /// What it does to an item that it knows.
    fn act(&mut self, rng: &mut StdRng, side: Side, number: usize) -> Vec<Act> {
        let is_mortal = number.is_multiple_of(MORTAL);
        let (kind, is_there) = (self.kind, self.truth.contains_key(&number));
        if !is_there && (is_mortal && self.dead.contains(&number) || rng.random_bool(0.3)) {
            return Vec::new();
        }
        let at = self.tick(rng, number);
        let put = |rng: &mut StdRng| Act::Put(goods::item(rng, kind, number, at));
        match rng.random_range(0..100) {
            _ if !is_there => vec![put(rng)],
            0..35 => vec![put(rng)],
            35..70 => vec![change(rng, side, at)],
            70..85 => {
                if is_mortal {
                    self.dead.insert(number);
                }
                vec![Act::Delete]
            }
            _ => vec![Act::Delete, put(rng)],
        }
    }
}

/// A change of one attribute. The application of a table without notes writes none.
fn change(rng: &mut StdRng, side: Side, at: i64) -> Act {
    let (name, value) = match rng.random_range(0..5) {
        0 | 1 => ("amount", Some(goods::number_of(rng.random_range(-500..500)))),
        2 => ("name", Some(goods::word(rng))),
        3 => ("name", None),
        _ if side == Side::Source => ("note", Some(goods::word(rng))),
        _ => ("name", Some(goods::word(rng))),
    };
    Act::Change { at, name, value }
}

impl Shop {
    /// The items that the source has at the beginning.
    pub(super) fn fill(&self, kind: Kind, rng: &mut StdRng) {
        let numbers = self.application(kind).numbers();
        for number in numbers {
            let at = rng.random_range(1..1000);
            self.application(kind).at.insert(number, at);
            let item = goods::item(rng, kind, number, at);
            if rng.random_ratio(9, 10) {
                self.accepted(&mut self.application(kind), Side::Source, number, &Act::Put(item));
            }
        }
    }

    /// One write of an application, or two. Says whether there was one.
    pub(super) fn step(&self, kind: Kind, rng: &mut StdRng) -> bool {
        let mut application = self.application(kind);
        if application.stops.is_some_and(|stops| stops <= Instant::now()) {
            return false;
        }
        let (side, number) = (application.official, application.number(rng));
        let acts = application.act(rng, side, number);
        for act in &acts {
            if self.is_denied(&role_arn(goods::APPLICATION), (kind, side, number), act, rng) {
                return false;
            }
            self.accepted(&mut application, side, number, act);
        }
        if kind == Kind::People && side == Side::Target && rng.random_ratio(1, 12) {
            self.drops_copy(rng);
        }
        !acts.is_empty()
    }

    /// The service that receives everything deletes something of others that it does not need.
    fn drops_copy(&self, rng: &mut StdRng) {
        let numbers = self.application(Kind::Orders).numbers();
        let number = rng.random_range(numbers);
        let key = goods::copied(&Kind::Orders.source_key(number));
        let body = json!({ "TableName": Kind::People.name(), "Key": item_json(&key) });
        self.network.count("copy deleted by the service");
        self.network
            .note(|| format!("shop: people drops its copy of DOC#{number}"));
        self.sent("DeleteItem", &body);
    }

    /// Whether a policy refuses a write. A change of the policy is in effect for each request after a time of its own.
    fn is_denied(
        &self,
        who: &str,
        (kind, side, number): (Kind, Side, usize),
        act: &Act,
        rng: &mut StdRng,
    ) -> bool {
        if self.layout.fenced_by == FencedBy::Person {
            return false;
        }
        // An instance whose connections are old learns of it late.
        let share = if rng.random() { 1 } else { 4 };
        let lag_ms = rng.random_range(0..=self.policy_lag_ms / share);
        let (operation, body) = kind.request(side, number, act);
        let denied = self
            .network
            .with_engine(|engine, now_ms| engine.denial(who, operation, &body, now_ms - lag_ms));
        if denied.is_some() {
            self.network.count("write of an application refused by a policy");
            self.network
                .note(|| format!("shop: {} is refused DOC#{number}", kind.name()));
        }
        denied.is_some()
    }

    /// One write of a forgotten instance to the source, if there is one.
    pub(super) fn stray_step(&self, kind: Kind, rng: &mut StdRng) {
        let mut application = self.application(kind);
        if application
            .strays_until
            .is_none_or(|until| until <= Instant::now())
        {
            return;
        }
        let number = application.number(rng);
        let acts = application.act(rng, Side::Source, number);
        for act in acts.iter().take(1) {
            let is_denied = self.is_denied(&self.strays_as, (kind, Side::Source, number), act, rng);
            if !self.has_item(number) || is_denied {
                continue;
            }
            self.network.count("stray write");
            application.late.insert(number);
            if application.official == Side::Target {
                application.disputed.insert(number);
                application.loose.insert(number);
                self.carried_out(kind, Side::Source, number, act, "a forgotten instance of ");
            } else {
                self.accepted(&mut application, Side::Source, number, act);
            }
        }
    }

    /// One write of an instance that nobody moved back, to the table of its service.
    pub(super) fn table_stray_step(&self, kind: Kind, rng: &mut StdRng) {
        let mut application = self.application(kind);
        let is_there = application
            .table_strays_until
            .is_some_and(|until| until > Instant::now());
        // A switch may have begun: then, these writes count.
        if !is_there || application.official == Side::Target || self.phase(kind) != "replicating" {
            return;
        }
        let number = application.number(rng);
        let acts = application.act(rng, Side::Target, number);
        for act in acts.iter().take(1) {
            let is_denied = self.is_denied(&self.strays_as, (kind, Side::Target, number), act, rng);
            if !self.has_item(number) || is_denied {
                continue;
            }
            self.network.count("stray write of a service's own table");
            application.table_strays.insert(number, Instant::now());
            self.carried_out(
                kind,
                Side::Target,
                number,
                act,
                "an instance that stayed behind of ",
            );
        }
    }

    fn has_item(&self, number: usize) -> bool {
        self.cuts.items.as_ref().is_none_or(|kept| kept.contains(&number))
    }

    /// A write of the side that counts.
    pub(super) fn accepted(&self, application: &mut Application, side: Side, number: usize, act: &Act) {
        if !self.has_item(number) {
            return;
        }
        let kind = application.kind;
        self.carried_out(kind, side, number, act, "");
        application.written.insert(number, Instant::now());
        if application.is_fenced {
            application.late.insert(number);
        }
        match act.applied(kind, side, application.truth.get(&number)) {
            Some(item) => application.truth.insert(number, item),
            None => application.truth.remove(&number),
        };
    }

    fn carried_out(&self, kind: Kind, side: Side, number: usize, act: &Act, who: &str) {
        let (operation, body) = kind.request(side, number, act);
        self.network
            .note(|| format!("shop: {who}{} sends {operation} DOC#{number} {body}", kind.name()));
        self.sent(operation, &body);
    }

    /// A write that the engine accepts at once.
    fn sent(&self, operation: &str, body: &Json) {
        let answer = self
            .network
            .with_engine(|engine, now_ms| engine.answer(Arrival { now_ms, stale_ms: 0 }, operation, body));
        assert_eq!(answer.status, 200, "{operation} {body}: {}", answer.body);
        self.writes.fetch_add(1, Ordering::Relaxed);
    }
}

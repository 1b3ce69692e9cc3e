//! A split as a command works with it: the checked plan and the clients of its tables.

use super::fleet::Fleet;
use super::waits::Waits;
use crate::dynamo::{Chaos, Clients, Tables, Timing};
use crate::fault::{Rule, broken};
use crate::flow::{Group, Ledger, Stop, touched};
use crate::model::{Item, Key, KeySchema, Origin, json};
use crate::plan::{Place, Plan, Service};
use crate::source::Scan;
use crate::state::{
    CutoverState, DeadLetter, DeadLetters, LedgerState, MAX_RECHECKS, RecheckKey, ShardRecord, SplitRecord,
    StateError, Store, StreamPin,
};
use crate::target::Gate;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A plan with the clients of its tables. Every part of a run works with it.
#[derive(Clone, Debug)]
pub struct Split {
    /// The checked plan.
    pub plan: Arc<Plan>,
    /// Clients of the source and of the state table.
    pub source: Tables,
    /// Clients of each service's table, in the order of the plan.
    pub targets: Vec<Tables>,
    /// Makes clients, also for other roles than those of the tables.
    pub clients: Arc<Clients>,
    /// The state table.
    pub store: Store,
    /// Dead letters and the recheck list.
    pub dead_letters: DeadLetters,
    /// How long things may take.
    pub timing: Timing,
    /// What the process waits for at present.
    pub waits: Waits,
    /// The processes that share the work with this one.
    pub(crate) fleet: Fleet,
    /// What happens to its requests, if the user switched chaos on.
    pub chaos: Option<Chaos>,
    /// Services that had switched when this command began: it reads and writes nothing for them.
    /// When each switch was recorded, in milliseconds since 1970.
    switched: Arc<BTreeMap<String, u64>>,
    /// The cutovers of services when this command began.
    cutovers: Arc<BTreeMap<String, CutoverState>>,
    /// The services that sent events when this command began, each with the epoch of its lane.
    events: Arc<BTreeMap<String, u64>>,
    /// The ledger when this command began: its lane, and the id of the source table in the keys of its objects.
    ledger: Option<Arc<LedgerState>>,
    /// Which stream the command follows.
    side: Side,
}

/// Which stream a tail follows.
#[derive(Clone, Debug, Default)]
enum Side {
    /// That of the source.
    #[default]
    Source,
    /// That of a service's table, to carry its changes back.
    Target(Arc<BackSide>),
}

/// The stream of a service's table, from where it was pinned.
#[derive(Clone, Debug)]
pub(crate) struct BackSide {
    /// The service.
    pub service: String,
    /// Where the way back begins.
    pub pin: StreamPin,
}

/// What a lane of the tail does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LaneKind {
    /// It applies changes of the source to a service's table.
    Apply,
    /// It looks for items that belong to no service.
    Unrouted,
    /// It looks for stray writes to the source's items of a service that has switched with a way back.
    Strays,
    /// It carries changes of a service's table back to the source.
    Back,
    /// It sends the events of a service.
    Events,
    /// It writes the ledger.
    Ledger,
}

impl Split {
    /// Makes the clients that the plan needs. Sends no request.
    pub async fn open(plan: Plan, clients: &Arc<Clients>) -> Self {
        let at = async |place: &Place| clients.at(place.region.as_deref(), place.role.as_deref()).await;
        let source = at(&plan.source.place).await;
        let mut targets = Vec::with_capacity(plan.services.len());
        for service in &plan.services {
            targets.push(at(&service.place).await);
        }
        let store = Store::new(source.items.clone(), &plan.state_table);
        Self {
            dead_letters: DeadLetters::new(store.clone()),
            store,
            source,
            targets,
            plan: Arc::new(plan),
            timing: clients.timing(),
            clients: Arc::clone(clients),
            waits: Waits::default(),
            fleet: Fleet::new(clients.timing()),
            chaos: clients.chaos(),
            switched: Arc::default(),
            cutovers: Arc::default(),
            events: Arc::default(),
            ledger: None,
            side: Side::Source,
        }
    }

    /// The same split for the tail of a service's own table, which carries its changes back.
    pub(crate) fn back(&self, service: &str, pin: StreamPin) -> Self {
        let service = service.to_owned();
        Self {
            side: Side::Target(Arc::new(BackSide { service, pin })),
            ..self.clone()
        }
    }

    /// The table whose changes are carried back; `None` if this command follows the source.
    pub(crate) fn back_side(&self) -> Option<&BackSide> {
        match &self.side {
            Side::Source => None,
            Side::Target(back) => Some(back),
        }
    }

    /// Name of the record of a shard of the stream that this command follows.
    pub(crate) fn shard_record(&self, generation: u32, shard: &str) -> String {
        match &self.side {
            Side::Source => ShardRecord::record_name(generation, shard),
            Side::Target(back) => ShardRecord::back_name(&back.service, back.pin.epoch, shard),
        }
    }

    /// The cutover of a service when this command began; `None` if it was never cut over.
    pub(crate) fn cutover(&self, service: &str) -> Option<&CutoverState> {
        self.cutovers.get(service)
    }

    /// Whether a service has switched with a way back.
    pub(crate) fn is_watched(&self, service: &str) -> bool {
        let is_cut_over = |state: &CutoverState| state.phase.is_watched();
        self.has_switched(service) && self.cutovers.get(service).is_some_and(is_cut_over)
    }

    /// The lanes that the tail reads, and what each does.
    pub(crate) fn tail_lanes(&self) -> BTreeMap<String, LaneKind> {
        if let Side::Target(back) = &self.side {
            return BTreeMap::from([(back.service.clone(), LaneKind::Back)]);
        }
        let kind = |name: &str| match (self.has_switched(name), self.is_watched(name)) {
            (false, _) => Some(LaneKind::Apply),
            (true, true) => Some(LaneKind::Strays),
            (true, false) => None,
        };
        let services = self.plan.services.iter();
        let lanes = services.filter_map(|service| Some((service.name.clone(), kind(&service.name)?)));
        let events = self.events.iter();
        let events =
            events.map(|(service, epoch)| (ShardRecord::events_lane(service, *epoch), LaneKind::Events));
        lanes
            .chain([(ShardRecord::WATCH.to_owned(), LaneKind::Unrouted)])
            .chain(events)
            .chain(self.ledger_lane().map(|lane| (lane, LaneKind::Ledger)))
            .collect()
    }

    /// Whether the tail reads a lane that stands in the record of a shard. It leaves out services that have switched without
    /// a way back, events of an earlier epoch, and an earlier chain of the ledger.
    pub(crate) fn reads_lane(&self, lane: &str) -> bool {
        if ShardRecord::of_ledger(lane).is_some() {
            return self.back_side().is_none() && self.ledger_lane().as_deref() == Some(lane);
        }
        match (&self.side, ShardRecord::of_events(lane)) {
            (Side::Target(back), _) => back.service == lane,
            (Side::Source, None) => !self.is_closed(lane),
            (Side::Source, Some((service, epoch))) => self.events.get(service) == Some(&epoch),
        }
    }

    /// Whether a service has switched without a way back: its lane stays where it is.
    pub(crate) fn is_closed(&self, service: &str) -> bool {
        self.has_switched(service) && !self.is_watched(service)
    }

    /// The epoch of a service's events; `None` if it sent none when this command began.
    #[must_use]
    pub fn events_epoch(&self, service: &str) -> Option<u64> {
        self.events.get(service).copied()
    }

    /// The ledger; `None` if there was none when this command began.
    #[must_use]
    pub fn ledger(&self) -> Option<&LedgerState> {
        self.ledger.as_deref()
    }

    /// Name of the lane that writes the ledger.
    #[must_use]
    pub fn ledger_lane(&self) -> Option<String> {
        self.ledger().map(|ledger| ShardRecord::ledger_lane(ledger.chain))
    }

    /// Whether the plan has events of a service.
    #[must_use]
    pub fn events_are_planned(&self, service: &str) -> bool {
        self.plan
            .with_events()
            .any(|(planned, _)| planned.name == service)
    }

    /// The dead letters of events.
    #[must_use]
    pub fn event_letters(&self) -> DeadLetters {
        DeadLetters::events(self.store.clone())
    }

    /// The time of day by this process's clock, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.timing.clock.now_ms()
    }

    /// The same, whose state requests are not sent again once this is cancelled: the command ends soon.
    #[must_use]
    pub fn without_retries_after(self, stop_retrying: &CancellationToken) -> Self {
        let store = self.store.without_retries_after(stop_retrying);
        Self {
            dead_letters: DeadLetters::new(store.clone()),
            store,
            ..self
        }
    }

    /// The same split for a command that begins now: it leaves out the services that have switched.
    #[must_use]
    pub fn without_switched(&self, record: &SplitRecord) -> Self {
        Self {
            switched: Arc::new(
                switches(record)
                    .map(|(name, at_ms)| (name.clone(), at_ms))
                    .collect(),
            ),
            cutovers: Arc::new(record.cutovers.clone()),
            events: Arc::new(
                record
                    .events_on()
                    .into_iter()
                    .filter(|(name, _)| self.plan.with_events().any(|(service, _)| service.name == *name))
                    .collect(),
            ),
            ledger: record.ledger.as_ref().map(|ledger| Arc::new(ledger.clone())),
            ..self.clone()
        }
    }

    /// Whether a service had switched when this command began.
    #[must_use]
    pub fn has_switched(&self, service: &str) -> bool {
        self.switched.contains_key(service)
    }

    /// Whether the split's record names the same services that have switched, and the same that are carried back, as when this
    /// command began.
    pub(crate) fn has_same_switches(&self, record: &SplitRecord) -> bool {
        switches(record).eq(self.switched.iter().map(|(name, at_ms)| (name, *at_ms)))
            && carried_back(&record.cutovers).eq(carried_back(&self.cutovers))
    }

    /// The same, of one service.
    pub(crate) fn has_same_switch(&self, record: &SplitRecord, service: &str) -> bool {
        let of = |cutovers: &BTreeMap<String, CutoverState>| {
            carried_back(cutovers)
                .find(|(name, _)| *name == service)
                .map(|(_, epoch)| epoch)
        };
        let switched = record.switched.get(service).map(|switched| switched.at_ms);
        switched == self.switched.get(service).copied() && of(&record.cutovers) == of(&self.cutovers)
    }

    /// Whether the split's record names the same events as when this command began.
    pub(crate) fn has_same_events(&self, record: &SplitRecord) -> bool {
        record.events_on() == *self.events
    }

    /// Whether the split's record names the same ledger as when this command began.
    pub(crate) fn has_same_ledger(&self, record: &SplitRecord) -> bool {
        record.ledger.as_ref().map(|ledger| ledger.chain) == self.ledger().map(|ledger| ledger.chain)
    }

    /// Whether the plan has exactly the services that the split's record names. A record of an earlier version names none.
    pub(crate) fn has_same_services(&self, record: &SplitRecord) -> bool {
        let planned: BTreeSet<&String> = self.plan.services.iter().map(|service| &service.name).collect();
        record.services.is_empty() || record.services.iter().eq(planned)
    }

    /// The services that have not switched, with their clients.
    pub fn active(&self) -> impl Iterator<Item = (&Service, &Tables)> {
        self.services()
            .filter(|(service, _)| !self.has_switched(&service.name))
    }

    /// The services that have switched, each with the time of its switch, in milliseconds since 1970.
    pub(crate) fn switched(&self) -> impl Iterator<Item = (&Service, u64)> {
        self.plan
            .services
            .iter()
            .filter_map(|service| Some((service, *self.switched.get(&service.name)?)))
    }

    /// The services with their clients.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &Tables)> {
        self.plan.services.iter().zip(&self.targets)
    }

    /// The clients of a service.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<(&Service, &Tables)> {
        self.services().find(|(service, _)| service.name == name)
    }

    /// Names of all lanes: the services that have not switched, then the watch lane.
    #[must_use]
    pub fn lanes(&self) -> Vec<String> {
        let services = self.active().map(|(service, _)| service.name.clone());
        services.chain([ShardRecord::WATCH.to_owned()]).collect()
    }

    /// Reads of the source.
    #[must_use]
    pub fn scan_source(&self, consistent: bool) -> Scan {
        let source = &self.plan.source;
        Scan::new(
            self.source.pages.clone(),
            &source.table,
            source.keys.clone(),
            consistent,
        )
    }

    /// A source key in the form that state and output use.
    #[must_use]
    pub fn key_json(&self, key: &Key) -> serde_json::Value {
        key_json(&self.plan.source.keys, key)
    }

    /// The target keys that a group of changes touches, in the form that state uses.
    fn targets_of(&self, service: &str, group: &Group) -> Vec<serde_json::Value> {
        let Some(service) = self.plan.service(service) else {
            return Vec::new();
        };
        let keys = touched(service, &self.plan.versions, group);
        keys.iter().map(|key| key_json(&service.keys, key)).collect()
    }

    /// Reads a source key back from that form.
    #[must_use]
    pub fn key_from_json(&self, value: &serde_json::Value) -> Option<Key> {
        let item: Item = json::item_from_json(value.clone()).ok()?;
        self.plan.source.keys.key_of(&item)
    }
}

/// A key as DynamoDB JSON.
#[must_use]
pub fn key_json(keys: &KeySchema, key: &Key) -> serde_json::Value {
    json::item_to_json(&keys.item_of(key))
}

/// Keeps complaints in the state table.
#[derive(Clone, Debug)]
pub struct StateLedger {
    split: Split,
    /// Shows whether tombstones are on: only then can a stale page still overwrite an item whose timestamp went
    /// backwards.
    gate: Option<Gate>,
}

impl StateLedger {
    /// For changes that are read from the source.
    #[must_use]
    pub fn new(split: &Split) -> Self {
        Self {
            split: split.clone(),
            gate: None,
        }
    }

    /// For the tail, whose worker goes through this gate.
    #[must_use]
    pub fn behind(split: &Split, gate: &Gate) -> Self {
        Self {
            split: split.clone(),
            gate: Some(gate.clone()),
        }
    }
}

impl Ledger for StateLedger {
    async fn dead_letter(&self, service: &str, group: &Group, reason: &str) -> Result<(), Stop> {
        let Some(change) = group.changes.last() else {
            return Ok(());
        };
        let letter = DeadLetter {
            service: service.to_owned(),
            key: self.split.key_json(&group.key),
            reason: reason.to_owned(),
            origin: match &change.origin {
                Origin::Backfill | Origin::Bulk => DeadLetter::BACKFILL.to_owned(),
                Origin::Tail { sequence, .. } => sequence.to_string(),
            },
            at_ms: self.split.now_ms(),
            image: change.images.new.as_ref().map(json::item_to_json),
            old_image: change.images.old.as_ref().map(json::item_to_json),
        };
        self.split.dead_letters.keep(&letter).await.map_err(stop)
    }

    async fn recheck(&self, service: &str, group: &Group) -> Result<(), Stop> {
        // Held until the entry is durable, so that a command that switches tombstones off waits for it.
        let Some(admission) = self
            .gate
            .as_ref()
            .map(|gate| gate.of(service).enter())
            .filter(|admission| admission.leaves_tombstones && !broken(Rule::Listed))
        else {
            return Ok(());
        };
        let key = RecheckKey {
            service: service.to_owned(),
            key: self.split.key_json(&group.key),
            epoch: admission.epoch(),
            targets: if broken(Rule::Suspects) {
                Vec::new()
            } else {
                self.split.targets_of(service, group)
            },
        };
        self.split.dead_letters.recheck(&key).await.map_err(stop)?;
        tracing::debug!(service, limit = MAX_RECHECKS, "a timestamp went backwards");
        Ok(())
    }
}

fn stop(error: StateError) -> Stop {
    Stop {
        reason: error.to_string(),
    }
}

/// The switches that a split's record names.
fn switches(record: &SplitRecord) -> impl Iterator<Item = (&String, u64)> {
    record
        .switched
        .iter()
        .map(|(name, switched)| (name, switched.at_ms))
}

/// The services whose changes are carried back, and in which cutover.
fn carried_back(cutovers: &BTreeMap<String, CutoverState>) -> impl Iterator<Item = (&String, u64)> {
    let back = cutovers.iter().filter(|(_, state)| state.phase.carries_back());
    back.map(|(name, state)| (name, state.epoch))
}

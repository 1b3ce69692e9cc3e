//! The application of a rehearsal that cuts services over: for each service, it writes the source, the service's own table, or
//! nothing at all, and it knows what it has written.

use super::delivery::Delivery;
use super::ledger::{History, Ledger, carried_back, written};
use super::mutate::{Mutation, Request};
use super::writer_error::WriterError;
use crate::dynamo::Failure;
use crate::flow::{Desired, desired};
use crate::model::{Item, ItemExt, Key, RESERVED_PREFIX};
use crate::plan::{Plan, Service, Versions};
use crate::source::Scan;
use aws_sdk_dynamodb::Client;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::RwLock;

/// Where the writers of a service write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Source,
    Target,
    /// They are stopped: what they want to write waits.
    Nowhere,
}

/// What became of a write.
pub(super) enum Written {
    Landed,
    /// It would change nothing, or its service has no such item.
    Meaningless,
    /// It must wait.
    Stopped,
}

/// A write of a service's own table, and what the source holds when it was carried back.
#[derive(Clone)]
pub(super) struct Carried {
    pub key: Key,
    pub item: Option<Item>,
    /// When it was answered.
    pub at: Instant,
}

/// What the writers of a service did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    pub source: u64,
    pub target: u64,
    last: Option<Instant>,
    stopped: Option<Instant>,
    /// How long no write was accepted, around the last stop.
    pub waited_ms: Option<u64>,
}

/// The writers of one service. Each write holds the lock, so a change of sides waits until no write is under way.
struct Writers {
    table: Delivery,
    place: RwLock<Place>,
    activity: Mutex<Activity>,
}

struct Place {
    side: Side,
    /// Items that the writers leave alone.
    held: HashSet<Key>,
}

/// See the module.
pub(super) struct Application {
    pub plan: Plan,
    source: Delivery,
    services: BTreeMap<String, Writers>,
    ledger: Mutex<Ledger>,
    /// The last write of a service's own table.
    carried: Mutex<Option<Carried>>,
    /// What the source keeps of services whose way back has ended.
    kept: Mutex<BTreeMap<String, HashMap<Key, Item>>>,
}

impl Application {
    /// An application whose items are those that the source holds now. Its writers write the source.
    pub async fn open(client: &Client, plan: &Plan, services: &[String]) -> Result<Self, Failure> {
        let source = Delivery {
            client: client.clone(),
            table: plan.source.table.clone(),
            keys: plan.source.keys.clone(),
        };
        let items = read(&source, false).await?;
        let planned = services.iter().filter_map(|name| plan.service(name));
        let services = planned.map(|service| {
            let writers = Writers {
                table: delivery_of(client, service),
                place: RwLock::new(Place {
                    side: Side::Source,
                    held: HashSet::new(),
                }),
                activity: Mutex::default(),
            };
            (service.name.clone(), writers)
        });
        Ok(Self {
            services: services.collect(),
            source,
            plan: plan.clone(),
            ledger: Mutex::new(Ledger { items, history: None }),
            carried: Mutex::default(),
            kept: Mutex::default(),
        })
    }

    /// Writes where the service of the item writes.
    pub async fn write(&self, mutation: &Mutation, retries: &AtomicU64) -> Result<Written, WriterError> {
        let Mutation { key, request, .. } = mutation;
        let Some((service, writers)) = self.owner(key) else {
            self.source.send(key, request.clone(), retries).await?;
            self.note(key, |before| self.after(key, before, request));
            return Ok(Written::Landed);
        };
        let place = writers.place.read().await;
        if place.side == Side::Nowhere || place.held.contains(key) {
            return Ok(Written::Stopped);
        }
        let side = place.side;
        let done = match side {
            Side::Target => self.to_target(service, writers, key, request, retries).await?,
            Side::Source | Side::Nowhere => {
                self.source.send(key, request.clone(), retries).await?;
                self.note(key, |before| self.after(key, before, request));
                Written::Landed
            }
        };
        if matches!(done, Written::Landed) {
            writers.activity().note(side);
        }
        Ok(done)
    }

    /// The service writes its own table, in the form that the plan gives its items.
    async fn to_target(
        &self,
        service: &Service,
        writers: &Writers,
        key: &Key,
        request: &Request,
        retries: &AtomicU64,
    ) -> Result<Written, WriterError> {
        let before = self.item(key);
        let wished = self.after(key, before.as_ref(), request);
        let of = |item: &Item| own(service, &self.plan.versions, item);
        let (old, new) = (before.as_ref().and_then(of), wished.as_ref().and_then(of));
        let is_own = old.is_some() || before.is_none();
        let (at, sent, after) = match (old, new, wished) {
            (Some(old), None, None) => (old.key, Request::Delete, None),
            (old, Some(new), Some(wished)) if is_own => {
                let Some(sent) = change(request, old.as_ref(), &new) else {
                    return Ok(Written::Meaningless);
                };
                let after = carried_back(&self.plan, service, before.as_ref(), &wished);
                (new.key, sent, Some(after))
            }
            // What the service cannot write: an item that is not, or would not be, one of its own.
            _ => return Ok(Written::Meaningless),
        };
        writers.table.send(&at, sent, retries).await?;
        let carried = Carried {
            key: key.clone(),
            item: after.clone(),
            at: Instant::now(),
        };
        self.note(key, |_| after);
        *self.carried.lock().unwrap_or_else(PoisonError::into_inner) = Some(carried);
        Ok(Written::Landed)
    }

    /// A writer that was forgotten writes the source, whatever the fence says. The ledger does not know of it.
    pub async fn write_as_forgotten(&self, key: &Key, request: Request) -> Result<(), WriterError> {
        self.source.send(key, request, &AtomicU64::new(0)).await
    }

    /// A writer that ignores the fence writes the source, and the write is accepted.
    pub async fn ignore_the_fence(&self, key: &Key, request: Request) -> Result<(), WriterError> {
        self.source.send(key, request.clone(), &AtomicU64::new(0)).await?;
        self.note(key, |before| self.after(key, before, &request));
        Ok(())
    }

    /// Moves the writers of a service. When this returns, no write of before is under way.
    pub async fn move_to(&self, service: &str, side: Side) {
        let Some(writers) = self.services.get(service) else {
            return;
        };
        let mut place = writers.place.write().await;
        let mut activity = writers.activity();
        if side == Side::Nowhere && place.side != Side::Nowhere {
            activity.stopped = Some(activity.last.unwrap_or_else(Instant::now));
            activity.waited_ms = None;
        }
        place.side = side;
    }

    /// Lets the writers of a service leave items alone; none from then on, if the list is empty.
    pub async fn hold(&self, service: &str, items: HashSet<Key>) {
        if let Some(writers) = self.services.get(service) {
            writers.place.write().await.held = items;
        }
    }

    /// What the writers of a service did so far.
    pub fn activity(&self, service: &str) -> Activity {
        let writers = self.services.get(service);
        writers.map_or_else(Activity::default, |writers| *writers.activity())
    }

    /// The last write of a service's own table.
    pub fn carried(&self) -> Option<Carried> {
        self.carried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the source holds of an item, without marks.
    pub async fn read_source_item(&self, key: &Key) -> Result<Option<Item>, Failure> {
        let Delivery { client, table, keys } = &self.source;
        Scan::new(client.clone(), table, keys.clone(), true)
            .get(key)
            .await
    }

    /// What the application knows of an item.
    pub fn item(&self, key: &Key) -> Option<Item> {
        self.ledger().items.get(key).cloned()
    }

    /// Notes an item that was written in another way.
    pub fn correct(&self, key: &Key, item: Option<Item>) {
        self.note(key, |_| item);
    }

    /// All items of the application, as items of the source.
    pub fn items(&self) -> HashMap<Key, Item> {
        self.ledger().items.clone()
    }

    /// All items that should exist in the source. It receives nothing more of a service whose way back has ended.
    pub fn items_of_source(&self) -> HashMap<Key, Item> {
        let mut items = self.items();
        for (service, kept) in &*self.kept() {
            items.retain(|key, _| !self.is_of(service, key));
            items.extend(kept.clone());
        }
        items
    }

    /// Whether the writers of a service were moved.
    pub fn moves(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    /// Begins to note every state of every item, because a way back ends.
    pub fn watch_the_end(&self) {
        self.ledger().history = Some(History::new());
    }

    /// The way back of a service has ended. Each of its items in the source must have a state that the service wrote since
    /// [`watch_the_end`](Self::watch_the_end), or the last one of before. Returns what has none.
    pub async fn ended(&self, service: &str) -> Result<Vec<String>, Failure> {
        if let Some(writers) = self.services.get(service) {
            // No write of before is under way then.
            drop(writers.place.write().await);
        }
        let (items, history) = {
            let mut ledger = self.ledger();
            (ledger.items.clone(), ledger.history.take().unwrap_or_default())
        };
        let mut found = self.read_source().await?;
        found.retain(|key, _| self.is_of(service, key));
        let encoded = |item: Option<&Item>| item.map(ItemExt::encode);
        let keys: HashSet<&Key> = found.keys().chain(items.keys()).chain(history.keys()).collect();
        let is_wrong = |key: &&Key| {
            let now = encoded(found.get(*key));
            match history.get(*key) {
                Some(states) => states.iter().all(|state| encoded(state.as_ref()) != now),
                None => encoded(items.get(*key)) != now,
            }
        };
        let keys = keys.into_iter().filter(|key| self.is_of(service, key));
        let wrong = keys.filter(is_wrong).map(|key| {
            format!(
                "source: {key} is not what {service} wrote last before its way back ended, nor a later state"
            )
        });
        let wrong = wrong.collect();
        self.kept().insert(service.to_owned(), found);
        Ok(wrong)
    }

    fn is_of(&self, service: &str, key: &Key) -> bool {
        self.owner(key).is_some_and(|(owner, _)| owner.name == service)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, HashMap<Key, Item>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The items of the source, without marks.
    pub async fn read_source(&self) -> Result<HashMap<Key, Item>, Failure> {
        read(&self.source, false).await
    }

    /// The items of the source, with marks.
    pub async fn read_source_with_marks(&self) -> Result<HashMap<Key, Item>, Failure> {
        read(&self.source, true).await
    }

    /// The items of a service's own table.
    pub async fn read_target(&self, service: &Service) -> Result<HashMap<Key, Item>, Failure> {
        read(&delivery_of(&self.source.client, service), true).await
    }

    fn after(&self, key: &Key, before: Option<&Item>, request: &Request) -> Option<Item> {
        written(&self.plan.source.keys, key, before, request)
    }

    /// The service whose writers write an item. No two services that can be cut over have source keys in common.
    fn owner(&self, key: &Key) -> Option<(&Service, &Writers)> {
        self.services.iter().find_map(|(name, writers)| {
            let service = self.plan.service(name)?;
            let may_take = service.shapes.iter().any(|shape| shape.may_own(key));
            may_take.then_some((service, writers))
        })
    }

    fn note(&self, key: &Key, after: impl FnOnce(Option<&Item>) -> Option<Item>) {
        let mut ledger = self.ledger();
        let item = after(ledger.items.get(key));
        ledger.note(key.clone(), item);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writers {
    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Activity {
    fn note(&mut self, side: Side) {
        match side {
            Side::Target => self.target += 1,
            Side::Source | Side::Nowhere => self.source += 1,
        }
        self.last = Some(Instant::now());
        if let Some(stopped) = self.stopped.take() {
            self.waited_ms = u64::try_from(stopped.elapsed().as_millis()).ok();
        }
    }
}

/// What the service holds for a source item, as it would write it itself: without what is reserved for dynasplit.
pub(super) fn own(service: &Service, versions: &Versions, item: &Item) -> Option<Desired> {
    let mut held = desired(service, versions, item).ok().flatten()?;
    held.item.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
    Some(held)
}

/// The request for the service's own table; `None` if it would change nothing.
fn change(request: &Request, old: Option<&Desired>, new: &Desired) -> Option<Request> {
    let (Request::Set(_), Some(old)) = (request, old) else {
        return Some(Request::Put(new.item.clone()));
    };
    let mut set = new.item.clone();
    set.retain(|name, value| old.item.get(name) != Some(value));
    (!set.is_empty()).then_some(Request::Set(set))
}

fn delivery_of(client: &Client, service: &Service) -> Delivery {
    Delivery {
        client: client.clone(),
        table: service.table.name.clone(),
        keys: service.keys.clone(),
    }
}

async fn read(table: &Delivery, with_marks: bool) -> Result<HashMap<Key, Item>, Failure> {
    let mut scan = Scan::new(table.client.clone(), &table.table, table.keys.clone(), true);
    if with_marks {
        scan = scan.keeping_marks();
    }
    let (mut items, mut after) = (HashMap::new(), None);
    loop {
        let page = scan.page(0, 1, after.as_ref()).await?;
        let keyed = page.items.into_iter();
        items.extend(keyed.filter_map(|item| Some((table.keys.key_of(&item)?, item))));
        after = page.next;
        if after.is_none() {
            return Ok(items);
        }
    }
}

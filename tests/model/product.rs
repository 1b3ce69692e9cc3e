//! What the product says, remembered: each question is put to the product's own functions once.

use crate::bounds::bits;
use crate::held::{Held, WriteId};
use crate::image::{Image, REFUSED, id_name, slot_name, source_key};
use crate::plans::{Layout, Mapping, plan};
use crate::rule::{Rule, Rules};
use crate::script::{Answer, Asked, ask};
use dynasplit::flow::{
    Group, Guard, Outcome, VersionFields, Write, WriteKind, coalesce, desired, is_tombstone, repair,
    tombstone_epoch, tombstone_of, touched,
};
use dynasplit::model::{Change, Images, Item, Key, Origin, RESERVED_PREFIX, SequenceNumber, Value};
use dynasplit::plan::{Plan, Service, Versions};
use dynasplit::state::Tombstones;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

/// Writes of one source item that a model makes at most.
pub const WRITES: usize = 4;
/// Target keys of all services together.
pub const CELLS: usize = 4;

/// Some records of one source item, as one service's lane takes them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Records {
    /// The source item.
    pub item: u8,
    /// The service.
    pub service: u8,
    /// Place of the first record.
    pub from: u8,
    /// How many.
    pub count: u8,
    /// The images before the first, and after each.
    pub images: [Image; WRITES + 1],
}

/// What a lane, or a page, does next, given all answers so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It writes.
    Write(WriteId),
    /// It puts the item on the recheck list, with these target keys as suspects.
    List,
    /// It leaves a dead letter.
    DeadLetter,
    /// All is durable.
    Done,
}

/// A write, the epoch of the tombstone that it may leave, what stands there, and whether the table was fixed.
type Landing = (WriteId, Option<u8>, Held, bool);

#[derive(Default)]
struct Memo {
    next: HashMap<(Records, u16), Next>,
    touched: HashMap<Records, u8>,
    page: HashMap<(u8, u8, Image, bool), Option<WriteId>>,
    landed: HashMap<Landing, (Held, Answer)>,
    wanted: HashMap<(u8, u8, Image), Option<(u8, Held)>>,
    alike: HashMap<(u8, u8, Image, Image), bool>,
    same: HashMap<(Held, Held), bool>,
    repairs: HashMap<(u8, Held, u8, Image), Option<WriteId>>,
    tombs: HashMap<Held, Option<u64>>,
}

/// The product's answers under one plan and one set of rules.
pub struct Product {
    plan: Plan,
    rules: Rules,
    keys: Vec<(u8, Key)>,
    memo: Mutex<Memo>,
}

fn memoized<K: Hash + Eq + Copy, V: Copy>(
    product: &Product,
    map: impl Fn(&mut Memo) -> &mut HashMap<K, V>,
    key: K,
    compute: impl FnOnce() -> V,
) -> V {
    if let Some(known) = map(&mut product.memo.lock().unwrap()).get(&key) {
        return *known;
    }
    let value = compute();
    map(&mut product.memo.lock().unwrap()).insert(key, value);
    value
}

impl Product {
    /// `services`: how many take part; their target keys are the cells, so many for each.
    pub fn new(layout: Layout, mapping: Mapping, services: u8, rules: Rules) -> Self {
        let cells = u8::try_from(CELLS).unwrap() / services;
        let keys = (0..services).flat_map(|service| {
            (0..cells).map(move |cell| {
                let name = match mapping {
                    Mapping::Vouched => slot_name(cell),
                    Mapping::Injective => id_name(cell % 2),
                };
                let partition = Value::s(name);
                (
                    service,
                    Key {
                        partition,
                        sort: None,
                    },
                )
            })
        });
        Self {
            plan: plan(layout, mapping),
            rules,
            keys: keys.collect(),
            memo: Mutex::default(),
        }
    }

    fn service(&self, service: u8) -> &Service {
        &self.plan.services[usize::from(service)]
    }

    fn fields(&self, service: u8) -> VersionFields {
        self.service(service).version_fields(&self.plan.versions)
    }

    /// The cell of a target key.
    pub fn cell(&self, service: u8, key: &Key) -> u8 {
        let found = self
            .keys
            .iter()
            .position(|known| known.0 == service && known.1 == *key);
        u8::try_from(found.unwrap_or_else(|| panic!("the model has no cell for {key}"))).unwrap()
    }

    /// Whose cell it is.
    pub fn owner(&self, cell: u8) -> u8 {
        self.keys[usize::from(cell)].0
    }

    /// A cell's name, for stories.
    /// Which service's table a cell is in.
    pub fn service_of(&self, cell: u8) -> u8 {
        self.keys[usize::from(cell)].0
    }

    /// The cell of a write.
    pub fn cell_of(&self, service: u8, write: WriteId) -> u8 {
        self.cell(service, &write.write().key)
    }

    /// The records as the product groups them.
    fn group(&self, records: &Records) -> Group {
        let record = |index: usize| {
            let image = |index: usize| records.images[index].item(records.item);
            let (mut old, new) = (image(index), image(index + 1));
            if !self.rules.hold(Rule::BothImages) && new.is_some() {
                old = None;
            }
            Arc::new(Change {
                key: source_key(records.item),
                images: Images { old, new },
                origin: Origin::Tail {
                    generation: 1,
                    sequence: SequenceNumber::new(&(usize::from(records.from) + index + 1).to_string()),
                },
            })
        };
        let count = usize::from(records.count);
        let mut changes: Vec<_> = (0..count).map(record).collect();
        if !self.rules.hold(Rule::EveryTouchedKey) && count > 1 {
            let (first, last) = (Arc::clone(&changes[0]), Arc::clone(&changes[count - 1]));
            let mut last = Change::clone(&last);
            last.images.old.clone_from(&first.images.old);
            changes = vec![Arc::new(last)];
        }
        let mut groups = coalesce(&changes);
        assert_eq!(groups.len(), 1, "all are of one item");
        groups.remove(0)
    }

    /// What a lane does next with some records, after these answers.
    pub fn next(&self, records: &Records, answers: u16) -> Next {
        memoized(
            self,
            |memo| &mut memo.next,
            (*records, answers),
            || {
                let service = self.service(records.service);
                let group = self.group(records);
                match ask(service, &self.plan.versions, &group, answers) {
                    Asked::Write(write) => Next::Write(WriteId::of(&self.bent(write, records))),
                    Asked::List => Next::List,
                    Asked::DeadLetter => Next::DeadLetter,
                    Asked::Done => Next::Done,
                }
            },
        )
    }

    /// A write of the tail as it is where some rules do not hold.
    fn bent(&self, mut write: Write, records: &Records) -> Write {
        if !self.rules.hold(Rule::HighestVersion)
            && let WriteKind::Remove(_) = write.kind
        {
            // As if only the first image said how new the removal is.
            let first = records.images[0].item(records.item);
            let version = match &self.plan.versions {
                Versions::Timestamp(timestamp) => first.and_then(|item| timestamp.version_of(&item)),
                Versions::Sequence => None,
            };
            write.guard = version.clone().map_or(Guard::Any, Guard::NotNewer);
            write.kind = WriteKind::Remove(version);
        }
        match write.guard {
            _ if !self.rules.hold(Rule::TailGuard) => write.guard = Guard::Any,
            Guard::NotNewer(version) if !self.rules.hold(Rule::TailTies) => {
                write.guard = Guard::Older(version)
            }
            _ => {}
        }
        write
    }

    /// The cells that some records touch, as bits.
    pub fn touched(&self, records: &Records) -> u8 {
        memoized(
            self,
            |memo| &mut memo.touched,
            *records,
            || {
                let service = self.service(records.service);
                let keys = touched(service, &self.plan.versions, &self.group(records));
                bits(keys.iter().map(|key| self.cell(records.service, key)))
            },
        )
    }

    /// The write that a page makes of an item to a service.
    pub fn page(&self, service: u8, item: u8, image: Image, bulk: bool) -> Option<WriteId> {
        memoized(
            self,
            |memo| &mut memo.page,
            (service, item, image, bulk),
            || {
                let change = Change {
                    key: source_key(item),
                    images: Images {
                        old: None,
                        new: Some(image.item(item)?),
                    },
                    origin: if bulk { Origin::Bulk } else { Origin::Backfill },
                };
                let group = coalesce(&[Arc::new(change)]).remove(0);
                let asked = ask(self.service(service), &self.plan.versions, &group, 0);
                let Asked::Write(mut write) = asked else {
                    return None;
                };
                match write.guard {
                    _ if !self.rules.hold(Rule::BackfillGuard) => write.guard = Guard::Any,
                    Guard::Older(version) if !self.rules.hold(Rule::BackfillTies) => {
                        write.guard = Guard::NotNewer(version);
                    }
                    _ => {}
                }
                Some(WriteId::of(&write))
            },
        )
    }

    /// What a write makes of what stands at its key, as DynamoDB decides it: a removal that is told an epoch leaves a
    /// tombstone of it. The table refuses some items until it is fixed.
    pub fn land(
        &self,
        service: u8,
        write: WriteId,
        bury: Option<u8>,
        held: Held,
        table_fixed: bool,
    ) -> (Held, Answer) {
        let key = (write, bury, held, table_fixed);
        memoized(
            self,
            |memo| &mut memo.landed,
            key,
            || {
                let write = write.write();
                let before = held.item();
                if let WriteKind::Put(item) = &write.kind
                    && !table_fixed
                    && item.get("body") == Some(&Value::s(REFUSED.to_string()))
                {
                    return (held, Answer::Rejected);
                }
                if !write.guard.allows(&self.fields(service), before.as_deref()) {
                    let dead = before.is_some_and(|item| is_tombstone(&item));
                    let outcome = if dead {
                        Outcome::SupersededByTombstone
                    } else {
                        Outcome::Superseded
                    };
                    return (held, Answer::of(outcome));
                }
                match (&write.kind, bury) {
                    (WriteKind::Put(item), _) => (Held::of(Some(item.clone())), Answer::of(Outcome::Written)),
                    (WriteKind::PutRaw(_), _) => unreachable!("the models have no pages as they came"),
                    (WriteKind::Remove(_), None) => (Held::NOTHING, Answer::of(Outcome::Written)),
                    (WriteKind::Remove(version), Some(epoch)) => {
                        let key = self.service(service).keys.item_of(&write.key);
                        let tombstone = tombstone_of(epoch.into(), key, version.as_ref());
                        (Held::of(Some(tombstone)), Answer::of(Outcome::TombstoneWritten))
                    }
                }
            },
        )
    }

    /// What a service should hold for a source item: a cell, and the item without reserved attributes.
    pub fn wanted(&self, service: u8, item: u8, image: Image) -> Option<(u8, Held)> {
        memoized(
            self,
            |memo| &mut memo.wanted,
            (service, item, image),
            || {
                let wanted = desired(self.service(service), &self.plan.versions, &image.item(item)?);
                let wanted = wanted.unwrap()?;
                Some((
                    self.cell(service, &wanted.key),
                    Held::of(Some(visible(&wanted.item))),
                ))
            },
        )
    }

    /// Whether a service should hold the same for two images of an item.
    pub fn alike(&self, service: u8, item: u8, a: Image, b: Image) -> bool {
        let of = |image: Image| {
            let of = |item| desired(self.service(service), &self.plan.versions, &item).unwrap();
            image.item(item).and_then(of)
        };
        a == b
            || memoized(
                self,
                |memo| &mut memo.alike,
                (service, item, a, b),
                || of(a) == of(b),
            )
    }

    /// The cell that an item's key alone leads to, where the mapping needs no more.
    pub fn fixed(&self, service: u8, item: u8) -> Option<u8> {
        let by_key = Item::from([("id".to_owned(), source_key(item).partition)]);
        let key = self.service(service).shapes[0].keys.apply(&by_key).ok()?;
        Some(self.cell(service, &key))
    }

    /// Whether a cell holds what it should, and nothing that only the split needs but a version.
    pub fn is(&self, held: Held, wanted: Held) -> bool {
        if held == wanted {
            return true;
        }
        memoized(
            self,
            |memo| &mut memo.same,
            (held, wanted),
            || match (held.item(), wanted.item()) {
                (Some(held), Some(wanted)) => !is_tombstone(&held) && visible(&held) == *wanted,
                _ => false,
            },
        )
    }

    /// The epoch of a tombstone.
    pub fn tombstone(&self, held: Held) -> Option<u64> {
        memoized(
            self,
            |memo| &mut memo.tombs,
            held,
            || {
                held.item()
                    .filter(|item| is_tombstone(item))
                    .map(|item| tombstone_epoch(&item))
            },
        )
    }

    /// Whether the sweep of an epoch removes what stands there.
    pub fn sweeps(&self, epoch: u64, held: Held) -> bool {
        let all = !self.rules.hold(Rule::SweepLeavesLater);
        self.tombstone(held)
            .is_some_and(|left| all || Tombstones::sweeps(epoch, left))
    }

    /// The write that repairs a cell, given the contents that were read there and then in the source.
    pub fn repair(&self, cell: u8, held: Held, item: u8, image: Image) -> Option<WriteId> {
        memoized(
            self,
            |memo| &mut memo.repairs,
            (cell, held, item, image),
            || {
                let (service, target) = &self.keys[usize::from(cell)];
                let wanted = image
                    .item(item)
                    .and_then(|item| desired(self.service(*service), &self.plan.versions, &item).unwrap());
                let read = held.item().map(|item| Item::clone(&item));
                let mut write = repair(&self.plan.versions, &self.fields(*service), target, read, wanted)?;
                let over = self.tombstone(held).is_some() && !self.rules.hold(Rule::RepairObeysTombstones);
                if !self.rules.hold(Rule::RepairGuard) || over {
                    write.guard = Guard::Any;
                }
                Some(WriteId::of(&write))
            },
        )
    }
}

fn visible(item: &Item) -> Item {
    let shown = item.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX));
    shown.map(|(name, value)| (name.clone(), value.clone())).collect()
}

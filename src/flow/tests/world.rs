//! A small world: one source item with a history, one target table, a tail that crashes and repeats, pages that are
//! stale, and a plain idea of what the target must hold in the end, which shares nothing with the write path.

use super::{item, page, plan, record};
use crate::flow::{
    Again, Group, Landed, Ledger, Outcome, Sink, SinkError, Stop, VersionFields, Write, WriteKind, WriteUse,
    apply, coalesce, effects, is_tombstone, tombstone,
};
use crate::model::{Item, Key, RESERVED_PREFIX, Value};
use crate::plan::{Plan, Service, Versions};
use futures::executor::block_on;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// Where versions come from, and where live items show them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// A timestamp that the shape keeps.
    Shown,
    /// A timestamp that the shape drops: it is kept under the reserved name.
    Hidden,
    /// The stream's order.
    Sequence,
}

impl Layout {
    fn plan(self) -> &'static Plan {
        static PLANS: [OnceLock<Plan>; 3] = [const { OnceLock::new() }; 3];
        let (timestamp, drop) = match self {
            Self::Shown => ("{ attribute: at, type: S, format: '0000' }", "hidden"),
            Self::Hidden => ("{ attribute: at, type: S, format: '0000' }", "hidden, at"),
            Self::Sequence => ("none", "hidden, at"),
        };
        PLANS[self as usize].get_or_init(|| {
            plan(
                timestamp,
                &format!(
                    "
    table: {{ name: Mine, keys: {{ partition: key }} }}
    transform:
      keys: {{ from: {{ slot: '{{slot}}' }}, to: {{ key: '{{slot}}' }}, vouch: there is one item }}
      drop: [{drop}]
"
                ),
            )
        })
    }
}

/// The item after a write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// It belongs to the service.
    pub mine: bool,
    /// What its target key is made of; without it, it can't be shaped.
    pub slot: Option<char>,
    /// What readers of the target see.
    pub body: u8,
    /// What they don't.
    pub hidden: u8,
    /// Its timestamp, as written.
    pub at: Option<String>,
}

impl Image {
    fn source(&self) -> Item {
        let mut image = item([
            ("id", Value::s("the item")),
            ("kind", Value::s(if self.mine { "mine" } else { "other" })),
            ("body", Value::s(self.body.to_string())),
            ("hidden", Value::s(self.hidden.to_string())),
        ]);
        if let Some(slot) = self.slot {
            image.insert("slot".into(), Value::s(slot));
        }
        if let Some(at) = &self.at {
            image.insert("at".into(), Value::s(at));
        }
        image
    }

    /// What the target should hold of it, by hand.
    fn wanted(&self, layout: Layout) -> Option<Item> {
        let slot = self.slot.filter(|_| self.mine)?;
        let mut wanted = item([
            ("key", Value::s(slot)),
            ("slot", Value::s(slot)),
            ("id", Value::s("the item")),
            ("kind", Value::s("mine")),
            ("body", Value::s(self.body.to_string())),
        ]);
        if let (Layout::Shown, Some(at)) = (layout, &self.at) {
            wanted.insert("at".into(), Value::s(at));
        }
        Some(wanted)
    }
}

/// One thing that happens around the target.
#[derive(Clone, Debug)]
pub enum Step {
    /// The tail takes a batch.
    Tail {
        /// Records, at most.
        take: usize,
        /// It dies after this many answers of the target and the ledger.
        dies: Option<usize>,
        /// Before this answer, a page lands.
        page: Option<usize>,
    },
    /// The tail goes back to an older checkpoint.
    Back(usize),
    /// The next page lands.
    Page,
    /// In `sequence` mode: a write that the tail made before, while removals leave tombstones, lands once more, as
    /// from a worker that was believed dead.
    Again(usize),
    /// Tombstones are removed, where that is allowed.
    Sweep,
}

#[derive(Default)]
struct Inner {
    table: HashMap<Key, Item>,
    leaves_tombstones: bool,
    pages: Vec<Option<Item>>,
    sent: Vec<Write>,
    answers: usize,
    dies: Option<usize>,
    page: Option<usize>,
    rechecks: usize,
    letters: usize,
}

/// The world. Its source has seen the whole history; what the tail and the pages know of it comes step by step.
pub struct World {
    layout: Layout,
    service: &'static Service,
    versions: &'static Versions,
    fields: VersionFields,
    images: Vec<Option<Image>>,
    tail: usize,
    /// The most that the tail has ever read.
    reach: usize,
    inner: Mutex<Inner>,
}

impl World {
    /// A world whose item goes through these images; the first is what it is when the stream is captured.
    pub fn new(layout: Layout, images: Vec<Option<Image>>) -> Self {
        let plan = layout.plan();
        let service = &plan.services[0];
        Self {
            layout,
            service,
            versions: &plan.versions,
            fields: service.version_fields(&plan.versions),
            images,
            tail: 0,
            reach: 0,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Tombstones are switched on, and acknowledged; then pages are read, each at a time of its own.
    pub fn raise(&mut self, pages: &[usize]) {
        let (floor, last) = (self.reach, self.images.len() - 1);
        let mut inner = self.inner.lock().unwrap();
        inner.leaves_tombstones = true;
        inner.pages = pages
            .iter()
            .map(|at| floor + at % (last - floor + 1))
            .map(|at| self.images[at].as_ref().map(Image::source))
            .collect();
    }

    /// The last pages land; removals are real deletes again.
    pub fn lower(&mut self) {
        while self.land() {}
        self.lock().leaves_tombstones = false;
    }

    /// Makes one step.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Tail { take, dies, page } => self.take(*take, *dies, *page),
            Step::Back(by) => self.tail = self.tail.saturating_sub(*by),
            Step::Page => drop(self.land()),
            Step::Again(which) => self.resend(*which),
            Step::Sweep => {
                let mut inner = self.lock();
                if !inner.leaves_tombstones && inner.pages.is_empty() {
                    inner.table.retain(|_, item| !is_tombstone(item));
                }
            }
        }
    }

    /// The tail reads to the end, without trouble.
    pub fn drain(&mut self) {
        while self.tail + 1 < self.images.len() {
            self.take(2, None, None);
        }
        self.step(&Step::Sweep);
    }

    fn take(&mut self, take: usize, dies: Option<usize>, page: Option<usize>) {
        let to = (self.tail + take).min(self.images.len() - 1);
        self.reach = self.reach.max(to);
        let source = |at: usize| self.images[at].as_ref().map(Image::source);
        let changes: Vec<_> = (self.tail..to)
            .map(|at| record(at, source(at), source(at + 1)))
            .collect();
        {
            let mut inner = self.lock();
            (inner.answers, inner.dies, inner.page) = (0, dies, page);
        }
        for group in coalesce(&changes) {
            if block_on(apply(self.service, self.versions, &group, self, self)).is_err() {
                return;
            }
        }
        self.tail = to;
    }

    fn resend(&self, which: usize) {
        let inner = self.lock();
        if self.layout == Layout::Sequence && inner.leaves_tombstones && !inner.sent.is_empty() {
            let write = inner.sent[which % inner.sent.len()].clone();
            drop(inner);
            self.write_now(&write);
        }
    }

    /// The next page lands. False where there is none.
    fn land(&self) -> bool {
        let mut inner = self.lock();
        let Some(image) = inner.pages.pop() else {
            return false;
        };
        drop(inner);
        if let Some(image) = image {
            let change = page(image);
            let group = Group {
                key: change.key.clone(),
                changes: vec![change],
            };
            let found = effects(self.service, self.versions, &group);
            for write in &found.writes {
                let _ = self.write_now(write);
            }
            self.lock().letters += usize::from(found.complaint.is_some());
        }
        true
    }

    /// As DynamoDB does it.
    fn write_now(&self, write: &Write) -> Outcome {
        let mut inner = self.lock();
        let held = inner.table.get(&write.key);
        if !write.guard.allows(&self.fields, held) {
            return match held {
                Some(held) if is_tombstone(held) => Outcome::SupersededByTombstone,
                _ => Outcome::Superseded,
            };
        }
        match &write.kind {
            WriteKind::Put(item) => {
                assert_eq!(self.service.keys.key_of(item).as_ref(), Some(&write.key));
                inner.table.insert(write.key.clone(), item.clone());
            }
            WriteKind::PutRaw(_) => unreachable!("its pages are changes"),
            WriteKind::Remove(version) if inner.leaves_tombstones => {
                let dead = tombstone(self.service.keys.item_of(&write.key), version.as_ref());
                inner.table.insert(write.key.clone(), dead);
                return Outcome::TombstoneWritten;
            }
            WriteKind::Remove(_) => {
                inner.table.remove(&write.key);
            }
        }
        Outcome::Written
    }

    /// Whether the worker lives on to hear one more answer; a page may land before it comes.
    fn lives(&self) -> Result<(), Stop> {
        let mut inner = self.lock();
        let count = inner.answers;
        inner.answers += 1;
        let (dies, page) = (inner.dies, inner.page);
        drop(inner);
        if page == Some(count) {
            self.land();
        }
        if dies == Some(count) {
            return Err(Stop {
                reason: "it died".into(),
            });
        }
        Ok(())
    }

    /// What readers of the target see.
    pub fn visible(&self) -> Vec<Item> {
        let inner = self.lock();
        let alive = inner.table.values().filter(|item| !is_tombstone(item));
        alive
            .map(|item| {
                let mut item = item.clone();
                item.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
                item
            })
            .collect()
    }

    /// What they should see.
    pub fn wanted(&self) -> Vec<Item> {
        let last = self.images.last().unwrap();
        last.iter()
            .filter_map(|image| image.wanted(self.layout))
            .collect()
    }

    /// Entries of the recheck list, while a page could still be stale.
    pub fn rechecks(&self) -> usize {
        self.lock().rechecks
    }

    /// Dead letters.
    pub fn letters(&self) -> usize {
        self.lock().letters
    }

    /// All that the target holds, for a failure's report.
    pub fn table(&self) -> BTreeMap<String, Item> {
        let inner = self.lock();
        inner
            .table
            .iter()
            .map(|(key, item)| (key.to_string(), item.clone()))
            .collect()
    }
}

impl Sink for World {
    async fn write(&self, write: Write, resend: &Again<'_>) -> Result<Landed, SinkError> {
        self.lives()?;
        assert_eq!(resend()?, write, "what is sent again is what was sent");
        let mut inner = self.lock();
        if inner.leaves_tombstones {
            inner.sent.push(write.clone());
        }
        drop(inner);
        Ok(Landed {
            outcome: self.write_now(&write),
            used: WriteUse::told(1000),
        })
    }
}

impl Ledger for World {
    async fn dead_letter(&self, _: &str, _: &Group, _: &str) -> Result<(), Stop> {
        self.lives()?;
        self.lock().letters += 1;
        Ok(())
    }

    async fn recheck(&self, _: &str, _: &Group) -> Result<(), Stop> {
        self.lives()?;
        let mut inner = self.lock();
        // As the real one does: without pages under way there is nothing that could beat stream order.
        inner.rechecks += usize::from(inner.leaves_tombstones);
        Ok(())
    }
}

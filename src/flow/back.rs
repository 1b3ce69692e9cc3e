//! The decision about one reverse write: what the records of a target item do to its source item, given what the source
//! holds. Pure.
//!
//! A reverse write lands only if the source item is still the one that was read, and it is decided only if that item
//! stands for the target item *before* the records. So it never overwrites a write of somebody else, and a record that is
//! repeated changes nothing: the mark in the source item shows that it, or a later one, was carried back before.

use super::coalesce::Group;
use super::guard::{GuardExpression, is_tombstone};
use super::invert::{NoWayBack, SourceWrite, SourceWriteKind, TargetChange, WayBack};
use crate::fault::{Rule, broken};
use crate::model::{Change, Item, Key, MarkKind, Origin, ReverseMark, SequenceNumber, strip_marks};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Attributes that the condition of a write compares at most: an expression may have 4 KB and 300 operators
/// ([limits](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters)).
const MAX_COMPARED: usize = 120;

/// A service whose changes are carried back, in one cutover.
#[derive(Clone, Copy, Debug)]
pub struct BackLane<'a> {
    /// The way back of the service.
    pub way: WayBack<'a>,
    /// Name of the split.
    pub split: &'a str,
    /// The epoch of the cutover.
    pub epoch: u64,
}

/// What is to be done about a run of records.
#[derive(Clone, PartialEq, Debug)]
pub enum Back {
    /// Nothing.
    Settled(Settled),
    /// This write; if its condition is refused, the source is read again.
    Write(BackWrite),
    /// Nothing yet: the source does not hold what the target stood for before the records. Somebody else wrote it, or a
    /// record before could not be carried back.
    Suspect,
    /// No write of what the service owns makes the source say what the target says.
    Impossible(NoWayBack),
}

/// Why nothing is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// The source says what the target says.
    Agreed,
    /// The mark in the source shows that these records, or later ones, were carried back.
    Superseded,
}

/// A write of one source item, under the condition that the item is still the one that was read.
#[derive(Clone, PartialEq, Debug)]
pub struct BackWrite {
    /// Key in the source.
    pub key: Key,
    /// What it does, its mark included.
    pub kind: BackWriteKind,
    /// When it may land.
    pub condition: GuardExpression,
}

/// What a reverse write does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BackWriteKind {
    /// Puts a new item.
    Create(Item),
    /// Sets and removes attributes. All others stay as they are.
    Update {
        /// Attributes and their values.
        set: Item,
        /// Attributes that go away.
        remove: BTreeSet<String>,
    },
    /// The first step of a delete: it leaves a mark, so that everybody who reads the source's stream can tell the delete
    /// that follows from one of somebody else.
    MarkDeleting(Item),
    /// The second step of a delete.
    Delete,
}

/// Splits the records of one target item into runs, each of which is one write: a run ends with a delete. A delete must
/// not be skipped even if the item is created again: the attributes that the transform drops go away with the item.
#[must_use]
pub fn runs(group: &Group) -> Vec<Group> {
    let mut runs: Vec<Group> = Vec::new();
    let mut is_open = false;
    for change in &group.changes {
        if !is_open {
            runs.push(Group {
                key: group.key.clone(),
                changes: Vec::new(),
            });
        }
        if let Some(run) = runs.last_mut() {
            run.changes.push(Arc::clone(change));
        }
        is_open = live(change.images.new.as_ref()).is_some() || broken(Rule::RunsEndWithDeletes);
    }
    runs
}

/// A tombstone is the split's own sign for a deleted item.
fn live(image: Option<&Item>) -> Option<&Item> {
    image.filter(|item| !is_tombstone(item))
}

/// A source item without its marks.
fn stripped(current: Option<&Item>) -> Option<Item> {
    current.cloned().map(|mut item| {
        strip_marks(&mut item);
        item
    })
}

impl BackLane<'_> {
    /// What the records of a run change.
    #[must_use]
    pub fn change<'c>(&self, run: &'c Group) -> Option<TargetChange<'c>> {
        let last = run.changes.last()?;
        Some(self.change_of(&run.key, run.changes.first()?, last))
    }

    fn change_of<'c>(&self, key: &'c Key, first: &Change, last: &'c Change) -> TargetChange<'c> {
        match live(last.images.new.as_ref()) {
            Some(item) => TargetChange::Put {
                item,
                is_new: live(first.images.old.as_ref()).is_none(),
            },
            None => TargetChange::Delete(key),
        }
    }

    /// The mark that a write from a record leaves.
    fn mark(&self, change: &Change, kind: MarkKind) -> Option<ReverseMark> {
        let Origin::Tail { generation, sequence } = &change.origin else {
            return None;
        };
        Some(ReverseMark {
            split: self.split.to_owned(),
            epoch: self.epoch,
            generation: *generation,
            sequence: sequence.clone(),
            kind,
        })
    }

    /// Decides about a run. `current` is the source item with its marks, read consistently.
    #[must_use]
    pub fn decide(&self, run: &Group, current: Option<&Item>) -> Back {
        let service = &self.way.service.name;
        let held = current.and_then(|item| ReverseMark::of(item, self.split, service));
        let held = held.filter(|_| !broken(Rule::Mark));
        let is_later = |change: &&Arc<Change>| match (&held, self.mark(change, MarkKind::Updated)) {
            (Some(held), Some(mark)) => mark.is_newer_than(held),
            _ => true,
        };
        let later: Vec<&Arc<Change>> = run.changes.iter().filter(is_later).collect();
        let (Some(first), Some(last)) = (later.first(), later.last()) else {
            return self.repeated(run, held.as_ref(), current);
        };
        let stripped = stripped(current);
        let stripped = stripped.as_ref();
        if stripped.is_some_and(|item| self.way.is_of_others(item)) {
            // Whoever owns the item may have changed it meanwhile. Without its copy, nothing is missing in the source.
            let new = live(last.images.new.as_ref());
            return if new.is_none() || self.way.stands_for(new, stripped) {
                Back::Settled(Settled::Agreed)
            } else {
                Back::Impossible(NoWayBack::Occupied)
            };
        }
        if !self.way.stands_for(first.images.old.as_ref(), stripped) && !broken(Rule::OldImage) {
            return if self.way.stands_for(last.images.new.as_ref(), stripped) {
                Back::Settled(Settled::Agreed)
            } else {
                Back::Suspect
            };
        }
        let change = self.change_of(&run.key, first, last);
        match self.way.write(change, stripped) {
            Ok(None) => Back::Settled(Settled::Agreed),
            Ok(Some(write)) => self.marked(write, last, current),
            Err(reason) => Back::Impossible(reason),
        }
    }

    /// A run whose records were all carried back before. If its delete was only begun, it is carried out.
    fn repeated(&self, run: &Group, held: Option<&ReverseMark>, current: Option<&Item>) -> Back {
        let superseded = Back::Settled(Settled::Superseded);
        let (Some(held), Some(current), Some(last)) = (held, current, run.changes.last()) else {
            return superseded;
        };
        let is_begun = held.kind == MarkKind::Deleting
            && self.mark(last, MarkKind::Deleting).as_ref() == Some(held)
            && live(last.images.new.as_ref()).is_none();
        let Some(key) = self.way.source.key_of(current).filter(|_| is_begun) else {
            return superseded;
        };
        // An update of somebody else keeps the mark, and goes away with the item. It is listed as a stray write. What the item was
        // when it was marked is not known here: records before the delete may have been carried back together with it.
        Back::Write(BackWrite {
            key,
            kind: BackWriteKind::Delete,
            condition: self.as_read(Some(current), []),
        })
    }

    /// A write with its mark and its condition.
    fn marked(&self, write: SourceWrite, last: &Change, current: Option<&Item>) -> Back {
        let mark = |kind| {
            let value = self.mark(last, kind).map(|mark| mark.to_value());
            value
                .into_iter()
                .map(|value| (ReverseMark::attribute(&self.way.service.name), value))
        };
        let (kind, condition) = match write.kind {
            SourceWriteKind::Create(mut item) => {
                item.extend(mark(MarkKind::Created));
                (BackWriteKind::Create(item), self.as_read(None, []))
            }
            SourceWriteKind::Update { mut set, remove } => {
                let condition = self.as_read(current, set.keys().chain(&remove).map(String::as_str));
                set.extend(mark(MarkKind::Updated));
                (BackWriteKind::Update { set, remove }, condition)
            }
            SourceWriteKind::Delete if broken(Rule::TwoSteps) => {
                (BackWriteKind::Delete, self.as_read(current, []))
            }
            SourceWriteKind::Delete => {
                let set = mark(MarkKind::Deleting).collect();
                (BackWriteKind::MarkDeleting(set), self.as_read(current, []))
            }
        };
        Back::Write(BackWrite {
            key: write.key,
            kind,
            condition,
        })
    }

    /// The write that makes the source say what the target says, whatever the source held before: a person decided so. It
    /// leaves no mark. `None`: the source says so already.
    ///
    /// # Errors
    /// Where no write of what the service owns makes the source say it.
    pub fn overwrite(
        &self,
        key: &Key,
        target: Option<&Item>,
        current: Option<&Item>,
    ) -> Result<Option<BackWrite>, NoWayBack> {
        let change = match live(target) {
            Some(item) => TargetChange::Put {
                item,
                is_new: current.is_none(),
            },
            None => TargetChange::Delete(key),
        };
        let write = self.way.write(change, stripped(current).as_ref())?;
        Ok(write.map(|write| BackWrite {
            key: write.key,
            condition: self.as_read(current, []),
            kind: match write.kind {
                SourceWriteKind::Create(item) => BackWriteKind::Create(item),
                SourceWriteKind::Update { set, remove } => BackWriteKind::Update { set, remove },
                SourceWriteKind::Delete => BackWriteKind::Delete,
            },
        }))
    }

    /// The condition that the source item is still the one that was read: its mark and its other attributes, first those
    /// that the write changes.
    fn as_read<'n>(
        &self,
        current: Option<&Item>,
        changed: impl IntoIterator<Item = &'n str>,
    ) -> GuardExpression {
        let partition = self.way.source.partition.name.clone();
        let mut condition = GuardExpression::default();
        condition.names.insert("#p".into(), partition);
        let Some(current) = current else {
            condition.text = "attribute_not_exists(#p)".into();
            return condition;
        };
        let mark = ReverseMark::attribute(&self.way.service.name);
        let is_key = |name: &str| self.way.source.attributes().any(|key| key.name == name);
        let mut names = vec![mark];
        names.extend(changed.into_iter().map(str::to_owned));
        names.extend(current.keys().cloned());
        let mut seen = BTreeSet::new();
        names.retain(|name| !is_key(name) && seen.insert(name.clone()));
        let mut clauses = vec!["attribute_exists(#p)".to_owned()];
        let most = if broken(Rule::AsRead) { 0 } else { MAX_COMPARED };
        for (index, name) in names.into_iter().take(most).enumerate() {
            condition.names.insert(format!("#c{index}"), name.clone());
            match current.get(&name) {
                Some(value) => {
                    condition.values.insert(format!(":c{index}"), value.clone());
                    clauses.push(format!("#c{index} = :c{index}"));
                }
                None => clauses.push(format!("attribute_not_exists(#c{index})")),
            }
        }
        condition.text = clauses.join(" AND ");
        condition
    }

    /// Bytes that a mark adds to a source item.
    #[must_use]
    pub fn mark_bytes(split: &str, service: &str) -> usize {
        let mark = ReverseMark {
            split: split.to_owned(),
            epoch: 1,
            generation: 1,
            sequence: SequenceNumber::new("1"),
            kind: MarkKind::Deleting,
        };
        ReverseMark::attribute(service).len() + mark.to_value().size()
    }
}

impl BackWrite {
    /// What the source holds if the write lands.
    #[must_use]
    pub fn merged(&self, current: Option<&Item>) -> Option<Item> {
        let mut item = current.cloned().unwrap_or_default();
        match &self.kind {
            BackWriteKind::Create(created) => return Some(created.clone()),
            BackWriteKind::Update { set, remove } => {
                item.retain(|name, _| !remove.contains(name));
                item.extend(set.clone());
            }
            BackWriteKind::MarkDeleting(set) => item.extend(set.clone()),
            BackWriteKind::Delete => return None,
        }
        Some(item)
    }
}

//! What the product says of the way back: one item, whose target holds the key and what the service owns.

use super::state::{GIVEN, Mark, Record, ReverseKind, Source};
use dynasplit::flow::{Back, BackLane, BackWriteKind, Group, WayBack, is_stray};
use dynasplit::model::{
    Change, Images, Item, Key, MarkImages, MarkKind, Number, Origin, ReverseMark, SequenceNumber, Value,
    strip_marks,
};
use dynasplit::plan::Plan;
use std::sync::Arc;

const PLAN: &str = "version: 1
split: s
source: { table: Old, keys: { partition: PK } }
timestamp: none
unrouted: fail
services:
  - name: mine
    where: attribute_exists(PK)
    owns: items
    table: { name: New, keys: { partition: PK } }
    transform: { drop: [dropped] }
    reverse: { set: { dropped: 2 } }
";

/// What the product decides about a record of the target's stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decided {
    /// The source says so, or a later record was carried back.
    Nothing,
    Write(ReverseKind),
    /// The source does not hold what the target stood for.
    Suspect,
}

#[derive(Debug)]
pub struct World {
    plan: Plan,
}

fn number(value: u8) -> Value {
    Value::N(Number::from(i64::from(value)))
}

fn item(own: u8) -> Item {
    Item::from([("PK".to_owned(), Value::s("x")), ("own".to_owned(), number(own))])
}

fn read(item: &Item, name: &str) -> u8 {
    match &item[name] {
        Value::N(number) => number.to_string().parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

impl World {
    pub fn new() -> Self {
        let plan = Plan::parse(PLAN, "p").unwrap_or_else(|error| panic!("{error}"));
        Self { plan }
    }

    /// What a record of the target's stream asks for, while the source holds this.
    pub fn decide(&self, record: Record<u8>, mark: Mark, current: Option<Source>) -> Decided {
        let lane = BackLane {
            way: WayBack {
                service: &self.plan.services[0],
                source: &self.plan.source.keys,
                versions: &self.plan.versions,
                mark_bytes: 0,
            },
            split: SPLIT,
            epoch: u64::from(mark.epoch),
        };
        let current = current.map(|source| whole(source, MarkKind::Updated));
        match lane.decide(&group(record, mark), current.as_ref()) {
            Back::Settled(_) => Decided::Nothing,
            Back::Suspect => Decided::Suspect,
            Back::Impossible(reason) => panic!("{reason}"),
            Back::Write(write) => Decided::Write(match write.kind {
                BackWriteKind::Delete => ReverseKind::Delete,
                BackWriteKind::MarkDeleting(_) => ReverseKind::MarkDeleting,
                BackWriteKind::Create(item) => {
                    assert_eq!(read(&item, "dropped"), GIVEN);
                    ReverseKind::Create(read(&item, "own"))
                }
                BackWriteKind::Update { set, remove } => {
                    assert!(remove.is_empty() && set.len() == 2);
                    ReverseKind::Update(read(&set, "own"))
                }
            }),
        }
    }

    /// Whether the watcher takes a record of the source for a stray write.
    pub fn is_stray(&self, record: Record<Source>, epoch: u8) -> bool {
        // Only a reverse write creates an item with a mark.
        let kind = if record.old.is_none() {
            MarkKind::Created
        } else {
            MarkKind::Updated
        };
        let (mut old, mut new) = (
            record.old.map(|old| whole(old, MarkKind::Updated)),
            record.new.map(|new| whole(new, kind)),
        );
        let marks = MarkImages {
            old: old.as_mut().map(strip_marks).unwrap_or_default(),
            new: new.as_mut().map(strip_marks).unwrap_or_default(),
        };
        let images = Images { old, new };
        is_stray(&self.plan.services[0], SPLIT, u64::from(epoch), &images, &marks)
    }
}

const SPLIT: &str = "s";

/// A source item with its mark, as the product reads it.
fn whole(source: Source, kind: MarkKind) -> Item {
    let mut whole = item(source.own);
    whole.insert("dropped".to_owned(), number(source.dropped));
    if let Some(mark) = source.mark {
        let mark = ReverseMark {
            split: SPLIT.to_owned(),
            epoch: u64::from(mark.epoch),
            generation: 1,
            sequence: SequenceNumber::new(&mark.record.to_string()),
            kind: if source.deleting { MarkKind::Deleting } else { kind },
        };
        whole.insert(ReverseMark::attribute("mine"), mark.to_value());
    }
    whole
}

fn group(record: Record<u8>, mark: Mark) -> Group {
    let key = Key {
        partition: Value::s("x"),
        sort: None,
    };
    let change = Change {
        key: key.clone(),
        images: Images {
            old: record.old.map(item),
            new: record.new.map(item),
        },
        origin: Origin::Tail {
            generation: 1,
            sequence: SequenceNumber::new(&mark.record.to_string()),
        },
    };
    Group {
        key,
        changes: vec![Arc::new(change)],
    }
}

//! What the product says of the way back: one item, whose target holds the key and what the service owns.

use super::state::{GIVEN, Source};
use dynasplit::flow::{NoWayBack, SourceWriteKind, TargetChange, WayBack};
use dynasplit::model::{Item, Key, Number, Value};
use dynasplit::plan::Plan;

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

/// What a reverse write does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    Nothing,
    Create(u8),
    Update(u8),
    Delete,
    /// The source does not hold what the target stood for.
    Refused,
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
    pub fn wanted(&self, old: Option<u8>, new: Option<u8>, current: Option<Source>) -> Wanted {
        let back = WayBack {
            service: &self.plan.services[0],
            source: &self.plan.source.keys,
            versions: &self.plan.versions,
            mark_bytes: 0,
        };
        let current = current.map(|source| {
            let mut current = item(source.own);
            current.insert("dropped".to_owned(), number(source.dropped));
            current
        });
        let key = Key {
            partition: Value::s("x"),
            sort: None,
        };
        let put = new.map(item);
        let change = match &put {
            Some(item) => TargetChange::Put {
                item,
                is_new: old.is_none(),
            },
            None => TargetChange::Delete(&key),
        };
        match back.write(change, current.as_ref()) {
            Ok(None) => Wanted::Nothing,
            Err(NoWayBack::Gone) => Wanted::Refused,
            Err(other) => panic!("{other}"),
            Ok(Some(write)) => match write.kind {
                SourceWriteKind::Delete => Wanted::Delete,
                SourceWriteKind::Create(item) => {
                    assert_eq!(read(&item, "dropped"), GIVEN);
                    Wanted::Create(read(&item, "own"))
                }
                SourceWriteKind::Update { set, remove } => {
                    assert!(remove.is_empty() && set.len() == 1);
                    Wanted::Update(read(&set, "own"))
                }
            },
        }
    }
}

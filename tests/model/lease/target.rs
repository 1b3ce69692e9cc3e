//! One target key, and what the stream's records do to it: a put, then a removal. Effects and guards are the product's.

use dynasplit::flow::{Group, Write, WriteKind, effects, tombstone_of};
use dynasplit::model::{Change, Images, Item, Key, Origin, SequenceNumber, Value};
use dynasplit::plan::{Plan, Service};
use std::sync::Arc;

/// Where versions come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Sequence,
    Timestamp,
}

/// What stands under the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Held {
    Nothing,
    /// What the put wrote.
    Item,
    /// What the removal left.
    Tombstone,
}

/// The records of the stream.
pub const RECORDS: u8 = 2;
const HELD: [Held; 3] = [Held::Nothing, Held::Item, Held::Tombstone];

/// What each record's write makes of what is held.
#[derive(Debug)]
pub struct Target([[Held; 3]; RECORDS as usize]);

fn source(at: &str) -> Item {
    [("id", "1"), ("kind", "mine"), ("at", at)]
        .map(|(name, value)| (name.to_owned(), Value::s(value)))
        .into()
}

fn write_of(plan: &Plan, service: &Service, sequence: &str, images: Images) -> Write {
    let key = Key {
        partition: Value::s("1"),
        sort: None,
    };
    let origin = Origin::Tail {
        generation: 1,
        sequence: SequenceNumber::new(sequence),
    };
    let changes = vec![Arc::new(Change {
        key: key.clone(),
        images,
        origin,
    })];
    let mut found = effects(service, &plan.versions, &Group { key, changes });
    assert_eq!(found.writes.len(), 1);
    found.writes.remove(0)
}

impl Target {
    pub fn new(mode: Mode, bury: bool) -> Self {
        let timestamp = match mode {
            Mode::Sequence => "none",
            Mode::Timestamp => "{ attribute: at, type: S, format: '0000' }",
        };
        let text = format!(
            "
version: 1
split: leases
source: {{ table: Source, keys: {{ partition: id }} }}
timestamp: {timestamp}
unrouted: {{ left-behind: \"kind = 'other'\" }}
services:
  - name: mine
    where: kind = 'mine'
    table: {{ name: Mine, keys: {{ partition: id }} }}
"
        );
        let plan = Plan::parse(&text, "plan.yaml").unwrap();
        let service = &plan.services[0];
        let (before, after) = (source("0001"), source("0001"));
        let put = Images {
            old: None,
            new: Some(after),
        };
        let removal = Images {
            old: Some(before),
            new: None,
        };
        let writes = [
            write_of(&plan, service, "10", put),
            write_of(&plan, service, "20", removal),
        ];
        let (WriteKind::Put(item), WriteKind::Remove(version)) = (&writes[0].kind, &writes[1].kind) else {
            panic!("a put and a removal");
        };
        let dead = tombstone_of(1, service.keys.item_of(&writes[1].key), version.as_ref());
        let fields = service.version_fields(&plan.versions);
        let item_of = |held: Held| match held {
            Held::Nothing => None,
            Held::Item => Some(item),
            Held::Tombstone => Some(&dead),
        };
        Self([0, 1].map(|record: usize| {
            HELD.map(
                |held| match (writes[record].guard.allows(&fields, item_of(held)), record) {
                    (false, _) => held,
                    (true, 0) => Held::Item,
                    (true, _) if bury => Held::Tombstone,
                    (true, _) => Held::Nothing,
                },
            )
        }))
    }

    /// A record's write lands.
    pub fn land(&self, record: u8, held: Held) -> Held {
        self.0[usize::from(record)][held as usize]
    }
}

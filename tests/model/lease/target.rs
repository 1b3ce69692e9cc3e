//! One target key, and what the stream's records do to it: two puts, then a removal. Effects and guards are the product's.

use super::Rules;
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
    /// What the first put wrote.
    First,
    /// What the second put wrote.
    Second,
    /// What the removal left.
    Tombstone,
}

impl Held {
    /// Readers see an item.
    pub fn is_item(self) -> bool {
        matches!(self, Self::First | Self::Second)
    }
}

/// The records of the stream.
pub const RECORDS: u8 = 3;
const HELD: [Held; 4] = [Held::Nothing, Held::First, Held::Second, Held::Tombstone];

/// What each record's write makes of what is held.
#[derive(Debug)]
pub struct Target([[Held; 4]; RECORDS as usize]);

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
    pub fn new(mode: Mode, bury: bool, rules: Rules) -> Self {
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
        let [first, second] = ["0001", "0002"].map(|at| Some(source(at)));
        let write = |sequence, old: &Option<Item>, new: &Option<Item>| {
            let images = Images {
                old: old.clone(),
                new: new.clone(),
            };
            write_of(&plan, service, sequence, images)
        };
        let writes = [
            write("10", &None, &first),
            write("20", &first, &second),
            write("30", &second, &None),
        ];
        let [
            WriteKind::Put(first),
            WriteKind::Put(second),
            WriteKind::Remove(version),
        ] = [&writes[0].kind, &writes[1].kind, &writes[2].kind]
        else {
            panic!("two puts and a removal");
        };
        let dead = tombstone_of(1, service.keys.item_of(&writes[2].key), version.as_ref());
        let fields = service.version_fields(&plan.versions);
        let item_of = |held: Held| match held {
            Held::Nothing => None,
            Held::First => Some(first),
            Held::Second => Some(second),
            Held::Tombstone => Some(&dead),
        };
        Self([0, 1, 2].map(|record: usize| {
            HELD.map(|held| {
                let allowed = !rules.guard || writes[record].guard.allows(&fields, item_of(held));
                match (allowed, record) {
                    (false, _) => held,
                    (true, 0) => Held::First,
                    (true, 1) => Held::Second,
                    (true, _) if bury => Held::Tombstone,
                    (true, _) => Held::Nothing,
                }
            })
        }))
    }

    /// A record's write lands.
    pub fn land(&self, record: u8, held: Held) -> Held {
        self.0[usize::from(record)][held as usize]
    }
}

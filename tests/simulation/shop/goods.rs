//! What the applications of a run with cutovers write: the plan, the keys and the shapes of items. It shares no code with the
//! product.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value as Json, json};

use crate::engine::{Item, Value, item_json, role_arn};
use crate::support::trial::Mode;

/// A service with an application of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Its items look the same on both sides.
    Orders,
    /// Its items have other keys and another attribute in its own table, and lack one there.
    Invoices,
    /// The same, and its own table receives a copy of every item of the source.
    People,
}

/// How the writers of a run with cutovers are stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FencedBy {
    /// A person tells the application to stop.
    Person,
    /// The resource policy of the table refuses its writes, and the application knows nothing of it.
    Policy,
}

/// What the plan of a run with cutovers says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    pub fenced_by: FencedBy,
    /// The lanes are drained by markers.
    pub has_markers: bool,
    /// One of the services receives everything.
    pub has_copies: bool,
}

/// The role by which the applications write, if policies are the fence.
pub const APPLICATION: &str = "application";
/// The role of instances that no fence stops.
pub const FORGOTTEN: &str = "forgotten";
/// The role of the tool.
const TOOL: &str = "dynasplit";

/// Where an application writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Source,
    Target,
}

/// What a write does to one item, in the shape of the source.
#[derive(Clone, Debug)]
pub enum Act {
    Put(Item),
    /// Sets an attribute, or removes it, and sets the timestamp.
    Change {
        at: i64,
        name: &'static str,
        value: Option<Value>,
    },
    Delete,
}

/// The source.
pub const SOURCE: &str = "source";
/// The table of the service that keeps the names of the items of both others.
pub const NAMES: &str = "names";

impl Layout {
    /// The services with an application.
    pub fn kinds(self) -> [Kind; 2] {
        [
            Kind::Orders,
            if self.has_copies {
                Kind::People
            } else {
                Kind::Invoices
            },
        ]
    }
}

impl Kind {
    const ALL: [Self; 3] = [Self::Orders, Self::Invoices, Self::People];

    /// The service, and its table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Invoices => "invoices",
            Self::People => "people",
        }
    }

    /// By the name of the service.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The table that it writes.
    pub fn table(self, side: Side) -> &'static str {
        match side {
            Side::Source => SOURCE,
            Side::Target => self.name(),
        }
    }

    /// What the partition keys of its items in the source begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Orders => "ORD#",
            Self::Invoices => "INV#",
            Self::People => "PER#",
        }
    }

    /// The key of an item in the source.
    pub fn source_key(self, number: usize) -> Item {
        Item::from([
            ("PK".to_owned(), text(format!("{}{}", self.prefix(), number / 7))),
            ("SK".to_owned(), text(format!("DOC#{number}"))),
        ])
    }

    /// The key of an item on one side.
    pub fn key(self, side: Side, number: usize) -> Item {
        match (self, side) {
            (Self::Invoices, Side::Target) => Item::from([
                ("account".to_owned(), text((number / 7).to_string())),
                ("document".to_owned(), text(number.to_string())),
            ]),
            (Self::People, Side::Target) => copy_key(&self.source_key(number)),
            _ => self.source_key(number),
        }
    }

    /// The name of an attribute on one side.
    fn attribute(self, side: Side, name: &'static str) -> &'static str {
        match (self, side, name) {
            (Self::Invoices | Self::People, Side::Target, "amount") => "total",
            _ => name,
        }
    }

    /// What one side holds for an item of the source.
    pub fn shaped(self, side: Side, number: usize, item: &Item) -> Item {
        if !self.is_shaped(side) {
            return item.clone();
        }
        let mut shaped = reduced(item);
        shaped.extend(self.key(side, number));
        shaped
    }

    /// Whether its items look different there.
    fn is_shaped(self, side: Side) -> bool {
        self != Self::Orders && side == Side::Target
    }

    /// The item of the source that an item of the target stands for. `before` is what the source held.
    pub fn unshaped(self, number: usize, item: &Item, before: Option<&Item>) -> Item {
        if self == Self::Orders {
            return item.clone();
        }
        let mut source = item.clone();
        for gone in ["account", "document"] {
            source.remove(gone);
        }
        if let Some(total) = source.remove("total") {
            source.insert("amount".to_owned(), total);
        }
        source.extend(self.source_key(number));
        let note = before.and_then(|before| before.get("note"));
        source.extend(note.map(|note| ("note".to_owned(), note.clone())));
        source
    }

    /// The request of a write.
    pub fn request(self, side: Side, number: usize, act: &Act) -> (&'static str, Json) {
        let table = self.table(side);
        let key = || item_json(&self.key(side, number));
        match act {
            Act::Put(item) => {
                let item = item_json(&self.shaped(side, number, item));
                ("PutItem", json!({ "TableName": table, "Item": item }))
            }
            Act::Delete => ("DeleteItem", json!({ "TableName": table, "Key": key() })),
            Act::Change { at, name, value } => {
                let mut values = json!({ ":at": number_of(*at).json() });
                let update = match value {
                    Some(value) => {
                        values[":n"] = value.json();
                        "SET #at = :at, #n = :n"
                    }
                    None => "SET #at = :at REMOVE #n",
                };
                let body = json!({
                    "TableName": table,
                    "Key": key(),
                    "UpdateExpression": update,
                    "ExpressionAttributeNames": { "#at": "at", "#n": self.attribute(side, name) },
                    "ExpressionAttributeValues": values,
                });
                ("UpdateItem", body)
            }
        }
    }
}

impl Act {
    /// The item of the source afterwards. An attribute that a table lacks keeps its value in the source.
    pub fn applied(&self, kind: Kind, side: Side, before: Option<&Item>) -> Option<Item> {
        match self {
            Self::Delete => None,
            Self::Put(item) => {
                let mut item = item.clone();
                if kind.is_shaped(side) {
                    item.remove("note");
                    let note = before.and_then(|before| before.get("note"));
                    item.extend(note.map(|note| ("note".to_owned(), note.clone())));
                }
                Some(item)
            }
            Self::Change { at, name, value } => {
                let mut item = before.cloned()?;
                item.insert("at".to_owned(), number_of(*at));
                match value {
                    Some(value) => item.insert((*name).to_owned(), value.clone()),
                    None => item.remove(*name),
                };
                Some(item)
            }
        }
    }
}

pub fn text(text: impl Into<String>) -> Value {
    Value::S(text.into())
}

pub fn number_of(number: i64) -> Value {
    Value::N(number.into())
}

/// A whole item of the source.
pub fn item(rng: &mut StdRng, kind: Kind, number: usize, at: i64) -> Item {
    let mut item = kind.source_key(number);
    item.insert("at".to_owned(), number_of(at));
    item.insert("amount".to_owned(), number_of(rng.random_range(-500..500)));
    if rng.random_bool(0.6) {
        item.insert("name".to_owned(), word(rng));
    }
    if rng.random_bool(0.5) {
        item.insert("note".to_owned(), word(rng));
    }
    item
}

pub fn word(rng: &mut StdRng) -> Value {
    text(format!("word-{}", rng.random_range(0..10_000)))
}

/// The attributes that a target has of an item of the source, without its keys.
fn reduced(item: &Item) -> Item {
    let mut reduced = item.clone();
    for gone in ["PK", "SK", "note"] {
        reduced.remove(gone);
    }
    if let Some(amount) = reduced.remove("amount") {
        reduced.insert("total".to_owned(), amount);
    }
    reduced
}

/// The key that an item of the source has in the table that receives everything.
fn copy_key(source: &Item) -> Item {
    Item::from([
        ("account".to_owned(), source["PK"].clone()),
        ("document".to_owned(), source["SK"].clone()),
    ])
}

/// What the table that receives everything holds for an item of the source.
pub fn copied(item: &Item) -> Item {
    let mut copied = reduced(item);
    copied.extend(copy_key(item));
    copied
}

/// What the table of names holds for an item of the source.
pub fn named(layout: Layout, item: &Item) -> Option<Item> {
    let name = item.get("name");
    let mut named = Item::from([
        ("id".to_owned(), item["PK"].clone()),
        ("document".to_owned(), item["SK"].clone()),
    ]);
    named.extend(name.map(|name| ("name".to_owned(), name.clone())));
    (name.is_some() || layout.fenced_by == FencedBy::Policy).then_some(named)
}

/// The plan.
pub fn plan(mode: Mode, layout: Layout) -> String {
    let timestamp = match mode {
        Mode::Timestamp => "{ attribute: at, type: N }",
        Mode::Sequence => "none",
    };
    let (fence, role) = match layout.fenced_by {
        FencedBy::Person => ("manual: its application".to_owned(), String::new()),
        FencedBy::Policy => {
            let (probe, tool) = (role_arn(APPLICATION), role_arn(TOOL));
            let forgotten = role_arn(FORGOTTEN);
            let policy = format!(
                "policy: {{ scope: prefix, probe-roles: ['{probe}'], target-probe-roles: ['{probe}'], exempt: ['{forgotten}'] }}"
            );
            (policy, format!("role: {tool}"))
        }
    };
    let drain = match layout.has_markers {
        true => "{ by: canary, quiet-for: 1, canary-for: 60 }",
        false => "{ quiet-for: 1 }",
    };
    let second = match layout.has_copies {
        true => {
            "  - name: people
    where: begins_with(PK, 'PER#')
    owns: items
    copy: everything
    irrelevant: begins_with(PK, 'ORD#')
    table:
      name: people
      keys: { partition: account, sort: document }
      ROLE
    transform:
      keys:
        from: { PK: '{account}', SK: '{document}' }
        to: { account: '{account}', document: '{document}' }
"
        }
        false => {
            "  - name: invoices
    where: begins_with(PK, 'INV#')
    owns: items
    table:
      name: invoices
      keys: { partition: account, sort: document }
      ROLE
    transform:
      keys:
        from: { PK: 'INV#{account}', SK: 'DOC#{document}' }
        to: { account: '{account}', document: '{document}' }
"
        }
    };
    let second = second.replace("ROLE", &role);
    // The policy of a service may not stop the writers of others, whatever `where` says of attributes.
    let wheres = match layout.fenced_by {
        FencedBy::Person => vec!["attribute_exists(name)".to_owned()],
        FencedBy::Policy => layout
            .kinds()
            .map(|kind| format!("begins_with(PK, '{}')", kind.prefix()))
            .into(),
    };
    let names = wheres.iter().map(|condition| {
        format!(
            "    - where: {condition}
      transform:
        keys:
          from: {{ PK: '{{id}}', SK: '{{document}}' }}
          to: {{ id: '{{id}}', document: '{{document}}' }}
        keep: [name]
"
        )
    });
    let names = format!("    shapes:\n{}", names.collect::<String>());
    // The names belong to the two services that write them.
    format!(
        r"version: 1
split: trial
source:
  table: source
  keys: {{ partition: PK, sort: SK }}
  {role}
timestamp: {timestamp}
unrouted: fail
fence: {{ prove-for: 2, {fence} }}
drain: {drain}
services:
  - name: orders
    where: begins_with(PK, 'ORD#')
    owns: items
    table:
      name: orders
      keys: {{ partition: PK, sort: SK }}
      {role}
{second}      drop: [PK, SK, note]
      rename: {{ amount: total }}
  - name: names
    owns: nothing
    table:
      name: names
      keys: {{ partition: id, sort: document }}
{names}"
    )
}

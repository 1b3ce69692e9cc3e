//! A split to try things on: a source, a plan, and what each target should hold for what the source holds. The
//! expectation is written by hand for this one plan and shares no code with the product.

use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::Client;

use super::contents::{self, Contents, Plain, PlainItem};
use super::{table, unique};

/// Where versions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The number `at`.
    Timestamp,
    /// The stream's order.
    Sequence,
}

/// A source, its plan, and the names of its targets.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Where versions come from.
    pub mode: Mode,
    /// The source table, with the keys `PK` and `SK`.
    pub source: String,
    /// The split's name.
    pub split: String,
    /// The service that takes orders as they are.
    pub orders: String,
    /// The service that takes invoices under other keys.
    pub invoices: String,
    /// The service that keeps names only, of orders and invoices alike.
    pub names: String,
}

/// The attribute that holds the version in `sequence` mode, or of shapes that do not show the timestamp.
pub const STAMP: &str = "dynasplit:version";

impl Trial {
    /// Names that no other trial has.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            source: unique("source"),
            split: unique("trial"),
            orders: unique("orders"),
            invoices: unique("invoices"),
            names: unique("names"),
        }
    }

    /// Creates the source table, with its stream.
    pub async fn create_source(&self, client: &Client) {
        table::create(client, &self.source).await;
    }

    /// The state table's name.
    pub fn state_table(&self) -> String {
        format!("dynasplit-{}", self.split)
    }

    /// The plan's text.
    pub fn plan(&self) -> String {
        let Self {
            source,
            split,
            orders,
            invoices,
            names,
            ..
        } = self;
        let timestamp = match self.mode {
            Mode::Timestamp => "{ attribute: at, type: N }",
            Mode::Sequence => "none",
        };
        format!(
            r"version: 1
split: {split}
source:
  table: {source}
  keys: {{ partition: PK, sort: SK }}
timestamp: {timestamp}
unrouted:
  left-behind: kind = 'archive'
services:
  - name: orders
    where: kind = 'order'
    table:
      name: {orders}
      keys: {{ partition: PK, sort: SK }}
  - name: invoices
    where: kind = 'invoice'
    table:
      name: {invoices}
      keys: {{ partition: account, sort: document }}
      ttl: expires
    transform:
      keys:
        from: {{ PK: 'ACC#{{account}}', SK: 'DOC#{{document}}' }}
        to: {{ account: '{{account}}', document: '{{document}}' }}
      drop: [PK, SK, note]
      rename: {{ amount: total }}
  - name: names
    where: attribute_exists(name)
    table:
      name: {names}
      keys: {{ partition: id, sort: document }}
    transform:
      keys:
        from: {{ PK: 'ACC#{{account}}', SK: 'DOC#{{document}}' }}
        to: {{ id: '{{account}}', document: '{{document}}' }}
      keep: [name]
"
        )
    }

    /// Writes the plan to a file.
    pub fn write_plan(&self, directory: &Path) -> PathBuf {
        let path = directory.join(format!("{}.yaml", self.split));
        std::fs::write(&path, self.plan()).expect("the plan is written");
        path
    }

    /// What each target should hold, by its table, for what the source holds now.
    pub async fn expected(&self, client: &Client) -> [(&str, Contents); 3] {
        self.expected_of(contents::read(client, &self.source).await)
    }

    /// What each target should hold, by its table, for these contents of the source.
    pub fn expected_of(&self, source: Contents) -> [(&str, Contents); 3] {
        let mut expected = [
            (self.orders.as_str(), Contents::new()),
            (self.invoices.as_str(), Contents::new()),
            (self.names.as_str(), Contents::new()),
        ];
        for (key, item) in source {
            let kind = item.get("kind").cloned();
            let [orders, invoices, names] = &mut expected;
            if kind == Some(text("order")) {
                orders.1.insert(key.clone(), item.clone());
            }
            let ids = [&key[0], &key[1]].map(stripped);
            if kind == Some(text("invoice")) {
                let mut shaped = item.clone();
                for gone in ["PK", "SK", "note"] {
                    shaped.remove(gone);
                }
                if let Some(amount) = shaped.remove("amount") {
                    shaped.insert("total".to_owned(), amount);
                }
                shaped.insert("account".to_owned(), ids[0].clone());
                shaped.insert("document".to_owned(), ids[1].clone());
                invoices.1.insert(ids.to_vec(), shaped);
            }
            if let Some(name) = item.get("name") {
                let shaped = PlainItem::from([
                    ("id".to_owned(), ids[0].clone()),
                    ("document".to_owned(), ids[1].clone()),
                    ("name".to_owned(), name.clone()),
                ]);
                names.1.insert(ids.to_vec(), shaped);
            }
        }
        expected
    }

    /// Compares every target with what it should hold. Stamps are stripped where the split is not completed; a
    /// tombstone is never expected.
    ///
    /// # Panics
    /// Where anything is missing, extra or different.
    pub async fn assert_equal(&self, client: &Client, stamps: Stamps) {
        for (table, expected) in self.expected(client).await {
            let mut found = contents::read(client, table).await;
            if stamps == Stamps::Stripped && (self.mode == Mode::Sequence || table == self.names) {
                for item in found.values_mut() {
                    item.remove(STAMP);
                }
            }
            eprintln!("{table}: {} items, {} expected", found.len(), expected.len());
            contents::assert_same(&found, &expected);
        }
    }
}

/// What to do with versions in reserved attributes before comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// They are still there, and don't count.
    Stripped,
    /// None may be there: the split is completed.
    Gone,
}

fn text(value: &str) -> Plain {
    Plain::Text(value.to_owned())
}

/// The part of a key behind its `ACC#` or `DOC#`.
fn stripped(value: &Plain) -> Plain {
    let Plain::Text(value) = value else {
        panic!("a key that is no text: {value:?}")
    };
    text(value.split_once('#').expect("a prefix").1)
}

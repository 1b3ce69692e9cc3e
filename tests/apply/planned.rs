//! A planned table, as the checked plan gives it.

use aws_sdk_dynamodb::Client;
use dynasplit::model::{AttributeKind, KeyAttribute, KeySchema};
use dynasplit::plan::IndexKeys;
use dynasplit::plan::spec::TableSpec;
use dynasplit::target::{Ensured, TableFinding, TableStream, TargetError, ensure, inspect};
use serde_json::{Value, json};

/// A planned table, as the checked plan gives it.
#[derive(Clone)]
pub struct Planned {
    pub spec: TableSpec,
    pub keys: KeySchema,
    pub indexes: Vec<IndexKeys>,
}

pub fn attribute(name: &str, kind: AttributeKind) -> KeyAttribute {
    KeyAttribute {
        name: name.to_owned(),
        kind,
    }
}

pub fn key(partition: &str, sort: Option<&str>) -> KeySchema {
    KeySchema {
        partition: attribute(partition, AttributeKind::S),
        sort: sort.map(|name| attribute(name, AttributeKind::S)),
    }
}

impl Planned {
    pub fn new(name: &str, more: Value) -> Self {
        let mut words = json!({
            "name": name,
            "keys": { "partition": "PK", "sort": "SK" },
            "global-indexes": [
                { "name": "by-teacher", "keys": { "partition": "teacher", "sort": "SK" } },
                { "name": "by-day", "keys": { "partition": { "name": "day", "type": "N" } },
                  "projection": { "include": ["title"] } }
            ],
            "local-indexes": [{ "name": "by-title", "sort": "title", "projection": "keys-only" }]
        });
        words
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let index = |name: &str, keys, local| IndexKeys {
            name: name.to_owned(),
            keys,
            local,
        };
        let day = KeySchema {
            partition: attribute("day", AttributeKind::N),
            sort: None,
        };
        Self {
            spec: serde_json::from_value(words).unwrap(),
            keys: key("PK", Some("SK")),
            indexes: vec![
                index("by-teacher", key("teacher", Some("SK")), false),
                index("by-day", day, false),
                index("by-title", key("PK", Some("title")), true),
            ],
        }
    }

    /// Without indexes, for the scripted engine.
    pub fn plain(more: Value) -> Self {
        let mut planned = Self::new("Courses", more);
        planned.spec.global_indexes.clear();
        planned.spec.local_indexes.clear();
        planned.indexes.clear();
        planned
    }

    pub async fn ensure(&self, client: &Client) -> Result<Ensured, TargetError> {
        ensure(
            client,
            &self.spec,
            &self.keys,
            &self.indexes,
            TableStream::Unused,
            &|_| (),
        )
        .await
    }

    pub async fn inspect(&self, client: &Client) -> TableFinding {
        inspect(client, &self.spec, &self.keys, &self.indexes, TableStream::Unused)
            .await
            .unwrap()
    }

    pub async fn differing(&self, client: &Client) -> Vec<String> {
        match self.inspect(client).await {
            TableFinding::Differs(differences) => differences.into_iter().map(|each| each.what).collect(),
            other => panic!("no difference, but {other:?}"),
        }
    }
}

pub fn every_setting() -> Value {
    json!({
        "billing": { "read": 5, "write": 6 },
        "warm-throughput": { "read": 12000, "write": 4000 },
        "ttl": "expires",
        "point-in-time-recovery": true,
        "class": "infrequent-access",
        "encryption": "aws-managed",
        "deletion-protection": true,
        "tags": { "team": "courses", "cost": "c-1" }
    })
}

//! Counts items while they are read. It keeps no values except those of keys.

use super::collisions::KeyWatch;
use super::groups::Groups;
use super::hot::HotKeys;
use super::key_shape::key_shape;
use super::patterns::Patterns;
use super::ttl::TtlTally;
use super::view::{Copies, Count};
use crate::dynamo::Clock;
use crate::flow::{Desired, Fault, desired};
use crate::model::{Item, ItemExt, Key, REPLICATION_PREFIX, Value};
use crate::plan::cost::WriteUnits;
use crate::plan::{KeyFault, Plan, Service, Timestamp, TimestampFormat, Versions};
use std::collections::BTreeMap;

/// All counts.
pub(super) struct Tally<'a> {
    plan: &'a Plan,
    now_s: u64,
    ttl_attribute: Option<String>,
    pub items: u64,
    pub bytes: u64,
    pub services: Vec<ServiceTally>,
    /// Items by the two services (places in the plan) that both take them.
    pub overlaps: BTreeMap<(usize, usize), u64>,
    pub left_behind: Count,
    pub unrouted: Count,
    pub unrouted_shapes: Groups,
    pub versions: Groups,
    /// Items with attributes that global tables keep in them.
    pub replicated: u64,
    /// Items whose time is over, and which DynamoDB has not removed yet.
    pub expired: u64,
}

/// The counts of a service.
pub(super) struct ServiceTally {
    /// Items that are copied to its table, as the source has them.
    pub routed: u64,
    /// Whose they are, if everything is copied.
    pub copies: Copies,
    /// The contents of its table.
    pub written: Count,
    pub units: WriteUnits,
    pub faults: Groups,
    /// `None` if the plan proves that no two items share a key.
    pub keys: Option<KeyWatch>,
    /// Of the table, then of each index.
    pub hot: Vec<HotKeys>,
    /// Items that hold the attribute by which the source expires them.
    pub expiring: u64,
    /// Patterns of their source keys.
    pub patterns: Patterns,
    /// Their expiry in the service's table.
    pub ttl: TtlTally,
}

impl ServiceTally {
    fn new(service: &Service) -> Self {
        Self {
            routed: 0,
            copies: Copies::default(),
            written: Count::default(),
            units: WriteUnits::default(),
            faults: Groups::default(),
            keys: (!service.is_injective()).then(KeyWatch::new),
            hot: vec![HotKeys::default(); service.indexes.len() + 1],
            expiring: 0,
            patterns: Patterns::default(),
            ttl: TtlTally::default(),
        }
    }

    fn add(&mut self, service: &Service, wanted: &Desired, source: &Key, plan: &Plan, now_s: u64) {
        let bytes = wanted.item.size() as u64;
        self.written.add(bytes);
        let before = self.units.clone();
        self.units.add(service, &wanted.item);
        self.hot[0].add(&wanted.key.partition, self.units.table - before.table);
        for (n, index) in service
            .indexes
            .iter()
            .enumerate()
            .filter(|(_, index)| !index.local)
        {
            let units = self.units.indexes[n] - before.indexes.get(n).unwrap_or(&0);
            if let (true, Some(partition)) = (units > 0, wanted.item.get(&index.keys.partition.name)) {
                self.hot[n + 1].add(partition, units);
            }
        }
        if let Some(ttl) = &service.table.ttl {
            self.ttl
                .add(ttl, &wanted.item, now_s, (&plan.source.keys, source));
        }
        if let Some(keys) = &mut self.keys {
            keys.add(&wanted.key, source, &plan.source.keys);
        }
    }
}

impl Copies {
    fn add(&mut self, service: &Service, item: &Item) {
        let irrelevant = service.irrelevant.as_ref();
        if service.belongs(item) {
            self.own += 1;
        } else if irrelevant.is_some_and(|condition| condition.matches(item)) {
            self.irrelevant += 1;
        } else {
            self.kept += 1;
        }
    }
}

impl<'a> Tally<'a> {
    pub fn new(plan: &'a Plan, ttl_attribute: Option<String>) -> Self {
        Self {
            plan,
            now_s: Clock::SYSTEM.now_ms() / 1000,
            ttl_attribute,
            items: 0,
            bytes: 0,
            services: plan.services.iter().map(ServiceTally::new).collect(),
            overlaps: BTreeMap::new(),
            left_behind: Count::default(),
            unrouted: Count::default(),
            unrouted_shapes: Groups::default(),
            versions: Groups::default(),
            replicated: 0,
            expired: 0,
        }
    }

    /// Counts an item.
    pub fn add(&mut self, item: &Item) {
        let bytes = item.size() as u64;
        self.items += 1;
        self.bytes += bytes;
        let keys = &self.plan.source.keys;
        // Every item has the table's key, and the plan's was compared with it.
        let Some(key) = keys.key_of(item) else { return };
        if item.keys().any(|name| name.starts_with(REPLICATION_PREFIX)) {
            self.replicated += 1;
        }
        let expiry = self.ttl_attribute.as_ref().and_then(|name| item.get(name));
        let expires = matches!(expiry, Some(Value::N(_)));
        if expires && expiry.is_some_and(|at| is_past(at, self.now_s)) {
            self.expired += 1;
        }
        let takers = self.route(item, &key, expires);
        let is_owner = |n: &&usize| self.plan.services[**n].belongs(item);
        let owners: Vec<usize> = takers.iter().filter(is_owner).copied().collect();
        for (n, first) in owners.iter().enumerate() {
            for second in &owners[n + 1..] {
                *self.overlaps.entry((*first, *second)).or_default() += 1;
            }
        }
        if !takers.is_empty()
            && let Versions::Timestamp(timestamp) = &self.plan.versions
            && let Some(what) = without_version(timestamp, item)
        {
            self.versions.add(what, keys, &key);
        }
        // A table that receives everything is responsible for none of it.
        if !owners.is_empty() {
            return;
        }
        let left = self.plan.left_behind.as_ref();
        if left.is_some_and(|condition| condition.matches(item)) {
            self.left_behind.add(bytes);
        } else {
            self.unrouted.add(bytes);
            self.unrouted_shapes.add(key_shape(&key), keys, &key);
        }
    }

    /// Counts the item for each service that takes it, and names them by their places in the plan.
    fn route(&mut self, item: &Item, key: &Key, expires: bool) -> Vec<usize> {
        let mut takers = Vec::new();
        for (n, service) in self.plan.services.iter().enumerate() {
            let tally = &mut self.services[n];
            let source = (&self.plan.source.keys, key, item);
            match desired(service, &self.plan.versions, item) {
                Ok(None) => continue,
                Ok(Some(wanted)) => {
                    tally.add(service, &wanted, key, self.plan, self.now_s);
                    let after = (&service.keys, &wanted.key, &wanted.item);
                    tally.patterns.add(source, Some(after));
                }
                Err(fault) => {
                    tally.faults.add(kind_of(&fault), &self.plan.source.keys, key);
                    tally.patterns.add(source, None);
                }
            }
            tally.routed += 1;
            tally.copies.add(service, item);
            tally.expiring += u64::from(expires);
            takers.push(n);
        }
        takers
    }
}

/// A time in seconds that is in the past. (DynamoDB expires nothing by other types.)
fn is_past(at: &Value, now_s: u64) -> bool {
    match at {
        Value::N(number) => *number < crate::model::Number::from(i64::try_from(now_s).unwrap_or(i64::MAX)),
        _ => false,
    }
}

/// Why an item has no version, for people; `None` if it has one.
fn without_version(timestamp: &Timestamp, item: &Item) -> Option<String> {
    if timestamp.version_of(item).is_some() {
        return None;
    }
    let name = &timestamp.attribute;
    let wanted = timestamp.format.kind();
    Some(match (item.get(name), &timestamp.format) {
        (None, _) => format!("no '{name}'"),
        (Some(Value::S(_)), TimestampFormat::Pattern(pattern)) => {
            format!("'{name}' is text that does not match {pattern}")
        }
        (Some(other), _) => format!("'{name}' has the type {}, not {wanted}", other.type_name()),
    })
}

/// The fault of an item, with the same text for all items with that fault.
fn kind_of(fault: &Fault) -> String {
    match fault {
        Fault::Key(KeyFault::NoMatch {
            attribute, pattern, ..
        }) => {
            format!("'{attribute}' does not match the key pattern '{pattern}'")
        }
        Fault::Key(KeyFault::TooLong { attribute, limit, .. }) => {
            format!("the target key '{attribute}' would be longer than {limit} bytes")
        }
        Fault::Key(other) => other.to_string(),
        Fault::TooLarge { own: 0, .. } => "the target item would be over 400 KB".to_owned(),
        Fault::TooLarge { .. } => {
            "the target item would be over 400 KB, with the version that it carries during the split"
                .to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MAX_ITEM_BYTES, Number};

    #[test]
    fn a_fault_is_told_without_what_differs_from_item_to_item() {
        let no_match = |value: &str| {
            kind_of(&Fault::Key(KeyFault::NoMatch {
                attribute: "SK".into(),
                pattern: "A#{a}".into(),
                value: Some(value.into()),
            }))
        };
        assert_eq!(no_match("secret"), no_match("other"));
        assert!(!no_match("secret").contains("secret"));
        let large = |bytes| kind_of(&Fault::TooLarge { bytes, own: 0 });
        assert_eq!(large(MAX_ITEM_BYTES + 1), large(MAX_ITEM_BYTES + 2));
    }

    #[test]
    fn a_copy_of_everything_owns_nothing_that_where_does_not_match() {
        let text = "version: 1\nsplit: s\nsource: { table: Old, keys: { partition: PK } }\ntimestamp: none\n\
            unrouted: { left-behind: \"begins_with(PK, 'C')\" }\nservices:\n  - name: a\n    where: begins_with(PK, 'A')\n    \
            copy: everything\n    irrelevant: begins_with(PK, 'B')\n    table: { name: Own, keys: { partition: PK } }\n  \
            - name: b\n    where: begins_with(PK, 'B')\n    table: { name: Other, keys: { partition: PK } }\n";
        let plan = Plan::parse(text, "plan.yaml").unwrap();
        let mut tally = Tally::new(&plan, None);
        for key in ["A1", "A2", "A3", "B1", "B2", "C1", "D1"] {
            tally.add(&Item::from([("PK".to_owned(), Value::s(key))]));
        }
        let expected = Copies {
            own: 3,
            irrelevant: 2,
            kept: 2,
        };
        assert_eq!(
            (tally.services[0].routed, tally.services[0].copies),
            (7, expected)
        );
        assert_eq!(tally.services[1].routed, 2);
        assert_eq!((tally.left_behind.items, tally.unrouted.items), (1, 1));
        assert!(
            tally.overlaps.is_empty(),
            "they share nothing: {:?}",
            tally.overlaps
        );
    }

    #[test]
    fn a_time_that_is_over_is_told_from_one_to_come() {
        let at = |seconds| Value::N(Number::from(seconds));
        assert!(is_past(&at(99), 100) && !is_past(&at(100), 100));
        assert!(!is_past(&Value::s("99"), 100));
    }
}

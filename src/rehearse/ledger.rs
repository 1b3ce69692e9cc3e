//! What the application of a rehearsal has written, as source items: the truth that the tables are compared with at the end.
//! It shares only the transform with the way back, not its inverse. Pure.

use super::mutate::Request;
use crate::flow::desired;
use crate::model::{Item, Key, KeySchema};
use crate::plan::{Plan, Service, Versions};
use std::collections::{BTreeSet, HashMap};

/// Every state of each item that was written since a moment, the one of before first.
pub(super) type History = HashMap<Key, Vec<Option<Item>>>;

/// The items that exist, by their source keys.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub items: HashMap<Key, Item>,
    /// Kept while somebody wants to know it.
    pub history: Option<History>,
}

impl Ledger {
    /// Notes what an item is now.
    pub fn note(&mut self, key: Key, item: Option<Item>) {
        if let Some(history) = &mut self.history {
            let states = history.entry(key.clone());
            let before = || vec![self.items.get(&key).cloned()];
            states.or_insert_with(before).push(item.clone());
        }
        match item {
            Some(item) => self.items.insert(key, item),
            None => self.items.remove(&key),
        };
    }
}

/// The item after a write to the source; `None` if the write deletes it.
pub(super) fn written(keys: &KeySchema, key: &Key, before: Option<&Item>, request: &Request) -> Option<Item> {
    match request {
        Request::Put(item) => Some(item.clone()),
        Request::Set(attributes) => {
            let mut item = before.cloned().unwrap_or_else(|| keys.item_of(key));
            item.extend(attributes.clone());
            Some(item)
        }
        Request::Delete => None,
    }
}

/// The source item after a service wrote `wished`, seen as a source item, to its own table, and the write was carried back. What
/// the service does not know of an item keeps its value in the source; a new item gets what the plan gives it.
pub(super) fn carried_back(plan: &Plan, service: &Service, before: Option<&Item>, wished: &Item) -> Item {
    let (keys, versions) = (&plan.source.keys, &plan.versions);
    let mut item = wished.clone();
    for name in unknown(service, versions, keys, wished) {
        item.remove(&name);
    }
    match before {
        Some(before) => {
            for name in unknown(service, versions, keys, before) {
                if let Some(value) = before.get(&name) {
                    item.insert(name, value.clone());
                }
            }
        }
        None => {
            let shapes = service.shapes.iter();
            let shape = shapes
                .filter(|shape| shape.own_condition().matches(wished))
                .take(1);
            item.extend(shape.flat_map(|shape| shape.given.clone()));
        }
    }
    item
}

/// The attributes of a source item that neither decide whether the service takes it nor change what its table holds.
fn unknown(service: &Service, versions: &Versions, keys: &KeySchema, item: &Item) -> BTreeSet<String> {
    let whole = desired(service, versions, item).ok().flatten();
    let is_unknown = |name: &&String| {
        let mut without = item.clone();
        without.remove(*name);
        desired(service, versions, &without).ok().flatten() == whole
    };
    let is_key = |name: &str| keys.attributes().any(|attribute| attribute.name == name);
    let others = item.keys().filter(|name| !is_key(name));
    others.filter(is_unknown).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    fn plan() -> Plan {
        let text = include_str!("../../plans/online-learning.yaml");
        Plan::parse(text, "plan.yaml").unwrap()
    }

    fn course(more: &[(&str, &str)]) -> Item {
        let mut item = Item::from([
            ("PK".to_owned(), Value::s("COURSE#1")),
            ("SK".to_owned(), Value::s("METADATA")),
            ("type".to_owned(), Value::s("Course")),
            ("updatedAt".to_owned(), Value::s("2026-01-01T00:00:00.000Z")),
        ]);
        item.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), Value::s(*value))),
        );
        item
    }

    #[test]
    fn a_history_begins_with_the_state_of_before() {
        let key = Key {
            partition: Value::s("COURSE#1"),
            sort: None,
        };
        let mut ledger = Ledger::default();
        ledger.note(key.clone(), Some(course(&[])));
        ledger.history = Some(History::new());
        ledger.note(key.clone(), None);
        ledger.note(key.clone(), Some(course(&[("desc", "new")])));
        let states = ledger.history.unwrap().remove(&key).unwrap();
        assert_eq!(
            states,
            [Some(course(&[])), None, Some(course(&[("desc", "new")]))]
        );
    }

    #[test]
    fn what_a_service_does_not_know_keeps_its_value_and_a_new_item_gets_what_the_plan_says() {
        let plan = plan();
        let catalog = plan.service("CourseCatalog").unwrap();
        let before = course(&[("desc", "old"), ("editor", "somebody")]);
        let wished = course(&[("desc", "new"), ("editor", "nobody")]);
        let back = carried_back(&plan, catalog, Some(&before), &wished);
        assert_eq!(back, course(&[("desc", "new"), ("editor", "somebody")]));
        let back = carried_back(&plan, catalog, None, &wished);
        assert_eq!(back, course(&[("desc", "new"), ("editor", "course-catalog")]));
        let back = carried_back(&plan, catalog, Some(&before), &course(&[]));
        assert_eq!(
            back,
            course(&[("editor", "somebody")]),
            "the service removed `desc`"
        );
    }
}

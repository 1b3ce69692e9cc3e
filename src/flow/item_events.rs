//! What one change of the source does to the item that a service holds, as an event. Pure.

use super::route::{Desired, desired};
use crate::model::{Images, Item, Key, RESERVED_PREFIX};
use crate::plan::{Service, Versions};

/// What happened to an item of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemEventKind {
    /// The service holds the item now, and did not before.
    Created,
    /// It holds another version of the item.
    Updated,
    /// It does not hold the item any more.
    Removed,
}

/// One thing that happened to an item of a service. The images are as the service's table holds them, without the attributes
/// of dynasplit itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemEvent {
    /// What happened.
    pub kind: ItemEventKind,
    /// Key in the service's table.
    pub key: Key,
    /// The item after the change.
    pub new: Option<Item>,
    /// The item before the change.
    pub old: Option<Item>,
}

/// The events of one change: none if the service's item looks the same as before; two if its key changed.
///
/// As on the write path, an invalid image counts as no item: the table does not hold it.
#[must_use]
pub fn item_events(service: &Service, versions: &Versions, images: &Images) -> Vec<ItemEvent> {
    let held = |image: &Option<Item>| {
        let image = image.as_ref()?;
        desired(service, versions, image).ok().flatten()
    };
    let (old, new) = (held(&images.old), held(&images.new));
    let removed = |old: Desired| ItemEvent {
        kind: ItemEventKind::Removed,
        key: old.key,
        new: None,
        old: Some(visible(old.item)),
    };
    let created = |new: Desired| ItemEvent {
        kind: ItemEventKind::Created,
        key: new.key,
        new: Some(visible(new.item)),
        old: None,
    };
    match (old, new) {
        (None, None) => Vec::new(),
        (Some(old), Some(new)) if old.looks_like(&new) => Vec::new(),
        (Some(old), Some(new)) if old.key == new.key => vec![ItemEvent {
            kind: ItemEventKind::Updated,
            key: new.key,
            new: Some(visible(new.item)),
            old: Some(visible(old.item)),
        }],
        (old, new) => old.map(removed).into_iter().chain(new.map(created)).collect(),
    }
}

fn visible(mut item: Item) -> Item {
    item.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
    item
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::plan::Plan;

    fn client(name: &str) -> Item {
        [("id", "CLIENT#1"), ("part", "INFO"), ("name", name)]
            .map(|(name, value)| (name.to_owned(), Value::s(value)))
            .into()
    }

    fn kinds(old: Option<Item>, new: Option<Item>) -> Vec<ItemEventKind> {
        let plan = Plan::parse(include_str!("../../plans/clients-and-people.yaml"), "plan.yaml").unwrap();
        let service = plan.service("client").unwrap();
        let events = item_events(service, &plan.versions, &Images { old, new });
        for event in &events {
            let images = event.old.iter().chain(&event.new);
            for image in images {
                assert!(image.keys().all(|name| !name.starts_with(RESERVED_PREFIX)));
                assert_eq!(service.keys.key_of(image).as_ref(), Some(&event.key));
            }
        }
        events.into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn an_event_tells_what_happens_in_the_services_table() {
        let other = || {
            let mut item = client("a");
            item.insert("id".into(), Value::s("SOMEBODY#1"));
            item
        };
        assert_eq!(kinds(None, Some(client("a"))), [ItemEventKind::Created]);
        assert_eq!(
            kinds(Some(client("a")), Some(client("b"))),
            [ItemEventKind::Updated]
        );
        assert_eq!(kinds(Some(client("a")), None), [ItemEventKind::Removed]);
        assert_eq!(kinds(Some(client("a")), Some(client("a"))), []);
        assert_eq!(kinds(None, Some(other())), [], "another service's, or nobody's");
        assert_eq!(kinds(Some(other()), None), []);
    }
}

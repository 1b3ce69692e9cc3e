//! Compares every table with what the application of the rehearsal wrote, item by item.

use super::application::{Application, own};
use crate::dynamo::Failure;
use crate::flow::{copied_from, is_tombstone};
use crate::model::{Item, ItemExt, Key, RESERVED_PREFIX};
use crate::plan::Service;
use std::collections::HashMap;

/// The most differences that are listed.
const MOST: usize = 10;

/// What differs: the first differences of all tables; none if every table holds exactly what it should. The source holds no items
/// that belong to nobody but a service that was pruned.
pub(super) async fn differences(
    application: &Application,
    pruned: &[String],
) -> Result<Vec<String>, Failure> {
    let (written, in_source) = (application.items(), application.items_of_source());
    let found = application.read_source().await?;
    let mut left = in_source.clone();
    left.retain(|_, item| {
        let services = application.plan.services.iter();
        let mut takers = services.filter(|service| service.belongs(item));
        !matches!((takers.next(), takers.next()), (Some(only), None) if pruned.contains(&only.name))
    });
    let mut wrong = compare("source", &left, &found);
    for service in &application.plan.services {
        let versions = &application.plan.versions;
        // A service that only receives items receives those of the source.
        let expected = if application.moves(&service.name) {
            &written
        } else {
            &in_source
        };
        // Of others' items, a service keeps copies as they were when it switched.
        let is_compared = |item: &Item| !service.copies_everything() || service.belongs(item);
        let items = expected.values().filter(|item| is_compared(item));
        let held = items.filter_map(|item| own(service, versions, item));
        let held = held.map(|desired| (desired.key, desired.item)).collect();
        let mut found = application.read_target(service).await?;
        found.retain(|_, item| {
            let shown = copied_from(service, &application.plan.source.keys, item);
            !is_tombstone(item) && shown.is_none_or(|shown| is_compared(&shown))
        });
        for item in found.values_mut() {
            item.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
        }
        wrong.extend(compare(&service.table.name, &held, &found));
    }
    wrong.truncate(MOST);
    Ok(wrong)
}

/// The copies of others' items in the table of a service that has received everything.
pub(super) async fn copies(
    application: &Application,
    service: &Service,
) -> Result<HashMap<Key, Item>, Failure> {
    let mut found = application.read_target(service).await?;
    found.retain(|_, item| {
        let shown = copied_from(service, &application.plan.source.keys, item);
        shown.is_none_or(|shown| !service.belongs(&shown))
    });
    Ok(found)
}

/// What differs from the copies of before the table of a service was pruned, without those that are irrelevant.
pub(super) async fn pruned_copies(
    application: &Application,
    service: &Service,
    mut before: HashMap<Key, Item>,
) -> Result<Vec<String>, Failure> {
    let irrelevant = service.irrelevant.as_ref();
    before.retain(|_, item| {
        let shown = copied_from(service, &application.plan.source.keys, item);
        let is_irrelevant = |shown: &Item| irrelevant.is_some_and(|condition| condition.matches(shown));
        !shown.as_ref().is_some_and(is_irrelevant)
    });
    let mut wrong = compare(&service.table.name, &before, &copies(application, service).await?);
    wrong.truncate(MOST);
    Ok(wrong)
}

/// Attributes of dynasplit that are still in items of the source, or of the tables of services that were completed.
pub(super) async fn leftovers(
    application: &Application,
    services: &[String],
) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    let planned = services.iter().filter_map(|name| application.plan.service(name));
    let mut tables = vec![(
        &application.plan.source.table,
        application.read_source_with_marks().await?,
    )];
    for service in planned {
        tables.push((&service.table.name, application.read_target(service).await?));
    }
    for (table, items) in tables {
        let names = items.values().flat_map(Item::keys);
        let left = names.filter(|name| name.starts_with(RESERVED_PREFIX)).count();
        if left > 0 {
            wrong.push(format!("{table}: {left} attributes of dynasplit are still there"));
        }
    }
    Ok(wrong)
}

/// The differences of one table, in the order of the keys.
fn compare(table: &str, expected: &HashMap<Key, Item>, found: &HashMap<Key, Item>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, item) in expected {
        match found.get(key) {
            None => wrong.push(format!("{table}: {key} is missing")),
            Some(other) if other.encode() != item.encode() => wrong.push(format!(
                "{table}: {key} differs in {}",
                attributes(item, other).join(", ")
            )),
            Some(_) => {}
        }
    }
    let surplus = found.keys().filter(|key| !expected.contains_key(key));
    wrong.extend(surplus.map(|key| format!("{table}: {key} should not exist")));
    wrong.sort();
    wrong
}

/// The names of the attributes in which two items differ.
fn attributes(one: &Item, other: &Item) -> Vec<String> {
    let names = one
        .keys()
        .chain(other.keys().filter(|name| !one.contains_key(*name)));
    let encoded = |item: &Item, name: &String| {
        let value = item.get(name)?;
        Some(Item::from([(name.clone(), value.clone())]).encode())
    };
    let differs = |name: &&String| encoded(one, name) != encoded(other, name);
    names.filter(differs).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn each_kind_of_difference_is_told() {
        let key = |text: &str| Key {
            partition: Value::s(text),
            sort: None,
        };
        let item =
            |a: &str, b: &str| Item::from([("a".to_owned(), Value::s(a)), ("b".to_owned(), Value::s(b))]);
        let expected = HashMap::from([
            (key("same"), item("1", "1")),
            (key("less"), item("1", "1")),
            (key("other"), item("1", "1")),
        ]);
        let found = HashMap::from([
            (key("same"), item("1", "1")),
            (key("other"), item("1", "2")),
            (key("more"), item("1", "1")),
        ]);
        let wrong = compare("t", &expected, &found);
        assert_eq!(
            wrong,
            [
                "t: less is missing",
                "t: more should not exist",
                "t: other differs in b"
            ]
        );
        assert!(compare("t", &expected, &expected).is_empty());
    }
}

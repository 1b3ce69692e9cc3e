//! Changes that came to the source after their service had switched for good: a writer was forgotten. They are in no table.

use crate::flow::{desired, is_stray};
use crate::model::{Images, Item};
use crate::plan::{Plan, Service, Versions};
use crate::source::Record;
use crate::state::LateChanges;
use crate::worker::Split;
use std::collections::BTreeMap;

/// Counts the late changes of each service. If a service has a way back, its own lane finds them.
pub(super) fn late_changes(split: &Split, records: &[&Record]) -> BTreeMap<String, LateChanges> {
    let mut late = BTreeMap::new();
    let for_good = split
        .switched()
        .filter(|(service, _)| !split.is_watched(&service.name));
    for (service, switched_ms) in for_good {
        let mut found = LateChanges {
            switched_ms,
            ..LateChanges::default()
        };
        let epoch = split.cutover(&service.name).map(|cutover| cutover.epoch);
        for record in records {
            let created_ms = record.created_ms.unwrap_or(0);
            if created_ms > switched_ms && is_late(&split.plan, service, epoch, record) {
                found.count += 1;
                found.last_ms = found.last_ms.max(created_ms);
            }
        }
        if found.count > 0 {
            late.insert(service.name.clone(), found);
        }
    }
    late
}

/// Whether a record changes what a service should hold, and is no write that was carried back before the service was completed.
/// The clock of DynamoDB may be ahead, so the time of such a write may be after the end.
fn is_late(plan: &Plan, service: &Service, epoch: Option<u64>, record: &Record) -> bool {
    let images = &record.change.images;
    let is_by_others = |epoch| is_stray(service, &plan.split, epoch, images, &record.marks);
    concerns(service, &plan.versions, images) && epoch.is_none_or(is_by_others)
}

/// Whether a change affects the item that a service should hold.
fn concerns(service: &Service, versions: &Versions, images: &Images) -> bool {
    let shown = [&images.old, &images.new];
    if !shown
        .iter()
        .any(|item| item.as_ref().is_some_and(|item| service.belongs(item)))
    {
        return false;
    }
    let of = |item: &Option<Item>| match item.as_ref().map(|item| desired(service, versions, item)) {
        None | Some(Ok(None)) => None,
        // An invalid item would be a dead letter.
        Some(shown) => Some(shown.ok().flatten()),
    };
    match (of(&images.old), of(&images.new)) {
        (None, None) => false,
        (Some(Some(old)), Some(Some(new))) => !old.looks_like(&new),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, MarkImages, MarkKind, Origin, ReverseMark, SequenceNumber, Value};
    use std::sync::Arc;

    fn client(name: &str) -> Item {
        Item::from([
            ("id".to_owned(), Value::s("CLIENT#1")),
            ("part".to_owned(), Value::s("INFO")),
            ("name".to_owned(), Value::s(name)),
        ])
    }

    fn record(plan: &Plan, old: Item, new: Item, marks: MarkImages) -> Record {
        Record {
            sequence: SequenceNumber::new("7"),
            created_ms: Some(9),
            change: Arc::new(Change {
                key: plan.source.keys.key_of(&new).unwrap(),
                images: Images {
                    old: Some(old),
                    new: Some(new),
                },
                origin: Origin::Tail {
                    generation: 1,
                    sequence: SequenceNumber::new("7"),
                },
            }),
            marks,
        }
    }

    #[test]
    fn a_reverse_write_and_the_removal_of_its_mark_are_not_late() {
        let plan = Plan::parse(include_str!("../../plans/clients-and-people.yaml"), "plan.yaml").unwrap();
        let service = plan.service("client").unwrap();
        let mark = ReverseMark {
            split: plan.split.clone(),
            epoch: 2,
            generation: 1,
            sequence: SequenceNumber::new("7"),
            kind: MarkKind::Updated,
        };
        let marks = Item::from([(ReverseMark::attribute("client"), mark.to_value())]);
        let reverse = MarkImages {
            old: Item::new(),
            new: marks.clone(),
        };
        let carried_back = record(&plan, client("a"), client("b"), reverse);
        assert!(!is_late(&plan, service, Some(2), &carried_back));
        assert!(is_late(&plan, service, Some(3), &carried_back), "another cutover");
        assert!(
            is_late(&plan, service, None, &carried_back),
            "it was never cut over"
        );
        let removal = MarkImages {
            old: marks,
            new: Item::new(),
        };
        let removed = record(&plan, client("b"), client("b"), removal);
        assert!(!is_late(&plan, service, Some(2), &removed));
        let forgotten = record(&plan, client("a"), client("b"), MarkImages::default());
        assert!(is_late(&plan, service, Some(2), &forgotten));
    }
}

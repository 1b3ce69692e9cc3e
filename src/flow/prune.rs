//! Which items may be deleted when a service is completed: of the source, those that it owns; of its table, copies that are
//! irrelevant. Pure.

use super::invert::copied_from;
use super::route::desired;
use crate::model::{Item, ReverseMark};
use crate::plan::{Condition, Owns, Plan, Service};
use std::collections::BTreeSet;

/// What is to become of an item of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pruned {
    /// The completed service owns it, and nobody else needs it: it is deleted.
    Delete,
    /// The service does not take it.
    NotItsOwn,
    /// A service that is not completed takes it, too.
    Shared,
    /// Nothing shows who owns it: it is invalid for the service, another service may own it, or another service or split has
    /// left a mark in it.
    Ambiguous,
}

/// Decides about one item, without its marks. `ended` are the completed services.
#[must_use]
pub fn pruned(plan: &Plan, service: &Service, ended: &BTreeSet<String>, item: &Item, marks: &Item) -> Pruned {
    if !service.belongs(item) {
        return Pruned::NotItsOwn;
    }
    let others = || {
        let others = plan.services.iter();
        others.filter(|other| other.name != service.name && other.takes(item))
    };
    if others().any(|other| !ended.contains(&other.name)) {
        return Pruned::Shared;
    }
    let is_of_another = |other: &Service| other.belongs(item) && *other.owns() != Owns::Nothing;
    let is_owned_alone = *service.owns() == Owns::Items && !others().any(is_of_another);
    let own_mark = ReverseMark::attribute(&service.name);
    let is_ours =
        |name: &String| *name == own_mark && ReverseMark::of(marks, &plan.split, &service.name).is_some();
    let is_valid = matches!(desired(service, &plan.versions, item), Ok(Some(_)));
    if is_owned_alone && is_valid && marks.keys().all(is_ours) {
        Pruned::Delete
    } else {
        Pruned::Ambiguous
    }
}

/// What is to become of an item in the table of a completed service that had copied everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrunedCopy {
    /// It is irrelevant: it is deleted.
    Delete,
    /// It belongs to the service.
    Own,
    /// Neither.
    Kept,
}

/// Decides about one item of a service's table, by what it shows of the source item that it was copied from. What belongs to the
/// service stays, whatever is irrelevant.
#[must_use]
pub fn pruned_copy(plan: &Plan, service: &Service, item: &Item) -> PrunedCopy {
    let Some(shown) = copied_from(service, &plan.source.keys, item) else {
        return PrunedCopy::Kept;
    };
    let is_irrelevant = |condition: &Condition| condition.matches(&shown);
    if service.belongs(&shown) {
        PrunedCopy::Own
    } else if service.irrelevant.as_ref().is_some_and(is_irrelevant) {
        PrunedCopy::Delete
    } else {
        PrunedCopy::Kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MarkKind, SequenceNumber, Value};

    fn plan() -> Plan {
        Plan::parse(include_str!("../../plans/clients-and-people.yaml"), "plan.yaml").unwrap()
    }

    fn client() -> Item {
        Item::from([
            ("id".to_owned(), Value::s("CLIENT#1")),
            ("part".to_owned(), Value::s("INFO")),
            ("name".to_owned(), Value::s("a")),
        ])
    }

    fn mark(split: &str) -> Value {
        ReverseMark {
            split: split.into(),
            epoch: 1,
            generation: 1,
            sequence: SequenceNumber::new("7"),
            kind: MarkKind::Deleting,
        }
        .to_value()
    }

    fn ended(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn of(service: &str, completed: &[&str], item: &Item, marks: &Item) -> Pruned {
        let plan = plan();
        pruned(
            &plan,
            plan.service(service).unwrap(),
            &ended(completed),
            item,
            marks,
        )
    }

    #[test]
    fn an_item_stays_while_a_service_that_is_not_completed_takes_it() {
        let (item, none) = (client(), Item::new());
        assert_eq!(
            of("client", &["client"], &item, &none),
            Pruned::Shared,
            "`common` and `invoice` take it, too"
        );
        assert_eq!(of("client", &["client", "common"], &item, &none), Pruned::Shared);
        assert_eq!(
            of("client", &["client", "common", "invoice"], &item, &none),
            Pruned::Delete
        );
        assert_eq!(
            of("person", &["client", "common", "person", "invoice"], &item, &none),
            Pruned::NotItsOwn
        );
    }

    #[test]
    fn a_service_deletes_only_what_it_owns() {
        let all = ["client", "common", "person", "invoice"];
        assert_eq!(
            of("common", &all, &client(), &Item::new()),
            Pruned::Ambiguous,
            "it owns nothing"
        );
    }

    #[test]
    fn an_item_whose_owner_is_not_clear_stays() {
        let all = ["client", "common", "person", "invoice"];
        let name = |service: &str| ReverseMark::attribute(service);
        let split = plan().split;
        let marked = |service: &str, value: Value| Item::from([(name(service), value)]);
        let decide = |marks: &Item| of("client", &all, &client(), marks);
        assert_eq!(
            decide(&marked("client", mark(&split))),
            Pruned::Delete,
            "a prune began to delete it"
        );
        assert_eq!(decide(&marked("client", mark("another"))), Pruned::Ambiguous);
        assert_eq!(decide(&marked("client", Value::s("odd"))), Pruned::Ambiguous);
        assert_eq!(decide(&marked("person", mark(&split))), Pruned::Ambiguous);
        let mut reserved = client();
        reserved.insert("dynasplit:x".into(), Value::s("y"));
        assert_eq!(
            of("client", &all, &reserved, &Item::new()),
            Pruned::Ambiguous,
            "it is invalid"
        );
    }
}

//! `copy: everything`: what belongs to others is copied, and nothing of it is ever written back.

use super::back::{back, plan, with};
use super::item;
use crate::flow::{
    Back, BackLane, BackWriteKind, Group, NoWayBack, Pruned, PrunedCopy, Settled, Watched, copied_from,
    desired, is_stray, pruned, pruned_copy, watch,
};
use crate::model::{Change, Images, Item, MarkImages, Origin, SequenceNumber, Value};
use crate::plan::Plan;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Orders, whose table receives everything, under keys with other names.
fn orders() -> Plan {
    plan(
        "    where: begins_with(PK, 'ORDER#') AND kind = 'order'
    copy: everything
    irrelevant: NOT begins_with(PK, 'ORDER#') AND desc <> 'kept' OR kind = 'order' AND desc = 'old'
    table: { name: Orders, keys: { partition: id, sort: part } }
    transform:
      keys: { from: { PK: '{id}', SK: '{part}' }, to: { id: '{id}', part: '{part}' } }
      drop: [PK, SK, editor]
      rename: { desc: description }
",
    )
}

fn source(pk: &str, kind: &str) -> Item {
    item([
        ("PK", Value::s(pk)),
        ("SK", Value::s("x")),
        ("kind", Value::s(kind)),
        ("editor", Value::s("ann")),
        ("desc", Value::s("old")),
    ])
}

fn copy(plan: &Plan, source: &Item) -> Item {
    let desired = desired(&plan.services[0], &plan.versions, source).unwrap();
    desired.expect("it is copied").item
}

/// What a change of a target item does to the source.
fn carried(plan: &Plan, old: Option<&Item>, new: Option<&Item>, current: Option<&Item>) -> Back {
    let lane = BackLane {
        way: back(plan),
        split: "s",
        epoch: 2,
    };
    let shown = new.or(old).expect("an image");
    let key = plan.services[0].keys.key_of(shown).expect("a key");
    let change = Change {
        key: key.clone(),
        images: Images {
            old: old.cloned(),
            new: new.cloned(),
        },
        origin: Origin::Tail {
            generation: 1,
            sequence: SequenceNumber::new("7"),
        },
    };
    let run = Group {
        key,
        changes: vec![Arc::new(change)],
    };
    lane.decide(&run, current)
}

#[test]
fn a_write_to_an_own_item_is_carried_back() {
    let plan = orders();
    let (own, held) = (
        source("ORDER#1", "order"),
        copy(&orders(), &source("ORDER#1", "order")),
    );
    let changed = with(&held, [("description", Value::s("new"))]);
    match carried(&plan, Some(&held), Some(&changed), Some(&own)) {
        Back::Write(write) => assert!(matches!(write.kind, BackWriteKind::Update { .. }), "{write:?}"),
        other => panic!("{other:?}"),
    }
    match carried(&plan, None, Some(&held), None) {
        Back::Write(write) => assert!(matches!(write.kind, BackWriteKind::Create(_)), "{write:?}"),
        other => panic!("{other:?}"),
    }
    match carried(&plan, Some(&held), None, Some(&own)) {
        Back::Write(write) => assert!(matches!(write.kind, BackWriteKind::MarkDeleting(_)), "{write:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_that_happens_to_a_copy_reaches_an_item_of_others() {
    let plan = orders();
    for others in [source("PERSON#1", "order"), source("ORDER#1", "draft")] {
        let held = copy(&plan, &others);
        let changed = with(&held, [("description", Value::s("new"))]);
        // Its owner may have changed it since the switch.
        for current in [others.clone(), with(&others, [("desc", Value::s("newer"))])] {
            assert_eq!(
                carried(&plan, Some(&held), Some(&changed), Some(&current)),
                Back::Impossible(NoWayBack::Occupied)
            );
            assert_eq!(
                carried(&plan, Some(&held), None, Some(&current)),
                Back::Settled(Settled::Agreed),
                "the source keeps its item"
            );
            // Nor does a service make it its own.
            let taken = with(&changed, [("kind", Value::s("order"))]);
            let back = carried(&plan, Some(&held), Some(&taken), Some(&current));
            assert_eq!(back, Back::Impossible(NoWayBack::Occupied));
        }
        // It is what it was again.
        assert_eq!(
            carried(&plan, Some(&changed), Some(&held), Some(&others)),
            Back::Settled(Settled::Agreed)
        );
        assert_eq!(
            carried(&plan, None, Some(&held), None),
            Back::Impossible(NoWayBack::NotRouted),
            "a new item of others"
        );
        assert_eq!(
            carried(&plan, Some(&held), None, None),
            Back::Settled(Settled::Agreed)
        );
    }
}

#[test]
fn an_own_item_does_not_become_one_of_others() {
    let plan = orders();
    let own = source("ORDER#1", "order");
    let held = copy(&plan, &own);
    let given_away = with(&held, [("kind", Value::s("draft"))]);
    assert_eq!(
        carried(&plan, Some(&held), Some(&given_away), Some(&own)),
        Back::Impossible(NoWayBack::NotRouted)
    );
}

#[test]
fn a_copy_shows_whose_it_is() {
    let plan = orders();
    let service = &plan.services[0];
    for (item, is_own) in [
        (source("ORDER#1", "order"), true),
        (source("ORDER#1", "draft"), false),
        (source("PERSON#1", "order"), false),
    ] {
        let shown = copied_from(service, &plan.source.keys, &copy(&plan, &item)).unwrap();
        assert_eq!(service.belongs(&shown), is_own, "{shown:?}");
        let mut copied = item;
        copied.remove("editor");
        assert_eq!(shown, copied);
    }
}

#[test]
fn an_item_that_nobody_is_responsible_for_is_told_and_a_write_of_others_is_no_stray() {
    let plan = orders();
    let service = &plan.services[0];
    let (own, other) = (source("ORDER#1", "order"), source("PERSON#1", "x"));
    assert_eq!(watch(&plan, &own), Watched::Routed);
    assert_eq!(watch(&plan, &other), Watched::Unrouted, "a copy is no owner");
    let none = MarkImages::default();
    let images = |item: &Item| Images {
        old: None,
        new: Some(item.clone()),
    };
    assert!(is_stray(service, "s", 2, &images(&own), &none));
    assert!(!is_stray(service, "s", 2, &images(&other), &none));
    let taken = Images {
        old: Some(source("ORDER#1", "draft")),
        new: Some(own.clone()),
    };
    assert!(
        is_stray(service, "s", 2, &taken, &none),
        "it comes to the service"
    );
    let (ended, none) = (BTreeSet::from(["mine".to_owned()]), Item::new());
    assert_eq!(pruned(&plan, service, &ended, &own, &none), Pruned::Delete);
    assert_eq!(pruned(&plan, service, &ended, &other, &none), Pruned::NotItsOwn);
}

#[test]
fn an_irrelevant_copy_is_deleted_and_an_own_item_never() {
    let plan = orders();
    let decide = |item: &Item| pruned_copy(&plan, &plan.services[0], item);
    let held = |pk: &str, kind: &str| copy(&plan, &source(pk, kind));
    assert_eq!(decide(&held("PERSON#1", "x")), PrunedCopy::Delete);
    assert_eq!(
        decide(&held("ORDER#1", "order")),
        PrunedCopy::Own,
        "`irrelevant` matches it, too"
    );
    assert_eq!(decide(&held("ORDER#1", "draft")), PrunedCopy::Kept);
    // What the service has made of it counts.
    let kept = with(&held("PERSON#1", "x"), [("description", Value::s("kept"))]);
    assert_eq!(decide(&kept), PrunedCopy::Kept);
    let reserved = with(&held("PERSON#1", "x"), [("dynasplit:x", Value::s("y"))]);
    assert_eq!(
        decide(&reserved),
        PrunedCopy::Kept,
        "nothing shows what it was copied from"
    );
}

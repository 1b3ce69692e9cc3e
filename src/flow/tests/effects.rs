//! The rules of one group, one by one.

use super::{item, key, page, plan, record};
use crate::flow::{Effects, Group, Guard, WriteKind, coalesce, effects, touched};
use crate::model::{Change, Item, Key, Origin, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE, Value, Version};
use crate::plan::Plan;
use std::sync::Arc;

const SLOTTED: &str = "
    table: { name: Mine, keys: { partition: key } }
    transform:
      keys: { from: { slot: '{slot}' }, to: { key: '{slot}' }, vouch: there is one item }
      keep: [slot, body]
";

fn timestamps() -> Plan {
    plan("{ attribute: at, type: S, format: '0000' }", SLOTTED)
}

fn sequences() -> Plan {
    plan("none", SLOTTED)
}

fn image(slot: &str, body: &str, at: &str) -> Item {
    item([
        ("id", Value::s("the item")),
        ("kind", Value::s("mine")),
        ("slot", Value::s(slot)),
        ("body", Value::s(body)),
        ("at", Value::s(at)),
    ])
}

fn elsewhere(at: &str) -> Item {
    let mut image = image("x", "a", at);
    image.insert("kind".into(), Value::s("other"));
    image
}

fn invalid(at: &str) -> Item {
    let mut image = image("x", "a", at);
    image.remove("slot");
    image
}

fn of(plan: &Plan, changes: &[Arc<Change>]) -> Effects {
    let groups = coalesce(changes);
    assert_eq!(groups.len(), 1);
    effects(&plan.services[0], &plan.versions, &groups[0])
}

/// A history: each image and the next make one record.
fn records(images: &[Option<Item>]) -> Vec<Arc<Change>> {
    images
        .windows(2)
        .enumerate()
        .map(|(at, pair)| record(at + 1, pair[0].clone(), pair[1].clone()))
        .collect()
}

fn history(plan: &Plan, images: &[Option<Item>]) -> Effects {
    of(plan, &records(images))
}

fn v(text: &str) -> Version {
    Version::Text(text.into())
}

/// Each write in short: its key, what it puts or with which version it removes, and its guard.
fn told(effects: &Effects) -> Vec<(String, String, Guard)> {
    let text = |value: Option<&Value>| match value {
        Some(Value::S(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    effects
        .writes
        .iter()
        .map(|write| {
            let kind = match &write.kind {
                WriteKind::Put(item) => format!("put {}", text(item.get("body"))),
                WriteKind::PutRaw(_) => "put as it came".to_owned(),
                WriteKind::Remove(Some(Version::Text(version))) => format!("remove {version}"),
                WriteKind::Remove(other) => format!("remove {other:?}"),
            };
            (write.key.to_string(), kind, write.guard.clone())
        })
        .collect()
}

fn is(effects: &Effects, expected: &[(&str, &str, Guard)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(key, kind, guard)| ((*key).to_owned(), (*kind).to_owned(), guard.clone()))
        .collect();
    assert_eq!(told(effects), expected);
}

#[test]
fn every_key_that_was_touched_is_written_or_removed() {
    let images = [
        None,
        Some(image("x", "a", "0001")),
        Some(image("y", "b", "0002")),
        Some(image("x", "c", "0003")),
        Some(image("z", "d", "0003")),
    ];
    let guard = Guard::NotNewer(v("0003"));
    is(
        &history(&timestamps(), &images),
        &[
            ("x", "remove 0003", guard.clone()),
            ("y", "remove 0003", guard.clone()),
            ("z", "put d", guard),
        ],
    );
}

#[test]
fn a_removal_has_the_highest_version_of_both_images() {
    let plan = timestamps();
    let gone = [Some(image("x", "a", "0005")), None];
    is(
        &history(&plan, &gone),
        &[("x", "remove 0005", Guard::NotNewer(v("0005")))],
    );
    let moved = [Some(image("x", "a", "0005")), Some(elsewhere("0007"))];
    is(
        &history(&plan, &moved),
        &[("x", "remove 0007", Guard::NotNewer(v("0007")))],
    );
}

#[test]
fn what_changes_nothing_that_is_kept_is_saved() {
    for plan in [timestamps(), sequences()] {
        let same = [Some(image("x", "a", "0001")), Some(image("x", "a", "0002"))];
        let found = history(&plan, &same);
        assert!(found.unchanged && found.writes.is_empty());
        // Back to what it was is not the same: a page may hold what was between.
        let back = [
            Some(image("x", "a", "0001")),
            Some(image("x", "b", "0002")),
            Some(image("x", "a", "0003")),
        ];
        let found = history(&plan, &back);
        assert_eq!((found.unchanged, found.writes.len()), (false, 1));
        // What never belonged to the service is not counted as unchanged.
        let other = [Some(elsewhere("0001")), Some(elsewhere("0002"))];
        assert_eq!(history(&plan, &other), Effects::default());
    }
}

#[test]
fn an_invalid_new_image_removes_the_former_key_and_is_reported() {
    let plan = timestamps();
    let broken = history(&plan, &[Some(image("x", "a", "0001")), Some(invalid("0002"))]);
    is(&broken, &[("x", "remove 0002", Guard::NotNewer(v("0002")))]);
    assert!(broken.complaint.unwrap().reason.contains("slot"));
    // Still broken: nothing to remove any more, and still a dead letter.
    let still = history(&plan, &[Some(invalid("0002")), Some(invalid("0003"))]);
    assert!(still.complaint.is_some() && still.writes.is_empty() && !still.unchanged);
    // Repaired: only the last image counts.
    let repaired = history(
        &plan,
        &[
            Some(image("x", "a", "0001")),
            Some(invalid("0002")),
            Some(image("x", "a", "0003")),
        ],
    );
    is(&repaired, &[("x", "put a", Guard::NotNewer(v("0003")))]);
    assert_eq!(repaired.complaint, None);
    // An old image that can't be shaped holds back nothing.
    let late = history(&plan, &[Some(invalid("0002")), Some(image("x", "a", "0002"))]);
    is(&late, &[("x", "put a", Guard::NotNewer(v("0002")))]);
}

#[test]
fn a_timestamp_that_goes_backwards_keeps_stream_order_and_is_told() {
    let plan = timestamps();
    let found = history(
        &plan,
        &[Some(image("x", "a", "0005")), Some(image("y", "a", "0003"))],
    );
    assert!(found.backwards);
    is(
        &found,
        &[("x", "remove 0005", Guard::Any), ("y", "put a", Guard::Any)],
    );
    // Not unchanged either, though nothing that is kept changed: a page with the higher timestamp may hold more.
    let hidden = history(
        &plan,
        &[Some(image("x", "a", "0005")), Some(image("x", "a", "0003"))],
    );
    assert!(hidden.backwards && hidden.writes.len() == 1);
    // Across a delete, within one batch.
    let resend = history(
        &plan,
        &[Some(image("x", "a", "0005")), None, Some(image("x", "a", "0003"))],
    );
    assert!(resend.backwards);
    // A tie is a later write, and an image of others is nobody's business.
    assert!(
        !history(
            &plan,
            &[Some(image("x", "a", "0005")), Some(image("x", "b", "0005"))]
        )
        .backwards
    );
    assert_eq!(
        history(&plan, &[Some(elsewhere("0005")), Some(elsewhere("0003"))]),
        Effects::default()
    );
}

#[test]
fn without_a_timestamp_stream_order_decides() {
    let plan = timestamps();
    let bare = |body| {
        let mut image = image("x", body, "");
        image.remove("at");
        image
    };
    is(
        &history(&plan, &[Some(bare("a")), Some(bare("b"))]),
        &[("x", "put b", Guard::Any)],
    );
    is(
        &history(&plan, &[Some(bare("a")), None]),
        &[("x", "remove None", Guard::Any)],
    );
    is(&of(&plan, &[page(bare("a"))]), &[("x", "put a", Guard::Absent)]);
    // In the middle of a group it takes nothing from the highest.
    let images = [Some(image("x", "a", "0004")), Some(bare("b")), None];
    is(
        &history(&plan, &images),
        &[("x", "remove 0004", Guard::NotNewer(v("0004")))],
    );
}

#[test]
fn the_tail_stamps_what_it_writes_and_a_page_does_not() {
    let plan = sequences();
    let images = [
        None,
        Some(image("x", "a", "9")),
        Some(image("y", "b", "1")),
        Some(image("y", "c", "5")),
    ];
    let stamp = crate::flow::stamp(1, &crate::model::SequenceNumber::new("3"));
    let found = history(&plan, &images);
    assert!(!found.backwards);
    assert!(
        found
            .writes
            .iter()
            .all(|write| write.guard == Guard::NotNewer(stamp.clone()))
    );
    let WriteKind::Remove(version) = &found.writes[0].kind else {
        panic!("x is removed");
    };
    assert_eq!(version.as_ref(), Some(&stamp));
    let WriteKind::Put(put) = &found.writes[1].kind else {
        panic!("y is put");
    };
    assert_eq!(put[VERSION_ATTRIBUTE], stamp.to_value());
    let found = of(&plan, &[page(image("x", "a", "9"))]);
    is(&found, &[("x", "put a", Guard::Absent)]);
    let WriteKind::Put(put) = &found.writes[0].kind else {
        panic!("x is put");
    };
    assert!(!put.contains_key(VERSION_ATTRIBUTE));
}

#[test]
fn a_page_is_guarded_by_its_own_timestamp() {
    let plan = timestamps();
    let found = of(&plan, &[page(image("x", "a", "0004"))]);
    is(&found, &[("x", "put a", Guard::Older(v("0004")))]);
    assert_eq!(of(&plan, &[page(elsewhere("0004"))]), Effects::default());
    let invalid = of(&plan, &[page(invalid("0004"))]);
    assert!(invalid.complaint.is_some() && invalid.writes.is_empty());
}

#[test]
fn a_page_of_a_bulk_copy_needs_no_guard() {
    let mut change = (*page(image("x", "a", "0004"))).clone();
    change.origin = Origin::Bulk;
    let change = Arc::new(change);
    for plan in [timestamps(), sequences()] {
        let found = of(&plan, std::slice::from_ref(&change));
        is(&found, &[("x", "put a", Guard::Any)]);
    }
}

#[test]
fn a_stale_page_may_land_at_every_key_that_an_image_has() {
    let plan = timestamps();
    let images = [
        Some(image("x", "a", "0001")),
        Some(elsewhere("0002")),
        Some(image("y", "a", "0003")),
        Some(invalid("0004")),
        Some(image("x", "b", "0005")),
        None,
    ];
    let group = coalesce(&records(&images)).remove(0);
    assert_eq!(
        touched(&plan.services[0], &plan.versions, &group),
        [key("x"), key("y")]
    );
}

#[test]
fn a_source_item_with_a_reserved_name_is_a_dead_letter() {
    for name in [VERSION_ATTRIBUTE, TOMBSTONE_ATTRIBUTE, "dynasplit:else"] {
        let mut odd = image("x", "a", "0002");
        odd.insert(name.into(), Value::Bool(true));
        let found = history(&timestamps(), &[Some(image("x", "a", "0001")), Some(odd)]);
        is(&found, &[("x", "remove 0002", Guard::NotNewer(v("0002")))]);
        assert!(found.complaint.unwrap().reason.contains(name));
    }
}

#[test]
fn nothing_comes_of_nothing() {
    let plan = timestamps();
    let group = Group {
        key: key("x"),
        changes: vec![],
    };
    assert_eq!(
        effects(&plan.services[0], &plan.versions, &group),
        Effects::default()
    );
    assert_eq!(history(&plan, &[None, None]), Effects::default());
}

#[test]
fn a_batch_is_grouped_by_key_and_each_group_keeps_its_order() {
    let change = |partition: Value, sequence| {
        let mut change = (*record(sequence, None, None)).clone();
        change.key = Key {
            partition,
            sort: None,
        };
        Arc::new(change)
    };
    let number = |text| Value::N(crate::model::Number::parse(text).unwrap());
    let batch = [
        change(number("1"), 1),
        change(Value::s("1"), 2),
        change(number("1.0"), 3),
        change(Value::B(b"1".to_vec()), 4),
        change(Value::s("1"), 5),
    ];
    let groups = coalesce(&batch);
    let members: Vec<Vec<usize>> = groups
        .iter()
        .map(|group| {
            let place = |change| batch.iter().position(|each| Arc::ptr_eq(each, change)).unwrap();
            group.changes.iter().map(place).collect()
        })
        .collect();
    assert_eq!(members, [vec![0, 2], vec![1, 4], vec![3]]);
}

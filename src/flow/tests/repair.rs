//! What brings a key in order, by what was read on both sides.

use super::{item, key, plan};
use crate::flow::{Desired, Guard, VersionFields, Write, WriteKind, is_newer, repair, tombstone};
use crate::model::{Item, VERSION_ATTRIBUTE, Value, Version};
use crate::plan::{Plan, Versions};

fn plans() -> [Plan; 2] {
    let table = "    table: { name: Mine, keys: { partition: id } }\n";
    [plan("{ attribute: at, type: N }", table), plan("none", table)]
}

fn held(body: &str, reserved: Option<&str>) -> Item {
    let mut held = item([
        ("id", Value::s("x")),
        ("body", Value::s(body)),
        ("at", Value::N(7.into())),
    ]);
    held.extend(reserved.map(|stamp| (VERSION_ATTRIBUTE.to_owned(), Value::s(stamp))));
    held
}

fn wanted(body: &str) -> Desired {
    Desired {
        key: key("x"),
        item: held(body, None),
    }
}

fn repaired(plan: &Plan, held: Option<Item>, wanted: Option<Desired>) -> Option<Write> {
    let fields: VersionFields = plan.services[0].version_fields(&plan.versions);
    repair(&plan.versions, &fields, &key("x"), held, wanted)
}

fn write(kind: WriteKind, guard: Guard) -> Option<Write> {
    Some(Write {
        key: key("x"),
        kind,
        guard,
    })
}

fn unchanged(item: Item) -> Guard {
    Guard::Unchanged(Box::new(item))
}

#[test]
fn sides_that_agree_are_left_alone() {
    for plan in plans() {
        assert_eq!(repaired(&plan, None, None), None);
        assert_eq!(repaired(&plan, Some(held("a", None)), Some(wanted("a"))), None);
        // A stamp is the tail's, and right; a hidden timestamp that the source does not show is wrong.
        let stamped = repaired(&plan, Some(held("a", Some("5"))), Some(wanted("a")));
        assert_eq!(stamped.is_none(), matches!(plan.versions, Versions::Sequence));
        let tombstone = tombstone(item([("id", Value::s("x"))]), None);
        assert_eq!(
            repaired(&plan, Some(tombstone), None),
            None,
            "a tombstone is nothing"
        );
    }
}

#[test]
fn what_is_missing_is_put_where_nothing_stands() {
    for plan in plans() {
        let put = write(WriteKind::Put(held("a", None)), Guard::Absent);
        assert_eq!(repaired(&plan, None, Some(wanted("a"))), put);
        // Nothing is written over a tombstone, whatever version it has.
        let tombstone = tombstone(held("a", None), Some(&Version::Number(1.into())));
        assert_eq!(repaired(&plan, Some(tombstone), Some(wanted("a"))), put);
    }
}

#[test]
fn what_is_too_much_is_removed_with_the_version_that_it_shows() {
    let [timestamps, sequences] = plans();
    let number = || Some(Version::Number(7.into()));
    let stamp = || Some(Version::Text("5".into()));
    for (plan, held, version) in [
        (&timestamps, held("a", None), number()),
        (&timestamps, held("a", Some("5")), stamp()),
        (&sequences, held("a", Some("5")), stamp()),
        (&sequences, held("a", None), None),
    ] {
        let removed = write(WriteKind::Remove(version), unchanged(held.clone()));
        assert_eq!(repaired(plan, Some(held), None), removed);
    }
    // What is wanted elsewhere is not wanted here.
    let elsewhere = Desired {
        key: key("y"),
        ..wanted("a")
    };
    let removed = write(WriteKind::Remove(number()), unchanged(held("a", None)));
    assert_eq!(
        repaired(&timestamps, Some(held("a", None)), Some(elsewhere)),
        removed
    );
}

#[test]
fn what_differs_is_put_over_what_was_read() {
    let [timestamps, sequences] = plans();
    for (plan, stood, put) in [
        (&timestamps, held("b", None), held("a", None)),
        (&timestamps, held("b", Some("5")), held("a", None)),
        (&sequences, held("b", None), held("a", None)),
        // Older records that are read again must still lose.
        (&sequences, held("b", Some("5")), held("a", Some("5"))),
    ] {
        let expected = write(WriteKind::Put(put), unchanged(stood.clone()));
        assert_eq!(repaired(plan, Some(stood), Some(wanted("a"))), expected);
    }
}

/// A stale page with a later timestamp landed, and what readers see happens to be right.
#[test]
fn a_hidden_timestamp_that_is_too_high_is_repaired() {
    let shape = "    table: { name: Mine, keys: { partition: id } }\n    transform: { drop: [at] }\n";
    let [timed, stamped] = ["{ attribute: at, type: N }", "none"].map(|timestamp| plan(timestamp, shape));
    let hidden = |version: i64| {
        item([
            ("id", Value::s("x")),
            (VERSION_ATTRIBUTE, Value::N(version.into())),
        ])
    };
    let of = |plan: &Plan, version| {
        let wanted = Desired {
            key: key("x"),
            item: hidden(3),
        };
        repaired(plan, Some(hidden(version)), Some(wanted))
    };
    assert_eq!(of(&timed, 3), None);
    assert_eq!(
        of(&timed, 4),
        write(WriteKind::Put(hidden(3)), unchanged(hidden(4)))
    );
    assert_eq!(of(&stamped, 4), None, "stamps are the tail's");
}

#[test]
fn only_a_higher_timestamp_shows_that_something_else_wrote_the_target() {
    let [timestamps, sequence] = plans();
    let newer = |plan: &Plan, held: &Item, wanted: &Item| {
        let fields = plan.services[0].version_fields(&plan.versions);
        is_newer(&plan.versions, &fields, held, wanted)
    };
    let at = |at: i64| item([("id", Value::s("x")), ("at", Value::N(at.into()))]);
    assert!(newer(&timestamps, &at(8), &at(7)));
    assert!(!newer(&timestamps, &at(7), &at(7)));
    assert!(!newer(&timestamps, &at(6), &at(7)));
    let without = item([("id", Value::s("x"))]);
    assert!(!newer(&timestamps, &without, &at(7)) && !newer(&timestamps, &at(7), &without));
    assert!(
        !newer(&sequence, &at(8), &at(7)),
        "the source shows no sequence number"
    );
}

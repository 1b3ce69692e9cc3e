//! Every reason why a change of a target cannot be carried back.

use super::back::{back, copy, course, courses, found, id, key, new, plan, put, refused, with};
use super::item;
use crate::flow::{Fault, NoWayBack, SourceWriteKind, TargetChange, WayBack, tombstone};
use crate::model::{Item, ItemExt, Key, MAX_ITEM_BYTES, Value};
use crate::plan::Plan;

#[test]
fn a_removal_that_leaves_the_item_with_the_service_is_refused() {
    let plan = courses("    owns: { attributes: [title] }\n");
    let key = id("1");
    let reason = refused(&plan, TargetChange::Delete(&key), Some(&course()));
    assert_eq!(reason, NoWayBack::StillRouted);
}

#[test]
fn a_service_that_owns_nothing_writes_nothing_back() {
    let plan = courses("    owns: nothing\n");
    let key = id("1");
    for change in [put(&copy()), new(&copy()), TargetChange::Delete(&key)] {
        assert_eq!(refused(&plan, change, Some(&course())), NoWayBack::OwnsNothing);
        assert_eq!(back(&plan).source_key(change), Err(NoWayBack::OwnsNothing));
    }
}

#[test]
fn keys_that_lead_nowhere_are_refused() {
    let plan = courses("");
    let without = item([("title", Value::s("t"))]);
    assert_eq!(refused(&plan, put(&without), None), NoWayBack::NoKey);
    // The prefix does not fit beside so long a key.
    let long = with(&copy(), [("courseId", Value::s("x".repeat(2048)))]);
    let expected = NoWayBack::KeyTooLong {
        attribute: "PK".into(),
        bytes: 2055,
        limit: 2048,
    };
    assert_eq!(refused(&plan, new(&long), None), expected);
    let fits = with(&copy(), [("courseId", Value::s("x".repeat(2041)))]);
    assert!(matches!(
        found(&plan, new(&fits), None),
        SourceWriteKind::Create(_)
    ));
    // Another source item than the one that is asked for.
    let other = with(&course(), [("PK", Value::s("COURSE#2"))]);
    let expected = NoWayBack::OtherItem {
        key: key("COURSE#1", "INFO"),
    };
    assert_eq!(refused(&plan, put(&copy()), Some(&other)), expected);
    let vouched = plan_of_vouched();
    assert_eq!(
        refused(&vouched, put(&copy()), Some(&course())),
        NoWayBack::NotProven
    );
}

fn plan_of_vouched() -> Plan {
    plan(
        "    where: begins_with(PK, 'COURSE#')
    table: { name: Courses, keys: { partition: courseId } }
    transform:
      keys: { from: { PK: 'COURSE#{c}' }, to: { courseId: '{c}' }, vouch: there is one for each course }
",
    )
}

#[test]
fn sort_keys_are_taken_apart_as_the_templates_say() {
    let plan = plan(
        "    where: begins_with(PK, 'COURSE#') AND begins_with(SK, 'MODULE#')
    table: { name: Content, keys: { partition: courseId, sort: place } }
    transform:
      keys:
        from: { PK: 'COURSE#{c}', SK: 'MODULE#{m}#CONTENT#{n}' }
        to: { courseId: '{c}', place: '{m}#CONTENT#{n}' }
      drop: [PK, SK]
",
    );
    let target = item([
        ("courseId", Value::s("a#b")),
        ("place", Value::s("m#CONTENT#x#CONTENT#y")),
    ]);
    let write = back(&plan).write(new(&target), None).unwrap().unwrap();
    assert_eq!(write.key, key("COURSE#a#b", "MODULE#m#CONTENT#x#CONTENT#y"));
    let nowhere = with(&target, [("place", Value::s("m"))]);
    let expected = NoWayBack::NoSourceKey {
        key: Key {
            partition: Value::s("a#b"),
            sort: Some(Value::s("m")),
        },
    };
    assert_eq!(refused(&plan, new(&nowhere), None), expected);
    // The delete of such an item has nothing to take back.
    let gone = plan.services[0].keys.key_of(&nowhere).unwrap();
    assert_eq!(back(&plan).write(TargetChange::Delete(&gone), None), Ok(None));
}

#[test]
fn a_source_item_that_is_gone_or_another_is_not_written() {
    let plan = courses("");
    // Its dropped attributes are gone with it.
    assert_eq!(refused(&plan, put(&copy()), None), NoWayBack::Gone);
    let lesson = with(&course(), [("type", Value::s("Lesson"))]);
    for change in [put(&copy()), new(&copy())] {
        assert_eq!(refused(&plan, change, Some(&lesson)), NoWayBack::Occupied);
    }
}

#[test]
fn attributes_without_a_place_in_the_source_are_refused() {
    let no_place = |plan: &Plan, name: &str| {
        let target = with(&copy(), [(name, Value::s("x"))]);
        let attribute = name.to_owned();
        assert_eq!(
            refused(plan, put(&target), Some(&course())),
            NoWayBack::NoPlace { attribute }
        );
    };
    let dropping = courses("");
    // What is dropped, what is renamed away, and what belongs to the split.
    for name in ["type", "editor", "desc", "PK", "dynasplit:other"] {
        no_place(&dropping, name);
    }
    let keeping = plan(
        "    where: begins_with(PK, 'COURSE#') AND SK = 'INFO'
    table: { name: Courses, keys: { partition: courseId } }
    transform:
      keys: { from: { PK: 'COURSE#{c}' }, to: { courseId: '{c}' } }
      keep: [title, desc]
      rename: { desc: description }
",
    );
    no_place(&keeping, "level");
}

#[test]
fn a_copy_of_the_source_key_must_be_the_source_key() {
    let plan = plan(
        "    where: begins_with(PK, 'COURSE#') AND SK = 'INFO'
    table: { name: Courses, keys: { partition: courseId } }
    transform:
      keys: { from: { PK: 'COURSE#{c}' }, to: { courseId: '{c}' } }
      drop: [type, editor, desc]
      rename: { SK: part }
",
    );
    let whole = item([
        ("courseId", Value::s("1")),
        ("PK", Value::s("COURSE#1")),
        ("part", Value::s("INFO")),
        ("title", Value::s("t")),
    ]);
    assert_eq!(back(&plan).write(put(&whole), Some(&course())), Ok(None));
    assert!(matches!(
        found(&plan, new(&whole), None),
        SourceWriteKind::Create(_)
    ));
    let differs = |target: &Item, name: &str| {
        let attributes = vec![name.to_owned()];
        let expected = NoWayBack::Differs { attributes };
        assert_eq!(refused(&plan, put(target), Some(&course())), expected);
        assert_eq!(refused(&plan, new(target), None), expected);
    };
    differs(&with(&whole, [("PK", Value::s("COURSE#2"))]), "PK");
    differs(&with(&whole, [("part", Value::s("x"))]), "part");
    let mut without = whole.clone();
    without.remove("PK");
    differs(&without, "PK");
}

#[test]
fn an_item_that_where_does_not_match_any_more_is_refused() {
    let plan = plan(
        "    where: begins_with(PK, 'COURSE#') AND SK = 'INFO' AND info.state <> 'draft'
    table: { name: Courses, keys: { partition: courseId } }
    transform:
      keys: { from: { PK: 'COURSE#{c}' }, to: { courseId: '{c}' } }
      drop: [PK, SK, type, editor]
",
    );
    let info = |state: &str| Value::M([("state".to_owned(), Value::s(state))].into());
    let source = with(&course(), [("info", info("open"))]);
    let target = with(&copy(), [("info", info("done"))]);
    assert!(matches!(
        found(&plan, put(&target), Some(&source)),
        SourceWriteKind::Update { .. }
    ));
    let draft = with(&copy(), [("info", info("draft"))]);
    assert_eq!(refused(&plan, put(&draft), Some(&source)), NoWayBack::NotRouted);
    assert_eq!(refused(&plan, new(&draft), None), NoWayBack::NotRouted);
}

#[test]
fn an_item_that_could_not_be_copied_again_is_refused() {
    let plan = plan(
        "    where: begins_with(PK, 'A')
    table:
      name: Tab
      keys: { partition: PK, sort: SK }
      global-indexes: [{ name: by-state, keys: { partition: state } }]
",
    );
    let source = item([("PK", Value::s("A")), ("SK", Value::s("s"))]);
    let target = with(&source, [("state", Value::Null)]);
    let reason = refused(&plan, put(&target), Some(&source));
    assert!(
        matches!(&reason, NoWayBack::Fault(Fault::IndexKey { .. })),
        "{reason}"
    );
}

#[test]
fn the_source_item_must_fit_with_the_mark() {
    let plan = courses("");
    // What the target does not hold makes the source item the larger one.
    let current = with(&course(), [("editor", Value::s("x".repeat(300)))]);
    let fill = |bytes: usize| with(&copy(), [("pad", Value::s("x".repeat(bytes)))]);
    let bare = with(&current, [("pad", Value::s(""))]).size();
    let fits = fill(MAX_ITEM_BYTES - bare);
    let of = |mark_bytes: usize, target: &Item| {
        let way = WayBack {
            mark_bytes,
            ..back(&plan)
        };
        way.write(put(target), Some(&current))
    };
    assert!(of(0, &fits).is_ok());
    let expected = NoWayBack::TooLarge {
        bytes: MAX_ITEM_BYTES + 1,
        own: 1,
    };
    assert_eq!(of(1, &fits), Err(expected));
    let expected = NoWayBack::TooLarge {
        bytes: MAX_ITEM_BYTES + 1,
        own: 0,
    };
    assert_eq!(of(0, &fill(MAX_ITEM_BYTES - bare + 1)), Err(expected));
    // What changes nothing needs no room.
    assert_eq!(of(MAX_ITEM_BYTES, &copy()), Ok(None));
}

#[test]
fn each_reason_reads_well_and_tells_no_values() {
    let attributes = || vec!["a".to_owned(), "b".to_owned()];
    for (reason, text) in [
        (NoWayBack::Gone, "the source has no such item"),
        (
            NoWayBack::Differs {
                attributes: attributes(),
            },
            "differs in: a, b",
        ),
        (
            NoWayBack::NotOwned {
                attributes: attributes(),
            },
            "does not own: a, b",
        ),
        (
            NoWayBack::NoSourceKey { key: id("x") },
            "the target key x matches no key template",
        ),
        (
            NoWayBack::Fault(Fault::Reserved {
                attribute: "a".into(),
            }),
            "copied to the target again: the attribute 'a'",
        ),
    ] {
        assert!(reason.to_string().contains(text), "{reason}");
    }
}

#[test]
fn a_tombstone_that_the_split_made_is_a_delete() {
    let plan = courses("");
    let dead = tombstone(plan.services[0].keys.item_of(&id("1")), None);
    assert_eq!(
        back(&plan)
            .write(put(&dead), Some(&course()))
            .unwrap()
            .unwrap()
            .kind,
        SourceWriteKind::Delete
    );
}

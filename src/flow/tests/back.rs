//! The way back: what each change of a target does to the source, and every reason why one cannot be carried back.

use super::item;
use crate::flow::{
    Fault, NoWayBack, SourceWrite, SourceWriteKind, TargetChange, WayBack, desired, tombstone,
};
use crate::model::{Item, ItemExt, Key, MAX_ITEM_BYTES, VERSION_ATTRIBUTE, Value};
use crate::plan::Plan;
use std::collections::BTreeSet;

/// A plan of one service, whose lines these are.
#[track_caller]
fn plan(service: &str) -> Plan {
    let text = format!(
        "version: 1\nsplit: s\nsource: {{ table: Old, keys: {{ partition: PK, sort: SK }} }}\n\
         timestamp: none\nunrouted: fail\nservices:\n  - name: mine\n{service}"
    );
    Plan::parse(&text, "p").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Courses: keys are made, `type` and `editor` are dropped, `desc` is renamed.
fn courses(more: &str) -> Plan {
    plan(&format!(
        "    where: begins_with(PK, 'COURSE#') AND SK = 'INFO' AND type = 'Course'
    table: {{ name: Courses, keys: {{ partition: courseId }} }}
    transform:
      keys: {{ from: {{ PK: 'COURSE#{{c}}' }}, to: {{ courseId: '{{c}}' }} }}
      drop: [PK, SK, type, editor]
      rename: {{ desc: description }}
{more}"
    ))
}

fn back(plan: &Plan) -> WayBack<'_> {
    WayBack {
        service: &plan.services[0],
        source: &plan.source.keys,
        versions: &plan.versions,
        mark_bytes: 0,
    }
}

fn with<const N: usize>(base: &Item, more: [(&str, Value); N]) -> Item {
    let mut all = base.clone();
    all.extend(item(more));
    all
}

fn key(pk: &str, sk: &str) -> Key {
    Key {
        partition: Value::s(pk),
        sort: Some(Value::s(sk)),
    }
}

fn id(text: &str) -> Key {
    Key {
        partition: Value::s(text),
        sort: None,
    }
}

/// What the monolith wrote.
fn course() -> Item {
    item([
        ("PK", Value::s("COURSE#1")),
        ("SK", Value::s("INFO")),
        ("type", Value::s("Course")),
        ("editor", Value::s("ann")),
        ("desc", Value::s("old")),
        ("title", Value::s("t")),
    ])
}

/// What its target holds.
fn copy() -> Item {
    item([
        ("courseId", Value::s("1")),
        ("description", Value::s("old")),
        ("title", Value::s("t")),
    ])
}

fn put(item: &Item) -> TargetChange<'_> {
    TargetChange::Put { item, is_new: false }
}

fn new(item: &Item) -> TargetChange<'_> {
    TargetChange::Put { item, is_new: true }
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// A write that was found, which makes the source say what the target says.
#[track_caller]
fn found(plan: &Plan, change: TargetChange<'_>, current: Option<&Item>) -> SourceWriteKind {
    let write: SourceWrite = back(plan).write(change, current).unwrap().unwrap();
    assert_eq!(back(plan).source_key(change), Ok(Some(write.key.clone())));
    if let (TargetChange::Put { item, .. }, Some(merged)) = (change, write.merged(current)) {
        // The marks of a cutover are the split's own.
        let visible = merged
            .into_iter()
            .filter(|(name, _)| !name.starts_with("dynasplit:") && !name.starts_with("aws:rep:"));
        let said = desired(&plan.services[0], &plan.versions, &visible.collect());
        let said = said.unwrap().unwrap();
        assert_eq!(&said.item, item);
    }
    write.kind
}

#[track_caller]
fn refused(plan: &Plan, change: TargetChange<'_>, current: Option<&Item>) -> NoWayBack {
    back(plan).write(change, current).unwrap_err()
}

#[test]
fn what_did_not_change_changes_nothing() {
    let plan = courses("");
    assert_eq!(
        desired(&plan.services[0], &plan.versions, &course())
            .unwrap()
            .unwrap()
            .item,
        copy()
    );
    assert_eq!(back(&plan).write(put(&copy()), Some(&course())), Ok(None));
    // The split's own attributes say nothing, on either side.
    let stamped = with(&copy(), [(VERSION_ATTRIBUTE, Value::s("7"))]);
    let marked = with(&course(), [("dynasplit:mark", Value::s("7"))]);
    assert_eq!(back(&plan).write(put(&stamped), Some(&marked)), Ok(None));
    // Nor do the attributes of a global table.
    let replicated = with(&copy(), [("aws:rep:updateregion", Value::s("eu"))]);
    assert_eq!(back(&plan).write(put(&replicated), Some(&course())), Ok(None));
}

#[test]
fn an_update_changes_what_is_copied_and_nothing_else() {
    let plan = courses("");
    let mut changed = with(
        &copy(),
        [("description", Value::s("new")), ("level", Value::N(2.into()))],
    );
    changed.remove("title");
    let kind = found(&plan, put(&changed), Some(&course()));
    let expected = SourceWriteKind::Update {
        set: item([("desc", Value::s("new")), ("level", Value::N(2.into()))]),
        remove: names(&["title"]),
    };
    assert_eq!(kind, expected);
    let marked = with(
        &course(),
        [("dynasplit:mark", Value::s("7")), ("aws:rep:x", Value::Null)],
    );
    assert_eq!(
        found(&plan, put(&changed), Some(&marked)),
        expected,
        "neither is touched"
    );
}

#[test]
fn documents_and_sets_are_carried_whole() {
    let plan = courses("");
    let tags = Value::string_set(vec!["b".into(), "a".into()]);
    let lines = Value::L(vec![
        Value::M([("x".to_owned(), Value::Null)].into()),
        Value::B(vec![0]),
    ]);
    let target = with(&copy(), [("tags", tags.clone()), ("lines", lines.clone())]);
    let source = with(&course(), [("tags", tags)]);
    let SourceWriteKind::Update { set, remove } = found(&plan, put(&target), Some(&source)) else {
        panic!("an update");
    };
    assert_eq!((set, remove), (item([("lines", lines)]), names(&[])));
}

#[test]
fn a_new_item_gets_its_key_its_constants_and_what_the_target_has() {
    let plan = courses("    reverse: { set: { editor: nobody } }\n");
    let target = with(&copy(), [("courseId", Value::s("9"))]);
    let expected = item([
        ("PK", Value::s("COURSE#9")),
        ("SK", Value::s("INFO")),
        ("type", Value::s("Course")),
        ("editor", Value::s("nobody")),
        ("desc", Value::s("old")),
        ("title", Value::s("t")),
    ]);
    assert_eq!(
        found(&plan, new(&target), None),
        SourceWriteKind::Create(expected)
    );
    // An item that is there already keeps its own.
    let SourceWriteKind::Update { set, .. } = found(
        &plan,
        new(&with(&copy(), [("title", Value::s("u"))])),
        Some(&course()),
    ) else {
        panic!("an update");
    };
    assert_eq!(set, item([("title", Value::s("u"))]));
}

#[test]
fn a_delete_deletes_what_the_service_owns() {
    let plan = courses("");
    let key_of_copy = id("1");
    let delete = TargetChange::Delete(&key_of_copy);
    assert_eq!(found(&plan, delete, Some(&course())), SourceWriteKind::Delete);
    assert_eq!(back(&plan).write(delete, None), Ok(None), "it is gone already");
    // What is under the key belongs to another kind of items: it means no target item, and stays.
    let other = with(&course(), [("type", Value::s("Lesson"))]);
    assert_eq!(back(&plan).write(delete, Some(&other)), Ok(None));
    // An item that could never be written back leaves nothing behind when it goes.
    let long = id(&"x".repeat(2048));
    assert_eq!(back(&plan).source_key(TargetChange::Delete(&long)), Ok(None));
    assert_eq!(back(&plan).write(TargetChange::Delete(&long), None), Ok(None));
}

#[test]
fn a_name_that_two_attributes_may_have_stays_what_it_was() {
    // `description` of the target is `desc` of the source, or `description` itself.
    let plan = courses("");
    let mut source = with(&course(), [("description", Value::s("own"))]);
    source.remove("desc");
    let target = with(&copy(), [("description", Value::s("own"))]);
    assert_eq!(back(&plan).write(put(&target), Some(&source)), Ok(None));
    let target = with(&copy(), [("description", Value::s("new"))]);
    let SourceWriteKind::Update { set, remove } = found(&plan, put(&target), Some(&source)) else {
        panic!("an update");
    };
    assert_eq!(
        (set, remove),
        (item([("description", Value::s("new"))]), names(&[]))
    );
    // With both, the item could not be copied at all; what the target says decides.
    let both = with(&course(), [("description", Value::s("own"))]);
    assert!(desired(&plan.services[0], &plan.versions, &both).is_err());
    let SourceWriteKind::Update { set, remove } = found(&plan, put(&target), Some(&both)) else {
        panic!("an update");
    };
    assert_eq!(
        (set, remove),
        (item([("desc", Value::s("new"))]), names(&["description"]))
    );
}

#[test]
fn names_that_change_places_change_them_back() {
    let plan = plan(
        "    where: begins_with(PK, 'A')\n    table: { name: Tab, keys: { partition: PK, sort: SK } }\n    \
         transform: { rename: { a: b, b: a } }\n",
    );
    let source = item([
        ("PK", Value::s("A")),
        ("SK", Value::s("s")),
        ("a", Value::s("1")),
        ("b", Value::s("2")),
    ]);
    let target = with(&source, [("a", Value::s("3")), ("b", Value::s("1"))]);
    let SourceWriteKind::Update { set, remove } = found(&plan, put(&target), Some(&source)) else {
        panic!("an update");
    };
    assert_eq!((set, remove), (item([("b", Value::s("3"))]), names(&[])));
}

#[test]
fn a_made_key_that_the_source_holds_too_stays() {
    let plan = courses("");
    let source = with(&course(), [("courseId", Value::s("1"))]);
    assert_eq!(back(&plan).write(put(&copy()), Some(&source)), Ok(None));
    // With another value the item could not be copied; it goes away.
    let wrong = with(&course(), [("courseId", Value::s("2"))]);
    assert!(desired(&plan.services[0], &plan.versions, &wrong).is_err());
    let SourceWriteKind::Update { set, remove } = found(&plan, put(&copy()), Some(&wrong)) else {
        panic!("an update");
    };
    assert_eq!((set, remove), (Item::new(), names(&["courseId"])));
}

#[test]
fn a_service_that_owns_attributes_changes_only_those() {
    let plan = courses_with_mail("    owns: { attributes: [mail] }\n");
    let person = with(&course(), [("mail", Value::s("m"))]);
    let target = with(&copy(), [("mail", Value::s("m"))]);
    assert_eq!(back(&plan).write(put(&target), Some(&person)), Ok(None));
    let changed = with(&target, [("mail", Value::s("n"))]);
    let expected = SourceWriteKind::Update {
        set: item([("mail", Value::s("n"))]),
        remove: names(&[]),
    };
    assert_eq!(found(&plan, put(&changed), Some(&person)), expected);
    // A change of anything else is refused, whether or not it owns a part of the change.
    for (base, attributes) in [(&target, ["title"]), (&changed, ["title"])] {
        let foreign = with(base, [("title", Value::s("x"))]);
        let attributes = attributes.map(str::to_owned).to_vec();
        assert_eq!(
            refused(&plan, put(&foreign), Some(&person)),
            NoWayBack::NotOwned { attributes }
        );
    }
    // A delete takes what it owns. Then `where` does not match, and the target has no item.
    let (key, expected) = (
        id("1"),
        SourceWriteKind::Update {
            set: Item::new(),
            remove: names(&["mail"]),
        },
    );
    assert_eq!(found(&plan, TargetChange::Delete(&key), Some(&person)), expected);
    assert_eq!(
        back(&plan).write(TargetChange::Delete(&key), Some(&course())),
        Ok(None)
    );
    // It can come back, but the service makes no item.
    let expected = SourceWriteKind::Update {
        set: item([("mail", Value::s("n"))]),
        remove: names(&[]),
    };
    assert_eq!(found(&plan, new(&changed), Some(&course())), expected);
    assert_eq!(refused(&plan, new(&changed), None), NoWayBack::Gone);
}

/// Courses that somebody can write to.
fn courses_with_mail(more: &str) -> Plan {
    plan(&format!(
        "    where: begins_with(PK, 'COURSE#') AND SK = 'INFO' AND attribute_exists(mail)
    table: {{ name: Courses, keys: {{ partition: courseId }} }}
    transform:
      keys: {{ from: {{ PK: 'COURSE#{{c}}' }}, to: {{ courseId: '{{c}}' }} }}
      drop: [PK, SK, type, editor]
      rename: {{ desc: description }}
{more}"
    ))
}

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

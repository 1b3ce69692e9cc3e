//! The way back: what each change of a target does to the source.

use super::item;
use crate::flow::{NoWayBack, SourceWrite, SourceWriteKind, TargetChange, WayBack, desired};
use crate::model::{Item, Key, VERSION_ATTRIBUTE, Value};
use crate::plan::Plan;
use std::collections::BTreeSet;

/// A plan of one service, whose lines these are.
#[track_caller]
pub(super) fn plan(service: &str) -> Plan {
    let text = format!(
        "version: 1\nsplit: s\nsource: {{ table: Old, keys: {{ partition: PK, sort: SK }} }}\n\
         timestamp: none\nunrouted: fail\nservices:\n  - name: mine\n{service}"
    );
    Plan::parse(&text, "p").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Courses: keys are made, `type` and `editor` are dropped, `desc` is renamed.
pub(super) fn courses(more: &str) -> Plan {
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

pub(super) fn back(plan: &Plan) -> WayBack<'_> {
    WayBack {
        service: &plan.services[0],
        source: &plan.source.keys,
        versions: &plan.versions,
        mark_bytes: 0,
    }
}

pub(super) fn with<const N: usize>(base: &Item, more: [(&str, Value); N]) -> Item {
    let mut all = base.clone();
    all.extend(item(more));
    all
}

pub(super) fn key(pk: &str, sk: &str) -> Key {
    Key {
        partition: Value::s(pk),
        sort: Some(Value::s(sk)),
    }
}

pub(super) fn id(text: &str) -> Key {
    Key {
        partition: Value::s(text),
        sort: None,
    }
}

/// What the monolith wrote.
pub(super) fn course() -> Item {
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
pub(super) fn copy() -> Item {
    item([
        ("courseId", Value::s("1")),
        ("description", Value::s("old")),
        ("title", Value::s("t")),
    ])
}

pub(super) fn put(item: &Item) -> TargetChange<'_> {
    TargetChange::Put { item, is_new: false }
}

pub(super) fn new(item: &Item) -> TargetChange<'_> {
    TargetChange::Put { item, is_new: true }
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// A write that was found, which makes the source say what the target says.
#[track_caller]
pub(super) fn found(plan: &Plan, change: TargetChange<'_>, current: Option<&Item>) -> SourceWriteKind {
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
pub(super) fn refused(plan: &Plan, change: TargetChange<'_>, current: Option<&Item>) -> NoWayBack {
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

//! The decision about a reverse write: histories of a target item, repeated in any cut, end in the source that they mean.

use super::back::{back, copy, course, courses, id, with};
use crate::flow::{Back, BackLane, BackWriteKind, Group, Guard, Settled, VersionFields, runs};
use crate::model::cases::cases;
use crate::model::{Change, Images, Item, MarkKind, Origin, ReverseMark, SequenceNumber, Value, strip_marks};
use crate::plan::Plan;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

fn lane(plan: &Plan) -> BackLane<'_> {
    BackLane {
        way: back(plan),
        split: "s",
        epoch: 2,
    }
}

fn record(n: u64, old: Option<&Item>, new: Option<&Item>) -> Arc<Change> {
    Arc::new(Change {
        key: id("1"),
        images: Images {
            old: old.cloned(),
            new: new.cloned(),
        },
        origin: Origin::Tail {
            generation: 1,
            sequence: SequenceNumber::new(&n.to_string()),
        },
    })
}

fn group(changes: &[Arc<Change>]) -> Group {
    Group {
        key: id("1"),
        changes: changes.to_vec(),
    }
}

fn marked(item: &Item, n: u64, kind: MarkKind) -> Item {
    let mark = ReverseMark {
        split: "s".into(),
        epoch: 2,
        generation: 1,
        sequence: SequenceNumber::new(&n.to_string()),
        kind,
    };
    let mut item = item.clone();
    item.insert(ReverseMark::attribute("mine"), mark.to_value());
    item
}

fn titled(title: &str) -> Item {
    with(&copy(), [("title", Value::s(title))])
}

/// Evaluates the condition of a write, which compares what was read.
fn lands(condition: &crate::flow::GuardExpression, held: Option<&Item>) -> bool {
    let held = held.cloned().unwrap_or_default();
    condition.text.split(" AND ").all(|clause| {
        let name = |text: &str| &condition.names[text];
        if let Some(rest) = clause.strip_prefix("attribute_not_exists(") {
            !held.contains_key(name(rest.trim_end_matches(')')))
        } else if let Some(rest) = clause.strip_prefix("attribute_exists(") {
            held.contains_key(name(rest.trim_end_matches(')')))
        } else {
            let (left, right) = clause.split_once(" = ").unwrap();
            held.get(name(left)) == Some(&condition.values[right])
        }
    })
}

/// Carries a group back as the lane does, with at most `steps` writes; the worker dies before the next one.
fn carry(plan: &Plan, group: &Group, source: &mut Option<Item>, mut steps: usize) -> Vec<Back> {
    let mut told = vec![];
    for run in runs(group) {
        loop {
            match lane(plan).decide(&run, source.as_ref()) {
                Back::Write(_) if steps == 0 => return told,
                Back::Write(write) => {
                    steps -= 1;
                    assert!(lands(&write.condition, source.as_ref()), "nobody else wrote");
                    *source = write.merged(source.as_ref());
                    if !matches!(write.kind, BackWriteKind::MarkDeleting(_)) {
                        break;
                    }
                }
                other => {
                    told.push(other);
                    break;
                }
            }
        }
    }
    told
}

fn bare(source: Option<&Item>) -> Option<Item> {
    source.cloned().map(|mut item| {
        strip_marks(&mut item);
        item
    })
}

#[test]
fn an_update_changes_what_the_service_owns_and_leaves_a_mark() {
    let plan = courses("");
    let mut source = Some(course());
    let change = record(5, Some(&copy()), Some(&titled("new")));
    assert_eq!(carry(&plan, &group(&[change]), &mut source, 9), []);
    let expected = with(&course(), [("title", Value::s("new"))]);
    assert_eq!(source, Some(marked(&expected, 5, MarkKind::Updated)));
}

#[test]
fn a_delete_takes_two_steps_and_is_finished_by_a_successor() {
    let plan = courses("");
    let mut source = Some(course());
    let change = group(&[record(5, Some(&copy()), None)]);
    carry(&plan, &change, &mut source, 1);
    assert_eq!(source, Some(marked(&course(), 5, MarkKind::Deleting)));
    carry(&plan, &change, &mut source, 1);
    assert_eq!(source, None);
    assert_eq!(
        carry(&plan, &change, &mut source, 9),
        [Back::Settled(Settled::Agreed)]
    );
}

#[test]
fn a_put_of_somebody_else_between_the_two_steps_is_not_deleted() {
    let plan = courses("");
    let change = group(&[record(5, Some(&copy()), None)]);
    let begun = marked(&course(), 5, MarkKind::Deleting);
    let Back::Write(second) = lane(&plan).decide(&change, Some(&begun)) else {
        panic!()
    };
    assert_eq!(second.kind, BackWriteKind::Delete);
    let stray = with(&course(), [("title", Value::s("stray"))]);
    assert!(!lands(&second.condition, Some(&stray)), "it has no mark");
    assert_eq!(lane(&plan).decide(&change, Some(&stray)), Back::Suspect);
    // An update keeps the mark.
    let touched = with(&begun, [("editor", Value::s("eve"))]);
    assert!(!lands(&second.condition, Some(&touched)));
    let changed = with(&begun, [("title", Value::s("stray"))]);
    assert!(!lands(&second.condition, Some(&changed)));
}

#[test]
fn a_write_of_somebody_else_is_never_overwritten() {
    let plan = courses("");
    let change = group(&[record(5, Some(&copy()), Some(&titled("new")))]);
    let stray = with(&course(), [("title", Value::s("stray"))]);
    assert_eq!(lane(&plan).decide(&change, Some(&stray)), Back::Suspect);
    assert_eq!(lane(&plan).decide(&change, None), Back::Suspect);
    // Also if it was written after the read.
    let Back::Write(write) = lane(&plan).decide(&change, Some(&course())) else {
        panic!()
    };
    for other in [stray, with(&course(), [("editor", Value::s("eve"))])] {
        assert!(!lands(&write.condition, Some(&other)));
    }
    assert!(!lands(&write.condition, None));
}

#[test]
fn a_new_item_lands_only_where_there_is_none() {
    let plan = courses("    reverse: { set: { editor: nobody } }\n");
    let change = group(&[record(5, None, Some(&copy()))]);
    let Back::Write(write) = lane(&plan).decide(&change, None) else {
        panic!()
    };
    assert!(lands(&write.condition, None) && !lands(&write.condition, Some(&course())));
    assert_eq!(
        bare(write.merged(None).as_ref()),
        Some(with(&course(), [("editor", Value::s("nobody"))]))
    );
    // The source says so already.
    assert_eq!(
        lane(&plan).decide(&change, Some(&course())),
        Back::Settled(Settled::Agreed)
    );
}

#[test]
fn a_mark_of_an_earlier_cutover_or_of_another_split_stops_nothing() {
    let plan = courses("");
    let change = group(&[record(5, Some(&copy()), Some(&titled("new")))]);
    for (split, epoch, stops) in [("s", 1, false), ("other", 9, false), ("s", 3, true)] {
        let mark = ReverseMark {
            split: split.into(),
            epoch,
            generation: 7,
            sequence: SequenceNumber::new("900"),
            kind: MarkKind::Updated,
        };
        let held = with(&course(), [("dynasplit:mark:mine", mark.to_value())]);
        let decided = lane(&plan).decide(&change, Some(&held));
        assert_eq!(
            decided == Back::Settled(Settled::Superseded),
            stops,
            "{decided:?}"
        );
        assert_eq!(matches!(decided, Back::Write(_)), !stops);
    }
}

#[test]
fn a_tombstone_counts_as_absent() {
    let plan = courses("");
    let dead = crate::flow::tombstone(Item::from([("courseId".to_owned(), Value::s("1"))]), None);
    let buried = group(&[
        record(5, Some(&copy()), Some(&dead)),
        record(6, Some(&dead), None),
    ]);
    assert_eq!(runs(&buried).len(), 2);
    let mut source = Some(course());
    carry(&plan, &buried, &mut source, 9);
    assert_eq!(source, None);
}

#[test]
fn the_condition_of_a_wide_item_stays_within_the_limits_of_an_expression() {
    let plan = courses("");
    let wide = |base: &Item| {
        let mut item = base.clone();
        item.extend((0..400).map(|n| (format!("attribute-{n}"), Value::s("x"))));
        item
    };
    let change = group(&[record(5, Some(&wide(&copy())), Some(&wide(&titled("new"))))]);
    let Back::Write(write) = lane(&plan).decide(&change, Some(&wide(&course()))) else {
        panic!()
    };
    assert!(write.condition.text.len() < 4096);
    assert!(
        write.condition.names.values().any(|name| name == "title"),
        "what it changes comes first"
    );
    assert!(write.condition.text.matches(" AND ").count() * 2 < 290);
}

/// What the application does to the target item.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Put(u8),
    Delete,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    vec(
        prop_oneof![3 => (0u8..3).prop_map(Edit::Put), 1 => Just(Edit::Delete)],
        1..9,
    )
}

/// The records of the edits, and the source item that they mean. An item that is created again has lost what was dropped.
fn history(edits: &[Edit]) -> (Vec<Arc<Change>>, Option<Item>) {
    let (mut held, mut source) = (Some(copy()), Some(course()));
    let mut records = vec![];
    for edit in edits {
        let next = match edit {
            Edit::Put(n) => Some(titled(&n.to_string())),
            Edit::Delete => None,
        };
        if next == held {
            continue;
        }
        source = next.as_ref().map(|item| {
            let mut base = source.clone().unwrap_or_else(|| {
                let mut new = course();
                new.remove("editor");
                new
            });
            base.insert("title".into(), item["title"].clone());
            base
        });
        records.push(record(records.len() as u64 + 1, held.as_ref(), next.as_ref()));
        held = next;
    }
    (records, source)
}

proptest! {
    #![proptest_config(cases(400))]

    /// Workers die after any write, and their successors begin at any record that is not saved yet, in batches of any size.
    #[test]
    fn a_history_that_is_repeated_ends_in_the_source_that_it_means(
        edits in edits(),
        deaths in vec((0usize..9, 0usize..6, 1usize..4), 0..5),
    ) {
        let plan = courses("");
        let (records, meant) = history(&edits);
        let mut source = Some(course());
        let mut saved = 0;
        for (batches, steps, size) in deaths {
            for (n, batch) in records[saved..].chunks(size).enumerate() {
                let is_last = n == batches;
                let told = carry(&plan, &group(batch), &mut source, if is_last { steps } else { 99 });
                let impossible = told.iter().any(|back| matches!(back, Back::Impossible(_)));
                prop_assert!(!impossible, "{told:?}");
                if is_last {
                    break;
                }
                // The checkpoint may be saved, or not.
                if n % 2 == 0 {
                    saved = (saved + batch.len()).min(records.len());
                    break;
                }
            }
        }
        for batch in records[saved..].chunks(2) {
            carry(&plan, &group(batch), &mut source, 99);
        }
        let stands = lane(&plan).way.stands_for(
            records.last().map_or(Some(&copy()), |last| last.images.new.as_ref()),
            bare(source.as_ref()).as_ref(),
        );
        prop_assert!(stands, "{source:?}");
        prop_assert_eq!(bare(source.as_ref()), meant);
    }

    /// A write of somebody else, at any time: it is kept, and the lane says that something is wrong, or it happens to be what
    /// the target says.
    #[test]
    fn a_stray_write_is_kept(edits in edits(), at in 0usize..9, title in 0u8..3) {
        let plan = courses("");
        let (records, _) = history(&edits);
        let at = at.min(records.len());
        let mut source = Some(course());
        carry(&plan, &group(&records[..at]), &mut source, 99);
        let stray = with(&course(), [("title", Value::s(title.to_string())), ("by", Value::s("eve"))]);
        source = Some(stray.clone());
        for record in &records[at..] {
            let told = carry(&plan, &group(&[Arc::clone(record)]), &mut source, 99);
            prop_assert_eq!(told, [Back::Suspect]);
        }
        prop_assert_eq!(source, Some(stray));
    }
}

#[test]
fn the_conditions_of_this_test_mean_what_the_guards_mean() {
    // The little evaluator above agrees with the predicate of a guard of the same form.
    let fields = VersionFields {
        partition: "PK".into(),
        live: "at".into(),
    };
    let absent = Guard::Absent;
    for held in [None, Some(course())] {
        assert_eq!(
            lands(&absent.expression(&fields), held.as_ref()),
            absent.allows(&fields, held.as_ref())
        );
    }
}

//! Which writes of the source are stray ones.

use super::back::{course, courses, with};
use crate::flow::is_stray;
use crate::model::{Images, Item, MarkImages, MarkKind, ReverseMark, SequenceNumber, Value, strip_marks};

fn mark(epoch: u64, n: u64, kind: MarkKind) -> ReverseMark {
    ReverseMark {
        split: "s".into(),
        epoch,
        generation: 1,
        sequence: SequenceNumber::new(&n.to_string()),
        kind,
    }
}

fn marked(item: &Item, mark: &ReverseMark) -> Item {
    with(item, [("dynasplit:mark:mine", mark.to_value())])
}

/// Whether a record is a stray write in the second cutover.
fn stray(old: Option<Item>, new: Option<Item>) -> bool {
    let plan = courses("");
    let mut images = Images { old, new };
    let strip = |image: &mut Option<Item>| image.as_mut().map(strip_marks).unwrap_or_default();
    let marks = MarkImages {
        old: strip(&mut images.old),
        new: strip(&mut images.new),
    };
    is_stray(&plan.services[0], "s", 2, &images, &marks)
}

#[test]
fn a_reverse_write_is_recognised_by_a_newer_mark() {
    use MarkKind::{Created, Deleting, Updated};
    let plain = course();
    let at = |n, kind| Some(marked(&course(), &mark(2, n, kind)));
    let old = Some(marked(&course(), &mark(1, 99, Updated)));
    for (old, new) in [
        (None, at(1, Created)),
        (Some(plain.clone()), at(1, Updated)),
        (old.clone(), at(1, Updated)),
        (at(1, Created), at(2, Updated)),
        (at(2, Updated), at(10, Deleting)),
        (at(10, Deleting), None),
    ] {
        assert!(!stray(old.clone(), new.clone()), "{old:?} {new:?}");
    }
    let odd = |item: Option<Item>| item.map(|item| with(&item, [("title", Value::s("eve"))]));
    for (old, new) in [
        (None, Some(plain.clone())),
        (Some(plain.clone()), odd(Some(plain.clone()))),
        // A put that drops the mark, an update that keeps it, and one that brings an older one back.
        (at(2, Updated), odd(Some(plain.clone()))),
        (at(2, Updated), odd(at(2, Updated))),
        (at(2, Updated), odd(at(1, Updated))),
        // An item that was deleted comes back with the mark that it had.
        (None, at(2, Updated)),
        (at(2, Updated), at(3, Created)),
        (at(2, Updated), None),
        (Some(plain.clone()), None),
        (old.clone(), None),
        // A mark of an earlier cutover says nothing.
        (Some(plain), old),
    ] {
        assert!(stray(old.clone(), new.clone()), "{old:?} {new:?}");
    }
}

#[test]
fn items_of_others_are_not_looked_at() {
    let other = with(&course(), [("type", Value::s("Lecture"))]);
    assert!(!stray(None, Some(other.clone())));
    assert!(!stray(Some(other.clone()), None));
    // It becomes one of the service's items, or is one no more.
    assert!(stray(Some(other.clone()), Some(course())));
    assert!(stray(Some(course()), Some(other)));
}

//! Stray writes: writes of others to the source's items of a service that has switched. A writer was forgotten.

use crate::fault::{Rule, broken};
use crate::model::{Images, MarkImages, MarkKind, ReverseMark};
use crate::plan::Service;

/// Whether a record of the source is a stray write to an item of a service. Reverse writes are recognised by their marks,
/// which become newer with each of them; the mark of a deleted item says that the delete was announced.
#[must_use]
pub fn is_stray(service: &Service, split: &str, epoch: u64, images: &Images, marks: &MarkImages) -> bool {
    if broken(Rule::Watched) {
        return false;
    }
    let mut shown = images.old.iter().chain(&images.new);
    if !shown.any(|item| service.belongs(item)) {
        return false;
    }
    let of = |marks| ReverseMark::of(marks, split, &service.name);
    let old = of(&marks.old);
    let is_ours = match (&images.old, &images.new) {
        (Some(_), None) => old.is_some_and(|mark| mark.epoch == epoch && mark.kind == MarkKind::Deleting),
        (before, _) => of(&marks.new).is_some_and(|new| {
            let is_created = new.kind == MarkKind::Created;
            new.epoch == epoch
                && is_created == before.is_none()
                && old.is_none_or(|old| new.is_newer_than(&old))
        }),
    };
    !is_ours
}

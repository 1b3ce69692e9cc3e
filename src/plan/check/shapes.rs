//! The proof that the shapes of a service do not meet: no source key fits two of them, and no two of them make one
//! target key.
//!
//! With the proof of each shape's own mapping, every target key has one source key that it can come from, and every
//! source key leads to one target key for as long as the split runs.

use super::report::Report;
use crate::plan::Shape;
use crate::plan::extent::are_disjoint;
use crate::plan::path::Path;

/// Compares each shape with those before it. Returns true if the proof succeeds for all; otherwise the plan needs a
/// vouch.
pub(super) fn check(shapes: &[(Path, Shape)], report: &mut Report) -> bool {
    let made: Vec<_> = shapes
        .iter()
        .map(|(_, shape)| shape.keys.target_extents(&shape.keys.heads(&shape.condition)))
        .collect();
    let mut all = true;
    for (n, (path, shape)) in shapes.iter().enumerate() {
        for (m, (_, other)) in shapes[..n].iter().enumerate() {
            let fit_one = are_disjoint(&shape.domain, &other.domain);
            let differ = are_disjoint(&made[n], &made[m]) || (fit_one && shape.keys.is_the_same(&other.keys));
            if fit_one && differ {
                continue;
            }
            all = false;
            if shape.keys.vouched().is_some() || other.keys.vouched().is_some() {
                continue;
            }
            if !fit_one {
                report.at(
                    &path.field("where"),
                    format!(
                        "an item could move from one shape to another and change its target key, because a \
                         source key may fit both shapes[{m}] and this shape"
                    ),
                    "begin a source key with another text in each shape, in `where` or in a pattern under \
                     `from`: begins_with(PK, 'POLICY#') and begins_with(PK, 'DOCUMENT#'); or write under \
                     `vouch` who guarantees that no two items ever share a target key",
                );
            } else {
                report.at(
                    &path.field("where"),
                    format!(
                        "two items could share a target key, because shapes[{m}] and this shape may make \
                         the same key"
                    ),
                    "begin a template of the target's key with another text in each shape: \
                     'policy#{policy}' and 'document#{document}'; or write under `vouch` who guarantees \
                     that no two items ever share a target key",
                );
            }
        }
    }
    all
}

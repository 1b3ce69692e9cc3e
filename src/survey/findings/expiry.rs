//! Findings about expiry: in the source now, and in the services' tables after the split.

use crate::plan::{Plan, Service};
use crate::survey::finding::{Findings, items, short, with_example};
use crate::survey::view::{Routing, ServiceView};

/// How the source expires its items, and tables that would not.
pub(super) fn of_source(found: &mut Findings, plan: &Plan, routing: &Routing) {
    let Some(expiry) = &routing.expiry else { return };
    let attribute = &expiry.attribute;
    found.note(
        format!(
            "the source expires items by '{attribute}' (TTL is on){}",
            match expiry.expired {
                0 => String::new(),
                n => format!("; {} expired but still there", items(n, "is", "are")),
            }
        ),
        "items that expire in the source are removed from the targets as well; the targets' own TTL stays \
         off until `dynasplit complete`",
    );
    for (service, view) in plan.services.iter().zip(&routing.services) {
        if view.expiring > 0 && service.table.ttl.is_none() {
            found.warning(
                format!(
                    "{} in the source, and the table of {} has no `ttl`",
                    items(view.expiring, "expires", "expire"),
                    view.service
                ),
                "after the cutover they would never expire: name the attribute as `ttl` of the table",
            );
        }
    }
}

/// The effect of the TTL of a service's table on its items.
pub(super) fn of_target(found: &mut Findings, service: &Service, view: &ServiceView, routing: &Routing) {
    let Some(ttl) = &view.ttl else { return };
    let name = &view.service;
    let ignored: u64 = ttl.ignored.iter().map(|group| group.items).sum();
    if ignored > 0 {
        let groups: Vec<String> = ttl.ignored.iter().take(3).map(with_example).collect();
        let never = format!("of {name} would never expire");
        found.warning(
            format!("{}: {}", items(ignored, &never, &never), groups.join("; ")),
            "TTL needs a number of seconds since 1970 that is at most five years old, and ignores \
             everything else: correct these items in the source, or name another attribute as `ttl` of the \
             table",
        );
    }
    let Some(over) = &ttl.over else { return };
    // By the same attribute, the source is about to delete them as well.
    let by_source = routing.expiry.as_ref();
    let same = by_source.is_some_and(|source| {
        let shapes = service.shapes.iter();
        let mut names = shapes.map(|shape| shape.attributes.target_name(&source.attribute));
        names.all(|name| name == Some(&ttl.attribute))
    });
    let what = format!(
        "{} expired by '{}' of {name} (as {})",
        items(over.items, "is", "are"),
        ttl.attribute,
        over.examples
            .first()
            .map_or(String::new(), |example| short(&example.text)),
    );
    if same {
        found.note(
            what,
            "the source expires them as well, and the rest is deleted after `complete` switches TTL on",
        );
    } else {
        found.warning(
            what,
            "DynamoDB deletes them from the service's table after `complete` switches TTL on. If they are \
             still needed, set a later time in the source, or leave `ttl` out",
        );
    }
}

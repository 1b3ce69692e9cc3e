//! The key patterns of each service, and an item of each before and after.

use super::layout::{Page, key, more, visible};
use crate::cli::text::count as number;
use crate::survey::{Pattern, Routing, ServiceView, ShapedItem};

/// Patterns of a service that are shown.
const PATTERNS: usize = 5;
/// Names of attributes that are shown.
const ATTRIBUTES: usize = 12;

/// Adds the section.
pub(super) fn patterns(page: &mut Page, routing: &Routing) {
    if routing.services.iter().all(|service| service.patterns.is_empty()) {
        return;
    }
    page.heading(
        "Items of each service",
        "source keys by their pattern; an item of each, with its key and the names of its attributes",
    );
    for service in &routing.services {
        of_service(page, service);
    }
}

fn of_service(page: &mut Page, service: &ServiceView) {
    let shown = service.patterns.iter().take(PATTERNS);
    for (n, pattern) in shown.enumerate() {
        let name = if n == 0 { service.service.as_str() } else { "" };
        let head = format!("  {name:<10}  ");
        page.wrapped(
            &head,
            &format!("{} x {}", number(pattern.items), visible(&pattern.what)),
        );
        example(page, pattern);
    }
    more(page, service.patterns.len(), PATTERNS);
}

fn example(page: &mut Page, pattern: &Pattern) {
    match &pattern.after {
        Some(after) if *after == pattern.before => page.wrapped("    as it is  ", &shaped(after)),
        after => {
            page.wrapped("    before    ", &shaped(&pattern.before));
            let after = after
                .as_ref()
                .map_or("can't be written, see below".to_owned(), shaped);
            page.wrapped("    after     ", &after);
        }
    }
}

fn shaped(item: &ShapedItem) -> String {
    let parts: Vec<String> = item.parts.iter().map(|part| key(part)).collect();
    let names = item.attributes.iter().take(ATTRIBUTES).map(|name| key(name));
    let mut names: Vec<String> = names.collect();
    if let Some(left) = item
        .attributes
        .len()
        .checked_sub(ATTRIBUTES)
        .filter(|left| *left > 0)
    {
        names.push(format!("{left} more"));
    }
    let names = if names.is_empty() {
        String::new()
    } else {
        format!("; {}", names.join(", "))
    };
    format!("{}{names}", parts.join(", "))
}

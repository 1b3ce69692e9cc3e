//! What limits the running commands, with throttling by DynamoDB's reason.

use super::figures::prose;
use super::standing::Standing;
use crate::model::duration;
use crate::state::Limit;
use crate::status::LimitStatus;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// The section.
pub(super) fn limits(standing: &Standing) -> Markup {
    let status = &standing.status;
    let throttled = throttled(&status.limits);
    let limits: Vec<&LimitStatus> = status
        .limits
        .iter()
        .filter(|limit| limit.limit != Limit::Idle)
        .collect();
    html! {
        section aria-labelledby="limits" {
            h2 id="limits" { "Throttling and limits" }
            @if throttled.is_empty() {
                p { "DynamoDB throttles nothing at the moment." }
            } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="throttling-table" {
                    table {
                        caption id="throttling-table" { "Throttling now, by reason" }
                        thead { tr { th scope="col" { "reason" } th scope="col" { "what is throttled" } } }
                        tbody {
                            @for (reason, parts) in &throttled {
                                tr {
                                    th scope="row" { (reason) }
                                    td { (parts.iter().cloned().collect::<Vec<_>>().join(", ")) }
                                }
                            }
                        }
                    }
                }
            }
            @if !limits.is_empty() { (all(&limits)) }
        }
    }
}

/// What is throttled, by reason.
fn throttled(limits: &[LimitStatus]) -> BTreeMap<&str, BTreeSet<String>> {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for limit in limits {
        let reason = limit.limit.throttling_reason();
        if !reason.is_empty() {
            let part = format!("{}: {}", limit.command, limit.of);
            found.entry(reason).or_default().insert(part);
        }
    }
    found
}

fn all(limits: &[&LimitStatus]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="limits-table" {
            table {
                caption id="limits-table" { "Limits of the running commands" }
                thead { tr {
                    th scope="col" { "command" } th scope="col" { "part" } th scope="col" { "limited by" }
                    th.number scope="col" { "noted" }
                } }
                tbody {
                    @for limit in limits {
                        tr {
                            th scope="row" { (limit.command) }
                            td { (limit.of) }
                            td { (prose(&limit.text)) }
                            td.number { (duration(limit.age_ms)) " ago" }
                        }
                    }
                }
            }
        }
    }
}

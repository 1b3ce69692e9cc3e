//! The last verify: what it compared and what it found.

use super::figures::{ago, moment};
use super::standing::Standing;
use crate::model::{count, duration};
use crate::state::{VerifyRecord, VerifyService};
use maud::{Markup, html};

/// Nothing was found.
const NONE: &str = "none";

/// The section.
pub(super) fn comparison(standing: &Standing) -> Markup {
    html! {
        section aria-labelledby="verify" {
            h2 id="verify" { "Last verify" }
            @match &standing.status.verify {
                None => p { "Nothing has been verified yet." },
                Some(verify) => {
                    p {
                        @if verify.clean { strong.good { "Clean" } } @else { strong.bad { "Not clean" } }
                        ": it ended " (ago(verify.ended_ms, standing.now_ms)) " (" (moment(verify.ended_ms)) ") and took "
                        (duration(verify.ended_ms.saturating_sub(verify.started_ms))) "."
                        @if verify.repaired > 0 { " It repaired " (count(verify.repaired)) " keys." }
                        @if verify.unrouted > 0 { " " (count(verify.unrouted)) " items belong to no service." }
                    }
                    (table(verify))
                    @if verify.services.values().any(|service| service.expected != service.found && findings(service) == NONE) {
                        p.note { "Counts may differ without a finding, because writers write while verify reads." }
                    }
                }
            }
        }
    }
}

/// The findings of a service, class by class.
fn findings(service: &VerifyService) -> String {
    let others = [("unsettled", service.unsettled), ("invalid", service.invalid)];
    let classes = service
        .mismatches
        .iter()
        .map(|(class, found)| (class.as_str(), *found));
    let found: Vec<String> = classes
        .chain(others)
        .filter(|(_, found)| *found > 0)
        .map(|(class, found)| format!("{} {class}", count(found)))
        .collect();
    if found.is_empty() {
        NONE.to_owned()
    } else {
        found.join(", ")
    }
}

fn table(verify: &VerifyRecord) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="verify-table" {
            table {
                caption id="verify-table" { "Verify by service" }
                thead { tr {
                    th scope="col" { "service" }
                    th.number scope="col" { "expected" } th.number scope="col" { "found" }
                    th scope="col" { "findings" }
                } }
                tbody {
                    @for (name, service) in &verify.services {
                        tr {
                            th scope="row" { (name) }
                            td.number { (count(service.expected)) }
                            td.number { (count(service.found)) }
                            td { (findings(service)) }
                        }
                    }
                }
            }
        }
    }
}

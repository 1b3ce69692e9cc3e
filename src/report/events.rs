//! The events of the services: where they go, and how far they are.

use super::figures::prose;
use super::standing::Standing;
use crate::model::{count, duration};
use crate::status::{EventsPhase, EventsStatus};
use maud::{Markup, html};

pub(super) fn events(standing: &Standing) -> Markup {
    let events = &standing.status.events;
    if events.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="events" {
            h2 id="events" { "Events" }
            div.scroll tabindex="0" role="region" aria-labelledby="events-table" {
                table {
                    caption id="events-table" { "Events of services" }
                    thead { tr {
                        th scope="col" { "service" }
                        th scope="col" { "destination" }
                        @for name in ["lag", "time left", "sent", "dead letters"] {
                            th.number scope="col" { (name) }
                        }
                        th scope="col" { "state" }
                    } }
                    tbody { @for service in events { (row(standing, service)) } }
                }
            }
        }
    }
}

fn row(standing: &Standing, events: &EventsStatus) -> Markup {
    let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), duration);
    html! {
        tr {
            th scope="row" { (events.service) }
            td { (events.destination) }
            td.number { (time(events.lag_ms)) }
            td.number { (time(events.time_left_ms)) }
            td.number { (events.sent.map_or_else(|| "-".to_owned(), count)) }
            td.number { (count(events.dead_letters)) }
            td { (prose(&(standing.copyable)(&state(events)))) }
        }
    }
}

fn state(events: &EventsStatus) -> String {
    match (&events.gap, &events.blocked, events.state) {
        (Some(gap), ..) => format!("gap: {gap}"),
        (None, Some(reason), _) => format!("blocked: {reason}"),
        (None, None, EventsPhase::Sending) => "sending".to_owned(),
        (None, None, EventsPhase::Paused) => "paused since the cutover".to_owned(),
        (None, None, EventsPhase::Ended) => "ended with the switch".to_owned(),
    }
}

//! What is in the way of completing because of events.

use super::events_status::{EventsPhase, EventsStatus};
use super::obstacle::{Obstacle, ObstacleKind};
use super::obstacles::MOST_LAG_MS;
use crate::model::{counted, duration};

/// What is in the way of completing: with the split, the lanes of the events end.
pub(super) fn obstacles(events: &[EventsStatus]) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for events in events {
        let service = &events.service;
        let mut add = |what: String, next: String| {
            found.push(Obstacle {
                services: Vec::new(),
                kind: ObstacleKind::Events,
                service: Some(service.clone()),
                what,
                next,
            });
        };
        let give_up = "to end without these events, remove `events` from the plan and run `dynasplit apply`";
        if let Some(reason) = &events.gap {
            add(
                format!("events of {service} were lost: {reason}"),
                format!(
                    "run `dynasplit replicate --restart-events`, and let the receivers read the table of {service}; or, {give_up}"
                ),
            );
            continue;
        }
        let is_behind = match (events.lag_ms, events.state) {
            (Some(lag_ms), _) => lag_ms > MOST_LAG_MS,
            (None, EventsPhase::Sending) => true,
            // Everything was sent.
            (None, EventsPhase::Paused | EventsPhase::Ended) => false,
        };
        if is_behind {
            let lag = match events.lag_ms {
                Some(lag_ms) => format!("events of {service} are {} behind", duration(lag_ms)),
                None => format!("events of {service} are not sent yet"),
            };
            let reason = events.blocked.as_ref().map(|reason| format!(" ({reason})"));
            add(
                lag + &reason.unwrap_or_default(),
                format!("leave `dynasplit replicate` running until they are sent; or, {give_up}"),
            );
        }
        if events.dead_letters > 0 {
            add(
                format!(
                    "{} of the events of {service}: {} refused them",
                    counted(events.dead_letters, "dead letter"),
                    events.destination
                ),
                "run `dynasplit dead-letters reconcile --events`, which sends them again, or `dynasplit dead-letters discard --events --service NAME`"
                    .into(),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> EventsStatus {
        EventsStatus {
            service: "orders".into(),
            destination: "the queue x".into(),
            state: EventsPhase::Sending,
            lag_ms: Some(1000),
            sent: Some(7),
            dead_letters: 0,
            gap: None,
            blocked: None,
            time_left_ms: Some(1),
        }
    }

    #[test]
    fn events_that_are_not_sent_are_in_the_way_of_completing() {
        let of = |events: EventsStatus| {
            let found = obstacles(&[events]).into_iter();
            found.map(|obstacle| obstacle.what).collect::<Vec<_>>()
        };
        assert_eq!(of(sample()), [""; 0]);
        let late = EventsStatus {
            lag_ms: Some(200_000),
            blocked: Some("HTTP 500".into()),
            dead_letters: 2,
            ..sample()
        };
        assert_eq!(
            of(late),
            [
                "events of orders are 3m 20s behind (HTTP 500)",
                "2 dead letters of the events of orders: the queue x refused them"
            ]
        );
        let unread = EventsStatus {
            lag_ms: None,
            ..sample()
        };
        assert_eq!(of(unread.clone()), ["events of orders are not sent yet"]);
        let ended = EventsStatus {
            state: EventsPhase::Ended,
            ..unread
        };
        assert_eq!(of(ended), [""; 0], "everything was sent before the switch");
        let lost = EventsStatus {
            gap: Some("too late".into()),
            ..sample()
        };
        assert_eq!(of(lost), ["events of orders were lost: too late"]);
    }
}

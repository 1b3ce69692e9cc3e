//! What is worth a notification about the events of a service. No text of a reason is taken over, because it may name a key.

use super::notice::{NoticeKind, Severity};
use super::subject::{SHORT_MS, Subject, Subjects, magnitude, ms};
use crate::model::{counted, duration};
use crate::state::NotifyRecord;
use crate::status::EventsStatus;
use std::time::Duration;

/// The subjects of the events of one service.
pub(super) fn of_events(found: &mut Subjects, events: &EventsStatus, known: &NotifyRecord, least: Duration) {
    let service = events.service.as_str();
    if events.gap.is_some() {
        let text = format!("events of {service} were lost; its table lacks nothing");
        let gap = Subject::new(NoticeKind::Gap, Some(service), "gap", text);
        found.insert(
            format!("events-gap/{service}"),
            gap.at(Severity::Critical)
                .next("run `dynasplit replicate --restart-events`, and let the receivers read the table"),
        );
    }
    if events.dead_letters > 0 {
        let text = format!(
            "the destination refused {} of {service}",
            counted(events.dead_letters, "event")
        );
        let state = magnitude(events.dead_letters);
        let letters = Subject::new(NoticeKind::DeadLetters, Some(service), state, text);
        found.insert(
            format!("events-dead-letters/{service}"),
            letters.next("run `dynasplit dead-letters list --events`"),
        );
    }
    let name = format!("events-lag/{service}");
    let told = known.told.get(&name).is_some_and(|told| told.state.is_some());
    if let Some(lag) = lag(events, told, ms(least)) {
        found.insert(name, lag);
    }
}

/// As for the lane of a table: one that was told is over only when it is half as long.
fn lag(events: &EventsStatus, told: bool, least_ms: u64) -> Option<Subject> {
    let lag_ms = events.lag_ms.filter(|_| events.gap.is_none())?;
    let service = events.service.as_str();
    let next = "run `dynasplit status`, which shows why they do not get through";
    if events.time_left_ms.is_some_and(|left_ms| left_ms < SHORT_MS) {
        let text = format!(
            "the events of {service} have less than {} until the stream removes changes that are in no event yet",
            duration(SHORT_MS)
        );
        let lag = Subject::new(NoticeKind::Lag, Some(service), "short of time", text);
        return Some(lag.at(Severity::Critical).next(next));
    }
    let limit = if told { least_ms / 2 } else { least_ms };
    (lag_ms >= limit).then(|| {
        let text = format!("the events of {service} are {} behind", duration(lag_ms));
        Subject::new(NoticeKind::Lag, Some(service), "behind", text).next(next)
    })
}

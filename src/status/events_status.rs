//! The events of the services, from the records: how far they are.

use super::lane_status::lane_status;
use crate::state::{ShardRecord, SplitRecord};
use crate::worker::{Recorded, RunError, Split};
use serde::Serialize;
use std::collections::BTreeMap;

/// Whether the events of a service are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventsPhase {
    /// They are.
    Sending,
    /// The service writes its own table since a cutover. Its changes there are in no event. After a rollback, events continue.
    Paused,
    /// The service writes its own table for good.
    Ended,
}

/// The events of one service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EventsStatus {
    /// The service.
    pub service: String,
    /// Where they go.
    pub destination: String,
    /// Whether they are sent.
    pub state: EventsPhase,
    /// How far they are behind, in milliseconds; `None` before their places are pinned, and after everything was sent for good.
    pub lag_ms: Option<u64>,
    /// Events that were sent, those that were sent twice among them; `None` after everything was sent for good.
    pub sent: Option<u64>,
    /// Open dead letters: events that the destination refused.
    pub dead_letters: u64,
    /// Events were lost: the reason.
    pub gap: Option<String>,
    /// Why none gets through at present.
    pub blocked: Option<String>,
    /// Time until the stream may trim changes whose events were not sent, in milliseconds.
    pub time_left_ms: Option<u64>,
}

/// The events of each service of the plan that has them.
pub(super) async fn events_status(
    split: &Split,
    record: &SplitRecord,
    recorded: &Recorded,
    now_ms: u64,
) -> Result<Vec<EventsStatus>, RunError> {
    if split.plan.with_events().next().is_none() {
        return Ok(Vec::new());
    }
    let mut letters: BTreeMap<String, u64> = BTreeMap::new();
    for letter in split.event_letters().list(None).await? {
        *letters.entry(letter.service).or_default() += 1;
    }
    let generation = record.stream().map(|(generation, _)| generation);
    let status = split.plan.with_events().map(|(service, events)| {
        let state = record.events.get(&service.name).filter(|state| state.on);
        let is_captured = state.is_some_and(|state| state.captured_in == generation);
        let lane = state.map(|state| ShardRecord::events_lane(&service.name, state.epoch));
        let lane = lane
            .map(|lane| lane_status(recorded, &lane, now_ms))
            .unwrap_or_default();
        EventsStatus {
            service: service.name.clone(),
            destination: events.to.to_string(),
            state: match () {
                () if split.is_closed(&service.name) => EventsPhase::Ended,
                () if split.has_switched(&service.name) => EventsPhase::Paused,
                () => EventsPhase::Sending,
            },
            lag_ms: lane.shown_lag_ms.filter(|_| is_captured),
            sent: (lane.open_shards > 0 || lane.drained_ms.is_some()).then_some(lane.counters.events),
            dead_letters: letters.get(&service.name).copied().unwrap_or(0),
            time_left_ms: lane.time_left_ms().filter(|_| is_captured),
            gap: lane.gap,
            blocked: lane.blocked,
        }
    });
    Ok(status.collect())
}

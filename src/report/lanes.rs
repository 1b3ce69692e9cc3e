//! The lanes: how far each is behind, how much time is left, and what it has done.

use super::bars::{BarRow, Tick, bars};
use super::figures::prose;
use super::standing::Standing;
use crate::model::{count, duration};
use crate::state::{Limit, ShardRecord};
use crate::status::LaneStatus;
use maud::{Markup, html};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;
/// A lane with less time left than this needs help at once.
const CRITICAL_LEFT_MS: u64 = 8 * HOUR;

/// The section.
pub(super) fn lanes(standing: &Standing) -> Markup {
    let lanes = &standing.status.lanes;
    let rows: Vec<BarRow> = lanes.iter().map(bar).collect();
    html! {
        section aria-labelledby="lanes" {
            h2 id="lanes" { "Lag per lane" }
            p.note {
                "A lane applies the changes of one service. The stream keeps a change for 24 hours: a lane that is further behind "
                "loses changes. The scale is logarithmic."
            }
            (bars(&rows, &ticks()))
            (table(standing, lanes))
        }
    }
}

/// Lags from one second to a day, each power alike.
#[allow(clippy::cast_precision_loss)] // a drawing
fn place(lag_ms: u64) -> f64 {
    let seconds = (lag_ms as f64 / 1000.0).max(1.0);
    (seconds.ln() / 86_400f64.ln()).clamp(0.0, 1.0)
}

fn ticks() -> Vec<Tick> {
    let each = [
        (SECOND, "1 s"),
        (60 * SECOND, "1 min"),
        (HOUR, "1 h"),
        (8 * HOUR, ""),
        (DAY, "24 h"),
    ];
    each.into_iter()
        .map(|(ms, text)| (place(ms), text.to_owned()))
        .collect()
}

fn bar(lane: &LaneStatus) -> BarRow {
    let (to, class, text) = match lane.shown_lag_ms {
        _ if lane.gap.is_some() => (1.0, "bad", "lost changes".to_owned()),
        None => (0.0, "left", "not captured yet".to_owned()),
        Some(_) if lane.open_shards == 0 => (0.0, "good", "drained".to_owned()),
        Some(lag) => {
            let class = match lane.time_left_ms() {
                Some(left) if left < CRITICAL_LEFT_MS => "bad",
                _ if lane.lags_dangerously() => "bad",
                _ if lag > HOUR => "warn",
                _ => "good",
            };
            (place(lag), class, duration(lag))
        }
    };
    BarRow {
        name: lane.lane.clone(),
        from: 0.0,
        to,
        class: class.to_owned(),
        text,
    }
}

fn table(standing: &Standing, lanes: &[LaneStatus]) -> Markup {
    let left = |lane: &LaneStatus| lane.time_left_ms().map_or("-".to_owned(), duration);
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="lanes-table" {
            table {
                caption id="lanes-table" { "Lanes" }
                thead { tr {
                    th scope="col" { "lane" }
                    @for name in ["time left", "records", "put", "removed", "superseded", "unchanged", "dead letters"] {
                        th.number scope="col" { (name) }
                    }
                    th scope="col" { "limited by" }
                } }
                tbody {
                    @for lane in lanes {
                        tr {
                            th scope="row" { (lane.lane) }
                            td.number { (left(lane)) }
                            td.number { (count(lane.counters.seen)) }
                            @if lane.lane == ShardRecord::WATCH {
                                td.number { "-" } td.number { "-" } td.number { "-" } td.number { "-" }
                            } @else {
                                td.number { (count(lane.counters.put)) }
                                td.number { (count(lane.counters.removed)) }
                                td.number { (count(lane.counters.superseded)) }
                                td.number { (count(lane.counters.unchanged)) }
                            }
                            td.number { (count(lane.dead_letters)) }
                            td { (prose(&(standing.copyable)(&limited(lane)))) }
                        }
                    }
                }
            }
        }
    }
}

/// Why the lane does not move, or what limits it.
fn limited(lane: &LaneStatus) -> String {
    match (&lane.gap, &lane.blocked, &lane.limit) {
        (Some(gap), ..) => format!("gap: {gap}"),
        (None, Some(reason), _) => reason.clone(),
        (None, None, Some(noted)) if noted.limit != Limit::Idle => noted.limit.to_string(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_lag_has_a_longer_bar_and_a_day_fills_it() {
        let places = [0, SECOND, 60 * SECOND, HOUR, 8 * HOUR, DAY, 3 * DAY].map(place);
        assert!(places.windows(2).all(|pair| pair[0] <= pair[1]), "{places:?}");
        assert_eq!((places[0], places[5], places[6]), (0.0, 1.0, 1.0));
    }

    #[test]
    fn a_lane_that_lost_changes_is_bad_however_small_its_lag_is() {
        let lane = LaneStatus {
            gap: Some("trimmed".into()),
            shown_lag_ms: Some(5),
            open_shards: 1,
            ..LaneStatus::default()
        };
        let row = bar(&lane);
        assert_eq!((row.class.as_str(), row.text.as_str()), ("bad", "lost changes"));
        let late = LaneStatus {
            gap: None,
            lag_ms: Some(17 * HOUR),
            shown_lag_ms: Some(17 * HOUR),
            ..lane
        };
        assert_eq!(bar(&late).class, "bad");
    }
}

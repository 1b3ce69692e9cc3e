//! Small pieces of text that every command shows alike.

use super::table::table;
use crate::model::Counters;
use crate::state::ShardRecord;
use crate::status::LaneStatus;
pub use crate::status::{count, counted, duration};
use crate::target::HELD;
use std::time::Duration;

/// Thousandths of capacity units, as units.
#[allow(clippy::cast_precision_loss)] // shown with one decimal
pub fn units(milliunits: u64) -> String {
    if milliunits < 10_000_000 {
        format!("{:.1}", milliunits as f64 / 1000.0)
    } else {
        count(milliunits / 1000)
    }
}

/// `12.3 MB`, in steps of 1024 as AWS counts.
#[allow(clippy::cast_precision_loss)] // for people
pub fn bytes(value: u64) -> String {
    let mut size = value as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if size < 1024.0 {
            return if unit == "B" {
                format!("{value} B")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TB")
}

/// What [`write_units`] marks.
pub const ESTIMATED_UNITS: &str =
    "~: estimated from the sizes of the items, because the engine does not report the write units";

/// The write units of a lane; marked if a part of them is an estimate.
pub fn write_units(counters: &Counters) -> String {
    let mark = if counters.estimated_write_milliunits > 0 {
        "~"
    } else {
        ""
    };
    format!("{mark}{}", units(counters.write_milliunits))
}

/// Units a second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates are small and not negative
pub fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 10.0 {
        format!("{per_second:.1}/s")
    } else {
        format!("{}/s", count(per_second.round() as u64))
    }
}

/// The remaining time, if a rate shows it.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // an estimate
pub fn time_left(left: u64, per_second: f64) -> Option<String> {
    let known = per_second > 0.0 && left > 0;
    known.then(|| format!("{} left", duration((left as f64 / per_second * 1000.0) as u64)))
}

/// How long something took.
pub fn elapsed(duration_: Duration) -> String {
    duration(u64::try_from(duration_.as_millis()).unwrap_or(u64::MAX))
}

/// The lanes, as a table. What a person should know stands below it, once for all lanes that it concerns; without the gaps, the
/// lanes that do not follow the stream and the hold of a bulk copy, if the obstacles that are listed elsewhere name them.
pub fn lanes(lanes: &[LaneStatus], are_obstacles_listed: bool) -> String {
    let row = |lane: &LaneStatus| {
        let counters = &lane.counters;
        let lag = match lane.shown_lag_ms {
            Some(lag) if lane.open_shards > 0 => duration(lag),
            _ => "-".into(),
        };
        vec![
            lane.lane.clone(),
            lag,
            count(counters.seen),
            count(counters.put),
            count(counters.removed),
            count(counters.superseded),
            count(counters.unchanged),
            count(lane.dead_letters),
        ]
    };
    let heads = [
        "lane",
        "lag",
        "records",
        "put",
        "removed",
        "superseded",
        "unchanged",
        "dead",
    ];
    let mut lines = vec![table(&heads, lanes.iter().map(row))];
    lines.extend(notes(lanes, are_obstacles_listed));
    lines.join("\n")
}

/// The notes about the lanes for a person.
fn notes(lanes: &[LaneStatus], are_obstacles_listed: bool) -> Vec<String> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for lane in lanes {
        let is_held = lane.blocked.as_deref() == Some(HELD);
        let is_listed = are_obstacles_listed && (lane.gap.is_some() || lane.lag_ms.is_none() || is_held);
        let Some(note) = note(lane).filter(|_| !is_listed) else {
            continue;
        };
        match found.iter_mut().find(|(known, _)| *known == note) {
            Some((_, names)) => names.push(&lane.lane),
            None => found.push((note, vec![&lane.lane])),
        }
    }
    let told = found.into_iter().map(|(note, names)| match names.len() {
        all if all > 1 && all == lanes.len() => format!("all lanes: {note}"),
        _ => format!("{}: {note}", names.join(", ")),
    });
    told.collect()
}

fn note(lane: &LaneStatus) -> Option<String> {
    if let Some(gap) = &lane.gap {
        return Some(format!("GAP: {gap}"));
    }
    if let Some(reason) = &lane.blocked {
        return Some(format!("limited by {reason}"));
    }
    if lane.lags_dangerously() {
        return Some("the lag is dangerous, because the stream keeps a record for 24 hours only".into());
    }
    match lane.lag_ms {
        None => Some("not following the stream yet".into()),
        Some(_) if lane.open_shards == 0 => Some("drained".into()),
        Some(_) => None,
    }
}

/// Reasons that begin with a lane, each once with all of its lanes; other reasons come first, because they are
/// causes.
pub fn once(reasons: &[String]) -> Vec<String> {
    let mut others = Vec::new();
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for reason in reasons {
        let of_lane = reason.strip_prefix("the lane '");
        match of_lane.and_then(|rest| rest.split_once("' ")) {
            None => others.push(reason.clone()),
            Some((lane, what)) => match found.iter_mut().find(|(known, _)| *known == what) {
                Some((_, lanes)) => lanes.push(lane),
                None => found.push((what, vec![lane])),
            },
        }
    }
    let told = found.iter().map(|(what, lanes)| match lanes.as_slice() {
        [lane] => format!("the lane '{lane}' {what}"),
        lanes => format!("each of these lanes {what}: {}", lanes.join(", ")),
    });
    others.extend(told);
    others
}

/// The lanes that write a table.
pub fn services(lanes: &[LaneStatus]) -> impl Iterator<Item = &LaneStatus> {
    lanes.iter().filter(|lane| lane.lane != ShardRecord::WATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_well() {
        assert_eq!(units(1500), "1.5");
    }

    #[test]
    fn a_reason_is_told_once_for_all_lanes_and_after_its_cause() {
        let reasons = [
            "the lane 'a' is 15.0 s behind",
            "the lane 'b' is 15.0 s behind",
            "the lane 'c' has 2 open shards",
            "no worker follows the stream",
        ];
        assert_eq!(
            once(&reasons.map(str::to_owned)),
            [
                "no worker follows the stream",
                "each of these lanes is 15.0 s behind: a, b",
                "the lane 'c' has 2 open shards",
            ]
        );
    }
}

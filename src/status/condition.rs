//! The questions of scripts: whether something is wrong with a split now, and whether a condition holds yet. Both are
//! computed from the split's status, and decide nothing.

use super::lane_status::LaneStatus;
use super::obstacle::ObstacleKind;
use super::split_status::{Phase, SplitStatus};
use crate::model::{counted, duration};
use serde::Serialize;

/// What `status --check` looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// A lane lost records.
    Gap,
    /// A lane is further behind than allowed.
    Lag,
    /// There are dead letters.
    DeadLetters,
    /// The source received changes of a service that had switched.
    WrittenAfterSwitch,
    /// No worker follows the stream, although a lane has something to read.
    NoWorker,
}

/// Something that a person should look at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Alarm {
    /// The kind of alarm.
    pub kind: AlarmKind,
    /// In a sentence.
    pub what: String,
}

/// A ledger with less time until the stream removes what it does not have needs help, as a lane does (notifications use the same time).
const LEDGER_SHORT_MS: u64 = 8 * 3_600_000;

/// The alarms of a running split. A split that is complete has no alarms.
#[must_use]
pub fn alarms(status: &SplitStatus, max_lag_ms: u64) -> Vec<Alarm> {
    if status.phase == Phase::Done {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut add = |kind, what| found.push(Alarm { kind, what });
    for lane in &status.lanes {
        if let Some(reason) = &lane.gap {
            add(
                AlarmKind::Gap,
                format!("the lane '{}' lost records ({reason})", lane.lane),
            );
        }
        if let Some(lag_ms) = lane
            .shown_lag_ms
            .filter(|lag| *lag > max_lag_ms && lane.open_shards > 0)
        {
            let (lane, lag, most) = (&lane.lane, duration(lag_ms), duration(max_lag_ms));
            add(
                AlarmKind::Lag,
                format!("the lane '{lane}' is {lag} behind, and {most} are allowed"),
            );
        }
    }
    if let Some(ledger) = &status.ledger {
        if let Some(reason) = &ledger.gap {
            add(AlarmKind::Gap, format!("the ledger lost records ({reason})"));
        } else if ledger.time_left_ms.is_some_and(|left| left < LEDGER_SHORT_MS) {
            let left = duration(LEDGER_SHORT_MS);
            add(
                AlarmKind::Lag,
                format!(
                    "the ledger has less than {left} until the stream removes changes that it does not have"
                ),
            );
        }
    }
    let open = status
        .dead_letters
        .iter()
        .filter(|(service, _)| !status.switched.contains_key(*service));
    for (service, count) in open {
        let letters = counted(*count, "dead letter");
        add(AlarmKind::DeadLetters, format!("{letters} of {service} are open"));
    }
    for obstacle in &status.obstacles {
        if obstacle.kind == ObstacleKind::WrittenAfterSwitch {
            add(AlarmKind::WrittenAfterSwitch, obstacle.what.clone());
        }
    }
    let is_given_up = status
        .obstacles
        .iter()
        .any(|obstacle| obstacle.kind == ObstacleKind::Abandoned);
    let is_followed = status.phase < Phase::Completing && !is_given_up;
    if is_followed && status.lanes.iter().any(|lane| !is_drained(lane)) && !has_worker(status) {
        add(
            AlarmKind::NoWorker,
            "no worker follows the stream: `dynasplit replicate` does not run".into(),
        );
    }
    found
}

/// What `wait` waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "for")]
pub enum Condition {
    /// Every lane has applied all writes from before this time, in milliseconds since 1970.
    CaughtUp {
        /// The time.
        past_ms: u64,
    },
    /// The last verify was clean, and nothing is in the way of completing.
    Verified,
    /// The stream is off, and every lane has read it to its end.
    Drained,
}

/// Whether a condition holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Holds,
    /// Not yet, for these reasons.
    NotYet(Vec<String>),
    /// Waiting can't make it true, for these reasons.
    Never(Vec<String>),
}

impl Condition {
    /// Whether the condition holds, by a status that was read at this time or later.
    #[must_use]
    pub fn verdict(self, status: &SplitStatus, read_ms: u64) -> Verdict {
        if let Some(given_up) = status
            .obstacles
            .iter()
            .find(|obstacle| obstacle.kind == ObstacleKind::Abandoned)
        {
            return Verdict::Never(vec![given_up.to_string()]);
        }
        if status.phase >= Phase::Completing {
            return self.verdict_at_the_end(status);
        }
        if self == Self::Verified {
            let reasons = status.obstacles.iter().map(ToString::to_string).collect();
            let has_gap = status
                .obstacles
                .iter()
                .any(|obstacle| obstacle.kind == ObstacleKind::Gap);
            return match status.phase {
                Phase::Verified => Verdict::Holds,
                _ if has_gap => Verdict::Never(reasons),
                _ => Verdict::NotYet(reasons),
            };
        }
        let (mut missing, mut never) = (Vec::new(), Vec::new());
        for lane in &status.lanes {
            match self.lane(lane, read_ms) {
                Verdict::Holds => {}
                Verdict::NotYet(reasons) => missing.extend(reasons),
                Verdict::Never(reasons) => never.extend(reasons),
            }
        }
        if !never.is_empty() {
            return Verdict::Never(never);
        }
        if missing.is_empty() && !status.lanes.is_empty() {
            return Verdict::Holds;
        }
        if !has_worker(status) {
            missing.push("no worker follows the stream: run `dynasplit replicate`".into());
        }
        Verdict::NotYet(missing)
    }

    /// The lanes are stopped for good, and were drained or caught up, and verified, before that.
    fn verdict_at_the_end(self, status: &SplitStatus) -> Verdict {
        match (self, status.phase) {
            // It was shown to be in order, and no lane reads any more; until it ends, it may go back.
            (Self::Verified | Self::Drained, Phase::Completing) => {
                Verdict::NotYet(vec!["`dynasplit complete` has begun and not ended".into()])
            }
            (Self::Verified | Self::Drained, _) => Verdict::Holds,
            (Self::CaughtUp { .. }, phase) => Verdict::Never(vec![format!(
                "the split is {phase}: no lane follows the stream any more"
            )]),
        }
    }

    fn lane(self, lane: &LaneStatus, read_ms: u64) -> Verdict {
        let name = &lane.lane;
        if let Some(gap) = &lane.gap {
            return Verdict::Never(vec![format!(
                "the lane '{name}' lost records ({gap}): run `dynasplit replicate --restart-tail`, then `dynasplit verify --repair`"
            )]);
        }
        let Some(lag_ms) = lane.lag_ms else {
            return Verdict::NotYet(vec![format!("the lane '{name}' does not follow the stream yet")]);
        };
        match self {
            Self::CaughtUp { past_ms } => match lane.drained_ms {
                // A drained lane does not show writes after the stream was switched off.
                Some(drained_ms) if drained_ms < past_ms => Verdict::Never(vec![format!(
                    "the lane '{name}' is drained, and later writes are in no stream: wait for `drained` \
                     instead"
                )]),
                Some(_) => Verdict::Holds,
                None if read_ms.saturating_sub(lag_ms) >= past_ms => Verdict::Holds,
                None => {
                    let lag = lane.told_lag().unwrap_or_else(|| duration(lag_ms));
                    Verdict::NotYet(vec![format!("the lane '{name}' is {lag} behind")])
                }
            },
            _ if is_drained(lane) => Verdict::Holds,
            _ => {
                let shards = counted(lane.open_shards as u64, "open shard");
                Verdict::NotYet(vec![format!("the lane '{name}' has {shards}")])
            }
        }
    }
}

fn is_drained(lane: &LaneStatus) -> bool {
    lane.lag_ms.is_some() && lane.open_shards == 0 && lane.gap.is_none()
}

fn has_worker(status: &SplitStatus) -> bool {
    let mut workers = status.workers.iter();
    workers.any(|worker| worker.kind == "tail" && !worker.overdue)
}

#[cfg(test)]
#[path = "condition/tests.rs"]
mod tests;

//! The command `replicate`.

use super::args::{Global, Replicate};
use super::exit::Exit;
use super::failure::Failed;
use super::listen::Listening;
use super::progress::{Bar, Progress, Shown};
use super::session::GRACE;
use super::stoppable::stoppable;
use super::{output, screen, text};
use crate::state::{Limit, ShardRecord};
use crate::status::LaneStatus;
use crate::tail::{Ended, Tail, TailOptions};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

#[derive(Serialize)]
pub(super) struct Report {
    pub ended: &'static str,
    pub lanes: Vec<LaneStatus>,
}

/// Runs `replicate`.
pub async fn run(global: &Global, args: &Replicate, stop: CancellationToken) -> Result<Exit, Failed> {
    let listening = Listening::begin(&args.listen).await?;
    let split = output::open(global, &args.plan).await?;
    let serving = listening.serve_or_chart(&split).await;
    let options = TailOptions {
        restart: args.restart_tail,
        restart_events: args.restart_events,
        restart_ledger: args.restart_ledger,
        write_units: args.write_units,
    };
    let table = split.plan.source.table.clone();
    let (tail, view) = Tail::new(split, options, stop);
    let mut begun = view.clone();
    let telling = tokio::spawn(async move {
        if begun.wait_for(|lanes| !lanes.is_empty()).await.is_ok() {
            screen::say(&format!(
                "following the stream of {table}; Ctrl-C stops and saves"
            ));
        }
    });
    let progress = Progress::of(view.clone());
    let result = stoppable(&global.session, GRACE, Box::pin(tail.run())).await;
    telling.abort();
    serving.end().await;
    progress.end().await;
    let ended = result?;
    let lanes = view.borrow().clone();
    let gaps = lanes.iter().any(|lane| lane.gap.is_some());
    let report = Report {
        ended: match ended {
            Ended::Stopped => "stopped",
            Ended::Completed => "completed",
            Ended::Drained => "drained",
        },
        lanes,
    };
    output::print(global, &report, |report| render(report, ended))?;
    Ok(if gaps { Exit::NotClean } else { Exit::Done })
}

pub(super) fn render(report: &Report, ended: Ended) -> String {
    let last = match ended {
        Ended::Stopped => "stopped, and saved. To continue, run `dynasplit replicate`",
        Ended::Completed => {
            "the split is complete, or `dynasplit complete` ends it at the moment: this worker is no longer needed, so do not start \
             `dynasplit replicate` again"
        }
        Ended::Drained => "drained: the stream is off, and every record in it was applied",
    };
    if report.lanes.is_empty() {
        return last.into();
    }
    format!("{}\n{last}", text::lanes(&report.lanes, false))
}

impl Shown for Vec<LaneStatus> {
    fn title(&self) -> String {
        if self.is_empty() {
            return "tailing: connecting".into();
        }
        let unrouted = self.iter().find(|lane| lane.lane == ShardRecord::WATCH);
        let dead = match unrouted.map_or(0, |lane| lane.dead_letters) {
            0 => None,
            dead => Some(format!(
                "{} of {}",
                text::counted(dead, "dead letter"),
                ShardRecord::WATCH
            )),
        };
        let blocked = all_blocked(self).map(|reason| format!("no lane moves: {reason}"));
        let told: Vec<String> = dead.into_iter().chain(blocked).collect();
        if told.is_empty() {
            "tailing".into()
        } else {
            format!("tailing: {}", told.join("; "))
        }
    }

    fn bars(&self) -> Vec<Bar> {
        let is_told = all_blocked(self).is_some();
        text::services(self)
            .map(|lane| Bar {
                name: lane.lane.clone(),
                position: lane.counters.seen,
                unit: "record",
                message: state(lane, is_told),
                ..Bar::default()
            })
            .collect()
    }
}

/// Why no lane moves, if that is one reason for all of them: it is told once.
fn all_blocked(lanes: &[LaneStatus]) -> Option<&String> {
    let (first, others) = lanes.split_first()?;
    let reason = first.blocked.as_ref()?;
    let is_same = |lane: &LaneStatus| lane.blocked.as_ref() == Some(reason) && lane.gap.is_none();
    (first.gap.is_none() && others.iter().all(is_same)).then_some(reason)
}

fn state(lane: &LaneStatus, is_told: bool) -> String {
    let lag = match lane.shown_lag_ms {
        Some(lag) if lane.open_shards > 0 => format!("lag {}", text::duration(lag)),
        Some(_) => "drained".into(),
        None => "not captured yet".into(),
    };
    let dead = match lane.dead_letters {
        0 => String::new(),
        dead => format!("{}, ", text::counted(dead, "dead letter")),
    };
    let lag = format!("{dead}{lag}");
    match (&lane.gap, &lane.blocked) {
        (Some(gap), _) => format!("GAP: {gap}"),
        (None, Some(_)) if is_told => lag,
        (None, Some(reason)) => format!("{lag}, limited by {reason}"),
        (None, None) if lane.lags_dangerously() => {
            format!("{lag} of the 24 hours that the stream keeps{}", limited(lane))
        }
        (None, None) => format!("{lag}{}", limited(lane)),
    }
}

/// The limit of a lane that has something to do.
fn limited(lane: &LaneStatus) -> String {
    match &lane.limit {
        Some(noted) if noted.limit != Limit::Idle && lane.open_shards > 0 => {
            format!(", limited by {}", noted.limit)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_shown_while_they_are_open() {
        let lane = |name: &str, dead_letters| LaneStatus {
            lane: name.into(),
            shown_lag_ms: Some(500),
            open_shards: 1,
            dead_letters,
            ..LaneStatus::default()
        };
        let lanes = |a, unrouted| vec![lane("a", a), lane(ShardRecord::WATCH, unrouted)];
        let shown = |lanes: Vec<LaneStatus>| (lanes.title(), lanes.bars()[0].message.clone());
        assert_eq!(shown(lanes(0, 0)), ("tailing".into(), "lag 500 ms".into()));
        assert_eq!(
            shown(lanes(1, 2)),
            (
                "tailing: 2 dead letters of (unrouted)".into(),
                "1 dead letter, lag 500 ms".into()
            )
        );
    }
}

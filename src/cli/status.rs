use super::args::{Global, Status};
use super::exit::Exit;
use super::failure::Failed;
use super::table::table;
use super::tune::bound;
use super::{output, text};
use crate::state::{Limit, ShardRecord, TuningRecord};
use crate::status::{Alarm, Standing, alarms, standing, told};
use crate::worker::now_ms;
use serde::Serialize;

/// Runs `status`.
pub async fn run(global: &Global, args: &Status) -> Result<Exit, Failed> {
    let split = output::open_to_look(global, &args.plan).await?;
    let standing = standing(&split).await?;
    if args.check {
        return check(global, standing, args.max_lag);
    }
    output::print(global, &standing, render)?;
    Ok(Exit::Done)
}

/// The status with what a person should look at.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    standing: Standing,
    alarms: Vec<Alarm>,
}

fn check(global: &Global, standing: Standing, max_lag_s: u64) -> Result<Exit, Failed> {
    let alarms = alarms(&standing, max_lag_s.saturating_mul(1000));
    let checked = Checked { standing, alarms };
    output::print(global, &checked, |checked| {
        let mut lines = vec![render(&checked.standing), String::new()];
        if checked.alarms.is_empty() {
            lines.push("check: ok".into());
        }
        lines.extend(
            checked
                .alarms
                .iter()
                .map(|alarm| format!("check: {}", alarm.what)),
        );
        lines.join("\n")
    })?;
    Ok(if checked.alarms.is_empty() {
        Exit::Done
    } else {
        Exit::NotClean
    })
}

pub(super) fn render(standing: &Standing) -> String {
    let mut lines = vec![format!("split {}: {}", standing.split, standing.phase)];
    let alive = standing.workers.iter().filter(|worker| !worker.overdue).count();
    let dead = standing.workers.len() - alive;
    lines.extend(standing.switched.iter().map(|(service, at_ms)| {
        let ago = text::duration(now_ms().saturating_sub(*at_ms));
        format!("{service} switched {ago} ago: dynasplit no longer writes its table")
    }));
    lines.push(match (alive, dead) {
        (0, 0) => "workers: none".into(),
        (alive, 0) => format!("workers: {alive}"),
        (alive, dead) => format!("workers: {alive}, and {dead} whose lease has expired"),
    });
    lines.push(String::new());
    lines.push(text::lanes(&standing.lanes, !standing.obstacles.is_empty()));
    lines.push(String::new());
    lines.push(backfill(standing));
    if standing.tombstones.holds() {
        lines.push("a bulk copy holds the lanes: they apply no changes until it ends".into());
    }
    lines.extend(
        standing
            .backfill_blocked
            .iter()
            .map(|reason| format!("the backfill is held up: {reason}")),
    );
    lines.extend(
        standing
            .running
            .iter()
            .map(|doing| format!("running: {}, {}", doing.command, doing.phase)),
    );
    lines.extend(limits(standing));
    if standing.tuning.is_tuned() {
        lines.push(format!("tuned: {}", tuned(&standing.tuning)));
    }
    if let Some(verify) = &standing.verify {
        let ago = text::duration(now_ms().saturating_sub(verify.ended_ms));
        let what = if verify.clean { "clean" } else { "not clean" };
        let found = match verify.findings() {
            found if verify.clean || found.is_empty() => String::new(),
            found => format!(" ({found})"),
        };
        lines.push(format!("last verify: {what}, {ago} ago{found}"));
    }
    if !standing.obstacles.is_empty() {
        lines.push(String::new());
        lines.push("in the way of completing:".into());
        lines.extend(
            told(&standing.obstacles)
                .iter()
                .map(|obstacle| format!("  - {obstacle}")),
        );
    }
    lines.push(String::new());
    lines.push(format!("next: {}", standing.next));
    lines.join("\n")
}

/// What limits the commands that run, with the age of the news.
fn limits(standing: &Standing) -> Vec<String> {
    if standing.limits.is_empty() {
        return Vec::new();
    }
    let rows: Vec<Vec<String>> = standing
        .limits
        .iter()
        .filter(|limit| limit.limit != Limit::Idle)
        .map(|limit| {
            vec![
                limit.command.clone(),
                limit.of.clone(),
                format!("{} ago", text::duration(limit.age_ms)),
                limit.text.clone(),
            ]
        })
        .collect();
    if rows.is_empty() {
        // Of another command that runs, nothing is known that limits it.
        let idle = format!("limited by {}", Limit::Idle);
        return standing.running.is_empty().then_some(idle).into_iter().collect();
    }
    vec![table(&["command", "part", "seen", "limited by"], rows)]
}

/// What is tuned, in one line.
fn tuned(tuning: &TuningRecord) -> String {
    let mut said = Vec::new();
    said.extend(tuning.reads.map(|reads| format!("reads {}", bound(Some(reads)))));
    said.extend(
        tuning
            .writes
            .map(|writes| format!("writes {}", bound(Some(writes)))),
    );
    let services = tuning.services.iter();
    said.extend(services.map(|(service, writes)| format!("writes of {service} {}", bound(Some(*writes)))));
    said.extend(tuning.workers.map(|workers| format!("workers {workers}")));
    said.join(", ")
}

fn backfill(standing: &Standing) -> String {
    let Some(record) = &standing.backfill_record else {
        return "backfill: not started".into();
    };
    let rows: Vec<Vec<String>> = standing
        .backfill
        .iter()
        .filter(|lane| lane.lane != ShardRecord::WATCH)
        .map(|lane| {
            vec![
                lane.lane.clone(),
                format!("{}/{}", lane.segments_done, lane.segments),
                text::count(lane.counters.put),
                text::count(lane.counters.superseded),
                text::count(lane.dead_letters),
            ]
        })
        .collect();
    let table = table(&["backfill", "segments", "copied", "superseded", "dead"], rows);
    let end = match record.finished_ms {
        Some(finished) => format!(
            "finished in {}",
            text::duration(finished.saturating_sub(record.started_ms))
        ),
        None => progress(standing),
    };
    let mut told = format!(
        "{table}\nbackfill ({}): {} read, {} read units; {end}",
        record.order,
        text::counted(standing.scanned, "item"),
        text::units(standing.read_milliunits)
    );
    if !record.order_reason.is_empty() && record.finished_ms.is_none() {
        told.push('\n');
        told.push_str(&record.order_reason);
    }
    told
}

/// How fast it goes, as the running process says; or since when none runs.
fn progress(standing: &Standing) -> String {
    let running = standing.running.iter().find(|doing| doing.command == "backfill");
    let Some(running) = running else {
        return match standing.backfill_seen_ms {
            Some(seen_ms) => format!(
                "no process has worked on it for {}: `dynasplit backfill` continues it",
                text::duration(now_ms().saturating_sub(seen_ms))
            ),
            // It ended before it could give a sign of life.
            None => "no process works on it: `dynasplit backfill` continues it".into(),
        };
    };
    let Some(estimate) = running.estimate else {
        return "running".into();
    };
    let words = [
        Some(text::rate(estimate.per_second())),
        text::time_left(estimate.left, estimate.per_second()),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

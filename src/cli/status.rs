//! The command `status`.

mod spent;
mod watch;

use super::args::{Global, Status};
use super::exit::Exit;
use super::failure::Failed;
use super::forecast::{forecast, prices};
use super::survey::render_preparation;
use super::table::table;
use super::tune::bound;
use super::{output, text, wrapping};
use crate::cutover::{Preparation, preparations};
use crate::dynamo::Clock;
use crate::report::{ServiceView, Spent, spent};
use crate::state::{CutoverPhase, Limit, ShardRecord, TuningRecord};
use crate::status::{
    Alarm, CutoverStatus, EventsPhase, EventsStatus, HealStatus, LedgerStatus, ReverseState,
    SharedVerifyStatus, SplitStatus, alarms, split_status_with_worker, told,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub use watch::watch;

/// Runs `status`.
pub async fn run(global: &Global, args: &Status) -> Result<Exit, Failed> {
    // Read first: a file that is wrong is reported before AWS is asked.
    let forecast = args.forecast.as_deref().map(forecast).transpose()?;
    let prices = prices(args.prices.as_deref())?;
    let split = output::open_to_look(global, &args.plan).await?;
    // A worker that starts again is away for a moment, which is no alarm. A worker whose clock is slow is not dead.
    let status = split_status_with_worker(&split).await?;
    if args.check {
        return check(global, status, args.max_lag);
    }
    if args.preparation {
        let preparation = Box::pin(preparations(&split)).await?;
        output::print(global, &Prepared { status, preparation }, render_prepared)?;
        return Ok(Exit::Done);
    }
    if let Some(forecast) = forecast {
        let (source, services) = (&split.plan.source.table, ServiceView::all(&split.plan));
        let spent = spent(&status, source, &services, &prices, Some(&forecast));
        output::print(global, &Compared { status, spent }, |compared| {
            format!(
                "{}\n\n{}",
                render(&compared.status),
                spent::render(&compared.spent)
            )
        })?;
        return Ok(Exit::Done);
    }
    output::print(global, &status, render)?;
    Ok(Exit::Done)
}

/// The status with what the split has used.
#[derive(Serialize)]
struct Compared {
    #[serde(flatten)]
    status: SplitStatus,
    spent: Spent,
}

/// The status with the preparation of the cutovers.
#[derive(Serialize)]
struct Prepared {
    #[serde(flatten)]
    status: SplitStatus,
    preparation: Vec<Preparation>,
}

fn render_prepared(prepared: &Prepared) -> String {
    let shown = render_preparation(&prepared.preparation, wrapping::columns(), false);
    let shown = if prepared.preparation.is_empty() {
        "no service has a cutover before it: none writes the source, or the plan has neither `fence` nor `hooks`".to_owned()
    } else {
        shown.trim().to_owned()
    };
    format!("{}\n\n{shown}", render(&prepared.status))
}

/// The most events of a cutover that are shown.
const SHOWN_EVENTS: usize = 5;

/// The status with its alarms.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    status: SplitStatus,
    alarms: Vec<Alarm>,
}

fn check(global: &Global, status: SplitStatus, max_lag_s: u64) -> Result<Exit, Failed> {
    let alarms = alarms(&status, max_lag_s.saturating_mul(1000));
    let checked = Checked { status, alarms };
    output::print(global, &checked, |checked| {
        let mut lines = vec![render(&checked.status), String::new()];
        if checked.alarms.is_empty() {
            lines.push("check: ok".into());
        }
        let alarms: Vec<String> = checked.alarms.iter().map(|alarm| alarm.what.clone()).collect();
        lines.extend(text::once(&alarms).iter().map(|alarm| format!("check: {alarm}")));
        lines.join("\n")
    })?;
    Ok(if checked.alarms.is_empty() {
        Exit::Done
    } else {
        Exit::NotClean
    })
}

pub(super) fn render(status: &SplitStatus) -> String {
    let mut lines = vec![format!("split {}: {}", status.split, status.phase)];
    let alive = status.workers.iter().filter(|worker| !worker.overdue).count();
    let dead = status.workers.len() - alive;
    let is_cut_over = |service: &str| {
        let mut cutovers = status.cutovers.iter();
        cutovers.any(|cutover| cutover.service == service && cutover.phase != CutoverPhase::Replicating)
    };
    lines.extend(status.cutovers.iter().flat_map(cutover));
    let switched = status
        .switched
        .iter()
        .filter(|(service, _)| !is_cut_over(service));
    lines.extend(switched.map(|(service, at_ms)| {
        let ago = text::duration(Clock::SYSTEM.now_ms().saturating_sub(*at_ms));
        format!("{service} switched {ago} ago: dynasplit no longer writes its table")
    }));
    lines.push(match (alive, dead) {
        (0, 0) => "workers: none".into(),
        (alive, 0) => format!("workers: {alive}"),
        (alive, dead) => format!("workers: {alive}, and {dead} whose lease has expired"),
    });
    let chaos: BTreeSet<&String> = status
        .workers
        .iter()
        .filter_map(|worker| worker.chaos.as_ref())
        .collect();
    lines.extend(
        chaos
            .iter()
            .map(|chaos| format!("chaos is on ({chaos}): requests of workers are slow or fail on purpose")),
    );
    lines.extend(status.unnotified.iter().map(|failing| {
        format!(
            "no notification has reached {} for {} ({}): {}",
            failing.destination,
            text::duration(failing.since_ms_ago),
            text::counted(failing.attempts.into(), "attempt"),
            failing.reason
        )
    }));
    lines.extend(status.events.iter().map(events));
    lines.extend(status.ledger.iter().map(ledger));
    lines.extend(status.heal.iter().map(heal));
    lines.extend(status.shared_verify.iter().map(shared_verify));
    lines.push(String::new());
    lines.push(text::lanes(&status.lanes, !status.obstacles.is_empty()));
    lines.push(String::new());
    lines.push(backfill(status));
    lines.extend(
        status
            .backfill_blocked
            .iter()
            .map(|reason| format!("the backfill is held up: {reason}")),
    );
    lines.extend(
        status
            .running
            .iter()
            .map(|doing| format!("running: {}, {}", doing.command, doing.phase)),
    );
    lines.extend(limits(status));
    if status.tuning.is_tuned() {
        lines.push(format!("tuned: {}", tuned(&status.tuning)));
    }
    if let Some(verify) = &status.verify {
        let ago = text::duration(Clock::SYSTEM.now_ms().saturating_sub(verify.ended_ms));
        let what = if verify.clean { "clean" } else { "not clean" };
        let found = match verify.findings() {
            found if verify.clean || found.is_empty() => String::new(),
            found => format!(" ({found})"),
        };
        lines.push(format!("last verify: {what}, {ago} ago{found}"));
    }
    lines.extend(changes_compared(&status.changes_compared));
    if !status.obstacles.is_empty() {
        lines.push(String::new());
        lines.push("in the way of completing:".into());
        lines.extend(
            told(&status.obstacles)
                .iter()
                .map(|obstacle| format!("  - {}", obstacle.replace('\n', "\n  "))),
        );
    }
    lines.push(String::new());
    lines.push(format!("next: {}", status.next));
    lines.join("\n")
}

/// The events of a service, in one line.
fn events(events: &EventsStatus) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(
        events
            .sent
            .map(|sent| format!("{} sent", text::counted(sent, "event"))),
    );
    words.extend(match (events.state, events.lag_ms, &events.gap) {
        (_, _, Some(_)) => Some("the rest was lost".to_owned()),
        (EventsPhase::Sending, Some(lag_ms), _) => Some(format!("{} behind", text::duration(lag_ms))),
        (EventsPhase::Sending, None, _) => Some("not begun".to_owned()),
        _ => None,
    });
    words.extend(
        match events.state {
            EventsPhase::Sending => None,
            EventsPhase::Paused => {
                Some("paused since the cutover: changes in the service's own table are in no event")
            }
            EventsPhase::Ended => {
                Some("ended with the switch: changes in the service's own table are in no event")
            }
        }
        .map(str::to_owned),
    );
    if events.dead_letters > 0 {
        words.push(text::counted(events.dead_letters, "dead letter"));
    }
    words.extend(events.blocked.as_ref().map(|reason| format!("blocked: {reason}")));
    format!(
        "events of {} to {}: {}",
        events.service,
        events.destination,
        words.join("; ")
    )
}

/// The ledger, in one line.
fn ledger(ledger: &LedgerStatus) -> String {
    let mut words = vec![text::counted(ledger.records, "record")];
    words.push(match (&ledger.gap, ledger.lag_ms) {
        (Some(gap), _) => format!("gap: {gap}"),
        (None, Some(lag_ms)) => format!("{} behind", text::duration(lag_ms)),
        (None, None) => "not begun".to_owned(),
    });
    let left = ledger.time_left_ms.filter(|_| ledger.gap.is_none());
    words.extend(left.map(|left| {
        format!(
            "{} until the stream removes what it does not have",
            text::duration(left)
        )
    }));
    if !ledger.lanes.is_empty() {
        words.push(format!(
            "read by {}, because the stream does not keep their records any more",
            ledger.lanes.join(", ")
        ));
    }
    words.extend(ledger.blocked.as_ref().map(|reason| format!("blocked: {reason}")));
    format!("ledger {}: {}", ledger.place, words.join("; "))
}

/// Since when the changes of the services were not compared, in one line.
fn changes_compared(compared: &BTreeMap<String, u64>) -> Option<String> {
    let oldest_ms = compared.values().min()?;
    let ago = text::duration(Clock::SYSTEM.now_ms().saturating_sub(*oldest_ms));
    let services: Vec<&str> = compared.keys().map(String::as_str).collect();
    Some(format!(
        "changes since then compared: clean, {ago} ago ({})",
        services.join(", ")
    ))
}

/// The shared verify that is under way, in one line.
fn shared_verify(verify: &SharedVerifyStatus) -> String {
    format!(
        "shared verify {}: {}, {} of {} done; {} at work; began {} ago",
        verify.name,
        verify.phase,
        text::count(verify.done as u64),
        text::counted(verify.parts as u64, "part"),
        match verify.processes {
            1 => "1 process".into(),
            processes => format!("{} processes", text::count(processes as u64)),
        },
        text::duration(Clock::SYSTEM.now_ms().saturating_sub(verify.began_ms)),
    )
}

/// The last heal of a gap, in one line.
fn heal(heal: &HealStatus) -> String {
    let mut words = vec![format!(
        "{} of {} healed",
        text::count(heal.healed as u64),
        text::counted(heal.exports as u64, "export")
    )];
    words.push(format!(
        "{} read again, {} repaired",
        text::counted(heal.counts.keys, "key"),
        text::count(heal.counts.repaired)
    ));
    if heal.counts.left() > 0 {
        words.push(format!("{} left as they are", text::count(heal.counts.left())));
    }
    if let Some(finished) = heal.finished_ms {
        let ago = text::duration(Clock::SYSTEM.now_ms().saturating_sub(finished));
        words.push(format!("ended {ago} ago"));
    }
    format!("heal of a gap: {}", words.join("; "))
}

/// The cutover of a service. While it is under way, with its last events.
fn cutover(cutover: &CutoverStatus) -> Vec<String> {
    let CutoverStatus { service, phase, .. } = cutover;
    let mut words = vec![format!("{service}: {phase} (cutover {})", cutover.epoch)];
    words.extend(cutover.pause_ms.map(|pause| {
        let so_far = if cutover.paused { " so far" } else { "" };
        format!("pause{so_far} {}", text::duration(pause))
    }));
    words.extend(cutover.hold.as_ref().map(|hold| {
        let ago = text::duration(hold.since_ms_ago);
        format!("on hold since {ago}, by {}", hold.operator)
    }));
    words.extend(cutover.reverse.as_ref().map(reverse));
    let mut lines = vec![words.join("; ")];
    lines.extend(
        cutover
            .problem
            .iter()
            .map(|problem| format!("  problem: {problem}")),
    );
    if !cutover.step.is_over() {
        let now = Clock::SYSTEM.now_ms();
        lines.extend(cutover.events.iter().rev().take(SHOWN_EVENTS).rev().map(|event| {
            let ago = text::duration(now.saturating_sub(event.at_ms));
            format!("  {ago} ago, {}: {} ({})", event.step, event.what, event.operator)
        }));
    }
    lines.push(format!("  next: {}", cutover.next));
    lines
}

fn reverse(reverse: &ReverseState) -> String {
    match reverse.complete_to_ms {
        Some(complete_to_ms) => {
            let behind = Clock::SYSTEM.now_ms().saturating_sub(complete_to_ms);
            format!("the reverse lane is {} behind", text::duration(behind))
        }
        None => "the reverse lane has not begun".into(),
    }
}

/// The limits of the running commands, with the age of each.
fn limits(status: &SplitStatus) -> Vec<String> {
    if status.limits.is_empty() {
        return Vec::new();
    }
    let rows: Vec<Vec<String>> = status
        .limits
        .iter()
        // What holds the lanes is told once, with what is in the way.
        .filter(|limit| !matches!(limit.limit, Limit::Idle | Limit::Held))
        .map(|limit| {
            vec![
                limit.command.clone(),
                limit.of.clone(),
                format!("{} ago", text::duration(limit.age_ms)),
                limit.text.clone(),
            ]
        })
        .collect();
    if rows.is_empty() && status.tombstones.values().any(|switch| switch.holds()) {
        return Vec::new();
    }
    if rows.is_empty() {
        // Of another command that runs, nothing is known that limits it.
        let idle = format!("limited by {}", Limit::Idle);
        return status.running.is_empty().then_some(idle).into_iter().collect();
    }
    vec![table(&["command", "part", "seen", "limited by"], rows)]
}

/// The tuned budgets, in one line.
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

fn backfill(status: &SplitStatus) -> String {
    let Some(record) = &status.backfill_record else {
        return "backfill: not started".into();
    };
    let rows: Vec<Vec<String>> = status
        .backfill
        .iter()
        .map(|lane| {
            let written = |count| match lane.lane.as_str() {
                ShardRecord::WATCH => "-".into(),
                _ => text::count(count),
            };
            vec![
                lane.lane.clone(),
                format!(
                    "{}/{}",
                    text::count(lane.segments_done.into()),
                    text::count(lane.segments.into())
                ),
                written(lane.counters.put),
                written(lane.counters.superseded),
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
        None => progress(status),
    };
    let mut told = format!(
        "{table}\nbackfill ({}): {} read, {} read units; {end}",
        record.order,
        text::counted(status.scanned, "item"),
        text::units(status.read_milliunits)
    );
    if !record.order_reason.is_empty() && record.finished_ms.is_none() {
        let ago = text::duration(Clock::SYSTEM.now_ms().saturating_sub(record.started_ms));
        told.push_str(&format!(
            "\nit began {ago} ago; its order: {}",
            record.order_reason
        ));
    }
    told
}

/// How fast it goes, as the running process says; or since when none runs.
fn progress(status: &SplitStatus) -> String {
    let running = status.running.iter().find(|doing| doing.command == "backfill");
    let Some(running) = running else {
        return match status.backfill_seen_ms {
            Some(seen_ms) => format!(
                "no process has worked on it for {}: run `dynasplit backfill` to continue it",
                text::duration(Clock::SYSTEM.now_ms().saturating_sub(seen_ms))
            ),
            // It ended before it could give a sign of life.
            None => "no process works on it: run `dynasplit backfill` to continue it".into(),
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

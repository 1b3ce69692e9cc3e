//! The steps of the split on one scale of time.

use super::bars::{BarRow, Tick, bars};
use super::figures::{ago, moment, tick};
use super::standing::Standing;
use crate::model::duration;
use crate::status::WorkerStatus;
use maud::{Markup, html};

/// The shortest scale, so that a split that began just now has one.
const SHORTEST_MS: u64 = 60_000;

/// A step: its name, its beginning, its end if it has one.
struct Step {
    name: String,
    from_ms: u64,
    to_ms: Option<u64>,
    class: &'static str,
    text: String,
}

/// The section.
pub(super) fn timeline(standing: &Standing) -> Markup {
    let steps = steps(standing);
    let begin = steps
        .iter()
        .map(|step| step.from_ms)
        .min()
        .unwrap_or(standing.now_ms);
    let end = standing.moments.completed_ms.unwrap_or(standing.now_ms);
    let length = end.saturating_sub(begin).max(SHORTEST_MS);
    let place = |at_ms: u64| super::figures::share(at_ms.saturating_sub(begin), length);
    let rows: Vec<BarRow> = steps
        .into_iter()
        .map(|step| BarRow {
            name: step.name,
            from: place(step.from_ms),
            to: step.to_ms.map_or(place(step.from_ms), place),
            class: step.class.to_owned(),
            text: step.text,
        })
        .collect();
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { "Phases" }
            p.note { "From " (moment(begin)) " to " (moment(begin + length)) "." }
            (bars(&rows, &ticks(begin, length)))
        }
    }
}

fn ticks(begin: u64, length: u64) -> Vec<Tick> {
    [0.0, 0.5, 1.0]
        .into_iter()
        .zip([begin, begin + length / 2, begin + length])
        .map(|(at, at_ms)| (at, tick(at_ms, length)))
        .collect()
}

fn steps(standing: &Standing) -> Vec<Step> {
    let (moments, status, now) = (&standing.moments, &standing.status, standing.now_ms);
    let end = moments.completed_ms.unwrap_or(now);
    let at = |name: &str, at_ms: u64, class| Step {
        name: name.to_owned(),
        from_ms: at_ms,
        to_ms: None,
        class,
        text: ago(at_ms, now),
    };
    let over = |name: &str, from_ms: u64, to_ms: Option<u64>, class| Step {
        name: name.to_owned(),
        from_ms,
        to_ms: Some(to_ms.unwrap_or(end)),
        class,
        text: match to_ms {
            Some(to_ms) => duration(to_ms.saturating_sub(from_ms)),
            None => format!("{}, running", duration(end.saturating_sub(from_ms))),
        },
    };
    let mut steps = vec![at("set up", moments.created_ms, "left")];
    if let Some(captured) = moments.captured_ms {
        let mut step = over("tail", captured, moments.completing_ms, "good");
        let is_read = status.workers.iter().any(WorkerStatus::reads_stream);
        if moments.completing_ms.is_none() && !is_read {
            step.text = format!("began {}, not running", ago(captured, now));
        }
        steps.push(step);
    }
    if let Some(backfill) = &status.backfill_record {
        let mut step = over("backfill", backfill.started_ms, backfill.finished_ms, "c0");
        if backfill.finished_ms.is_none() && !status.running.iter().any(|doing| doing.command == "backfill") {
            step.text = format!("began {}, not running", ago(backfill.started_ms, now));
        }
        steps.push(step);
    }
    if let Some(verify) = &status.verify {
        let (class, result) = if verify.clean {
            ("good", "clean")
        } else {
            ("bad", "not clean")
        };
        let mut step = over("last verify", verify.started_ms, Some(verify.ended_ms), class);
        step.text = format!("{result}, {}", ago(verify.ended_ms, now));
        steps.push(step);
    }
    steps.extend(
        status
            .switched
            .iter()
            .filter(|(service, _)| status.cutovers.iter().all(|cutover| cutover.service != **service))
            .map(|(service, at_ms)| at(&format!("switched: {service}"), *at_ms, "c2")),
    );
    for cutover in &status.cutovers {
        // An earlier cutover of the service is in the journal.
        let mut events = cutover.events.iter().filter(|event| event.epoch == cutover.epoch);
        if let Some(first) = events.next() {
            let ended = status.read_ms.saturating_sub(cutover.step_ms_ago);
            let ended = cutover.step.is_over().then_some(ended);
            let mut step = over(&format!("cutover: {}", cutover.service), first.at_ms, ended, "c4");
            step.text = format!("{}, {}", cutover.phase, step.text);
            if ended.is_none() && !cutover.running {
                step.text = format!("{}, no process works on it", cutover.phase);
            }
            steps.push(step);
        }
    }
    if let Some(completing) = moments.completing_ms {
        steps.push(over("complete", completing, moments.completed_ms, "c3"));
    }
    steps
}

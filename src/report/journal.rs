//! The cutovers of the services: where each one stands, and the last events of its journal.

use super::figures::{ago, moment, prose};
use super::standing::Standing;
use crate::model::{count, counted, duration};
use crate::state::CutoverEvent;
use crate::status::{CutoverStatus, ReverseState};
use maud::{Markup, html};

/// The section.
pub(super) fn journal(standing: &Standing) -> Markup {
    let cutovers = &standing.status.cutovers;
    html! {
        section aria-labelledby="cutovers" {
            h2 id="cutovers" { "Cutovers" }
            @if cutovers.is_empty() { p { "No service was cut over yet." } }
            @for (place, cutover) in cutovers.iter().enumerate() { (one(standing, place, cutover)) }
        }
    }
}

fn one(standing: &Standing, place: usize, cutover: &CutoverStatus) -> Markup {
    let copyable = standing.copyable;
    html! {
        h3 { (cutover.service) ": " (cutover.phase) }
        p { (state(cutover)) }
        @if let Some(reverse) = &cutover.reverse { p { (way_back(reverse, standing.now_ms)) } }
        @if let Some(problem) = &cutover.problem {
            p.warn { "The last command stopped: " (prose(&copyable(problem))) }
        }
        p { "Next: " (prose(&copyable(&cutover.next))) "." }
        @if !cutover.events.is_empty() { (table(place, cutover)) }
    }
}

fn state(cutover: &CutoverStatus) -> String {
    let mut told = format!(
        "Cutover {}, step {} since {}: {}.",
        cutover.epoch,
        cutover.step,
        duration(cutover.step_ms_ago),
        cutover.step.doing()
    );
    if !cutover.step.is_over() {
        told += &if cutover.running {
            format!(" {} works on it.", cutover.operator)
        } else {
            " No process works on it.".to_owned()
        };
    }
    if let Some(hold) = &cutover.hold {
        told += &format!(
            " {} holds the next step since {}.",
            hold.operator,
            duration(hold.since_ms_ago)
        );
    }
    if let Some(pause) = cutover.pause_ms {
        let verb = if cutover.paused {
            "cannot write anywhere since"
        } else {
            "could not write anywhere for"
        };
        told += &format!(" The service {verb} {}.", duration(pause));
    }
    told
}

fn way_back(reverse: &ReverseState, now_ms: u64) -> Markup {
    html! {
        @match reverse.complete_to_ms {
            Some(complete) => {
                "The source holds every write of the service from before " (ago(complete, now_ms)) ": "
                (counted(reverse.carried_back, "change")) " carried back."
            }
            None => "No worker has begun to carry the writes of the service back.",
        }
        @if let Some(gap) = &reverse.gap { " " strong.bad { "There is no complete way back: " (gap) } }
        @if let Some(blocked) = &reverse.blocked { " It does not move: " (blocked) "." }
        @for (found, what) in [(reverse.dead_letters.len(), "could not be carried back"), (reverse.strays.len(), "of others came to the source")] {
            @if found > 0 { " " strong.bad { (counted(found as u64, "write")) " " (what) "." } }
        }
    }
}

fn table(place: usize, cutover: &CutoverStatus) -> Markup {
    let id = format!("journal-{place}");
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby=(id) {
            table {
                caption id=(id) { "Journal of " (cutover.service) ": the last " (count(cutover.events.len() as u64)) " events" }
                thead { tr {
                    th scope="col" { "when" } th scope="col" { "step" }
                    th scope="col" { "what happened" } th scope="col" { "operator" }
                } }
                tbody { @for event in &cutover.events { (row(event)) } }
            }
        }
    }
}

fn row(event: &CutoverEvent) -> Markup {
    html! {
        tr {
            td.when { (moment(event.at_ms)) }
            th scope="row" { (event.step) }
            td.long { (prose(&event.what)) }
            td.long { (event.operator) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{CutoverPhase, CutoverStep};

    fn cutover(step: CutoverStep) -> CutoverStatus {
        CutoverStatus {
            service: "orders".into(),
            phase: CutoverPhase::Fenced,
            epoch: 2,
            step,
            step_ms_ago: 4000,
            operator: "<ann>".into(),
            running: false,
            pause_ms: Some(3000),
            paused: true,
            hold: None,
            problem: None,
            reverse: None,
            events: Vec::new(),
            next: "run it".into(),
        }
    }

    #[test]
    fn a_pause_that_lasts_on_is_told_as_such() {
        let mut now = cutover(CutoverStep::Drain);
        let told = state(&now);
        assert!(told.contains("step drain since 4.0 s"), "{told}");
        assert!(told.contains("No process works on it."), "{told}");
        assert!(told.contains("cannot write anywhere since 3.0 s"), "{told}");
        now.running = true;
        assert!(state(&now).contains("<ann> works on it."));
        now.step = CutoverStep::Switched;
        now.paused = false;
        let told = state(&now);
        assert!(!told.contains("works on it"), "{told}");
        assert!(told.contains("could not write anywhere for 3.0 s"), "{told}");
    }

    #[test]
    fn a_way_back_that_is_not_complete_is_told() {
        let lost = ReverseState {
            complete_to_ms: Some(1000),
            carried_back: 7,
            gap: Some("<trimmed>".into()),
            ..ReverseState::default()
        };
        let told = way_back(&lost, 3000).into_string();
        assert!(
            told.contains("from before 2.0 s ago: 7 changes carried back."),
            "{told}"
        );
        assert!(told.contains("no complete way back: &lt;trimmed&gt;"), "{told}");
        let none = way_back(&ReverseState::default(), 3000).into_string();
        assert!(none.contains("No worker has begun"), "{none}");
    }
}

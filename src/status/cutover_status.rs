//! The cutovers of the services, as `status` shows them.

use super::obstacle::{Obstacle, ObstacleKind};
use super::reverse_state::{ReverseState, reverse_state};
use crate::model::{counted, duration};
use crate::state::{CutoverEvent, CutoverPhase, CutoverRecord, CutoverStep, SplitRecord};
use crate::worker::{RunError, Split};
use serde::Serialize;

/// The most events that are shown; the state table keeps all of them.
const MOST_EVENTS: usize = 20;

/// The cutover of one service.
#[derive(Clone, Debug, Serialize)]
pub struct CutoverStatus {
    /// The service.
    pub service: String,
    /// Where the service is.
    pub phase: CutoverPhase,
    /// The number of this cutover of the service, from 1.
    pub epoch: u64,
    /// The step that is under way, or that ended the last command.
    pub step: CutoverStep,
    /// How long ago it began, in milliseconds.
    pub step_ms_ago: u64,
    /// Who started the last command.
    pub operator: String,
    /// A process works on it, or died and its lease has not expired.
    pub running: bool,
    /// How long the service can write nowhere, or could, in milliseconds.
    pub pause_ms: Option<u64>,
    /// The pause lasts on.
    pub paused: bool,
    /// Somebody holds the next step.
    pub hold: Option<HoldStatus>,
    /// Why the last command failed or was cancelled.
    pub problem: Option<String>,
    /// The reverse lane, while there is one.
    pub reverse: Option<ReverseState>,
    /// The last events, oldest first, without the output of hooks.
    pub events: Vec<CutoverEvent>,
    /// The next safe command.
    pub next: String,
}

/// A hold of the next step.
#[derive(Clone, Debug, Serialize)]
pub struct HoldStatus {
    /// Who holds it.
    pub operator: String,
    /// For how long, in milliseconds.
    pub since_ms_ago: u64,
}

/// Reads the cutovers of the services.
pub(super) async fn cutovers(
    split: &Split,
    record: &SplitRecord,
    now: u64,
) -> Result<Vec<CutoverStatus>, RunError> {
    let mut found = Vec::new();
    for (_, stored) in split.store.list::<CutoverRecord>(CutoverRecord::PREFIX).await? {
        let journal = stored.value;
        // A command that was refused begins no cutover.
        if journal.epoch == 0 && journal.hold.is_none() {
            continue;
        }
        let phase = record.cutover_phase(&journal.service);
        let reverse = if phase.carries_back() || phase == CutoverPhase::Ending {
            Some(reverse_state(split, &journal.service, journal.epoch).await?)
        } else {
            None
        };
        let mut events = CutoverEvent::last(&split.store, &journal, MOST_EVENTS).await?;
        for event in &mut events {
            event.output = None;
        }
        found.push(of(&journal, phase, reverse, events, now));
    }
    Ok(found)
}

fn of(
    journal: &CutoverRecord,
    phase: CutoverPhase,
    reverse: Option<ReverseState>,
    events: Vec<CutoverEvent>,
    now: u64,
) -> CutoverStatus {
    CutoverStatus {
        service: journal.service.clone(),
        phase,
        epoch: journal.epoch,
        step: journal.step,
        step_ms_ago: now.saturating_sub(journal.step_ms),
        operator: journal.operator.clone(),
        running: journal.lease.owner.is_some(),
        pause_ms: journal.pause.map(|pause| pause.lasted_ms(now)),
        paused: journal.pause.is_some_and(|pause| pause.until_ms.is_none()),
        hold: journal.hold.as_ref().map(|hold| HoldStatus {
            operator: hold.operator.clone(),
            since_ms_ago: now.saturating_sub(hold.since_ms),
        }),
        problem: journal.problem.clone(),
        reverse,
        events,
        next: journal.next(phase),
    }
}

/// What the cutovers put in the way of completing.
pub(super) fn obstacles(cutovers: &[CutoverStatus]) -> Vec<Obstacle> {
    cutovers.iter().flat_map(of_one).collect()
}

fn of_one(cutover: &CutoverStatus) -> Vec<Obstacle> {
    let service = &cutover.service;
    let mut found = Vec::new();
    let mut add = |kind, what: String, next: String| {
        found.push(Obstacle {
            services: Vec::new(),
            kind,
            service: Some(service.clone()),
            what,
            next,
        });
    };
    if let Some(hold) = &cutover.hold {
        let (held, ago) = (&hold.operator, duration(hold.since_ms_ago));
        let what = format!("{held} put {service} on hold {ago} ago (step {})", cutover.step);
        add(ObstacleKind::Cutover, what, cutover.next.clone());
    } else if !cutover.step.is_over() {
        let pause = match (cutover.paused, cutover.pause_ms) {
            (true, Some(pause)) => format!("; {service} has been unable to write for {}", duration(pause)),
            _ => String::new(),
        };
        let (what, next) = if cutover.running {
            (
                format!(
                    "{} works on the cutover of {service} (step {}: {}){pause}",
                    cutover.operator,
                    cutover.step,
                    cutover.step.doing()
                ),
                format!(
                    "wait until the cutover of {service} ends. If its process died, {}",
                    cutover.next
                ),
            )
        } else {
            (
                format!(
                    "the cutover of {service} stopped at the step {}{pause}",
                    cutover.step
                ),
                cutover.next.clone(),
            )
        };
        add(ObstacleKind::Cutover, what, next);
    }
    let Some(reverse) = &cutover.reverse else {
        return found;
    };
    let force = format!(
        "to go back without them, run `dynasplit rollback --service {service} --force --yes`; to stay with the new table, run \
         `dynasplit complete --service {service} --end-way-back --yes`"
    );
    if let Some(reason) = &reverse.gap {
        add(
            ObstacleKind::ReverseGap,
            format!(
                "the reverse lane of {service} has lost records, so there is no complete way back: {reason}"
            ),
            force.clone(),
        );
    }
    if !reverse.dead_letters.is_empty() {
        add(
            ObstacleKind::ReverseDeadLetters,
            format!(
                "{} of {service} could not be carried back to the source",
                counted(reverse.dead_letters.len() as u64, "write")
            ),
            force,
        );
    }
    if !reverse.strays.is_empty() {
        add(
            ObstacleKind::StrayWrites,
            format!(
                "{} of others came to the source's items of {service} after the switch",
                counted(reverse.strays.len() as u64, "write")
            ),
            format!(
                "find and stop the writer. The writes are not in the table of {service}: apply them there with the service, then \
                 run `dynasplit reverse settle --service {service}`"
            ),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::DeadLetterHead;

    fn cutover(step: CutoverStep, running: bool) -> CutoverStatus {
        CutoverStatus {
            service: "a".into(),
            phase: CutoverPhase::Fenced,
            epoch: 1,
            step,
            step_ms_ago: 1,
            operator: "somebody".into(),
            running,
            pause_ms: Some(61_000),
            paused: true,
            hold: None,
            problem: None,
            reverse: None,
            events: Vec::new(),
            next: "run it".into(),
        }
    }

    #[test]
    fn a_cutover_is_in_the_way_until_it_has_ended() {
        let stopped = obstacles(&[cutover(CutoverStep::Drain, false)]);
        assert_eq!(stopped.len(), 1);
        assert!(
            stopped[0]
                .what
                .contains("stopped at the step drain; a has been unable to write for")
        );
        assert_eq!(stopped[0].next, "run it");
        let running = obstacles(&[cutover(CutoverStep::Drain, true)]);
        assert!(
            running[0].what.contains("somebody works on the cutover of a"),
            "{running:?}"
        );
        assert!(obstacles(&[cutover(CutoverStep::Switched, false)]).is_empty());
        let held = obstacles(&[CutoverStatus {
            hold: Some(HoldStatus {
                operator: "another one".into(),
                since_ms_ago: 2000,
            }),
            ..cutover(CutoverStep::Switched, false)
        }]);
        assert!(held[0].what.contains("another one put a on hold"), "{held:?}");
    }

    fn head() -> DeadLetterHead {
        DeadLetterHead {
            id: "a-1".into(),
            service: "a".into(),
            key: serde_json::Value::Null,
            reason: "it has no place".into(),
            origin: "1/1/1".into(),
            at_ms: 1,
            parts: 0,
            writing: 0,
            attempts: crate::state::Attempts::default(),
            damage: None,
        }
    }

    #[test]
    fn what_is_not_carried_back_is_in_the_way() {
        let reverse = ReverseState {
            gap: Some("trimmed".into()),
            dead_letters: vec![head()],
            strays: vec![head(), head()],
            ..ReverseState::default()
        };
        let found = obstacles(&[CutoverStatus {
            reverse: Some(reverse),
            ..cutover(CutoverStep::Switched, false)
        }]);
        let kinds: Vec<ObstacleKind> = found.iter().map(|obstacle| obstacle.kind).collect();
        assert_eq!(
            kinds,
            [
                ObstacleKind::ReverseGap,
                ObstacleKind::ReverseDeadLetters,
                ObstacleKind::StrayWrites
            ]
        );
    }
}

//! The command `dead-letters`.

use super::args::{DeadLetters, DeadLettersAction, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::service_names::known_or_unrouted;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::{Row, table};
use super::waiting::Waiting;
use super::{output, text};
use crate::dynamo::Clock;
use crate::events::{SentAgain, resend};
use crate::plan::Plan;
use crate::repair::{SettledDeadLetter, discard_dead_letters, reconcile_dead_letters};
use crate::state::{Attempts, DeadLetterHead, ShownDeadLetter, SplitRecord, SwitchedService};
use crate::status::{DeadLetterCauses, dead_letter_causes};
use crate::worker::{RunError, Split, sentence};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// Runs `dead-letters`.
pub async fn run(global: &Global, args: &DeadLetters, stop: CancellationToken) -> Result<Exit, Failed> {
    match &args.action {
        DeadLettersAction::List {
            plan,
            service,
            events: true,
        } => {
            let split = output::open_to_look(global, plan).await?;
            let letters = split.event_letters();
            let listing = letters.list(service.as_deref());
            let letters = stoppable(&global.session, Duration::ZERO, listing).await?;
            known(&split.plan, service.as_deref(), &letters)?;
            let listed: Vec<Listed> = letters.iter().map(Listed::of).collect();
            output::print(global, &listed, |listed| render_events(listed))?;
            Ok(if letters.is_empty() {
                Exit::Done
            } else {
                Exit::NotClean
            })
        }
        DeadLettersAction::List { plan, service, .. } => {
            let split = output::open_to_look(global, plan).await?;
            let listing = split.dead_letters.list(service.as_deref());
            let letters = stoppable(&global.session, Duration::ZERO, listing).await?;
            known(&split.plan, service.as_deref(), &letters)?;
            let listed: Vec<Listed> = letters.iter().map(Listed::of).collect();
            let record = SplitRecord::read(&split.store);
            let record = stoppable(&global.session, Duration::ZERO, record).await?.value;
            let causes = dead_letter_causes(&split, &record);
            let causes = stoppable(&global.session, Duration::ZERO, causes).await?;
            output::print(global, &listed, |listed| {
                render_list(listed, &record.switched, causes)
            })?;
            Ok(if letters.is_empty() {
                Exit::Done
            } else {
                Exit::NotClean
            })
        }
        DeadLettersAction::Show { plan, id, events } => {
            let split = output::open_to_look(global, plan).await?;
            let letters = match events {
                true => split.event_letters(),
                false => split.dead_letters.clone(),
            };
            let showing = letters.show(id);
            let letter = stoppable(&global.session, Duration::ZERO, showing)
                .await?
                .ok_or_else(|| no_letter(id))?;
            output::print_values(global, &letter, |letter| match events {
                true => render_event(letter),
                false => render_one(letter),
            })?;
            Ok(Exit::Done)
        }
        DeadLettersAction::Reconcile {
            plan,
            service,
            ids,
            events: true,
        } => {
            let split = output::open(global, plan).await?;
            let letters = chosen_events(global, &split, service.as_deref(), ids).await?;
            let sending = resend(&split, &letters, &stop);
            let sent = stoppable(&global.session, GRACE, Box::pin(sending)).await?;
            let settled: Vec<SettledDeadLetter> = sent.into_iter().map(of_event).collect();
            output::print(global, &settled, |settled| render_settled(settled))?;
            let all = settled.len() == letters.len() && settled.iter().all(|letter| letter.settled);
            Ok(if all { Exit::Done } else { Exit::NotClean })
        }
        DeadLettersAction::Reconcile {
            plan, service, ids, ..
        } => {
            let split = output::open(global, plan).await?;
            let listing = split.dead_letters.list(service.as_deref());
            let mut letters = stoppable(&global.session, Duration::ZERO, listing).await?;
            known(&split.plan, service.as_deref(), &letters)?;
            refuse_unknown(ids, &letters)?;
            letters.retain(|letter| ids.is_empty() || ids.contains(&letter.id));
            let waiting = Waiting::tell(&split.waits);
            let settling = reconcile_dead_letters(&split, &letters, &stop);
            let settled = stoppable(&global.session, GRACE, Box::pin(settling)).await?;
            drop(waiting);
            output::print(global, &settled, |settled| render_settled(settled))?;
            let all = settled.len() == letters.len() && settled.iter().all(|letter| letter.settled);
            Ok(if all { Exit::Done } else { Exit::NotClean })
        }
        DeadLettersAction::Discard {
            plan,
            service,
            ids,
            events: true,
        } => {
            let split = output::open(global, plan).await?;
            let letters = chosen_events(global, &split, Some(service), ids).await?;
            let discarding = discard_events(&split, &letters);
            let discarded = stoppable(&global.session, GRACE, Box::pin(discarding)).await?;
            output::print(global, &discarded, |discarded| render_settled(discarded))?;
            let all = discarded.iter().all(|letter| letter.settled);
            Ok(if all { Exit::Done } else { Exit::NotClean })
        }
        DeadLettersAction::Discard {
            plan, service, ids, ..
        } => {
            let split = output::open(global, plan).await?;
            let listing = split.dead_letters.list(Some(service));
            let mut letters = stoppable(&global.session, Duration::ZERO, listing).await?;
            known(&split.plan, Some(service), &letters)?;
            refuse_unknown(ids, &letters)?;
            letters.retain(|letter| ids.is_empty() || ids.contains(&letter.id));
            let discarding = discard_dead_letters(&split, service, &letters);
            let discarded = stoppable(&global.session, GRACE, Box::pin(discarding)).await?;
            output::print(global, &discarded, |discarded| render_settled(discarded))?;
            let all = discarded.iter().all(|letter| letter.settled);
            Ok(if all { Exit::Done } else { Exit::NotClean })
        }
    }
}

/// The dead letters of events that a command is about.
async fn chosen_events(
    global: &Global,
    split: &Split,
    service: Option<&str>,
    ids: &[String],
) -> Result<Vec<DeadLetterHead>, Failed> {
    let letters = split.event_letters();
    let listing = letters.list(service);
    let mut letters = stoppable(&global.session, Duration::ZERO, listing).await?;
    known(&split.plan, service, &letters)?;
    refuse_unknown(ids, &letters)?;
    letters.retain(|letter| ids.is_empty() || ids.contains(&letter.id));
    Ok(letters)
}

async fn discard_events(
    split: &Split,
    letters: &[DeadLetterHead],
) -> Result<Vec<SettledDeadLetter>, RunError> {
    let mut discarded = Vec::new();
    for head in letters {
        let removed = if head.damage.is_some() {
            split.event_letters().discard(head).await?;
            true
        } else {
            split.event_letters().settle(head).await?
        };
        discarded.push(SettledDeadLetter {
            id: head.id.clone(),
            service: head.service.clone(),
            settled: removed,
            outcome: match removed {
                true => "discarded: this event is never sent".into(),
                false => "the dead letter was recorded again meanwhile".into(),
            },
        });
    }
    Ok(discarded)
}

fn of_event(sent: SentAgain) -> SettledDeadLetter {
    SettledDeadLetter {
        id: sent.id,
        service: sent.service,
        settled: sent.sent,
        outcome: sent.outcome,
    }
}

fn render_events(letters: &[Listed]) -> String {
    if letters.is_empty() {
        return "there are no dead letters of events".into();
    }
    let rows = letters.iter().map(Listed::noted_row);
    let count = text::counted(letters.len() as u64, "dead letter");
    [
        table(&["id", "event", "reason"], rows),
        count,
        "Correct the destination, then run `dynasplit dead-letters reconcile --events`, which sends them again.".to_owned(),
    ]
    .join("\n")
}

/// An event that its destination refused.
fn render_event(shown: &ShownDeadLetter) -> String {
    let letter = &shown.letter;
    let mut lines = vec![
        format!("service: {}", letter.service),
        format!("reason: {}", letter.reason),
        format!("sequence number: {}", letter.origin),
    ];
    lines.push(attempts(&shown.attempts));
    lines.extend(history(&shown.attempts));
    let event = letter.image.as_ref();
    lines.push(event.map_or("event: none".into(), |event| format!("event: {event:#}")));
    lines.extend(shown.damage.iter().map(|damage| format!("damaged: {damage}")));
    lines.join("\n")
}

/// A dead letter in the list.
#[derive(Serialize)]
pub(super) struct Listed {
    id: String,
    service: String,
    key: serde_json::Value,
    reason: String,
    origin: String,
    at_ms: u64,
    parts: u32,
    /// A random number of 64 bits, which JSON readers would round.
    writing: String,
    #[serde(flatten)]
    attempts: Attempts,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

impl Listed {
    pub(super) fn of(head: &DeadLetterHead) -> Self {
        Self {
            id: head.id.clone(),
            service: head.service.clone(),
            key: head.key.clone(),
            reason: head.reason.clone(),
            origin: head.origin.clone(),
            at_ms: head.at_ms,
            parts: head.parts,
            writing: head.writing.to_string(),
            attempts: head.known_attempts(),
            damage: head.damage.clone(),
        }
    }

    /// Its id, key and reason.
    pub(super) fn row(&self) -> Vec<String> {
        vec![self.id.clone(), self.key.to_string(), self.reason.clone()]
    }

    /// The same, with its attempts if there were several.
    fn noted_row(&self) -> Row {
        let row = Row::from(self.row());
        match self.attempts.attempts {
            0 | 1 => row,
            _ => row.note(attempts(&self.attempts)),
        }
    }
}

/// Refuses a service that neither the plan nor a letter names: a typing error must not look like a clean split.
fn known(plan: &Plan, service: Option<&str>, letters: &[DeadLetterHead]) -> Result<(), Failed> {
    let Some(service) = service else { return Ok(()) };
    if !letters.is_empty() {
        return Ok(());
    }
    known_or_unrouted(plan, service)
}

fn refuse_unknown(ids: &[String], letters: &[DeadLetterHead]) -> Result<(), Failed> {
    let unknown = ids
        .iter()
        .find(|id| !letters.iter().any(|letter| letter.id == **id));
    unknown.map_or(Ok(()), |id| Err(no_letter(id)))
}

fn no_letter(id: &str) -> Failed {
    Failed::of(Exit::Failed, format!("there is no dead letter '{id}'"))
        .hint("`dynasplit dead-letters list` shows their ids")
}

pub(super) fn render_list(
    letters: &[Listed],
    switched: &BTreeMap<String, SwitchedService>,
    causes: DeadLetterCauses,
) -> String {
    if letters.is_empty() {
        return "there are no dead letters".into();
    }
    let rows = letters.iter().map(Listed::noted_row);
    let mut lines = vec![
        table(&["id", "source key", "reason"], rows),
        text::counted(letters.len() as u64, "dead letter"),
    ];
    let is_switched = |letter: &&Listed| switched.contains_key(&letter.service);
    // What stands behind what no service takes is another cause than that of an invalid item.
    let mut advice: Vec<(String, BTreeSet<&str>)> = Vec::new();
    for letter in letters.iter().filter(|letter| !is_switched(letter)) {
        let told = causes.advice(&letter.service);
        match advice.iter_mut().find(|(known, _)| *known == told) {
            Some((_, services)) => _ = services.insert(&letter.service),
            None => advice.push((told, BTreeSet::from([letter.service.as_str()]))),
        }
    }
    lines.extend(match advice.as_slice() {
        [(told, _)] => vec![sentence(told)],
        several => several
            .iter()
            .map(|(told, services)| {
                let services: Vec<&str> = services.iter().copied().collect();
                format!("{}: {told}", services.join(", "))
            })
            .collect(),
    });
    let done: BTreeSet<&String> = letters
        .iter()
        .filter(is_switched)
        .map(|letter| &letter.service)
        .collect();
    lines.extend(done.iter().map(|service| {
        format!(
            "{service} has switched to its own table: correct each item there, then run `dynasplit dead-letters discard \
             --service {service}`"
        )
    }));
    lines.join("\n")
}

/// How often it failed, and when.
fn attempts(attempts: &Attempts) -> String {
    let ago = |at_ms: u64| text::duration(Clock::SYSTEM.now_ms().saturating_sub(at_ms));
    match attempts.attempts {
        1 => format!("1 attempt, {} ago", ago(attempts.first_at_ms)),
        count => format!(
            "{} attempts: the first one {} ago, the last one {} ago",
            text::count(count),
            ago(attempts.first_at_ms),
            ago(attempts.last_at_ms())
        ),
    }
}

/// The attempts that are remembered, the last one first.
fn history(attempts: &Attempts) -> Vec<String> {
    let time = |at_ms| humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at_ms));
    let last = attempts.history.iter().rev();
    let mut lines: Vec<String> = last
        .map(|one| format!("  {}, read from {}: {}", time(one.at_ms), one.origin, one.reason))
        .collect();
    let older = attempts.attempts.saturating_sub(attempts.history.len() as u64);
    if older > 0 {
        lines.push(format!("  and {} before", text::count(older)));
    }
    lines
}

pub(super) fn render_one(shown: &ShownDeadLetter) -> String {
    let letter = &shown.letter;
    let image = |name: &str, image: &Option<serde_json::Value>| {
        let shown = image.as_ref().map_or("none".into(), |image| format!("{image:#}"));
        format!("{name}: {shown}")
    };
    let mut lines = vec![
        format!("service: {}", letter.service),
        format!("source key: {}", letter.key),
        format!("reason: {}", letter.reason),
        format!("read from: {}", letter.origin),
    ];
    if shown.attempts.attempts > 0 {
        lines.push(attempts(&shown.attempts));
        lines.extend(history(&shown.attempts));
    }
    lines.extend([
        image("item", &letter.image),
        image("item before", &letter.old_image),
    ]);
    if let Some(damage) = &shown.damage {
        lines.push(format!(
            "damaged: {damage}. `dynasplit dead-letters reconcile` settles it without its images"
        ));
    }
    lines.join("\n")
}

pub(super) fn render_settled(settled: &[SettledDeadLetter]) -> String {
    if settled.is_empty() {
        return "there are no dead letters".into();
    }
    let rows = settled.iter().map(|letter| {
        vec![
            letter.id.clone(),
            if letter.settled { "settled" } else { "open" }.into(),
            letter.outcome.clone(),
        ]
    });
    table(&["id", "state", "outcome"], rows)
}

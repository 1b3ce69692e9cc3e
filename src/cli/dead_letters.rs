//! The command `dead-letters`.

use super::args::{DeadLetters, DeadLettersAction, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::service_names::known_or_unrouted;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::table;
use super::waiting::Waiting;
use super::{output, text};
use crate::plan::Plan;
use crate::repair::{SettledDeadLetter, discard_dead_letters, discard_stray_writes, reconcile_dead_letters};
use crate::state::{
    DeadLetterHead, DeadLetters as StoredLetters, ShownDeadLetter, SplitRecord, StateError, SwitchedService,
};
use crate::status::{DeadLetterCauses, dead_letter_causes};
use crate::worker::{Split, sentence};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `dead-letters`.
pub async fn run(global: &Global, args: &DeadLetters, stop: CancellationToken) -> Result<Exit, Failed> {
    match &args.action {
        DeadLettersAction::List { plan, service } => {
            let split = output::open_to_look(global, plan).await?;
            let listing = split.dead_letters.list(service.as_deref());
            let letters = stoppable(&global.session, Duration::ZERO, listing).await?;
            known(&split.plan, service.as_deref(), &letters)?;
            let mut listed: Vec<Listed> = letters.iter().map(Listed::of).collect();
            let of_cutovers = of_cutovers(&split, service.as_deref());
            listed.extend(stoppable(&global.session, Duration::ZERO, of_cutovers).await?);
            let record = SplitRecord::read(&split.store);
            let record = stoppable(&global.session, Duration::ZERO, record).await?.value;
            let causes = dead_letter_causes(&split, &record);
            let causes = stoppable(&global.session, Duration::ZERO, causes).await?;
            output::print(global, &listed, |listed| {
                render_list(listed, &record.switched, causes)
            })?;
            Ok(if listed.is_empty() {
                Exit::Done
            } else {
                Exit::NotClean
            })
        }
        DeadLettersAction::Show { plan, id } => {
            let split = output::open_to_look(global, plan).await?;
            let showing = shown(&split, id);
            let letter = stoppable(&global.session, Duration::ZERO, showing)
                .await?
                .ok_or_else(|| no_letter(id))?;
            output::print_values(global, &letter, render_one)?;
            Ok(Exit::Done)
        }
        DeadLettersAction::Reconcile { plan, service, ids } => {
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
        DeadLettersAction::Discard { plan, service, ids } => {
            let split = output::open(global, plan).await?;
            let listing = split.dead_letters.list(Some(service));
            let mut letters = stoppable(&global.session, Duration::ZERO, listing).await?;
            let strays = StoredLetters::strays(split.store.clone());
            let listing = strays.list(Some(service));
            let mut of_others = stoppable(&global.session, Duration::ZERO, listing).await?;
            known(&split.plan, Some(service), &letters)?;
            let all: Vec<DeadLetterHead> = letters.iter().chain(&of_others).cloned().collect();
            refuse_unknown(ids, &all)?;
            letters.retain(|letter| ids.is_empty() || ids.contains(&letter.id));
            of_others.retain(|letter| ids.is_empty() || ids.contains(&letter.id));
            let discarding = discard_stray_writes(&split, &of_others);
            let mut discarded = stoppable(&global.session, GRACE, Box::pin(discarding)).await?;
            if of_others.is_empty() || !letters.is_empty() {
                let discarding = discard_dead_letters(&split, service, &letters);
                discarded.extend(stoppable(&global.session, GRACE, Box::pin(discarding)).await?);
            }
            output::print(global, &discarded, |discarded| render_settled(discarded))?;
            let all = discarded.iter().all(|letter| letter.settled);
            Ok(if all { Exit::Done } else { Exit::NotClean })
        }
    }
}

/// What cutovers left behind: writes that could not be carried back to the source, and writes of others to the source.
async fn of_cutovers(split: &Split, service: Option<&str>) -> Result<Vec<Listed>, StateError> {
    let back = StoredLetters::back(split.store.clone()).list(service).await?;
    let strays = StoredLetters::strays(split.store.clone()).list(service).await?;
    let back = back.iter().map(|head| Listed {
        kind: Kind::Reverse,
        ..Listed::of(head)
    });
    let strays = strays.iter().map(|head| Listed {
        kind: Kind::Stray,
        ..Listed::of(head)
    });
    Ok(back.chain(strays).collect())
}

/// A dead letter, a reverse dead letter or a stray write.
async fn shown(split: &Split, id: &str) -> Result<Option<ShownDeadLetter>, StateError> {
    if let Some(found) = split.dead_letters.show(id).await? {
        return Ok(Some(found));
    }
    if let Some(found) = StoredLetters::back(split.store.clone()).show(id).await? {
        return Ok(Some(found));
    }
    StoredLetters::strays(split.store.clone()).show(id).await
}

/// What an entry of the list is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// A change of the source that could not be written to a service's table.
    DeadLetter,
    /// A write of a service that could not be carried back to the source.
    Reverse,
    /// A write of others to the source's items of a service that was cut over.
    Stray,
}

/// A dead letter in the list.
#[derive(Serialize)]
pub(super) struct Listed {
    kind: Kind,
    id: String,
    service: String,
    key: serde_json::Value,
    reason: String,
    origin: String,
    at_ms: u64,
    parts: u32,
    /// A random number of 64 bits, which JSON readers would round.
    writing: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

impl Listed {
    pub(super) fn of(head: &DeadLetterHead) -> Self {
        Self {
            kind: Kind::DeadLetter,
            id: head.id.clone(),
            service: head.service.clone(),
            key: head.key.clone(),
            reason: head.reason.clone(),
            origin: head.origin.clone(),
            at_ms: head.at_ms,
            parts: head.parts,
            writing: head.writing.to_string(),
            damage: head.damage.clone(),
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
    all: &[Listed],
    switched: &BTreeMap<String, SwitchedService>,
    causes: DeadLetterCauses,
) -> String {
    let of = |kind: Kind| all.iter().filter(move |letter| letter.kind == kind);
    let mut lines = Vec::new();
    for (kind, name, advice) in [
        (
            Kind::Reverse,
            "reverse dead letter",
            "These writes of a service could not be carried back to the source. Correct or delete the items in the service's \
             table; `replicate` then carries them back",
        ),
        (
            Kind::Stray,
            "stray write",
            "Others wrote these items of the source after the service was cut over. Find and stop the writer, apply the writes \
             with the service, then run `dynasplit dead-letters discard --service NAME`",
        ),
    ] {
        let rows: Vec<_> = of(kind).map(row).collect();
        if !rows.is_empty() {
            let count = text::counted(rows.len() as u64, name);
            lines.extend([table(&["id", "key", "reason"], rows), count, advice.to_owned()]);
        }
    }
    let letters: Vec<&Listed> = of(Kind::DeadLetter).collect();
    if !letters.is_empty() || lines.is_empty() {
        lines.push(render_letters(&letters, switched, causes));
    }
    lines.join("\n")
}

fn row(letter: &Listed) -> Vec<String> {
    vec![letter.id.clone(), letter.key.to_string(), letter.reason.clone()]
}

fn render_letters(
    letters: &[&Listed],
    switched: &BTreeMap<String, SwitchedService>,
    causes: DeadLetterCauses,
) -> String {
    if letters.is_empty() {
        return "there are no dead letters".into();
    }
    let rows = letters.iter().copied().map(row);
    let mut lines = vec![
        table(&["id", "source key", "reason"], rows),
        text::counted(letters.len() as u64, "dead letter"),
    ];
    let is_switched = |letter: &&&Listed| switched.contains_key(&letter.service);
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

fn render_one(shown: &ShownDeadLetter) -> String {
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
        image("item", &letter.image),
        image("item before", &letter.old_image),
    ];
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

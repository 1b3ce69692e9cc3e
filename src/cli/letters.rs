use super::args::{DeadLetters, Global, LettersAction};
use super::failure::{Exit, Failed};
use super::waiting::Waiting;
use super::{output, text};
use crate::run::{SettledLetter, reconcile_letters};
use crate::state::{LetterHead, ShownLetter};
use tokio_util::sync::CancellationToken;

/// Runs `dead-letters`.
pub async fn run(global: &Global, args: &DeadLetters, stop: CancellationToken) -> Result<Exit, Failed> {
    match &args.action {
        LettersAction::List { plan, service } => {
            let split = output::open(global, plan).await?;
            let letters = split.letters.list(service.as_deref()).await?;
            output::print(global, &letters, |letters| render_list(letters))?;
            Ok(if letters.is_empty() {
                Exit::Done
            } else {
                Exit::NotClean
            })
        }
        LettersAction::Show { plan, id } => {
            let split = output::open(global, plan).await?;
            let letter = split.letters.show(id).await?.ok_or_else(|| {
                Failed::of(Exit::Failed, format!("there is no dead letter '{id}'"))
                    .hint("`dynasplit dead-letters list` shows their ids")
            })?;
            output::print(global, &letter, render_one)?;
            Ok(Exit::Done)
        }
        LettersAction::Reconcile { plan, service, ids } => {
            let split = output::open(global, plan).await?;
            let mut letters = split.letters.list(service.as_deref()).await?;
            if let Some(unknown) = ids
                .iter()
                .find(|id| !letters.iter().any(|letter| letter.id == **id))
            {
                return Err(
                    Failed::of(Exit::Failed, format!("there is no dead letter '{unknown}'"))
                        .hint("`dynasplit dead-letters list` shows their ids"),
                );
            }
            letters.retain(|letter| ids.is_empty() || ids.contains(&letter.id));
            let waiting = Waiting::tell(&split.waits);
            let settled = reconcile_letters(&split, &letters, &stop).await?;
            drop(waiting);
            output::print(global, &settled, |settled| render_settled(settled))?;
            let all = settled.len() == letters.len() && settled.iter().all(|letter| letter.settled);
            Ok(if all { Exit::Done } else { Exit::NotClean })
        }
    }
}

fn render_list(letters: &[LetterHead]) -> String {
    if letters.is_empty() {
        return "there are no dead letters".into();
    }
    let rows: Vec<Vec<String>> = letters
        .iter()
        .map(|letter| vec![letter.id.clone(), letter.key.to_string(), letter.reason.clone()])
        .collect();
    format!(
        "{}\n{}. Mend the items in the source, then: dynasplit dead-letters reconcile PLAN",
        text::table(&["id", "source key", "reason"], &rows),
        text::counted(letters.len() as u64, "dead letter")
    )
}

fn render_one(shown: &ShownLetter) -> String {
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

fn render_settled(settled: &[SettledLetter]) -> String {
    if settled.is_empty() {
        return "there are no dead letters".into();
    }
    let rows: Vec<Vec<String>> = settled
        .iter()
        .map(|letter| {
            vec![
                letter.id.clone(),
                if letter.settled { "settled" } else { "stays" }.into(),
                letter.outcome.clone(),
            ]
        })
        .collect();
    text::table(&["id", "letter", "outcome"], &rows)
}

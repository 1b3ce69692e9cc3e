//! The command `reverse`: what stands in the way of going back to the source.

use super::args::{Global, Reverse, ReverseAction};
use super::dead_letters::{Listed, render_one};
use super::exit::Exit;
use super::failure::Failed;
use super::output;
use super::service_names::refuse_unknown;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::table;
use crate::state::{DeadLetterHead, DeadLetters};
use crate::tail::{SettledStray, settle_strays};
use crate::worker::Split;
use serde::Serialize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `reverse`.
pub async fn run(global: &Global, args: &Reverse, stop: CancellationToken) -> Result<Exit, Failed> {
    match &args.action {
        ReverseAction::List { plan, service } => {
            let split = output::open_to_look(global, plan).await?;
            refuse_unknown(&split.plan, service)?;
            let [back, strays] = stores(&split);
            let listing = async {
                let back = back.list(Some(service)).await?;
                Ok::<_, crate::state::StateError>((back, strays.list(Some(service)).await?))
            };
            let (back, strays) = stoppable(&global.session, Duration::ZERO, listing).await?;
            let listed = |heads: &[DeadLetterHead]| heads.iter().map(Listed::of).collect();
            let kept = Kept {
                not_carried_back: listed(&back),
                stray_writes: listed(&strays),
            };
            output::print(global, &kept, |kept| kept.render(service))?;
            Ok(exit(kept.is_empty()))
        }
        ReverseAction::Show { plan, id } => {
            let split = output::open_to_look(global, plan).await?;
            let [back, strays] = stores(&split);
            let showing = async {
                match back.show(id).await? {
                    Some(found) => Ok(Some(found)),
                    None => strays.show(id).await,
                }
            };
            let shown = stoppable(&global.session, Duration::ZERO, showing).await?;
            let shown = shown.ok_or_else(|| {
                Failed::of(Exit::Failed, format!("nothing with the id '{id}' is listed"))
                    .hint("`dynasplit reverse list --service NAME` shows the ids")
            })?;
            output::print_values(global, &shown, render_one)?;
            Ok(Exit::Done)
        }
        ReverseAction::Settle {
            plan,
            service,
            overwrite,
            ids,
        } => {
            let split = output::open(global, plan).await?;
            refuse_unknown(&split.plan, service)?;
            let settling = settle_strays(&split, service, ids, *overwrite, &stop);
            let settled = stoppable(&global.session, GRACE, Box::pin(settling)).await?;
            output::print(global, &settled, |settled| render_settled(settled))?;
            Ok(exit(settled.iter().all(|stray| stray.settled)))
        }
    }
}

fn exit(is_clean: bool) -> Exit {
    if is_clean { Exit::Done } else { Exit::NotClean }
}

/// The reverse dead letters, and the stray writes.
fn stores(split: &Split) -> [DeadLetters; 2] {
    let store = || split.store.clone();
    [DeadLetters::back(store()), DeadLetters::strays(store())]
}

/// What stands in the way of a rollback.
#[derive(Serialize)]
struct Kept {
    not_carried_back: Vec<Listed>,
    stray_writes: Vec<Listed>,
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.not_carried_back.is_empty() && self.stray_writes.is_empty()
    }

    fn render(&self, service: &str) -> String {
        let mut lines = Vec::new();
        if !self.not_carried_back.is_empty() {
            lines.push("Changes that could not be carried back to the source:".to_owned());
            lines.push(rows("target key", &self.not_carried_back));
            lines.push(format!(
                "Correct each item in the table of {service}, with the service. `replicate` then carries it back, and takes it \
                 off this list."
            ));
        }
        if !self.stray_writes.is_empty() {
            lines.push(format!(
                "Writes of others to the source, after {service} had switched:"
            ));
            lines.push(rows("source key", &self.stray_writes));
            lines.push(format!(
                "Find the writer and stop it. Apply what it meant with the service, then run `dynasplit reverse settle --service \
                 {service}`. With --overwrite, the command writes what the table of {service} holds over these source items."
            ));
        }
        if lines.is_empty() {
            lines.push("every change was carried back, and nobody else wrote the source".to_owned());
        }
        lines.join("\n")
    }
}

fn rows(key: &str, listed: &[Listed]) -> String {
    table(&["id", key, "reason"], listed.iter().map(Listed::row))
}

fn render_settled(settled: &[SettledStray]) -> String {
    if settled.is_empty() {
        return "there are no stray writes".into();
    }
    let rows = settled.iter().map(|stray| {
        let state = if stray.settled { "settled" } else { "open" };
        vec![stray.id.clone(), state.to_owned(), stray.outcome.clone()]
    });
    table(&["id", "state", "outcome"], rows)
}

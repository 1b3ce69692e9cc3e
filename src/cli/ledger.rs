//! The command `ledger`.

use super::args::{Global, Ledger as Args, LedgerAction, WantedChanges};
use super::exit::Exit;
use super::failure::Failed;
use super::service_names::refuse_unknown;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::table;
use super::waiting::Waiting;
use super::{output, text};
use crate::ledger::{Found, LedgerChecked, ShownChange, Wanted, check_ledger, history_of};
use crate::model::{Key, json, moment};
use crate::repair::{Replayed, replay_ledger};
use crate::worker::{RunError, Split};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `ledger`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let split = match &args.action {
        LedgerAction::Replay { .. } => output::open(global, args.action.plan()).await?,
        _ => output::open_to_look(global, args.action.plan()).await?,
    };
    let session = &global.session;
    match &args.action {
        LedgerAction::Show { wanted, key, limit } => {
            let key = key.as_deref().map(|key| key_of(&split, key)).transpose()?;
            let finding = find(&split, self::wanted(wanted, key), *limit);
            let found = stoppable(session, Duration::ZERO, Box::pin(finding)).await?;
            output::print_values(global, &found, render_found)?;
            Ok(Exit::Done)
        }
        LedgerAction::Check { .. } => {
            let checked = stoppable(session, Duration::ZERO, Box::pin(check_ledger(&split))).await?;
            output::print(global, &checked, render_checked)?;
            Ok(if checked.is_whole() {
                Exit::Done
            } else {
                Exit::NotClean
            })
        }
        LedgerAction::Replay { wanted, service } => {
            refuse_unknown(&split.plan, service)?;
            let _waiting = Waiting::tell(&split.waits);
            let replaying = async {
                let history = history_of(&split).await?;
                replay_ledger(&split, service, &history, &self::wanted(wanted, None), &stop).await
            };
            let replayed = stoppable(session, GRACE, Box::pin(replaying)).await?;
            output::print(global, &replayed, render_replayed)?;
            Ok(if replayed.is_settled() {
                Exit::Done
            } else {
                Exit::NotClean
            })
        }
    }
}

fn wanted(args: &WantedChanges, key: Option<Key>) -> Wanted {
    Wanted {
        key,
        since_ms: args.since,
        until_ms: args.until,
    }
}

/// The key of a source item, as the option gives it.
fn key_of(split: &Split, text: &str) -> Result<Key, Failed> {
    let keys = &split.plan.source.keys;
    let names: Vec<&str> = keys.attributes().map(|key| key.name.as_str()).collect();
    let item = serde_json::from_str(text).ok();
    let item = item.and_then(|item| json::item_from_json(item).ok());
    item.and_then(|item| keys.key_of(&item)).ok_or_else(|| {
        Failed::of(
            Exit::Usage,
            format!(
                "'{text}' is not a key of the source: write DynamoDB JSON with {}, as in '{{\"{}\": {{\"S\": \"...\"}}}}'",
                names.join(" and "),
                names.first().unwrap_or(&"PK")
            ),
        )
    })
}

async fn find(split: &Split, wanted: Wanted, limit: usize) -> Result<Found, RunError> {
    let history = history_of(split).await?;
    Ok(history.find(&split.plan.source.keys, &wanted, limit).await?)
}

fn render_checked(checked: &LedgerChecked) -> String {
    let time = |ms: Option<u64>| ms.filter(|ms| *ms > 0).map_or("-".to_owned(), moment);
    let rows = checked.chains.iter().map(|chain| {
        vec![
            chain.chain.clone(),
            text::count(chain.objects),
            text::count(chain.records),
            time(chain.kept_from_ms),
            time(chain.complete_to_ms),
            if chain.ended { "closed" } else { "open" }.to_owned(),
        ]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let mut lines = match rows.is_empty() {
        true => vec!["the ledger has no objects yet".to_owned()],
        false => vec![table(
            &[
                "stream, chain and shard",
                "objects",
                "records",
                "from",
                "to",
                "shard",
            ],
            rows,
        )],
    };
    lines.extend(checked.bucket.notes());
    for chain in &checked.chains {
        lines.extend(
            chain
                .holes
                .iter()
                .map(|hole| format!("hole in {}: {hole}", chain.chain)),
        );
    }
    if checked.is_whole() {
        lines.push("every object is there and readable, and each continues the one before".into());
    }
    lines.join("\n")
}

fn render_found(found: &Found) -> String {
    let mut lines: Vec<String> = found.changes.iter().map(render_change).collect();
    if found.changes.is_empty() {
        lines.push("no change was found".into());
    }
    if found.more > 0 {
        lines.push(format!(
            "{} later; raise --limit, or narrow the time with --since and --until",
            text::counted(found.more, "change")
        ));
    }
    lines.join("\n")
}

/// A change in three lines at most: when and what, and the items before and after it.
fn render_change(change: &ShownChange) -> String {
    let at = change.at_ms.map_or("at an unknown time".to_owned(), moment);
    let what = match (&change.old, &change.new) {
        (None, Some(_)) => "created",
        (Some(_), None) => "deleted",
        _ => "changed",
    };
    let by = change.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
    let mut lines = vec![format!("{at} {what}{by} {} ({})", change.key, change.sequence)];
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => lines.extend(differences(old, new)),
        (old, new) => lines.extend(old.iter().chain(new).map(|image| format!("  {image}"))),
    }
    lines.join("\n")
}

/// The attributes that a change has changed.
fn differences(old: &serde_json::Value, new: &serde_json::Value) -> Vec<String> {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return Vec::new();
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let told = |value: Option<&serde_json::Value>| value.map_or("absent".to_owned(), ToString::to_string);
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    changed
        .map(|name| format!("  {name}: {} -> {}", told(old.get(name)), told(new.get(name))))
        .collect()
}

fn render_replayed(replayed: &Replayed) -> String {
    let mut lines = vec![format!(
        "{}: {} of the ledger, {} read again: {} repaired",
        replayed.service,
        text::counted(replayed.records, "record"),
        text::counted(replayed.keys, "key"),
        text::count(replayed.repaired)
    )];
    let left = replayed.newer + replayed.invalid + replayed.busy;
    if left > 0 {
        lines.push(format!(
            "{} {} as they are: {} newer than the source, {} invalid, {} busy",
            text::counted(left, "key"),
            if left == 1 { "stays" } else { "stay" },
            replayed.newer,
            replayed.invalid,
            replayed.busy
        ));
    }
    lines.extend(
        replayed
            .left
            .iter()
            .map(|left| format!("  {}: {}", left.key, left.reason)),
    );
    lines.join("\n")
}

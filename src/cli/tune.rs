//! The command `tune`.

use super::args::{Global, Tune as Args};
use super::exit::Exit;
use super::failure::Failed;
use super::service_names::refuse_unknown;
use super::table::table;
use super::{output, text};
use crate::plan::Plan;
use crate::state::{Bound, TuningChange, TuningRecord};
use crate::worker::{Tuned, tune};
use std::collections::BTreeSet;

/// Runs `tune`.
pub async fn run(global: &Global, args: &Args) -> Result<Exit, Failed> {
    let asks =
        args.reset || args.read_units.is_some() || args.workers.is_some() || !args.write_units.is_empty();
    let split = if asks {
        output::open(global, &args.plan).await?
    } else {
        output::open_to_look(global, &args.plan).await?
    };
    let change = change(args, &split.plan)?;
    let tuned = tune(&split, &change).await?;
    output::print(global, &tuned, |tuned| render(tuned, !change.is_none()))?;
    Ok(Exit::Done)
}

/// The requested changes. Each setting can be given only once, and a service must be one of the plan's.
fn change(args: &Args, plan: &Plan) -> Result<TuningChange, Failed> {
    let mut change = TuningChange {
        reset: args.reset,
        reads: args.read_units.unwrap_or_default(),
        workers: args.workers.unwrap_or_default(),
        ..TuningChange::default()
    };
    let mut seen = BTreeSet::new();
    for (service, turn) in &args.write_units {
        if !seen.insert(service) {
            let of = service
                .as_ref()
                .map_or(String::new(), |name| format!(" of {name}"));
            return Err(Failed::of(
                Exit::Usage,
                format!("the write units{of} are given more than once"),
            ));
        }
        match service {
            None => change.writes = *turn,
            Some(name) => {
                refuse_unknown(plan, name)?;
                change.services.insert(name.clone(), *turn);
            }
        }
    }
    Ok(change)
}

pub(super) fn render(tuned: &Tuned, changed: bool) -> String {
    let Tuned { was, now } = tuned;
    let services: BTreeSet<&String> = was.services.keys().chain(now.services.keys()).collect();
    let row = |what: String, of: &dyn Fn(&TuningRecord) -> String| {
        let mut row = vec![what, of(now)];
        if changed {
            row.insert(1, of(was));
        }
        row
    };
    let mut rows = vec![
        row("read units, each table".into(), &|record| bound(record.reads)),
        row("write units, each table".into(), &|record| bound(record.writes)),
    ];
    rows.extend(services.into_iter().map(|service| {
        row(format!("write units, {service}"), &|record| {
            bound(record.services.get(service).copied())
        })
    }));
    rows.push(row("workers".into(), &|record| {
        record
            .workers
            .map_or("default".into(), |workers| text::count(workers.into()))
    }));
    let head: &[&str] = if changed {
        &["", "was", "now"]
    } else {
        &["", "tuned"]
    };
    let last = if changed {
        "\nCommands that run obey within two seconds. `dynasplit status` shows what limits them"
    } else {
        ""
    };
    format!("{}{last}", table(head, rows))
}

/// A bound as text, exactly as it was given.
pub fn bound(bound: Option<Bound>) -> String {
    match bound {
        None => "default".into(),
        Some(Bound::None) => "none".into(),
        Some(Bound::MilliunitsPerSecond(milliunits)) if milliunits % 1000 == 0 => {
            format!("{}/s", text::count(milliunits / 1000))
        }
        Some(bound) => format!("{}/s", bound.share_of(1).unwrap_or_default()),
    }
}

//! The command `abandon`.

use super::args::{Abandon, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::service_names::refuse_unknown;
use super::table::table;
use super::{output, screen};
use crate::lifecycle::{AbandonOptions, AbandonedThing, abandon, abandon_preview, abandon_service};
use tokio_util::sync::CancellationToken;

/// Runs `abandon`.
pub async fn run(global: &Global, args: &Abandon, stop: CancellationToken) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    let options = AbandonOptions {
        delete_targets: args.delete_targets,
        delete_state: args.delete_state,
        disable_stream: args.disable_stream,
    };
    if let Some(name) = &args.service {
        refuse_unknown(&split.plan, name)?;
    }
    if !args.yes {
        let mut things = abandon_preview(&split, options);
        if let Some(name) = &args.service {
            things.retain(|thing| thing.what == *name);
            for thing in &mut things {
                thing.outcome = match (split.target(name), args.delete_table) {
                    (Some((service, _)), _) if service.table.adopted => "is kept: it is adopted",
                    (_, true) => "is deleted",
                    (_, false) => "is kept (--delete-table)",
                }
                .into();
            }
        }
        output::print(global, &things, |things| render(things))?;
        screen::say(
            "nothing was changed, because `abandon` cannot be undone. Read the list, then run the command again with --yes",
        );
        return Ok(Exit::Usage);
    }
    let things = match &args.service {
        Some(name) => abandon_service(&split, name, args.delete_table, &stop, &screen::say).await?,
        None => abandon(&split, options, &stop, &screen::say).await?,
    };
    output::print(global, &things, |things| {
        let plan = args.plan.display();
        let next = match &args.service {
            Some(name) => format!(
                "the service '{name}' is given up. Remove it from {plan}, then start `dynasplit replicate` with the new plan"
            ),
            None => "the split is given up, and no command continues it".into(),
        };
        format!("{}\n{next}", render(things))
    })?;
    Ok(Exit::Done)
}

pub(super) fn render(things: &[AbandonedThing]) -> String {
    let rows = things
        .iter()
        .map(|thing| vec![thing.what.clone(), thing.table.clone(), thing.outcome.clone()]);
    table(&["of", "table", "outcome"], rows)
}

use super::args::{Abandon, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::{output, text};
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
        eprintln!(
            "nothing was changed: giving up can't be undone. Look at the list, then run the command again with --yes"
        );
        return Ok(Exit::Usage);
    }
    let tell = |message: &str| eprintln!("{message}");
    let things = match &args.service {
        Some(name) => abandon_service(&split, name, args.delete_table, &stop, &tell).await?,
        None => abandon(&split, options, &stop, &tell).await?,
    };
    output::print(global, &things, |things| {
        let plan = args.plan.display();
        let next = match &args.service {
            Some(name) => format!(
                "'{name}' is given up. Remove it from {plan}, and start `dynasplit replicate` with the new plan"
            ),
            None => "the split is given up: no command goes on with it".into(),
        };
        format!("{}\n{next}", render(things))
    })?;
    Ok(Exit::Done)
}

fn render(things: &[AbandonedThing]) -> String {
    let rows: Vec<Vec<String>> = things
        .iter()
        .map(|thing| vec![thing.what.clone(), thing.table.clone(), thing.outcome.clone()])
        .collect();
    text::table(&["of", "table", "outcome"], &rows)
}

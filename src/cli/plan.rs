//! The command `plan`.

use super::args::{Global, Survey as Args};
use super::exit::Exit;
use super::failure::Failed;
use super::progress::{Bar, Progress, Shown};
use super::stoppable::stoppable;
use super::{output, survey, wrapping};
use crate::plan::{Cutover, Plan, Problem};
use crate::survey::{SurveyOptions, survey as look};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Items that were routed so far.
#[derive(Clone, Copy, Debug, Default)]
struct Routed(u64);

#[derive(Serialize)]
struct Checked {
    split: String,
    services: Vec<String>,
    warnings: Vec<Problem>,
    cutover: Vec<Cutover>,
}

/// Runs `plan`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    if args.offline {
        return offline(global, args);
    }
    let split = output::open(global, &args.plan).await?;
    output::warn(&split.plan);
    let options = SurveyOptions {
        all: args.all,
        sample: args.sample,
        read_units: args.read_units,
        write_units: args.write_units,
        prices: args.prices.clone(),
    };
    let (told, view) = watch::channel(Routed::default());
    let progress = Progress::of(view);
    let looking = look(&split, &options, &stop, |items| {
        told.send_replace(Routed(items));
    });
    let result = stoppable(&global.session, Duration::ZERO, Box::pin(looking)).await;
    progress.end().await;
    let found = result?;
    let color = console::colors_enabled();
    let width = wrapping::columns();
    output::print(global, &found, |found| survey::render(found, width, color))?;
    Ok(if found.would_fail() {
        Exit::NotClean
    } else {
        Exit::Done
    })
}

fn offline(global: &Global, args: &Args) -> Result<Exit, Failed> {
    let plan = Plan::load(&args.plan)?;
    output::warn(&plan);
    let services = plan.services.iter().map(|service| service.name.clone()).collect();
    let checked = Checked {
        cutover: plan.cutover(),
        split: plan.split,
        services,
        warnings: plan.warnings.list().to_vec(),
    };
    output::print(global, &checked, |checked| {
        let (columns, services) = (wrapping::columns(), checked.services.join(", "));
        let said = format!("the plan of {} is well-formed: {services}", checked.split);
        format!(
            "{}\n{}",
            wrapping::fit(&said, columns),
            survey::render_cutover(&checked.cutover, columns, console::colors_enabled())
        )
    })?;
    Ok(Exit::Done)
}

impl Shown for Routed {
    fn title(&self) -> String {
        "plan: reading the source and the targets".into()
    }

    fn bars(&self) -> Vec<Bar> {
        vec![Bar {
            name: "source".into(),
            position: self.0,
            unit: "item",
            verb: "routed",
            ..Bar::default()
        }]
    }
}

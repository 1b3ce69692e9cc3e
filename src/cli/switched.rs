//! The command `switched`.

use super::args::{Global, Switched};
use super::exit::Exit;
use super::failure::Failed;
use super::service_names::refuse_unknown;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::{output, screen, text};
use crate::dynamo::Clock;
use crate::lifecycle::{SwitchOptions, SwitchReport, switch, switch_back};
use tokio_util::sync::CancellationToken;

/// Runs `switched`.
pub async fn run(global: &Global, args: &Switched, stop: CancellationToken) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    refuse_unknown(&split.plan, &args.service)?;
    let report = if args.undo {
        switch_back(&split, &args.service).await?
    } else {
        let options = SwitchOptions {
            unproven: args.unproven,
        };
        let switching = switch(&split, &args.service, options, &stop, &screen::say);
        stoppable(&global.session, GRACE, Box::pin(switching)).await?
    };
    output::print_with_next(global, &report, &report.next(), render)?;
    Ok(Exit::Done)
}

pub(super) fn render(report: &SwitchReport, next: &str) -> String {
    let SwitchReport { service, table, .. } = report;
    let mut lines: Vec<String> = report
        .overridden
        .iter()
        .map(|reason| format!("overridden: {reason}"))
        .collect();
    match (report.switched_ms, report.already) {
        (None, true) => lines.push(format!("{service} has not switched, so nothing was done")),
        (None, false) => lines.push(format!(
            "the switch of {service} was taken back: its lane continues at its checkpoint"
        )),
        (Some(at_ms), true) => lines.push(format!(
            "{service} switched {} ago: dynasplit does not write {table}, and only the service may write it",
            text::duration(Clock::SYSTEM.now_ms().saturating_sub(at_ms))
        )),
        (Some(_), false) => {
            lines.push(format!(
                "{service} has switched: dynasplit no longer writes {table}"
            ));
            if report.verified_ms.is_none() {
                lines.push("note: no clean verify was recorded before this switch".into());
            }
        }
    }
    if !next.is_empty() {
        lines.push(format!("next: {next}"));
    }
    if report.switched_ms.is_some() && !report.already {
        lines.push(format!(
            "to take the switch back before {service} writes, run `dynasplit switched --undo --service {service}`"
        ));
    }
    lines.join("\n")
}

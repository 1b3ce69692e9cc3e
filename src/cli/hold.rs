//! The commands `pause` and `resume`.

use super::args::{Global, Pause, Resume};
use super::cutover::operator;
use super::exit::Exit;
use super::failure::Failed;
use super::service_names::refuse_unknown;
use super::{output, text};
use crate::cutover::{HoldReport, pause_cutover, resume_cutover};

/// Runs `pause`.
pub async fn pause(global: &Global, args: &Pause) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    refuse_unknown(&split.plan, &args.service)?;
    let operator = operator(None);
    let report = pause_cutover(&split, &args.service, &operator.name).await?;
    output::print(global, &report, render)?;
    Ok(Exit::Done)
}

/// Runs `resume`.
pub async fn resume(global: &Global, args: &Resume) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    refuse_unknown(&split.plan, &args.service)?;
    let operator = operator(None);
    let report = resume_cutover(&split, &args.service, &operator.name).await?;
    output::print(global, &report, render)?;
    Ok(Exit::Done)
}

fn render(report: &HoldReport) -> String {
    let HoldReport { service, step, .. } = report;
    let mut lines = Vec::new();
    match (&report.operator, report.held_ms) {
        (Some(operator), Some(held_ms)) if report.already => lines.push(format!(
            "{service} is on hold already: {operator} did it {} ago",
            text::duration(held_ms)
        )),
        (Some(_), _) if step.is_over() => lines.push(format!(
            "{service} is on hold: no cutover, no rollback and no end of it begins"
        )),
        (Some(_), _) => lines.push(format!("{service} is on hold: no step begins after {step}")),
        _ => lines.push(format!(
            "{service} is not on hold any more: the next step may begin"
        )),
    }
    lines.extend(report.at_most_ms.map(|most| {
        format!(
            "the writers of {service} are stopped: the hold lasts for {} at most, because of --max-pause. Then the cutover is cancelled",
            text::duration(most)
        )
    }));
    lines.push(format!("next: {}", report.next));
    lines.join("\n")
}

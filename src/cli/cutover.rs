//! The commands `cutover` and `rollback`.

use super::args::{Cutover, Global, Rollback};
use super::exit::Exit;
use super::failure::Failed;
use super::listen::Listening;
use super::service_names::refuse_unknown;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::table;
use super::waiting::Waiting;
use super::{output, screen, text};
use crate::cutover::{
    Confirmation, CutoverOptions, CutoverReport, Operator, Outcome, Preview, RollbackOptions, cancel_cutover,
    cancel_rollback, cutover, preview_cutover, preview_rollback, rollback,
};
use std::io::{IsTerminal, Write};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Runs `cutover`.
pub async fn run(global: &Global, args: &Cutover, stop: CancellationToken) -> Result<Exit, Failed> {
    let listening = Listening::begin(&args.listen).await?;
    let split = output::open(global, &args.plan).await?;
    refuse_unknown(&split.plan, &args.service)?;
    if args.dry_run || !(args.yes || args.cancel) {
        let shown = Box::pin(preview_cutover(&split, &args.service)).await?;
        return preview(global, "cutover", args.dry_run, shown);
    }
    if !args.yes {
        return Err(unconfirmed("cutover --cancel"));
    }
    let serving = listening.serve(&split).await;
    let _waiting = Waiting::tell(&split.waits);
    let confirm = |what: &str| confirmed(what, args.stopped);
    let operator = operator(can_confirm(args.stopped).then_some(&confirm));
    let result = if args.cancel {
        let cancelling = cancel_cutover(&split, &args.service, &operator, &stop);
        stoppable(&global.session, GRACE, Box::pin(cancelling)).await
    } else {
        let options = CutoverOptions {
            max_pause: args.max_pause.map(Into::into),
            full_check: args.full_check,
        };
        let cutting = cutover(&split, &args.service, options, &operator, &stop);
        stoppable(&global.session, GRACE, Box::pin(cutting)).await
    };
    serving.end().await;
    end(
        global,
        &result?,
        if args.cancel {
            Outcome::Cancelled
        } else {
            Outcome::Switched
        },
    )
}

/// Runs `rollback`.
pub async fn run_back(global: &Global, args: &Rollback, stop: CancellationToken) -> Result<Exit, Failed> {
    let listening = Listening::begin(&args.listen).await?;
    let split = output::open(global, &args.plan).await?;
    refuse_unknown(&split.plan, &args.service)?;
    if args.dry_run || !(args.yes || args.cancel) {
        let shown = Box::pin(preview_rollback(&split, &args.service, args.force)).await?;
        return preview(global, "rollback", args.dry_run, shown);
    }
    if !args.yes {
        return Err(unconfirmed("rollback --cancel"));
    }
    let serving = listening.serve(&split).await;
    let _waiting = Waiting::tell(&split.waits);
    let confirm = |what: &str| confirmed(what, args.stopped);
    let operator = operator(can_confirm(args.stopped).then_some(&confirm));
    let result = if args.cancel {
        let cancelling = cancel_rollback(&split, &args.service, &operator, &stop);
        stoppable(&global.session, GRACE, Box::pin(cancelling)).await
    } else {
        let options = RollbackOptions {
            max_pause: args.max_pause.map(Into::into),
            force: args.force,
            full_check: args.full_check,
        };
        let going_back = rollback(&split, &args.service, options, &operator, &stop);
        stoppable(&global.session, GRACE, Box::pin(going_back)).await
    };
    serving.end().await;
    let wanted = if args.cancel {
        Outcome::RollbackCancelled
    } else {
        Outcome::RolledBack
    };
    end(global, &result?, wanted)
}

fn unconfirmed(command: &str) -> Failed {
    Failed::of(
        Exit::Usage,
        format!("`{command}` lets writers write again, so you must confirm it with --yes"),
    )
}

fn preview(global: &Global, command: &str, asked: bool, preview: Preview) -> Result<Exit, Failed> {
    output::print(global, &preview, render_preview)?;
    if !asked {
        screen::say(&format!(
            "nothing was changed. Read the steps, then run the command again with --yes (`{command} --dry-run` only shows the steps)"
        ));
        return Ok(Exit::Usage);
    }
    Ok(if preview.refused.is_empty() {
        Exit::Done
    } else {
        Exit::NotClean
    })
}

fn render_preview(preview: &Preview) -> String {
    let rows = preview
        .steps
        .iter()
        .map(|step| vec![step.step.clone(), step.does.clone(), step.undo.clone()]);
    let mut lines = vec![table(&["step", "what it does", "way back"], rows)];
    if preview.refused.is_empty() {
        lines.push("nothing would refuse it now".into());
    } else {
        lines.push("it would be refused now:".into());
        lines.extend(
            preview
                .refused
                .iter()
                .map(|reason| format!("  - {}", reason.replace('\n', "\n    "))),
        );
    }
    lines.extend(
        preview
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    lines.join("\n")
}

/// Prints the result. A command that ended in another way than it was asked for has exit code 3.
fn end(global: &Global, report: &CutoverReport, wanted: Outcome) -> Result<Exit, Failed> {
    output::print(global, report, render)?;
    Ok(if report.outcome == wanted {
        Exit::Done
    } else {
        Exit::NotClean
    })
}

pub(super) fn render(report: &CutoverReport) -> String {
    let CutoverReport { service, table, .. } = report;
    let mut lines = Vec::new();
    if report.already {
        lines.push("it had ended before, so nothing was done".into());
    }
    lines.push(match report.outcome {
        Outcome::Switched => {
            format!("{service} writes its own table now: {table}. Its writes are carried back to the source")
        }
        Outcome::Cancelled => {
            format!(
                "the cutover of {service} was cancelled: {service} writes the source, and nothing was lost"
            )
        }
        Outcome::RolledBack => {
            format!("{service} writes the source again, which holds what it wrote to {table}")
        }
        Outcome::Completed => format!("{service} is completed: it writes {table} for good"),
        Outcome::RollbackCancelled => {
            format!("the rollback of {service} was cancelled: {service} writes its own table, {table}")
        }
    });
    lines.extend(report.reason.iter().map(|reason| format!("reason: {reason}")));
    lines.extend(report.pause_ms.map(|pause| {
        format!(
            "pause: {service} could write nowhere for {}",
            text::duration(pause)
        )
    }));
    lines.push(format!("next: {}", report.next));
    lines.join("\n")
}

pub(super) fn operator<'a>(confirm: Option<&'a (dyn Fn(&str) -> Confirmation + Sync)>) -> Operator<'a> {
    let variable = |names: &[&str]| {
        let found = names.iter().find_map(|name| std::env::var(name).ok());
        found.filter(|value| !value.is_empty())
    };
    let user = variable(&["USER", "LOGNAME", "USERNAME"]).unwrap_or_else(|| "somebody".into());
    let host = variable(&["HOSTNAME", "COMPUTERNAME"]);
    let host = host.map(|host| format!(" on {host}")).unwrap_or_default();
    Operator {
        name: format!("{user}{host} (process {})", std::process::id()),
        tell: &screen::say,
        confirm,
    }
}

/// Whether anybody or anything can confirm what a command asks.
fn can_confirm(by_option: bool) -> bool {
    by_option || std::io::stdin().is_terminal()
}

/// Asks on the terminal, unless the option confirms it.
fn confirmed(what: &str, by_option: bool) -> Confirmation {
    screen::say(what);
    if by_option {
        return Box::pin(std::future::ready(true));
    }
    // Without an answer, it is not confirmed.
    if std::io::stderr().write_all(b"Is it so? Type yes: ").is_err() {
        return Box::pin(std::future::ready(false));
    }
    // A thread that nobody joins: a line cannot be waited for in another way, and Ctrl-C and `--max-pause` must not wait for it.
    let (answered, answer) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let is_read = std::io::stdin().read_line(&mut line).is_ok();
        // The command may have ended meanwhile.
        let _ = answered.send(is_read && line.trim() == "yes");
    });
    Box::pin(async move { answer.await.unwrap_or(false) })
}

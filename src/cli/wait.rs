//! The command `wait`.

use super::args::{Global, Wait, WaitFor};
use super::exit::Exit;
use super::failure::Failed;
use super::{output, screen, text};
use crate::dynamo::Clock;
use crate::status::{Condition, StatusReader, Verdict};
use crate::worker::Split;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Between two looks: each reads the records of the split, some read units.
const POLL: Duration = Duration::from_secs(2);

/// How a wait ended.
#[derive(Serialize)]
pub(super) struct Report {
    pub condition: Condition,
    /// The condition holds.
    pub holds: bool,
    pub waited_ms: u64,
    /// Why it does not hold.
    pub missing: Vec<String>,
}

/// Runs `wait`.
pub async fn run(global: &Global, args: &Wait, stop: CancellationToken) -> Result<Exit, Failed> {
    let condition = match (args.condition, args.past) {
        (WaitFor::CaughtUp, past) => Condition::CaughtUp {
            past_ms: past.unwrap_or_else(|| Clock::SYSTEM.now_ms()),
        },
        (WaitFor::Verified, None) => Condition::Verified,
        (WaitFor::Drained, None) => Condition::Drained,
        (WaitFor::Verified | WaitFor::Drained, Some(_)) => {
            return Err(
                Failed::of(Exit::Usage, "--past applies only to `--for caught-up`")
                    .hint("use `--for caught-up`, or leave out --past"),
            );
        }
    };
    let split = output::open_to_look(global, &args.plan).await?;
    let limit = args.timeout.map(Duration::from_secs);
    let report = tokio::select! {
        biased;
        () = stop.cancelled() => {
            return Err(Failed::of(Exit::Interrupted, "the wait was interrupted; run the same command to \
                 continue"));
        }
        report = Box::pin(wait(&split, condition, limit)) => report?,
    };
    output::print(global, &report, render)?;
    Ok(if report.holds { Exit::Done } else { Exit::NotClean })
}

async fn wait(split: &Split, condition: Condition, limit: Option<Duration>) -> Result<Report, Failed> {
    let began = Instant::now();
    let (mut told, mut reader) = (Vec::new(), StatusReader::default());
    loop {
        let read_ms = split.now_ms();
        let verdict = condition.verdict(&reader.read(split).await?, read_ms);
        let report = |holds, missing| Report {
            condition,
            holds,
            waited_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            missing,
        };
        let missing = match verdict {
            Verdict::Holds => return Ok(report(true, Vec::new())),
            Verdict::Never(reasons) => {
                return Err(Failed::of(
                    Exit::Failed,
                    format!("waiting does not help: {}", text::once(&reasons).join("; ")),
                ));
            }
            Verdict::NotYet(missing) => missing,
        };
        // Reported when the number of reasons changes, because their figures change all the time.
        if told.len() != missing.len() {
            screen::say(&format!("waiting: {}", text::once(&missing).join("; ")));
            told.clone_from(&missing);
        }
        let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(report(false, missing));
        }
        tokio::time::sleep(left.map_or(POLL, |left| left.min(POLL))).await;
    }
}

pub(super) fn render(report: &Report) -> String {
    let waited = text::duration(report.waited_ms);
    if report.holds {
        return format!("the condition holds (waited {waited})");
    }
    let missing = text::once(&report.missing);
    let missing = missing.iter().map(|reason| format!("\n  - {reason}"));
    format!(
        "the condition does not hold after {waited}:{}",
        missing.collect::<String>()
    )
}

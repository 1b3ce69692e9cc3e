//! `status --watch`: the state of the split, again and again.

use super::render;
use crate::cli::args::{Global, Output, Status};
use crate::cli::exit::Exit;
use crate::cli::failure::Failed;
use crate::cli::next::{copyable, copyable_json};
use crate::cli::stoppable::stoppable;
use crate::cli::wrapping::To;
use crate::cli::{output, screen};
use crate::dynamo::Clock;
use crate::status::{SplitStatus, StatusReader};
use std::time::{Duration, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// The cursor goes to the top left corner.
const HOME: &str = "\u{1b}[H";
/// Nothing is left of the line behind the cursor.
const TO_END_OF_LINE: &str = "\u{1b}[K";
/// Nothing is left below the cursor.
const TO_END: &str = "\u{1b}[J";

/// Runs `status --watch`. A signal ends it, which is its usual end, as does a reader of stdout that goes away.
pub async fn watch(global: &Global, args: &Status, stop: CancellationToken) -> Result<Exit, Failed> {
    let split = output::open_to_look(global, &args.plan).await?;
    let interval = Duration::from_secs(args.interval);
    let is_terminal = console::Term::stdout().is_term();
    let (mut seen, mut reader) = (false, StatusReader::default());
    loop {
        let looking = Box::pin(reader.read(&split));
        match stoppable(&global.session, Duration::ZERO, looking).await {
            Ok(status) => {
                seen = true;
                if !show(global.output, &status, is_terminal)? {
                    return Ok(Exit::Done);
                }
            }
            Err(_) if stop.is_cancelled() => return Ok(Exit::Done),
            // A failure that passes does not end a watch that has seen the split.
            Err(failed) if seen && failed.passes() => {
                screen::say(&format!(
                    "the state cannot be read at the moment: {}",
                    failed.message
                ));
            }
            Err(failed) => return Err(failed),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Exit::Done),
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// Shows the status, and says whether anybody reads it.
fn show(form: Output, status: &SplitStatus, is_terminal: bool) -> Result<bool, Failed> {
    match form {
        Output::Json => {
            let line = serde_json::to_string(status).map_err(|error| {
                Failed::of(
                    Exit::Failed,
                    format!("the result can't be shown as JSON: {error}"),
                )
            })?;
            output::line_if_read(&copyable_json(&line))
        }
        Output::Text => {
            let now = UNIX_EPOCH + Duration::from_millis(Clock::SYSTEM.now_ms());
            let now = humantime::format_rfc3339_seconds(now);
            let text = format!("{now}\n{}", To::Stdout.fit(&copyable(&render(status))));
            output::line_if_read(&if is_terminal {
                redrawn(&text)
            } else {
                format!("{text}\n\n")
            })
        }
    }
}

/// The text over the one before, without a flicker.
fn redrawn(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    format!(
        "{HOME}{}{TO_END_OF_LINE}\n{TO_END}",
        lines.join(&format!("{TO_END_OF_LINE}\n"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_text_before_is_left() {
        assert_eq!(redrawn("a\nb"), "\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\n\u{1b}[J");
    }
}

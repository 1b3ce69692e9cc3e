//! The shared use of stderr: progress bars, logs, and messages to the operator. Everything that is printed while bars
//! are drawn goes through here, because otherwise bars and lines would overwrite each other.

use super::args::LogFormat;
use super::next::{copyable, copyable_json};
use super::wrapping::To;
use crate::dynamo::Clock;
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;
use std::io::Write;
use std::sync::{LazyLock, OnceLock};
use tracing_subscriber::fmt::MakeWriter;

/// The form of everything on stderr. A process has one.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// The bars of this process.
pub fn bars() -> &'static MultiProgress {
    &BARS
}

/// Decides the form of everything on stderr. Only the first call counts.
pub fn format(format: LogFormat) {
    FORMAT.get_or_init(|| format);
}

/// Whether each line on stderr is a JSON object.
pub fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// How much a message matters, in the words of the logs.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// News.
    Info,
    /// Something that a person should look at.
    Warn,
    /// The end of the command.
    Error,
}

/// A message as the JSON logs have it: with the fields that every event of the logs has.
#[derive(Serialize)]
struct Message<'a> {
    timestamp: String,
    level: Level,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// A line of the JSON logs.
fn json_line(level: Level, message: &str, hint: Option<&str>) -> String {
    let message = Message {
        timestamp: humantime::format_rfc3339_micros(Clock::SYSTEM.now()).to_string(),
        level,
        message,
        hint,
    };
    // Strings can always be written.
    let json = serde_json::to_string(&message).unwrap_or_default();
    copyable_json(&json).into_owned()
}

/// Prints a message to the operator, above the bars.
pub fn say(text: &str) {
    let text = if is_json() {
        json_line(Level::Info, text, None)
    } else {
        To::Stderr.fit(&copyable(text))
    };
    BARS.suspend(|| eprintln!("{text}"));
}

/// Writes a line for a program to stderr, as it is.
pub fn write_line(text: &str) {
    BARS.suspend(|| eprintln!("{text}"));
}

/// Prints a message with labels: as they are in text, as a level in JSON.
pub fn say_labelled(level: Level, label: &str, message: &str, hint: Option<(&str, &str)>) {
    if is_json() {
        let line = json_line(level, message, hint.map(|(_, hint)| hint));
        BARS.suspend(|| eprintln!("{line}"));
        return;
    }
    let say =
        |label: &str, text: &str| eprintln!("{}", To::Stderr.fit(&format!("{label} {}", copyable(text))));
    BARS.suspend(|| {
        say(label, message);
        if let Some((label, hint)) = hint {
            say(label, hint);
        }
    });
}

/// Where logs go: stderr, a whole event at a time, above the bars.
#[derive(Clone, Copy, Debug, Default)]
pub struct Screen;

/// One event.
#[derive(Debug, Default)]
pub struct Event {
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event::default()
    }
}

impl Write for Event {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let text = if is_json() {
            copyable_json(&text).into_owned()
        } else {
            To::Stderr.fit(&copyable(&text))
        };
        // There is nowhere left to complain about a stderr that takes nothing.
        BARS.suspend(|| std::io::stderr().write_all(text.as_bytes()).ok());
    }
}

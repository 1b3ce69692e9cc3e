//! The shared use of stderr: progress bars, logs, and messages to the operator. Everything that is printed while bars
//! are drawn goes through here, because otherwise bars and lines would overwrite each other.

use super::next::copyable;
use super::wrapping::To;
use indicatif::{MultiProgress, ProgressDrawTarget};
use std::io::Write;
use std::sync::LazyLock;
use tracing_subscriber::fmt::MakeWriter;

static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// The bars of this process.
pub fn bars() -> &'static MultiProgress {
    &BARS
}

/// Prints a message to the operator, above the bars.
pub fn say(text: &str) {
    let text = To::Stderr.fit(&copyable(text));
    BARS.suspend(|| eprintln!("{text}"));
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
        // There is nowhere left to complain about a stderr that takes nothing.
        let text = To::Stderr.fit(&copyable(&text));
        BARS.suspend(|| std::io::stderr().write_all(text.as_bytes()).ok());
    }
}

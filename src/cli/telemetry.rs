//! Logs on stderr, and what collectors of metrics and traces get, as the standard environment variables say.

use super::args::{Global, LogFormat};
use super::screen;
use crate::telemetry::{Exporting, Namespace, Settings, Tracing};
use crate::worker::Split;
use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Begins to log, and to trace if the environment asks for it. Only this crate logs: libraries may log requests and items, and
/// item values are in no log.
pub fn begin_logs(global: &Global, runtime: &Handle) -> Option<Tracing> {
    screen::format(global.log_format);
    let level = match global.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    // Spans are for traces alone.
    let filter = EnvFilter::new(format!("off,dynasplit={level},dynasplit::span=off"));
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(screen::Screen)
        .with_ansi(console::colors_enabled_stderr())
        .with_target(false);
    let logs = match global.log_format {
        LogFormat::Text => logs.boxed(),
        LogFormat::Json => logs.json().flatten_event(true).with_ansi(false).boxed(),
    };
    let traces =
        match settings().and_then(|settings| settings.traces.then(|| Tracing::begin(runtime)).transpose()) {
            Ok(traces) => traces,
            Err(reason) => {
                screen::say(&format!(
                    "warning: no metrics and no traces for a collector: {reason}"
                ));
                None
            }
        };
    let spans = traces.as_ref().map(Tracing::layer);
    tracing_subscriber::registry()
        .with(logs.with_filter(filter))
        .with(spans)
        .init();
    traces
}

fn settings() -> Result<Settings, String> {
    Settings::of(|name| std::env::var(name).ok()).map_err(|error| error.to_string())
}

/// Begins to export metrics while a command runs.
pub fn begin_exporting(split: &Split, emf: Option<Namespace>) -> Exporting {
    // What is wrong with the variables was said when the logs began.
    let settings = settings().unwrap_or_default();
    let write = screen::write_line;
    Exporting::begin(split, settings, emf.clone(), write).unwrap_or_else(|reason| {
        screen::say(&format!("warning: no metrics for a collector: {reason}"));
        let without = Exporting::begin(split, Settings::default(), emf, write);
        without.unwrap_or_else(|_| Exporting::nothing())
    })
}

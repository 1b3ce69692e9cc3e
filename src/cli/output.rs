//! Results on stdout, as text or as one JSON document.

use super::args::{Global, Output};
use super::exit::Exit;
use super::failure::Failed;
use super::next::{copyable, copyable_json};
use super::screen::{self, Level};
use super::wrapping::To;
use crate::plan::{Plan, json_schema};
use serde::Serialize;
use std::io::Write;

pub use super::connect::{endpoint, open, open_table, open_to_look, timing};

/// Prints a result: as text, or as one JSON document.
pub fn print<T: Serialize>(
    global: &Global,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failed> {
    match global.output {
        Output::Text => line(&To::Stdout.fit(&copyable(&text(value)))),
        Output::Json => document(value),
    }
}

/// A result, and what to do next.
#[derive(Serialize)]
struct WithNext<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    next: &'a str,
}

/// Prints a result and what to do next: the text and the JSON document give the same advice.
pub fn print_with_next<T: Serialize>(
    global: &Global,
    result: &T,
    next: &str,
    text: impl FnOnce(&T, &str) -> String,
) -> Result<(), Failed> {
    let told = WithNext { result, next };
    print(global, &told, |told| text(told.result, told.next))
}

/// Prints a result that holds item values: not a letter of them is changed.
pub fn print_values<T: Serialize>(
    global: &Global,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failed> {
    match global.output {
        Output::Text => line(&text(value)),
        Output::Json => line(&json(value)?),
    }
}

/// Prints a JSON document.
pub fn document<T: Serialize>(value: &T) -> Result<(), Failed> {
    line(&copyable_json(&json(value)?))
}

fn json<T: Serialize>(value: &T) -> Result<String, Failed> {
    serde_json::to_string_pretty(value).map_err(|error| {
        Failed::of(
            Exit::Failed,
            format!("the result can't be shown as JSON: {error}"),
        )
    })
}

/// Prints a document in another language than JSON: not a letter of it is changed.
pub fn verbatim(text: &str) -> Result<(), Failed> {
    line(text)
}

/// Prints to stdout. A reader that went away (`| head`) is no failure.
pub fn line(text: &str) -> Result<(), Failed> {
    line_if_read(text.trim_end()).map(drop)
}

/// Prints to stdout, and says whether there still is a reader.
pub fn line_if_read(text: &str) -> Result<bool, Failed> {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failed::of(
            Exit::Failed,
            format!("can't write to stdout: {error}"),
        )),
    }
}

/// Prints the JSON Schema of plan files.
pub fn schema() -> Result<Exit, Failed> {
    let text = serde_json::to_string_pretty(&json_schema())
        .map_err(|error| Failed::of(Exit::Failed, format!("the schema can't be shown: {error}")))?;
    line(&text)?;
    Ok(Exit::Done)
}

/// Reports the warnings of a plan.
pub fn warn(plan: &Plan) {
    if !plan.warnings.list().is_empty() {
        let label = console::style("warning:")
            .yellow()
            .bold()
            .for_stderr()
            .to_string();
        screen::say_labelled(Level::Warn, &label, &format!("{}\n", plan.warnings), None);
    }
}

use super::args::{Global, Output};
use super::failure::{Exit, Failed};
use super::next::{copyable, copyable_json, remember};
use crate::dynamo::{Clients, Endpoint, Timing};
use crate::plan::{Plan, json_schema};
use crate::run::Split;
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Prints a result: as text, or as one JSON document.
pub fn print<T: Serialize>(
    global: &Global,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failed> {
    match global.output {
        Output::Text => line(&copyable(&text(value))),
        Output::Json => document(value),
    }
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

/// Prints to stdout. A reader that went away (`| head`) is no failure.
pub fn line(text: &str) -> Result<(), Failed> {
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failed::of(
            Exit::Failed,
            format!("can't write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Prints the JSON Schema of plan files.
pub fn schema() -> Result<Exit, Failed> {
    let text = serde_json::to_string_pretty(&json_schema())
        .map_err(|error| Failed::of(Exit::Failed, format!("the schema can't be shown: {error}")))?;
    line(&text)?;
    Ok(Exit::Done)
}

/// Loads a plan and makes its clients.
pub async fn open(global: &Global, plan: &Path) -> Result<Split, Failed> {
    remember(plan);
    let plan = Plan::load(plan)?;
    let clients = Clients::load(&endpoint(global), timing(global, Timing::LIVE)).await;
    if clients.region().is_none() && plan.source.place.region.is_none() {
        return Err(Failed::of(Exit::Failed, "no AWS region is set")
            .hint("give --region, or set AWS_REGION, or the region of the profile"));
    }
    Ok(Split::open(plan, &clients).await)
}

/// Tells what in a plan is probably not meant.
pub fn warn(plan: &Plan) {
    if !plan.warnings.list().is_empty() {
        let label = console::style("warning:").yellow().bold().for_stderr();
        eprintln!("{label} {}\n", plan.warnings);
    }
}

/// Where the engine is, by the command line.
pub fn endpoint(global: &Global) -> Endpoint {
    Endpoint {
        profile: global.profile.clone(),
        region: global.region.clone(),
        url: global.endpoint_url.clone(),
        anonymous: false,
    }
}

/// How long things may take.
pub fn timing(global: &Global, usual: Timing) -> Timing {
    global
        .lease_seconds
        .map_or(usual, |seconds| usual.with_lease(Duration::from_secs(seconds)))
}

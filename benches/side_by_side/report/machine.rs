//! On what it was measured, when, and how it was asked for.

use crate::args::Args;
use crate::peers::Peers;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// What the figures hold for.
pub struct Facts(Vec<(&'static str, String)>);

/// Looks around.
pub fn facts(args: &Args, peers: &Peers, took: Duration, load: String) -> Facts {
    let given = given();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut facts = vec![
        ("date", output("date", &["-u", "+%Y-%m-%d"])),
        ("commit", output("git", &["describe", "--always", "--dirty"])),
        (
            "command",
            format!("cargo bench --bench side_by_side -- {}", given.join(" "))
                .trim()
                .to_owned(),
        ),
        ("machine", format!("{cores} cores, {}, {}", processor(), memory())),
        ("load before", load),
        ("system", output("uname", &["-sr"])),
        (
            "engine",
            format!(
                "{} in memory over HTTP, in a process of its own behind a counting front",
                engine()
            ),
        ),
        (
            "binary",
            match std::env::var_os("DYNASPLIT_BINARY") {
                Some(_) => "named by DYNASPLIT_BINARY".to_owned(),
                None => "built with the benchmark, so with the failpoints, none of them armed".to_owned(),
            },
        ),
        ("runs", format!("medians of {}", args.runs)),
        ("took", format!("{:.0} minutes", took.as_secs_f64() / 60.0)),
    ];
    if !peers.versions.is_empty() {
        facts.push(("others", peers.versions.join(", ")));
    }
    Facts(facts)
}

impl Facts {
    /// As a table.
    pub fn markdown(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .0
            .iter()
            .map(|(name, text)| vec![(*name).to_owned(), text.clone()])
            .collect();
        let lines = rows.iter().map(|row| format!("| {} | {} |", row[0], row[1]));
        format!("| | |\n|---|---|\n{}", lines.collect::<Vec<_>>().join("\n"))
    }

    /// As an object.
    pub fn json(&self) -> Value {
        self.0
            .iter()
            .map(|(name, text)| ((*name).to_owned(), json!(text)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// What a program says, if it is there.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn memory() -> String {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok());
    kib.map_or_else(String::new, |kib| format!("{} GiB", kib.div_ceil(1 << 20)))
}

/// How busy the machine is with other things: what was measured on a busy one is worth less.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let one = text.split_whitespace().next().unwrap_or("unknown");
    format!("{one} processes wanting a core, over the minute before")
}

/// The embedded engine, with the version that the manifest pins.
fn engine() -> String {
    let manifest = include_str!("../../../Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("dynoxide-rs"));
    let version = line.and_then(|line| line.split('"').nth(1));
    format!(
        "dynoxide-rs {}",
        version.unwrap_or_default().trim_start_matches('=')
    )
}

/// The options that were given; files are left out, for their names are of one machine.
fn given() -> Vec<String> {
    let (mut given, mut words) = (Vec::new(), std::env::args().skip(1));
    while let Some(word) = words.next() {
        match &*word {
            "--bench" => {}
            "--output" | "--json" => {
                words.next();
            }
            _ => given.push(word),
        }
    }
    given
}

//! What happened in a failing run, in plain sentences: of everything in the trace, only what concerns the wrong item, the
//! deaths of workers, the tombstone switch and the shards.

mod event;
mod sentence;

use std::fmt::Write as _;
use std::path::Path;

use crate::network::Trace;
use crate::script::Script;
use crate::shrink::{Shrunk, shrink};
use crate::world::{Outcome, run};
use event::Reader;

/// Sentences that are told at most: the last ones.
const MOST: usize = 90;

/// A failing run: reduced, told, and with the commands that repeat it.
pub fn told(script: &Script, outcome: Outcome, most_runs: u32) -> String {
    let Shrunk {
        script: least, runs, ..
    } = shrink(script.clone(), outcome, most_runs);
    let again = run(&least, Trace::kept());
    let lines = again.trace.into_lines();
    let Some(wrong) = again.wrong else {
        return format!(
            "{} is not the same run each time: the simulation is not deterministic",
            least.command()
        );
    };
    let mut reader = Reader::new(wrong.item_number());
    let mut sentences: Vec<String> = lines.iter().filter_map(|line| reader.sentence(line)).collect();
    let left_out = sentences.len().saturating_sub(MOST);
    sentences.drain(..left_out);
    let mut text = format!(
        "seed {} in {:?} mode failed. {runs} runs of less were made; what is left of it:\n\n",
        script.seed, script.mode
    );
    if left_out > 0 {
        writeln!(text, "    ({left_out} earlier sentences are left out)").expect("a string takes text");
    }
    for sentence in sentences {
        writeln!(text, "{sentence}").expect("a string takes text");
    }
    let path = kept(&least, &lines);
    write!(
        text,
        "\n{wrong}\n\nThe complete trace is in {}. Repeat the whole run, or what is left of it, with\n    {}\n    {}",
        path,
        script.command(),
        least.command()
    )
    .expect("a string takes text");
    text
}

/// Writes the trace of a run to a file, and says to which one.
pub fn kept(script: &Script, lines: &[String]) -> String {
    let name = format!("simulation-{:?}-{}.txt", script.mode, script.seed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, lines.join("\n")).expect("the trace is written");
    path.display().to_string()
}

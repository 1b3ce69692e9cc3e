//! The tables of shaping.

use super::{figure, table};
use crate::results::median;
use crate::shape::{Shaper, Shaping, Shapings};

const MIB: f64 = (1 << 20) as f64;

/// All of it, with its heading.
#[allow(clippy::cast_precision_loss)] // bytes of a benchmark
pub fn markdown(shaped: &Shapings) -> String {
    let row = |shaping: &Shaping| {
        let speed = shaped.mb_per_second(shaping.shaper);
        let ratio = shaped.times_as_long(Shaper::Gzip, shaping.shaper);
        let of_core = shaped.mb_per_cpu_second(shaping.shaper);
        let of_runs = |of: fn(&crate::process::Used) -> f64| median(shaping.runs.iter().map(of));
        vec![
            shaping.shaper.name().to_owned(),
            figure(of_runs(|run| run.wall_seconds)),
            figure(speed.unwrap_or(f64::NAN)),
            figure(ratio.unwrap_or(f64::NAN)),
            figure(of_runs(|run| run.cpu_seconds)),
            figure(of_core.unwrap_or(f64::NAN)),
            figure(of_runs(|run| run.peak_bytes as f64 / MIB)),
        ]
    };
    let rows: Vec<Vec<String>> = shaped.shapings.iter().map(row).collect();
    let head = [
        "",
        "s",
        "MB/s of JSON",
        "times as long as dynasplit with gzip and one thread",
        "CPU s",
        "MB/s of a core",
        "peak MiB",
    ];
    let memory: Vec<Vec<String>> = shaped
        .memory
        .iter()
        .map(|memory| {
            vec![
                format!(
                    "{} MB in {} files",
                    figure(memory.bytes as f64 / 1e6),
                    memory.files
                ),
                figure(memory.peak_bytes as f64 / MIB),
            ]
        })
        .collect();
    let script = script(shaped).map_or_else(String::new, |text| format!("{text}\n\n"));
    let absent: Vec<String> = shaped
        .absent
        .iter()
        .map(|line| format!("Not compared: {}.\n\n", line.lines().next().unwrap_or_default()))
        .collect();
    format!(
        "### Shaping of an export\n\nFrom {} MB of JSON in packed files ({} items) to packed files of four services ({} items), by the \
         plan `plans/online-learning.yaml`. Each wrote the same items, except the plan in which no service receives everything. The CPU and the memory of PySpark are those of its Python, \
         without those of Java. {}\n\n{}\n\n{script}{}{}",
        figure(shaped.bytes as f64 / 1e6),
        figure(shaped.items as f64),
        figure(shaped.written as f64),
        shaped.versions.join(", "),
        table(&head, &rows),
        absent.concat(),
        table(&["the product's memory for", "peak MiB"], &memory)
    )
}

/// How the script compares, in the time for which one waits and in that of the processor.
fn script(shaped: &Shapings) -> Option<String> {
    let waits = shaped.times_as_long(Shaper::Threads, Shaper::Script)?;
    let costs = shaped.times_the_cpu(Shaper::Gzip, Shaper::Script)?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    Some(format!(
        "The script takes {} times as long as `shape` with gzip and its default threads, one for each of {cores} cores. It needs {} times \
         the CPU time of `shape --threads 1` with gzip; this ratio has no limit. Both are medians of the ratios of the turns.",
        figure(waits),
        figure(costs)
    ))
}

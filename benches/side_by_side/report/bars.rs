//! The bars: what the product has to reach, judged by figures of one run.

use super::figure;
use crate::contender::Contender;
use crate::peers::Peer;
use crate::results::{Case, Results, median};
use crate::shape::Shaper;
use crate::stage::Engine;
use serde_json::{Value, json};

/// One of them.
pub struct Bar {
    /// What is asked.
    what: &'static str,
    /// What was measured, in words; or why it was not.
    measured: String,
    /// Whether it is reached; `None` where it was not measured.
    reached: Option<bool>,
}

const SINGLY: f64 = 1.25;
const FEWER_REQUESTS: f64 = 3.0;
const BULK: f64 = 5.0;
/// Pages end in the middle of a unit, so that other segments may cost a thousandth more or less.
const SAME_READS: f64 = 1.01;
const VERIFY: f64 = 0.27;
const MEMORY: f64 = 1.2;
const SHAPING: f64 = 100.0;
const FASTER: f64 = 10.0;
const BATCH_CPU: f64 = 1.0;
const BATCH_MEMORY: f64 = 1.3;
/// Records a second.
const CATCHING_UP: f64 = 10_000.0;
const FORECAST: f64 = 0.2;
/// Of eight processes.
const SPEED_UP: f64 = 7.0;

/// Judges them all.
pub fn judge(results: &Results) -> Vec<Bar> {
    vec![
        singly(results),
        batches(
            results,
            "concurrent backfill: at most 1.0 times the CPU and 1.3 times the memory of the bare loop with BatchWriteItem",
            Contender::Concurrent,
        ),
        batches(
            results,
            "bulk backfill: at most 1.0 times the CPU and 1.3 times the memory of the bare loop with BatchWriteItem",
            Contender::Bulk,
        ),
        requests(results),
        bulk(results),
        reads(results),
        writes(results),
        verify(results),
        memory(results),
        catching_up(results),
        speed_up(results),
        forecast(results),
        shaping(results),
        shaping_of_script(results),
        shaping_of_spark(results),
        shaping_memory(results),
    ]
}

fn shaping(results: &Results) -> Bar {
    let what = "shape: at least 100 MB of JSON for a second of the processor, packed files to packed files";
    let speed = results
        .shaped
        .as_ref()
        .and_then(|shaped| shaped.mb_per_cpu_second(Shaper::Product));
    let Some(speed) = speed else {
        return unmeasured(what, "not measured");
    };
    Bar {
        what,
        measured: format!("{} MB", figure(speed)),
        reached: Some(speed >= SHAPING),
    }
}

/// The script has one thread. What it costs of the processor is in the report, and has no limit.
fn shaping_of_script(results: &Results) -> Bar {
    let what =
        "shape with gzip and its default threads: a Python script with gzip takes at least 10 times as long";
    faster(results, what, Shaper::Threads, Shaper::Script)
}

fn shaping_of_spark(results: &Results) -> Bar {
    let what =
        "shape with gzip and PySpark with gzip, each on one core: PySpark takes at least 10 times as long";
    faster(results, what, Shaper::Gzip, Shaper::Spark)
}

/// By the time for which one waits.
fn faster(results: &Results, what: &'static str, own: Shaper, other: Shaper) -> Bar {
    let shaped = results.shaped.as_ref();
    let Some(times) = shaped.and_then(|shaped| shaped.times_as_long(own, other)) else {
        return unmeasured(what, "not measured");
    };
    Bar {
        what,
        measured: format!("{} times", figure(times)),
        reached: Some(times >= FASTER),
    }
}

fn shaping_memory(results: &Results) -> Bar {
    let what = "shape: as much memory for 8 times the JSON, and for one file or many";
    let peaks = results.shaped.iter().flat_map(|shaped| &shaped.memory);
    let peaks: Vec<f64> = peaks.map(|memory| memory.peak_bytes as f64).collect();
    let least = peaks.iter().copied().fold(f64::INFINITY, f64::min);
    let most = peaks.iter().copied().fold(0.0, f64::max);
    if peaks.is_empty() {
        return unmeasured(what, "not measured");
    }
    let mib = f64::from(1 << 20);
    Bar {
        what,
        measured: format!("{} to {} MiB", figure(least / mib), figure(most / mib)),
        reached: Some(most / least <= MEMORY),
    }
}

fn unmeasured(what: &'static str, why: &str) -> Bar {
    Bar {
        what,
        measured: why.to_owned(),
        reached: None,
    }
}

/// Two cases of the largest comparison on the null endpoint that has both.
fn pair(results: &Results, one: Contender, two: Contender) -> Option<(&Case, &Case)> {
    let sizes = results.sizes(Engine::Null);
    sizes.into_iter().rev().find_map(|items| {
        let find = |contender| results.find(Engine::Null, items, 1, contender);
        Some((find(one)?, find(two)?))
    })
}

fn singly(results: &Results) -> Bar {
    let what = "concurrent backfill, items written singly: at most 1.25 times the CPU of the bare loop";
    let Some((tool, floor)) = pair(results, Contender::Singly, Contender::FloorPut) else {
        return unmeasured(what, "not measured");
    };
    // Run by run, since they took turns: what else the machine did then hit both.
    let turns = tool.copies.iter().zip(&floor.copies);
    let ratio = median(turns.map(|(tool, floor)| tool.used.cpu_seconds / floor.used.cpu_seconds));
    Bar {
        what,
        measured: format!(
            "{} times ({} against {} s for a million, {} items)",
            figure(ratio),
            figure(tool.cpu_per_million()),
            figure(floor.cpu_per_million()),
            figure(tool.items as f64)
        ),
        reached: Some(ratio <= SINGLY),
    }
}

fn batches(results: &Results, what: &'static str, order: Contender) -> Bar {
    let Some((tool, floor)) = pair(results, order, Contender::FloorBatch) else {
        return unmeasured(what, "not measured");
    };
    let turns = || tool.copies.iter().zip(&floor.copies);
    let cpu = median(turns().map(|(tool, floor)| tool.used.cpu_seconds / floor.used.cpu_seconds));
    let memory = tool.peak_mib() / floor.peak_mib();
    Bar {
        what,
        measured: format!(
            "{} and {} times ({} against {} s for a million, {} items)",
            figure(cpu),
            figure(memory),
            figure(tool.cpu_per_million()),
            figure(floor.cpu_per_million()),
            figure(tool.items as f64)
        ),
        reached: Some(cpu <= BATCH_CPU && memory <= BATCH_MEMORY),
    }
}

/// The largest backlog.
fn catching_up(results: &Results) -> Bar {
    let what = "replicate: catches up with at least 10,000 records a second, targets on the null endpoint";
    let speeds = results.caught_up.iter().filter(|(null_targets, _)| *null_targets);
    let speeds = speeds.filter_map(|(_, runs)| {
        let records = runs.first()?.records;
        let speed = median(runs.iter().map(|run| run.records as f64 / run.seconds));
        Some((records, speed))
    });
    let Some((records, speed)) = speeds.max_by_key(|(records, _)| *records) else {
        return unmeasured(what, "not measured");
    };
    Bar {
        what,
        measured: format!(
            "{} a second, of {} records",
            figure(speed),
            figure(records as f64)
        ),
        reached: Some(speed >= CATCHING_UP),
    }
}

fn speed_up(results: &Results) -> Bar {
    let what = "eight processes of backfill, where waiting takes the time: at least 7 times as fast as one";
    let of = |processes| {
        let shared = results
            .shared
            .iter()
            .find(|shared| shared.processes == processes)?;
        Some(shared.items_per_second())
    };
    let (Some(one), Some(eight)) = (of(1), of(8)) else {
        return unmeasured(what, "not measured");
    };
    Bar {
        what,
        measured: format!("{} times", figure(eight / one)),
        reached: Some(eight / one >= SPEED_UP),
    }
}

fn forecast(results: &Results) -> Bar {
    let what = "plan: hours, units and money of a backfill within 20 % of what they come to";
    let Some(checked) = &results.forecast else {
        return unmeasured(what, "not measured");
    };
    let worst = checked
        .lines
        .iter()
        .map(|line| line.error().abs())
        .fold(0.0, f64::max);
    Bar {
        what,
        measured: format!(
            "{} % off in the worst of {} figures",
            figure(worst * 100.0),
            checked.lines.len()
        ),
        reached: Some(worst <= FORECAST),
    }
}

fn requests(results: &Results) -> Bar {
    let what = "concurrent backfill where batches apply: at most a third of the bare loop's requests";
    let Some((tool, floor)) = pair(results, Contender::Concurrent, Contender::FloorPut) else {
        return unmeasured(what, "not measured");
    };
    let ratio = floor.requests_per_thousand() / tool.requests_per_thousand();
    Bar {
        what,
        measured: format!(
            "{} times fewer ({} against {} for 1,000 items)",
            figure(ratio),
            figure(tool.requests_per_thousand()),
            figure(floor.requests_per_thousand())
        ),
        reached: Some(ratio >= FEWER_REQUESTS),
    }
}

fn bulk(results: &Results) -> Bar {
    let what = "bulk backfill: at most a fifth of the CPU of the boto3 script with BatchWriteItem";
    if !results.has_bulk {
        return unmeasured(what, "not built in this binary");
    }
    let Some((tool, script)) = pair(results, Contender::Bulk, Contender::Peer(Peer::Boto3Batch)) else {
        return unmeasured(what, "not measured");
    };
    let ratio = script.cpu_per_million() / tool.cpu_per_million();
    Bar {
        what,
        measured: format!(
            "{} times fewer ({} against {} s for a million, {} items)",
            figure(ratio),
            figure(tool.cpu_per_million()),
            figure(script.cpu_per_million()),
            figure(tool.items as f64)
        ),
        reached: Some(ratio >= BULK),
    }
}

fn reads(results: &Results) -> Bar {
    let what = "several services at the source reads of one";
    let of_tool = results
        .cases
        .iter()
        .filter(|case| case.contender == Contender::Concurrent);
    let most = of_tool
        .filter(|case| case.engine == Engine::Null)
        .max_by_key(|case| (case.services, case.items));
    let pair = most.and_then(|most| {
        let one = results.find(Engine::Null, most.items, 1, Contender::Concurrent)?;
        (most.services > 1).then_some((one, most))
    });
    let Some((one, most)) = pair else {
        return unmeasured(what, "not measured");
    };
    let ratio = most.source_reads() / one.source_reads();
    Bar {
        what,
        measured: format!(
            "{} times for {} services ({:.4} and {:.4} read units an item)",
            figure(ratio),
            most.services,
            most.source_reads(),
            one.source_reads()
        ),
        reached: Some(ratio <= SAME_READS),
    }
}

fn writes(results: &Results) -> Bar {
    let what = "write units of a backfill of a quiet source: exactly the floor";
    let is_tool = |case: &&Case| case.contender.is_product();
    let cases: Vec<&Case> = results.cases.iter().filter(is_tool).collect();
    if cases.is_empty() {
        return unmeasured(what, "not measured");
    }
    let worst = cases
        .iter()
        .map(|case| case.excess_milliunits())
        .max()
        .unwrap_or(0);
    let runs: usize = cases.iter().map(|case| case.copies.len()).sum();
    Bar {
        what,
        measured: format!(
            "{} units off in the worst of {runs} runs",
            figure(worst as f64 / 1000.0)
        ),
        reached: Some(worst == 0),
    }
}

fn verify(results: &Results) -> Bar {
    let what = "verify: at most 0.27 times the read units of eventually consistent point reads, both sides";
    let Some((_, runs)) = results.verified.last() else {
        return unmeasured(what, "not measured");
    };
    let share = median(runs.iter().map(crate::verify::Verified::share));
    Bar {
        what,
        measured: format!("{share:.3} times"),
        reached: Some(share <= VERIFY),
    }
}

fn memory(results: &Results) -> Bar {
    let what = "peak memory at 1,000,000 items: within 1.2 times of that at 100,000";
    let find = |items, contender| results.find(Engine::Null, items, 1, contender);
    let mut told = Vec::new();
    let mut reached = true;
    for contender in [Contender::Concurrent, Contender::Singly, Contender::Bulk] {
        let (Some(large), Some(small)) = (find(1_000_000, contender), find(100_000, contender)) else {
            continue;
        };
        let ratio = large.peak_mib() / small.peak_mib();
        reached &= ratio <= MEMORY;
        told.push(format!(
            "{contender}: {} times ({} and {} MiB)",
            figure(ratio),
            figure(large.peak_mib()),
            figure(small.peak_mib())
        ));
    }
    if told.is_empty() {
        return unmeasured(what, "not measured: needs --million and 100,000 items");
    }
    Bar {
        what,
        measured: told.join("; "),
        reached: Some(reached),
    }
}

fn verdict(bar: &Bar) -> &'static str {
    match bar.reached {
        Some(true) => "pass",
        Some(false) => "**fail**",
        None => "-",
    }
}

/// As a table.
pub fn markdown(bars: &[Bar]) -> String {
    let row = |bar: &Bar| vec![bar.what.to_owned(), bar.measured.clone(), verdict(bar).to_owned()];
    let rows: Vec<Vec<String>> = bars.iter().map(row).collect();
    let lines = rows.iter().map(|row| format!("| {} |", row.join(" | ")));
    let lines: Vec<String> = lines.collect();
    format!(
        "### Bars\n\n| bar | measured | |\n|---|---|---|\n{}",
        lines.join("\n")
    )
}

/// As a list.
pub fn json(bars: &[Bar]) -> Value {
    bars.iter()
        .map(|bar| json!({ "bar": bar.what, "measured": bar.measured, "reached": bar.reached }))
        .collect::<Vec<_>>()
        .into()
}

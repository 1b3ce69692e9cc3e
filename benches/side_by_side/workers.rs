//! Copies by several processes that share the segments, where answers take so long that waiting is what takes time.

use crate::contender::Kit;
use crate::product::Product;
use crate::results::median;
use crate::stage::{Engine, Setting, Stage};
use crate::trouble::{Tried, Trouble};
use crate::{host::SOURCE, host::TARGETS};
use serde::Serialize;

/// So many processes are tried.
const PROCESSES: [usize; 4] = [1, 2, 4, 8];
/// Of the source, for all processes.
const SEGMENTS: &str = "64";
/// Segments that a process copies at the same time.
const AT_ONCE: &str = "2";
/// Until an answer comes. Then, eight processes do not fill a core.
const ANSWER_MS: u64 = 400;

/// Copies by a number of processes.
#[derive(Clone, Debug, Serialize)]
pub struct Shared {
    /// How many.
    pub processes: usize,
    /// Items of the source.
    pub items: u64,
    /// Each run.
    pub runs: Vec<Run>,
}

/// One copy.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Run {
    /// From the first page of the source to the last write of a target.
    pub copy_seconds: f64,
    /// Of all processes.
    pub cpu_seconds: f64,
}

impl Shared {
    /// Items a second.
    #[allow(clippy::cast_precision_loss)] // items of a benchmark
    pub fn items_per_second(&self) -> f64 {
        self.items as f64 / median(self.runs.iter().map(|run| run.copy_seconds))
    }

    /// Processor time of all processes.
    pub fn cpu_seconds(&self) -> f64 {
        median(self.runs.iter().map(|run| run.cpu_seconds))
    }
}

/// Copies by one process, by two, and so on, in turns.
pub async fn speed_up(kit: &Kit) -> Tried<Vec<Shared>> {
    let items = kit.args.items.iter().copied().max().unwrap_or_default();
    let setting = Setting {
        answer_ms: ANSWER_MS,
        ..Setting::new(Engine::Null, items, 1)
    };
    let stage = Stage::set(setting).await?;
    let new = |processes| Shared {
        processes,
        items,
        runs: Vec::new(),
    };
    let mut all = PROCESSES.map(new);
    for _ in 0..kit.args.runs {
        for shared in &mut all {
            let run = copy(&stage, kit, shared.processes).await?;
            eprintln!(
                "{items} items by {} processes: {:.1} s, {:.2} s of CPU",
                shared.processes, run.copy_seconds, run.cpu_seconds
            );
            shared.runs.push(run);
        }
    }
    Ok(all.into())
}

async fn copy(stage: &Stage, kit: &Kit, processes: usize) -> Tried<Run> {
    stage.clear_targets(false).await?;
    let product = Product::on(stage, kit.args.lease_seconds)?;
    let tail = product.begin().await?;
    stage.reset().await?;
    let mut words = Product::backfill(kit.concurrent());
    words.extend(["--segments", SEGMENTS, "--workers", AT_ONCE]);
    let started: Vec<_> = (0..processes)
        .map(|_| product.start(&words))
        .collect::<Result<_, _>>()?;
    let mut cpu_seconds = 0.0;
    for process in started {
        cpu_seconds += process.succeed().await?.used.cpu_seconds;
    }
    let tally = stage.tally().await?;
    tail.stop().await?;
    let reads = tally.sum(|operation, table| operation == "Scan" && table == SOURCE);
    let writes = tally.sum(|_, table| table.starts_with(TARGETS));
    let items = stage.setting.items;
    if reads.items != items {
        return Err(Trouble::new(format!(
            "{processes} processes read {} of {items} items",
            reads.items
        )));
    }
    #[allow(clippy::cast_precision_loss)] // microseconds of a benchmark
    let copy_seconds = writes.last_us.saturating_sub(reads.first_us) as f64 / 1e6;
    Ok(Run {
        copy_seconds,
        cpu_seconds,
    })
}

use super::args::{Backfill as Args, Global};
use super::failure::{Exit, Failed};
use super::progress::{Bar, Progress, Shown};
use super::{output, text};
use crate::run::status::FillStatus;
use crate::run::{Backfill, BackfillOptions, BackfillReport, BackfillView};
use crate::state::ShardRecord;
use tokio_util::sync::CancellationToken;

/// Runs `backfill`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    let options = BackfillOptions {
        segments: args.segments,
        workers: args.workers.map(usize::from),
        read_units: args.read_units,
        write_units: args.write_units,
        consistent: args.consistent_read.then_some(true),
    };
    let (backfill, view) = Backfill::new(split, options, stop);
    let progress = Progress::of(view);
    let result = backfill.run().await;
    progress.end();
    let report = result?;
    let plan = args.plan.display().to_string();
    output::print(global, &report, |report| render(report, &plan))?;
    let dead = report.lanes.iter().any(|lane| lane.counters.dead_letters > 0);
    Ok(if dead { Exit::NotClean } else { Exit::Done })
}

fn render(report: &BackfillReport, plan: &str) -> String {
    let mut lines = Vec::new();
    if report.already_finished {
        lines.push("the backfill was finished before; nothing was done".to_owned());
    }
    lines.push(table(&report.lanes, report));
    lines.push(format!(
        "read {} items, {} read units",
        text::count(report.scanned),
        text::units(report.read_milliunits)
    ));
    let unrouted = report.lanes.iter().find(|lane| lane.lane == ShardRecord::WATCH);
    if let Some(lane) = unrouted {
        lines.push(format!(
            "left behind on purpose: {}; taken by no service: {}",
            text::count(lane.counters.left_behind),
            text::count(lane.counters.dead_letters)
        ));
    }
    let dead: u64 = report.lanes.iter().map(|lane| lane.counters.dead_letters).sum();
    lines.push(if dead > 0 {
        format!(
            "{} dead letters: dynasplit dead-letters list {plan}",
            text::count(dead)
        )
    } else {
        format!("next: dynasplit verify {plan}")
    });
    lines.join("\n")
}

/// The lanes of a backfill, as a table.
pub fn table(lanes: &[FillStatus], report: &BackfillReport) -> String {
    let rows: Vec<Vec<String>> = lanes
        .iter()
        .filter(|lane| lane.lane != ShardRecord::WATCH)
        .map(|lane| {
            let counters = &lane.counters;
            vec![
                lane.lane.clone(),
                text::count(counters.put),
                text::count(counters.superseded),
                text::count(counters.dead_letters),
                text::units(counters.write_milliunits),
                report
                    .swept
                    .get(&lane.lane)
                    .copied()
                    .map_or("-".into(), text::count),
            ]
        })
        .collect();
    text::table(
        &[
            "service",
            "copied",
            "superseded",
            "dead",
            "write units",
            "tombstones swept",
        ],
        &rows,
    )
}

impl Shown for BackfillView {
    fn bars(&self) -> Vec<Bar> {
        let segments: u32 = self.lanes.first().map_or(0, |lane| lane.segments);
        self.lanes
            .iter()
            .map(|lane| Bar {
                name: format!("backfill {}", lane.lane),
                position: lane.counters.seen,
                total: (self.estimated_items > 0).then_some(self.estimated_items),
                message: format!(
                    "{}/{segments} segments {}",
                    lane.segments_done,
                    self.held(&lane.lane)
                ),
            })
            .collect()
    }

    fn line(&self) -> String {
        let lanes: Vec<String> = self
            .lanes
            .iter()
            .map(|lane| {
                format!(
                    "{} {} copied, {}/{} segments",
                    lane.lane,
                    text::count(lane.counters.put),
                    lane.segments_done,
                    lane.segments
                )
            })
            .collect();
        let held = if self.blocked.is_empty() {
            String::new()
        } else {
            format!(" [{}]", self.blocked.join("; "))
        };
        format!(
            "backfill: {}: read {} items; {}{held}",
            self.phase,
            text::count(self.scanned),
            lanes.join("; ")
        )
    }
}

impl BackfillView {
    /// Why a lane is held up: its own table, or the source.
    fn held(&self, lane: &str) -> String {
        let own = format!("{lane}: ");
        let found = self
            .blocked
            .iter()
            .find(|reason| reason.starts_with(&own) || reason.starts_with("source: "));
        found.cloned().unwrap_or_default()
    }
}

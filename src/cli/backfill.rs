use super::args::{Backfill as Args, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::progress::{Bar, Progress, Shown};
use super::session::GRACE;
use super::stoppable::stoppable;
use super::waiting::Waiting;
use super::{output, screen, text};
use crate::backfill::{Backfill, BackfillOptions, BackfillReport, BackfillView};
use crate::state::{NotedLimits, ShardRecord};
use crate::status::{FillStatus, standing};
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
        order: Some(args.order.into()),
    };
    let _waiting = Waiting::tell(&split.waits);
    let (backfill, view) = Backfill::new(split.clone(), options, stop);
    let mut begun = view.clone();
    let telling = tokio::spawn(async move {
        if let Ok(begun) = begun.wait_for(|view| !view.order_reason.is_empty()).await {
            screen::say(&begun.order_reason);
        }
    });
    let progress = Progress::of(view);
    let result = stoppable(&global.session, GRACE, Box::pin(backfill.run())).await;
    telling.abort();
    progress.end().await;
    let report = result?;
    let next = standing(&split).await?.next;
    output::print(global, &report, |report| render(report, &next))?;
    let dead = report.lanes.iter().any(|lane| lane.dead_letters > 0);
    Ok(if dead { Exit::NotClean } else { Exit::Done })
}

fn render(report: &BackfillReport, next: &str) -> String {
    let mut lines = Vec::new();
    if report.already_finished {
        lines.push("the backfill was finished before; nothing was done".to_owned());
    }
    lines.push(table(&report.lanes, report));
    if !report.order_reason.is_empty() {
        lines.push(report.order_reason.clone());
    }
    lines.push(format!(
        "read {}, {} read units",
        text::counted(report.scanned, "item"),
        text::units(report.read_milliunits)
    ));
    let estimated = report
        .lanes
        .iter()
        .any(|lane| lane.counters.estimated_write_milliunits > 0);
    if estimated {
        lines.push(text::ESTIMATED_UNITS.to_owned());
    }
    for (service, reason) in &report.written_singly {
        lines.push(format!(
            "{service} was written item by item, not in batches: {reason}"
        ));
    }
    let unrouted = report.lanes.iter().find(|lane| lane.lane == ShardRecord::WATCH);
    if let Some(lane) = unrouted {
        lines.push(format!(
            "left behind on purpose: {}; taken by no service: {}",
            text::count(lane.counters.left_behind),
            text::count(lane.dead_letters)
        ));
    }
    lines.push(format!("next: {next}"));
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
                text::count(lane.dead_letters),
                text::write_units(counters),
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
    fn title(&self) -> String {
        let phase = if self.phase.is_empty() {
            "connecting"
        } else {
            &self.phase
        };
        let whole = [NotedLimits::SOURCE, NotedLimits::SEGMENTS];
        match whole.iter().find_map(|of| self.limits.get(*of)) {
            Some(limit) => format!("backfill: {phase}; limited by {limit}"),
            None => format!("backfill: {phase}"),
        }
    }

    fn bars(&self) -> Vec<Bar> {
        self.lanes
            .iter()
            .map(|lane| {
                let segments = format!("{}/{} segments", lane.segments_done, lane.segments);
                Bar {
                    name: lane.lane.clone(),
                    position: lane.counters.seen,
                    total: (self.estimated_items > 0).then_some(self.estimated_items),
                    unit: "item",
                    estimate: self.estimate,
                    done: lane.segments_done == lane.segments,
                    message: match self.limits.get(&lane.lane) {
                        Some(limit) => format!("{segments}, limited by {limit}"),
                        None => segments,
                    },
                }
            })
            .collect()
    }
}

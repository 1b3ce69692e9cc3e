//! The command `backfill`.

use super::args::{Backfill as Args, Global, Order};
use super::exit::Exit;
use super::failure::Failed;
use super::listen::Listening;
use super::progress::{Bar, Progress, Shown};
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table;
use super::waiting::Waiting;
use super::{output, screen, text};
use crate::backfill::{Backfill, BackfillOptions, BackfillReport, BackfillView, load_export};
use crate::s3::Export;
use crate::state::{NotedLimits, ShardRecord};
use crate::status::{FillStatus, split_status_with_worker};
use crate::worker::Split;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `backfill`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let listening = Listening::begin(&args.listen).await?;
    let split = output::open(global, &args.plan).await?;
    let export = export(global, args, &split).await?;
    let serving = listening.serve(&split).await;
    let options = BackfillOptions {
        export,
        delete_partial: args.delete_partial,
        object_bytes: None,
        compression: args.compression.into(),
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
    // Reported once: it is part of the report only if the copy ended before it was reported.
    let is_told = telling.await.is_ok();
    serving.end().await;
    progress.end().await;
    let report = result?;
    let next = split_status_with_worker(&split).await?.next;
    output::print_with_next(global, &report, &next, |report, next| {
        render(report, is_told, next)
    })?;
    let dead = report.lanes.iter().any(|lane| lane.dead_letters > 0);
    Ok(if dead { Exit::NotClean } else { Exit::Done })
}

/// The export that the command line names, with its manifest.
async fn export(global: &Global, args: &Args, split: &Split) -> Result<Option<Arc<Export>>, Failed> {
    let Some(place) = &args.from_export else {
        return Ok(None);
    };
    if args.order == Order::Bulk {
        let refused = Failed::of(Exit::Usage, "--from-export copies in the concurrent order only");
        return Err(refused
            .hint("leave out --order bulk. An export takes so long that the lanes could not wait for it"));
    }
    if args.order == Order::Import {
        let refused = Failed::of(Exit::Usage, "--from-export copies in the concurrent order only");
        return Err(refused.hint(
            "leave out --from-export: the import order scans the source while the lanes are on hold; or leave out --order import",
        ));
    }
    let load = Box::pin(load_export(split, place, args.s3_region.as_deref()));
    let export = stoppable(&global.session, Duration::ZERO, load).await?;
    Ok(Some(Arc::new(export)))
}

pub(super) fn render(report: &BackfillReport, is_order_told: bool, next: &str) -> String {
    let mut lines = Vec::new();
    if report.already_finished {
        lines.push("the backfill finished earlier, so nothing was done".to_owned());
    }
    lines.push(table(&report.lanes, report));
    if !is_order_told && !report.order_reason.is_empty() {
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
            "{service} was written item by item and not in batches: {reason}"
        ));
    }
    let unrouted = report.lanes.iter().find(|lane| lane.lane == ShardRecord::WATCH);
    if let Some(lane) = unrouted {
        lines.push(format!(
            "left behind on purpose: {}",
            text::count(lane.counters.left_behind)
        ));
    }
    let dead = report.lanes.iter().map(|lane| lane.dead_letters).sum();
    if dead > 0 {
        let (letters, verb) = (
            text::counted(dead, "dead letter"),
            if dead == 1 { "is" } else { "are" },
        );
        lines.push(format!(
            "{letters} of the backfill {verb} open, so the exit code is 3: `dynasplit dead-letters list` shows the reasons"
        ));
    }
    lines.push(format!("next: {next}"));
    lines.join("\n")
}

/// The lanes of a backfill, as a table.
pub fn table(lanes: &[FillStatus], report: &BackfillReport) -> String {
    let rows = lanes.iter().map(|lane| {
        let counters = &lane.counters;
        if lane.lane == ShardRecord::WATCH {
            let none = || "-".to_owned();
            return vec![
                lane.lane.clone(),
                none(),
                none(),
                text::count(lane.dead_letters),
                none(),
                none(),
            ];
        }
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
    });
    table::table(
        &[
            "service",
            "copied",
            "superseded",
            "dead",
            "write units",
            "tombstones swept",
        ],
        rows,
    )
}

impl Shown for BackfillView {
    fn title(&self) -> String {
        let phase = if self.phase.is_empty() {
            "connecting"
        } else {
            &self.phase
        };
        let mut title = format!("backfill: {phase}");
        if let Some(limit) = self.limits.get(NotedLimits::SEGMENTS) {
            title.push_str(&format!("; limited by {limit}"));
        }
        let unrouted = self.lanes.iter().find(|lane| lane.lane == ShardRecord::WATCH);
        match unrouted.map_or(0, |lane| lane.dead_letters) {
            0 => title,
            dead => format!(
                "{title}; {} of {}",
                text::counted(dead, "dead letter"),
                ShardRecord::WATCH
            ),
        }
    }

    /// The source is read once for all services, so it has its own bar for reads. The bar of a service shows its
    /// writes.
    fn bars(&self) -> Vec<Bar> {
        if self.lanes.is_empty() {
            return Vec::new();
        }
        let source = Bar {
            name: NotedLimits::SOURCE.into(),
            position: self.scanned,
            total: (self.estimated_items > 0).then_some(self.estimated_items),
            unit: "item",
            verb: "read",
            estimate: self.estimate,
            done: self.lanes.iter().all(|lane| lane.segments_done == lane.segments),
            message: limited_by(self, NotedLimits::SOURCE).unwrap_or_default(),
        };
        let services = self.lanes.iter().filter(|lane| lane.lane != ShardRecord::WATCH);
        let services = services.map(|lane| {
            let mut message = vec![format!("{}/{} segments", lane.segments_done, lane.segments)];
            if lane.dead_letters > 0 {
                message.push(text::counted(lane.dead_letters, "dead letter"));
            }
            message.extend(limited_by(self, &lane.lane));
            Bar {
                name: lane.lane.clone(),
                position: lane.counters.put,
                unit: "item",
                verb: "written",
                done: lane.segments_done == lane.segments,
                message: message.join(", "),
                ..Bar::default()
            }
        });
        std::iter::once(source).chain(services).collect()
    }
}

fn limited_by(view: &BackfillView, of: &str) -> Option<String> {
    let limit = view.limits.get(of)?;
    Some(format!("limited by {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Counters;

    #[test]
    fn what_was_read_is_shown_for_the_source_and_what_was_written_for_each_service() {
        let lane = |lane: &str, put| FillStatus {
            lane: lane.into(),
            segments: 4,
            segments_done: 1,
            counters: Counters {
                seen: 900,
                put,
                ..Counters::default()
            },
            ..FillStatus::default()
        };
        let view = BackfillView {
            scanned: 900,
            estimated_items: 1000,
            lanes: vec![lane("a", 30), lane("b", 0), lane(ShardRecord::WATCH, 0)],
            ..BackfillView::default()
        };
        let bars = view.bars();
        let shown: Vec<_> = bars
            .iter()
            .map(|bar| (bar.name.as_str(), bar.position, bar.verb))
            .collect();
        assert_eq!(
            shown,
            [("source", 900, "read"), ("a", 30, "written"), ("b", 0, "written")]
        );
    }
}

use super::args::{Global, Verify as Args};
use super::failure::{Exit, Failed};
use super::progress::{Bar, Progress, Shown};
use super::waiting::Waiting;
use super::{output, text};
use crate::run::{Verify, VerifyOptions, VerifyResult, VerifyView};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `verify`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    if let Some(unknown) = args
        .service
        .iter()
        .find(|name| split.plan.service(name).is_none())
    {
        let known: Vec<&str> = split
            .plan
            .services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        return Err(
            Failed::of(Exit::Usage, format!("the plan has no service '{unknown}'"))
                .hint(format!("its services are {}", known.join(", "))),
        );
    }
    let options = VerifyOptions {
        repair: args.repair,
        services: (!args.service.is_empty()).then(|| args.service.clone()),
        read_units: args.read_units,
        segments: args.segments,
        memory_bytes: args
            .memory
            .and_then(|mib| usize::try_from(mib).ok()?.checked_mul(1024 * 1024)),
        patience: args.patience.map(Duration::from_secs),
        limit: args.limit,
        list: args.list.clone(),
        consistent: args.consistent_read,
    };
    let _waiting = Waiting::tell(&split.waits);
    let (verify, view) = Verify::new(split, options, stop);
    let progress = Progress::of(view);
    let result = Box::pin(verify.run()).await;
    progress.end().await;
    let result = result?;
    let plan = args.plan.display().to_string();
    output::print(global, &result, |result| render(result, &plan))?;
    Ok(if result.clean { Exit::Done } else { Exit::NotClean })
}

fn render(result: &VerifyResult, plan: &str) -> String {
    let mut lines = vec![services(result)];
    lines.extend(result.mismatches.iter().map(|mismatch| format!("  {mismatch}")));
    let named = result
        .mismatches
        .iter()
        .filter(|mismatch| mismatch.class.is_fault())
        .count() as u64;
    if result.total_mismatches > named {
        let more = text::count(result.total_mismatches - named);
        lines.push(format!("  and {more} more; --list FILE writes them all"));
    }
    if result.unrouted > 0 {
        let count = text::count(result.unrouted);
        lines.push(format!(
            "{count} {} taken by no service, and not listed as left behind",
            if result.unrouted == 1 {
                "item is"
            } else {
                "items are"
            }
        ));
    }
    lines.extend(result.invalid.iter().map(|item| {
        format!(
            "  invalid   {}  {}  ({})",
            item.service, item.source_key, item.reason
        )
    }));
    let more = result.total_invalid.saturating_sub(result.invalid.len() as u64);
    if more > 0 {
        lines.push(format!("  and {} more invalid items", text::count(more)));
    }
    if result.repaired + result.unrepaired.total() > 0 {
        let (mended, left) = (
            text::count(result.repaired),
            text::count(result.unrepaired.total()),
        );
        lines.push(format!("repaired {mended}; left as they are: {left}"));
    }
    lines.push(format!(
        "{} read units on the source, {} on the targets; {}",
        text::units(result.read_milliunits.source),
        text::units(result.read_milliunits.targets),
        text::elapsed(Duration::from_secs_f64(result.seconds)),
    ));
    lines.extend(result.notes.iter().map(|note| format!("note: {note}")));
    lines.push(if result.clean && result.recorded {
        "clean: every target holds exactly what it should".into()
    } else if result.clean {
        "clean, as far as was looked; it does not count for the split as a whole".into()
    } else if result.total_mismatches > 0 && result.repaired == 0 {
        format!("NOT CLEAN. To mend: dynasplit verify --repair {plan}")
    } else {
        "NOT CLEAN".into()
    });
    lines.join("\n")
}

fn services(result: &VerifyResult) -> String {
    let rows: Vec<Vec<String>> = result
        .report
        .services
        .iter()
        .map(|service| {
            let found = &service.mismatches;
            let counts = [
                service.source_items,
                service.target_items,
                found.missing,
                found.extra,
                found.different,
                found.misrouted,
                found.collision,
                service.unsettled,
                service.unbuildable,
                found.expired,
                service.tombstones,
            ];
            std::iter::once(service.service.clone())
                .chain(counts.map(text::count))
                .collect()
        })
        .collect();
    let head = [
        "service",
        "expected",
        "found",
        "missing",
        "extra",
        "different",
        "misrouted",
        "collision",
        "unsettled",
        "unfit",
        "expired",
        "tombstones",
    ];
    text::table(&head, &rows)
}

impl Shown for VerifyView {
    fn title(&self) -> String {
        let limits = self
            .limits
            .iter()
            .map(|(of, limit)| format!("; {of} limited by {limit}"))
            .collect::<String>();
        let phase = if self.phase.is_empty() {
            "connecting"
        } else {
            &self.phase
        };
        format!("verify: {phase}{limits}")
    }

    fn bars(&self) -> Vec<Bar> {
        if self.phase.is_empty() {
            return Vec::new();
        }
        let source = Bar {
            name: "source".into(),
            position: self.scanned,
            total: (self.estimated_items > 0).then_some(self.estimated_items),
            unit: "items",
            ..Bar::default()
        };
        let services = self.services.iter().map(|service| Bar {
            name: service.service.clone(),
            position: service.held,
            unit: "items",
            message: format!(
                "{} to look at again, {}",
                text::count(service.candidates),
                if service.mismatches == 1 {
                    "1 mismatch".into()
                } else {
                    format!("{} mismatches", text::count(service.mismatches))
                }
            ),
            ..Bar::default()
        });
        std::iter::once(source).chain(services).collect()
    }
}

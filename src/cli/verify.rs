//! The command `verify`.

use super::args::{Global, Verify as Args};
use super::exit::Exit;
use super::failure::Failed;
use super::listen::Listening;
use super::progress::{Bar, Progress, Shown};
use super::service_names::refuse_unknown;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::{Row, table};
use super::waiting::Waiting;
use super::{output, text};
use crate::backfill::{load_export, load_export_of};
use crate::model::moment;
use crate::status::COLLISION_ADVICE;
use crate::verify::compare::ServiceReport;
use crate::verify::{
    ChangesCompared, Exports, ServiceChanges, Verify, VerifyOptions, VerifyResult, VerifyView,
};
use crate::worker::{RunError, Split};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `verify`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let listening = Listening::begin(&args.listen).await?;
    let split = output::open(global, &args.plan).await?;
    for service in &args.service {
        refuse_unknown(&split.plan, service)?;
    }
    let exports = stoppable(&global.session, Duration::ZERO, Box::pin(exports(&split, args))).await?;
    let options = VerifyOptions {
        exports,
        shared: args.shared.clone(),
        replace: args.replace,
        repair: args.repair,
        discard_target_writes: args.discard_target_writes,
        anyway: args.anyway,
        changed: args.changed,
        services: (!args.service.is_empty()).then(|| args.service.clone()),
        read_units: args.read_units,
        segments: args.segments,
        memory_bytes: args
            .memory
            .and_then(|mib| usize::try_from(mib).ok()?.checked_mul(1024 * 1024)),
        patience: args.patience.map(Duration::from_secs),
        limit: args.limit,
        list: args.list.clone(),
    };
    let serving = listening.serve(&split).await;
    let _waiting = Waiting::tell(&split.waits);
    let (verify, view) = Verify::new(split, options, stop);
    let progress = Progress::of(view);
    // Without a repair, there is nothing to save. A process that shares the work gives its tasks back.
    let grace = if args.repair || args.shared.is_some() {
        GRACE
    } else {
        Duration::ZERO
    };
    let result = stoppable(&global.session, grace, Box::pin(verify.run())).await;
    serving.end().await;
    progress.end().await;
    let result = result?;
    output::print(global, &result, render)?;
    Ok(if result.clean { Exit::Done } else { Exit::NotClean })
}

/// The exports that the command line names, with their manifests.
async fn exports(split: &Split, args: &Args) -> Result<Exports, RunError> {
    let region = args.s3_region.as_deref();
    let mut exports = Exports::default();
    if let Some(place) = &args.source_export {
        exports.source = Some(load_export(split, place, region).await?);
    }
    for (service, place) in &args.target_export {
        let Some((planned, tables)) = split.target(service) else {
            return Err(RunError::NoSuchService {
                service: service.clone(),
                known: split.plan.service_names().join(", "),
            });
        };
        let export = load_export_of(tables, &planned.table.name, place, region).await?;
        exports.targets.insert(service.clone(), export);
    }
    Ok(exports)
}

pub(super) fn render(result: &VerifyResult) -> String {
    let mut lines = match &result.changes {
        Some(changes) => changed(result, changes),
        None => vec![services(result)],
    };
    lines.extend(result.mismatches.iter().map(|mismatch| format!("  {mismatch}")));
    // Shown once: it may be the next step as well.
    if collisions(result) > 0 && result.next != COLLISION_ADVICE {
        lines.push(format!("  {COLLISION_ADVICE}"));
    }
    let named = result
        .mismatches
        .iter()
        .filter(|mismatch| mismatch.class.is_fault())
        .count() as u64;
    if result.total_mismatches > named {
        let more = text::count(result.total_mismatches - named);
        lines.push(format!(
            "  and {more} more: `--list FILE` writes all of them to a file"
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
        lines.push(format!(
            "  and {} without a dead letter that are not shown",
            text::counted(more, "invalid item")
        ));
    }
    if result.repaired + result.unrepaired.total() > 0 {
        lines.push(repaired(result));
    }
    lines.push(format!(
        "{} read units on the source, {} on the targets; {}",
        text::units(result.read_milliunits.source),
        text::units(result.read_milliunits.targets),
        text::elapsed(Duration::from_secs_f64(result.seconds)),
    ));
    lines.extend(result.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(result.switched.iter().map(|service| {
        format!("{service} has switched to its own table. It is not compared, and its earlier verify counts")
    }));
    let carried_back = result.report.services.first().filter(|_| result.carried_back);
    lines.push(if let Some(service) = carried_back.filter(|_| result.clean) {
        format!(
            "clean: the source holds everything as {} wrote it",
            service.service
        )
    } else if let Some(changes) = result.changes.as_ref().filter(|_| result.clean) {
        format!(
            "clean: every item that changed before {} is exact. This does not count as a verify of the split: `dynasplit verify` also \
             finds what somebody else wrote into the tables",
            moment(changes.complete_to_ms)
        )
    } else if result.clean && result.recorded {
        "clean: every compared target holds exactly the items that it should".into()
    } else if result.clean && !result.proven.is_empty() {
        format!(
            "clean: this verify counts for {}, and not for the split as a whole",
            result.proven.join(", ")
        )
    } else if result.clean {
        "clean, but only a part was compared: this verify does not count for the split as a whole".into()
    } else {
        "NOT CLEAN".into()
    });
    lines.extend(
        result
            .not_repairable
            .iter()
            .map(|reason| format!("not repaired: {reason}")),
    );
    if !result.next.is_empty() {
        lines.push(format!("next: {}", result.next));
    }
    lines.join("\n")
}

fn collisions(result: &VerifyResult) -> u64 {
    let services = result.report.services.iter();
    services.map(|service| service.mismatches.collision).sum()
}

/// The repairs, and why the rest was not repaired.
fn repaired(result: &VerifyResult) -> String {
    let left = &result.unrepaired;
    let reasons = [
        (left.collisions, "collision", "collisions"),
        (left.invalid, "invalid item", "invalid items"),
        (
            left.busy,
            "key that was written at the same time",
            "keys that were written at the same time",
        ),
        (
            left.foreign,
            "key that something else wrote",
            "keys that something else wrote",
        ),
    ];
    let reasons: Vec<String> = reasons
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{} {}", text::count(count), if count == 1 { one } else { many }))
        .collect();
    let repaired = format!("repaired {}", text::counted(result.repaired, "key"));
    if reasons.is_empty() {
        repaired
    } else {
        format!("{repaired}; not repaired: {}", reasons.join(", "))
    }
}

/// What was compared, if only changes were: the services, with their findings.
fn changed(result: &VerifyResult, changes: &ChangesCompared) -> Vec<String> {
    let rows = result
        .report
        .services
        .iter()
        .zip(&changes.services)
        .map(|(service, changed)| {
            let row = Row::from(vec![
                service.service.clone(),
                text::count(changed.keys),
                changed.items.map_or_else(|| "-".into(), text::count),
                text::count(service.mismatches.faults()),
                moment(changed.since_ms),
            ]);
            match findings(service) {
                named if named.is_empty() => row,
                named => row.note(named),
            }
        });
    let heads = ["service", "keys compared", "of", "mismatches", "changed since"];
    vec![
        table(&heads, rows),
        format!("last verify of everything: {}", last_whole(&changes.services)),
        match changes.from_ledger {
            0 => format!("read {} of the stream", text::counted(changes.records, "record")),
            ledger => format!(
                "read {}, {} of them from the ledger",
                text::counted(changes.records, "record"),
                text::count(ledger)
            ),
        },
    ]
}

/// When the last clean verify of each whole table began; with the services, unless it was the same one for all of them.
fn last_whole(services: &[ServiceChanges]) -> String {
    let mut began: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for changed in services {
        began.entry(changed.whole_ms).or_default().push(&changed.service);
    }
    let several = began.len() > 1;
    let each = began.into_iter().map(|(ms, names)| match several {
        true => format!("{} ({})", moment(ms), names.join(", ")),
        false => moment(ms),
    });
    each.collect::<Vec<_>>().join("; ")
}

/// The services, with their findings. Classes without a finding are not named.
fn services(result: &VerifyResult) -> String {
    let rows = result.report.services.iter().map(|service| {
        let found = &service.mismatches;
        let counts = [
            service.expected,
            service.found,
            service.changed,
            found.faults(),
            service.tombstones,
        ];
        let cells = std::iter::once(service.service.clone()).chain(counts.map(text::count));
        let row = Row::from(cells.collect::<Vec<_>>());
        match findings(service) {
            named if named.is_empty() => row,
            named => row.note(named),
        }
    });
    table(
        &[
            "service",
            "expected",
            "found",
            "changed",
            "mismatches",
            "tombstones",
        ],
        rows,
    )
}

/// The findings of a service, class by class.
fn findings(service: &ServiceReport) -> String {
    let found = &service.mismatches;
    let classes = [
        (found.missing, "missing"),
        (found.extra, "extra"),
        (found.different, "different"),
        (found.misrouted, "misrouted"),
        (found.collision, "collision"),
        (service.unsettled, "unsettled"),
        (service.invalid, "invalid"),
        (found.expired, "expired"),
    ];
    let named = classes.into_iter().filter(|(count, _)| *count > 0);
    let named = named.map(|(count, class)| format!("{} {class}", text::count(count)));
    named.collect::<Vec<_>>().join(", ")
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
            verb: "read",
            position: self.scanned,
            total: (self.estimated_items > 0).then_some(self.estimated_items),
            unit: "item",
            ..Bar::default()
        };
        let services = self.services.iter().map(|service| Bar {
            name: service.service.clone(),
            position: service.held,
            unit: "item",
            verb: "read",
            message: format!(
                "{} to read again, {}",
                text::count(service.candidates),
                match service.mismatches {
                    1 => "1 mismatch".into(),
                    mismatches => format!("{} mismatches", text::count(mismatches)),
                }
            ),
            ..Bar::default()
        });
        std::iter::once(source).chain(services).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Unrepaired;
    use crate::verify::compare::{ClassCounts, Report};

    fn found(missing: u64, collision: u64) -> VerifyResult {
        let mismatches = ClassCounts {
            missing,
            collision,
            ..ClassCounts::default()
        };
        let service = ServiceReport {
            mismatches,
            ..ServiceReport::new("orders")
        };
        VerifyResult {
            report: Report {
                services: vec![service],
            },
            total_mismatches: missing + collision,
            ..VerifyResult::default()
        }
    }

    #[test]
    fn collisions_are_explained_and_no_repair_is_recommended() {
        let collisions = render(&found(0, 2));
        assert!(!collisions.contains("--repair"), "{collisions}");
        assert!(
            collisions.contains("change or delete all but one"),
            "{collisions}"
        );
        assert!(!render(&found(1, 0)).contains("change or delete"));
        let once = render(&VerifyResult {
            next: COLLISION_ADVICE.into(),
            ..found(0, 2)
        });
        assert_eq!(once.matches("change or delete").count(), 1, "{once}");
    }

    #[test]
    fn a_verify_of_changes_fits_into_a_terminal_and_says_when_everything_was_verified() {
        let of = |service: &str, whole_ms| ServiceChanges {
            service: service.into(),
            since_ms: 1_800_000_000_000,
            whole_ms,
            keys: 1_234,
            items: Some(12_345_678),
        };
        let changes = |services: Vec<ServiceChanges>| ChangesCompared {
            records: 7,
            from_ledger: 5,
            complete_to_ms: 1_800_000_060_000,
            services,
        };
        let one = changed(&found(0, 0), &changes(vec![of("orders", 1_700_000_000_000)])).join("\n");
        assert!(one.lines().all(|line| line.chars().count() <= 80), "{one}");
        assert_eq!(one.lines().count(), 4, "no row is broken: {one}");
        assert!(
            one.ends_with("read 7 records, 5 of them from the ledger"),
            "{one}"
        );
        assert!(
            one.contains("last verify of everything: 2023-11-14T22:13:20Z\n"),
            "{one}"
        );
        let several = [of("a", 1_700_000_000_000), of("b", 1_700_000_001_000)];
        assert_eq!(
            last_whole(&several),
            "2023-11-14T22:13:20Z (a); 2023-11-14T22:13:21Z (b)"
        );
    }

    #[test]
    fn a_repair_tells_what_it_left() {
        let result = VerifyResult {
            repaired: 1,
            unrepaired: Unrepaired {
                collisions: 2,
                invalid: 1,
                busy: 0,
                foreign: 3,
            },
            ..found(1, 2)
        };
        assert_eq!(
            repaired(&result),
            "repaired 1 key; not repaired: 2 collisions, 1 invalid item, 3 keys that something else wrote"
        );
        assert!(!render(&result).contains("--repair"));
    }
}

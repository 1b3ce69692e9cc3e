//! Estimates the units, the money and the hours of the split.

use super::costs::{Estimate, EstimateLine, HotKey, cents, rounded as round};
use super::options::SurveyOptions;
use super::orders::{Parts, orders};
use super::slow::{slow_tables, surplus_budgets};
use super::tally::Tally;
use super::view::Survey;
use crate::backfill::{Chosen, Forecast, foreseen};
use crate::plan::cost::{
    Capability, DOUBLING_SECONDS, PARTITION_WRITES, WAIT_STEP, WriteCapability, reads_consistently,
    scan_units,
};
use crate::plan::either::WordOr;
use crate::plan::spec::TableClassSpec;
use crate::plan::{Plan, Prices, Service, Versions};
use crate::source::Billing;
use crate::state::Order;
use std::time::Duration;

/// Single conditional puts that one core sends a second, as measured (docs/performance.md): about 140 µs of CPU each. In
/// batches, an item takes about a third of that.
const CORE_WRITES: f64 = 7000.0;
/// Reads of an open shard a second while it is quiet.
const SHARD_READS: f64 = 2.0;
const DAY_SECONDS: f64 = 86_400.0;
/// A hot key is reported if it alone takes longer than this, in hours.
const HOT_HOURS: f64 = 0.5;

/// Makes the estimate. `settle`: how long a backfill waits before it relies on eventually consistent reads.
pub(super) fn estimate(
    plan: &Plan,
    survey: &Survey,
    tally: &Tally<'_>,
    options: &SurveyOptions,
    (prices, settle): (Prices, Duration),
) -> Estimate {
    let size = survey.size.unwrap_or_else(|| super::TableSize {
        count: super::Count::default(),
        counted: false,
        factor: 1.0,
    });
    let mut lines = vec![read_line(survey, size.count.bytes, options, &prices)];
    let (mut hot, mut slow, mut writes, mut target_bytes) = (Vec::new(), Vec::new(), 0u64, Vec::new());
    let mut target_sizes = Vec::new();
    for (service, counted) in plan.services.iter().zip(&tally.services) {
        let units = counted.units.times(size.factor);
        let written = counted.written.times(size.factor);
        writes = writes.saturating_add(written.items);
        target_bytes.push((Target::of(service, survey), written.bytes));
        target_sizes.push((written.items, written.bytes));
        let target = Target::of(service, survey);
        lines.push(write_line(&target, &units, options, &prices));
        slow.extend(slow_tables(service, &target.capability, &units));
        hot.extend(hot_keys(service, counted, &units));
    }
    // Compared before the lines that come after the backfill are added.
    let slower = |a, b| if hours_of(b) > hours_of(a) { b } else { a };
    let slowest = lines.iter().reduce(slower);
    let (slowest, copy_hours) =
        slowest.map_or((String::new(), 0.0), |line| (line.what.clone(), hours_of(line)));
    let wait = wait_line(size.count.bytes, settle);
    let wait_hours = wait.as_ref().map_or(0.0, hours_of);
    let sweep = EstimateLine {
        hours: Some(sweep_hours(&target_bytes, survey, options)),
        ..sweep_line("backfill: sweep the tombstones", &target_bytes, &prices)
    };
    let backfill_hours = wait_hours + copy_hours + hours_of(&sweep);
    let chosen = chosen(plan, survey, options);
    let parts = Parts {
        read: &lines[0],
        writes: &lines[1..],
        sweep: &sweep,
        source_bytes: size.count.bytes,
        targets: target_sizes,
        wait_hours,
        copy_hours,
        not_bulk: (chosen.order != Order::Bulk).then(|| chosen.reason.clone()),
    };
    let orders = orders(plan, survey, &parts, &prices);
    lines.extend(wait);
    lines.push(sweep);
    lines.push(verify_line(survey, size.count.bytes, &target_bytes, &prices));
    let strips = target_bytes
        .into_iter()
        .filter(|(target, _)| carries_version(plan, target.service));
    let strips: Vec<_> = strips.collect();
    if !strips.is_empty() {
        lines.push(sweep_line("complete: strip the versions", &strips, &prices));
    }
    #[allow(clippy::cast_precision_loss)] // an estimate
    let (core_hours, shards) = (
        writes as f64 / CORE_WRITES / 3600.0,
        survey.stream.open_shards.unwrap_or(1).max(1) as f64,
    );
    Estimate {
        dollars: cents(lines.iter().filter_map(|line| line.dollars).sum()),
        backfill_hours: round(backfill_hours),
        slowest,
        orders,
        core_hours: round(core_hours),
        stream_dollars_per_day: cents(
            shards * SHARD_READS * DAY_SECONDS / 1e6 * prices.stream_reads_per_million,
        ),
        hot,
        slow,
        notes: notes(plan, survey, options, &chosen, !strips.is_empty()),
        lines,
        prices,
    }
}

fn hours_of(line: &EstimateLine) -> f64 {
    line.hours.unwrap_or(0.0)
}

/// The backfill reads the source once, for all services together.
fn read_line(survey: &Survey, bytes: u64, options: &SurveyOptions, prices: &Prices) -> EstimateLine {
    let source = &survey.source;
    let served = Capability::reads(&source.throughput);
    let bound = match (options.read_units, source.billing) {
        (Some(budget), _) if budget < served.at_first => format!("{budget} units/s, the budget"),
        (_, Billing::OnDemand) => rate(served),
        (_, Billing::Provisioned { .. }) => format!("{}, all of its throughput", rate(served)),
    };
    let capability = served.within(options.read_units);
    let units = scan_units(bytes, reads_consistently(bytes));
    EstimateLine {
        what: format!("backfill: read {}", source.table),
        read_units: units,
        write_units: 0,
        dollars: source_dollars(survey, units, prices),
        hours: Some(round(capability.seconds(units) / 3600.0)),
        bound,
    }
}

/// The wait of every order before the first eventually consistent read of the source. `None` if there is none.
fn wait_line(bytes: u64, settle: Duration) -> Option<EstimateLine> {
    (!reads_consistently(bytes) && !settle.is_zero()).then(|| EstimateLine {
        what: WAIT_STEP.to_owned(),
        read_units: 0,
        write_units: 0,
        dollars: Some(0.0),
        hours: Some(round(settle.as_secs_f64() / 3600.0)),
        bound: "once; the source is read eventually consistently".to_owned(),
    })
}

/// Hours of the sweep. It reads all targets at the same time.
fn sweep_hours(targets: &[(Target<'_>, u64)], survey: &Survey, options: &SurveyOptions) -> f64 {
    let seconds = targets.iter().map(|(target, bytes)| {
        let served = Capability::target_reads(target.service, survey.throughput(&target.service.name));
        served
            .within(options.read_units)
            .seconds(scan_units(*bytes, true))
    });
    round(seconds.fold(0.0, f64::max) / 3600.0)
}

/// A service's table: the existing one, or the planned one.
struct Target<'a> {
    service: &'a Service,
    capability: WriteCapability,
    /// It is paid for by request.
    on_demand: bool,
}

impl<'a> Target<'a> {
    fn of(service: &'a Service, survey: &Survey) -> Self {
        let existing = survey.throughput(&service.name);
        let planned = || service.table.billing.as_ref().and_then(WordOr::map).is_none();
        Self {
            service,
            capability: WriteCapability::of(service, existing),
            on_demand: existing.map_or_else(planned, |existing| existing.table.provisioned.is_none()),
        }
    }
}

fn write_line(
    target: &Target<'_>,
    units: &crate::plan::cost::WriteUnits,
    options: &SurveyOptions,
    prices: &Prices,
) -> EstimateLine {
    let Target {
        service, capability, ..
    } = target;
    let forecast = capability.forecast(service, units, options.write_units);
    let at_first = match &forecast.index {
        Some(name) => service
            .indexes
            .iter()
            .position(|index| index.name == *name)
            .map_or(capability.table, |n| capability.indexes[n]),
        None => capability.table,
    };
    let alone = capability.forecast(service, units, None).seconds;
    let bound = match (&forecast.index, options.write_units) {
        (_, Some(budget)) if forecast.seconds > alone => format!("{budget} units/s, the budget"),
        (index, _) => {
            let whose = index.as_ref().map_or(String::new(), |name| format!(", {name}"));
            format!("{}{whose}", rate(at_first))
        }
    };
    let total = units.total(service);
    EstimateLine {
        what: format!("backfill: write {}", service.name),
        read_units: 0,
        write_units: total,
        dollars: target
            .on_demand
            .then(|| dollars(total, prices.of_class(infrequent(service)).write_per_million)),
        hours: Some(round(forecast.seconds / 3600.0)),
        bound,
    }
}

/// One consistent scan of each target.
fn sweep_line(what: &str, targets: &[(Target<'_>, u64)], prices: &Prices) -> EstimateLine {
    let reads = targets
        .iter()
        .map(|(target, bytes)| (target, scan_units(*bytes, true)));
    let (read_units, dollars) = target_reads(reads, prices);
    EstimateLine {
        what: what.to_owned(),
        read_units,
        write_units: 0,
        dollars: Some(dollars),
        hours: None,
        bound: "a scan, consistent".to_owned(),
    }
}

/// One scan of each side; differing keys are read again.
fn verify_line(
    survey: &Survey,
    source_bytes: u64,
    targets: &[(Target<'_>, u64)],
    prices: &Prices,
) -> EstimateLine {
    let reads = targets
        .iter()
        .map(|(target, bytes)| (target, scan_units(*bytes, false)));
    let (read_units, of_targets) = target_reads(reads, prices);
    let of_source = scan_units(source_bytes, false);
    EstimateLine {
        what: "verify, each time".to_owned(),
        read_units: read_units + of_source,
        write_units: 0,
        dollars: Some(cents(
            of_targets + source_dollars(survey, of_source, prices).unwrap_or(0.0),
        )),
        hours: None,
        bound: "a scan of each side".to_owned(),
    }
}

fn target_reads<'a>(reads: impl Iterator<Item = (&'a Target<'a>, u64)>, prices: &Prices) -> (u64, f64) {
    let (mut sum, mut cost) = (0, 0.0);
    for (target, units) in reads {
        sum += units;
        if target.on_demand {
            cost += dollars(
                units,
                prices.of_class(infrequent(target.service)).read_per_million,
            );
        }
    }
    (sum, cents(cost))
}

fn source_dollars(survey: &Survey, units: u64, prices: &Prices) -> Option<f64> {
    let infrequent = survey.source.class == "STANDARD_INFREQUENT_ACCESS";
    (survey.source.billing == Billing::OnDemand)
        .then(|| dollars(units, prices.of_class(infrequent).read_per_million))
}

/// Keys that alone take long, at the throughput of one partition.
fn hot_keys(
    service: &Service,
    counted: &super::tally::ServiceTally,
    units: &crate::plan::cost::WriteUnits,
) -> Vec<HotKey> {
    let names = service.indexes.iter().map(|index| Some(index.name.clone()));
    let sums = std::iter::once(units.table).chain(units.indexes.iter().copied());
    let each = std::iter::once(None).chain(names).zip(sums).zip(&counted.hot);
    let found = each.filter_map(|((index, units), hot)| {
        let share = hot.share();
        #[allow(clippy::cast_precision_loss)] // an estimate
        let hours = units as f64 * share / PARTITION_WRITES / 3600.0;
        (hours > HOT_HOURS).then(|| HotKey {
            service: service.name.clone(),
            index,
            share: round(share),
            hours: round(hours),
        })
    });
    found.collect()
}

/// The order that `backfill` would choose for tables that exist.
fn chosen(plan: &Plan, survey: &Survey, options: &SurveyOptions) -> Chosen {
    let existing = survey
        .tables
        .iter()
        .filter_map(|table| Some((table.service.clone(), table.throughput.clone()?)));
    let forecast = Forecast::of(
        plan,
        &survey.source,
        options.read_units,
        |_| options.write_units,
        &existing.collect(),
    );
    foreseen(forecast, plan.ledger.is_some())
}

fn notes(
    plan: &Plan,
    survey: &Survey,
    options: &SurveyOptions,
    chosen: &Chosen,
    strips: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    notes.push(format!(
        "`backfill` chooses its order by a more cautious forecast, from the guaranteed throughput: {}",
        chosen.reason
    ));
    if survey.size.is_some_and(|size| !size.counted) {
        notes.push(
            "figures for the whole table are estimates: the sample, scaled to the counts of DescribeTable, \
             which are up to six hours old"
                .to_owned(),
        );
    }
    notes.push(format!(
        "a new on-demand table serves 4,000 writes per second, and twice its peak after each {} minutes, up \
         to 40,000 (the usual quota of an account); with `warm-throughput` in the plan it starts higher",
        DOUBLING_SECONDS / 60.0
    ));
    if matches!(survey.source.billing, Billing::Provisioned { .. }) {
        notes.push(
            "the users of the source share its read units: set --read-units to what they can spare"
                .to_owned(),
        );
    }
    notes.extend(surplus_budgets(plan, survey, options));
    if plan
        .services
        .iter()
        .any(|service| !Target::of(service, survey).on_demand)
        || matches!(survey.source.billing, Billing::Provisioned { .. })
    {
        notes.push("provisioned tables are billed by the hour, which is not in the amounts shown".to_owned());
    }
    notes.push(
        "not included: a write for each change that the tail applies (and for each write that its guard \
         refuses), a write and a delete for each item that is removed while the backfill runs, storage, \
         and the state table"
            .to_owned(),
    );
    if strips {
        notes.push(
            "`complete` strips the versions: one more write for each item that still has one".to_owned(),
        );
    }
    notes
}

/// Live items of its table carry a reserved attribute until the split completes. (In `sequence` mode those
/// that the tail wrote.)
fn carries_version(plan: &Plan, service: &Service) -> bool {
    match &plan.versions {
        Versions::Sequence => true,
        Versions::Timestamp(timestamp) => service.version_fields(&plan.versions).live != timestamp.attribute,
    }
}

fn infrequent(service: &Service) -> bool {
    service.table.class == Some(TableClassSpec::InfrequentAccess)
}

#[allow(clippy::cast_precision_loss)] // an estimate
fn dollars(units: u64, per_million: f64) -> f64 {
    cents(units as f64 / 1e6 * per_million)
}

/// `4,000 units/s at first`.
fn rate(served: Capability) -> String {
    let grows = if served.at_most > served.at_first {
        " at first"
    } else {
        ""
    };
    format!("{} units/s{grows}", thousands(served.at_first))
}

/// `4,000`.
fn thousands(units: f64) -> String {
    let text = format!("{units:.0}");
    match text.len() {
        4.. => format!("{},{}", &text[..text.len() - 3], &text[text.len() - 3..]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::hot::HotKeys;
    use super::*;
    use crate::model::Value;
    use crate::plan::cost::WriteUnits;

    #[test]
    fn money_is_never_negative_and_never_looks_free() {
        assert_eq!(cents(0.0).to_string(), "0");
        assert!((cents(0.0001) - 0.01).abs() < 1e-9);
        assert!((dollars(1_000_000, 0.625) - 0.63).abs() < 1e-9);
        assert!((dollars(2_000_000, 0.625) - 1.25).abs() < 1e-9);
        assert_eq!([thousands(999.0), thousands(40_000.0)], ["999", "40,000"]);
    }

    /// Hours of the backfill, of each order and of the wait, for so many items of 1,000 bytes.
    fn of_items(items: u64, settle: Duration, options: &SurveyOptions) -> (f64, Vec<f64>, Option<f64>) {
        let text = "version: 1\nsplit: s\nsource: { table: Live, keys: { partition: PK } }\ntimestamp: none\n\
            unrouted: fail\nservices:\n  - name: all\n    where: attribute_exists(PK)\n    table:\n      \
            name: Apart\n      keys: { partition: PK }\n";
        let plan = Plan::parse(text, "plan.yaml").unwrap();
        let count = super::super::Count {
            items,
            bytes: 1000 * items,
        };
        let mut survey = super::super::findings::tests::quiet();
        survey.size = Some(super::super::TableSize {
            count,
            counted: true,
            factor: 1.0,
        });
        let mut tally = Tally::new(&plan, None);
        tally.services[0].written = count;
        tally.services[0].units.table = items;
        let estimate = estimate(&plan, &survey, &tally, options, (Prices::published(), settle));
        let wait = estimate.lines.iter().find(|line| line.what.contains("wait"));
        (
            estimate.backfill_hours,
            estimate.orders.iter().map(|order| order.hours).collect(),
            wait.map(hours_of),
        )
    }

    #[test]
    fn a_backfill_takes_its_wait_its_slowest_part_and_its_sweep() {
        let near = |hours: f64, seconds: f64| (hours * 3600.0 - seconds).abs() < 1.0;
        let minute = Duration::from_secs(60);
        let usual = SurveyOptions::default();
        // 400,000 writes at 4,000 per second, and 97,657 units of a consistent scan at 12,000 per second.
        let (hours, orders, wait) = of_items(400_000, minute, &usual);
        assert!(near(hours, 60.0 + 100.0 + 8.1), "{hours}");
        assert!(wait.is_some_and(|wait| near(wait, 60.0)), "{wait:?}");
        // Bulk has no tombstones to sweep. An import reads 48,829 units, and takes ten minutes and 40 seconds.
        let [concurrent, bulk, import] = orders[..] else {
            panic!("{orders:?}")
        };
        assert!(near(concurrent, 168.1) && near(bulk, 160.0), "{orders:?}");
        assert!(near(import, 60.0 + 4.1 + 640.0), "{orders:?}");
        // A small source is read consistently, and an engine may have no old reads: then nothing is waited for.
        assert_eq!(of_items(1000, minute, &usual).2, None);
        assert_eq!(of_items(400_000, Duration::ZERO, &usual).2, None);
        // The budget of reads holds the sweep down, too.
        let slow = SurveyOptions {
            read_units: Some(1000.0),
            ..usual
        };
        let (hours, ..) = of_items(400_000, minute, &slow);
        assert!(near(hours, 60.0 + 100.0 + 97.7), "{hours}");
    }

    #[test]
    fn a_partition_that_takes_too_much_is_told_of() {
        let text = "version: 1\nsplit: s\nsource: { table: Live, keys: { partition: PK } }\ntimestamp: none\n\
            unrouted: fail\nservices:\n  - name: all\n    where: attribute_exists(PK)\n    table:\n      \
            name: Apart\n      keys: { partition: PK }\n      \
            global-indexes: [{ name: by-kind, keys: { partition: kind } }]\n";
        let plan = Plan::parse(text, "plan.yaml").unwrap();
        let mut tally = Tally::new(&plan, None);
        let counted = &mut tally.services[0];
        counted.hot = vec![HotKeys::default(); 2];
        for n in 0..100 {
            counted.hot[0].add(&Value::s(n.to_string()), 1);
            counted.hot[1].add(&Value::s((n % 2).to_string()), 1);
        }
        let units = WriteUnits {
            table: 36_000_000,
            indexes: vec![36_000_000],
        };
        let hot = hot_keys(&plan.services[0], counted, &units);
        // Half of the index's writes at 1,000 a second; one in a hundred of the table's is no matter.
        assert_eq!(hot.len(), 1);
        assert_eq!(hot[0].index.as_deref(), Some("by-kind"));
        assert!((hot[0].hours - 5.0).abs() < 1e-9, "{hot:?}");
    }
}

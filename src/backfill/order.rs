//! The order of a backfill, pure: a forecast of the copy, and the obstacles to holding the lanes for this long.

use crate::model::{count, counted};
use crate::plan::cost::{
    Capability, PARTITION_WRITES, WRITE_UNIT_BYTES, WriteCapability, WriteUnits, scan_units,
};
use crate::plan::{Plan, Service, TableThroughput};
use crate::source::lineage::RETENTION_MS;
use crate::source::{Billing, SourceFacts};
use crate::state::Order;
use serde::Serialize;
use std::collections::BTreeMap;

/// Which order is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderChoice {
    /// Bulk if the forecast and the split allow it, otherwise concurrent.
    Auto,
    /// This one, or an error that says why not.
    Only(Order),
}

/// A copy in bulk must end before the oldest position of a lane is older than this part of the stream's retention.
pub(super) const BULK_MS: u64 = RETENTION_MS / 3;
/// A copy that takes longer than forecast is given up when a position is older than this part: the rest of the
/// retention is for the lanes to catch up.
pub const GIVEN_UP_MS: u64 = RETENTION_MS / 2;
/// Read units per second of a forecast if no budget is given and the source is on-demand: the units of one partition.
const READ_UNITS_PER_SECOND: f64 = 3000.0;

/// How long a copy takes, at rates that its tables serve from the first moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Items that the source says to hold (about six hours old on AWS).
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Seconds of the slowest part.
    pub seconds: f64,
    /// That part, and the rate that it is reckoned with.
    pub slowest: String,
}

impl Forecast {
    /// The forecast of a copy with these budgets. Without a budget: half of the reads of a provisioned source, and
    /// the writes of a single partition. An existing table serves only what it is set to: `existing` has these units,
    /// by service. Each service counts as if it received every item, because its share is unknown before the items
    /// are read.
    #[must_use]
    pub fn of(
        plan: &Plan,
        facts: &SourceFacts,
        reads: Option<f64>,
        writes: impl Fn(&str) -> Option<f64>,
        existing: &BTreeMap<String, TableThroughput>,
    ) -> Self {
        let mut forecast = Self::reading(facts, reads);
        for service in &plan.services {
            let budget = writes(&service.name).unwrap_or(PARTITION_WRITES);
            let units = most_units(service, facts);
            let capability = WriteCapability::of(service, existing.get(&service.name));
            let found = capability.forecast(service, &units, Some(budget));
            if found.seconds > forecast.seconds {
                forecast.seconds = found.seconds;
                let at = |name: &String| service.indexes.iter().position(|index| index.name == *name);
                let index = found.index.as_ref().and_then(|name| Some((name, at(name)?)));
                let slowest = index.map_or(capability.table, |(_, n)| capability.indexes[n]);
                forecast.slowest = format!(
                    "writing {}{} at {} write units per second, if it received every item",
                    service.name,
                    index.map_or(String::new(), |(name, _)| format!(" (index {name})")),
                    figure(budget.min(slowest.at_first))
                );
            }
        }
        forecast
    }

    /// The forecast of a copy that only reads.
    #[must_use]
    pub fn reading(facts: &SourceFacts, reads: Option<f64>) -> Self {
        let served = Capability::reads(&facts.throughput).at_first;
        let rate = served.min(reads.unwrap_or(match facts.billing {
            Billing::OnDemand => READ_UNITS_PER_SECOND,
            Billing::Provisioned { .. } => served / 2.0,
        }));
        Self {
            items: facts.item_count,
            bytes: facts.bytes,
            // Consistent reads, which small sources have, cost twice as much.
            seconds: Capability::fixed(rate).seconds(scan_units(facts.bytes, true)),
            slowest: format!(
                "reading {} at {} read units per second",
                facts.table,
                figure(rate)
            ),
        }
    }

    pub(super) fn ms(&self) -> u64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
        let ms = (self.seconds * 1000.0) as u64;
        ms
    }
}

/// Bytes of DynamoDB JSON for each byte of an item, about: types and names are written out.
const JSON_FACTOR: u64 = 2;
/// Bytes that an import reads in a second, by assumption: AWS promises none. Docs say so, and double the time that follows.
const IMPORT_BYTES_PER_SECOND: u64 = 20_000_000;
/// The time that every import takes, by assumption.
const IMPORT_MS: u64 = 10 * 60 * 1000;

/// How long an import takes, by cautious assumptions.
pub(crate) struct ImportForecast;

impl ImportForecast {
    /// The bytes of an import with the items of a source.
    pub fn json_bytes(bytes: u64) -> u64 {
        bytes.saturating_mul(JSON_FACTOR)
    }

    /// How long an import of so many bytes takes.
    pub fn import_ms(json_bytes: u64) -> u64 {
        IMPORT_MS.saturating_add(json_bytes.div_ceil(IMPORT_BYTES_PER_SECOND).saturating_mul(1000))
    }

    /// Whether lanes that are so far behind could not catch up after an import, which may take twice as long as forecast: the time to
    /// catch up is as long as what piled up.
    pub fn is_too_late(lag_ms: u64, import_ms: u64) -> bool {
        lag_ms.saturating_add(import_ms.saturating_mul(2)) > GIVEN_UP_MS
    }
}

/// The most write units of a service: as if each item were its own, and appeared in every index.
fn most_units(service: &Service, facts: &SourceFacts) -> WriteUnits {
    let once = facts.bytes / WRITE_UNIT_BYTES + facts.item_count;
    let local = service.indexes.iter().filter(|index| index.local).count() as u64;
    WriteUnits {
        table: once.saturating_mul(1 + local),
        indexes: vec![once; service.indexes.len()],
    }
}

/// The state of a split when its backfill is about to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// How long the copy takes.
    pub forecast: Forecast,
    /// How old the oldest record is that a lane needs from the stream, in milliseconds.
    pub lag_ms: u64,
    /// A ledger keeps the records of the stream without limit, and keeps up.
    pub has_ledger: bool,
    /// The obstacle to the bulk order with the next step, if there is one.
    pub obstacle: Option<(String, &'static str)>,
}

/// The order that was chosen, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen {
    /// The order.
    pub order: Order,
    /// For a person, with the figures.
    pub reason: String,
}

/// The requested order is not possible: the reason, and the next step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Why.
    pub what: String,
    /// The next step.
    pub next: String,
}

/// Chooses the order.
///
/// # Errors
/// Where bulk was asked for, and must not be.
pub fn choose(choice: OrderChoice, outlook: &Outlook) -> Result<Chosen, Refused> {
    let chosen = |order, reason: String| Ok(Chosen { order, reason });
    if choice == OrderChoice::Only(Order::Concurrent) {
        return chosen(Order::Concurrent, "concurrent, as --order says".into());
    }
    let forecast = &outlook.forecast;
    let takes = format!(
        "{}, {} MB: about {} ({})",
        counted(forecast.items, "item"),
        count(forecast.bytes.div_ceil(1_000_000)),
        lasting(forecast.ms()),
        forecast.slowest
    );
    let ends_ms = forecast.ms().saturating_add(outlook.lag_ms);
    let refusal = if let Some((what, next)) = &outlook.obstacle {
        Some((what.clone(), (*next).to_owned()))
    } else if ends_ms > BULK_MS && !outlook.has_ledger {
        Some((
            format!(
                "{takes}; with the lag of the lanes ({}), this is more than a third of the 24 hours for \
                 which the stream keeps its records",
                lasting(outlook.lag_ms)
            ),
            "use larger budgets (--write-units, --read-units) if the tables serve them".into(),
        ))
    } else {
        None
    };
    match (refusal, choice) {
        (None, OrderChoice::Auto) if forecast.items == 0 => chosen(
            Order::Concurrent,
            "concurrent, because the source reports no items yet (its count is hours old), so there is no \
             forecast"
                .into(),
        ),
        (None, _) if ends_ms > BULK_MS => chosen(
            Order::Bulk,
            format!(
                "bulk: {takes}; meanwhile the ledger keeps the changes, also for longer than the stream does"
            ),
        ),
        (None, _) => chosen(
            Order::Bulk,
            format!(
                "bulk: {takes}; with the lag of the lanes ({}), this is well within the 24 hours for which \
                 the stream keeps its records",
                lasting(outlook.lag_ms)
            ),
        ),
        (Some((what, _)), OrderChoice::Auto) => chosen(
            Order::Concurrent,
            format!("concurrent, because the bulk order is not possible: {what}"),
        ),
        (Some((what, next)), OrderChoice::Only(_)) => Err(Refused {
            what: format!("the bulk order is not possible: {what}"),
            next: format!("{next}; or leave out --order, or use `--order concurrent`"),
        }),
    }
}

/// The order that a backfill would choose by itself if it began now, with lanes that are not behind: for `plan`.
#[must_use]
pub fn foreseen(forecast: Forecast, has_ledger: bool) -> Chosen {
    let outlook = Outlook {
        forecast,
        lag_ms: 0,
        has_ledger,
        obstacle: None,
    };
    choose(OrderChoice::Auto, &outlook).unwrap_or_else(|refused| Chosen {
        order: Order::Concurrent,
        reason: refused.what,
    })
}

/// A rate: whole, unless it is small.
fn figure(rate: f64) -> String {
    if rate < 10.0 {
        format!("{rate}")
    } else {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // a rate: not negative, and saturates
        count(rate.round() as u64)
    }
}

/// `40 s`, `12 min` or `3.5 h`.
pub(super) fn lasting(ms: u64) -> String {
    #[allow(clippy::cast_precision_loss)] // for people
    match ms / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Throughput, Units};

    const BULK: OrderChoice = OrderChoice::Only(Order::Bulk);
    const HOUR_MS: u64 = 3_600_000;

    fn outlook(hours: f64, lag_ms: u64) -> Outlook {
        Outlook {
            forecast: Forecast {
                items: 1000,
                bytes: 5_000_000,
                seconds: hours * 3600.0,
                slowest: "writing A".into(),
            },
            lag_ms,
            has_ledger: false,
            obstacle: None,
        }
    }

    #[test]
    fn bulk_where_the_copy_ends_within_a_third_of_the_retention() {
        let chosen = choose(OrderChoice::Auto, &outlook(7.9, 0)).unwrap();
        assert_eq!(chosen.order, Order::Bulk);
        assert!(
            chosen
                .reason
                .contains("1,000 items, 5 MB: about 7.9 h (writing A)"),
            "{}",
            chosen.reason
        );
        for late in [outlook(8.1, 0), outlook(7.9, HOUR_MS), outlook(0.0, 9 * HOUR_MS)] {
            let chosen = choose(OrderChoice::Auto, &late).unwrap();
            assert_eq!(chosen.order, Order::Concurrent, "{late:?}");
            assert!(chosen.reason.contains("more than a third"), "{}", chosen.reason);
            let refused = choose(BULK, &late).unwrap_err();
            assert!(refused.next.contains("--write-units"), "{refused:?}");
        }
        assert_eq!(choose(BULK, &outlook(1.0, 0)).unwrap().order, Order::Bulk);
    }

    #[test]
    fn with_a_ledger_a_copy_in_bulk_may_take_days() {
        let outlook = Outlook {
            has_ledger: true,
            ..outlook(100.0, HOUR_MS)
        };
        let chosen = choose(OrderChoice::Auto, &outlook).unwrap();
        assert_eq!(chosen.order, Order::Bulk);
        assert!(chosen.reason.contains("the ledger keeps"), "{}", chosen.reason);
    }

    #[test]
    fn what_is_in_the_way_is_told() {
        let mut outlook = outlook(0.1, 0);
        outlook.obstacle = Some(("a lane lost records".into(), "repair"));
        let chosen = choose(OrderChoice::Auto, &outlook).unwrap();
        assert_eq!(
            (chosen.order, &*chosen.reason),
            (
                Order::Concurrent,
                "concurrent, because the bulk order is not possible: a lane lost records"
            )
        );
        let refused = choose(BULK, &outlook).unwrap_err();
        assert!(refused.what.contains("a lane lost records") && refused.next.starts_with("repair; or"));
    }

    #[test]
    fn nothing_is_forecast_from_a_count_of_nothing() {
        let mut outlook = outlook(0.0, 0);
        outlook.forecast.items = 0;
        let chosen = choose(OrderChoice::Auto, &outlook).unwrap();
        assert_eq!(chosen.order, Order::Concurrent);
        assert_eq!(
            choose(BULK, &outlook).unwrap().order,
            Order::Bulk,
            "the caller knows better"
        );
    }

    #[test]
    fn an_import_must_leave_as_much_time_as_piled_up() {
        let of = ImportForecast::import_ms;
        assert_eq!(of(0), 600_000, "each import takes some time");
        assert_eq!(of(20_000_000 * 3600), 600_000 + HOUR_MS);
        assert!(!ImportForecast::is_too_late(11 * HOUR_MS, HOUR_MS / 2));
        assert!(ImportForecast::is_too_late(11 * HOUR_MS + 1, HOUR_MS / 2));
        assert!(ImportForecast::is_too_late(0, u64::MAX) && ImportForecast::is_too_late(u64::MAX, 0));
    }

    #[test]
    fn the_concurrent_order_may_always_be() {
        let mut outlook = outlook(99.0, 30 * HOUR_MS);
        outlook.obstacle = Some(("everything".into(), "nothing"));
        let chosen = choose(OrderChoice::Only(Order::Concurrent), &outlook).unwrap();
        assert_eq!(chosen.order, Order::Concurrent);
    }

    #[test]
    fn a_forecast_is_of_its_slowest_part() {
        let text = "version: 1\nsplit: s\nsource: { table: Live, keys: { partition: PK } }\ntimestamp: none\n\
            unrouted: fail\nservices:\n  - name: all\n    where: attribute_exists(PK)\n    table:\n      \
            name: Apart\n      keys: { partition: PK }\n      \
            global-indexes: [{ name: by-kind, keys: { partition: kind } }]\n";
        let plan = Plan::parse(text, "plan.yaml").unwrap();
        let facts = SourceFacts {
            item_count: 1_000_000,
            bytes: 1024 * 1_000_000,
            ..SourceFacts::sample(plan.source.keys.clone())
        };
        let new = BTreeMap::new();
        // Two units an item at most, as many in the index, a thousand a second.
        let forecast = Forecast::of(&plan, &facts, None, |_| None, &new);
        assert!((forecast.seconds - 4000.0).abs() < 1.0, "{forecast:?}");
        assert!(forecast.slowest.contains("writing all at 1,000"), "{forecast:?}");
        let faster = Forecast::of(&plan, &facts, None, |_| Some(1e6), &new);
        assert!(
            (faster.seconds - 500.0).abs() < 1.0,
            "what a new table serves: {faster:?}"
        );
        let read = Forecast::of(&plan, &facts, Some(10.0), |_| Some(1e6), &new);
        assert!((read.seconds - 25_000.0).abs() < 1.0, "{read:?}");
        assert!(read.slowest.contains("reading Live at 10"));

        // An existing table serves what it is set to, whatever the budgets are.
        let provisioned = |read, write| Throughput {
            provisioned: Some(Units { read, write }),
            ..Throughput::default()
        };
        let mut existing = TableThroughput {
            table: provisioned(1, 1),
            indexes: BTreeMap::from([("by-kind".to_owned(), provisioned(1, 5000))]),
        };
        let of = |facts: &SourceFacts, existing: &TableThroughput| {
            let existing = BTreeMap::from([("all".to_owned(), existing.clone())]);
            Forecast::of(&plan, facts, Some(1e6), |_| Some(1e6), &existing)
        };
        let slow = of(&facts, &existing);
        assert!(
            (slow.seconds - 2e6).abs() < 1.0 && slow.slowest.contains("writing all at 1 "),
            "{slow:?}"
        );
        assert_eq!(foreseen(slow.clone(), false).order, Order::Concurrent);
        assert_eq!(foreseen(slow, true).order, Order::Bulk);
        existing.table = provisioned(1, 5000);
        existing.indexes.insert("by-kind".to_owned(), provisioned(1, 2));
        let slow = of(&facts, &existing);
        assert!((slow.seconds - 1e6).abs() < 1.0, "{slow:?}");
        assert!(
            slow.slowest.contains("writing all (index by-kind) at 2 "),
            "{slow:?}"
        );
        let few = SourceFacts {
            throughput: provisioned(5, 5),
            ..facts
        };
        existing.indexes.clear();
        let slow = of(&few, &existing);
        assert!(
            (slow.seconds - 50_000.0).abs() < 1.0 && slow.slowest.contains("reading Live at 5 "),
            "{slow:?}"
        );
    }
}

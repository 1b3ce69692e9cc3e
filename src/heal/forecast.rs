//! What a heal would export, read and cost. It changes nothing.

use super::begin::{Outlook, nothing_lost, services};
use super::healing::HealOptions;
use super::windows::{MARGIN_MS, windows};
use crate::plan::Prices;
use crate::plan::cost::scan_units;
use crate::source::{Billing, SourceFacts, describe_source, lineage::watermark};
use crate::state::{SplitRecord, StreamRecord};
use crate::worker::{RunError, Split, check_split, recorded_shards};
use serde::Serialize;

/// Bytes of a line of an export beside the item: the key once more, and what DynamoDB says about the change.
const LINE_BYTES: u64 = 150;
/// The JSON of an item is about so many percent of its size.
const JSON_PERCENT: u64 = 130;
const READ_UNIT_BYTES: u64 = 4096;

/// What a heal would do, and what it would cost.
#[derive(Clone, Debug, Serialize)]
pub struct HealForecast {
    /// The beginning of the time whose changes must be exported, in milliseconds since 1970.
    pub from_ms: u64,
    /// Its end.
    pub to_ms: u64,
    /// Exports that are left.
    pub exports: usize,
    /// The earliest moment that can be exported; `None` if the engine names none.
    pub earliest_ms: Option<u64>,
    /// The heal restarts the tail.
    pub restarts: bool,
    /// It continues one that was interrupted.
    pub continues: bool,
    /// Changes in that time, about, by the rate at which the lanes received changes before the gap; `None` if they received none.
    pub changes: Option<u64>,
    /// The steps.
    pub steps: Vec<HealStep>,
    /// US dollars of all steps that are known and paid by request.
    pub dollars: f64,
    /// The prices that were taken.
    pub prices: Prices,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HealStep {
    /// The step, in words.
    pub what: String,
    /// Gigabytes that DynamoDB bills; `None` if the number of changes is not known, or the step has none.
    pub gigabytes: Option<f64>,
    /// Read units; `None` in the same cases.
    pub read_units: Option<u64>,
    /// US dollars; `None` if it is not known, or the tables are billed by the hour.
    pub dollars: Option<f64>,
}

/// Forecasts a heal.
///
/// # Errors
/// If nothing was lost, or a heal is not possible; see [`super::heal`].
pub async fn forecast_heal(
    split: &Split,
    options: &HealOptions,
    prices: Prices,
) -> Result<HealForecast, RunError> {
    let record = check_split(split).await?;
    let split = &split.without_switched(&record);
    let outlook = Box::pin(Outlook::of(split, &record, options)).await?;
    let unfinished = outlook.unfinished();
    if outlook.loss.is_none() && unfinished.is_none() {
        return Err(nothing_lost());
    }
    let is_open = outlook.loss.is_some_and(|loss| loss.is_open);
    let end_ms = || {
        let pinned = record.stream().and_then(|(_, stream)| stream.captured_ms);
        pinned.filter(|_| !is_open).unwrap_or(outlook.source.at_ms) + MARGIN_MS
    };
    let left = match (unfinished, outlook.loss) {
        (Some(last), None) => last
            .windows
            .iter()
            .filter(|window| !window.done)
            .cloned()
            .collect(),
        (_, Some(loss)) => windows(loss.from_ms.saturating_sub(MARGIN_MS), end_ms()),
        (None, None) => Vec::new(),
    };
    let (from_ms, to_ms) = (
        left.first().map_or(end_ms(), |window| window.from_ms),
        left.last().map_or(end_ms(), |window| window.to_ms),
    );
    let hour_ms = 3_600_000.0;
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // an estimate
    let changes = changes_per_hour(split, &record)
        .await?
        .map(|rate| (rate * (to_ms.saturating_sub(from_ms)) as f64 / hour_ms).ceil() as u64);
    let source = describe_source(&split.source.control, &split.plan.source.table).await?;
    let mut targets = Vec::new();
    for (service, tables) in split.active() {
        targets.push(describe_source(&tables.control, &service.table.name).await?);
    }
    let steps = steps(changes, &source, &targets, &prices);
    let known = steps.iter().filter_map(|step| step.dollars).sum::<f64>();
    Ok(HealForecast {
        from_ms,
        to_ms,
        exports: left.len(),
        earliest_ms: outlook.period.earliest_ms,
        restarts: is_open,
        continues: unfinished.is_some(),
        changes,
        steps,
        dollars: cents(known),
        prices,
    })
}

/// The rate at which the lanes received changes, in the last generation of the stream in which they received any.
async fn changes_per_hour(split: &Split, record: &SplitRecord) -> Result<Option<f64>, RunError> {
    let names = services(split)?;
    let present = record.stream().map_or(0, |(generation, _)| generation);
    for generation in (1..=present).rev() {
        let place = usize::try_from(generation)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let Some(captured) = record
            .streams
            .get(place)
            .and_then(|stream: &StreamRecord| stream.captured_ms)
        else {
            continue;
        };
        let recorded = recorded_shards(split, generation).await?;
        let rates = names.iter().filter_map(|lane| {
            let states = recorded.values().filter_map(|shard| shard.lanes.get(*lane));
            let seen: u64 = states.map(|state| state.counters.seen).sum();
            let past = watermark(&recorded, lane)?.saturating_sub(captured);
            #[allow(clippy::cast_precision_loss)] // an estimate
            (seen > 0 && past > 0).then(|| seen as f64 / (past as f64 / 3_600_000.0))
        });
        if let Some(rate) = rates.reduce(f64::max) {
            return Ok(Some(rate));
        }
    }
    Ok(None)
}

#[allow(clippy::cast_precision_loss)] // an estimate
fn steps(
    changes: Option<u64>,
    source: &SourceFacts,
    targets: &[SourceFacts],
    prices: &Prices,
) -> Vec<HealStep> {
    let item_bytes = |facts: &SourceFacts| facts.bytes / facts.item_count.max(1);
    let dollars = |facts: &SourceFacts, units: u64| {
        let infrequent = facts.class == "STANDARD_INFREQUENT_ACCESS";
        let price = prices.of_class(infrequent).read_per_million;
        (facts.billing == Billing::OnDemand).then_some(units as f64 / 1e6 * price)
    };
    // Each key is read once in the source and once in the table, for each service.
    let each = |facts: &SourceFacts| item_bytes(facts).div_ceil(READ_UNIT_BYTES).max(1);
    let reads = |units: &dyn Fn(&SourceFacts) -> u64, source_times: u64| {
        let of_source = units(source) * source_times;
        let sum = of_source + targets.iter().map(units).sum::<u64>();
        let paid = targets.iter().map(|facts| dollars(facts, units(facts)));
        let paid = paid.chain((source_times > 0).then(|| dollars(source, of_source)));
        (sum, paid.sum::<Option<f64>>())
    };
    let gigabytes = changes.map(|changes| {
        let bytes = item_bytes(source) * JSON_PERCENT / 100 + LINE_BYTES;
        changes as f64 * bytes as f64 / 1e9
    });
    let reconcile = changes.map(|changes| reads(&|facts| changes * each(facts), targets.len() as u64));
    let sweep = reads(&|facts| scan_units(facts.bytes, true), 0);
    let verify = reads(&|facts| scan_units(facts.bytes, false), 1);
    let step = |what: &str, gigabytes, units: Option<(u64, Option<f64>)>, dollars: Option<f64>| HealStep {
        what: what.to_owned(),
        gigabytes,
        read_units: units.map(|(units, _)| units),
        dollars: units.and_then(|(_, dollars)| dollars).or(dollars).map(cents),
    };
    vec![
        step(
            "export the changes",
            gigabytes,
            None,
            gigabytes.map(|gigabytes| gigabytes * prices.export_per_gb),
        ),
        step("read the changed keys again, at most", None, reconcile, None),
        step("sweep the tombstones", None, Some(sweep), None),
        step("the verify that must follow, each time", None, Some(verify), None),
    ]
}

/// Rounds up to the next cent, so that no cost is shown as free.
fn cents(dollars: f64) -> f64 {
    if dollars <= 0.0 {
        return 0.0;
    }
    (dollars * 100.0 - 1e-6).ceil() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeKind, KeyAttribute, KeySchema};

    fn facts(item_count: u64, item_bytes: u64) -> SourceFacts {
        let partition = KeyAttribute {
            name: "PK".into(),
            kind: AttributeKind::S,
        };
        SourceFacts {
            item_count,
            bytes: item_count * item_bytes,
            ..SourceFacts::sample(KeySchema {
                partition,
                sort: None,
            })
        }
    }

    #[test]
    fn the_steps_count_what_each_reads() {
        let (source, targets) = (
            facts(1_000_000, 1000),
            [facts(500_000, 5000), facts(500_000, 100)],
        );
        let found = steps(Some(100_000), &source, &targets, &Prices::published());
        // A line has 1,300 bytes of JSON and 150 more.
        assert!((found[0].gigabytes.unwrap() - 0.145).abs() < 1e-9);
        assert_eq!(found[0].dollars, Some(0.02));
        // The source twice, one table with items of two units, one of one unit.
        assert_eq!(found[1].read_units, Some(100_000 * (2 + 2 + 1)));
        assert_eq!(found[1].dollars, Some(0.07));
        let swept = scan_units(2_500_000_000, true) + scan_units(50_000_000, true);
        assert_eq!(found[2].read_units, Some(swept), "only the tables");
        let compared = [1_000_000_000, 2_500_000_000, 50_000_000].map(|bytes| scan_units(bytes, false));
        assert_eq!(found[3].read_units, Some(compared.iter().sum()));
    }

    #[test]
    fn what_is_not_known_is_not_told_as_nothing() {
        let provisioned = SourceFacts {
            billing: Billing::Provisioned { read: 1, write: 1 },
            ..facts(10, 10)
        };
        let found = steps(None, &provisioned, &[facts(10, 10)], &Prices::published());
        assert_eq!((found[0].gigabytes, found[0].dollars), (None, None));
        assert_eq!((found[1].read_units, found[1].dollars), (None, None));
        assert_eq!(found[2].dollars, Some(0.01), "the source is not swept");
        assert_eq!(found[3].dollars, None, "the source is billed by the hour");
    }
}

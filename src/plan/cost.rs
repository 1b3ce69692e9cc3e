//! The units and the time that a split needs: pure arithmetic on sizes and throughput.

use super::Service;
use super::either::WordOr;
use super::spec::{ProjectionWord, ThroughputSpec};
use crate::model::{Item, ItemExt};
use crate::plan::{IndexKeys, TableThroughput, Throughput};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A read unit carries this much, a write unit [`WRITE_UNIT_BYTES`].
/// See [capacity units](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html).
pub const READ_UNIT_BYTES: u64 = 4096;
/// See [`READ_UNIT_BYTES`].
pub const WRITE_UNIT_BYTES: u64 = 1024;
/// The write units per second of a new on-demand table. See
/// [scaling](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html).
pub const NEW_TABLE_WRITES: f64 = 4000.0;
/// See [`NEW_TABLE_WRITES`].
pub const NEW_TABLE_READS: f64 = 12_000.0;
/// The units per second that an account allows one on-demand table by default. See [the
/// quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html).
pub const TABLE_QUOTA_UNITS: f64 = 40_000.0;
/// An on-demand table serves twice its last peak after this long.
pub const DOUBLING_SECONDS: f64 = 1800.0;
/// A budget of nothing would take for ever; this one does, nearly.
const SLOWEST: f64 = 1e-6;
/// Most write units a second that one partition takes, whatever its table's capacity.
pub const PARTITION_WRITES: f64 = 1000.0;

/// Read units of a scan over this many bytes: half as many if it is eventually consistent. A scan sums the items of a
/// page before it rounds, so small items cost only their bytes.
#[must_use]
pub fn scan_units(bytes: u64, consistent: bool) -> u64 {
    bytes.div_ceil(READ_UNIT_BYTES * if consistent { 1 } else { 2 })
}

/// Up to this size, a backfill reads the source consistently, which costs little and saves a wait of one minute.
const SMALL_SOURCE_BYTES: u64 = 256 * 1024 * 1024;

/// The step of an estimate that uses nothing: the wait before eventually consistent reads.
pub const WAIT_STEP: &str = "backfill: wait until reads settle";

/// Whether a backfill reads a source of so many bytes consistently, unless an option says otherwise.
#[must_use]
pub fn reads_consistently(bytes: u64) -> bool {
    bytes <= SMALL_SOURCE_BYTES
}

/// Write units that puts of target items use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteUnits {
    /// Of the table, its local indexes among them: they share its throughput.
    pub table: u64,
    /// Units of each index of the service, in their order. The units of local indexes are also in `table`.
    pub indexes: Vec<u64>,
}

impl WriteUnits {
    /// Adds the put of a new item: a unit for each KB, and as many for each index as the item's entry there
    /// weighs. An index leaves out an item that lacks one of its key attributes.
    pub fn add(&mut self, service: &Service, item: &Item) {
        self.add_with(service, item, 0);
    }

    /// The same of an item with further attributes of so many bytes that the plan does not look at.
    fn add_with(&mut self, service: &Service, item: &Item, further_bytes: usize) {
        let put = units(item.size() + further_bytes);
        self.table += put;
        self.indexes.resize(service.indexes.len(), 0);
        for (sum, index) in self.indexes.iter_mut().zip(&service.indexes) {
            let entry = entry_bytes(service, index, item, further_bytes).map_or(0, units);
            *sum += entry;
            if index.local {
                self.table += entry;
            }
        }
    }

    /// All units, each once.
    #[must_use]
    pub fn total(&self, service: &Service) -> u64 {
        let global = self.indexes.iter().zip(&service.indexes);
        self.table
            + global
                .filter(|(_, index)| !index.local)
                .map(|(units, _)| units)
                .sum::<u64>()
    }

    /// As many times as much.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self {
            table: scaled(self.table, factor),
            indexes: self.indexes.iter().map(|units| scaled(*units, factor)).collect(),
        }
    }
}

/// The use of a put, for engines that do not report it.
#[derive(Clone, Debug, Default)]
pub struct PutCost(Option<Arc<Service>>);

impl PutCost {
    /// For the items of a service, its indexes among them.
    #[must_use]
    pub fn of(service: &Service) -> Self {
        let has_indexes = !service.indexes.is_empty();
        Self(has_indexes.then(|| Arc::new(service.clone())))
    }

    /// Thousandths of write units of the put of a new item.
    #[must_use]
    pub fn milliunits(&self, item: &Item) -> u64 {
        self.milliunits_with(item, 0)
    }

    /// The same of an item with further attributes of so many bytes that the plan does not look at.
    #[must_use]
    pub fn milliunits_with(&self, item: &Item, further_bytes: usize) -> u64 {
        let Some(service) = &self.0 else {
            return units(item.size() + further_bytes) * 1000;
        };
        let mut used = WriteUnits::default();
        used.add_with(service, item, further_bytes);
        used.total(service) * 1000
    }
}

/// A count that was seen in a part, for the whole.
#[must_use]
pub fn scaled(count: u64, factor: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )] // an estimate
    let whole = (count as f64 * factor).round() as u64;
    whole
}

fn units(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(WRITE_UNIT_BYTES).max(1)
}

/// The bytes of an item in an index; `None` if the index leaves it out. An index that does not hold all attributes holds none
/// of the further ones.
fn entry_bytes(service: &Service, index: &IndexKeys, item: &Item, further_bytes: usize) -> Option<usize> {
    if !index.keys.attributes().all(|key| item.contains_key(&key.name)) {
        return None;
    }
    let Some(others) = projected(service, index) else {
        return Some(item.size() + further_bytes);
    };
    let keys = service.keys.attributes().chain(index.keys.attributes());
    let names: BTreeSet<&str> = keys.map(|key| key.name.as_str()).chain(others).collect();
    let held = item.iter().filter(|(name, _)| names.contains(name.as_str()));
    Some(held.map(|(name, value)| name.len() + value.size()).sum())
}

/// The attributes of an index beside the keys; `None` for all.
fn projected<'a>(service: &'a Service, index: &IndexKeys) -> Option<Vec<&'a str>> {
    let table = &service.table;
    let projection = if index.local {
        let found = table.local_indexes.iter().find(|each| each.name == index.name);
        found.and_then(|each| each.projection.as_ref())
    } else {
        let found = table.global_indexes.iter().find(|each| each.name == index.name);
        found.and_then(|each| each.projection.as_ref())
    };
    match projection? {
        WordOr::Word(ProjectionWord::All) => None,
        WordOr::Word(ProjectionWord::KeysOnly) => Some(Vec::new()),
        WordOr::Map(include) => Some(include.include.iter().map(String::as_str).collect()),
    }
}

impl Service {
    /// Attributes that its indexes hold beside keys, if they do not hold all.
    pub(super) fn projected(&self) -> impl Iterator<Item = &str> {
        self.indexes
            .iter()
            .filter_map(|index| projected(self, index))
            .flatten()
    }
}

/// How many units a second a table, or an index, can serve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capability {
    /// From the first moment.
    pub at_first: f64,
    /// At most, however long it runs.
    pub at_most: f64,
}

impl Capability {
    /// An on-demand table that serves this much at first, and up to a maximum that was set for it.
    #[must_use]
    pub fn on_demand(at_first: f64, set_maximum: Option<f64>) -> Self {
        let at_most = set_maximum.map_or(TABLE_QUOTA_UNITS.max(at_first), |most| most.max(1.0));
        Self {
            at_first: at_first.min(at_most),
            at_most,
        }
    }

    /// The read units of a table that exists.
    #[must_use]
    pub fn reads(throughput: &Throughput) -> Self {
        let warm = throughput.warm.map_or(0, |warm| warm.read);
        let provisioned = throughput.provisioned.map(|units| units.read);
        Self::existing(provisioned, warm, NEW_TABLE_READS, throughput.most_reads)
    }

    /// The read units of a service's table: the present ones, or the planned ones if it does not exist yet.
    #[must_use]
    pub fn target_reads(service: &Service, existing: Option<&TableThroughput>) -> Self {
        if let Some(existing) = existing {
            return Self::reads(&existing.table);
        }
        let spec = &service.table;
        match spec.billing.as_ref().and_then(WordOr::map) {
            Some(units) => Self::fixed(units.read.into()),
            None => Self::on_demand(
                spec.warm_throughput
                    .map_or(NEW_TABLE_READS, |warm| NEW_TABLE_READS.max(warm.read.into())),
                spec.max_on_demand.map(|most| most.read.into()),
            ),
        }
    }

    /// The write units of a table that exists, or of an index.
    #[must_use]
    pub fn writes(throughput: &Throughput) -> Self {
        let warm = throughput.warm.map_or(0, |warm| warm.write);
        let provisioned = throughput.provisioned.map(|units| units.write);
        Self::existing(provisioned, warm, NEW_TABLE_WRITES, throughput.most_writes)
    }

    /// An on-demand table serves as much as a new one, or more if its use or a setting has warmed it up.
    #[allow(clippy::cast_precision_loss)] // units a second
    fn existing(provisioned: Option<u64>, warm: u64, new: f64, most: Option<u64>) -> Self {
        match provisioned {
            Some(units) => Self::fixed(units as f64),
            None => Self::on_demand(new.max(warm as f64), most.map(|most| most as f64)),
        }
    }

    /// The same units all the time.
    #[must_use]
    pub fn fixed(per_second: f64) -> Self {
        let per_second = per_second.max(1.0);
        Self {
            at_first: per_second,
            at_most: per_second,
        }
    }

    /// Held down by a budget.
    #[must_use]
    pub fn within(self, budget: Option<f64>) -> Self {
        let budget = budget.map_or(f64::INFINITY, |budget| budget.max(SLOWEST));
        Self {
            at_first: self.at_first.min(budget),
            at_most: self.at_most.min(budget),
        }
    }

    /// Seconds for this many units, at full use from the start, with the doubling of on-demand tables.
    #[must_use]
    pub fn seconds(self, units: u64) -> f64 {
        #[allow(clippy::cast_precision_loss)] // an estimate
        let mut left = units as f64;
        let (mut rate, mut seconds) = (self.at_first, 0.0);
        while rate < self.at_most && left > rate * DOUBLING_SECONDS {
            left -= rate * DOUBLING_SECONDS;
            seconds += DOUBLING_SECONDS;
            rate = (rate * 2.0).min(self.at_most);
        }
        seconds + left / rate
    }
}

/// The write throughput of a service's table, and of each of its indexes (a local one: that of its table).
#[derive(Clone, Debug, PartialEq)]
pub struct WriteCapability {
    /// The table.
    pub table: Capability,
    /// Its indexes, in the order of the service.
    pub indexes: Vec<Capability>,
}

/// The limit of a service's writes, and the time that they take.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteForecast {
    /// Seconds for all of its writes.
    pub seconds: f64,
    /// The index that is slower than the table; `None` for the table itself.
    pub index: Option<String>,
}

impl WriteCapability {
    /// The throughput of the service's table: the present one, or the planned one if it does not exist yet.
    #[must_use]
    pub fn of(service: &Service, existing: Option<&TableThroughput>) -> Self {
        match existing {
            Some(existing) => Self::existing(service, existing),
            None => Self::planned(service),
        }
    }

    fn existing(service: &Service, existing: &TableThroughput) -> Self {
        let table = Capability::writes(&existing.table);
        let index = |index: &IndexKeys| {
            let global = existing.indexes.get(&index.name).filter(|_| !index.local);
            global.map_or(table, Capability::writes)
        };
        Self {
            table,
            indexes: service.indexes.iter().map(index).collect(),
        }
    }

    fn planned(service: &Service) -> Self {
        let spec = &service.table;
        let units = spec.billing.as_ref().and_then(WordOr::map);
        let of = |own: Option<ThroughputSpec>, warm: Option<ThroughputSpec>| match units {
            Some(table) => Capability::fixed(own.unwrap_or(*table).write.into()),
            None => Capability::on_demand(
                warm.map_or(NEW_TABLE_WRITES, |warm| NEW_TABLE_WRITES.max(warm.write.into())),
                spec.max_on_demand.map(|most| most.write.into()),
            ),
        };
        let table = of(None, spec.warm_throughput);
        let index = |index: &IndexKeys| {
            let global = spec.global_indexes.iter().find(|each| each.name == index.name);
            match global.filter(|_| !index.local) {
                Some(global) => of(global.throughput, global.warm_throughput),
                None => table,
            }
        };
        Self {
            table,
            indexes: service.indexes.iter().map(index).collect(),
        }
    }

    /// Held down by a budget of write units for the table and its indexes together.
    #[must_use]
    pub fn forecast(&self, service: &Service, units: &WriteUnits, budget: Option<f64>) -> WriteForecast {
        let mut slowest = WriteForecast {
            seconds: self.table.seconds(units.table),
            index: None,
        };
        let indexes = self.indexes.iter().zip(&service.indexes).zip(&units.indexes);
        for ((capability, index), units) in indexes.filter(|((_, index), _)| !index.local) {
            let seconds = capability.seconds(*units);
            if seconds > slowest.seconds {
                slowest = WriteForecast {
                    seconds,
                    index: Some(index.name.clone()),
                };
            }
        }
        // A budget counts the units that the service reports: those of the table and of its indexes.
        let bounded = budget.map_or(0.0, |_| {
            Capability::fixed(f64::INFINITY)
                .within(budget)
                .seconds(units.total(service))
        });
        if bounded > slowest.seconds {
            slowest = WriteForecast {
                seconds: bounded,
                index: None,
            };
        }
        slowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::plan::{Plan, Units};
    use std::collections::BTreeMap;

    fn service(table: &str) -> Service {
        let text = format!(
            "version: 1\nsplit: s\nsource: {{ table: Live, keys: {{ partition: PK }} }}\ntimestamp: none\nunrouted: fail\n\
             services:\n  - name: a\n    where: attribute_exists(PK)\n    table:\n      name: Apart\n      \
             keys: {{ partition: PK }}\n{table}"
        );
        Plan::parse(&text, "plan.yaml").unwrap().services.remove(0)
    }

    const INDEXES: &str = "      global-indexes:
        - { name: all, keys: { partition: g } }
        - { name: keys, keys: { partition: g }, projection: keys-only }
        - { name: some, keys: { partition: h }, projection: { include: [big] } }
";

    fn item(bytes: usize, more: &[&str]) -> Item {
        let mut item = Item::from([
            ("PK".to_owned(), Value::s("x")),
            ("big".to_owned(), Value::s("b".repeat(bytes))),
        ]);
        item.extend(more.iter().map(|name| ((*name).to_owned(), Value::s("v"))));
        item
    }

    #[test]
    fn a_scan_rounds_the_sum() {
        assert_eq!(scan_units(0, false), 0);
        assert_eq!(scan_units(8192, false), 1);
        assert_eq!(scan_units(8193, false), 2);
        assert_eq!(scan_units(8192, true), 2);
    }

    #[test]
    fn a_put_costs_its_kilobytes_and_its_entries() {
        let service = service(INDEXES);
        let mut units = WriteUnits::default();
        units.add(&service, &item(10, &[]));
        assert_eq!(
            (units.table, &units.indexes[..]),
            (1, &[0, 0, 0][..]),
            "no index key"
        );
        units.add(&service, &item(2000, &["g"]));
        assert_eq!((units.table, &units.indexes[..]), (3, &[2, 1, 0][..]));
        units.add(&service, &item(1020, &["h"]));
        assert_eq!((units.table, &units.indexes[..]), (5, &[2, 1, 2][..]));
        assert_eq!(units.total(&service), 10);
        assert_eq!(units.times(2.5).indexes, [5, 3, 5]);
    }

    #[test]
    fn a_local_index_is_part_of_its_table() {
        let text =
            "      keys: { partition: PK, sort: SK }\n      local-indexes: [{ name: local, sort: at }]\n";
        let plan = format!(
            "version: 1\nsplit: s\nsource: {{ table: Live, keys: {{ partition: PK, sort: SK }} }}\ntimestamp: none\n\
             unrouted: fail\nservices:\n  - name: a\n    where: attribute_exists(PK)\n    table:\n      name: Apart\n{text}"
        );
        let service = Plan::parse(&plan, "plan.yaml").unwrap().services.remove(0);
        let mut units = WriteUnits::default();
        units.add(&service, &item(10, &["SK", "at"]));
        assert_eq!((units.table, units.total(&service)), (2, 2));
    }

    #[test]
    fn an_on_demand_table_doubles_until_its_quota() {
        let table = Capability::on_demand(NEW_TABLE_WRITES, None);
        assert!((table.seconds(4_000) - 1.0).abs() < 1e-9);
        // Half an hour at 4,000 is 7.2 million; the rest at 8,000.
        assert!((table.seconds(7_200_000 + 8_000) - 1801.0).abs() < 1e-9);
        // 4, 8, 16, 32, then 40 thousand for ever.
        let doubled = 1800 * (4_000 + 8_000 + 16_000 + 32_000);
        assert!((table.seconds(doubled + 400_000) - 7210.0).abs() < 1e-6);
        let capped = Capability::on_demand(NEW_TABLE_WRITES, Some(100.0));
        assert!((capped.seconds(1000) - 10.0).abs() < 1e-9);
        assert!((table.within(Some(10.0)).seconds(1000) - 100.0).abs() < 1e-9);
        assert!(Capability::fixed(0.0).seconds(10).is_finite());
        assert!(table.within(Some(0.0)).seconds(1).is_finite());
    }

    #[test]
    fn a_table_serves_what_it_is_set_to() {
        let per_second = |capability: Capability| (capability.at_first, capability.at_most);
        let new = Throughput::default();
        assert_eq!(per_second(Capability::writes(&new)), (4000.0, 40_000.0));
        assert_eq!(per_second(Capability::reads(&new)), (12_000.0, 40_000.0));
        let small = Throughput {
            provisioned: Some(Units { read: 3, write: 1 }),
            // Warm units are no promise of a provisioned table.
            warm: Some(Units {
                read: 12_000,
                write: 4000,
            }),
            ..new
        };
        assert_eq!(
            (
                per_second(Capability::reads(&small)),
                per_second(Capability::writes(&small))
            ),
            ((3.0, 3.0), (1.0, 1.0))
        );
        let bounded = Throughput {
            most_writes: Some(50),
            ..new
        };
        assert_eq!(per_second(Capability::writes(&bounded)), (50.0, 50.0));
        let used = Throughput {
            warm: Some(Units {
                read: 90_000,
                write: 60_000,
            }),
            ..new
        };
        assert_eq!(per_second(Capability::writes(&used)), (60_000.0, 60_000.0));
        assert_eq!(per_second(Capability::reads(&used)), (90_000.0, 90_000.0));
    }

    #[test]
    fn a_target_is_read_as_fast_as_it_is_or_will_be_set_to() {
        let per_second = |text: &str, existing| {
            let served = Capability::target_reads(&service(text), existing);
            (served.at_first, served.at_most)
        };
        let planned = |text| per_second(text, None);
        assert_eq!(planned(""), (12_000.0, 40_000.0));
        assert_eq!(planned("      billing: { read: 7, write: 100 }\n"), (7.0, 7.0));
        assert_eq!(
            planned("      max-on-demand: { read: 500, write: 100 }\n"),
            (500.0, 500.0)
        );
        assert_eq!(
            planned("      warm-throughput: { read: 30000, write: 4000 }\n"),
            (30_000.0, 40_000.0)
        );
        let existing = TableThroughput {
            table: Throughput {
                provisioned: Some(Units { read: 3, write: 1 }),
                ..Throughput::default()
            },
            indexes: BTreeMap::new(),
        };
        assert_eq!(per_second("", Some(&existing)), (3.0, 3.0));
    }

    #[test]
    fn the_slowest_of_table_and_indexes_decides() {
        let text = format!("{INDEXES}      billing: {{ read: 5, write: 100 }}\n").replace(
            "name: all, keys: { partition: g } ",
            "name: all, keys: { partition: g }, throughput: { read: 5, write: 10 } ",
        );
        let service = service(&text);
        let units = WriteUnits {
            table: 1000,
            indexes: vec![500, 10, 0],
        };
        let planned = WriteCapability::of(&service, None);
        let forecast = planned.forecast(&service, &units, None);
        assert_eq!(forecast.index.as_deref(), Some("all"));
        assert!((forecast.seconds - 50.0).abs() < 1e-9);
        let budget = planned.forecast(&service, &units, Some(10.0));
        assert!(budget.index.is_none() && (budget.seconds - 151.0).abs() < 1e-9);

        // An existing table serves what it is set to, whatever the plan says.
        let provisioned = |write| Throughput {
            provisioned: Some(Units { read: 1, write }),
            ..Throughput::default()
        };
        let mut existing = TableThroughput {
            table: provisioned(1),
            indexes: BTreeMap::from([("all".to_owned(), provisioned(500))]),
        };
        let forecast = WriteCapability::of(&service, Some(&existing)).forecast(&service, &units, None);
        assert!(forecast.index.is_none() && (forecast.seconds - 1000.0).abs() < 1e-9);
        existing.indexes.insert("keys".to_owned(), provisioned(1));
        existing.table = provisioned(1000);
        let forecast = WriteCapability::of(&service, Some(&existing)).forecast(&service, &units, None);
        assert_eq!(forecast.index.as_deref(), Some("keys"));
        assert!((forecast.seconds - 10.0).abs() < 1e-9);
    }
}

//! What requests of one table cost: units, by record and over time, and who wrote a record last.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// The time over which requests are counted together, in milliseconds.
pub const WINDOW_MS: u64 = 100;

/// What was asked of a table within some time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub requests: u64,
    /// In halves of a unit: an eventually consistent read costs half a unit for each 4 KiB.
    pub half_read_units: u64,
    pub write_units: u64,
}

impl Cost {
    pub fn read_units(self) -> f64 {
        self.half_read_units as f64 / 2.0
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.half_read_units += other.half_read_units;
        self.write_units += other.write_units;
    }
}

/// Counts the requests of one table.
#[derive(Debug)]
pub struct Meter {
    table: String,
    /// By window.
    windows: BTreeMap<u64, Cost>,
    /// By the name of a record, or the prefix of a list with a star.
    records: BTreeMap<String, Cost>,
    /// Who wrote a record last.
    writers: BTreeMap<String, String>,
    /// Requests that list the shards of a stream.
    pub described: u64,
}

impl Meter {
    /// Of a table.
    pub fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            windows: BTreeMap::new(),
            records: BTreeMap::new(),
            writers: BTreeMap::new(),
            described: 0,
        }
    }

    /// Forgets the costs, and keeps who wrote what.
    pub fn begin_again(&mut self) {
        self.windows.clear();
        self.records.clear();
        self.described = 0;
    }

    /// A request was answered.
    pub fn note(&mut self, at_ms: u64, who: &str, operation: &str, request: &Json, answer: &Json) {
        if operation == "DescribeStream" {
            self.described += 1;
        }
        if request["TableName"] != self.table.as_str() {
            return;
        }
        let mut cost = Cost {
            requests: 1,
            ..Cost::default()
        };
        let per_block = if request["ConsistentRead"] == true { 2 } else { 1 };
        let record = match operation {
            "GetItem" => {
                cost.half_read_units = blocks(size_of(&answer["Item"]), 4096) * per_block;
                text(&request["Key"]["sk"])
            }
            "Query" => {
                let items = answer["Items"].as_array().into_iter().flatten();
                cost.half_read_units = blocks(items.map(size_of).sum(), 4096) * per_block;
                format!("{}*", text(&request["ExpressionAttributeValues"][":prefix"]))
            }
            "PutItem" => {
                cost.write_units = blocks(size_of(&request["Item"]), 1024);
                text(&request["Item"]["sk"])
            }
            "UpdateItem" => {
                cost.write_units = blocks(size_of(&request["ExpressionAttributeValues"]) + 64, 1024);
                text(&request["Key"]["sk"])
            }
            "DeleteItem" => {
                cost.write_units = 1;
                text(&request["Key"]["sk"])
            }
            _ => return,
        };
        if cost.write_units > 0 && answer.get("__type").is_none() {
            self.writers.insert(record.clone(), who.to_owned());
        }
        self.windows.entry(at_ms / WINDOW_MS).or_default().add(cost);
        self.records.entry(record).or_default().add(cost);
    }

    /// Everything together.
    pub fn sum(&self) -> Cost {
        let mut sum = Cost::default();
        self.windows.values().for_each(|cost| sum.add(*cost));
        sum
    }

    /// The most requests of one window.
    pub fn most_requests(&self) -> u64 {
        self.windows.values().map(|cost| cost.requests).max().unwrap_or(0)
    }

    /// The cost of kinds of records: single ones, and the lists of each kind.
    pub fn kinds(&self) -> Vec<(String, Cost)> {
        let mut kinds: BTreeMap<String, Cost> = BTreeMap::new();
        for (record, cost) in &self.records {
            let kind = match record.split_once('#') {
                Some((kind, _)) if record.ends_with('*') => format!("list of {kind}"),
                Some((kind, _)) => kind.to_owned(),
                None => record.clone(),
            };
            kinds.entry(kind).or_default().add(*cost);
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.half_read_units / 2 + cost.write_units));
        kinds
    }

    /// The single record with most writes, and how many units they cost.
    pub fn hottest(&self) -> (String, u64) {
        let single = self.records.iter().filter(|(record, _)| !record.ends_with('*'));
        let hottest = single.max_by_key(|(_, cost)| cost.write_units);
        hottest.map_or_else(Default::default, |(record, cost)| {
            (record.clone(), cost.write_units)
        })
    }

    /// Who wrote a record last.
    pub fn writer(&self, record: &str) -> Option<&str> {
        self.writers.get(record).map(String::as_str)
    }
}

fn blocks(bytes: u64, block: u64) -> u64 {
    bytes.div_ceil(block).max(1)
}

/// The size of an item: the names and the values of its attributes.
fn size_of(item: &Json) -> u64 {
    let attributes = item.as_object().into_iter().flatten();
    let sizes = attributes.map(|(name, value)| {
        let values = value.as_object().into_iter().flatten();
        let text: usize = values.map(|(_, value)| value.as_str().map_or(1, str::len)).sum();
        name.len() + text
    });
    sizes.sum::<usize>() as u64
}

fn text(value: &Json) -> String {
    value["S"].as_str().unwrap_or_default().to_owned()
}

//! What the null endpoint answers by itself.

use super::call::Call;
use super::{SOURCE, TARGETS};
use crate::items::{Items, PAGE_ITEMS};
use crate::size::read_milliunits;
use crate::tally::Count;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// The tables that need no memory.
#[derive(Debug)]
pub struct Null {
    items: Items,
    total: u64,
    targets: bool,
    refuse_partiql: bool,
    /// Targets are empty until the first write, and then hold the whole copy: what is looked for at the end of one is
    /// looked for in as many items as were written.
    written: AtomicBool,
}

/// An answer, with its status and what it counts for.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Bytes,
    /// Of reads.
    pub count: Count,
}

impl Answer {
    fn ok(body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            count: Count::default(),
        }
    }
}

impl Null {
    /// With so many items in the source; with none, the source is the engine's.
    pub fn new(total: u64, services: u64, targets: bool, refuse_partiql: bool) -> Self {
        Self {
            items: Items::of(services),
            total,
            targets: targets || total > 0,
            refuse_partiql,
            written: AtomicBool::new(false),
        }
    }

    /// Targets are empty again.
    pub fn forget(&self) {
        self.written.store(false, Ordering::Relaxed);
    }

    fn is_target(&self, table: &str) -> bool {
        self.targets && table.starts_with(TARGETS)
    }

    fn is_source(&self, table: &str) -> bool {
        self.total > 0 && table == SOURCE
    }

    /// Answers what concerns these tables' items; `None` for the engine's.
    pub fn answer(&self, call: &Call) -> Option<Answer> {
        if self.refuse_partiql && matches!(&*call.operation, "BatchExecuteStatement" | "ExecuteStatement") {
            let body = json!({
                "__type": "com.amazon.coral.service#UnknownOperationException",
                "message": "PartiQL is switched off for this benchmark",
            });
            return Some(Answer {
                status: 400,
                ..Answer::ok(body.to_string())
            });
        }
        let (source, target) = (self.is_source(&call.table), self.is_target(&call.table));
        if !source && !target {
            return None;
        }
        if !call.writes.is_empty() {
            self.written.fetch_or(target, Ordering::Relaxed);
            return Some(Answer::ok(taken(call)));
        }
        match &*call.operation {
            "Scan" => Some(self.scan(call, source)),
            "GetItem" => Some(self.get(call)),
            _ => None,
        }
    }

    /// What the engine says of the source, with the size that it has here.
    pub fn described(&self, call: &Call, body: Bytes) -> Bytes {
        if call.operation != "DescribeTable" || !self.is_source(&call.table) {
            return body;
        }
        let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
            return body;
        };
        answer["Table"]["ItemCount"] = self.total.into();
        answer["Table"]["TableSizeBytes"] = (self.total * crate::items::ITEM_BYTES).into();
        answer.to_string().into()
    }

    fn scan(&self, call: &Call, source: bool) -> Answer {
        let service = call
            .table
            .strip_prefix(TARGETS)
            .and_then(|number| number.parse().ok());
        let service: Option<u64> = service.filter(|_| !source);
        let all = match service {
            None => self.total,
            Some(_) if !self.written.load(Ordering::Relaxed) => 0,
            Some(service) => self.items.of_service(service, self.total),
        };
        let place = |nth: u64| service.map_or(nth, |service| self.items.nth_of_service(service, nth));
        let (segment, segments) = call.read.segment;
        let (first, end) = (segment * all / segments, (segment + 1) * all / segments);
        let after = call.read.key.as_deref().and_then(Items::number);
        let from = after.map_or(first, |number| {
            1 + service.map_or(number, |_| number / self.items.services())
        });
        let until = end.min(from + call.read.limit.unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS));
        let count = until.saturating_sub(from);
        let mut body =
            Vec::with_capacity(256 + self.items.text_bytes() * usize::try_from(count).unwrap_or(0));
        body.extend_from_slice(br#"{"Items":["#);
        if !call.read.filtered {
            for nth in from..until {
                if nth > from {
                    body.push(b',');
                }
                self.items.write(place(nth), &mut body);
            }
        }
        let milliunits = read_milliunits(count * crate::items::ITEM_BYTES, call.read.consistent);
        let given = if call.read.filtered { 0 } else { count };
        let mut rest = format!(
            r#"],"Count":{given},"ScannedCount":{count},"ConsumedCapacity":{}"#,
            consumed(&call.table, milliunits)
        );
        if until < end {
            // Writing to a text can't fail.
            let _ = write!(rest, r#","LastEvaluatedKey":{}"#, Items::key(place(until - 1)));
        }
        body.extend_from_slice(rest.as_bytes());
        body.push(b'}');
        Answer {
            count: Count {
                items: given,
                read_milliunits: milliunits,
                ..Count::default()
            },
            ..Answer::ok(body)
        }
    }

    fn get(&self, call: &Call) -> Answer {
        let number = call.read.key.as_deref().and_then(Items::number);
        let Some(number) = number.filter(|number| *number < self.total) else {
            return Answer::ok(&b"{}"[..]);
        };
        let mut body = br#"{"Item":"#.to_vec();
        self.items.write(number, &mut body);
        body.push(b'}');
        Answer {
            count: Count {
                items: 1,
                read_milliunits: read_milliunits(crate::items::ITEM_BYTES, call.read.consistent),
                ..Count::default()
            },
            ..Answer::ok(body)
        }
    }
}

/// Every write was taken.
fn taken(call: &Call) -> String {
    let sum = call.writes.iter().map(|write| write.milliunits).sum();
    let consumed = consumed(&call.table, sum);
    match &*call.operation {
        "BatchWriteItem" => format!(r#"{{"UnprocessedItems":{{}},"ConsumedCapacity":[{consumed}]}}"#),
        "BatchExecuteStatement" => {
            let one = |write: &super::call::Written| format!(r#"{{"TableName":"{}"}}"#, write.table);
            let each: Vec<String> = call.writes.iter().map(one).collect();
            format!(
                r#"{{"Responses":[{}],"ConsumedCapacity":[{consumed}]}}"#,
                each.join(",")
            )
        }
        _ => format!(r#"{{"ConsumedCapacity":{consumed}}}"#),
    }
}

#[allow(clippy::cast_precision_loss)] // units are small
fn consumed(table: &str, milliunits: u64) -> String {
    let units = milliunits as f64 / 1000.0;
    format!(r#"{{"TableName":"{table}","CapacityUnits":{units:.1}}}"#)
}

//! DynamoDB and S3 in memory, for the simulation: no clock, no threads, and no chance but that of a seed. The same requests at the same
//! times get the same answers. It is written from AWS's documentation and shares no code with the product.
//!
//! It knows the operations and the forms of expressions that the product sends. It refuses others and notes them in
//! [`Engine::unsupported`], which no run may have.

mod exports;
mod expression;
mod imports;
mod items;
mod objects;
mod policies;
mod reads;
mod refusal;
mod request;
mod statements;
mod stream;
mod streams;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod update;
mod value;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use exports::Export;
use imports::Import;
pub use imports::JobHabits;
use objects::Bucket;
pub use objects::{S3, error_of_objects};
pub use policies::role_arn;
pub use refusal::Answer;
use refusal::Refusal;
pub use stream::Stream;
use table::{Place, Table};
pub use value::{Item, Value, item_json};

/// How the engine behaves.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Items in a page of a scan: fewer than 1 MB holds, so that little data makes many pages.
    pub page_items: usize,
    /// Records in a page of a stream.
    pub page_records: usize,
    /// Shards of a new stream.
    pub shards: u64,
    /// A new table can be used after so long.
    pub creation_ms: u64,
    /// After a change of a table's resource policy, no other change is accepted for so long.
    pub policy_rest_ms: u64,
}

/// All tables.
#[derive(Debug)]
pub struct Engine {
    habits: Habits,
    tables: BTreeMap<String, Table>,
    /// Tables that were made so far.
    tables_made: u64,
    /// S3, by the names of buckets.
    buckets: BTreeMap<String, Bucket>,
    jobs: JobHabits,
    /// Oldest first.
    imports: Vec<Import>,
    exports: Vec<Export>,
    /// What was done by itself, since it was counted.
    pub happened: Vec<&'static str>,
    /// What was asked for and is not known.
    pub unsupported: Vec<String>,
}

/// A request as it arrives: when, and how old a table an eventually consistent read shows.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub now_ms: u64,
    pub stale_ms: u64,
}

impl Engine {
    /// Without tables.
    pub fn new(habits: Habits) -> Self {
        Self {
            habits,
            tables: BTreeMap::new(),
            tables_made: 0,
            buckets: BTreeMap::new(),
            jobs: JobHabits::default(),
            imports: Vec::new(),
            exports: Vec::new(),
            happened: Vec::new(),
            unsupported: Vec::new(),
        }
    }

    /// Carries a request out: `target` as in `x-amz-target`.
    pub fn answer(&mut self, at: Arrival, target: &str, body: &Json) -> Answer {
        self.pass(at.now_ms);
        if let Some(operation) = target.strip_prefix(S3) {
            return self.answer_of_objects(operation, body);
        }
        match self.carried_out(at, target, body) {
            Ok(body) => Answer::ok(body),
            Err(refusal) => {
                if let Refusal::Unsupported(what) = &refusal {
                    self.unsupported.push(format!("{target}: {what}"));
                }
                refusal.answer()
            }
        }
    }

    /// Says how imports and exports behave from now on.
    pub fn set_jobs(&mut self, jobs: JobHabits) {
        self.jobs = jobs;
    }

    /// Time has passed: what DynamoDB does by itself is done.
    pub fn pass(&mut self, now_ms: u64) {
        self.imports_begin(now_ms);
        self.end_exports(now_ms);
    }

    fn carried_out(&mut self, at: Arrival, target: &str, body: &Json) -> Result<Json, Refusal> {
        match target.rsplit('.').next().unwrap_or_default() {
            "CreateTable" => self.create_table(at, body),
            "DescribeTable" => self.describe_table(at, body),
            "UpdateTable" => self.update_table(at, body),
            "DeleteTable" => self.delete_table(at, body),
            "DescribeContinuousBackups" => self.describe_backups(at, body),
            "DescribeTimeToLive" => self.describe_ttl(body),
            "UpdateTimeToLive" => self.update_ttl(body),
            "GetItem" => self.get_item(at, body),
            "PutItem" => self.put_item(at, body),
            "DeleteItem" => self.delete_item(at, body),
            "UpdateItem" => self.update_item(at, body),
            "BatchWriteItem" => self.batch_write(at, body),
            "GetResourcePolicy" => self.get_policy(at, body),
            "PutResourcePolicy" => self.put_policy(at, body),
            "DeleteResourcePolicy" => self.delete_policy(at, body),
            "ExecuteStatement" => self.execute(at, body),
            "BatchExecuteStatement" => self.batch_execute(at, body),
            "ExportTableToPointInTime" => self.export_table(at, body),
            "DescribeExport" => self.describe_export(body),
            "ImportTable" => self.import_table(at, body),
            "DescribeImport" => self.describe_import(body),
            "ListImports" => self.list_imports(body),
            "Query" => self.query(at, body),
            "Scan" => self.scan(at, body),
            "DescribeStream" => self.describe_stream(body),
            "GetShardIterator" => self.shard_iterator(at, body),
            "GetRecords" => self.get_records(at, body),
            other => Err(Refusal::unsupported(format!("the operation {other}"))),
        }
    }

    /// A table that can be used.
    fn usable(&mut self, at: Arrival, name: &str) -> Result<&mut Table, Refusal> {
        let found = self
            .tables
            .get_mut(name)
            .filter(|table| at.now_ms >= table.ready_ms);
        found.ok_or_else(|| Refusal::missing("Requested resource not found"))
    }

    /// The items of a table, by the values of their keys.
    pub fn contents(&self, table: &str) -> Vec<(Vec<Value>, &Item)> {
        let items = self.tables.get(table).into_iter().flat_map(|table| &table.items);
        items
            .map(|(place, item)| {
                let partition = std::iter::once(&place.partition);
                (partition.chain(&place.sort).cloned().collect(), item)
            })
            .collect()
    }

    /// Whether there is such a table.
    pub fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// What an item of a table was, one version after the other; an empty item where there was none.
    pub fn versions(&self, table: &str, is_it: impl Fn(&Place) -> bool) -> Vec<Item> {
        let tables = self.tables.get(table).into_iter();
        tables.flat_map(|table| table.versions(&is_it)).collect()
    }

    /// Removes the items of a table whose time has come. Says how many.
    pub fn expire(&mut self, table: &str, now_ms: u64) -> usize {
        self.tables.get_mut(table).map_or(0, |table| table.expire(now_ms))
    }

    /// The newest stream of a table, for what happens to it by itself.
    pub fn stream(&mut self, table: &str) -> Option<&mut Stream> {
        self.tables.get_mut(table)?.streams.last_mut()
    }
}

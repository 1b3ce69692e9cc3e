//! What stands between the split of a rehearsal and its engine: imports of tables, a table that accepts no writes, and time that passes
//! faster.

use super::imports::{self, Imports};
use super::passing_time::{self, PassingTime};
use crate::dynamo::{AskedOfEngine, EngineAnswer, StandIn};
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

/// Operations that write no item.
const READS: [&str; 6] = [
    "BatchGetItem",
    "GetItem",
    "GetRecords",
    "Query",
    "Scan",
    "DescribeTable",
];

/// See the module. What is `None` is left to the engine.
#[derive(Debug)]
pub(super) struct RehearsalStandIn {
    pub imports: Option<Imports>,
    pub time: Option<PassingTime>,
    /// The table that accepts no writes.
    outage: Mutex<Option<String>>,
}

impl RehearsalStandIn {
    /// With these parts.
    pub fn new(imports: Option<Imports>, time: Option<PassingTime>) -> Self {
        Self {
            imports,
            time,
            outage: Mutex::default(),
        }
    }

    /// Whether it has anything to do.
    pub fn is_needed(&self) -> bool {
        self.imports.is_some() || self.time.is_some()
    }

    /// From now on, this table accepts no writes; `None`: every table does.
    pub fn refuse_writes(&self, table: Option<&str>) {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = table.map(str::to_owned);
    }

    fn refused(&self, asked: &AskedOfEngine) -> Option<EngineAnswer> {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let table = outage.as_ref()?;
        let is_write = !READS.contains(&asked.operation.as_str());
        (is_write && asked.names(table)).then(|| {
            EngineAnswer::error(
                "ProvisionedThroughputExceededException",
                "the rehearsal lets this table accept no writes",
            )
        })
    }
}

impl StandIn for RehearsalStandIn {
    fn wants(&self, operation: &str) -> bool {
        let has_outage = self
            .outage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        let is_of_import = imports::OPERATIONS.contains(&operation);
        let of_imports = |imports: &Imports| is_of_import || imports.is_busy();
        (has_outage && !READS.contains(&operation))
            || self.imports.as_ref().is_some_and(of_imports)
            || (self.time.is_some() && operation == passing_time::OPERATION)
    }

    fn answer<'a>(&'a self, asked: &'a AskedOfEngine) -> BoxFuture<'a, Option<EngineAnswer>> {
        Box::pin(async {
            if let Some(refused) = self.refused(asked) {
                return Some(refused);
            }
            match &self.imports {
                Some(imports) => Box::pin(imports.answer(asked)).await,
                None => None,
            }
        })
    }

    fn change(&self, asked: &AskedOfEngine, answer: &mut Value) {
        if let Some(time) = &self.time
            && asked.operation == passing_time::OPERATION
        {
            time.change(answer);
        }
    }
}

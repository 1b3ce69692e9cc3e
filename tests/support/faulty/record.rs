//! What the product asked of a table, as it came: for how often, how many at once, and in which order.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::call::Call;

/// The requests of some operations to one table, since the record was begun. Its clones are one record.
#[derive(Clone)]
pub struct Record(Arc<Kept>);

struct Kept {
    operations: Vec<&'static str>,
    table: String,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    asked: Vec<Asked>,
    under_way: usize,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request.
    pub call: Call,
    /// When it came.
    pub at: Instant,
    /// How many were under way then, itself among them: those that came before and were not answered yet.
    pub under_way: usize,
}

/// One that is under way, until it is dropped.
pub(super) struct UnderWay(Record);

impl Record {
    pub(super) fn new(operations: &[&'static str], table: &str) -> Self {
        Self(Arc::new(Kept {
            operations: operations.to_vec(),
            table: table.to_owned(),
            seen: Mutex::default(),
        }))
    }

    /// All of them, in the order in which they came.
    pub fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// Those that came at this time or later.
    pub fn since(&self, from: Instant) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.at >= from);
        asked
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.lock().asked.len()
    }

    /// Notes a request, if it is one of these.
    pub(super) fn note(&self, call: &Call) -> Option<UnderWay> {
        if !self.0.operations.contains(&call.operation.as_str()) || !call.tables.contains(&self.0.table) {
            return None;
        }
        let mut seen = self.lock();
        seen.under_way += 1;
        let under_way = seen.under_way;
        seen.asked.push(Asked {
            call: call.clone(),
            at: Instant::now(),
            under_way,
        });
        Some(UnderWay(self.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().expect("no thread panicked")
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

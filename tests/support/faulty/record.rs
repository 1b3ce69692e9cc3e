//! What the product asked of a table, as it came: for how often, how many at once, and in which order.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::call::Call;
use super::fault::Fault;

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
    /// Places of those that are not answered yet.
    under_way: BTreeSet<usize>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request.
    pub call: Call,
    /// What goes wrong with it, its delay drawn.
    pub fault: Option<Fault>,
    /// When it came.
    pub at: Instant,
    /// How many were under way then, itself among them: those that came before and were not answered yet.
    pub under_way: usize,
}

/// One that is under way, until it is dropped.
pub(super) struct UnderWay {
    record: Record,
    place: usize,
}

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

    /// Those that are not answered yet, and whose callers wait for them.
    pub fn under_way(&self) -> Vec<Asked> {
        let seen = self.lock();
        let under_way = seen.under_way.iter().map(|place| seen.asked[*place].clone());
        under_way.collect()
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.lock().asked.len()
    }

    /// Notes a request, if it is one of these.
    pub(super) fn note(&self, call: &Call, fault: Option<&Fault>) -> Option<UnderWay> {
        if !self.0.operations.contains(&call.operation.as_str()) || !call.tables.contains(&self.0.table) {
            return None;
        }
        let mut seen = self.lock();
        let place = seen.asked.len();
        seen.under_way.insert(place);
        let under_way = seen.under_way.len();
        seen.asked.push(Asked {
            call: call.clone(),
            fault: fault.cloned(),
            at: Instant::now(),
            under_way,
        });
        Some(UnderWay {
            record: self.clone(),
            place,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().expect("no thread panicked")
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.record.lock().under_way.remove(&self.place);
    }
}

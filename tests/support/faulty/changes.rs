//! Every write of the tables that have a stream, and when it was, by the engine's clock: what an incremental export tells of.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::stream::key_text;

/// The writes, oldest first, and the engine's clock.
#[derive(Default)]
pub struct Changes(Mutex<State>);

#[derive(Default)]
struct State {
    /// How far the engine's clock is ahead.
    ahead: Duration,
    writes: BTreeMap<String, Vec<Write>>,
}

struct Write {
    at_ms: u64,
    keys: Value,
    old: Option<Value>,
    new: Option<Value>,
}

impl Changes {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no thread panicked")
    }

    /// The engine's time, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let now = SystemTime::now() + self.state().ahead;
        let since = now.duration_since(UNIX_EPOCH).expect("a clock past 1970");
        u64::try_from(since.as_millis()).expect("a time of this age")
    }

    /// Time passes for the engine.
    pub fn pass(&self, time: Duration) {
        self.state().ahead += time;
    }

    /// Notes a record of a stream.
    pub fn note(&self, table: &str, change: &Value) {
        let at_ms = self.now_ms();
        let image = |name: &str| change.get(name).cloned();
        let mut state = self.state();
        let writes = state.writes.entry(table.to_owned()).or_default();
        writes.push(Write {
            at_ms,
            keys: change["Keys"].clone(),
            old: image("OldImage"),
            new: image("NewImage"),
        });
    }

    /// Every write so far was so much earlier.
    pub fn age(&self, table: &str, ms: u64) {
        let mut state = self.state();
        let writes = state.writes.entry(table.to_owned()).or_default();
        writes.iter_mut().for_each(|write| write.at_ms -= ms);
    }

    /// The last writes of a table were at this time.
    pub fn date_last(&self, table: &str, count: usize, at_ms: u64) {
        let mut state = self.state();
        let writes = state.writes.entry(table.to_owned()).or_default();
        writes
            .iter_mut()
            .rev()
            .take(count)
            .for_each(|write| write.at_ms = at_ms);
    }

    /// The writes of the item with this sort key were at this time.
    pub fn date_item(&self, table: &str, sort: &str, at_ms: u64) {
        let mut state = self.state();
        let writes = state.writes.entry(table.to_owned()).or_default();
        let writes = writes.iter_mut().filter(|write| write.keys["SK"]["S"] == sort);
        writes.for_each(|write| write.at_ms = at_ms);
    }

    /// The lines of an incremental export: one for each key that changed at or after `from` and before `to`, with its last state. An item
    /// that was not there before and is not there after leaves no line.
    pub fn lines(&self, table: &str, (from, to): (u64, u64), old_images: bool) -> Vec<String> {
        let state = self.state();
        let writes = state.writes.get(table).into_iter().flatten();
        let mut within: BTreeMap<String, Vec<&Write>> = BTreeMap::new();
        for write in writes.filter(|write| (from..to).contains(&write.at_ms)) {
            within.entry(key_text(&write.keys)).or_default().push(write);
        }
        let lines = within.into_values().filter_map(|writes| {
            let (first, last) = (writes.first()?, writes.last()?);
            if first.old.is_none() && last.new.is_none() {
                return None;
            }
            let mut line = json!({
                "Metadata": { "WriteTimestampMicros": { "N": (last.at_ms * 1000).to_string() } },
                "Keys": last.keys
            });
            if let Some(new) = &last.new {
                line["NewImage"] = new.clone();
            }
            if let Some(old) = first.old.as_ref().filter(|_| old_images) {
                line["OldImage"] = old.clone();
            }
            Some(line.to_string())
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_one_state_of_each_key_and_ends_before_its_end() {
        let changes = Changes::default();
        let note = |id: &str, old: Option<u32>, new: Option<u32>, at_ms: u64| {
            let image = |of: u32| json!({ "PK": { "S": id }, "v": { "N": of.to_string() } });
            let mut change = json!({ "Keys": { "PK": { "S": id } } });
            if let Some(old) = old {
                change["OldImage"] = image(old);
            }
            if let Some(new) = new {
                change["NewImage"] = image(new);
            }
            changes.note("t", &change);
            changes.date_last("t", 1, at_ms);
        };
        note("changed", Some(1), Some(2), 100);
        note("changed", Some(2), Some(3), 150);
        note("comes and goes", None, Some(1), 120);
        note("comes and goes", Some(1), None, 130);
        note("goes", Some(1), None, 199);
        note("later", None, Some(1), 200);
        let lines = |window, old| -> Vec<Value> {
            let lines = changes.lines("t", window, old).into_iter();
            lines
                .map(|line| serde_json::from_str(&line).expect("JSON"))
                .collect()
        };
        let found = lines((100, 200), true);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0]["NewImage"]["v"]["N"], "3");
        assert_eq!(found[0]["OldImage"]["v"]["N"], "1");
        assert_eq!(found[0]["Metadata"]["WriteTimestampMicros"]["N"], "150000");
        assert!(found[1].get("NewImage").is_none() && found[1]["OldImage"]["v"]["N"] == "1");
        assert!(lines((100, 200), false)[1].get("OldImage").is_none());
        assert_eq!(
            lines((200, 201), true).len(),
            1,
            "a beginning is part of the window"
        );
        assert_eq!(lines((121, 200), true).len(), 3, "it was there at the beginning");
    }
}

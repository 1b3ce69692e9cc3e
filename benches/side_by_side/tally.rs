//! What a server counted: requests, items and units by operation and table.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one operation did to one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Calls.
    pub requests: u64,
    /// Items that were given, written or removed.
    pub items: u64,
    /// Writes whose condition did not hold.
    pub refused: u64,
    /// Read units, in thousandths.
    pub read_milliunits: u64,
    /// Write units, in thousandths.
    pub write_milliunits: u64,
    /// When the first call came that had items, in microseconds since the server began; 0 for none.
    pub first_us: u64,
    /// When the last call that had items was answered.
    pub last_us: u64,
}

impl Count {
    /// Adds another, of the same time or a later one.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.items += other.items;
        self.refused += other.refused;
        self.read_milliunits += other.read_milliunits;
        self.write_milliunits += other.write_milliunits;
        self.first_us = match (self.first_us, other.first_us) {
            (0, at) | (at, 0) => at,
            (one, two) => one.min(two),
        };
        self.last_us = self.last_us.max(other.last_us);
    }
}

/// Counts by operation and table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally(BTreeMap<String, BTreeMap<String, Count>>);

impl Tally {
    /// Adds to an operation's count on a table.
    pub fn add(&mut self, operation: &str, table: &str, count: &Count) {
        if !self.0.contains_key(operation) {
            self.0.insert(operation.to_owned(), BTreeMap::new());
        }
        if let Some(tables) = self.0.get_mut(operation) {
            match tables.get_mut(table) {
                Some(known) => known.add(count),
                None => {
                    tables.insert(table.to_owned(), count.clone());
                }
            }
        }
    }

    /// The sum over those operations and tables that are meant.
    pub fn sum(&self, meant: impl Fn(&str, &str) -> bool) -> Count {
        let mut sum = Count::default();
        for (operation, tables) in &self.0 {
            for (table, count) in tables {
                if meant(operation, table) {
                    sum.add(count);
                }
            }
        }
        sum
    }
}

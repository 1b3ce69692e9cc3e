//! Deaths at failpoints: each is seen to happen where it was ordered, and written down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::support::failpoints;
use crate::support::process::{Cli, Done, LIMIT, Running};

/// How often processes died at which failpoint.
#[derive(Clone, Debug, Default)]
pub struct Deaths(BTreeMap<String, u64>);

impl Deaths {
    /// Runs a command that must die at a failpoint.
    pub async fn die(&mut self, cli: &Cli, words: &[&str], point: &str) {
        let running = Self::doomed(cli, words, point);
        self.expect(running, point).await;
    }

    /// The same, at several points, one after the other.
    pub async fn die_at(&mut self, cli: &Cli, words: &[&str], points: &[&str]) {
        for point in points {
            self.die(cli, words, point).await;
        }
    }

    /// Starts a command that will die at a failpoint.
    pub fn doomed(cli: &Cli, words: &[&str], point: &str) -> Running {
        cli.armed(&format!("{point}=kill")).start(words)
    }

    /// Waits for the death of a process that was started so.
    ///
    /// # Panics
    /// Where it lives on, or ends otherwise: a test that kills nobody proves nothing.
    pub async fn expect(&mut self, mut running: Running, point: &str) {
        let (name, began) = (running.name().to_owned(), Instant::now());
        while !running.has_ended() {
            assert!(
                began.elapsed() < LIMIT,
                "`{name}` does not come to {point}\nstderr: {}",
                running.told()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let done = running.end().await;
        assert_eq!(
            done.killed_at(),
            Some(point),
            "`{name}` should have died at {point}, and ended with {:?}\nstdout: {}\nstderr: {}",
            done.code,
            done.stdout,
            done.stderr
        );
        self.note(&done);
    }

    /// Writes down where a process died, if a failpoint killed it. Answers whether one did.
    pub fn note(&mut self, done: &Done) -> bool {
        let Some(point) = done.killed_at() else {
            return false;
        };
        *self.0.entry(point.to_owned()).or_default() += 1;
        true
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (point, count) in &other.0 {
            *self.0.entry(point.clone()).or_default() += count;
        }
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The points where nobody died.
    pub fn missed(&self) -> BTreeSet<String> {
        points().filter(|point| !self.0.contains_key(point)).collect()
    }
}

impl std::fmt::Display for Deaths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each: Vec<String> = self
            .0
            .iter()
            .map(|(point, count)| format!("{point} {count}"))
            .collect();
        f.write_str(&each.join(", "))
    }
}

/// Every failpoint of the product, except those that other tests kill processes at: cutovers, notifications, events, the ledger, large
/// fleets.
pub fn points() -> impl Iterator<Item = String> {
    failpoints::points()
        .filter(|point| !failpoints::is_of_cutovers(point))
        .filter(|point| !failpoints::is_of_notifications(point) && !failpoints::is_of_events(point))
        .filter(|point| !failpoints::is_of_ledger(point) && !failpoints::is_of_heal(point))
        .filter(|point| !failpoints::is_of_fleets(point))
}

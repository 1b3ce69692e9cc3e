//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use crate::deaths::Deaths;
use crate::support::mutator::Writes;

/// The counts of a run, or of many.
#[derive(Clone, Debug)]
pub struct Report {
    /// Runs.
    pub runs: u64,
    /// Deaths at failpoints.
    pub deaths: Deaths,
    /// Deaths by a signal from outside.
    pub kills: u64,
    /// Held up for longer than a lease: at failpoints, or by a signal from outside.
    pub stops: u64,
    /// Processes started, by command.
    pub started: BTreeMap<String, u64>,
    /// Commands that ended by themselves, by command and exit code.
    pub ended: BTreeMap<String, u64>,
    /// Writes of the source.
    pub writes: Writes,
    /// What the engine did wrong, in its words.
    pub faults: String,
    /// When parts of the run were over, in seconds.
    parts: Vec<(&'static str, u64)>,
    began: Instant,
}

impl Report {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            runs: 0,
            deaths: Deaths::default(),
            kills: 0,
            stops: 0,
            started: BTreeMap::new(),
            ended: BTreeMap::new(),
            writes: Writes::default(),
            faults: String::new(),
            parts: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Deaths and stops so far.
    pub fn events(&self) -> u64 {
        self.deaths.total() + self.kills + self.stops
    }

    /// A part of the run is over.
    pub fn reached(&mut self, part: &'static str) {
        self.parts.push((part, self.began.elapsed().as_secs()));
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.deaths.add(&other.deaths);
        self.kills += other.kills;
        self.stops += other.stops;
        for (words, count) in &other.started {
            *self.started.entry(words.clone()).or_default() += count;
        }
        for (end, count) in &other.ended {
            *self.ended.entry(end.clone()).or_default() += count;
        }
        self.writes.add(&other.writes);
        self.faults.clone_from(&other.faults);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = |counts: &BTreeMap<String, u64>| {
            let each: Vec<String> = counts
                .iter()
                .map(|(what, count)| format!("{what}: {count}"))
                .collect();
            each.join("; ")
        };
        writeln!(
            f,
            "{} runs in {} s {:?}",
            self.runs,
            self.began.elapsed().as_secs(),
            self.parts
        )?;
        writeln!(
            f,
            "  {} deaths at failpoints, {} from outside, {} stops",
            self.deaths.total(),
            self.kills,
            self.stops
        )?;
        writeln!(f, "  at: {}", self.deaths)?;
        writeln!(f, "  started: {}", counts(&self.started))?;
        writeln!(f, "  ended by themselves: {}", counts(&self.ended))?;
        write!(f, "  {} writes: {:?}", self.writes.total(), self.writes)?;
        if !self.faults.is_empty() {
            write!(f, "\n  the engine, in the last run: {}", self.faults)?;
        }
        Ok(())
    }
}

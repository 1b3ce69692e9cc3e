//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use crate::crashes::deaths::Deaths;
use crate::support::faulty::FaultKind;
use crate::support::mutator::Writes;

/// The counts of a run, or of many.
#[derive(Clone, Debug)]
pub struct Report {
    /// Runs.
    pub runs: u64,
    /// Deaths at failpoints.
    pub deaths: Deaths,
    /// Held up at failpoints for longer than a lease.
    pub stops: u64,
    /// Killed from outside, at any moment.
    pub kills: u64,
    /// Held up from outside for longer than a lease.
    pub held: u64,
    /// Killed to clean up, when a part of the run was over: nothing that it was put through.
    pub cleared: u64,
    /// Processes started, by command.
    pub started: BTreeMap<String, u64>,
    /// Commands that ended by themselves, by command and exit code.
    pub ended: BTreeMap<String, u64>,
    /// Writes of the source.
    pub writes: Writes,
    /// What the engine did wrong, if it does.
    pub faults: BTreeMap<FaultKind, u64>,
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
            stops: 0,
            kills: 0,
            held: 0,
            cleared: 0,
            started: BTreeMap::new(),
            ended: BTreeMap::new(),
            writes: Writes::default(),
            faults: BTreeMap::new(),
            parts: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Deaths and stops so far.
    pub fn events(&self) -> u64 {
        self.deaths.total() + self.stops + self.strikes()
    }

    /// Those of them that came from outside.
    pub fn strikes(&self) -> u64 {
        self.kills + self.held
    }

    /// # Panics
    /// Where nobody died at a failpoint, nobody was struck from outside, or the writers left out a way to write: such a
    /// run proves nothing.
    pub fn assert_under_fire(&self) {
        assert!(self.deaths.total() > 0, "nobody died at a failpoint\n{self}");
        assert!(self.strikes() > 0, "nobody was struck from outside\n{self}");
        let missing = self.writes.missing();
        assert!(missing.is_empty(), "nothing was written so: {missing:?}\n{self}");
    }

    /// A part of the run is over.
    pub fn reached(&mut self, part: &'static str) {
        self.parts.push((part, self.began.elapsed().as_secs()));
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.deaths.add(&other.deaths);
        self.stops += other.stops;
        self.kills += other.kills;
        self.held += other.held;
        self.cleared += other.cleared;
        for (words, count) in &other.started {
            *self.started.entry(words.clone()).or_default() += count;
        }
        for (end, count) in &other.ended {
            *self.ended.entry(end.clone()).or_default() += count;
        }
        self.writes.add(&other.writes);
        for (kind, count) in &other.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
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
            "  at failpoints: {} deaths, {} stops; from outside: {} deaths, {} stops; {} killed to clean up",
            self.deaths.total(),
            self.stops,
            self.kills,
            self.held,
            self.cleared
        )?;
        writeln!(f, "  deaths at: {}", self.deaths)?;
        writeln!(f, "  started: {}", counts(&self.started))?;
        writeln!(f, "  ended by themselves: {}", counts(&self.ended))?;
        write!(f, "  {} writes: {:?}", self.writes.total(), self.writes)?;
        if !self.faults.is_empty() {
            write!(f, "\n  the engine: {:?}", self.faults)?;
        }
        Ok(())
    }
}

/// The harness itself: a run in which nothing happened is none.
#[test]
#[should_panic(expected = "failpoint")]
fn a_run_in_which_nobody_died_fails() {
    Report::new().assert_under_fire();
}

//! A split under fire, as a seed says: several processes of each kind, which die, stand still, wait and lose requests at
//! failpoints, and are killed and held up from outside as well.
//!
//! A run prints its seed, with the command that repeats it, when it begins. `DYNASPLIT_SEED=n` repeats what was decided
//! (not the timing, which no seed decides), and `DYNASPLIT_EFFORT=n` makes as many runs, with the seeds that follow.
//! See `docs/testing.md`.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::crashes::process_group::{
    APPLY, BACKFILL, BULK, COMPLETE, Kind, ProcessGroup, RECONCILE, REPAIR, REPLICATE,
};
use crate::crashes::report::Report;
use crate::crashes::reserved_items::ReservedItems;
use crate::crashes::scene::{HABITS, assert_nothing_left, end_soon, succeed_soon};
use crate::support::effort::effort;
use crate::support::long::in_the_long_run;
use crate::support::mutator::{Mutator, Writes};
use crate::support::process::{Cli, LIMIT, Running};
use crate::support::stage::{Stage, seed};
use crate::support::trial::{Mode, Stamps};
use crate::support::{Engine, random_faults};

/// What is wanted of a part of a run: so many deaths and stops, in so much time at most (a machine may be busy). Less of it at
/// the usual effort.
const COPY: [(u64, Duration); 2] = [(4, Duration::from_secs(6)), (10, Duration::from_secs(14))];
const REPAIRING: [(u64, Duration); 2] = [(2, Duration::from_secs(4)), (4, Duration::from_secs(8))];
/// What every run must have seen is waited for so long, however much time that takes besides.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many rounds of a part are left to chance. Then what it has not done is done to a tail.
const BY_CHANCE: u32 = 6;
/// Every tail comes to it, soon after it begins.
const DOOM: &str = "state.worker.put.before";
/// Items that are damaged, or that no service can hold for a while.
const OWN: usize = 4;
/// What the product assumes of a request that it gave up, at the lease of these tests: that it lands no later.
const LATE: Duration = Duration::from_millis(1500);

/// Where it happens.
#[derive(Clone, Copy, Debug)]
enum Where {
    Embedded,
    Genuine,
    Scripted,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_fire_on_the_embedded_engine() {
    many("under_fire_on_the_embedded_engine", Where::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_fire_on_dynamodb_local() {
    in_the_long_run!(under_fire_on_dynamodb_local);
    many("under_fire_on_dynamodb_local", Where::Genuine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_fire_on_an_engine_with_faults() {
    in_the_long_run!(under_fire_on_an_engine_with_faults);
    many("under_fire_on_an_engine_with_faults", Where::Scripted).await;
}

/// The version mode and the order of the copy of a run. Four seeds in a row make each combination once.
fn kind_of_run(seed: u64) -> (Mode, &'static Kind) {
    match seed % 4 {
        0 => (Mode::Sequence, &BACKFILL),
        1 => (Mode::Timestamp, &BULK),
        2 => (Mode::Timestamp, &BACKFILL),
        _ => (Mode::Sequence, &BULK),
    }
}

/// As many runs as are asked for, and what they came to. A run that fails ends only itself.
async fn many(test: &str, place: Where) {
    let runs = effort();
    let first = seed();
    let mut sum = Report::new();
    let mut failed = Vec::new();
    for seed in (0..runs).map(|run| first.wrapping_add(run)) {
        let (mode, fill) = kind_of_run(seed);
        let words = fill.words.join(" ");
        announce(test, seed);
        match AssertUnwindSafe(Box::pin(one(place, mode, fill, seed)))
            .catch_unwind()
            .await
        {
            Ok(report) => {
                eprintln!("{place:?}, {mode:?}, {words}, seed {seed}: {report}");
                sum.add(&report);
            }
            Err(_) => {
                eprintln!("{place:?}, {mode:?}, {words}: seed {seed} FAILED");
                failed.push(seed);
            }
        }
    }
    if runs > 1 {
        eprintln!("{place:?}, all: {sum}");
    }
    assert!(failed.is_empty(), "{place:?}: these seeds failed: {failed:?}");
}

/// Says how to repeat a run, before anything can hang. Not by `eprintln!`, of which the tests' harness shows nothing where
/// a test passes, or is killed.
fn announce(test: &str, seed: u64) {
    let command = format!("cargo test --test crashes crashes::chaos::{test} -- --exact --nocapture");
    // A run that can't say it is a run all the same.
    let _ = writeln!(std::io::stderr(), "DYNASPLIT_SEED={seed} {command}");
}

async fn engine(place: Where, seed: u64) -> Engine {
    match place {
        Where::Embedded => Engine::embedded().await,
        Where::Genuine => Engine::genuine().await,
        Where::Scripted => Engine::scripted(random_faults::script(seed, LATE)).await,
    }
}

/// One run: the copy under fire, and a comparison; then damage and its repair under fire, and another; then the end.
async fn one(place: Where, mode: Mode, fill: &'static Kind, seed: u64) -> Report {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed);
    let stage = Stage::seeded(engine(place, seed).await, mode, seed, true).await;
    let mut report = Report::new();
    report.runs = 1;
    let mut tails = ProcessGroup::of(&REPLICATE);

    let mutator = stage.write(HABITS).await;
    capture(&stage, &mut tails, &mut rng, &mut report).await;
    copy(&stage, fill, &mut tails, &mut rng, &mut report).await;
    tails.ensure_sound(&stage.cli, &mut report).await;
    for place in 0..OWN {
        ReservedItems::of(&stage).put(place, 20).await;
    }
    // Dead letters that are settled since still count in what it says.
    let order = if is_bulk(fill) { "bulk" } else { "concurrent" };
    end_soon(&stage.cli, &["backfill", "--order", order], &[0, 3]).await;
    // One that died holds the tombstones until the next one has ended. It writes nothing but keys that have letters.
    succeed_soon(&stage.cli, RECONCILE.words).await;
    let written = stop(place, &stage, mutator).await;
    report.writes.add(&written);
    compare(&stage, &mut report, "copied").await;

    let mutator = Mutator::start(&stage.client, &stage.trial.source, HABITS, seed ^ 0xda3a6e).await;
    repair(&stage, &mut tails, &mut rng, &mut report).await;
    tails.ensure_sound(&stage.cli, &mut report).await;
    for words in [REPAIR.words, RECONCILE.words] {
        succeed_soon(&stage.cli, words).await;
    }
    let written = stop(place, &stage, mutator).await;
    report.writes.add(&written);
    compare(&stage, &mut report, "repaired").await;
    succeed_soon(&stage.cli, &["verify"]).await;
    report.reached("verified");
    end(&stage.cli, &mut rng, &mut report).await;
    for tail in tails.hand_over() {
        gone(tail, &mut report).await;
    }
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
    assert_nothing_left(&stage).await;
    report.assert_under_fire();
    if matches!(place, Where::Scripted) {
        random_faults::assert_struck(stage.engine.faults());
        report.faults = random_faults::counts(stage.engine.faults());
    }
    report
}

/// The writers stop, when they have written in every way, and an engine with faults has had each of them.
async fn stop(place: Where, stage: &Stage, mutator: Mutator) -> Writes {
    mutator.until_every_way(PATIENCE).await;
    if matches!(place, Where::Scripted) {
        random_faults::until_struck(stage.engine.faults(), PATIENCE).await;
    }
    mutator.tally().await
}

/// Nobody writes any more: everything is applied, and equal.
async fn compare(stage: &Stage, report: &mut Report, part: &'static str) {
    stage.cli.until_caught_up().await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    report.reached(part);
}

/// The beginning: `apply`, and the first capture, under fire as well.
async fn capture(stage: &Stage, tails: &mut ProcessGroup, rng: &mut StdRng, report: &mut Report) {
    let (cli, own) = (&stage.cli, ReservedItems::of(stage));
    begin(cli, rng, report).await;
    for _ in 0..2 {
        tails.ensure(cli, 2, rng, report).await;
        pause(rng, 100..900).await;
        tails.strike(rng, report).await;
    }
    tails.ensure_sound(cli, report).await;
    cli.until_captured().await;
    for place in 0..OWN {
        if rng.random() {
            own.put(place, 10).await;
        } else {
            own.put_invalid(place, 10).await;
        }
    }
    report.reached("captured");
}

/// `apply`, one or two of them, which may die, until it has succeeded.
async fn begin(cli: &Cli, rng: &mut StdRng, report: &mut Report) {
    let mut applies = ProcessGroup::of(&APPLY);
    for _ in 0..2 {
        applies.ensure(cli, one_or_two(rng), rng, report).await;
        pause(rng, 50..600).await;
        applies.tend(rng, report).await;
    }
    applies.give_up(report).await;
    succeed_soon(cli, &["apply"]).await;
}

/// The copy, with one or two of each, and now and then somebody else, or two of them.
async fn copy(
    stage: &Stage,
    fill: &'static Kind,
    tails: &mut ProcessGroup,
    rng: &mut StdRng,
    report: &mut Report,
) {
    let cli = &stage.cli;
    let mut fills = ProcessGroup::of(fill).with_habit(late_pages(fill, rng));
    // In bulk, nobody else may write what was read of the source: a reconcile is refused, or refuses bulk.
    let first = if is_bulk(fill) { &APPLY } else { &RECONCILE };
    let mut others = [ProcessGroup::of(first), ProcessGroup::of(&APPLY)];
    let mut part = Part::new(COPY, report);
    while part.goes_on(report) {
        tails.ensure(cli, one_or_two(rng), rng, report).await;
        fills.ensure(cli, one_or_two(rng), rng, report).await;
        let other = &mut others[usize::from(rng.random_ratio(1, 3))];
        if rng.random_ratio(1, 3) {
            other.ensure(cli, one_or_two(rng), rng, report).await;
        }
        pause(rng, 100..500).await;
        match rng.random_range(0..20) {
            0 => tails.strike(rng, report).await,
            1 => fills.strike(rng, report).await,
            2 => other.strike(rng, report).await,
            _ => {}
        }
        fills.tend(rng, report).await;
        for other in &mut others {
            other.tend(rng, report).await;
        }
        part.help(cli, tails, rng, report).await;
    }
    fills.give_up(report).await;
    for other in &mut others {
        other.give_up(report).await;
    }
}

/// After the copy: damage, and repairs of it, one or two of each.
async fn repair(stage: &Stage, tails: &mut ProcessGroup, rng: &mut StdRng, report: &mut Report) {
    let (cli, own) = (&stage.cli, ReservedItems::of(stage));
    let mut others = [ProcessGroup::of(&REPAIR), ProcessGroup::of(&RECONCILE)];
    for place in 0..OWN {
        if rng.random() {
            own.lose(place).await;
        } else {
            own.invent(OWN + place).await;
        }
    }
    let mut part = Part::new(REPAIRING, report);
    while part.goes_on(report) {
        tails.ensure(cli, one_or_two(rng), rng, report).await;
        let other = &mut others[usize::from(rng.random_ratio(1, 4))];
        other.ensure(cli, one_or_two(rng), rng, report).await;
        pause(rng, 100..500).await;
        match rng.random_range(0..20) {
            0 => tails.strike(rng, report).await,
            1 => other.strike(rng, report).await,
            _ => {}
        }
        for other in &mut others {
            other.tend(rng, report).await;
        }
        part.help(cli, tails, rng, report).await;
    }
    for other in &mut others {
        other.give_up(report).await;
    }
}

/// A part of a run, until enough has happened: in any case, a death at a failpoint and a strike from outside.
struct Part {
    began: Instant,
    wanted: u64,
    time: Duration,
    deaths: u64,
    strikes: u64,
    rounds: u32,
}

impl Part {
    fn new(wanted: [(u64, Duration); 2], report: &Report) -> Self {
        let (events, time) = wanted[usize::from(effort() > 1)];
        Self {
            began: Instant::now(),
            wanted: report.events() + events,
            time,
            deaths: report.deaths.total(),
            strikes: report.strikes(),
            rounds: 0,
        }
    }

    fn goes_on(&self, report: &Report) -> bool {
        let passed = self.began.elapsed();
        let is_enough = report.events() >= self.wanted || passed > self.time;
        !is_enough || (self.lacks_death(report) || self.lacks_strike(report)) && passed < PATIENCE
    }

    fn lacks_death(&self, report: &Report) -> bool {
        report.deaths.total() == self.deaths
    }

    fn lacks_strike(&self, report: &Report) -> bool {
        report.strikes() == self.strikes
    }

    /// A round is over. What chance has not done by now is done to a tail.
    async fn help(&mut self, cli: &Cli, tails: &mut ProcessGroup, rng: &mut StdRng, report: &mut Report) {
        self.rounds += 1;
        if self.rounds < BY_CHANCE {
            return;
        }
        if self.lacks_strike(report) {
            tails.strike(rng, report).await;
        }
        if self.lacks_death(report) {
            tails.doom(cli, DOOM, report);
        }
    }
}

/// Often, every page lands late, as from a slow machine: what was deleted meanwhile must not come back.
fn late_pages(fill: &Kind, rng: &mut StdRng) -> String {
    let put = if is_bulk(fill) { "bulk.put" } else { "backfill.put" };
    match rng.random_range(0..4) {
        0 | 1 => format!("backfill.page-read@*=delay:{}", rng.random_range(500..3000)),
        2 => format!("{put}.before@/2=delay:{}", rng.random_range(300..1500)),
        _ => String::new(),
    }
}

fn is_bulk(fill: &Kind) -> bool {
    fill.words.contains(&"bulk")
}

fn one_or_two(rng: &mut StdRng) -> usize {
    if rng.random_ratio(1, 3) { 2 } else { 1 }
}

/// `complete`, one or two of them, which may die, until it has succeeded.
async fn end(cli: &Cli, rng: &mut StdRng, report: &mut Report) {
    let mut completes = ProcessGroup::of(&COMPLETE);
    for _ in 0..3 {
        completes.ensure(cli, one_or_two(rng), rng, report).await;
        pause(rng, 100..1500).await;
        completes.tend(rng, report).await;
    }
    completes.give_up(report).await;
    succeed_soon(cli, COMPLETE.words).await;
}

/// A tail ends by itself when the split does.
async fn gone(mut tail: Running, report: &mut Report) {
    let began = Instant::now();
    while !tail.has_ended() {
        assert!(began.elapsed() < LIMIT, "it does not end: {}", tail.told());
        // It may come to a failpoint where it stands still only now.
        tail.signal("CONT");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let done = tail.end().await;
    if !report.deaths.note(&done) {
        // One that had not begun yet, or woke up late, is told that the split was completed.
        assert!(
            done.code == Some(0) || done.stderr.contains("was completed"),
            "the tail ended with {:?}\nstdout: {}\nstderr: {}",
            done.code,
            done.stdout,
            done.stderr
        );
    }
}

async fn pause(rng: &mut StdRng, ms: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(ms))).await;
}

//! Cutovers and rollbacks that a seed decides, beside an application that writes all the time: processes die at failpoints of each
//! step, commands are cancelled, and nothing is lost. `docs/testing.md` has the command for a long run.

use std::collections::BTreeMap;

use super::application::{Application, Written};
use super::shop::{CANCEL, CANCEL_ROLLBACK, CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::effort;
use crate::support::long::in_the_long_run;
use crate::support::process::Running;
use crate::support::stage;
use crate::support::trial::Mode;

/// Where a cutover dies, in the order of its steps. All but the last three can be cancelled.
const THERE: [&str; 12] = [
    "state.cutover.put.before",
    "state.cutover-event.put.after",
    "cutover.fencing",
    "cutover.step",
    "cutover.closed",
    "cutover.close-acknowledged",
    "state.cutover-pin.put.before",
    "state.cutover-pin.put.after",
    "cutover.pinned",
    "cutover.switching",
    "cutover.hook-done",
    "cutover.switched",
];
/// Where a rollback dies. The first three can be cancelled.
const BACK: [&str; 6] = [
    "state.cutover-event.put.before",
    "rollback.fencing",
    "rollback.drained",
    "rollback.reopened",
    "rollback.reopen-acknowledged",
    "rollback.unfenced",
];
/// From here on, only the other direction goes back.
const PAST_SWITCH: [&str; 2] = ["cutover.hook-done", "cutover.switched"];
const PAST_REOPEN: [&str; 3] = [
    "rollback.reopened",
    "rollback.reopen-acknowledged",
    "rollback.unfenced",
];
/// Splits at the same time: most of a cutover is waiting.
const AT_ONCE: u64 = 4;

/// What happened, over all rounds.
#[derive(Default)]
struct Tally {
    cutovers: u64,
    rollbacks: u64,
    cancels: u64,
    worker_deaths: u64,
    deaths: BTreeMap<&'static str, u64>,
    writes: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.cutovers += other.cutovers;
        self.rollbacks += other.rollbacks;
        self.cancels += other.cancels;
        self.worker_deaths += other.worker_deaths;
        self.writes += other.writes;
        for (point, count) in other.deaths {
            *self.deaths.entry(point).or_default() += count;
        }
    }
}

/// One round is a cutover and a rollback of one service; more effort is more rounds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cutovers_and_rollbacks_with_deaths_at_each_step_lose_nothing() {
    in_the_long_run!(cutovers_and_rollbacks_with_deaths_at_each_step_lose_nothing);
    let (seed, rounds) = (stage::seed(), effort::effort());
    let splits = rounds.min(AT_ONCE);
    eprintln!("{rounds} rounds in {splits} splits: DYNASPLIT_SEED={seed}");
    let running: Vec<_> = (0..splits)
        .map(|n| {
            let share = rounds / splits + u64::from(n < rounds % splits);
            tokio::spawn(split(seed.wrapping_add(n), share))
        })
        .collect();
    let mut tally = Tally::default();
    for split in running {
        tally.add(split.await.expect("nothing is lost"));
    }
    eprintln!(
        "{} cutovers, {} rollbacks, {} cancels, {} deaths of workers, {} writes; deaths of commands: {:?}",
        tally.cutovers, tally.rollbacks, tally.cancels, tally.worker_deaths, tally.writes, tally.deaths
    );
    assert_eq!((tally.cutovers, tally.rollbacks), (rounds, rounds));
    assert!(!tally.deaths.is_empty(), "a quiet run proves nothing");
}

/// A split of its own, whose service goes there and back.
async fn split(seed: u64, rounds: u64) -> Tally {
    let mode = if seed.is_multiple_of(2) {
        Mode::Sequence
    } else {
        Mode::Timestamp
    };
    let (shop, tail, application) = Shop::open(mode).await;
    let mut scene = Scene {
        shop,
        tail: Some(tail),
        application: Some(application),
        random: seed | 1,
        tally: Tally::default(),
    };
    for _ in 0..rounds {
        scene.there().await;
        scene.back().await;
    }
    scene.application.take().expect("an application").end().await;
    end(scene.tail.take().expect("a worker")).await;
    scene.tally
}

struct Scene {
    shop: Shop,
    tail: Option<Running>,
    application: Option<Application>,
    random: u64,
    tally: Tally,
}

impl Scene {
    /// Below a bound.
    fn draw(&mut self, bound: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound
    }

    /// One of the points that are still to come, and what comes after it.
    fn pick<'a>(&mut self, points: &'a [&'static str]) -> (&'static str, &'a [&'static str]) {
        let at = usize::try_from(self.draw(points.len() as u64)).expect("a place");
        (points[at], &points[at + 1..])
    }

    /// A cutover that dies once or twice, is perhaps cancelled, and ends.
    async fn there(&mut self) {
        let mut points = &THERE[..];
        for _ in 0..=self.draw(2) {
            let (point, later) = self.pick(points);
            points = later;
            self.die(CUTOVER, point).await;
            self.perhaps_kill_worker().await;
            if PAST_SWITCH.contains(&point) {
                break;
            }
            if self.draw(3) == 0 {
                self.cancel(CANCEL).await;
                self.shop.verify().await;
                points = &THERE;
            }
        }
        self.shop.cutover().await;
        self.tally.cutovers += 1;
        let before = self.written().await.target;
        self.until(|written| written.target >= before + 20).await;
        self.assert_exact().await;
    }

    async fn back(&mut self) {
        let mut points = &BACK[..];
        for _ in 0..=self.draw(2) {
            let (point, later) = self.pick(points);
            points = later;
            self.die(ROLLBACK, point).await;
            self.perhaps_kill_worker().await;
            if PAST_REOPEN.contains(&point) {
                break;
            }
            if self.draw(3) == 0 && self.shop.phase().await == "fenced-for-rollback" {
                self.cancel(CANCEL_ROLLBACK).await;
                points = &BACK;
            }
        }
        self.shop.succeed(ROLLBACK).await;
        self.tally.rollbacks += 1;
        let before = self.written().await.source;
        self.until(|written| written.source >= before + 20).await;
        self.assert_exact().await;
        self.shop.verify().await;
    }

    async fn die(&mut self, words: &[&str], point: &'static str) {
        super::deaths::die(&self.shop, words, point).await;
        *self.tally.deaths.entry(point).or_default() += 1;
    }

    async fn cancel(&mut self, words: &[&str]) {
        let done = self.shop.run(&self.shop.cli, words).await;
        // It may have died before it had begun anything.
        if done.code == Some(0) {
            self.tally.cancels += 1;
        } else {
            assert!(
                done.stderr.contains("nothing is necessary"),
                "{words:?}: {}",
                done.stderr
            );
        }
    }

    async fn perhaps_kill_worker(&mut self) {
        if self.draw(4) > 0 {
            return;
        }
        if let Some(tail) = self.tail.take() {
            tail.kill().await;
        }
        self.tail = Some(self.shop.cli.start(&["replicate"]));
        self.tally.worker_deaths += 1;
    }

    async fn written(&self) -> Written {
        let application = self.application.as_ref().expect("an application");
        application.written().await
    }

    async fn until(&self, is: impl Fn(&Written) -> bool) {
        let application = self.application.as_ref().expect("an application");
        until_written(application, is).await;
    }

    /// The application rests, and both sides hold what it wrote.
    async fn assert_exact(&mut self) {
        let application = self.application.take().expect("an application");
        let written = application.end().await;
        self.shop.assert_both_sides(&written).await;
        self.tally.writes = written.source + written.target;
        self.application = Some(self.shop.application(written));
    }
}

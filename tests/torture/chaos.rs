//! The killing.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::mutator::Habits;
use crate::support::process::{Cli, Running};
use crate::support::stage::{LEASE_SECONDS, Stage};

/// Writers that keep both engines busy and leave the product some of a small machine.
pub const HABITS: Habits = Habits {
    keys: 1000,
    writers: 4,
    pause: Duration::from_millis(50),
    backwards: 100,
};

/// How much is killed.
pub struct Chaos {
    /// Strikes in all.
    pub steps: u32,
}

impl Default for Chaos {
    fn default() -> Self {
        Self { steps: 8 }
    }
}

/// The processes of one kind: at least one is wanted, sometimes there are two.
struct Crew {
    words: &'static [&'static str],
    running: Vec<Running>,
}

impl Chaos {
    /// Applies, replicates and backfills under fire. When this returns, the backfill is finished, and the tail that is
    /// handed over runs.
    pub async fn run(&self, stage: &Stage) -> Running {
        let mut rng = StdRng::seed_from_u64(stage.seed ^ 0x5eed);
        let cli = &stage.cli;
        for _ in 0..2 {
            let apply = cli.start(&["apply"]);
            sleep(rng.random_range(0..400)).await;
            apply.kill().await;
        }
        cli.succeed(&["apply"]).await;
        let mut tails = Crew::of(&["replicate"]);
        // The first capture is under fire as well.
        for _ in 0..2 {
            tails.ensure(cli, 1);
            sleep(rng.random_range(50..600)).await;
            tails.strike(&mut rng, cli).await;
        }
        tails.ensure(cli, 1);
        cli.until_captured().await;
        // Slow at first, so that it is not over before the first strike.
        let mut fills = Crew::of(&["backfill", "--read-units", "300"]);
        for _ in 0..self.steps {
            tails.ensure(cli, if rng.random_ratio(1, 3) { 2 } else { 1 });
            fills.ensure(cli, if rng.random_ratio(1, 3) { 2 } else { 1 });
            sleep(rng.random_range(200..2000)).await;
            let crew = if rng.random_ratio(3, 5) {
                &mut tails
            } else {
                &mut fills
            };
            crew.strike(&mut rng, cli).await;
        }
        tails.ensure(cli, 1);
        fills.give_up().await;
        let status = cli.status().await;
        eprintln!(
            "after the last strike: {}, {} items read, tombstones {}",
            status["phase"], status["scanned"], status["tombstones"]["phase"]
        );
        // Its end is several steps: the last writes land, tombstones go off, the sweep, the record.
        fills.ensure(cli, 1);
        sleep(rng.random_range(1500..6000)).await;
        fills.give_up().await;
        cli.succeed(&["backfill"]).await;
        cli.succeed(&["backfill"]).await;
        let tail = tails.running.swap_remove(0);
        tails.give_up().await;
        tail
    }
}

impl Crew {
    fn of(words: &'static [&'static str]) -> Self {
        Self {
            words,
            running: Vec::new(),
        }
    }

    /// Starts processes until there are as many as wanted. One that ended by itself was successful.
    fn ensure(&mut self, cli: &Cli, wanted: usize) {
        while self.running.len() < wanted {
            self.running.push(cli.start(self.words));
        }
    }

    /// Kills one, or holds it up for longer than its lease.
    async fn strike(&mut self, rng: &mut StdRng, cli: &Cli) {
        let Some(last) = self.running.len().checked_sub(1) else {
            return;
        };
        let mut victim = self.running.swap_remove(rng.random_range(0..=last));
        if victim.has_ended() {
            victim.end().await.with_code(self.words, 0);
            return;
        }
        if rng.random_ratio(1, 6) {
            victim.signal("STOP");
            self.ensure(cli, 1);
            sleep(LEASE_SECONDS * 1000 + rng.random_range(500..2500)).await;
            victim.signal("CONT");
            self.running.push(victim);
        } else {
            victim.kill().await;
        }
    }

    async fn give_up(&mut self) {
        for running in self.running.drain(..) {
            running.kill().await;
        }
    }
}

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

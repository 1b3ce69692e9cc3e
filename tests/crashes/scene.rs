//! One split on an engine, from `apply` to `complete`.

use std::time::Duration;

use crate::crashes::reserved_items::ReservedItems;
use crate::support::mutator::{Habits, Mutator};
use crate::support::process::{Cli, Done, Running};
use crate::support::stage::{Stage, seed};
use crate::support::trial::{Mode, Stamps};
use crate::support::{Engine, contents};

/// Few keys for each writer, so that histories are long: half of the writes go to a tenth of the keys.
pub const HABITS: Habits = Habits {
    keys: 160,
    writers: 4,
    pause: Duration::from_millis(50),
    backwards: 25,
};

/// For several scenes at once on a small machine: an engine that does not answer in time proves nothing.
pub const CALM: Habits = Habits {
    writers: 2,
    pause: Duration::from_millis(80),
    ..HABITS
};

/// A split.
pub struct Scene {
    pub stage: Stage,
    pub writers: Mutator,
}

impl Scene {
    /// A source with writers at work. Without a stream where `apply` has to switch it on.
    pub async fn open(engine: Engine, mode: Mode, stream: bool) -> Self {
        let stage = Stage::seeded(engine, mode, seed(), stream).await;
        let writers = stage.write(CALM).await;
        Self { stage, writers }
    }

    /// Commands for its plan.
    pub fn cli(&self) -> &Cli {
        &self.stage.cli
    }

    /// Its own items.
    pub fn reserved_items(&self) -> ReservedItems<'_> {
        ReservedItems::of(&self.stage)
    }

    /// A tail that runs, with its places pinned.
    pub async fn tail(&self) -> Running {
        let tail = self.cli().start(&["replicate"]);
        self.cli().until_captured().await;
        tail
    }

    /// The writers stop; everything is applied, equal and verified; then the split ends, and leaves nothing behind.
    /// Answers how often the writers wrote.
    pub async fn end(self, tail: Running) -> u64 {
        let writes = self.writers.stop().await;
        let cli = &self.stage.cli;
        cli.until_caught_up().await;
        self.stage
            .trial
            .assert_equal(&self.stage.client, Stamps::Stripped)
            .await;
        succeed_soon(cli, &["verify"]).await;
        finish(&self.stage, tail, &["complete", "--yes", "--quiet-for", "1"]).await;
        writes
    }
}

/// Ends a verified split, and looks at what is left.
pub async fn finish(stage: &Stage, tail: Running, words: &[&str]) {
    stage.cli.succeed(words).await;
    tail.end().await.with_code(&["replicate"], 0);
    stage.trial.assert_equal(&stage.client, Stamps::Gone).await;
    assert_nothing_left(stage).await;
}

/// No target holds an attribute of the product's own.
pub async fn assert_nothing_left(stage: &Stage) {
    let trial = &stage.trial;
    for table in [&trial.orders, &trial.invoices, &trial.names] {
        for (key, item) in contents::read(&stage.client, table).await {
            let reserved = item.keys().find(|name| name.starts_with("dynasplit:"));
            assert!(reserved.is_none(), "{table} holds {reserved:?} at {key:?}");
        }
    }
}

/// Runs a command that must succeed, but may find that a dead process's lease has to run out first.
pub async fn succeed_soon(cli: &Cli, words: &[&str]) -> Done {
    end_soon(cli, words, &[0]).await
}

/// The same, of a command that may end with other codes as well.
pub async fn end_soon(cli: &Cli, words: &[&str], codes: &[i32]) -> Done {
    for _ in 0..8 {
        let done = cli.run(words).await;
        if done.code.is_some_and(|code| codes.contains(&code)) {
            return done;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    cli.succeed(words).await
}

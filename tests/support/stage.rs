//! An engine with a trial on it, and commands for its plan.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use tempfile::TempDir;

use super::mutator::{Habits, Mutator};
use super::process::Cli;
use super::trial::{Mode, Trial};
use super::{Engine, table};

/// Takeovers come after this; what was started while the machine is busy must not lose its lease all the time.
pub const LEASE_SECONDS: u64 = 2;

/// An engine with a trial on it.
pub struct Stage {
    /// The engine.
    pub engine: Engine,
    /// Its client.
    pub client: Client,
    /// The trial.
    pub trial: Trial,
    /// Commands for its plan.
    pub cli: Cli,
    /// Decides on everything but the timing.
    pub seed: u64,
    directory: TempDir,
}

impl Stage {
    /// Creates the source, with its stream, and writes the plan. Nothing else is on the engine yet.
    pub async fn set(engine: Engine, mode: Mode) -> Self {
        Self::seeded(engine, mode, seed(), true).await
    }

    /// As [`Stage::set`], with a seed, and with or without a stream.
    pub async fn seeded(engine: Engine, mode: Mode, seed: u64, stream: bool) -> Self {
        let trial = Trial::new(mode);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cli = Cli::new(
            trial.write_plan(directory.path()),
            engine.endpoint(),
            LEASE_SECONDS,
        );
        let client = engine.dynamodb();
        table::create_with(&client, &trial.source, &[table::PK, table::SK], stream).await;
        eprintln!("{mode:?} on {:?}: DYNASPLIT_SEED={seed}", engine.kind());
        Self {
            engine,
            client,
            trial,
            cli,
            seed,
            directory,
        }
    }

    /// Fills the source and lets writers write.
    pub async fn write(&self, habits: Habits) -> Mutator {
        Mutator::start(&self.client, &self.trial.source, habits, self.seed).await
    }

    /// Commands for another text of the plan, as somebody may have edited it.
    pub fn edited(&self, from: &str, to: &str) -> Cli {
        let plan = self.trial.plan();
        assert!(plan.contains(from), "the plan has {from:?}");
        let path = self.directory.path().join("edited.yaml");
        std::fs::write(&path, plan.replace(from, to)).expect("the plan is written");
        self.cli.with_plan(path)
    }
}

/// The seed that is given by `DYNASPLIT_SEED`, or one by the clock.
pub fn seed() -> u64 {
    let given = std::env::var("DYNASPLIT_SEED").ok();
    given.map_or_else(
        || {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("a clock past 1970");
            u64::from(now.subsec_nanos())
        },
        |text| text.parse().expect("DYNASPLIT_SEED is a number"),
    )
}

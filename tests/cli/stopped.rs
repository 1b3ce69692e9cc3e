//! Ctrl-C while a command waits for its engine: it ends soon, and says that it was interrupted.

use crate::shell::{Running, Shell};
use crate::support::scripted::{Answer, Scripted};
use crate::tables::PLAN;
use std::time::{Duration, Instant};

const COMMANDS: [&str; 12] = [
    "init Learning",
    "apply plan.yaml",
    "replicate plan.yaml",
    "backfill plan.yaml",
    "heal plan.yaml --from-exports --to s3://bucket/heal --yes",
    "status plan.yaml",
    "dead-letters list plan.yaml",
    "dead-letters reconcile plan.yaml",
    "ledger show plan.yaml",
    "complete plan.yaml --yes",
    "plan plan.yaml",
    "verify plan.yaml",
];
/// Far below what the requests would go on for.
const SOON: Duration = Duration::from_secs(25);

/// Interrupts all commands once each has asked, which is when all have.
fn interrupted(engine: &Scripted) {
    let shell = Shell::new(PLAN).at(engine.endpoint());
    for line in COMMANDS {
        let before = engine.asked().len();
        let running: Running = shell.start(line);
        let began = Instant::now();
        while engine.asked().len() == before {
            assert!(began.elapsed() < Duration::from_secs(60), "`{line}` asks nothing");
            std::thread::sleep(Duration::from_millis(20));
        }
        running.interrupt();
        let since = Instant::now();
        let said = running.end().ended(4);
        assert!(since.elapsed() < SOON, "{:?}: {}", since.elapsed(), said.shown());
        assert!(
            said.stderr
                .contains("interrupted; run the same command to continue"),
            "{}",
            said.shown()
        );
        assert_eq!(said.stdout, "");
    }
}

#[test]
fn on_an_engine_that_answers_nothing_but_errors() {
    interrupted(&Scripted::start(|_| Answer {
        status: 500,
        ..Answer::error("InternalServerError", "Internal server error")
    }));
}

#[test]
fn on_an_engine_that_throttles() {
    interrupted(&Scripted::start(|_| {
        Answer::error("ThrottlingException", "Rate exceeded")
    }));
}

#[test]
fn on_an_engine_that_never_answers() {
    interrupted(&Scripted::start(|_| {
        std::thread::sleep(Duration::from_secs(60));
        Answer::error("InternalServerError", "too late")
    }));
}

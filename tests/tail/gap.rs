//! Records that were forgotten before they were read: a gap is a state with a way out.

use std::time::Duration;

use dynasplit::state::{SplitRecord, Store};

use crate::support::Engine;
use crate::support::age::set_back;
use crate::support::long::in_the_long_run;
use crate::support::mutator::Habits;
use crate::support::process::{lanes, obstacles};
use crate::support::stage::Stage;
use crate::support::table::{self, item, key, number, text};
use crate::support::trial::{Mode, Stamps};

const HOUR_MS: u64 = 3_600_000;
const HABITS: Habits = Habits {
    keys: 200,
    writers: 2,
    pause: Duration::from_millis(40),
    backwards: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_without_a_worker_is_a_gap_and_the_tail_is_restarted() {
    in_the_long_run!(a_day_without_a_worker_is_a_gap_and_the_tail_is_restarted);
    let stage = Stage::set(Engine::genuine_dedicated().await, Mode::Sequence).await;
    let (client, cli) = (&stage.client, &stage.cli);
    let mutator = stage.write(HABITS).await;
    let tail = cli.begin().await;
    cli.succeed(&["backfill"]).await;
    mutator.stop().await;
    cli.until_caught_up().await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);

    // What is written now is forgotten before anybody reads it: a put, a change, and removals.
    write_unseen(&stage).await;
    stage.engine.dilate(25 * HOUR_MS).await;
    set_back(&stage, 25 * HOUR_MS).await;

    let old = cli.start(&["replicate"]);
    let status = cli
        .until("the gap", |status| {
            lanes(status).all(|lane| lane["gap"].is_string())
        })
        .await;
    assert!(obstacles(&status).contains("--restart-tail"), "{status:#}");
    let refused = cli
        .run(&["complete", "--yes", "--quiet-for", "1"])
        .await
        .with_code(&["complete"], 3);
    assert!(refused.stderr.contains("gap in orders"), "{}", refused.stderr);

    // The way out, while the old worker still runs: it follows to the new generation.
    let new = cli.start(&["replicate", "--restart-tail"]);
    let status = cli
        .until("a tail without a gap", |status| {
            lanes(status).all(|lane| lane["gap"].is_null() && lane["lag_ms"].is_u64())
        })
        .await;
    assert!(obstacles(&status).contains("a repair is mandatory"), "{status:#}");
    let store = Store::new(client.clone(), &stage.trial.state_table());
    let record = SplitRecord::read(&store).await.expect("a record").value;
    assert_eq!(record.streams.len(), 2, "a generation of its own");
    assert!(record.repair_required.is_some());

    let order = [("kind", text("order")), ("at", number(9)), ("name", text("late"))];
    table::put(client, &stage.trial.source, item("ACC#900", "DOC#2", order)).await;
    new.kill().await;
    // The old worker serves the new generation alone.
    cli.until_caught_up().await;
    let found = cli.run(&["verify"]).await.with_code(&["verify"], 3);
    assert!(found.stdout.contains("missing"), "{}", found.stdout);
    cli.run(&["verify", "--repair"]).await;
    cli.succeed(&["verify"]).await;
    stage.trial.assert_equal(client, Stamps::Stripped).await;
    let status = cli.status().await;
    assert!(!obstacles(&status).contains("mandatory"), "{status:#}");
    old.signal("TERM");
    old.end().await.with_code(&["replicate"], 0);
}

/// Writes of every kind; the source holds keys of the writers by now.
async fn write_unseen(stage: &Stage) {
    let (client, source) = (&stage.client, &stage.trial.source);
    let order = |name| [("kind", text("order")), ("at", number(1)), ("name", text(name))];
    table::put(client, source, item("ACC#900", "DOC#1", order("unseen"))).await;
    for index in 0..50 {
        let (pk, sk) = (format!("ACC#{}", index / 7), format!("DOC#{index}"));
        if index % 2 == 0 {
            table::delete(client, source, key(&pk, &sk)).await;
        } else {
            table::put(client, source, item(&pk, &sk, order("changed"))).await;
        }
    }
}

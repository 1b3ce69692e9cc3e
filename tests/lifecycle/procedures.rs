//! The procedures of docs/cutover.md, as they stand there.

use super::switched::{COMPLETE, HABITS};
use crate::support::long::in_the_long_run;
use crate::support::stage::Stage;
use crate::support::table::{self, item, key, number, text};
use crate::support::trial::{Mode, Stamps};
use crate::support::{Engine, contents};

/// "A shorter stop": verify before the fence, then only the drain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shorter_stop() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let (client, cli, trial) = (&stage.client, &stage.cli, &stage.trial);
    let mutator = stage.write(HABITS).await;
    let tail = cli.begin().await;
    cli.succeed(&["backfill"]).await;
    // While writes go on.
    cli.succeed(&["verify"]).await;
    // The fence.
    mutator.stop().await;
    for service in ["orders", "invoices", "names"] {
        cli.succeed(&["switched", "--service", service]).await;
    }
    trial.assert_equal(client, Stamps::Stripped).await;
    // From now on, the services write their own tables.
    let own = item("ACC#own", "DOC#own", [("kind", text("order")), ("at", number(1))]);
    table::put(client, &trial.orders, own).await;
    let before = contents::read(client, &trial.names).await;
    cli.succeed(&["verify"]).await;
    let status = cli.status().await;
    assert!(
        status["next"]
            .as_str()
            .is_some_and(|next| next.contains("complete")),
        "{status:#}"
    );
    cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
    let own = table::get(client, &trial.orders, key("ACC#own", "DOC#own")).await;
    assert!(own.is_some(), "what the service wrote is there");
    assert_eq!(contents::read(client, &trial.names).await.len(), before.len());
}

/// "Disabling the stream", and the way back from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turning_back_after_the_stream_was_disabled() {
    in_the_long_run!(turning_back_after_the_stream_was_disabled);
    let stage = Stage::set(Engine::genuine().await, Mode::Timestamp).await;
    let (client, cli, trial) = (&stage.client, &stage.cli, &stage.trial);
    let mutator = stage.write(HABITS).await;
    let tail = cli.begin().await;
    cli.succeed(&["backfill"]).await;
    mutator.stop().await;
    table::disable_stream(client, &trial.source).await;
    tail.end().await.with_code(&["replicate"], 0);
    // Something is missed after all.
    let missed = item(
        "ACC#1",
        "DOC#missed",
        [("kind", text("order")), ("at", number(5))],
    );
    table::put(client, &trial.source, missed).await;
    cli.succeed(&["apply", "--enable-stream"]).await;
    let tail = cli.start(&["replicate", "--restart-tail"]);
    cli.until_captured().await;
    // The fence is lifted.
    let later = item("ACC#1", "DOC#later", [("kind", text("order")), ("at", number(6))]);
    table::put(client, &trial.source, later).await;
    cli.until_caught_up().await;
    let words = ["verify", "--repair"];
    cli.run(&words).await.with_code(&words, 3);
    cli.succeed(&["verify"]).await;
    trial.assert_equal(client, Stamps::Stripped).await;
    cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
    trial.assert_equal(client, Stamps::Gone).await;
}

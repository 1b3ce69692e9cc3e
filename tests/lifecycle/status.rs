//! What `status` says of a backfill that does not run, and of lanes after a bulk copy.

use std::time::{Duration, Instant};

use crate::support::Engine;
use crate::support::process::{LIMIT, lanes};
use crate::support::stage::{Stage, seed};
use crate::support::table::{self, item, number, text};
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_says_since_when_no_backfill_runs() {
    let stage = Stage::seeded(Engine::embedded().await, Mode::Sequence, seed(), false).await;
    let cli = &stage.cli;
    for n in 0..40 {
        let fields = [("kind", text("order")), ("at", number(n))];
        table::put(
            &stage.client,
            &stage.trial.source,
            item(&format!("ACC#{n}"), "DOC#1", fields),
        )
        .await;
    }
    let tail = cli.begin().await;
    let words = ["backfill", "--order", "bulk"];
    // Slow, so that it gives a sign of life before it dies.
    let faults = "bulk.put.before@*=delay:700,backfill.checkpoint.after@5=kill";
    let killed = cli
        .armed(faults)
        .run(&[&words[..], &["--workers", "1"]].concat())
        .await;
    assert!(killed.killed_at().is_some(), "{}", killed.stderr);
    let began = Instant::now();
    // A process that is gone counts as running until its last sign of life is 15 s old.
    let status = loop {
        let status = cli.succeed(&["status"]).await.stdout;
        if status.contains("no process has worked on it") {
            break status;
        }
        assert!(began.elapsed() < LIMIT, "{status}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(!status.contains(" left"), "no time left is shown: {status}");
    assert!(!status.contains("lag by"), "that is what the copy does: {status}");
    assert!(status.contains("a bulk copy holds the lanes"), "{status}");

    cli.succeed(&words).await;
    // At once, although the lanes have saved nothing since.
    let status = cli.status().await;
    for lane in lanes(&status) {
        assert!(
            lane["blocked"].is_null() && lane["limit"]["limit"]["by"] != "held",
            "{status:#}"
        );
    }
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

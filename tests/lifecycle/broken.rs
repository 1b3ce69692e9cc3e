//! One service's table breaks: no other is held back, and the service catches up when it is fixed.

use std::time::Duration;

use serde_json::Value;

use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::mutator::Habits;
use crate::support::process::{lane, obstacles};
use crate::support::stage::Stage;
use crate::support::trial::{Mode, Stamps};

const HABITS: Habits = Habits {
    keys: 400,
    writers: 2,
    pause: Duration::from_millis(50),
    backwards: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_holds_back_no_other_service_and_loses_nothing() {
    in_the_long_run!(a_missing_table_holds_back_no_other_service_and_loses_nothing);
    let stage = Stage::set(Engine::genuine().await, Mode::Sequence).await;
    let (client, cli) = (&stage.client, &stage.cli);
    let tail = cli.begin().await;
    // It holds nothing yet: all that it should ever hold comes later.
    client
        .delete_table()
        .table_name(&stage.trial.invoices)
        .send()
        .await
        .expect("the table is deleted");
    let mutator = stage.write(HABITS).await;

    let status = cli
        .until("a lane that is shown as blocked", |status| {
            let blocked = lane(status, "invoices")["blocked"].to_string();
            blocked.contains("ResourceNotFoundException") && blocked.contains(&stage.trial.invoices)
        })
        .await;
    // More than the front of a shard keeps for a lane that does not move.
    let seen = |status: &Value, name: &str| lane(status, name)["counters"]["seen"].as_u64().unwrap_or(0);
    let before = seen(&status, "invoices");
    let status = cli
        .until("other lanes that go on", |status| {
            seen(status, "orders") > 1200 && seen(status, "names") > 1200
        })
        .await;
    assert_eq!(seen(&status, "invoices"), before, "it waits at its checkpoint");
    for name in ["orders", "names"] {
        let blocked = lane(&status, name)["blocked"].to_string();
        assert!(!blocked.contains("ResourceNotFound"), "{status:#}");
        assert!(
            lane(&status, name)["lag_ms"].as_u64() < Some(90_000),
            "this engine rounds times to the minute: {status:#}"
        );
    }

    // The backfill, too: every segment is done for the others, whatever is left for this one.
    let fill = cli.start(&["backfill", "--workers", "2"]);
    let status = cli
        .until("a backfill of the other services", |status| {
            ["orders", "names"]
                .iter()
                .all(|name| left(status, name) == Some(0))
        })
        .await;
    assert!(left(&status, "invoices") > Some(0), "{status:#}");
    assert_eq!(status["phase"], "backfilling");

    // `apply` creates it anew, and can't know that nothing was in it.
    cli.succeed(&["apply"]).await;
    let status = cli.status().await;
    assert!(obstacles(&status).contains("was missing"), "{status:#}");
    fill.end().await.with_code(&["backfill"], 0);
    mutator.stop().await;
    cli.until_caught_up().await;
    stage.trial.assert_equal(client, Stamps::Stripped).await;
    let free = |status: &Value| lane(status, "invoices")["blocked"].is_null();
    cli.until("an end of what held the lane up", free).await;
    cli.succeed(&["verify", "--repair"]).await;
    let status = cli.status().await;
    assert_eq!(obstacles(&status), "[]", "{status:#}");
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// Segments that the backfill has not done for a service.
fn left(status: &Value, name: &str) -> Option<u64> {
    let lanes = status["backfill"].as_array()?;
    let lane = lanes.iter().find(|lane| lane["lane"] == name)?;
    Some(lane["segments"].as_u64()? - lane["segments_done"].as_u64()?)
}

//! DynamoDB Local 3.3.0 gives a TTL delete an event name that the SDK does not know.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::TimeToLiveSpecification;

use crate::support::process::lane;
use crate::support::stage::Stage;
use crate::support::table::{self, item, number, text};
use crate::support::trial::{Mode, Stamps};
use crate::support::{Engine, contents};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_name_that_is_not_known_is_never_ignored() {
    let stage = Stage::set(Engine::genuine().await, Mode::Timestamp).await;
    let (client, source, cli) = (&stage.client, &stage.trial.source, &stage.cli);
    let tail = cli.begin().await;
    cli.succeed(&["backfill"]).await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock past 1970");
    let order = |expires| {
        [
            ("kind", text("order")),
            ("at", number(5)),
            ("expires", number(expires)),
        ]
    };
    for index in 0..5 {
        let order = order(now.as_secs() - 100 + 3600 * (index % 2));
        table::put(client, source, item("ACC#1", &format!("DOC#{index}"), order)).await;
    }
    cli.until("every item in its table", |status| {
        lane(status, "orders")["counters"]["put"].as_u64() >= Some(5)
    })
    .await;
    let on = TimeToLiveSpecification::builder()
        .attribute_name("expires")
        .enabled(true)
        .build()
        .expect("a whole specification");
    client
        .update_time_to_live()
        .table_name(source)
        .time_to_live_specification(on)
        .send()
        .await
        .expect("TTL is on");
    while contents::read(client, source).await.len() > 2 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    cli.until("the removals", |status| {
        lane(status, "orders")["counters"]["removed"].as_u64() >= Some(3)
    })
    .await;
    stage.trial.assert_equal(client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

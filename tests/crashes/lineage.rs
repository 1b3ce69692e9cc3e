//! A child shard must not begin before its parent's end is durable: or, after a crash, the parent's last records would
//! be applied again behind the child's.

use std::time::Instant;

use aws_sdk_dynamodb::Client;
use serde_json::Value;

use crate::support::Engine;
use crate::support::contents::{self, Plain};
use crate::support::faulty::{Fault, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::process::LIMIT;
use crate::support::stage::Stage;
use crate::support::table::{self, item, number, text};
use crate::support::trial::{Mode, Stamps};

/// Longer than a shard needs to be read.
const SLOW: &str = "state.shard.put.before@/2=delay:700";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_waits_for_its_parents_durable_end() {
    in_the_long_run!(a_child_waits_for_its_parents_durable_end);
    let stage = Stage::set(Engine::scripted(Script::quiet(1)).await, Mode::Sequence).await;
    let (client, cli) = (&stage.client, &stage.cli);
    let first = cli.begin().await;
    first.signal("TERM");
    first.end().await.with_code(&["replicate"], 0);

    // Each generation of shards has one item of its own, and one that all of them write.
    let stream = stage.engine.faults().stream(&stage.trial.source);
    for generation in 0..4 {
        let own = format!("DOC#{generation}");
        for document in [&*own, "DOC#all"] {
            let order = item(
                "ACC#1",
                document,
                [("kind", text("order")), ("at", number(generation))],
            );
            table::put(client, &stage.trial.source, order).await;
        }
        if generation < 3 {
            stream.roll_all().await;
        }
    }
    // It dies somewhere on the way, and goes on.
    let mut tail = cli
        .armed(&format!("{SLOW},state.shard.put.before@9=kill"))
        .start(&["replicate"]);
    let mut died = false;
    let began = Instant::now();
    loop {
        // In this order: what was applied was applied after its parents' ends were durable.
        let applied = generations(client, &stage.trial.orders).await;
        let ended = ended_shards(client, &stage.trial.state_table()).await;
        assert!(
            applied <= ended + 1,
            "generation {applied} was begun when {ended} parents had ended"
        );
        if applied == 4 {
            break;
        }
        if tail.has_ended() {
            assert!(tail.end().await.killed_at().is_some());
            died = true;
            tail = cli.armed(SLOW).start(&["replicate"]);
        }
        assert!(began.elapsed() < LIMIT, "{applied} generations were read");
    }
    assert!(died, "it should have died on the way");
    cli.until_caught_up().await;
    stage.trial.assert_equal(client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_outlives_a_lost_answer() {
    let lost = Rule::new(Fault::server_error(500))
        .on(&["DescribeStream"])
        .times(2);
    let stage = Stage::set(
        Engine::scripted(Script::quiet(1).rule(lost)).await,
        Mode::Sequence,
    )
    .await;
    stage.cli.succeed(&["apply"]).await;
    let tail = stage.cli.start(&["replicate"]);
    stage.cli.until_captured().await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// How many generations of shards have an item in the target.
async fn generations(client: &Client, orders: &str) -> usize {
    let held = contents::read(client, orders).await;
    let has = |generation: &usize| {
        let key = [
            Plain::Text("ACC#1".to_owned()),
            Plain::Text(format!("DOC#{generation}")),
        ];
        held.contains_key(key.as_slice())
    };
    (0..4).filter(has).count()
}

/// How many shards the orders' lane has ended, durably.
async fn ended_shards(client: &Client, state: &str) -> usize {
    let found = client
        .query()
        .table_name(state)
        .consistent_read(true)
        .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
        .expression_attribute_values(":pk", text("split"))
        .expression_attribute_values(":prefix", text("SHARD#"))
        .send()
        .await
        .expect("the state can be read");
    let ended = found.items().iter().filter(|item| {
        let record = item["record"].as_s().expect("a record");
        let record: Value = serde_json::from_str(record).expect("JSON");
        record["lanes"]["orders"]["position"]["at"] == "end"
    });
    ended.count()
}

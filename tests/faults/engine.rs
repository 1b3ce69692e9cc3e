//! The engine itself: it must do what the other tests rest on, and nothing else.

use std::collections::BTreeSet;

use crate::support::faulty::{FaultKind, Script};
use crate::support::table::{self, item, key, number};
use crate::support::{Engine, stream, unique};

#[tokio::test]
async fn records_of_an_item_keep_their_order_across_rolls_and_splits() {
    let engine = Engine::scripted(
        Script::quiet(7)
            .shards(2)
            .reshard_every(20)
            .listed_at_once(3)
            .records_at_once(7),
    )
    .await;
    let client = engine.dynamodb();
    let table = unique("source");
    table::create(&client, &table).await;
    for turn in 0..40 {
        for index in 0..10 {
            table::put(
                &client,
                &table,
                item("ACC#1", &format!("DOC#{index}"), [("turn", number(turn))]),
            )
            .await;
        }
        if turn % 10 == 0 {
            engine.faults().stream(&table).split_all().await;
        }
    }
    engine.faults().stream(&table).roll_all().await;
    assert!(
        engine.faults().count(FaultKind::Rolled) > 3,
        "{}",
        engine.faults().told()
    );
    assert!(
        engine.faults().count(FaultKind::Split) > 3,
        "{}",
        engine.faults().told()
    );

    let streams = engine.streams();
    let arn = stream::arn(&client, &table).await;
    let shards = stream::shards(&streams, &arn).await;
    assert!(shards.len() > 10, "more than a page: {}", shards.len());
    let parents: BTreeSet<&str> = shards
        .iter()
        .filter_map(|shard| shard.parent_shard_id())
        .collect();
    // Oldest first, so parents before their children: then each item's records are in the order of its writes.
    let mut last = std::collections::BTreeMap::new();
    let mut seen = 0;
    for shard in &shards {
        let iterator = stream::trim_horizon(&streams, &arn, stream::id(shard)).await;
        let (records, ended) = stream::drain(&streams, iterator, 3).await;
        assert_eq!(
            ended,
            parents.contains(stream::id(shard)),
            "only a closed shard ends"
        );
        assert_eq!(stream::range(shard).1.is_some(), ended);
        for record in records {
            let image = record
                .dynamodb()
                .and_then(|change| change.new_image())
                .expect("an image");
            let turn: u32 = image["turn"].as_n().expect("a number").parse().expect("a number");
            let name = image["SK"].as_s().expect("a text").clone();
            let before = last.insert(name, turn);
            assert!(
                before.is_none_or(|before| before + 1 == turn),
                "{before:?} then {turn}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 400, "every record is in one shard");
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_no_record() {
    let engine = Engine::scripted(Script::quiet(7)).await;
    let client = engine.dynamodb();
    let table = unique("source");
    table::create(&client, &table).await;
    let same = item("ACC#1", "DOC#1", [("turn", number(1))]);
    for _ in 0..3 {
        table::put(&client, &table, same.clone()).await;
    }
    table::delete(&client, &table, key("ACC#1", "DOC#1")).await;
    let arn = stream::arn(&client, &table).await;
    let streams = engine.streams();
    let shards = stream::shards(&streams, &arn).await;
    let iterator = stream::trim_horizon(&streams, &arn, stream::id(&shards[0])).await;
    let (records, _) = stream::drain(&streams, iterator, 2).await;
    assert_eq!(records.len(), 2, "the first put, and the removal");
    assert_eq!(engine.faults().count(FaultKind::NoChange), 2);
}

//! The engine itself: it must do what the other tests rest on, and nothing else.

use std::collections::BTreeSet;

use aws_sdk_dynamodbstreams::types::ShardIteratorType::{AfterSequenceNumber, AtSequenceNumber};
use aws_sdk_dynamodbstreams::types::{ShardFilter, ShardFilterType};

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

#[tokio::test]
async fn what_is_forgotten_is_refused_as_aws_refuses_it() {
    let engine = Engine::scripted(Script::quiet(7).records_at_once(2)).await;
    let (client, streams) = (engine.dynamodb(), engine.streams());
    let table = unique("source");
    table::create(&client, &table).await;
    for turn in 0..5 {
        table::put(&client, &table, item("ACC#1", "DOC#1", [("turn", number(turn))])).await;
    }
    let arn = stream::arn(&client, &table).await;
    let shard = stream::shards(&streams, &arn).await.remove(0);
    let id = stream::id(&shard).to_owned();
    let start = stream::range(&shard).0.expect("a starting number").to_owned();
    assert_eq!(start.len(), 21);
    let iterator = stream::trim_horizon(&streams, &arn, &id).await;
    let (records, next) = stream::page(&streams, &iterator).await.expect("a page");
    assert_eq!(records.len(), 2);
    let read = stream::sequence(&records[1]).to_owned();
    let commands = engine.faults().stream(&table);

    // Iterators expire; a place that is still kept is found again.
    commands.expire_iterators().await;
    let next = next.expect("an open shard");
    assert_eq!(
        stream::page(&streams, &next).await.map(drop),
        Err("ExpiredIteratorException".to_owned())
    );
    let again = stream::iterator_at(&streams, &arn, &id, AfterSequenceNumber, &read)
        .await
        .expect("an iterator");
    let (records, _) = stream::page(&streams, &again).await.expect("a page");
    assert_ne!(stream::sequence(&records[0]), read);

    // An open shard whose records are forgotten is still there, a closed one is not.
    assert_eq!(commands.trim(&id).await, 5);
    for place in [AtSequenceNumber, AfterSequenceNumber] {
        let refused = stream::iterator_at(&streams, &arn, &id, place, &read).await;
        assert_eq!(refused, Err("TrimmedDataAccessException".to_owned()));
    }
    assert_eq!(
        stream::page(&streams, &again).await.map(drop),
        Err("TrimmedDataAccessException".to_owned())
    );
    table::put(&client, &table, item("ACC#1", "DOC#1", [("turn", number(9))])).await;
    let horizon = stream::trim_horizon(&streams, &arn, &id).await;
    assert_eq!(stream::page(&streams, &horizon).await.expect("a page").0.len(), 1);
    commands.split(&id).await;
    let filter = ShardFilter::builder()
        .r#type(ShardFilterType::ChildShards)
        .shard_id(&id)
        .build();
    let children = streams
        .describe_stream()
        .stream_arn(&arn)
        .shard_filter(filter)
        .send()
        .await;
    let children = children
        .expect("an answer")
        .stream_description
        .expect("a description");
    let parents = children.shards().iter().map(|shard| shard.parent_shard_id());
    assert_eq!(parents.collect::<Vec<_>>(), [Some(id.as_str()); 2]);
    commands.trim(&id).await;
    let gone = stream::iterator_at(&streams, &arn, &id, AtSequenceNumber, &start).await;
    assert_eq!(gone, Err("ResourceNotFoundException".to_owned()));
    assert_eq!(
        stream::shards(&streams, &arn).await.len(),
        2,
        "only the children are listed"
    );
}

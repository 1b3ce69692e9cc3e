//! DynamoDB Local: shards that roll, age and are forgotten, and where it is not AWS.

use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::Tag;
use aws_sdk_dynamodbstreams::types::OperationType;
use aws_sdk_dynamodbstreams::types::ShardIteratorType::{AfterSequenceNumber, AtSequenceNumber};

use crate::engines::bench::{Bench, images, just_expired, sequences, switch_ttl_on};
use crate::support::table::{self, item, key, number};
use crate::support::{Engine, stream, unique};

const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn a_place_in_an_empty_shard_may_seem_trimmed_since_all_tables_share_one_counter() {
    let bench = Bench::on(Engine::genuine_dedicated().await).await;
    let shards = stream::shards(&bench.streams, &bench.arn).await;
    let (Some(start), None) = stream::range(&shards[0]) else {
        panic!("start and no end: {shards:?}")
    };
    let horizon = bench.horizon().await;
    assert!(
        bench
            .read_from(AtSequenceNumber, start)
            .await
            .expect("no record yet")
            .is_empty()
    );

    // Another table takes the number at which this shard was to begin; whoever pinned it there is told of a trim.
    table::create(&bench.tables, &unique("other")).await;
    bench.put("1", number(1)).await;
    assert_eq!(
        bench.page(&horizon).await.expect_err("passed over"),
        "TrimmedDataAccessException"
    );
    let refused = bench.read_from(AtSequenceNumber, start).await;
    assert_eq!(refused, Err("TrimmedDataAccessException".to_owned()));
    // Nothing is lost: a fresh iterator at the horizon has it, and a place after a record is never passed over.
    let records = bench.records().await;
    let [first] = sequences(&records)[..] else {
        panic!("one record: {records:?}")
    };
    assert!(first > start);
    table::create(&bench.tables, &unique("other")).await;
    bench.put("2", number(2)).await;
    assert_eq!(
        bench
            .read_from(AfterSequenceNumber, first)
            .await
            .expect("a page")
            .len(),
        1
    );
}

#[tokio::test]
async fn the_start_of_a_shard_is_read_at_and_not_after() {
    let bench = Bench::on(Engine::genuine_dedicated().await).await;
    let shards = stream::shards(&bench.streams, &bench.arn).await;
    let start = stream::range(&shards[0]).0.expect("a start");
    bench.put("1", number(1)).await;
    // With no other table, the start is the first record's own number.
    assert_eq!(
        bench.read_from(AtSequenceNumber, start).await.expect("read"),
        [start]
    );
    assert!(
        bench
            .read_from(AfterSequenceNumber, start)
            .await
            .expect("read")
            .is_empty()
    );
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_no_record() {
    let bench = Bench::on(Engine::genuine().await).await;
    bench.put("1", number(1)).await;
    bench.put("1", number(1)).await;
    bench.put("1", number("1.0")).await;
    table::delete(&bench.tables, &bench.table, key("a", "none")).await;
    assert_eq!(bench.records().await.len(), 1);
}

#[tokio::test]
async fn record_times_are_floored_to_the_minute() {
    let bench = Bench::on(Engine::genuine().await).await;
    bench.put("1", number(1)).await;
    let records = bench.records().await;
    let change = records[0].dynamodb().expect("a change");
    let at = change.approximate_creation_date_time().expect("a time");
    assert_eq!((at.secs() % 60, at.subsec_nanos()), (0, 0));
}

#[tokio::test]
async fn a_ttl_delete_has_an_event_name_that_the_sdk_does_not_know() {
    let bench = Bench::on(Engine::genuine().await).await;
    switch_ttl_on(&bench).await;
    bench.put("1", just_expired()).await;
    let mut records = Vec::new();
    // It takes about a second.
    for _ in 0..300 {
        records = bench.records().await;
        if records.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let removed = records.get(1).expect("the item expired");
    assert_eq!(
        removed.event_name().map(OperationType::as_str),
        Some("UNKNOWN_TO_SDK_VERSION")
    );
    assert!(removed.user_identity().is_none());
    assert_eq!(images(removed), (true, false));
}

#[tokio::test]
async fn tagging_is_an_unknown_operation() {
    let bench = Bench::on(Engine::genuine().await).await;
    let described = bench
        .tables
        .describe_table()
        .table_name(&bench.table)
        .send()
        .await
        .expect("described");
    let arn = described.table.and_then(|table| table.table_arn).expect("an ARN");
    let tag = Tag::builder().key("a").value("b").build().expect("a whole tag");
    let refused = bench
        .tables
        .tag_resource()
        .resource_arn(&arn)
        .tags(tag)
        .send()
        .await
        .expect_err("unknown");
    assert_eq!(refused.code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn a_stream_is_enabled_once_and_disabling_closes_its_shard_and_keeps_its_records() {
    let bench = Bench::on(Engine::genuine().await).await;
    assert_eq!(
        bench.set_stream(true).await,
        Err("ValidationException".to_owned())
    );
    bench.put("1", number(1)).await;
    bench.set_stream(false).await.expect("disabled");
    let (records, ended) = stream::drain(&bench.streams, bench.horizon().await, 3).await;
    assert_eq!((records.len(), ended), (1, true));
    bench.set_stream(true).await.expect("enabled");
    let next = stream::arn(&bench.tables, &bench.table).await;
    assert_ne!(next, bench.arn);
    let shards = stream::shards(&bench.streams, &next).await;
    let iterator = stream::trim_horizon(&bench.streams, &next, stream::id(&shards[0])).await;
    assert!(
        stream::drain(&bench.streams, iterator, 1).await.0.is_empty(),
        "a new stream begins empty"
    );
}

#[tokio::test]
async fn a_roll_closes_the_parent_and_gives_one_child_that_names_it() {
    let bench = Bench::on(Engine::genuine_dedicated().await).await;
    bench.put("1", number(1)).await;
    let before = bench.horizon().await;
    bench.engine.roll_shards().await;
    bench.put("2", number(2)).await;
    let shards = stream::shards(&bench.streams, &bench.arn).await;
    let [parent, child] = &shards[..] else {
        panic!("a parent and a child: {shards:?}")
    };
    assert_eq!(child.parent_shard_id(), Some(bench.shard.as_str()));
    let (_, Some(end)) = stream::range(parent) else {
        panic!("a closed parent: {parent:?}")
    };
    let (Some(start), None) = stream::range(child) else {
        panic!("an open child: {child:?}")
    };
    assert!(start > end, "a child begins after its parent");

    // An iterator from before the roll reads the parent to its end, where there is no next one.
    let (records, next) = bench.page(&before).await.expect("a page");
    assert_eq!((sequences(&records), next), (vec![end], None));
    let iterator = stream::trim_horizon(&bench.streams, &bench.arn, stream::id(child)).await;
    let (records, ended) = stream::drain(&bench.streams, iterator, 2).await;
    assert_eq!((sequences(&records), ended), (vec![start], false));
    // The filter is taken and answers nothing: children are found in the whole list only.
    assert!(bench.children(&bench.shard).await.is_empty());

    // An empty shard that was closed shows a range nevertheless, and ends at once.
    bench.engine.roll_shards().await;
    bench.engine.roll_shards().await;
    let shards = stream::shards(&bench.streams, &bench.arn).await;
    let (Some(start), Some(end)) = stream::range(&shards[2]) else {
        panic!("a closed shard: {shards:?}")
    };
    assert_eq!(start, end);
    let iterator = stream::trim_horizon(&bench.streams, &bench.arn, stream::id(&shards[2])).await;
    let (records, ended) = stream::drain(&bench.streams, iterator, 1).await;
    assert_eq!((records.len(), ended), (0, true));

    for _ in 0..100 {
        bench.engine.roll_shards().await;
    }
    let page = stream::describe(&bench.streams, &bench.arn).await;
    assert_eq!(page.shards().len(), 100);
    assert!(page.last_evaluated_shard_id().is_some());
    assert_eq!(stream::shards(&bench.streams, &bench.arn).await.len(), 104);
    assert!(
        bench.engine.abandon().await,
        "a JVM ends when the process that started it has gone, and leaves no file"
    );
}

#[tokio::test]
async fn time_expires_iterators_then_trims_records_then_forgets_shards() {
    let bench = Bench::on(Engine::genuine_dedicated().await).await;
    bench.put("1", number(1)).await;
    let iterator = bench.horizon().await;
    let records = bench.records().await;
    let first = stream::sequence(&records[0]);

    bench.engine.dilate(5 * HOUR_MS).await;
    assert_eq!(
        bench.page(&iterator).await.expect_err("5 h old"),
        "ExpiredIteratorException"
    );
    assert_eq!(
        bench
            .read_from(AtSequenceNumber, first)
            .await
            .expect("a position outlives iterators"),
        [first]
    );
    // Older than 4 hours, the shard has rolled. This record is in the child.
    bench.put("2", number(2)).await;
    let child = stream::id(&stream::shards(&bench.streams, &bench.arn).await[1]).to_owned();

    bench.engine.dilate(20 * HOUR_MS).await;
    // Still listed, and an iterator is given even at the horizon; reading says that it is gone.
    let shards = stream::shards(&bench.streams, &bench.arn).await;
    assert_eq!(stream::id(&shards[0]), bench.shard);
    assert_eq!(
        bench.page(&bench.horizon().await).await.expect_err("25 h old"),
        "TrimmedDataAccessException"
    );
    let trimmed = bench.read_from(AtSequenceNumber, first).await;
    assert_eq!(trimmed, Err("TrimmedDataAccessException".to_owned()));
    // The child, 20 hours old, is whole.
    let iterator = stream::trim_horizon(&bench.streams, &bench.arn, &child).await;
    let (records, ended) = stream::drain(&bench.streams, iterator, 1).await;
    assert_eq!((records.len(), ended), (1, true));

    bench.engine.dilate(25 * HOUR_MS).await;
    assert_eq!(
        bench.page(&bench.horizon().await).await.expect_err("50 h old"),
        "ResourceNotFoundException"
    );
}

#[tokio::test]
async fn an_update_that_creates_an_item_says_that_nothing_was_there() {
    let bench = Bench::on(Engine::genuine().await).await;
    assert_eq!(bench.set("1", number(1)).await, None);
    assert_eq!(
        bench.set("1", number(2)).await,
        Some(item("a", "1", [("value", number(1))]))
    );
}

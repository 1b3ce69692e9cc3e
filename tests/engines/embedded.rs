//! The embedded engine, where it is not AWS.

use aws_sdk_dynamodbstreams::types::OperationType;

use crate::engines::bench::{Bench, images, just_expired, sequences, switch_ttl_on};
use crate::support::table::{self, item, key, number};
use crate::support::{Engine, stream};

#[tokio::test]
async fn a_shard_has_no_start_before_a_record_and_an_end_while_it_is_open() {
    let bench = Bench::on(Engine::embedded().await).await;
    let range = || async { stream::shards(&bench.streams, &bench.arn).await.remove(0) };
    assert_eq!(stream::range(&range().await), (None, None));
    let latest = bench
        .page(&bench.horizon().await)
        .await
        .expect("a page")
        .1
        .expect("open");
    bench.put("1", number(1)).await;
    let shard = range().await;
    let (Some(start), Some(end)) = stream::range(&shard) else {
        panic!("start and end: {shard:?}")
    };
    assert_eq!(start, end);
    bench.put("2", number(2)).await;
    let (records, next) = bench.page(&latest).await.expect("a page");
    assert_eq!(sequences(&records)[0], start);
    assert!(
        records.len() == 2 && next.is_some(),
        "it goes on past the end that it showed"
    );
    // The filter is ignored: the shard would be its own child.
    assert_eq!(bench.children(&bench.shard).await, [bench.shard.as_str()]);
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_a_record() {
    let bench = Bench::on(Engine::embedded().await).await;
    bench.put("1", number(1)).await;
    bench.put("1", number(1)).await;
    table::delete(&bench.tables, &bench.table, key("a", "none")).await;
    let records = bench.records().await;
    assert_eq!(records.len(), 2);
    assert_eq!(images(&records[1]), (true, true));
}

#[tokio::test]
async fn a_disabled_stream_is_gone_and_its_records_come_back_in_the_next_one() {
    let bench = Bench::on(Engine::embedded().await).await;
    bench.set_stream(true).await.expect("enabling twice is taken");
    bench.put("1", number(1)).await;
    bench.set_stream(false).await.expect("disabled");
    let gone = bench
        .streams
        .describe_stream()
        .stream_arn(&bench.arn)
        .send()
        .await
        .expect_err("gone");
    assert_eq!(stream::error_code(&gone), "ResourceNotFoundException");
    bench.put("2", number(2)).await;
    bench.set_stream(true).await.expect("enabled");
    bench.put("3", number(3)).await;
    let next = stream::arn(&bench.tables, &bench.table).await;
    assert_ne!(next, bench.arn);
    let shards = stream::shards(&bench.streams, &next).await;
    let iterator = stream::trim_horizon(&bench.streams, &next, stream::id(&shards[0])).await;
    let (records, _) = stream::drain(&bench.streams, iterator, 1).await;
    // On AWS only the third write would be there. What was written in between is in neither.
    assert_eq!(records.len(), 2);
}

#[tokio::test]
async fn a_ttl_delete_waits_for_the_sweep_and_names_nobody_that_the_sdk_can_read() {
    let bench = Bench::on(Engine::embedded().await).await;
    switch_ttl_on(&bench).await;
    bench.put("1", just_expired()).await;
    assert_eq!(bench.records().await.len(), 1);
    assert_eq!(bench.engine.as_embedded().sweep_ttl().await.expect("swept"), 1);
    let records = bench.records().await;
    assert_eq!(records[1].event_name(), Some(&OperationType::Remove));
    let identity = records[1].user_identity().expect("an identity");
    assert_eq!((identity.r#type(), identity.principal_id()), (None, None));
}

#[tokio::test]
async fn an_update_that_creates_an_item_says_that_its_key_was_there() {
    let bench = Bench::on(Engine::embedded().await).await;
    // On AWS, nothing was there.
    assert_eq!(bench.set("1", number(1)).await, Some(key("a", "1")));
    assert_eq!(
        bench.set("1", number(2)).await,
        Some(item("a", "1", [("value", number(1))]))
    );
}

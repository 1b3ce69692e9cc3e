//! Shards and records as an engine gives them, in the SDK's own types: the tests of the tail compare with these.

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{Record, Shard, ShardIteratorType, StreamDescription};

/// The ARN of a table's newest stream.
///
/// # Panics
/// Where it has none.
pub async fn arn(client: &aws_sdk_dynamodb::Client, table: &str) -> String {
    let described = client
        .describe_table()
        .table_name(table)
        .send()
        .await
        .expect("the table can be described");
    described
        .table
        .and_then(|table| table.latest_stream_arn)
        .expect("the table has a stream")
}

/// The first page of a description: up to 100 shards.
pub async fn describe(client: &Client, arn: &str) -> StreamDescription {
    let described = client
        .describe_stream()
        .stream_arn(arn)
        .send()
        .await
        .expect("the stream can be described");
    described.stream_description.expect("a description")
}

/// All shards, in the order that the engine gives.
pub async fn shards(client: &Client, arn: &str) -> Vec<Shard> {
    let mut shards = Vec::new();
    let mut after = None;
    loop {
        let page = client
            .describe_stream()
            .stream_arn(arn)
            .set_exclusive_start_shard_id(after);
        let page = page
            .send()
            .await
            .expect("the stream can be described")
            .stream_description
            .expect("a description");
        shards.extend(page.shards.unwrap_or_default());
        after = page.last_evaluated_shard_id;
        if after.is_none() {
            return shards;
        }
    }
}

/// The identifier of a shard.
pub fn id(shard: &Shard) -> &str {
    shard.shard_id().expect("a shard has an identifier")
}

/// First and last sequence number that the engine gives for a shard.
pub fn range(shard: &Shard) -> (Option<&str>, Option<&str>) {
    let range = shard.sequence_number_range();
    (
        range.and_then(|r| r.starting_sequence_number()),
        range.and_then(|r| r.ending_sequence_number()),
    )
}

/// An iterator at a shard's oldest record.
pub async fn trim_horizon(client: &Client, arn: &str, shard: &str) -> String {
    let answer = client
        .get_shard_iterator()
        .stream_arn(arn)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await;
    answer.expect("an iterator").shard_iterator.expect("an iterator")
}

/// An iterator at, or after, a sequence number; or the name of the error.
pub async fn iterator_at(
    client: &Client,
    arn: &str,
    shard: &str,
    place: ShardIteratorType,
    sequence: &str,
) -> Result<String, String> {
    let answer = client
        .get_shard_iterator()
        .stream_arn(arn)
        .shard_id(shard)
        .shard_iterator_type(place)
        .sequence_number(sequence)
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer.shard_iterator.expect("an iterator")),
        Err(error) => Err(error_code(&error)),
    }
}

/// One page: its records, and the next iterator (none: the shard has ended); or the name of the error.
pub async fn page(client: &Client, iterator: &str) -> Result<(Vec<Record>, Option<String>), String> {
    match client.get_records().shard_iterator(iterator).send().await {
        Ok(page) => Ok((page.records.unwrap_or_default(), page.next_shard_iterator)),
        Err(error) => Err(error_code(&error)),
    }
}

/// Reads from an iterator on until the shard ends, or gives `patience` empty pages in a row. Says whether it ended.
///
/// # Panics
/// Where the engine refuses.
pub async fn drain(client: &Client, iterator: String, patience: usize) -> (Vec<Record>, bool) {
    let mut records = Vec::new();
    let mut empty = 0;
    let mut at = iterator;
    while empty < patience {
        let (found, next) = page(client, &at).await.expect("a page of records");
        empty = if found.is_empty() { empty + 1 } else { 0 };
        records.extend(found);
        match next {
            Some(next) => at = next,
            None => return (records, true),
        }
    }
    (records, false)
}

/// The sequence number of a record.
pub fn sequence(record: &Record) -> &str {
    record
        .dynamodb()
        .and_then(|change| change.sequence_number())
        .expect("a record has a sequence number")
}

/// The code of a service error, or the whole of another one.
pub fn error_code<E, R>(error: &aws_sdk_dynamodbstreams::error::SdkError<E, R>) -> String
where
    E: aws_sdk_dynamodbstreams::error::ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    use aws_sdk_dynamodbstreams::error::ProvideErrorMetadata as _;
    match error.as_service_error().and_then(|service| service.code()) {
        Some(code) => code.to_owned(),
        None => format!("{error:?}"),
    }
}

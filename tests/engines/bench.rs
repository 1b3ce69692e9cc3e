//! What the tests of every engine begin with: a table, its stream, its first shard.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, StreamSpecification, TimeToLiveSpecification};
use aws_sdk_dynamodbstreams::types::{Record, ShardFilter, ShardFilterType, ShardIteratorType};

use crate::support::table::{self, SdkItem, item, number};
use crate::support::{Engine, stream, unique};

/// A table with a stream on an engine, and the stream's first shard.
pub struct Bench {
    /// Where the table is.
    pub engine: Engine,
    /// Client of that engine's tables.
    pub tables: aws_sdk_dynamodb::Client,
    /// Client of its streams.
    pub streams: aws_sdk_dynamodbstreams::Client,
    /// Name of the table.
    pub table: String,
    /// The stream.
    pub arn: String,
    /// The stream's first shard.
    pub shard: String,
}

impl Bench {
    /// A new table on this engine.
    pub async fn on(engine: Engine) -> Self {
        let (tables, streams) = (engine.dynamodb(), engine.streams());
        let table = unique("engines");
        table::create(&tables, &table).await;
        let arn = stream::arn(&tables, &table).await;
        let shards = stream::shards(&streams, &arn).await;
        assert_eq!(shards.len(), 1, "a new stream has one shard");
        let shard = stream::id(&shards[0]).to_owned();
        Self {
            engine,
            tables,
            streams,
            table,
            arn,
            shard,
        }
    }

    /// One on each engine.
    pub async fn both() -> [Self; 2] {
        [
            Self::on(Engine::embedded().await).await,
            Self::on(Engine::genuine().await).await,
        ]
    }

    /// Sets the value of an item, whether there is one or not. Answers what the engine says that the item was before.
    pub async fn set(&self, sk: &str, value: AttributeValue) -> Option<SdkItem> {
        let update = self.tables.update_item().table_name(&self.table);
        let update = update
            .set_key(Some(table::key("a", sk)))
            .update_expression("SET #v = :v")
            .expression_attribute_names("#v", "value")
            .expression_attribute_values(":v", value)
            .return_values(ReturnValue::AllOld);
        update.send().await.expect("an update").attributes
    }

    /// Puts an item with this sort key and value.
    pub async fn put(&self, sk: &str, value: AttributeValue) {
        table::put(&self.tables, &self.table, item("a", sk, [("value", value)])).await;
    }

    /// An iterator at the oldest record of the first shard.
    pub async fn horizon(&self) -> String {
        stream::trim_horizon(&self.streams, &self.arn, &self.shard).await
    }

    /// One page, or the name of the error.
    pub async fn page(&self, iterator: &str) -> Result<(Vec<Record>, Option<String>), String> {
        stream::page(&self.streams, iterator).await
    }

    /// All records of the first shard.
    pub async fn records(&self) -> Vec<Record> {
        stream::drain(&self.streams, self.horizon().await, 1).await.0
    }

    /// The sequence numbers that an iterator at this place of the first shard reads, or the name of the error.
    pub async fn read_from(&self, place: ShardIteratorType, sequence: &str) -> Result<Vec<String>, String> {
        let iterator = stream::iterator_at(&self.streams, &self.arn, &self.shard, place, sequence).await?;
        let (records, _) = self.page(&iterator).await?;
        Ok(records
            .iter()
            .map(|record| stream::sequence(record).to_owned())
            .collect())
    }

    /// Switches the stream on or off; an error by its name.
    pub async fn set_stream(&self, on: bool) -> Result<(), String> {
        let off = || {
            StreamSpecification::builder()
                .stream_enabled(false)
                .build()
                .expect("a whole specification")
        };
        let specification = if on { table::both_images() } else { off() };
        let updated = self
            .tables
            .update_table()
            .table_name(&self.table)
            .stream_specification(specification);
        updated
            .send()
            .await
            .map(drop)
            .map_err(|error| error.code().unwrap_or_default().to_owned())
    }

    /// What the engine gives for the children of a shard, when it is asked for them alone.
    pub async fn children(&self, shard: &str) -> Vec<String> {
        let filter = ShardFilter::builder()
            .r#type(ShardFilterType::ChildShards)
            .shard_id(shard)
            .build();
        let described = self
            .streams
            .describe_stream()
            .stream_arn(&self.arn)
            .shard_filter(filter)
            .send()
            .await;
        let shards = described
            .expect("the filter is taken")
            .stream_description
            .and_then(|stream| stream.shards);
        shards
            .unwrap_or_default()
            .iter()
            .map(|shard| stream::id(shard).to_owned())
            .collect()
    }
}

/// The records' sequence numbers.
pub fn sequences(records: &[Record]) -> Vec<&str> {
    records.iter().map(stream::sequence).collect()
}

/// Whether there is an old image, and a new one.
pub fn images(record: &Record) -> (bool, bool) {
    let change = record.dynamodb().expect("a change");
    (change.old_image().is_some(), change.new_image().is_some())
}

/// A time that TTL acts on: past, but not more than five years.
pub fn just_expired() -> AttributeValue {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock past 1970");
    number(now.as_secs() - 100)
}

/// Makes items expire by their `value`.
pub async fn switch_ttl_on(bench: &Bench) {
    let on = TimeToLiveSpecification::builder()
        .attribute_name("value")
        .enabled(true)
        .build();
    let update = bench.tables.update_time_to_live().table_name(&bench.table);
    update
        .time_to_live_specification(on.expect("a whole specification"))
        .send()
        .await
        .expect("TTL is on");
}

//! The Streams API.

use serde_json::{Value as Json, json};

use super::refusal::Refusal;
use super::request::Request;
use super::stream::{Stream, arn_of};
use super::table::Table;
use super::{Arrival, Engine};

impl Engine {
    pub(super) fn describe_stream(&mut self, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["StreamArn", "ExclusiveStartShardId"])?;
        let (table, stream) = self.by_arn(request.text("StreamArn")?)?;
        let keys = table.describe(0)["KeySchema"].take();
        stream.describe(&table.name, &keys, request.optional("ExclusiveStartShardId"))
    }

    pub(super) fn shard_iterator(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let known = ["StreamArn", "ShardId", "ShardIteratorType", "SequenceNumber"];
        let request = Request::of(body, &known)?;
        let (_, stream) = self.by_arn(request.text("StreamArn")?)?;
        let iterator = stream.iterator(
            at.now_ms,
            request.text("ShardId")?,
            request.text("ShardIteratorType")?,
            request.optional("SequenceNumber"),
        )?;
        Ok(json!({ "ShardIterator": iterator }))
    }

    pub(super) fn get_records(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        let request = Request::of(body, &["ShardIterator", "Limit"])?;
        let iterator = request.text("ShardIterator")?;
        let (_, stream) = self.by_arn(arn_of(iterator))?;
        let limit = request
            .number("Limit")
            .and_then(|limit| usize::try_from(limit).ok());
        stream.records(at.now_ms, iterator, limit)
    }

    fn by_arn(&self, arn: &str) -> Result<(&Table, &Stream), Refusal> {
        let mut all = self.tables.values().flat_map(|table| {
            let streams = table.streams.iter();
            streams.map(move |stream| (table, stream))
        });
        let found = all.find(|(_, stream)| stream.arn == arn);
        found
            .ok_or_else(|| Refusal::missing(format!("Requested resource not found: Stream: {arn} not found")))
    }
}

//! Reads of the source's stream.

use super::lineage::Shard;
use crate::dynamo::{Failure, FailureKind, convert};
use crate::fault::{Rule, broken};
use crate::model::{
    Change, Images, Item, KeySchema, MarkImages, Marker, Origin, Position, RawRecord, SequenceNumber,
    strip_marks,
};
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{self as sdk, ShardIteratorType};
use std::sync::Arc;

/// Reads one stream.
#[derive(Clone, Debug)]
pub struct StreamSource {
    client: Client,
    arn: String,
    generation: u32,
    keys: KeySchema,
    /// Pages contain each record as the stream shows it, too.
    keeps_lines: bool,
}

/// A record, as a change.
#[derive(Clone, Debug)]
pub struct Record {
    /// Place in the shard.
    pub sequence: SequenceNumber,
    /// When the write happened, in milliseconds since 1970; rounded down to the second (DynamoDB Local: to the
    /// minute). Shows lag; never orders writes.
    pub created_ms: Option<u64>,
    /// The change, without marks of reverse writes.
    pub change: Arc<Change>,
    /// The marks of reverse writes.
    pub marks: MarkImages,
}

/// A record as the stream shows it, as one line of JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordLine {
    /// Place in the shard.
    pub sequence: SequenceNumber,
    /// When the write happened, as [`Record::created_ms`].
    pub created_ms: Option<u64>,
    /// The line, without its end.
    pub text: String,
}

impl RecordLine {
    /// The line of a record.
    #[must_use]
    pub fn of(raw: &RawRecord) -> Self {
        Self {
            sequence: raw.sequence.clone(),
            created_ms: raw.created_ms,
            text: raw.to_line(),
        }
    }
}

/// What a record of the stream is for the lanes.
#[derive(Clone, Debug)]
pub enum Read {
    /// A change of an item.
    Record(Record),
    /// The marker of a cutover. No lane sees it as an item.
    Marker(Marker),
}

impl Record {
    /// A record as the lanes see it: without marks, and no markers. Ignores the event name, because an engine may give an unknown
    /// one: the images show what happened.
    ///
    /// # Errors
    /// What is wrong, if the record is not one of a table with these keys.
    pub fn of(raw: RawRecord, keys: &KeySchema, generation: u32) -> Result<Read, String> {
        let RawRecord {
            sequence, created_ms, ..
        } = raw;
        let Some(key) = keys.key_of(&raw.keys) else {
            return Err(format!(
                "record {sequence}: its key does not have the plan's attributes"
            ));
        };
        let mut images = Images {
            old: raw.old,
            new: raw.new,
        };
        let whole = broken(Rule::Stripped).then(|| images.clone());
        let stripped = |image: &mut Option<Item>| image.as_mut().map(strip_marks).unwrap_or_default();
        let marks = MarkImages {
            old: stripped(&mut images.old),
            new: stripped(&mut images.new),
        };
        images = whole.unwrap_or(images);
        if images.old.is_none() && images.new.is_none() {
            return Err(format!(
                "record {sequence} has no images: the stream is not NEW_AND_OLD_IMAGES"
            ));
        }
        if let Some(marker) = Marker::of(&key).filter(|_| !broken(Rule::MarkersIgnored)) {
            return Ok(Read::Marker(marker));
        }
        let origin = Origin::Tail {
            generation,
            sequence: sequence.clone(),
        };
        Ok(Read::Record(Self {
            sequence,
            created_ms,
            change: Arc::new(Change { key, images, origin }),
            marks,
        }))
    }
}

/// The result of one read of a shard. Empty pages are normal, also before the tip.
#[derive(Debug)]
pub struct Page {
    /// Records of items, in the order of the shard. Markers of a cutover are none.
    pub records: Vec<Record>,
    /// The last record; `None` on an empty page.
    pub last: Option<SequenceNumber>,
    /// The last marker of a cutover on this page. No lane sees it as an item.
    pub marker: Option<Marker>,
    /// All records, those of markers among them, as the stream shows them. Empty unless the source keeps lines.
    pub lines: Vec<RecordLine>,
    /// To read on with, within 15 minutes; `None` at the end of a closed shard.
    pub next: Option<String>,
}

impl StreamSource {
    /// The stream of a table with this primary key.
    #[must_use]
    pub fn new(client: Client, arn: &str, generation: u32, keys: KeySchema) -> Self {
        Self {
            client,
            arn: arn.to_owned(),
            generation,
            keys,
            keeps_lines: false,
        }
    }

    /// The same, whose pages also contain each record as the stream shows it, for the ledger.
    #[must_use]
    pub fn keeping_lines(self, keeps_lines: bool) -> Self {
        Self { keeps_lines, ..self }
    }

    /// The ARN of the stream.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The primary key of the table.
    #[must_use]
    pub fn keys(&self) -> &KeySchema {
        &self.keys
    }

    /// The generation of the stream within the split.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Lists all shards, following every page.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn shards(&self) -> Result<Listing, Failure> {
        let mut shards = Vec::new();
        let mut from = None;
        loop {
            let answer = self
                .client
                .describe_stream()
                .stream_arn(&self.arn)
                .set_exclusive_start_shard_id(from)
                .send()
                .await
                .map_err(|error| Failure::of("dynamodb:DescribeStream", &self.arn, &error))?;
            let Some(description) = answer.stream_description else {
                return Err(self.odd("dynamodb:DescribeStream", "an answer without a description"));
            };
            // A stream that is being disabled may still grow.
            let enabled = description.stream_status != Some(sdk::StreamStatus::Disabled);
            shards.extend(
                description
                    .shards
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|shard| {
                        let range = shard.sequence_number_range;
                        Some(Shard {
                            id: shard.shard_id?,
                            parent: shard.parent_shard_id,
                            starting: range
                                .and_then(|range| range.starting_sequence_number)
                                .map(|number| SequenceNumber::new(&number)),
                        })
                    }),
            );
            from = description.last_evaluated_shard_id;
            if from.is_none() || broken(Rule::AllPages) {
                return Ok(Listing { shards, enabled });
            }
        }
    }

    /// Gets an iterator for a position. It lives 15 minutes, so it is never stored.
    ///
    /// # Errors
    /// [`FailureKind::Trimmed`] or [`FailureKind::Missing`] if the stream no longer keeps the position.
    pub async fn open(&self, shard: &str, position: &Position) -> Result<Option<String>, Failure> {
        let request = self
            .client
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(shard);
        let request = match position {
            Position::Beginning => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Position::At(_) if broken(Rule::Pinned) => request.shard_iterator_type(ShardIteratorType::Latest),
            Position::At(number) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .sequence_number(number.to_text()),
            Position::After(number) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(number.to_text()),
            Position::End => return Ok(None),
        };
        let answer = request.send().await.map_err(|error| {
            Failure::of(
                "dynamodb:GetShardIterator",
                format!("{} {shard}", self.arn),
                &error,
            )
        })?;
        Ok(answer.shard_iterator)
    }

    /// Reads a page, with at most `limit` records if a limit is given.
    ///
    /// # Errors
    /// [`FailureKind::ExpiredIterator`], [`FailureKind::Trimmed`], throttling, and others. A record that can't be
    /// read is also an error: it is never left out.
    pub async fn read(&self, iterator: &str, limit: Option<u32>) -> Result<Page, Failure> {
        let answer = self
            .client
            .get_records()
            .shard_iterator(iterator)
            .set_limit(limit.map(|records| i32::try_from(records).unwrap_or(i32::MAX)))
            .send()
            .await
            .map_err(|error| Failure::of("dynamodb:GetRecords", &self.arn, &error))?;
        let mut page = Page {
            records: Vec::new(),
            last: None,
            marker: None,
            lines: Vec::new(),
            next: answer.next_shard_iterator,
        };
        for record in answer.records.unwrap_or_default() {
            let raw = self.raw(record)?;
            page.last = Some(raw.sequence.clone());
            if self.keeps_lines {
                page.lines.push(RecordLine::of(&raw));
            }
            let read = Record::of(raw, &self.keys, self.generation);
            match read.map_err(|what| self.odd("dynamodb:GetRecords", &what))? {
                Read::Marker(marker) => page.marker = Some(marker),
                Read::Record(record) => page.records.push(record),
            }
        }
        Ok(page)
    }

    /// The record, as the stream shows it.
    fn raw(&self, record: sdk::Record) -> Result<RawRecord, Failure> {
        let odd = |what: &str| self.odd("dynamodb:GetRecords", what);
        let data = record.dynamodb.ok_or_else(|| odd("a record without content"))?;
        let sequence = data
            .sequence_number
            .as_deref()
            .map(SequenceNumber::new)
            .ok_or_else(|| odd("a record without number"))?;
        let read = |image: Option<_>| {
            image
                .map(convert::item_from_sdk)
                .transpose()
                .map_err(|error| odd(&format!("record {sequence}: {error}")))
        };
        let created_ms = data
            .approximate_creation_date_time
            .and_then(|at| u64::try_from(at.to_millis().ok()?).ok());
        Ok(RawRecord {
            keys: read(data.keys)?.unwrap_or_default(),
            old: read(data.old_image)?,
            new: read(data.new_image)?,
            event_id: record.event_id,
            event_name: record.event_name.map(|name| name.as_str().to_owned()),
            created_ms,
            size_bytes: data.size_bytes,
            by: record.user_identity.map(|by| (by.r#type, by.principal_id)),
            sequence,
        })
    }

    fn odd(&self, action: &'static str, what: &str) -> Failure {
        Failure {
            kind: FailureKind::Unknown,
            action: action.into(),
            resource: self.arn.clone(),
            code: "UnreadableAnswer".into(),
            message: what.to_owned(),
        }
    }
}

/// The shards that a stream shows.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Every shard that is not trimmed.
    pub shards: Vec<Shard>,
    /// The stream is on: new writes of the source arrive in it.
    pub enabled: bool,
}

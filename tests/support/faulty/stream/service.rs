//! The Streams API.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::lineage::Shard;
use super::{Generation, Habits, Streams, TableStream, member};
use crate::support::faulty::answer::Answer;
use crate::support::faulty::call::Call;
use crate::support::faulty::tally::Kind;

/// Where an iterator stands. Its text holds all of it, so that nobody has to remember it.
struct Iterator {
    arn: String,
    shard: String,
    from: u128,
    epoch: u64,
    born_ms: u64,
}

impl Streams {
    pub(super) async fn serve(&self, call: &Call) -> Result<Option<Answer>, String> {
        let Some(stream) = self.of(call.table()).await? else {
            return Ok(Some(not_found("Stream", call.table())));
        };
        let mut stream = stream.lock().await;
        stream.take_in(self).await?;
        let body = call.json();
        let answer = match call.operation.as_str() {
            "DescribeStream" => stream.describe(&body, &self.habits),
            "GetShardIterator" => stream.iterator(&body),
            _ => stream.records(&body, self),
        };
        Ok(Some(answer.unwrap_or_else(|refused| refused)))
    }
}

impl TableStream {
    fn generation(&self, arn: &str) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.arn == arn)
    }

    fn described(&self, body: &Value) -> Result<&Generation, Answer> {
        let arn = member(body, "StreamArn");
        self.generation(arn).ok_or_else(|| not_found("Stream", arn))
    }

    fn describe(&self, body: &Value, habits: &Habits) -> Result<Answer, Answer> {
        let generation = self.described(body)?;
        let filter = &body["ShardFilter"];
        let parent = match member(filter, "Type") {
            "CHILD_SHARDS" => Some(member(filter, "ShardId")),
            _ => None,
        };
        let after = body["ExclusiveStartShardId"].as_str();
        let at_most = body["Limit"].as_u64().map_or(habits.listed_at_once, |limit| {
            habits
                .listed_at_once
                .min(usize::try_from(limit).unwrap_or(usize::MAX))
        });
        let listed = generation.lineage.shards().iter().filter(|shard| {
            // Identifiers grow with time, so the place of one that is gone meanwhile is known too.
            let wanted = parent.is_none_or(|parent| shard.parent.as_deref() == Some(parent));
            shard.kept && wanted && after.is_none_or(|after| shard.id.as_str() > after)
        });
        let mut shards: Vec<&Shard> = listed.take(at_most + 1).collect();
        let more = shards.len() > at_most;
        shards.truncate(at_most);
        let last = shards.last().filter(|_| more).map(|shard| shard.id.clone());
        let mut description = json!({
            "StreamArn": generation.arn,
            "StreamLabel": generation.label,
            "StreamStatus": if generation.on { "ENABLED" } else { "DISABLED" },
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "TableName": self.table,
            "CreationRequestDateTime": 1_700_000_000,
            "KeySchema": [],
            "Shards": shards.into_iter().map(shown).collect::<Vec<_>>(),
        });
        if let Some(last) = last {
            description["LastEvaluatedShardId"] = last.into();
        }
        Ok(Answer::ok(&json!({ "StreamDescription": description })))
    }

    fn iterator(&self, body: &Value) -> Result<Answer, Answer> {
        let generation = self.described(body)?;
        let id = member(body, "ShardId");
        let shard = generation.lineage.shard(id).filter(|shard| shard.kept);
        let shard = shard.ok_or_else(|| not_found("Shard", id))?;
        let number = || {
            let text = member(body, "SequenceNumber");
            let fits = (21..=40).contains(&text.len());
            let number = text.parse::<u128>().ok().filter(|_| fits);
            number.ok_or_else(|| Answer::error("ValidationException", "Invalid SequenceNumber"))
        };
        let from = match member(body, "ShardIteratorType") {
            "TRIM_HORIZON" => shard.horizon(),
            "LATEST" => shard.tip(),
            "AT_SEQUENCE_NUMBER" => number()?,
            "AFTER_SEQUENCE_NUMBER" => number()? + 1,
            _ => return Err(Answer::error("ValidationException", "Invalid ShardIteratorType")),
        };
        // Of AFTER too: a place that is forgotten is one that cannot be found.
        if body.get("SequenceNumber").is_some() && shard.is_trimmed(number()?) {
            return Err(trimmed());
        }
        let foreign = from < shard.starting || shard.ending.is_some_and(|ending| from > ending);
        if foreign {
            return Err(Answer::error(
                "ValidationException",
                "Invalid SequenceNumber for the shard",
            ));
        }
        let iterator = Iterator {
            arn: generation.arn.clone(),
            shard: id.to_owned(),
            from,
            epoch: self.epoch,
            born_ms: now_ms(),
        };
        Ok(Answer::ok(&json!({ "ShardIterator": iterator.text() })))
    }

    fn records(&mut self, body: &Value, of: &Streams) -> Result<Answer, Answer> {
        let invalid = || Answer::error("ValidationException", "Invalid ShardIterator");
        let at = Iterator::parse(member(body, "ShardIterator")).ok_or_else(invalid)?;
        let age = u128::from(now_ms().saturating_sub(at.born_ms));
        if at.epoch < self.epoch || age > of.habits.iterators_live.as_millis() {
            return Err(expired());
        }
        let empty = self.empty_pages > 0;
        let generation = self.generation(&at.arn);
        let generation = generation.ok_or_else(|| not_found("Stream", &at.arn))?;
        let shard = generation
            .lineage
            .shard(&at.shard)
            .ok_or_else(|| not_found("Shard", &at.shard))?;
        if !shard.kept || shard.is_trimmed(at.from) {
            return Err(trimmed());
        }
        let limit = body["Limit"]
            .as_u64()
            .map_or(1000, |limit| usize::try_from(limit).unwrap_or(1000));
        let page = shard.page(at.from, limit.min(of.habits.records_at_once));
        if empty && !page.records.is_empty() {
            self.empty_pages -= 1;
            of.tally.add(Kind::EmptyPage);
            return Ok(Answer::with_status(200, empty_page(body)));
        }
        let next = page.next.map(|from| Iterator {
            from,
            epoch: self.epoch,
            born_ms: now_ms(),
            ..at
        });
        let mut text = String::from("{\"Records\":[");
        for (index, record) in page.records.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&record.text);
        }
        text.push(']');
        if let Some(next) = next {
            text.push_str(",\"NextShardIterator\":");
            text.push_str(&Value::String(next.text()).to_string());
        }
        text.push('}');
        Ok(Answer::with_status(200, text.into()))
    }
}

impl Iterator {
    fn text(&self) -> String {
        let Self {
            arn,
            shard,
            from,
            epoch,
            born_ms,
        } = self;
        format!("{arn}|{shard}|{from}|{epoch}|{born_ms}")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('|');
        Some(Self {
            arn: parts.next()?.to_owned(),
            shard: parts.next()?.to_owned(),
            from: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
            born_ms: parts.next()?.parse().ok()?,
        })
    }
}

/// A page without records that goes on where the asked one would have.
pub fn empty_page(body: &Value) -> hyper::body::Bytes {
    let same = &body["ShardIterator"];
    json!({ "Records": [], "NextShardIterator": same })
        .to_string()
        .into()
}

/// Whether an answer shows records.
pub fn has_records(body: &[u8]) -> bool {
    let page: Option<Value> = serde_json::from_slice(body).ok();
    page.is_some_and(|page| {
        page["Records"]
            .as_array()
            .is_some_and(|records| !records.is_empty())
    })
}

/// `ExpiredIteratorException`.
pub fn expired() -> Answer {
    Answer::error(
        "ExpiredIteratorException",
        "Iterator expired. The iterator was created more than 15 minutes ago.",
    )
}

fn trimmed() -> Answer {
    let message = "The operation attempted to read past the oldest stream record in a shard.";
    Answer::error("TrimmedDataAccessException", message)
}

fn not_found(what: &str, name: &str) -> Answer {
    let message = format!("Requested resource not found: {what}: {name} not found");
    Answer::error("ResourceNotFoundException", &message)
}

fn shown(shard: &Shard) -> Value {
    let mut range = json!({ "StartingSequenceNumber": shard.starting.to_string() });
    if let Some(ending) = shard.ending {
        range["EndingSequenceNumber"] = ending.to_string().into();
    }
    let mut shown = json!({ "ShardId": shard.id, "SequenceNumberRange": range });
    if let Some(parent) = &shard.parent {
        shown["ParentShardId"] = parent.as_str().into();
    }
    shown
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock past 1970");
    u64::try_from(now.as_millis()).expect("a clock before the year 500 million")
}

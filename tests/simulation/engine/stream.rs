//! The stream of a table: shards that split and roll, each with the records of its range of key hashes, in order.

use std::collections::VecDeque;

use serde_json::{Value as Json, json};

use super::refusal::Refusal;

/// Records in a page at most, and their bytes.
const PAGE_RECORDS: usize = 1000;
const PAGE_BYTES: usize = 1024 * 1024;
/// Between two sequence numbers.
const STEP: u128 = 7;
/// An iterator lives so long.
const ITERATOR_MS: u64 = 15 * 60 * 1000;
/// Shards in a page of a description.
const LISTED_AT_ONCE: usize = 3;

/// A stream under one ARN.
#[derive(Debug)]
pub struct Stream {
    pub arn: String,
    pub label: String,
    pub on: bool,
    /// From now on, a record is shown up to so much later than it was written. A shard keeps their order.
    pub late_ms: u64,
    /// Records in a page: fewer than AWS gives, so that little data makes many pages.
    page_records: usize,
    next: u128,
    shards: Vec<Shard>,
    /// Everything that was written: the shard, the number, the time, the record. Kept if somebody asks for it at last.
    log: Option<Vec<(String, u128, u64, Json)>>,
}

/// A part of a stream.
#[derive(Debug)]
struct Shard {
    id: String,
    parent: Option<String>,
    /// The first and the last hash whose records it takes.
    hashes: (u64, u64),
    starting: u128,
    ending: Option<u128>,
    closed_ms: Option<u64>,
    kept: bool,
    trimmed_to: Option<u128>,
    records: VecDeque<Record>,
}

#[derive(Debug)]
struct Record {
    number: u128,
    at_ms: u64,
    shown_ms: u64,
    bytes: usize,
    json: Json,
}

/// An image of an item before and after a write, with its key.
pub struct Written<'a> {
    pub hash: u64,
    pub keys: Json,
    pub old: Option<Json>,
    pub new: Option<Json>,
    pub bytes: usize,
    pub table: &'a str,
    /// TTL removed it.
    pub expired: bool,
}

impl Shard {
    /// Whether it takes records.
    fn is_open(&self) -> bool {
        self.ending.is_none()
    }
}

impl Stream {
    /// A stream with so many open shards. Later streams of a table have smaller numbers: nothing may be read into
    /// numbers of two streams.
    pub fn new(table: &str, generation: usize, shards: u64, page_records: usize) -> Self {
        let label = format!("2026-01-01T00:00:{generation:02}.000");
        let mut stream = Self {
            arn: format!("arn:aws:dynamodb:us-east-1:111122223333:table/{table}/stream/{label}"),
            label,
            on: true,
            late_ms: 0,
            page_records: page_records.min(PAGE_RECORDS),
            next: 900_000_000_000_000_000_000 / (1 + generation as u128),
            shards: Vec::new(),
            log: None,
        };
        let width = u64::MAX / shards;
        for place in 0..shards {
            let last = if place + 1 == shards {
                u64::MAX
            } else {
                (place + 1) * width - 1
            };
            stream.open(None, (place * width, last));
        }
        stream
    }

    fn number(&mut self) -> u128 {
        self.next += STEP;
        self.next
    }

    fn open(&mut self, parent: Option<String>, hashes: (u64, u64)) {
        let starting = self.number();
        let id = format!("shardId-{:020}-{:08x}", self.shards.len() + 1, hashes.0 >> 32);
        self.shards.push(Shard {
            id,
            parent,
            hashes,
            starting,
            ending: None,
            closed_ms: None,
            kept: true,
            trimmed_to: None,
            records: VecDeque::new(),
        });
    }

    /// The identifiers of open shards.
    pub fn open_shards(&self) -> Vec<String> {
        let open = self.shards.iter().filter(|shard| shard.is_open());
        open.map(|shard| shard.id.clone()).collect()
    }

    /// Appends a record to the shard of its hash.
    pub fn append(&mut self, now_ms: u64, written: Written<'_>) {
        let number = self.number();
        let kind = match (&written.old, &written.new) {
            (None, _) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
            (Some(_), None) => "REMOVE",
        };
        let mut change = json!({
            "ApproximateCreationDateTime": now_ms / 1000,
            "Keys": written.keys,
            "SequenceNumber": number.to_string(),
            "SizeBytes": written.bytes,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        });
        for (name, image) in [("OldImage", written.old), ("NewImage", written.new)] {
            if let Some(image) = image {
                change[name] = image;
            }
        }
        let mut json = json!({
            "eventID": format!("{}-{number}", written.table),
            "eventName": kind,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": change,
        });
        if written.expired {
            json["userIdentity"] = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
        }
        let late_ms = lateness(number, self.late_ms);
        let hash = written.hash;
        let shard = self
            .shards
            .iter_mut()
            .find(|shard| shard.is_open() && (shard.hashes.0..=shard.hashes.1).contains(&hash))
            .expect("the open shards cover every hash");
        if let Some(log) = &mut self.log {
            log.push((shard.id.clone(), number, now_ms, json.clone()));
        }
        shard.records.push_back(Record {
            number,
            at_ms: now_ms,
            shown_ms: if late_ms == 0 { 0 } else { now_ms + late_ms },
            bytes: written.bytes,
            json,
        });
    }

    fn close(&mut self, now_ms: u64, id: &str) -> Option<(u64, u64)> {
        let ending = self.number();
        let shard = self
            .shards
            .iter_mut()
            .find(|shard| shard.id == id && shard.is_open())?;
        shard.ending = Some(ending);
        shard.closed_ms = Some(now_ms);
        Some(shard.hashes)
    }

    /// Closes an open shard, and continues it by two. Says whether it was open.
    pub fn split_shard(&mut self, now_ms: u64, id: &str) -> bool {
        let Some((first, last)) = self.close(now_ms, id) else {
            return false;
        };
        let middle = first + (last - first) / 2;
        self.open(Some(id.to_owned()), (first, middle));
        self.open(Some(id.to_owned()), (middle + 1, last));
        true
    }

    /// From now on, everything that is written is kept for [`Stream::written`].
    pub fn keep_all(&mut self) {
        self.log.get_or_insert_default();
    }

    /// What was written to a shard: the number, the time and the record.
    pub fn written(&self, id: &str) -> impl Iterator<Item = (u128, u64, &Json)> {
        let all = self.log.iter().flatten();
        let of_shard = all.filter(move |(shard, ..)| shard == id);
        of_shard.map(|(_, number, at_ms, record)| (*number, *at_ms, record))
    }

    /// Whether a shard takes no records any more.
    pub fn is_closed(&self, id: &str) -> bool {
        self.shards.iter().any(|shard| shard.id == id && !shard.is_open())
    }

    /// Closes an open shard, and continues it by one. Says whether it was open.
    pub fn roll_shard(&mut self, now_ms: u64, id: &str) -> bool {
        let hashes = self.close(now_ms, id);
        if let Some(hashes) = hashes {
            self.open(Some(id.to_owned()), hashes);
        }
        hashes.is_some()
    }

    /// Switches the stream off: every shard ends, and can still be read.
    pub fn disable(&mut self, now_ms: u64) {
        self.on = false;
        for id in self.open_shards() {
            self.close(now_ms, &id);
        }
    }

    /// Forgets the records from before a time, and says how many. A closed shard without records is no longer listed.
    pub fn trim(&mut self, before_ms: u64) -> usize {
        let mut trimmed = 0;
        for shard in &mut self.shards {
            while let Some(record) = shard.records.front().filter(|record| record.at_ms < before_ms) {
                shard.trimmed_to = Some(record.number);
                shard.records.pop_front();
                trimmed += 1;
            }
            let is_old = shard.closed_ms.is_some_and(|closed_ms| closed_ms < before_ms);
            shard.kept &= !(is_old && shard.records.is_empty());
        }
        trimmed
    }

    fn kept(&self, id: &str) -> Result<&Shard, Refusal> {
        let found = self.shards.iter().find(|shard| shard.id == id && shard.kept);
        found.ok_or_else(|| {
            Refusal::missing(format!(
                "Requested resource not found: Shard: {id} does not exist"
            ))
        })
    }

    /// A page of the stream's description.
    pub fn describe(&self, table: &str, keys: &Json, after: Option<&str>) -> Result<Json, Refusal> {
        let listed: Vec<&Shard> = self.shards.iter().filter(|shard| shard.kept).collect();
        let from = match after {
            None => 0,
            Some(after) => {
                let place = listed.iter().position(|shard| shard.id == after);
                1 + place.ok_or_else(|| Refusal::missing(format!("the shard {after}")))?
            }
        };
        let page: Vec<&Shard> = listed.iter().skip(from).take(LISTED_AT_ONCE).copied().collect();
        let shards = page.iter().map(|shard| {
            let mut range = json!({ "StartingSequenceNumber": shard.starting.to_string() });
            if let Some(ending) = shard.ending {
                range["EndingSequenceNumber"] = json!(ending.to_string());
            }
            let mut told = json!({ "ShardId": shard.id, "SequenceNumberRange": range });
            if let Some(parent) = &shard.parent {
                told["ParentShardId"] = json!(parent);
            }
            told
        });
        let mut description = json!({
            "StreamArn": self.arn,
            "StreamLabel": self.label,
            "StreamStatus": if self.on { "ENABLED" } else { "DISABLED" },
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "TableName": table,
            "KeySchema": keys,
            "Shards": shards.collect::<Vec<_>>(),
        });
        if from + page.len() < listed.len()
            && let Some(last) = page.last()
        {
            description["LastEvaluatedShardId"] = json!(last.id);
        }
        Ok(json!({ "StreamDescription": description }))
    }

    /// An iterator: the ARN, the shard, the first sequence number to read, and when it was given.
    pub fn iterator(
        &self,
        now_ms: u64,
        id: &str,
        kind: &str,
        number: Option<&str>,
    ) -> Result<String, Refusal> {
        let shard = self.kept(id)?;
        let given = || -> Result<u128, Refusal> {
            let given = number.and_then(|number| number.parse::<u128>().ok());
            let number = given.ok_or_else(|| Refusal::invalid("a sequence number is missing"))?;
            if number < shard.starting || shard.ending.is_some_and(|ending| number > ending) {
                return Err(Refusal::invalid(format!("{number} is no place in {id}")));
            }
            Ok(number)
        };
        let first = match kind {
            "TRIM_HORIZON" => shard.trimmed_to.map_or(shard.starting, |trimmed| trimmed + 1),
            "AT_SEQUENCE_NUMBER" => given()?,
            "AFTER_SEQUENCE_NUMBER" => given()? + 1,
            "LATEST" => self.next + 1,
            other => return Err(Refusal::unsupported(format!("the iterator type {other}"))),
        };
        self.check_kept(shard, first)?;
        Ok(format!("{}|{id}|{first}|{now_ms}", self.arn))
    }

    /// A position right behind the last record that was forgotten has lost nothing.
    fn check_kept(&self, shard: &Shard, first: u128) -> Result<(), Refusal> {
        match shard.trimmed_to {
            Some(trimmed) if first <= trimmed => Err(Refusal::service(
                "TrimmedDataAccessException",
                "The operation attempted to read past the oldest stream record in a shard.",
            )),
            _ => Ok(()),
        }
    }

    /// A page of records, and the next iterator; none at the end of a closed shard.
    pub fn records(&self, now_ms: u64, iterator: &str, limit: Option<usize>) -> Result<Json, Refusal> {
        let parts: Vec<&str> = iterator.split('|').collect();
        let &[_, id, first, given_ms] = parts.as_slice() else {
            return Err(Refusal::invalid("Invalid ShardIterator"));
        };
        let (Ok(first), Ok(given_ms)) = (first.parse::<u128>(), given_ms.parse::<u64>()) else {
            return Err(Refusal::invalid("Invalid ShardIterator"));
        };
        if now_ms > given_ms + ITERATOR_MS {
            return Err(Refusal::service("ExpiredIteratorException", "Iterator expired"));
        }
        let shard = self.kept(id)?;
        self.check_kept(shard, first)?;
        let (mut page, mut bytes, mut next) = (Vec::new(), 0, first);
        let most = limit.unwrap_or(PAGE_RECORDS).min(self.page_records);
        let mut more = false;
        for record in shard.records.iter().filter(|record| record.number >= first) {
            if record.shown_ms > now_ms {
                more = true;
                break;
            }
            if page.len() == most || !page.is_empty() && bytes + record.bytes > PAGE_BYTES {
                more = true;
                break;
            }
            bytes += record.bytes;
            next = record.number + 1;
            page.push(record.json.clone());
        }
        let mut answer = json!({ "Records": page });
        if more || shard.is_open() {
            answer["NextShardIterator"] = json!(format!("{}|{id}|{next}|{now_ms}", self.arn));
        }
        Ok(answer)
    }
}

/// How much later a record is shown: most are shown soon.
fn lateness(number: u128, most_ms: u64) -> u64 {
    let hash = super::table::hash_of(&super::value::Value::S(number.to_string()));
    match hash % 4 {
        0 => (hash >> 8) % (most_ms + 1),
        _ => (hash >> 8) % (most_ms / 8 + 1),
    }
}

/// The ARN that an iterator begins with.
pub fn arn_of(iterator: &str) -> &str {
    iterator.split('|').next().unwrap_or_default()
}

//! A table: its key, its items in the order of a scan, and its stream.

use std::collections::BTreeMap;
use std::ops::Bound;

use bigdecimal::BigDecimal;
use serde_json::{Value as Json, json};

use super::policies::PolicyChange;
use super::refusal::Refusal;
use super::stream::{Stream, Written};
use super::value::{Item, Value, item_json, size_of_item};

/// Where an item lies: by the hash of its partition key, then by its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub hash: u64,
    pub partition: Value,
    pub sort: Option<Value>,
}

/// A key attribute: its name and its type.
#[derive(Clone, Debug)]
pub struct KeyPart {
    pub name: String,
    pub kind: String,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    pub name: String,
    /// No other table of this name has it.
    pub id: String,
    pub partition: KeyPart,
    pub sort: Option<KeyPart>,
    /// From then on it can be used.
    pub ready_ms: u64,
    pub created_ms: u64,
    pub deletion_protection: bool,
    pub ttl: Option<String>,
    pub items: BTreeMap<Place, Item>,
    /// It can be restored to each moment since then, and exported.
    pub restorable_from_ms: Option<u64>,
    /// Oldest first; only the last one can be on.
    pub streams: Vec<Stream>,
    /// Changes of its resource policy, oldest first.
    pub policies: Vec<PolicyChange>,
    /// What items were before their changes: when, where, and what.
    past: Vec<(u64, Place, Option<Item>)>,
}

/// A page of a scan.
pub struct Page {
    pub items: Vec<Item>,
    pub bytes: usize,
    pub last: Option<Place>,
}

impl Table {
    /// An empty table.
    pub fn new(
        name: &str,
        partition: KeyPart,
        sort: Option<KeyPart>,
        created_ms: u64,
        ready_ms: u64,
    ) -> Self {
        Self {
            name: name.to_owned(),
            id: String::new(),
            partition,
            sort,
            created_ms,
            ready_ms,
            deletion_protection: false,
            ttl: None,
            items: BTreeMap::new(),
            restorable_from_ms: None,
            streams: Vec::new(),
            policies: Vec::new(),
            past: Vec::new(),
        }
    }

    /// Its ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:dynamodb:us-east-1:111122223333:table/{}", self.name)
    }

    fn parts(&self) -> impl Iterator<Item = &KeyPart> {
        std::iter::once(&self.partition).chain(&self.sort)
    }

    /// The key of an item.
    pub fn key_of(&self, item: &Item) -> Result<Item, Refusal> {
        self.parts()
            .map(|part| match item.get(&part.name) {
                Some(value) if value.kind() == part.kind && *value != Value::S(String::new()) => {
                    Ok((part.name.clone(), value.clone()))
                }
                other => Err(Refusal::invalid(format!(
                    "One or more parameter values were invalid: the key {} is {other:?}",
                    part.name
                ))),
            })
            .collect()
    }

    /// Where an item lies.
    pub fn place_of(&self, item: &Item) -> Result<Place, Refusal> {
        let key = self.key_of(item)?;
        let partition = key[&self.partition.name].clone();
        Ok(Place {
            hash: hash_of(&partition),
            partition,
            sort: self.sort.as_ref().map(|sort| key[&sort.name].clone()),
        })
    }

    /// Where a key lies, which has the key's attributes and nothing else.
    pub fn place_of_key(&self, key: &Item) -> Result<Place, Refusal> {
        if key.len() != self.parts().count() {
            return Err(Refusal::invalid(
                "The provided key element does not match the schema",
            ));
        }
        self.place_of(key)
    }

    /// The key of a place.
    pub fn key_at(&self, place: &Place) -> Item {
        let mut key = Item::from([(self.partition.name.clone(), place.partition.clone())]);
        if let (Some(sort), Some(value)) = (&self.sort, &place.sort) {
            key.insert(sort.name.clone(), value.clone());
        }
        key
    }

    /// Puts or removes an item, and records it in the stream unless nothing changes. Answers what was there.
    pub fn write(&mut self, now_ms: u64, place: Place, new: Option<Item>) -> Option<Item> {
        self.record(now_ms, place, new, false)
    }

    /// Removes the items whose time has come, as TTL does. Says how many.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        let Some(attribute) = &self.ttl else { return 0 };
        let now_s = BigDecimal::from(now_ms / 1000);
        let is_expired = |item: &Item| matches!(item.get(attribute), Some(Value::N(at_s)) if *at_s <= now_s);
        let items = self.items.iter().filter(|(_, item)| is_expired(item));
        let places: Vec<Place> = items.map(|(place, _)| place.clone()).collect();
        for place in &places {
            self.record(now_ms, place.clone(), None, true);
        }
        places.len()
    }

    fn record(&mut self, now_ms: u64, place: Place, new: Option<Item>, expired: bool) -> Option<Item> {
        let old = match &new {
            Some(item) => self.items.insert(place.clone(), item.clone()),
            None => self.items.remove(&place),
        };
        if old == new {
            return old;
        }
        let keys = item_json(&self.key_at(&place));
        if let Some(stream) = self.streams.last_mut().filter(|stream| stream.on) {
            let images = [&old, &new].into_iter().flatten();
            stream.append(
                now_ms,
                Written {
                    hash: place.hash,
                    keys,
                    bytes: images.map(size_of_item).sum(),
                    old: old.as_ref().map(item_json),
                    new: new.as_ref().map(item_json),
                    table: &self.name,
                    expired,
                },
            );
        }
        self.past.push((now_ms, place, old.clone()));
        old
    }

    /// What an item was, one version after the other; an empty item where there was none.
    pub fn versions(&self, is_it: impl Fn(&Place) -> bool) -> impl Iterator<Item = Item> {
        let before = self.past.iter().filter(|(_, place, _)| is_it(place));
        let before: Vec<Item> = before
            .map(|(.., item)| item.clone().unwrap_or_default())
            .collect();
        let now = self.items.iter().find(|(place, _)| is_it(place));
        before.into_iter().chain(now.map(|(_, item)| item.clone()))
    }

    /// Each item that there was, with its versions since when, the oldest one first.
    pub fn histories(&self) -> BTreeMap<Place, Vec<(u64, Option<&Item>)>> {
        let mut found: BTreeMap<Place, Vec<(u64, Option<&Item>)>> = BTreeMap::new();
        // An entry says what was there before a change: the version since the change before.
        let mut since: BTreeMap<&Place, u64> = BTreeMap::new();
        for (at_ms, place, before) in &self.past {
            let from = since.insert(place, *at_ms).unwrap_or(0);
            found
                .entry(place.clone())
                .or_default()
                .push((from, before.as_ref()));
        }
        for (place, versions) in &mut found {
            let from = since.get(place).copied().unwrap_or(0);
            versions.push((from, self.items.get(place)));
        }
        found
    }

    /// A page of the items within hashes, behind a place, as they were at a time, of those whose key is wanted.
    pub fn page(
        &self,
        hashes: (u64, u64),
        after: Option<&Place>,
        as_of_ms: u64,
        wanted: impl Fn(&Item) -> bool,
        most: usize,
    ) -> Page {
        let within = |place: &&Place| {
            (hashes.0..=hashes.1).contains(&place.hash) && after.is_none_or(|after| *place > after)
        };
        let mut former: BTreeMap<&Place, Option<&Item>> = BTreeMap::new();
        let newer = self.past.iter().rev().take_while(|(at_ms, ..)| *at_ms > as_of_ms);
        for (_, place, item) in newer.filter(|(_, place, _)| within(&place)) {
            former.insert(place, item.as_ref());
        }
        let begin = Place {
            hash: hashes.0,
            partition: Value::S(String::new()),
            sort: None,
        };
        let from = after.map_or(Bound::Included(&begin), Bound::Excluded);
        let now = self.items.range((from, Bound::Unbounded));
        let now = now
            .take_while(|(place, _)| place.hash <= hashes.1)
            .map(|(place, item)| (place, Some(item)));
        let view: Box<dyn Iterator<Item = (&Place, Option<&Item>)>> = if former.is_empty() {
            Box::new(now)
        } else {
            let mut view: BTreeMap<&Place, Option<&Item>> = now.collect();
            view.extend(former);
            Box::new(view.into_iter())
        };
        let mut page = Page {
            items: Vec::new(),
            bytes: 0,
            last: None,
        };
        let mut there = view
            .filter_map(|(place, item)| Some((place, item?)))
            .filter(|(_, item)| wanted(item));
        for (place, item) in there.by_ref().take(most) {
            page.bytes += size_of_item(item);
            page.items.push(item.clone());
            page.last = Some(place.clone());
        }
        if there.next().is_none() {
            page.last = None;
        }
        page
    }

    /// As `DescribeTable` shows it.
    pub fn describe(&self, now_ms: u64) -> Json {
        let roles = ["HASH", "RANGE"];
        let keys = self.parts().zip(roles);
        let definitions = self.parts();
        let mut description = json!({
            "TableName": self.name,
            "TableArn": self.arn(),
            "TableId": self.id,
            "TableStatus": if now_ms >= self.ready_ms { "ACTIVE" } else { "CREATING" },
            "KeySchema": keys.map(|(part, role)| json!({ "AttributeName": part.name, "KeyType": role })).collect::<Vec<_>>(),
            "AttributeDefinitions": definitions
                .map(|part| json!({ "AttributeName": part.name, "AttributeType": part.kind }))
                .collect::<Vec<_>>(),
            "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
            "ProvisionedThroughput": { "ReadCapacityUnits": 0, "WriteCapacityUnits": 0, "NumberOfDecreasesToday": 0 },
            "CreationDateTime": self.created_ms / 1000,
            "ItemCount": self.items.len(),
            "TableSizeBytes": self.items.values().map(size_of_item).sum::<usize>(),
            "DeletionProtectionEnabled": self.deletion_protection,
        });
        if let Some(stream) = self.streams.last() {
            description["LatestStreamArn"] = json!(stream.arn);
            description["LatestStreamLabel"] = json!(stream.label);
            if stream.on {
                description["StreamSpecification"] =
                    json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" });
            }
        }
        description
    }
}

/// The hash of a partition key: the same in every run, and spread evenly.
pub fn hash_of(partition: &Value) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in partition.json().to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

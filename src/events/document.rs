//! The document of an event, with the names of CloudEvents 1.0. `docs/events.md` describes it.

use crate::flow::{ItemEvent, ItemEventKind};
use crate::model::{KeySchema, json};
use crate::plan::EventImages;
use crate::publish::{Message, Publisher};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

/// Where and when a change occurred.
#[derive(Clone, Copy, Debug)]
pub struct Occurred<'a> {
    /// Name of the split.
    pub split: &'a str,
    /// Name of the service.
    pub service: &'a str,
    /// The service's table.
    pub table: &'a str,
    /// Keys of this table.
    pub keys: &'a KeySchema,
    /// The shard of the stream.
    pub shard: &'a str,
    /// The sequence number of the record in this shard.
    pub sequence: &'a str,
    /// When DynamoDB created the record, in milliseconds since 1970.
    pub at_ms: Option<u64>,
}

const CREATED: &str = "dynasplit.item-created";
const UPDATED: &str = "dynasplit.item-updated";
const REMOVED: &str = "dynasplit.item-removed";

fn event_type(kind: ItemEventKind) -> &'static str {
    match kind {
        ItemEventKind::Created => CREATED,
        ItemEventKind::Updated => UPDATED,
        ItemEventKind::Removed => REMOVED,
    }
}

/// The document of an event. If it is too large for the destinations with its images, it has none, and says so.
#[must_use]
pub fn document(event: &ItemEvent, occurred: &Occurred<'_>, images: EventImages) -> Value {
    let whole = with_images(event, occurred, images, false);
    // Without images, there is nothing to leave out: a key has at most 3 KB.
    if images == EventImages::Keys || message(&whole).is_some_and(|m| m.bytes() <= Publisher::MOST_BYTES) {
        return whole;
    }
    with_images(event, occurred, EventImages::Keys, true)
}

fn with_images(event: &ItemEvent, occurred: &Occurred<'_>, images: EventImages, is_cut: bool) -> Value {
    let key = json::item_to_json(&occurred.keys.item_of(&event.key));
    let mut data = Map::new();
    data.insert("table".into(), occurred.table.into());
    data.insert("key".into(), key.clone());
    let (new, old) = match images {
        EventImages::Keys => (None, None),
        EventImages::New => (event.new.as_ref(), None),
        EventImages::NewAndOld => (event.new.as_ref(), event.old.as_ref()),
    };
    if let Some(new) = new {
        data.insert("new".into(), json::item_to_json(new));
    }
    if let Some(old) = old {
        data.insert("old".into(), json::item_to_json(old));
    }
    if is_cut {
        data.insert("omitted".into(), "too-large".into());
    }
    data.insert("sequenceNumber".into(), occurred.sequence.into());
    let mut document = json!({
        "specversion": "1.0",
        "id": id(event, occurred),
        "source": format!("/dynasplit/{}/{}", occurred.split, occurred.service),
        "type": event_type(event.kind),
        "subject": key.to_string(),
    });
    if let Some(at_ms) = occurred.at_ms {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms);
        document["time"] = humantime::format_rfc3339_millis(time).to_string().into();
    }
    document["datacontenttype"] = "application/json".into();
    document["data"] = Value::Object(data);
    document
}

/// The same for the same change, whoever sends it, and however often.
fn id(event: &ItemEvent, occurred: &Occurred<'_>) -> String {
    digest(&[
        occurred.split,
        occurred.service,
        occurred.shard,
        occurred.sequence,
        event_type(event.kind),
    ])
}

fn digest(parts: &[&str]) -> String {
    let mut hash = blake3::Hasher::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    hash.finalize().to_hex()[..32].to_owned()
}

/// The message that carries a document. `None`: the document is no event.
#[must_use]
pub fn message(document: &Value) -> Option<Message> {
    let text = |name: &str| document[name].as_str();
    let kind = [CREATED, UPDATED, REMOVED]
        .into_iter()
        .find(|kind| text("type") == Some(kind))?;
    let (id, source, subject) = (text("id")?, text("source")?, text("subject")?);
    let mut names = source.rsplit('/');
    let (service, split) = (names.next()?, names.next()?);
    let time = text("time").and_then(|time| humantime::parse_rfc3339(time).ok());
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    Some(Message {
        id: id.to_owned(),
        group: digest(&[source, subject]),
        kind,
        body: allowed(&document.to_string()),
        forms: None,
        subject: None,
        attributes: vec![
            ("type", kind.to_owned()),
            ("split", split.to_owned()),
            ("service", service.to_owned()),
        ],
        time_ms: since.and_then(|since| u64::try_from(since.as_millis()).ok()),
    })
}

/// SQS refuses two characters that JSON allows. They only occur inside the strings of the document.
fn allowed(text: &str) -> String {
    text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeKind, Item, KeyAttribute, Value as Held};

    fn item(text: &str) -> Item {
        [("id", "a\u{ffff}"), ("text", text)]
            .map(|(name, value)| (name.to_owned(), Held::s(value)))
            .into()
    }

    fn made(text: &str, images: EventImages, sequence: &str) -> Value {
        let keys = KeySchema {
            partition: KeyAttribute {
                name: "id".into(),
                kind: AttributeKind::S,
            },
            sort: None,
        };
        let event = ItemEvent {
            kind: ItemEventKind::Updated,
            key: keys.key_of(&item(text)).unwrap(),
            new: Some(item(text)),
            old: Some(item("before")),
        };
        let occurred = Occurred {
            split: "shop",
            service: "orders",
            table: "Orders",
            keys: &keys,
            shard: "shard-1",
            sequence,
            at_ms: Some(1_700_000_000_000),
        };
        document(&event, &occurred, images)
    }

    #[test]
    fn a_document_has_the_names_of_cloudevents_and_the_images_that_the_plan_asks_for() {
        let key = json!({ "id": { "S": "a\u{ffff}" } });
        let document = made("x", EventImages::NewAndOld, "7");
        assert_eq!(
            document,
            json!({
                "specversion": "1.0", "id": document["id"], "source": "/dynasplit/shop/orders", "type": "dynasplit.item-updated",
                "subject": key.to_string(), "time": "2023-11-14T22:13:20.000Z", "datacontenttype": "application/json",
                "data": {
                    "table": "Orders", "key": key, "new": { "id": key["id"], "text": { "S": "x" } },
                    "old": { "id": key["id"], "text": { "S": "before" } }, "sequenceNumber": "7",
                },
            })
        );
        let new = made("x", EventImages::New, "7");
        assert!(new["data"]["old"].is_null() && !new["data"]["new"].is_null());
        let keys = made("x", EventImages::Keys, "7");
        assert!(keys["data"]["old"].is_null() && keys["data"]["new"].is_null());
        assert!(keys["data"]["omitted"].is_null(), "the plan asks for no image");
    }

    #[test]
    fn the_id_is_that_of_the_record_and_not_of_the_sending() {
        assert_eq!(
            made("x", EventImages::Keys, "7")["id"],
            made("x", EventImages::New, "7")["id"]
        );
        assert_ne!(
            made("x", EventImages::Keys, "7")["id"],
            made("x", EventImages::Keys, "8")["id"]
        );
    }

    #[test]
    fn an_event_that_is_too_large_has_its_key_only_and_says_so() {
        let large = made(&"ü".repeat(Publisher::MOST_BYTES / 2), EventImages::New, "7");
        assert_eq!(large["data"]["omitted"], "too-large");
        assert!(large["data"]["new"].is_null() && !large["data"]["key"].is_null());
        assert!(message(&large).unwrap().bytes() < Publisher::MOST_BYTES);
        let just = made(&"x".repeat(Publisher::MOST_BYTES - 2_000), EventImages::New, "7");
        assert!(just["data"]["omitted"].is_null());
    }

    #[test]
    fn a_message_has_no_character_that_a_queue_refuses_and_says_the_same() {
        let document = made("x", EventImages::New, "7");
        let message = message(&document).unwrap();
        assert!(!message.body.contains(['\u{fffe}', '\u{ffff}']));
        assert_eq!(serde_json::from_str::<Value>(&message.body).unwrap(), document);
        assert_eq!(super::message(&json!({ "id": "x" })), None);
    }
}

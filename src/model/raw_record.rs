//! A record of a stream as the stream shows it, as one line of JSON.

use super::{Item, SequenceNumber, json};
use serde_json::{Map, Value as Json};

/// A record of a stream as the stream shows it: also with the marks of reverse writes, which readers of changes remove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawRecord {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// Its id.
    pub event_id: Option<String>,
    /// What the stream calls the write. The images say what happened.
    pub event_name: Option<String>,
    /// When the write happened, in milliseconds since 1970; rounded down by the engine.
    pub created_ms: Option<u64>,
    /// Its size, as the stream counts it.
    pub size_bytes: Option<i64>,
    /// The type and the principal of the service that wrote, if it was one: TTL deletes have them.
    pub by: Option<(Option<String>, Option<String>)>,
    /// The key of the item.
    pub keys: Item,
    /// The item before the write.
    pub old: Option<Item>,
    /// The item after it.
    pub new: Option<Item>,
}

impl RawRecord {
    /// As one line of JSON, with the names that DynamoDB Streams gives the parts of a record.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut data = Map::new();
        if let Some(ms) = self.created_ms {
            data.insert("ApproximateCreationDateTime".into(), seconds(ms));
        }
        data.insert("Keys".into(), json::item_to_json(&self.keys));
        if let Some(new) = &self.new {
            data.insert("NewImage".into(), json::item_to_json(new));
        }
        if let Some(old) = &self.old {
            data.insert("OldImage".into(), json::item_to_json(old));
        }
        data.insert("SequenceNumber".into(), self.sequence.to_text().into());
        if let Some(size) = self.size_bytes {
            data.insert("SizeBytes".into(), size.into());
        }
        let mut record = Map::new();
        if let Some(id) = &self.event_id {
            record.insert("eventID".into(), id.clone().into());
        }
        if let Some(name) = &self.event_name {
            record.insert("eventName".into(), name.clone().into());
        }
        record.insert("dynamodb".into(), data.into());
        if let Some((kind, principal)) = &self.by {
            let mut by = Map::new();
            if let Some(kind) = kind {
                by.insert("type".into(), kind.clone().into());
            }
            if let Some(principal) = principal {
                by.insert("principalId".into(), principal.clone().into());
            }
            record.insert("userIdentity".into(), by.into());
        }
        Json::from(record).to_string()
    }

    /// Reads such a line.
    ///
    /// # Errors
    /// The reason, if it is none.
    pub fn from_line(line: &str) -> Result<Self, String> {
        let mut record: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let mut data = record
            .get_mut("dynamodb")
            .map(Json::take)
            .ok_or("it has no `dynamodb`")?;
        let mut image = |name: &str| match data.get_mut(name).map(Json::take) {
            None | Some(Json::Null) => Ok(None),
            Some(image) => json::item_from_json(image)
                .map(Some)
                .map_err(|error| format!("`{name}`: {error}")),
        };
        let (keys, new, old) = (image("Keys")?, image("NewImage")?, image("OldImage")?);
        let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
        let sequence = text(data.get("SequenceNumber")).ok_or("it has no `SequenceNumber`")?;
        let created_ms = match data.get("ApproximateCreationDateTime") {
            None => None,
            Some(seconds) => Some(milliseconds(seconds).ok_or("`ApproximateCreationDateTime` is no time")?),
        };
        let by = record.get("userIdentity");
        Ok(Self {
            sequence: SequenceNumber::new(&sequence),
            event_id: text(record.get("eventID")),
            event_name: text(record.get("eventName")),
            created_ms,
            size_bytes: data.get("SizeBytes").and_then(Json::as_i64),
            by: by.map(|by| (text(by.get("type")), text(by.get("principalId")))),
            keys: keys.ok_or("it has no `Keys`")?,
            old,
            new,
        })
    }
}

/// Seconds since 1970: whole, or with three decimals.
fn seconds(ms: u64) -> Json {
    if ms.is_multiple_of(1000) {
        return (ms / 1000).into();
    }
    #[allow(clippy::cast_precision_loss)] // 13 digits are exact
    let seconds = ms as f64 / 1000.0;
    seconds.into()
}

fn milliseconds(seconds: &Json) -> Option<u64> {
    if let Some(seconds) = seconds.as_u64() {
        return seconds.checked_mul(1000);
    }
    let seconds = seconds.as_f64().filter(|seconds| *seconds >= 0.0)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and saturates
    let ms = (seconds * 1000.0).round() as u64;
    Some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn a_record_is_the_same_after_it_was_written_and_read() {
        let item = |value: Value| Item::from([("PK".to_owned(), value)]);
        let text = |text: &str| Value::S(text.into());
        let whole = RawRecord {
            sequence: SequenceNumber::new("000000000000000000042"),
            event_id: Some("e1".into()),
            event_name: Some("REMOVE".into()),
            created_ms: Some(1_732_900_000_123),
            size_bytes: Some(7),
            by: Some((Some("Service".into()), Some("dynamodb.amazonaws.com".into()))),
            keys: item(text("a\nb")),
            old: Some(item(Value::B(vec![0, 255]))),
            new: None,
        };
        let least = RawRecord {
            event_id: None,
            event_name: None,
            created_ms: None,
            size_bytes: None,
            by: None,
            new: Some(Item::new()),
            old: None,
            ..whole.clone()
        };
        let whole_second = RawRecord {
            created_ms: Some(1_732_900_000_000),
            ..whole.clone()
        };
        for record in [whole, least, whole_second] {
            let line = record.to_line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(RawRecord::from_line(&line), Ok(record), "{line}");
        }
        for wrong in [
            "",
            "{}",
            r#"{"dynamodb":{"Keys":{}}}"#,
            r#"{"dynamodb":{"SequenceNumber":"1"}}"#,
            r#"{"dynamodb":{"SequenceNumber":"1","Keys":{"PK":7}}}"#,
        ] {
            assert!(RawRecord::from_line(wrong).is_err(), "{wrong}");
        }
    }
}

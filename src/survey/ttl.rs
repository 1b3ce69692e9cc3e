//! The expiry of items in a service's table: items that its TTL would never delete, and items that it would delete as
//! soon as `complete` switches it on.

use super::groups::{Group, Groups};
use crate::model::{Item, Key, KeySchema, Number, Value};
use serde::Serialize;

/// A time beyond this is no time in seconds (it is in the year 5138), but one in milliseconds or finer.
const LATEST_SECOND: i64 = 100_000_000_000;
/// DynamoDB deletes no item that expired longer ago. See [how TTL
/// works](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html).
const OLDEST_SECONDS: u64 = 5 * 365 * 24 * 3600;

/// The expiry of a service's items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TtlView {
    /// The attribute of the service's table.
    pub attribute: String,
    /// Items that would never be deleted, by why.
    pub ignored: Vec<Group>,
    /// Items whose time is over, and which DynamoDB deletes once TTL is on.
    pub over: Option<Group>,
}

/// The same while it is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct TtlTally {
    ignored: Groups,
    over: Groups,
}

impl TtlTally {
    /// Counts an item, by the attribute that the service's table has as its TTL.
    pub fn add(&mut self, attribute: &str, wanted: &Item, now_s: u64, (keys, source): (&KeySchema, &Key)) {
        let Some(at) = wanted.get(attribute) else { return };
        let Value::N(at) = at else {
            let what = match at {
                Value::S(_) => format!("'{attribute}' is text"),
                other => format!("'{attribute}' has the type {}", other.type_name()),
            };
            return self.ignored.add(what, keys, source);
        };
        if *at > Number::from(LATEST_SECOND) {
            let what = format!("'{attribute}' is in milliseconds or finer");
            self.ignored.add(what, keys, source);
        } else if *at < seconds(now_s.saturating_sub(OLDEST_SECONDS)) {
            let what = format!("'{attribute}' is more than five years ago");
            self.ignored.add(what, keys, source);
        } else if *at < seconds(now_s) {
            self.over.add("over".to_owned(), keys, source);
        }
    }

    /// The counts.
    pub fn view(&self, attribute: &str) -> TtlView {
        TtlView {
            attribute: attribute.to_owned(),
            ignored: self.ignored.list(),
            over: self.over.list().pop(),
        }
    }
}

fn seconds(at: u64) -> Number {
    Number::from(i64::try_from(at).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeKind, KeyAttribute};

    #[test]
    fn only_seconds_of_the_last_five_years_expire() {
        let keys = KeySchema {
            partition: KeyAttribute {
                name: "PK".into(),
                kind: AttributeKind::S,
            },
            sort: None,
        };
        let now = 1_800_000_000u64;
        let found = |value: Value| {
            let key = Key {
                partition: Value::s("a"),
                sort: None,
            };
            let mut tally = TtlTally::default();
            tally.add(
                "until",
                &Item::from([("until".to_owned(), value)]),
                now,
                (&keys, &key),
            );
            let view = tally.view("until");
            let ignored = view.ignored.first().map(|group| group.what.clone());
            (ignored.unwrap_or_default(), view.over.is_some())
        };
        let number = |seconds: i64| Value::N(Number::from(seconds));
        assert_eq!(found(number(1_800_000_001)), (String::new(), false));
        assert_eq!(found(number(1_799_999_999)), (String::new(), true));
        assert_eq!(
            found(number(1_600_000_000)).0,
            "'until' is more than five years ago"
        );
        assert_eq!(
            found(number(1_800_000_000_000)).0,
            "'until' is in milliseconds or finer"
        );
        assert_eq!(found(Value::s("1800000000")).0, "'until' is text");
        assert_eq!(found(Value::Bool(true)).0, "'until' has the type BOOL");
    }
}

//! Whether an item has expired by TTL.

use crate::model::{Item, Number, Value};

/// DynamoDB's TTL leaves items alone that expired longer ago than this (five years).
/// See [TTL](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html).
const TTL_REACH_SECONDS: i64 = 5 * 365 * 24 * 60 * 60;

/// Whether TTL may delete, or have deleted, the item at any moment: its TTL attribute is a number of epoch
/// seconds in the past, within TTL's reach. Any other type means that it never expires.
#[must_use]
pub fn is_expired(item: &Item, ttl_attribute: &str, now_epoch_seconds: i64) -> bool {
    let Some(Value::N(expiry)) = item.get(ttl_attribute) else {
        return false;
    };
    let oldest = now_epoch_seconds.saturating_sub(TTL_REACH_SECONDS);
    *expiry < Number::from(now_epoch_seconds) && *expiry > Number::from(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_past_numbers_within_reach_expire() {
        const NOW: i64 = 1_800_000_000;
        let expired = |value| is_expired(&Item::from([("ttl".to_owned(), value)]), "ttl", NOW);
        let n = |text: &str| Value::N(Number::parse(text).unwrap());
        assert!(expired(n("1799999999")));
        assert!(expired(n("1799999999.5")));
        assert!(!expired(n("1800000000")));
        assert!(!expired(n("1800000000000")), "milliseconds are far in the future");
        assert!(expired(n("1642320001")));
        assert!(!expired(n("1642320000")), "five years: beyond TTL's reach");
        assert!(!expired(n("0")));
        assert!(!expired(Value::s("1799999999")), "text never expires");
        assert!(!is_expired(&Item::new(), "ttl", NOW));
    }
}

//! Items, and their size as DynamoDB counts it.

use super::Value;
use std::collections::BTreeMap;

/// An item: attribute names and their values.
pub type Item = BTreeMap<String, Value>;

/// The most that an item may weigh, names and values together, in bytes (400 KB).
/// See [the service quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html#limits-items).
pub const MAX_ITEM_BYTES: usize = 400 * 1024;

/// Properties of an [`Item`].
pub trait ItemExt {
    /// Bytes that DynamoDB charges for the item: attribute names and values.
    fn size(&self) -> usize;
    /// The canonical encoding of the whole item: equal items, and only those, encode alike.
    fn encode(&self) -> Vec<u8>;
}

impl ItemExt for Item {
    fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.size()).sum()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        for (name, value) in self {
            out.extend_from_slice(&(name.len() as u64).to_be_bytes());
            out.extend_from_slice(name.as_bytes());
            value.encode(&mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Number;

    #[test]
    fn encoding_is_typed_and_sets_have_no_order() {
        let item = |value| Item::from([("a".to_owned(), value)]);
        let n = |text| Number::parse(text).unwrap();
        assert_ne!(item(Value::s("1")).encode(), item(Value::N(n("1"))).encode());
        assert_ne!(item(Value::s("")).encode(), item(Value::B(vec![])).encode());
        assert_eq!(item(Value::N(n("1.0"))).encode(), item(Value::N(n("1"))).encode());
        let set = |members: &[&str]| Value::string_set(members.iter().map(|m| (*m).into()).collect());
        assert_eq!(item(set(&["a", "b"])).encode(), item(set(&["b", "a"])).encode());
        let list = |members: &[&str]| Value::L(members.iter().map(|m| Value::s(*m)).collect());
        assert_ne!(item(list(&["a", "b"])).encode(), item(list(&["b", "a"])).encode());
        assert_ne!(
            Item::from([("a".into(), Value::s("bc"))]).encode(),
            Item::from([("ab".into(), Value::s("c"))]).encode()
        );
    }

    #[test]
    fn sizes_follow_the_published_rules() {
        let item = Item::from([
            ("pk".to_owned(), Value::s("abc")),
            ("flag".to_owned(), Value::Bool(true)),
            ("list".to_owned(), Value::L(vec![Value::s("x")])),
        ]);
        assert_eq!(item.size(), (2 + 3) + (4 + 1) + (4 + 3 + 1 + 1));
    }

    #[test]
    fn documents_weigh_what_they_hold() {
        assert_eq!(MAX_ITEM_BYTES, 409_600);
        let of = |value: Value| value.size();
        let map = Value::M(
            [
                ("key".to_owned(), Value::s("wxyz")),
                ("k".to_owned(), Value::Null),
            ]
            .into(),
        );
        assert_eq!(of(map.clone()), 3 + (3 + 4 + 1) + (1 + 1 + 1));
        assert_eq!(
            of(Value::L(vec![map, Value::B(vec![0; 5])])),
            3 + (14 + 1) + (5 + 1)
        );
        assert_eq!(of(Value::string_set(vec!["a".into(), "bc".into()])), 3);
        assert_eq!(
            of(Value::number_set(vec![Number::from(1), Number::from(-1)])),
            2 + 3
        );
        assert_eq!(of(Value::binary_set(vec![vec![], vec![1]])), 1);
    }

    #[test]
    fn encodings_keep_the_bounds_of_lists_and_maps() {
        let x = || Value::s("x");
        let list = |values: Vec<Value>| Value::L(values);
        let map = |entries: Vec<(&str, Value)>| {
            Value::M(
                entries
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            )
        };
        let one = |text: &str| vec![text.to_owned()];
        let all = [
            list(vec![list(vec![x()]), list(vec![])]),
            list(vec![list(vec![]), list(vec![x()])]),
            list(vec![list(vec![x(), list(vec![])])]),
            list(vec![list(vec![]), x()]),
            list(vec![x()]),
            Value::Ss(one("x")),
            Value::Bs(vec![b"x".to_vec()]),
            Value::B(b"x".to_vec()),
            x(),
            map(vec![("a", map(vec![])), ("b", x())]),
            map(vec![("a", map(vec![("b", x())]))]),
            list(vec![Value::Ss(one("x")), x()]),
            list(vec![Value::Ss(vec!["x".into(), "x2".into()])]),
            Value::N(Number::from(1)),
            Value::Ns(vec![Number::from(1)]),
            Value::Bool(true),
            Value::Bool(false),
            Value::Null,
        ];
        let encoded: std::collections::BTreeSet<Vec<u8>> = all
            .iter()
            .map(|value| {
                let mut out = vec![];
                value.encode(&mut out);
                out
            })
            .collect();
        assert_eq!(encoded.len(), all.len(), "different values never encode alike");
    }
}

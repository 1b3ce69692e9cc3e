//! Items that a cutover writes to a table, so that its stream shows how far it was read.
//!
//! A marker is recognised by its partition key alone, in every type that a key can have. It belongs to no service: every reader
//! of a table leaves it out before it looks at the item.

use super::{AttributeKind, Item, Key, KeyAttribute, KeySchema, Number, Value};

/// What the partition key of a marker begins with, if it is a text or binary.
const BEGIN: &str = "dynasplit:marker#";
/// The first digits of a marker whose partition key is a number, before those of its run and its own number.
const DIGITS: &str = "5917304826135";
/// The last digit, so that no zero is at the end.
const LAST_DIGIT: &str = "7";
/// Digits of a run, and of the number of a marker. With those above, they are the 38 digits that a number can have.
const RUN_DIGITS: usize = 15;
const NUMBER_DIGITS: usize = 9;
/// A number far from all numbers that mean something: `0.digits * 10^EXPONENT`.
const EXPONENT: i32 = -90;

/// A marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marker {
    /// Which attempt of a cutover wrote it. No two attempts have the same one.
    pub run: u64,
    /// Its number in this run.
    pub number: u32,
}

impl Marker {
    /// Runs are below this.
    pub const RUNS: u64 = 1_000_000_000_000_000;
    /// Numbers are below this.
    pub const NUMBERS: u32 = 1_000_000_000;

    /// Its key in a table. The partition keys of two markers differ, so that they come into different shards.
    #[must_use]
    pub fn key(self, keys: &KeySchema) -> Key {
        let (run, number) = (self.run % Self::RUNS, self.number % Self::NUMBERS);
        let text = format!("{run:0RUN_DIGITS$}#{number:0NUMBER_DIGITS$}");
        let partition = match keys.partition.kind {
            AttributeKind::S => Value::S(format!("{BEGIN}{text}")),
            AttributeKind::B => Value::B(format!("{BEGIN}{text}").into_bytes()),
            AttributeKind::N => {
                let digits = format!("{DIGITS}{}{LAST_DIGIT}", text.replace('#', ""));
                Value::N(Number::of_digits(&digits, EXPONENT))
            }
        };
        let sort = |attribute: &KeyAttribute| match attribute.kind {
            AttributeKind::S => Value::S(BEGIN.to_owned()),
            AttributeKind::B => Value::B(BEGIN.as_bytes().to_vec()),
            AttributeKind::N => Value::N(Number::from(0)),
        };
        Key {
            partition,
            sort: keys.sort.as_ref().map(sort),
        }
    }

    /// The marker with this key, if it is the key of a marker.
    #[must_use]
    pub fn of(key: &Key) -> Option<Self> {
        Self::of_partition(&key.partition)
    }

    fn of_partition(partition: &Value) -> Option<Self> {
        let (run, number) = match partition {
            Value::S(text) => text.strip_prefix(BEGIN)?.split_once('#')?,
            Value::B(bytes) => {
                let rest = bytes.strip_prefix(BEGIN.as_bytes())?;
                std::str::from_utf8(rest).ok()?.split_once('#')?
            }
            Value::N(number) => {
                let digits = number.digits_at(EXPONENT)?.strip_prefix(DIGITS)?;
                let digits = digits.strip_suffix(LAST_DIGIT)?;
                digits.split_at_checked(RUN_DIGITS)?
            }
            _ => return None,
        };
        let of = |digits: &str, wanted: usize| {
            let is_whole = digits.len() == wanted && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_whole.then(|| digits.parse::<u64>().ok()).flatten()
        };
        Some(Self {
            run: of(run, RUN_DIGITS)?,
            number: u32::try_from(of(number, NUMBER_DIGITS)?).ok()?,
        })
    }
}

impl KeySchema {
    /// Whether an item is a marker.
    #[must_use]
    pub fn is_marker(&self, item: &Item) -> bool {
        let partition = item.get(&self.partition.name);
        partition.and_then(Marker::of_partition).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(partition: AttributeKind, sort: Option<AttributeKind>) -> KeySchema {
        let attribute = |name: &str, kind| KeyAttribute {
            name: name.into(),
            kind,
        };
        KeySchema {
            partition: attribute("p", partition),
            sort: sort.map(|kind| attribute("s", kind)),
        }
    }

    const KINDS: [AttributeKind; 3] = [AttributeKind::S, AttributeKind::N, AttributeKind::B];

    #[test]
    fn a_marker_comes_back_from_its_key_in_every_type() {
        let markers = [(0, 0), (1, 1), (10, 100), (Marker::RUNS - 1, Marker::NUMBERS - 1)];
        for kind in KINDS {
            for sort in KINDS.into_iter().map(Some).chain([None]) {
                let keys = schema(kind, sort);
                let mut seen = std::collections::BTreeSet::new();
                for (run, number) in markers {
                    let marker = Marker { run, number };
                    let key = marker.key(&keys);
                    assert_eq!(Marker::of(&key), Some(marker), "{kind} {sort:?}");
                    let item = keys.item_of(&key);
                    assert!(keys.is_marker(&item) && keys.key_of(&item) == Some(key.clone()));
                    assert!(seen.insert(key.encode()), "two markers have the key {key}");
                }
            }
        }
    }

    #[test]
    fn a_number_marker_is_a_number_that_dynamodb_takes() {
        let key = Marker { run: 7, number: 1 }.key(&schema(AttributeKind::N, None));
        let Value::N(number) = &key.partition else {
            panic!("{key}");
        };
        assert_eq!(Number::parse(&number.to_string()).as_ref(), Ok(number));
    }

    #[test]
    fn keys_of_applications_are_no_markers() {
        let number = |text: &str| Value::N(Number::parse(text).unwrap());
        for value in [
            Value::s("dynasplit:marker"),
            Value::s("dynasplit:marker#1#2"),
            Value::s("dynasplit:marker#000000000000001#00000000x"),
            Value::s("dynasplit:marker#00000000000000é#000000001"),
            Value::s("x dynasplit:marker#000000000000001#000000001"),
            Value::B(vec![0xff, 0xfe]),
            Value::B(b"dynasplit:marker#\xff".to_vec()),
            number("0"),
            number("5917304826135"),
            number("59173048261350000000000000010000000017"),
            number("-0.5917304826135"),
            Value::Null,
        ] {
            assert_eq!(Marker::of_partition(&value), None, "{value:?}");
        }
    }
}

//! A compact, reversible encoding of keys. Only equal keys have equal encodings. The order of encodings is a total
//! order, the same on both sides, and has no other meaning.

use super::wire::{Reader, put_bytes};
use crate::model::{Key, Number, Value};

/// Why a key cannot be encoded or read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyCodeError {
    /// A part is neither a string, a number nor binary.
    #[error("a part of the key has the type {0}, but keys of DynamoDB have the type S, N or B")]
    NotAKeyType(&'static str),
    /// Far above the limits of DynamoDB (2,048 and 1,024 bytes).
    #[error(
        "a part of the key has {0} bytes, but DynamoDB accepts 2048 for the partition key and 1024 for \
         the sort key"
    )]
    TooLong(usize),
    /// Bytes that no key encodes to.
    #[error("bytes that encode no key")]
    Malformed,
}

/// Longest encoding: entries keep lengths in 16 bits, whose highest value has another meaning.
pub(super) const MAX_ENCODED_BYTES: usize = u16::MAX as usize - 1;

/// Replaces the contents of `out` by the encoding of a key.
pub(super) fn encode_key(key: &Key, out: &mut Vec<u8>) -> Result<(), KeyCodeError> {
    out.clear();
    with_bytes(&key.partition, |tag, bytes| {
        out.push(tag);
        put_bytes(bytes, out);
    })?;
    if let Some(sort) = &key.sort {
        // Its length is the rest.
        with_bytes(sort, |tag, bytes| {
            out.push(tag);
            out.extend_from_slice(bytes);
        })?;
    }
    if out.len() > MAX_ENCODED_BYTES {
        return Err(KeyCodeError::TooLong(out.len()));
    }
    Ok(())
}

/// Reads a key back.
pub(super) fn decode_key(bytes: &[u8]) -> Result<Key, KeyCodeError> {
    let mut reader = Reader(bytes);
    let partition = reader
        .byte()
        .and_then(|tag| value(tag, reader.bytes()?))
        .ok_or(KeyCodeError::Malformed)?;
    let sort = match reader.byte() {
        Some(tag) => Some(value(tag, reader.0).ok_or(KeyCodeError::Malformed)?),
        None => None,
    };
    Ok(Key { partition, sort })
}

fn with_bytes(value: &Value, put: impl FnOnce(u8, &[u8])) -> Result<(), KeyCodeError> {
    match value {
        Value::S(text) => put(b'S', text.as_bytes()),
        Value::N(number) => put(b'N', number.compact().to_string().as_bytes()),
        Value::B(bytes) => put(b'B', bytes),
        other => return Err(KeyCodeError::NotAKeyType(other.type_name())),
    }
    Ok(())
}

fn value(tag: u8, bytes: &[u8]) -> Option<Value> {
    match tag {
        b'S' => Some(Value::s(str::from_utf8(bytes).ok()?)),
        b'N' => Some(Value::N(Number::parse(str::from_utf8(bytes).ok()?).ok()?)),
        b'B' => Some(Value::B(bytes.to_vec())),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part() -> impl Strategy<Value = Value> {
        prop_oneof![
            "[SNB\u{0}a]{0,3}".prop_map(Value::S),
            "\\PC{0,200}".prop_map(Value::S),
            (-999i64..999, -128i32..120)
                .prop_map(|(m, e)| Value::N(Number::parse(&format!("{m}e{e}")).unwrap())),
            prop::collection::vec(any::<u8>(), 0..200).prop_map(Value::B),
        ]
    }

    pub(in crate::verify::compare) fn key() -> impl Strategy<Value = Key> {
        (part(), prop::option::of(part())).prop_map(|(partition, sort)| Key { partition, sort })
    }

    fn encoded(key: &Key) -> Vec<u8> {
        let mut out = vec![1, 2, 3];
        encode_key(key, &mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn round_trips(key in key()) {
            prop_assert_eq!(decode_key(&encoded(&key)), Ok(key));
        }

        #[test]
        fn equal_keys_and_only_those_encode_alike(a in key(), b in key()) {
            prop_assert_eq!(encoded(&a) == encoded(&b), a == b);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode_key(&bytes);
        }
    }

    #[test]
    fn numbers_of_every_size_come_back() {
        for text in [
            "0",
            "-1",
            "9.9999999999999999999999999999999999999E+125",
            "1e-130",
            "-12345.678",
        ] {
            let key = Key {
                partition: Value::N(Number::parse(text).unwrap()),
                sort: Some(Value::s("")),
            };
            assert_eq!(decode_key(&encoded(&key)), Ok(key));
        }
    }

    #[test]
    fn refuses_what_is_no_key() {
        let mut out = Vec::new();
        let key = |partition| Key {
            partition,
            sort: None,
        };
        assert_eq!(
            encode_key(&key(Value::Null), &mut out),
            Err(KeyCodeError::NotAKeyType("NULL"))
        );
        assert!(matches!(
            encode_key(&key(Value::s("x".repeat(70_000))), &mut out),
            Err(KeyCodeError::TooLong(_))
        ));
        for bytes in [&b""[..], b"S", b"S\x05ab", b"X\x00", b"N\x01x", b"S\x01aX"] {
            assert_eq!(decode_key(bytes), Err(KeyCodeError::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn the_longest_encoding_is_one_less_than_what_16_bits_hold() {
        let mut out = Vec::new();
        let key = |bytes: usize| Key {
            partition: Value::s(""),
            sort: Some(Value::B(vec![7; bytes])),
        };
        let sort = (65_000..66_000)
            .find(|bytes| encode_key(&key(*bytes), &mut out).is_err())
            .unwrap();
        assert_eq!(
            encode_key(&key(sort), &mut out),
            Err(KeyCodeError::TooLong(65_535))
        );
        assert_eq!(encode_key(&key(sort - 1), &mut out), Ok(()));
        assert_eq!((out.len(), decode_key(&out)), (65_534, Ok(key(sort - 1))));
    }
}

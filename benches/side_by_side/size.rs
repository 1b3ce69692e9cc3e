//! What items weigh, and what that costs, read from requests and answers on their way, without keeping any of it.
//!
//! See [item sizes](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Bytes of an item, as DynamoDB counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemSize(pub u64);

/// Bytes of a value.
#[derive(Clone, Copy, Debug, Default)]
pub struct ValueSize(pub u64);

/// Thousandths of a write unit for an item of so many bytes: one for each KB begun.
pub fn write_milliunits(bytes: u64) -> u64 {
    bytes.div_ceil(1024).max(1) * 1000
}

/// Thousandths of a read unit for so many bytes read together: half a unit for each 4 KB begun, consistently one.
pub fn read_milliunits(bytes: u64, consistent: bool) -> u64 {
    bytes.div_ceil(4096).max(1) * if consistent { 1000 } else { 500 }
}

/// Length of a text in bytes.
struct Length(u64);
/// Bytes of a number: one for each two significant digits, and one.
struct NumberSize(u64);
struct BinarySize(u64);
/// Elements of a list with what each weighs.
struct ListSize(u64);
struct MapSize(u64);
struct SetOf<T>(u64, std::marker::PhantomData<T>);

struct TextVisitor<F>(F);

impl<F: Fn(&str) -> u64> Visitor<'_> for TextVisitor<F> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(self.0(text))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor(|text: &str| text.len() as u64))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for NumberSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let size = |text: &str| {
            let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
            let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
            let first = digits
                .iter()
                .position(|digit| *digit != b'0')
                .unwrap_or(digits.len());
            let last = digits
                .iter()
                .rposition(|digit| *digit != b'0')
                .map_or(first, |at| at + 1);
            (last.saturating_sub(first) as u64).div_ceil(2) + 1
        };
        from.deserialize_str(TextVisitor(size)).map(Self)
    }
}

impl<'de> Deserialize<'de> for BinarySize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let size = |text: &str| text.trim_end_matches('=').len() as u64 * 3 / 4;
        from.deserialize_str(TextVisitor(size)).map(Self)
    }
}

impl From<Length> for u64 {
    fn from(size: Length) -> Self {
        size.0
    }
}

impl From<NumberSize> for u64 {
    fn from(size: NumberSize) -> Self {
        size.0
    }
}

impl From<BinarySize> for u64 {
    fn from(size: BinarySize) -> Self {
        size.0
    }
}

/// Adds up what the elements of a sequence weigh.
struct Sum<T> {
    /// For each element beside what it weighs itself.
    each: u64,
    kind: std::marker::PhantomData<T>,
}

impl<'de, T: Deserialize<'de> + Into<u64>> Visitor<'de> for Sum<T> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some(element) = elements.next_element::<T>()? {
            sum += element.into() + self.each;
        }
        Ok(sum)
    }
}

fn sum_of<'de, T: Deserialize<'de> + Into<u64>, D: Deserializer<'de>>(
    from: D,
    each: u64,
) -> Result<u64, D::Error> {
    from.deserialize_seq(Sum::<T> {
        each,
        kind: std::marker::PhantomData,
    })
}

impl<'de, T: Deserialize<'de> + Into<u64>> Deserialize<'de> for SetOf<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        sum_of::<T, D>(from, 0).map(|sum| Self(sum, std::marker::PhantomData))
    }
}

impl From<ValueSize> for u64 {
    fn from(size: ValueSize) -> Self {
        size.0
    }
}

impl<'de> Deserialize<'de> for ListSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        sum_of::<ValueSize, D>(from, 1).map(|sum| Self(sum + 3))
    }
}

/// Adds up names and values.
struct Attributes {
    each: u64,
}

impl<'de> Visitor<'de> for Attributes {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut attributes: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some((Length(name), ValueSize(value))) = attributes.next_entry()? {
            sum += name + value + self.each;
        }
        Ok(sum)
    }
}

impl<'de> Deserialize<'de> for MapSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Attributes { each: 1 })
            .map(|sum| Self(sum + 3))
    }
}

impl<'de> Deserialize<'de> for ItemSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Attributes { each: 0 }).map(Self)
    }
}

/// The name of a value's type.
#[derive(serde::Deserialize)]
enum Tag {
    S,
    N,
    B,
    #[serde(rename = "SS")]
    Ss,
    #[serde(rename = "NS")]
    Ns,
    #[serde(rename = "BS")]
    Bs,
    L,
    M,
    #[serde(other)]
    Other,
}

struct OneValue;

impl<'de> Visitor<'de> for OneValue {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut value: A) -> Result<u64, A::Error> {
        let mut size = 0;
        while let Some(tag) = value.next_key::<Tag>()? {
            size += match tag {
                Tag::S => value.next_value::<Length>()?.0,
                Tag::N => value.next_value::<NumberSize>()?.0,
                Tag::B => value.next_value::<BinarySize>()?.0,
                Tag::Ss => value.next_value::<SetOf<Length>>()?.0,
                Tag::Ns => value.next_value::<SetOf<NumberSize>>()?.0,
                Tag::Bs => value.next_value::<SetOf<BinarySize>>()?.0,
                Tag::L => value.next_value::<ListSize>()?.0,
                Tag::M => value.next_value::<MapSize>()?.0,
                Tag::Other => {
                    value.next_value::<IgnoredAny>()?;
                    1
                }
            };
        }
        Ok(size)
    }
}

impl<'de> Deserialize<'de> for ValueSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OneValue).map(Self)
    }
}

//! Sequence numbers, and positions in a shard.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// The sequence number of a stream record: decimal digits, ordered as a number within its shard.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SequenceNumber(String);

impl SequenceNumber {
    /// Digits that a padded sequence number has: more than any stream shows (21 to 40 digits).
    pub const PADDED_DIGITS: usize = 40;

    /// Takes a sequence number as the service gives it; leading zeros carry no meaning.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let trimmed = text.trim_start_matches('0');
        Self(if trimmed.is_empty() { "0" } else { trimmed }.to_owned())
    }

    /// The text for the service: at least 21 digits, which streams show and engines expect.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{:0>21}", self.0)
    }

    /// Its digits, without leading zeros.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// Fixed width, so that it sorts as text. Stamps contain this form.
    #[must_use]
    pub fn padded(&self) -> String {
        format!("{:0>width$}", self.0, width = Self::PADDED_DIGITS)
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0
            .len()
            .cmp(&other.0.len())
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A position in a shard at which reading can continue. Never an iterator, because an iterator expires after 15
/// minutes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "at", content = "sequence")]
pub enum Position {
    /// The oldest record that the shard still holds. A moving place: only for a child of a finished
    /// parent, or a shard that shows no starting sequence number.
    Beginning,
    /// At this record, which is not read yet.
    At(SequenceNumber),
    /// Just after this record, which is done.
    After(SequenceNumber),
    /// The shard is closed and all its records are done.
    End,
}

impl Position {
    /// How far it is: a later position compares greater. `Beginning` is before everything.
    fn rank(&self) -> (u8, Option<&SequenceNumber>, u8) {
        match self {
            Self::Beginning => (0, None, 0),
            Self::At(number) => (1, Some(number), 0),
            Self::After(number) => (1, Some(number), 1),
            Self::End => (2, None, 0),
        }
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::At(number) => write!(f, "at {number}"),
            Self::After(number) => write!(f, "after {number}"),
            Self::End => f.write_str("end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_order_as_numbers() {
        let n = SequenceNumber::new;
        assert!(n("9") < n("10"));
        assert!(n("000100") < n("101"));
        assert_eq!(n("0007"), n("7"));
        assert!(n("9").padded() < n("10").padded());
        assert_eq!(n("").to_text().len(), 21);
        assert_eq!(n("000000000000000000012").to_text(), "000000000000000000012");
    }

    #[test]
    fn positions_order_as_places() {
        let n = SequenceNumber::new;
        let order = [
            Position::Beginning,
            Position::At(n("9")),
            Position::After(n("9")),
            Position::At(n("10")),
            Position::After(n("10")),
            Position::End,
        ];
        assert!(order.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn places_read_well() {
        let n = SequenceNumber::new("007");
        let told = [
            Position::Beginning,
            Position::At(n.clone()),
            Position::After(n.clone()),
            Position::End,
        ]
        .map(|position| position.to_string());
        assert_eq!(told, ["beginning", "at 7", "after 7", "end"]);
        assert_eq!(n.padded(), format!("{}7", "0".repeat(39)));
    }
}

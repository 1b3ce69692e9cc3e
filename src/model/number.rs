//! DynamoDB numbers, compared by value.

use std::cmp::Ordering;
use std::fmt;

/// A DynamoDB number: up to 38 significant digits, compared by its value.
///
/// It is held in one canonical form (sign, digits without zeros at either end, exponent), so `1`,
/// `1.0` and `1e0` are equal, hash alike and order as numbers do.
/// See [the naming rules and data types](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    /// Significant digits, no leading or trailing zero; empty for zero.
    digits: Box<str>,
    /// The value is `0.digits * 10^exponent`; 0 for zero.
    exponent: i32,
}

/// Why a text is no DynamoDB number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not decimal notation.
    #[error("'{0}' is not a number")]
    Malformed(String),
    /// More than 38 significant digits.
    #[error("'{0}' has more than 38 significant digits")]
    TooPrecise(String),
    /// Outside `1e-130 ..= 9.9e125`.
    #[error("'{0}' is outside the range of a DynamoDB number")]
    OutOfRange(String),
}

impl Number {
    /// Reads decimal notation with an optional exponent.
    ///
    /// # Errors
    /// Everything that DynamoDB itself would refuse: see [`NumberError`].
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let malformed = || NumberError::Malformed(text.to_owned());
        let (mantissa, power) = match text.find(['e', 'E']) {
            Some(at) => {
                let power = text[at + 1..].parse::<i32>().map_err(|_| malformed())?;
                (&text[..at], power)
            }
            None => (text, 0),
        };
        let (negative, unsigned) = match mantissa.as_bytes().first() {
            Some(b'-') => (true, &mantissa[1..]),
            Some(b'+') => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(malformed());
        }
        let all: String = [whole, fraction].concat();
        if !all.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed());
        }
        let leading = all.len() - all.trim_start_matches('0').len();
        let digits = all[leading..].trim_end_matches('0');
        if digits.is_empty() {
            return Ok(Self {
                negative: false,
                digits: "".into(),
                exponent: 0,
            });
        }
        if digits.len() > 38 {
            return Err(NumberError::TooPrecise(text.to_owned()));
        }
        let shift = i32::try_from(whole.len()).map_err(|_| malformed())?
            - i32::try_from(leading).map_err(|_| malformed())?;
        let exponent = shift.checked_add(power).ok_or_else(malformed)?;
        if !(-129..=126).contains(&exponent) {
            return Err(NumberError::OutOfRange(text.to_owned()));
        }
        Ok(Self {
            negative,
            digits: digits.into(),
            exponent,
        })
    }

    /// The positive number `0.digits * 10^exponent`. The digits begin and end with another digit than zero.
    pub(super) fn of_digits(digits: &str, exponent: i32) -> Self {
        Self {
            negative: false,
            digits: digits.into(),
            exponent,
        }
    }

    /// Its significant digits, if it is positive and `0.digits * 10^exponent`.
    pub(super) fn digits_at(&self, exponent: i32) -> Option<&str> {
        (!self.negative && self.exponent == exponent).then_some(&*self.digits)
    }

    /// Bytes that DynamoDB charges for it: one byte per two significant digits and one more,
    /// and one for a minus sign (an approximation by AWS's own account).
    #[must_use]
    pub fn size(&self) -> usize {
        self.digits.len().div_ceil(2) + 1 + usize::from(self.negative)
    }
}

impl Number {
    /// The size of a number from its text, as [`Number::size`] of the number that [`Number::parse`] reads.
    ///
    /// # Errors
    /// As [`Number::parse`].
    pub fn size_of(text: &str) -> Result<usize, NumberError> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mut first, mut last, mut digits, mut points) = (None, 0, 0, 0);
        for byte in unsigned.bytes() {
            match byte {
                b'.' => points += 1,
                b'0'..=b'9' => {
                    digits += 1;
                    if byte != b'0' {
                        first.get_or_insert(digits);
                        last = digits;
                    }
                }
                _ => return Self::parse(text).map(|number| number.size()),
            }
        }
        // So few digits are in range, and precise enough.
        if digits == 0 || digits > 38 || points > 1 {
            return Self::parse(text).map(|number| number.size());
        }
        Ok(match first {
            None => 1,
            Some(first) => {
                let significant: usize = last + 1 - first;
                significant.div_ceil(2) + 1 + usize::from(unsigned.len() < text.len())
            }
        })
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        let digits = value.unsigned_abs().to_string();
        let exponent = i32::try_from(digits.len()).unwrap_or(0);
        let digits = digits.trim_end_matches('0');
        Self {
            negative: value < 0,
            exponent: if digits.is_empty() { 0 } else { exponent },
            digits: digits.into(),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |n: &Self| match (n.digits.is_empty(), n.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            let magnitude =
                (self.exponent, self.digits.as_bytes()).cmp(&(other.exponent, other.digits.as_bytes()));
            if self.negative {
                magnitude.reverse()
            } else {
                magnitude
            }
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Number {
    /// The shortest canonical text: plain digits if they are few, otherwise with an exponent. Only equal numbers have
    /// the same text. Encodings and fingerprints are made from it, so it never changes.
    #[must_use]
    pub fn compact(&self) -> Compact<'_> {
        Compact(self)
    }

    fn length(&self) -> i32 {
        i32::try_from(self.digits.len()).unwrap_or(38)
    }
}

impl fmt::Display for Number {
    /// All digits without an exponent, as DynamoDB returns a number. Applications read this form, and make keys from
    /// it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let length = self.length();
        if self.exponent >= length {
            let zeros = usize::try_from(self.exponent - length).unwrap_or(0);
            write!(f, "{}{}", self.digits, "0".repeat(zeros))
        } else if self.exponent > 0 {
            let at = usize::try_from(self.exponent).unwrap_or(0);
            write!(f, "{}.{}", &self.digits[..at], &self.digits[at..])
        } else {
            let zeros = usize::try_from(-self.exponent).unwrap_or(0);
            write!(f, "0.{}{}", "0".repeat(zeros), self.digits)
        }
    }
}

/// A number in its shortest canonical text: see [`Number::compact`].
#[derive(Clone, Copy)]
pub struct Compact<'n>(&'n Number);

impl fmt::Display for Compact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = self;
        let length = number.length();
        let plain = number.digits.is_empty()
            || (number.exponent >= length && number.exponent <= 40)
            || (number.exponent > 0 && number.exponent < length)
            || (number.exponent <= 0 && number.exponent > -20);
        if plain {
            return write!(f, "{number}");
        }
        let sign = if number.negative { "-" } else { "" };
        write!(f, "{sign}{}", &number.digits[..1])?;
        if length > 1 {
            write!(f, ".{}", &number.digits[1..])?;
        }
        write!(f, "E{}", number.exponent - 1)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({})", self.compact())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn n(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn equal_values_are_one_number() {
        for text in ["1", "1.0", "01", "+1", "1e0", "10E-1", "0.1e1"] {
            assert_eq!(n(text), n("1"), "{text}");
            assert_eq!(n(text).to_string(), "1");
        }
        assert_eq!(n("-0.00"), n("0"));
        assert_eq!(n("0e50").to_string(), "0");
    }

    #[test]
    fn refuses_what_dynamodb_refuses() {
        for text in ["", "-", ".", "1e", "abc", "1.2.3", "0x1", "NaN", "1_0", "٣"] {
            assert!(
                matches!(Number::parse(text), Err(NumberError::Malformed(_))),
                "{text}"
            );
        }
        assert!(matches!(
            Number::parse(&"1".repeat(39)),
            Err(NumberError::TooPrecise(_))
        ));
        assert!(matches!(Number::parse("1e126"), Err(NumberError::OutOfRange(_))));
        assert!(matches!(Number::parse("1e-131"), Err(NumberError::OutOfRange(_))));
        assert!(Number::parse("9.9999999999999999999999999999999999999E+125").is_ok());
        assert!(Number::parse("1e-130").is_ok());
        assert!(Number::parse("1e99999999999").is_err());
        assert!(Number::parse("1.5e2147483647").is_err());
    }

    #[test]
    fn orders_by_value() {
        let sorted = [
            "-1e125", "-20", "-3", "-2.5", "-1e-130", "0", "1e-130", "0.9", "1", "2", "10", "99", "1e125",
        ];
        for pair in sorted.windows(2) {
            assert!(n(pair[0]) < n(pair[1]), "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(mantissa in -99_999_999_999i64..99_999_999_999, power in -100i32..100) {
            let number = n(&format!("{mantissa}e{power}"));
            prop_assert!(!number.to_string().contains('E'));
            prop_assert_eq!(&n(&number.compact().to_string()), &number);
            prop_assert_eq!(n(&number.to_string()), number);
        }

        #[test]
        fn orders_as_integers(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(Number::from(a).cmp(&Number::from(b)), a.cmp(&b));
            prop_assert_eq!(Number::from(a), n(&a.to_string()));
        }

        #[test]
        fn never_panics(text in "[-+0-9.eE]{0,50}") {
            let _ = Number::parse(&text);
        }

        #[test]
        fn the_size_of_a_text_is_that_of_its_number(text in "[-+]?[0-9]{0,25}[.]?[0-9]{0,20}|[-+0-9.eE]{0,12}|-?0*1?0*") {
            let parsed = Number::parse(&text).map(|number| number.size());
            prop_assert_eq!(Number::size_of(&text), parsed);
        }
    }

    #[test]
    fn text_has_all_digits_and_no_exponent() {
        let zeros = |count: usize| "0".repeat(count);
        for (text, expected) in [
            ("100", "100".to_owned()),
            ("12.50", "12.5".to_owned()),
            ("0.125", "0.125".to_owned()),
            ("-0.05", "-0.05".to_owned()),
            ("-0", "0".to_owned()),
            ("1E40", format!("1{}", zeros(40))),
            ("-1.5e40", format!("-15{}", zeros(39))),
            ("1e-20", format!("0.{}1", zeros(19))),
            ("1e-21", format!("0.{}1", zeros(20))),
            ("12e-22", format!("0.{}12", zeros(20))),
            ("1e125", format!("1{}", zeros(125))),
            ("-1e-130", format!("-0.{}1", zeros(129))),
        ] {
            assert_eq!(n(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn compact_text_is_plain_where_that_is_short() {
        for (text, expected) in [
            ("0", "0"),
            ("100", "100"),
            ("12.50", "12.5"),
            ("-0.05", "-0.05"),
            ("1e39", "1000000000000000000000000000000000000000"),
            ("1e40", "1E40"),
            ("-1.5e40", "-1.5E40"),
            ("1e-20", "0.00000000000000000001"),
            ("1e-21", "1E-21"),
            ("12e-22", "1.2E-21"),
        ] {
            assert_eq!(n(text).compact().to_string(), expected, "{text}");
            assert_eq!(n(expected), n(text));
        }
    }

    #[test]
    fn sizes_count_pairs_of_digits() {
        for (text, bytes) in [
            ("0", 1),
            ("7", 2),
            ("12", 2),
            ("123", 3),
            ("-123", 4),
            ("1e100", 2),
        ] {
            assert_eq!(n(text).size(), bytes, "{text}");
        }
        assert_eq!(n(&"1".repeat(38)).size(), 20);
    }

    #[test]
    fn whole_numbers_are_numbers() {
        for whole in [0, 1, -1, 10, -10, 1200, i64::MAX, i64::MIN] {
            assert_eq!(Number::from(whole), n(&whole.to_string()));
        }
    }
}

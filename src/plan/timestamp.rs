//! Where an item's version comes from in `timestamp` mode.

use super::spec::TimestampSpec;
use crate::model::{AttributeKind, Item, Number, Value, Version};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The attribute whose value grows with each write of an item.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Timestamp {
    /// Attribute name, at the top level of the item.
    pub attribute: String,
    /// How it is written.
    pub format: TimestampFormat,
}

/// How a timestamp is written. Only numbers and text of a fixed width are taken: in any other text the
/// order of the times and the order of the texts differ (`10:00:00.500Z` sorts before `10:00:00Z`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampFormat {
    /// A number: seconds since 1970.
    EpochSeconds,
    /// A number: milliseconds since 1970.
    EpochMillis,
    /// Any number that grows.
    Number,
    /// Text of a fixed width: `0` stands for any digit, `*` for any ASCII letter or digit, everything
    /// else for itself.
    Pattern(String),
}

/// ISO 8601 in UTC, by the digits of its fraction.
const ISO_8601: [(&str, &str); 4] = [
    ("iso-8601-seconds", "0000-00-00T00:00:00Z"),
    ("iso-8601-millis", "0000-00-00T00:00:00.000Z"),
    ("iso-8601-micros", "0000-00-00T00:00:00.000000Z"),
    ("iso-8601-nanos", "0000-00-00T00:00:00.000000000Z"),
];
/// Names that people try, whose texts have no fixed width or no sorting order.
const LOOSE: [&str; 10] = [
    "rfc3339",
    "rfc-3339",
    "iso-8601",
    "iso8601",
    "iso",
    "rfc2822",
    "rfc-2822",
    "http-date",
    "date",
    "datetime",
];
/// The last second of the year 9999: text with four digits for the year holds no later one.
const LAST_SECOND: u64 = 253_402_300_799;
/// Longest pattern: a timestamp is short, and each item is matched against it.
const MAX_PATTERN_CHARS: usize = 64;

/// The problem of a timestamp's type or format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FormatFlaw {
    /// The wrong setting: `type` or `format`.
    pub field: &'static str,
    pub message: String,
    pub hint: String,
}

impl TimestampFormat {
    /// Reads the format as the plan gives it.
    pub(super) fn of(spec: &TimestampSpec) -> Result<Self, FormatFlaw> {
        let flaw = |field, message: &str, hint: &str| {
            Err(FormatFlaw {
                field,
                message: message.to_owned(),
                hint: hint.to_owned(),
            })
        };
        match (spec.kind, spec.format.as_deref()) {
            (AttributeKind::B, _) => flaw(
                "type",
                "a timestamp cannot have type B",
                "use an attribute of type N or S, or `timestamp: none`",
            ),
            (AttributeKind::N, None | Some("number")) => Ok(Self::Number),
            (AttributeKind::N, Some("epoch-seconds")) => Ok(Self::EpochSeconds),
            (AttributeKind::N, Some("epoch-millis")) => Ok(Self::EpochMillis),
            (AttributeKind::N, Some(_)) => flaw(
                "format",
                "this is not a format of a number",
                "use `epoch-seconds`, `epoch-millis` or `number`, or write `type: S` for text",
            ),
            (AttributeKind::S, None) => flaw(
                "format",
                "a timestamp of type S needs its `format`",
                "write for example `format: iso-8601-millis`, or a pattern like '0000-00-00 00:00:00'",
            ),
            (AttributeKind::S, Some(format)) => Self::text(format),
        }
    }

    fn text(format: &str) -> Result<Self, FormatFlaw> {
        let flaw = |message: &str, hint: &str| {
            Err(FormatFlaw {
                field: "format",
                message: message.to_owned(),
                hint: hint.to_owned(),
            })
        };
        let choose = "use `iso-8601-seconds`, `-millis`, `-micros` or `-nanos` if every writer uses the \
             same one; otherwise write `timestamp: none`";
        if let Some((_, pattern)) = ISO_8601.iter().find(|(name, _)| *name == format) {
            return Ok(Self::Pattern((*pattern).to_owned()));
        }
        if LOOSE.contains(&format.to_lowercase().as_str()) {
            return flaw(
                "this format has no fixed width, so its texts do not sort as times do (it may drop zeros: \
                 `10:00:00.500Z` sorts before `10:00:00Z`)",
                choose,
            );
        }
        if ["epoch-seconds", "epoch-millis", "number"].contains(&format) {
            return flaw(
                "text with a number has no fixed width, and 9 sorts after 10",
                "if the attribute is a number, write `type: N`; if it is text of a fixed width, give its \
                 pattern, for example '0000000000000'",
            );
        }
        if format.len() > MAX_PATTERN_CHARS {
            return flaw(
                &format!("the pattern is longer than {MAX_PATTERN_CHARS} characters"),
                choose,
            );
        }
        if !format.contains(['0', '*']) {
            return flaw(
                "this is neither a known format nor a pattern",
                "write text of a fixed width in which `0` is any digit and `*` any letter or digit, for \
                 example '0000-00-00 00:00:00'; or write `iso-8601-millis`",
            );
        }
        let zone = format.len().checked_sub(6).and_then(|at| format.get(at..));
        if zone.is_some_and(|zone| ["+00:00", "-00:00"].contains(&zone)) {
            return flaw(
                "times with an offset from UTC do not sort as text",
                "all times must be in the same zone: let the writers write them with `Z`, or use \
                 `timestamp: none`",
            );
        }
        if ["00/00/0000", "00-00-0000", "00.00.0000", "00/00/00"]
            .iter()
            .any(|day| format.starts_with(day))
        {
            return flaw(
                "a date that begins with its day or month does not sort as text",
                "use a format in which the year comes first, or `timestamp: none`",
            );
        }
        Ok(Self::Pattern(format.to_owned()))
    }

    /// The type of the attribute.
    #[must_use]
    pub fn kind(&self) -> AttributeKind {
        match self {
            Self::Pattern(_) => AttributeKind::S,
            _ => AttributeKind::N,
        }
    }
}

impl Timestamp {
    /// Whether an item has a value of the right type here that is not a version: text in another format. A guard
    /// would compare it as if it were one.
    #[must_use]
    pub fn is_unreadable(&self, item: &Item) -> bool {
        let kind = self.format.kind();
        item.get(&self.attribute).is_some_and(|value| kind.holds(value)) && self.version_of(item).is_none()
    }

    /// The item's version. `None` if the attribute is missing, or has another type or format.
    #[must_use]
    pub fn version_of(&self, item: &Item) -> Option<Version> {
        match (&self.format, item.get(&self.attribute)?) {
            (TimestampFormat::Pattern(pattern), Value::S(text)) if fits(pattern, text) => {
                Some(Version::Text(text.clone()))
            }
            (TimestampFormat::Pattern(_), _) => None,
            (_, Value::N(number)) => Some(Version::Number(number.clone())),
            _ => None,
        }
    }

    /// A time in this format, for sample data and live writers. It never decreases as time increases; times before
    /// 1970 or after the year 9999 are shown as these limits.
    #[must_use]
    pub fn render(&self, at: SystemTime) -> Value {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = since.min(Duration::new(LAST_SECOND, 999_999_999));
        let number = |value: u128| Value::N(Number::from(i64::try_from(value).unwrap_or(i64::MAX)));
        match &self.format {
            TimestampFormat::EpochSeconds => number(since.as_secs().into()),
            TimestampFormat::EpochMillis | TimestampFormat::Number => number(since.as_millis()),
            TimestampFormat::Pattern(pattern) => Value::S(fill(pattern, since)),
        }
    }
}

/// Whether a text has the pattern's form.
fn fits(pattern: &str, text: &str) -> bool {
    let mut found = text.chars();
    let all = pattern.chars().all(|wanted| {
        found.next().is_some_and(|c| match wanted {
            '0' => c.is_ascii_digit(),
            '*' => c.is_ascii_alphanumeric(),
            literal => c == literal,
        })
    });
    all && found.next().is_none()
}

/// Fills the pattern's places with the digits of year, month, day, hour, minute, second and its
/// fraction: a pattern that looks like a date becomes that date, and any other still grows with time.
fn fill(pattern: &str, since: Duration) -> String {
    let text = humantime::format_rfc3339_nanos(UNIX_EPOCH + since).to_string();
    let mut digits = text.chars().filter(char::is_ascii_digit);
    pattern
        .chars()
        .map(|c| {
            if c == '0' || c == '*' {
                digits.next().unwrap_or('0')
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(kind: AttributeKind, format: Option<&str>) -> Result<Timestamp, FormatFlaw> {
        let spec = TimestampSpec {
            attribute: "at".into(),
            kind,
            format: format.map(Into::into),
        };
        let format = TimestampFormat::of(&spec)?;
        Ok(Timestamp {
            attribute: "at".into(),
            format,
        })
    }

    fn text(pattern: &str) -> Timestamp {
        format(AttributeKind::S, Some(pattern)).unwrap()
    }

    #[test]
    fn formats_that_do_not_sort_are_refused_with_the_reason() {
        for (wanted, reason) in [
            ("rfc3339", "drop zeros"),
            ("ISO-8601", "drop zeros"),
            ("epoch-millis", "9 sorts after 10"),
            ("0000-00-00T00:00:00+00:00", "offset"),
            ("00/00/0000 00:00", "day or month"),
            ("yyyy-mm-dd", "neither"),
            ("", "neither"),
        ] {
            let flaw = format(AttributeKind::S, Some(wanted)).unwrap_err();
            assert!(flaw.message.contains(reason), "{wanted}: {}", flaw.message);
        }
        assert!(format(AttributeKind::S, Some(&"0".repeat(64))).is_ok());
        let long = format(AttributeKind::S, Some(&"0".repeat(65))).unwrap_err();
        assert!(long.message.contains("longer than 64"), "{}", long.message);
        assert_eq!(format(AttributeKind::S, None).unwrap_err().field, "format");
        assert_eq!(format(AttributeKind::B, None).unwrap_err().field, "type");
        assert!(format(AttributeKind::N, Some("iso-8601-millis")).is_err());
    }

    #[test]
    fn versions_are_read_only_in_the_plans_format() {
        let version = |timestamp: &Timestamp, value: Value| {
            timestamp.version_of(&Item::from([("at".to_owned(), value)]))
        };
        let millis = text("iso-8601-millis");
        let good = "2024-02-29T10:00:00.500Z";
        assert_eq!(version(&millis, Value::s(good)), Some(Version::Text(good.into())));
        for bad in [
            "2024-02-29T10:00:00Z",
            "2024-02-29T10:00:00.500+",
            "",
            "2024-02-29T10:00:00.500Z ",
        ] {
            assert_eq!(version(&millis, Value::s(bad)), None, "{bad}");
        }
        assert_eq!(version(&millis, Value::N(Number::from(5))), None);
        assert_eq!(millis.version_of(&Item::new()), None);
        assert!(version(&text("**-00"), Value::s("aZ-01")).is_some());
        assert!(version(&text("**-00"), Value::s("é0-01")).is_none());
        let number = format(AttributeKind::N, None).unwrap();
        assert!(version(&number, Value::N(Number::from(5))).is_some());
        assert!(version(&number, Value::s("5")).is_none());
    }

    #[test]
    fn only_what_looks_like_a_version_and_is_none_is_unreadable() {
        let millis = text("iso-8601-millis");
        let number = format(AttributeKind::N, None).unwrap();
        assert_eq!(
            [millis.format.kind(), number.format.kind()],
            [AttributeKind::S, AttributeKind::N]
        );
        let unreadable =
            |timestamp: &Timestamp, value| timestamp.is_unreadable(&Item::from([("at".to_owned(), value)]));
        assert!(unreadable(&millis, Value::s("2024-02-29T10:00:00Z")));
        assert!(!unreadable(&millis, Value::s("2024-02-29T10:00:00.500Z")));
        assert!(!unreadable(&millis, Value::N(Number::from(5))));
        assert!(!millis.is_unreadable(&Item::new()));
        assert!(!unreadable(&number, Value::N(Number::from(5))));
        assert!(!unreadable(&number, Value::s("5")));
    }

    #[test]
    fn times_are_written_in_the_plans_format() {
        let at = UNIX_EPOCH + Duration::from_micros(1_709_200_800_500_250);
        assert_eq!(
            text("iso-8601-seconds").render(at),
            Value::s("2024-02-29T10:00:00Z")
        );
        assert_eq!(
            text("iso-8601-micros").render(at),
            Value::s("2024-02-29T10:00:00.500250Z")
        );
        assert_eq!(text("0000-00-00 00:00").render(at), Value::s("2024-02-29 10:00"));
        let number = |name| format(AttributeKind::N, Some(name)).unwrap().render(at);
        assert_eq!(number("epoch-seconds"), Value::N(Number::from(1_709_200_800)));
        assert_eq!(number("number"), Value::N(Number::from(1_709_200_800_500)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_grows(
            pattern in "[0*]{1,30}|iso-8601-(seconds|millis|micros|nanos)",
            first in 0u64..400_000_000_000, more in 0u64..1_000_000, nanos in 0u32..1_000_000_000,
        ) {
            let timestamp = text(&pattern);
            let at = UNIX_EPOCH + Duration::new(first, nanos);
            let version = |at| timestamp.version_of(&Item::from([("at".to_owned(), timestamp.render(at))]));
            let (early, late) = (version(at), version(at + Duration::from_millis(more)));
            prop_assert!(early.is_some());
            prop_assert!(early <= late);
        }
    }
}

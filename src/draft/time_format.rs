//! How a value writes a time.

use crate::model::{AttributeKind, Value};
use crate::plan::TimestampFormat;

/// A way to write times.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct TimeFormat {
    /// Whether it is a number; otherwise it is text.
    pub is_number: bool,
    /// As the plan writes it.
    pub format: String,
    /// The shape of the text; for a number, the format.
    pub shape: String,
    /// Why it cannot order the versions of an item.
    pub flaw: Option<&'static str>,
}

/// The years 2000 to 2099, in seconds.
const SECONDS: std::ops::Range<i64> = 946_684_800..4_102_444_800;
const ISO: [(&str, &str); 4] = [
    ("0000-00-00T00:00:00Z", "iso-8601-seconds"),
    ("0000-00-00T00:00:00.000Z", "iso-8601-millis"),
    ("0000-00-00T00:00:00.000000Z", "iso-8601-micros"),
    ("0000-00-00T00:00:00.000000000Z", "iso-8601-nanos"),
];
const LONGEST: usize = 40;
const ULID: usize = 26;

impl TimeFormat {
    fn number(format: &str) -> Self {
        let (format, shape) = (format.to_owned(), format.to_owned());
        Self {
            is_number: true,
            format,
            shape,
            flaw: None,
        }
    }

    fn text(format: &str, shape: &str, flaw: Option<&'static str>) -> Self {
        Self {
            is_number: false,
            format: format.to_owned(),
            shape: shape.to_owned(),
            flaw,
        }
    }

    /// The type of the attribute.
    pub fn kind(&self) -> AttributeKind {
        if self.is_number {
            AttributeKind::N
        } else {
            AttributeKind::S
        }
    }

    /// The format that the plan has for it.
    pub fn of_plan(&self) -> TimestampFormat {
        match (self.is_number, self.format.as_str()) {
            (true, "epoch-seconds") => TimestampFormat::EpochSeconds,
            (true, "epoch-millis") => TimestampFormat::EpochMillis,
            (true, _) => TimestampFormat::Number,
            (false, _) => TimestampFormat::Pattern(self.shape.clone()),
        }
    }
}

/// The format of a value, if it can be a time.
pub(super) fn format_of(value: &Value) -> Option<TimeFormat> {
    match value {
        Value::N(number) => of_number(number.to_string().parse().ok()?).map(TimeFormat::number),
        Value::S(text) => of_text(text),
        _ => None,
    }
}

fn of_number(number: i64) -> Option<&'static str> {
    let within = |scale: i64| SECONDS.contains(&(number / scale));
    match number {
        _ if within(1) => Some("epoch-seconds"),
        _ if within(1_000) => Some("epoch-millis"),
        // Microseconds and nanoseconds have no names in a plan.
        _ if within(1_000_000) || within(1_000_000_000) => Some("number"),
        _ => None,
    }
}

fn of_text(text: &str) -> Option<TimeFormat> {
    if text.len() > LONGEST || !text.is_ascii() {
        return None;
    }
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    if let Some((_, name)) = ISO.iter().find(|(iso, _)| *iso == shape) {
        return Some(TimeFormat::text(name, &shape, None));
    }
    if shape.bytes().all(|b| b == b'0') {
        let known = matches!(shape.len(), 10 | 13) && of_number(text.parse().ok()?).is_some();
        return known.then(|| TimeFormat::text(&shape, &shape, None));
    }
    if ["00/00/0000", "00-00-0000", "00.00.0000"]
        .iter()
        .any(|day| shape.starts_with(day))
    {
        return Some(TimeFormat::text(
            &shape,
            &shape,
            Some("a date that begins with its day or month does not sort"),
        ));
    }
    if let Some(clock) = shape.strip_prefix("0000-00-00") {
        return of_clock(clock).map(|flaw| TimeFormat::text(&shape, &shape, flaw));
    }
    let crockford = |b: u8| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b));
    let is_ulid = text.len() == ULID && text.bytes().all(crockford) && text.as_bytes()[0] <= b'7';
    is_ulid.then(|| {
        let stars = "*".repeat(ULID);
        TimeFormat::text(&stars, &stars, None)
    })
}

/// What stands behind the day: `None` if it is no time, otherwise its flaw.
fn of_clock(shape: &str) -> Option<Option<&'static str>> {
    if shape.is_empty() {
        return Some(Some("a day does not order the writes of that day"));
    }
    let clock = shape.strip_prefix(['T', ' '])?;
    let rest = clock
        .strip_prefix("00:00:00")
        .or_else(|| clock.strip_prefix("00:00"))?;
    let zone = rest.trim_start_matches(['.', '0']);
    match zone {
        "" | "Z" => Some(None),
        "+00:00" | "-00:00" | "+" | "-" | "+0000" | "-0000" => {
            Some(Some("times with an offset from UTC do not sort as text"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_the_plan_are_recognized() {
        let number = |n: i64| format_of(&Value::N(n.into())).map(|found| found.format);
        assert_eq!(number(1_764_337_427).as_deref(), Some("epoch-seconds"));
        assert_eq!(number(1_764_337_427_123).as_deref(), Some("epoch-millis"));
        assert_eq!(number(1_764_337_427_123_456).as_deref(), Some("number"));
        assert_eq!(number(17), None);
        let text = |text: &str| format_of(&Value::s(text)).map(|found| (found.format, found.flaw.is_some()));
        for (value, format, flawed) in [
            ("2026-11-28T14:00:00Z", "iso-8601-seconds", false),
            ("2026-11-28T14:00:00.123Z", "iso-8601-millis", false),
            ("2026-11-28T14:00:00.123456789Z", "iso-8601-nanos", false),
            ("2026-11-28 14:00:00", "0000-00-00 00:00:00", false),
            ("2026-11-28T14:00:00+01:00", "0000-00-00T00:00:00+00:00", true),
            ("2026-11-28", "0000-00-00", true),
            ("28/11/2026 14:00", "00/00/0000 00:00", true),
            ("1764337427123", "0000000000000", false),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", &"*".repeat(26), false),
        ] {
            assert_eq!(text(value), Some((format.to_owned(), flawed)), "{value}");
        }
        for value in [
            "",
            "tomorrow",
            "2026-11-28Tx",
            "0123456789012",
            "12",
            "2026-11-28T14:00:00 Europe",
        ] {
            assert_eq!(text(value), None, "{value}");
        }
    }
}

//! Figures in words, so that every table and every sentence shows the same figure alike.

use std::time::{Duration, UNIX_EPOCH};

/// A count with thousands set apart: `12,345`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count of things: `1 dead letter`, `2,000 dead letters`.
#[must_use]
pub fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// A duration: `850 ms`, `12.3 s`, `4m 10s`, `3h 5m`.
#[must_use]
#[allow(clippy::cast_precision_loss)] // shown with one decimal
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..100_000 => format!("{:.1} s", ms as f64 / 1000.0),
        100_000..6_000_000 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// A moment, in milliseconds since 1970: `2026-11-28T14:00:00Z`.
#[must_use]
pub fn moment(ms: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "item"), "1 item");
        assert_eq!(counted(0, "item"), "0 items");
        assert_eq!(counted(2000, "item"), "2,000 items");
        assert_eq!(moment(1_604_474_914_028), "2020-11-04T07:28:34Z");
        assert_eq!(duration(850), "850 ms");
        assert_eq!(duration(12_340), "12.3 s");
        assert_eq!(duration(250_000), "4m 10s");
        assert_eq!(duration(11_100_000), "3h 5m");
    }
}

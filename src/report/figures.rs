//! Figures and texts as the page shows them.

use crate::model::{count, duration};
use maud::{Markup, html};
use std::time::{Duration, UNIX_EPOCH};

/// A moment in the form of RFC 3339, in UTC, without fractions.
pub(super) fn stamp(at_ms: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(at_ms)).to_string()
}

/// A moment, as a `time` element: in UTC, without fractions.
pub(super) fn moment(at_ms: u64) -> Markup {
    let stamp = stamp(at_ms);
    let shown = stamp.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(stamp) { (shown) } }
}

/// A moment on the scale, as exact as its length needs.
pub(super) fn tick(at_ms: u64, length: u64) -> String {
    let stamp = stamp(at_ms);
    let shown = match length {
        0..600_000 => stamp.get(11..19),
        600_000..86_400_000 => stamp.get(11..16),
        _ => stamp.get(5..16),
    };
    shown.unwrap_or_default().replace('T', " ")
}

/// A text in which what stands in backquotes is code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (command(part)) } } @else { (part) }
        }
    }
}

/// A command in which no line begins in the middle of `--option`.
fn command(text: &str) -> Markup {
    html! {
        @for (place, word) in text.split(' ').enumerate() {
            @if place > 0 { " " }
            @if word.starts_with("--") { span.word { (word) } } @else { (word) }
        }
    }
}

/// Thousandths of capacity units, as whole units.
pub(super) fn units(milliunits: u64) -> String {
    count(milliunits.div_ceil(1000))
}

/// An amount of US dollars.
pub(super) fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.01 {
        "< $0.01".to_owned()
    } else {
        format!("${amount:.2}")
    }
}

/// How long ago something was.
pub(super) fn ago(at_ms: u64, now_ms: u64) -> String {
    format!("{} ago", duration(now_ms.saturating_sub(at_ms)))
}

/// A part of a whole, from 0 to 1.
#[allow(clippy::cast_precision_loss)] // shown with few digits
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        (part as f64 / whole as f64).min(1.0)
    }
}

/// A share in percent: one digit below ten percent, and never zero for something.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0%".to_owned(),
        percent if percent < 0.1 => "< 0.1%".to_owned(),
        percent if percent < 9.95 => format!("{percent:.1}%"),
        percent => format!("{percent:.0}%"),
    }
}

/// A length in a drawing, as a percentage of its width.
pub(super) fn across(share: f64) -> String {
    format!("{:.3}%", share.clamp(0.0, 1.0) * 100.0)
}

/// The place of a service in the palette.
pub(super) fn colour(place: usize) -> String {
    format!("c{}", place % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_figures_are_not_shown_as_nothing() {
        assert_eq!(
            [0.0, 0.0004, 0.0123, 0.5, 1.0].map(percent),
            ["0%", "< 0.1%", "1.2%", "50%", "100%"]
        );
        assert_eq!(
            [0.0, 0.001, 1.005, 1234.5].map(dollars),
            ["$0.00", "< $0.01", "$1.00", "$1234.50"]
        );
        assert_eq!(units(1), "1");
    }

    #[test]
    fn code_in_a_text_is_code_and_nothing_is_markup() {
        let shown = prose("run `dynasplit verify <b>`, then <i>look</i>").into_string();
        assert_eq!(
            shown,
            "run <code>dynasplit verify &lt;b&gt;</code>, then &lt;i&gt;look&lt;/i&gt;"
        );
        let option = prose("`wait --for <x>`").into_string();
        assert_eq!(
            option,
            r#"<code>wait <span class="word">--for</span> &lt;x&gt;</code>"#
        );
    }

    #[test]
    fn a_scale_is_as_exact_as_its_length_needs() {
        let at = 1_796_000_123_000;
        let shown = [60_000, 3_600_000, 5 * 86_400_000].map(|length| tick(at, length));
        assert_eq!(shown, ["00:55:23", "00:55", "11-30 00:55"]);
    }
}

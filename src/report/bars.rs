//! Rows with a bar: a name, a drawing on a common scale, and its value as text. Coordinates are percentages, so that a
//! drawing fits every width without scaling its text.

use super::figures::across;
use maud::{Markup, html};

/// The thinnest bar, so that something short can be seen.
const THINNEST: f64 = 0.008;

/// A row.
pub(super) struct BarRow {
    /// Its name.
    pub name: String,
    /// Where the bar begins, from 0 to 1.
    pub from: f64,
    /// Where it ends. If it begins there, a mark is drawn instead.
    pub to: f64,
    /// Its class in the style sheet.
    pub class: String,
    /// Its value, in words.
    pub text: String,
}

/// A tick of the scale: where, and what it says.
pub(super) type Tick = (f64, String);

/// Draws the rows. The text of each row says what its bar shows, so the drawings are hidden from screen readers.
pub(super) fn bars(rows: &[BarRow], ticks: &[Tick]) -> Markup {
    html! {
        ul.bars {
            @for row in rows {
                li {
                    span.name { (row.name) }
                    svg.bar aria-hidden="true" focusable="false" height="22" width="100%" {
                        rect.track x="0" y="5" width="100%" height="12" rx="3" {}
                        @for (at, _) in ticks {
                            line.tick x1=(across(*at)) x2=(across(*at)) y1="2" y2="20" {}
                        }
                        @if row.to > row.from {
                            rect class=(row.class) x=(across(row.from)) y="5" width=(across((row.to - row.from).max(THINNEST))) height="12" rx="3" {}
                        } @else {
                            circle class=(row.class) cx=(across(row.from.clamp(0.01, 0.99))) cy="11" r="7" {}
                        }
                    }
                    span.value { (row.text) }
                }
            }
            li.scale aria-hidden="true" {
                span.name {}
                svg.bar focusable="false" height="18" width="100%" {
                    @for (at, text) in ticks {
                        text x=(across(*at)) y="13" text-anchor=(anchor(*at)) { (text) }
                    }
                }
                span.value {}
            }
        }
    }
}

/// A text at the edge of a drawing stays inside.
fn anchor(at: f64) -> &'static str {
    if at < 0.05 {
        "start"
    } else if at > 0.95 {
        "end"
    } else {
        "middle"
    }
}

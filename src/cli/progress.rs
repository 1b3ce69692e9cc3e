//! Progress bars on a terminal, and progress lines elsewhere.

use super::wrapping::{To, under};
use super::{screen, text};
use crate::state::Estimate;
use crate::status::RateMeter;
use console::Term;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One bar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// How far.
    pub position: u64,
    /// The total, if it is known.
    pub total: Option<u64>,
    /// The counted unit, in the singular.
    pub unit: &'static str,
    /// The verb for the count: `read`, `written`.
    pub verb: &'static str,
    /// Nothing more will come.
    pub done: bool,
    /// The rate and the remaining time, if they are measured elsewhere.
    pub estimate: Option<Estimate>,
    /// The rest: limits, lag.
    pub message: String,
}

/// Something whose progress can be shown: as bars on a terminal, as one plain line in a pipe.
pub trait Shown {
    /// The present phase in a few words.
    fn title(&self) -> String;
    /// A bar for each service and phase.
    fn bars(&self) -> Vec<Bar>;
}

/// Shows progress on stderr until it is ended.
pub struct Progress {
    task: JoinHandle<()>,
    over: CancellationToken,
}

/// Between two lines in a pipe.
const LINES: Duration = Duration::from_secs(5);
const REDRAW: Duration = Duration::from_millis(200);
/// Columns of a terminal that does not report its size.
const ROOM: usize = 80;

impl Progress {
    /// Shows the values of the channel.
    pub fn of<V: Shown + Clone + Send + Sync + 'static>(view: watch::Receiver<V>) -> Self {
        let over = CancellationToken::new();
        let attended = console::user_attended_stderr() && !screen::is_json();
        let task = if draws(attended, console::is_dumb()) {
            tokio::spawn(draw(view, over.clone()))
        } else {
            tokio::spawn(write_lines(view, over.clone()))
        };
        Self { task, over }
    }

    /// Removes it from the screen: nothing is drawn after this.
    pub async fn end(self) {
        self.over.cancel();
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the progress display failed");
        }
    }
}

/// Whether bars can be drawn: on a terminal whose cursor can be moved. Without `TERM`, or with `TERM=dumb`, it can't, and
/// lines are written as in a pipe.
fn draws(attended: bool, dumb: bool) -> bool {
    attended && !dumb
}

/// How fast each bar moves.
#[derive(Debug, Default)]
struct Meters {
    seen: BTreeMap<String, RateMeter>,
}

impl Meters {
    /// Adds the present count of a bar, and returns units per second, as soon as they can be computed. A bar with its
    /// own rate is not measured.
    fn rate(&mut self, bar: &Bar, now: Instant) -> Option<f64> {
        if let Some(estimate) = bar.estimate {
            return Some(estimate.per_second());
        }
        self.seen
            .entry(bar.name.clone())
            .or_default()
            .rate(bar.position, now)
    }
}

/// The text of a bar: the count, the rate, the remaining time (if it is known), and its message.
fn words(bar: &Bar, rate: Option<f64>) -> String {
    let mut far = match bar.total {
        Some(total) if !bar.done => {
            format!(
                "{} of {}",
                text::count(bar.position),
                text::counted(total, bar.unit)
            )
        }
        _ => text::counted(bar.position, bar.unit),
    };
    if !bar.verb.is_empty() {
        far = format!("{far} {}", bar.verb);
    }
    let mut words = vec![far];
    // A bar that has not moved yet has no rate.
    if let (Some(rate), false) = (rate, bar.done || bar.position == 0) {
        words.push(text::rate(rate));
        let left = bar.estimate.map(|estimate| estimate.left);
        let left = left.or_else(|| bar.total.map(|total| total.saturating_sub(bar.position)));
        words.extend(left.and_then(|left| text::time_left(left, rate)));
    }
    if !bar.message.is_empty() {
        words.push(bar.message.clone());
    }
    words.join(", ")
}

/// Names that are longer stand on a line of their own.
const LONGEST_NAME: usize = 24;
/// Columns of a bar.
const BAR: usize = 20;

/// The lines of a bar with its text. No word is cut: a long text continues on the next line.
fn bar_lines(bar: &Bar, words: &str, name: usize, room: usize) -> Vec<String> {
    let drawn = bar.total.filter(|_| !bar.done).map_or(String::new(), |total| {
        let full = BAR as u64 * bar.position.min(total) / total.max(1);
        let full = usize::try_from(full).unwrap_or(BAR);
        format!("[{}{}] ", "=".repeat(full), "-".repeat(BAR - full))
    });
    let width = console::measure_text_width(&bar.name);
    let (mut lines, head) = if width > LONGEST_NAME {
        (under("  ", 4, &bar.name, room), "    ".to_owned())
    } else {
        let pad = " ".repeat(name.saturating_sub(width));
        (Vec::new(), format!("  {}{pad}  ", bar.name))
    };
    let hang = console::measure_text_width(&head);
    lines.extend(under(&head, hang, &format!("{drawn}{words}"), room));
    lines
}

/// The drawn frame: the title and the bars, in this many columns and rows. If there are more bars than rows, finished
/// bars are left out first, and the last line shows how many are missing.
fn frame(title: &str, bars: &[(Bar, String)], room: usize, rows: usize) -> String {
    let short = bars.iter().map(|(bar, _)| console::measure_text_width(&bar.name));
    let name = short.filter(|width| *width <= LONGEST_NAME).max().unwrap_or(0);
    let mut lines = under("", 2, title, room);
    let all: Vec<(bool, Vec<String>)> = bars
        .iter()
        .map(|(bar, words)| (bar.done, bar_lines(bar, words, name, room)))
        .collect();
    let height = |shown: &[&(bool, Vec<String>)]| shown.iter().map(|(_, lines)| lines.len()).sum::<usize>();
    let left = rows.saturating_sub(lines.len());
    let mut shown: Vec<_> = all.iter().collect();
    if height(&shown) > left {
        shown.sort_by_key(|(is_done, _)| *is_done);
        while !shown.is_empty() && height(&shown) + 1 > left {
            shown.pop();
        }
    }
    lines.extend(shown.iter().flat_map(|(_, lines)| lines.clone()));
    if shown.len() < all.len() {
        lines.push(format!(
            "  and {} more that are not shown",
            all.len() - shown.len()
        ));
    }
    lines.join("\n")
}

/// Waits; `false` when it is over.
async fn going(over: &CancellationToken, wait: Duration) -> bool {
    tokio::select! {
        biased;
        () = over.cancelled() => false,
        () = tokio::time::sleep(wait) => true,
    }
}

async fn write_lines<V: Shown + Clone>(view: watch::Receiver<V>, over: CancellationToken) {
    let (mut last, mut said_at) = (String::new(), Instant::now());
    let mut meters = Meters::default();
    loop {
        // Often enough that a rate is there when a line is written.
        for _ in 0..5 {
            if !going(&over, LINES / 5).await {
                return;
            }
            for bar in view.borrow().bars() {
                meters.rate(&bar, Instant::now());
            }
        }
        let seen = view.borrow().clone();
        let bars: Vec<String> = seen
            .bars()
            .iter()
            .map(|bar| format!("{} {}", bar.name, words(bar, meters.rate(bar, Instant::now()))))
            .collect();
        let line = [vec![seen.title()], bars].concat().join("; ");
        // An unchanged line is repeated only from time to time.
        if line != last || said_at.elapsed() > LINES * 6 {
            screen::say(&line);
            (last, said_at) = (line, Instant::now());
        }
    }
}

async fn draw<V: Shown + Clone>(view: watch::Receiver<V>, over: CancellationToken) {
    let screen = screen::bars();
    let (mut meters, began) = (Meters::default(), Instant::now());
    let drawn = screen.add(ProgressBar::no_length().with_style(style()));
    loop {
        let seen = view.borrow().clone();
        let title = format!(
            "{} ({})",
            seen.title(),
            text::duration(began.elapsed().as_secs() * 1000)
        );
        let bars: Vec<(Bar, String)> = seen
            .bars()
            .into_iter()
            .map(|bar| {
                let words = words(&bar, meters.rate(&bar, Instant::now()));
                (bar, words)
            })
            .collect();
        let rows = usize::from(Term::stderr().size().0);
        let room = To::Stderr.terminal().unwrap_or(ROOM);
        // Two columns for the spinner, and one that stays free; a row for the cursor.
        drawn.set_message(frame(
            &title,
            &bars,
            room.saturating_sub(3),
            rows.saturating_sub(1),
        ));
        drawn.tick();
        if !going(&over, REDRAW).await {
            break;
        }
    }
    drawn.finish_and_clear();
    if let Err(error) = screen.clear() {
        tracing::debug!(%error, "could not clear the progress bars");
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(position: u64) -> Bar {
        Bar {
            name: "a".into(),
            position,
            total: Some(1000),
            unit: "item",
            ..Bar::default()
        }
    }

    #[test]
    fn bars_are_drawn_only_where_the_cursor_moves() {
        assert!(draws(true, false));
        assert!(!draws(true, true), "a dumb terminal gets lines");
        assert!(!draws(false, false), "so does a pipe");
    }

    #[test]
    fn there_is_no_estimate_before_there_is_a_rate() {
        let (mut meters, start) = (Meters::default(), Instant::now());
        assert_eq!(meters.rate(&bar(0), start), None);
        let rate = meters.rate(&bar(200), start + Duration::from_secs(2)).unwrap();
        assert_eq!(
            words(&bar(200), Some(rate)),
            "200 of 1,000 items, 100/s, 8.0 s left"
        );
        assert_eq!(words(&bar(200), None), "200 of 1,000 items");
        assert_eq!(
            words(&bar(200), Some(0.0)),
            "200 of 1,000 items, 0/s",
            "it stands: nobody knows"
        );
    }

    #[test]
    fn one_thing_is_not_many() {
        let of = |position, total| {
            words(
                &Bar {
                    total,
                    ..bar(position)
                },
                None,
            )
        };
        assert_eq!(of(1, None), "1 item");
        assert_eq!(of(2, None), "2 items");
        assert_eq!(of(1, Some(1)), "1 of 1 item");
        assert_eq!(of(1, Some(20)), "1 of 20 items");
    }

    #[test]
    fn what_is_done_shows_its_number_alone() {
        let done = Bar {
            done: true,
            message: "16/16 segments".into(),
            ..bar(990)
        };
        assert_eq!(words(&done, Some(3.0)), "990 items, 16/16 segments");
    }

    fn named(name: &str, done: bool) -> (Bar, String) {
        let bar = Bar {
            name: name.into(),
            done,
            message: "12/16 segments, limited by write budget (1,234.5 units/s)".into(),
            ..bar(123_456_789)
        };
        let told = words(&bar, Some(12_345.0));
        (bar, told)
    }

    #[test]
    fn progress_fits_the_terminal_and_nothing_is_cut() {
        let long = "a-service-with-a-name-of-sixty-characters-that-is-very-long-";
        let bars = [named("orders", false), named(long, false), named("stock", true)];
        for room in [57, 77, 117] {
            let drawn = frame("backfill: copying; limited by the source", &bars, room, 24);
            assert!(drawn.lines().all(|line| line.len() <= room), "{drawn}");
            let words = drawn.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(&long[..40]), "{drawn}");
            for (bar, told) in &bars {
                assert!(words.contains(told.as_str()), "{} in\n{drawn}", bar.name);
            }
        }
    }

    #[test]
    fn more_services_than_rows_are_counted() {
        let bars: Vec<_> = (0..20).map(|n| named(&format!("s{n}"), n < 15)).collect();
        let drawn = frame("backfill: copying", &bars, 77, 12);
        assert!(drawn.lines().count() <= 12, "{drawn}");
        assert!(
            drawn.contains("s15 ") && drawn.contains("more that are not shown"),
            "{drawn}"
        );
        assert_eq!(frame("t", &bars[..1], 77, 24).lines().count(), 3);
    }
}

use super::{screen, text};
use crate::state::Estimate;
use crate::status::RateMeter;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One bar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// What it is for.
    pub name: String,
    /// How far.
    pub position: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
    /// What is counted, one of it.
    pub unit: &'static str,
    /// Nothing more will come.
    pub done: bool,
    /// How fast it goes and how much is left, if that is measured elsewhere.
    pub estimate: Option<Estimate>,
    /// The rest: what limits, lag.
    pub message: String,
}

/// Something whose progress can be shown: as bars on a terminal, as one plain line in a pipe.
pub trait Shown {
    /// What goes on as a whole, in a few words.
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

impl Progress {
    /// Shows what the channel says.
    pub fn of<V: Shown + Clone + Send + Sync + 'static>(view: watch::Receiver<V>) -> Self {
        let over = CancellationToken::new();
        let task = if draws(console::user_attended_stderr(), console::is_dumb()) {
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
            tracing::debug!(%error, "the progress ended badly");
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
    /// Takes in where a bar stands, and answers units a second, once that can be said. A bar that says its own rate is
    /// taken at its word.
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

/// A bar in words: how far, how fast, how much longer (where that can be said), and what else there is.
fn words(bar: &Bar, rate: Option<f64>) -> String {
    let mut words = vec![match bar.total {
        Some(total) if !bar.done => {
            format!(
                "{} of {}",
                text::count(bar.position),
                text::counted(total, bar.unit)
            )
        }
        _ => text::counted(bar.position, bar.unit),
    }];
    // What has not moved at all is about to: that is no rate yet.
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
        // What does not change is said again only now and then.
        if line != last || said_at.elapsed() > LINES * 6 {
            screen::say(&line);
            (last, said_at) = (line, Instant::now());
        }
    }
}

async fn draw<V: Shown + Clone>(view: watch::Receiver<V>, over: CancellationToken) {
    let screen = screen::bars();
    let (mut meters, began) = (Meters::default(), Instant::now());
    let title = screen.add(ProgressBar::no_length().with_style(style("{spinner} {wide_msg}")));
    let mut drawn: BTreeMap<String, ProgressBar> = BTreeMap::new();
    loop {
        let seen = view.borrow().clone();
        let bars = seen.bars();
        title.set_message(format!(
            "{} ({})",
            seen.title(),
            text::duration(began.elapsed().as_secs() * 1000)
        ));
        title.tick();
        // Names line up, whichever bars there are.
        let width = bars.iter().map(|bar| bar.name.len()).max().unwrap_or(0);
        drawn.retain(|name, shown| {
            let keep = bars.iter().any(|bar| bar.name == *name);
            if !keep {
                shown.finish_and_clear();
                screen.remove(shown);
            }
            keep
        });
        for bar in &bars {
            let shown = drawn.entry(bar.name.clone()).or_insert_with(|| {
                screen.add(ProgressBar::new(0).with_style(style("  {prefix} {bar:20} {wide_msg}")))
            });
            let end = if bar.done {
                bar.position
            } else {
                bar.total.unwrap_or(0)
            };
            shown.set_length(end.max(bar.position).max(1));
            shown.set_position(if bar.total.is_some() { bar.position } else { 0 });
            shown.set_prefix(format!("{:<width$}", bar.name));
            shown.set_message(words(bar, meters.rate(bar, Instant::now())));
        }
        if !going(&over, REDRAW).await {
            break;
        }
    }
    drawn.values().for_each(ProgressBar::finish_and_clear);
    title.finish_and_clear();
    if let Err(error) = screen.clear() {
        tracing::debug!(%error, "could not clear the progress bars");
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
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
}

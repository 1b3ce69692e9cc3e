use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One bar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// What it is for.
    pub name: String,
    /// How far.
    pub position: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
    /// The rest: what limits, lag.
    pub message: String,
}

/// Something whose progress can be shown: as bars on a terminal, as one plain line in a pipe.
pub trait Shown {
    /// A bar for each service, say.
    fn bars(&self) -> Vec<Bar>;
    /// All in one line.
    fn line(&self) -> String;
}

/// Shows progress on stderr until it is dropped or ended.
pub struct Progress {
    task: JoinHandle<()>,
    bars: MultiProgress,
}

/// Between two lines in a pipe.
const LINES: Duration = Duration::from_secs(5);
const REDRAW: Duration = Duration::from_millis(200);

impl Progress {
    /// Shows what the channel says.
    pub fn of<V: Shown + Clone + Send + Sync + 'static>(view: watch::Receiver<V>) -> Self {
        let terminal = console::user_attended_stderr();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let task = if terminal {
            tokio::spawn(draw(view, bars.clone()))
        } else {
            tokio::spawn(write_lines(view))
        };
        Self { task, bars }
    }

    /// Removes it from the screen.
    pub fn end(self) {
        self.task.abort();
        if let Err(error) = self.bars.clear() {
            tracing::debug!(%error, "could not clear the progress bars");
        }
    }
}

async fn write_lines<V: Shown + Clone>(view: watch::Receiver<V>) {
    let (mut last, mut said_at) = (String::new(), Instant::now());
    loop {
        tokio::time::sleep(LINES).await;
        let line = view.borrow().line();
        // What does not change is said again only now and then.
        if line != last || said_at.elapsed() > LINES * 6 {
            eprintln!("{line}");
            (last, said_at) = (line, Instant::now());
        }
    }
}

async fn draw<V: Shown + Clone>(view: watch::Receiver<V>, screen: MultiProgress) {
    let mut drawn: BTreeMap<String, ProgressBar> = BTreeMap::new();
    loop {
        let bars = view.borrow().bars();
        for bar in &bars {
            let shown = drawn.entry(bar.name.clone()).or_insert_with(|| {
                let shown = screen.add(ProgressBar::no_length());
                shown.set_prefix(bar.name.clone());
                shown
            });
            match bar.total {
                Some(total) => {
                    shown.set_style(style(
                        "{prefix:<24} {bar:24.cyan/dim} {human_pos:>10}/{human_len:<10} {per_sec:>11} {msg}",
                    ));
                    shown.set_length(total.max(bar.position));
                }
                None => shown.set_style(style("{prefix:<24} {human_pos:>10} {per_sec:>11} {msg}")),
            }
            shown.set_position(bar.position);
            shown.set_message(bar.message.clone());
        }
        drawn.retain(|name, shown| {
            let keep = bars.iter().any(|bar| bar.name == *name);
            if !keep {
                shown.finish_and_clear();
            }
            keep
        });
        tokio::time::sleep(REDRAW).await;
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

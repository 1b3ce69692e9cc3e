//! Widths and wrapping: how wide stdout and stderr are, and text that is wrapped to this width.
//!
//! A terminal gets lines of its own width. A pipe or a file gets tables of 80 columns and sentences of one line each,
//! so that `grep` finds a whole sentence. Nothing is ever cut: a long text continues on the next line.

use console::{Term, measure_text_width};

/// Columns of a pipe, a file, and a terminal that does not report its size.
const USUAL: usize = 80;
/// A narrower terminal gets lines of this width: it wraps them itself.
const NARROWEST: usize = 40;
/// A wider terminal gets lines of this width: longer ones are hard to read.
const WIDEST: usize = 120;
/// How far the second line of a wrapped sentence is indented.
const HANG: usize = 2;
/// Units that stay on the line of their figure.
const UNITS: [&str; 10] = ["ms", "s", "min", "h", "%", "B", "KB", "MB", "GB", "TB"];

/// Where text goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// Results.
    Stdout,
    /// Everything else.
    Stderr,
}

impl To {
    /// Columns of the terminal; `None` for a pipe or a file.
    pub fn terminal(self) -> Option<usize> {
        let term = match self {
            Self::Stdout => Term::stdout(),
            Self::Stderr => Term::stderr(),
        };
        term.is_term().then(|| width_of(term.size_checked()))
    }

    /// The text for this stream: wrapped on a terminal, unchanged in a pipe.
    pub fn fit(self, text: &str) -> String {
        self.terminal()
            .map_or_else(|| text.to_owned(), |room| fit(text, room))
    }
}

/// Columns that tables on stdout may use.
#[cfg(not(test))]
pub fn columns() -> usize {
    To::Stdout.terminal().unwrap_or(USUAL)
}

#[cfg(test)]
pub use tests::{at, columns};

fn width_of(size: Option<(u16, u16)>) -> usize {
    match size {
        None | Some((_, 0)) => USUAL,
        Some((_, columns)) => usize::from(columns).clamp(NARROWEST, WIDEST),
    }
}

/// The text with every line that is wider than `room` wrapped. A wrapped line continues below its text. Quoted lines of a
/// plan stay as they are, because the line below points at a column of them.
pub fn fit(text: &str, room: usize) -> String {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        if measure_text_width(line) <= room || is_quoted(line) {
            lines.push(line.to_owned());
            continue;
        }
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let head = if body.starts_with("- ") { "- " } else { "" };
        let head = format!("{}{head}", " ".repeat(indent));
        lines.extend(under(&head, HANG + indent, body.trim_start_matches("- "), room));
    }
    lines.join("\n")
}

/// Whether it is a line of a plan, or the line that points into it.
fn is_quoted(line: &str) -> bool {
    let number = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with(' ') && number.starts_with(" |")
        || line.starts_with(' ') && line.trim_start().starts_with("| ")
}

/// The lines of a text whose first line begins with `head`, and whose others are indented by `hang`.
pub fn under(head: &str, hang: usize, text: &str, room: usize) -> Vec<String> {
    let first = room.saturating_sub(measure_text_width(head));
    let lines = wrap(text, first, room.saturating_sub(hang));
    let pad = " ".repeat(hang);
    let line = |(n, line): (usize, &String)| match n {
        0 => format!("{head}{line}").trim_end().to_owned(),
        _ => format!("{pad}{line}"),
    };
    lines.iter().enumerate().map(line).collect()
}

/// Lines of words: the first no wider than `first`, the others no wider than `room`. A command in backticks stays on one
/// line if it fits on one, so that it can be copied. Only a word that is wider than a line is broken.
pub fn wrap(text: &str, first: usize, room: usize) -> Vec<String> {
    let (first, room) = (first.max(1), room.max(1));
    let mut lines = vec![String::new()];
    for piece in pieces(text, room) {
        let limit = if lines.len() == 1 { first } else { room };
        let last = lines.len() - 1;
        let taken = measure_text_width(&lines[last]);
        let width = measure_text_width(&piece);
        if taken > 0 && taken + 1 + width <= limit {
            lines[last].push(' ');
            lines[last].push_str(&piece);
        } else if taken == 0 && (width <= limit || last > 0) {
            lines[last] = piece;
        } else {
            lines.push(piece);
        }
    }
    if lines.len() > 1 && lines[0].is_empty() && first >= room {
        lines.remove(0);
    }
    lines
}

/// The pieces that stay together on a line: words, figures with their units, and commands that fit on a line.
fn pieces(text: &str, room: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let mut piece = word.to_owned();
        if opens(&piece) {
            let mut quoted = piece.clone();
            let mut rest = words.clone();
            while opens(&quoted) {
                let Some(next) = rest.next() else { break };
                quoted.push(' ');
                quoted.push_str(next);
            }
            if !opens(&quoted) && measure_text_width(&quoted) <= room {
                (piece, words) = (quoted, rest);
            }
        }
        let is_figure = |text: &str| text.ends_with(|c: char| c.is_ascii_digit());
        while is_figure(&piece) && words.peek().is_some_and(|next| is_unit(next)) {
            let Some(unit) = words.next() else { break };
            piece.push(' ');
            piece.push_str(unit);
        }
        pieces.extend(broken(piece, room));
    }
    pieces
}

/// Whether a backtick is open at the end.
fn opens(text: &str) -> bool {
    text.matches('`').count() % 2 == 1
}

fn is_unit(word: &str) -> bool {
    UNITS.contains(&word.trim_end_matches([',', ';', '.', ')', ':']))
}

/// A word in parts that fit. A part of a command is left whole: the terminal wraps it, and it can still be copied.
fn broken(word: String, room: usize) -> Vec<String> {
    let is_whole = measure_text_width(&word) <= room || word.contains(['`', '\u{1b}']);
    if is_whole || word.contains(' ') {
        return vec![word];
    }
    let mut parts = vec![String::new()];
    let mut width = 0;
    for c in word.chars() {
        let more = measure_text_width(c.encode_utf8(&mut [0; 4]));
        if width + more > room {
            parts.push(String::new());
            width = 0;
        }
        width += more;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static ROOM: Cell<usize> = const { Cell::new(USUAL) };
    }

    /// Columns of the terminal that a test has in mind, whatever terminal it runs in.
    pub fn columns() -> usize {
        ROOM.get()
    }

    /// Renders for a terminal with this many columns: the text before its sentences are wrapped, and after.
    pub fn at(room: usize, render: impl FnOnce() -> String) -> (String, String) {
        ROOM.set(room);
        let rendered = render();
        ROOM.set(USUAL);
        let wrapped = fit(&rendered, room);
        (rendered, wrapped)
    }

    #[test]
    fn a_pipe_gets_the_usual_width_and_a_terminal_its_own() {
        assert_eq!(width_of(None), 80);
        assert_eq!(width_of(Some((24, 0))), 80);
        assert_eq!(width_of(Some((24, 100))), 100);
        assert_eq!(width_of(Some((24, 300))), 120);
        assert_eq!(width_of(Some((24, 10))), 40);
    }

    #[test]
    fn lines_are_wrapped_below_their_text() {
        let text = "short\n  - a list item that is long\nnext: another long sentence";
        assert_eq!(
            fit(text, 20),
            "short\n  - a list item that\n    is long\nnext: another long\n  sentence"
        );
    }

    #[test]
    fn a_command_stays_on_one_line_if_it_fits() {
        assert_eq!(
            wrap("then run `dynasplit verify p.yaml` again", 30, 30),
            ["then run", "`dynasplit verify p.yaml`", "again"]
        );
        assert_eq!(wrap("a `b c d e f` g", 6, 6), ["a `b c", "d e f`", "g"]);
    }

    #[test]
    fn a_figure_keeps_its_unit() {
        assert_eq!(
            wrap("it took 12.5 s, at last", 12, 12),
            ["it took", "12.5 s, at", "last"]
        );
    }

    #[test]
    fn a_word_that_is_wider_than_a_line_continues_on_the_next() {
        let lines = wrap(&format!("the table {}", "x".repeat(25)), 20, 10);
        assert_eq!(lines.concat().matches('x').count(), 25);
        assert!(lines[1..].iter().all(|line| line.len() <= 10), "{lines:?}");
    }

    #[test]
    fn a_quoted_line_of_a_plan_is_not_wrapped() {
        let quoted = format!("   12 | {}\n      | {}^", "x ".repeat(50), " ".repeat(90));
        assert_eq!(fit(&quoted, 40), quoted);
    }
}

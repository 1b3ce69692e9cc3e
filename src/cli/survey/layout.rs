//! The survey as sections of plain text: headings, wrapped lines, tables, numbers for people.

pub(super) use crate::cli::table::Align;
use crate::cli::table::{Head, Row, lines};
use crate::cli::wrapping::under;
use console::{Style, measure_text_width, truncate_str};

/// How far tables are indented.
const INDENT: usize = 2;
/// The most characters of a key that are shown.
const LONGEST_KEY: usize = 48;

/// Text that grows line by line.
pub(super) struct Page {
    text: String,
    width: usize,
    color: bool,
}

impl Page {
    pub fn new(width: usize, color: bool) -> Self {
        Self {
            text: String::new(),
            width,
            color,
        }
    }

    pub fn into_text(self) -> String {
        self.text
    }

    /// A style, if colour is wanted.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            style.force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }

    pub fn bold(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    pub fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dim(), text)
    }

    /// A line that is short, or wrapped already.
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// A sentence, wrapped below its first word.
    pub fn say(&mut self, text: &str) {
        let indent = text.len() - text.trim_start().len();
        self.wrapped(&" ".repeat(indent), text);
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.line("");
    }

    /// A section's title, after an empty line.
    pub fn heading(&mut self, title: &str, more: &str) {
        self.line("");
        let fits = measure_text_width(title) + 2 + measure_text_width(more) <= self.width;
        let title = self.bold(title);
        if more.is_empty() {
            self.line(&title);
        } else if fits {
            let more = self.dim(more);
            self.line(&format!("{title}  {more}"));
        } else {
            self.line(&title);
            let more = self.dim(more);
            self.wrapped("  ", &more);
        }
    }

    /// Wrapped text: the first line after `head`, the others below it. Below a long head, they are indented less.
    pub fn wrapped(&mut self, head: &str, text: &str) {
        let width = measure_text_width(head);
        let hang = if width * 2 <= self.width {
            width
        } else {
            2 * INDENT
        };
        for line in under(head, hang, text, self.width) {
            self.line(&line);
        }
    }

    /// Rows under heads, two spaces in.
    pub fn table(&mut self, heads: &[Head<'_>], rows: &[Vec<String>]) {
        let rows: Vec<Row> = rows.iter().cloned().map(Row::from).collect();
        let pad = " ".repeat(INDENT);
        for (n, line) in lines(self.width.saturating_sub(INDENT), heads, &rows)
            .iter()
            .enumerate()
        {
            let line = format!("{pad}{line}");
            let line = if n == 0 { self.dim(&line) } else { line };
            self.line(&line);
        }
    }
}

/// A time for people: `3 min`, `5.2 h`.
pub(super) fn hours(value: f64) -> String {
    let minutes = value * 60.0;
    if minutes < 1.0 {
        "< 1 min".to_owned()
    } else if minutes < 90.0 {
        format!("{minutes:.0} min")
    } else {
        format!("{value:.1} h")
    }
}

/// A part of a whole.
#[allow(clippy::cast_precision_loss)] // for people
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    if part > 0 && share < 0.1 {
        "< 0.1 %".to_owned()
    } else {
        format!("{share:.1} %")
    }
}

/// A key on one line, shortened if it is long. Keys are text of the user, so control characters are shown as codes.
pub(super) fn key(text: &str) -> String {
    truncate_str(&visible(text), LONGEST_KEY, "…").into_owned()
}

/// Text without control characters.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let shown: Vec<char> = if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            };
            shown
        })
        .collect()
}

pub(super) fn more(page: &mut Page, there: usize, shown: usize) {
    if there > shown {
        page.say(&format!("  and {} more (--output json shows all)", there - shown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_for_people() {
        assert_eq!(
            [1023, 1536, 3 << 40].map(crate::cli::text::bytes),
            ["1023 B", "1.5 KB", "3.0 TB"]
        );
        assert_eq!(
            [hours(0.001), hours(0.5), hours(30.0)],
            ["< 1 min", "30 min", "30.0 h"]
        );
        assert_eq!(
            [percent(1, 3), percent(1, 100_000), percent(0, 0)],
            ["33.3 %", "< 0.1 %", "-"]
        );
    }

    #[test]
    fn a_key_cannot_move_the_cursor() {
        assert_eq!(key("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert!(key(&"x".repeat(500)).chars().count() <= LONGEST_KEY);
    }

    #[test]
    fn text_is_wrapped_under_its_head() {
        let mut page = Page::new(60, false);
        page.wrapped("head ", &"word ".repeat(20));
        page.wrapped(&format!("{} ", "h".repeat(50)), &"word ".repeat(20));
        let text = page.into_text();
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("     word"), "{text}");
        assert!(lines[4].starts_with("    word"), "{text}");
    }
}

//! Plain text for a terminal: aligned columns, wrapped lines, numbers for people.

use console::{Style, measure_text_width, truncate_str};

/// Narrower terminals get lines of this width.
const NARROWEST: usize = 60;
/// Most of a key that is shown.
const LONGEST_KEY: usize = 48;

/// Text that grows line by line.
pub(super) struct Page {
    text: String,
    width: usize,
    color: bool,
}

/// Which way a column is aligned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

impl Page {
    pub fn new(width: usize, color: bool) -> Self {
        Self {
            text: String::new(),
            width: width.max(NARROWEST),
            color,
        }
    }

    pub fn into_text(self) -> String {
        self.text
    }

    /// A style, where colour is wanted.
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

    pub fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
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

    /// Wrapped text: the first line after `head`, the others under it.
    pub fn wrapped(&mut self, head: &str, text: &str) {
        let indent = measure_text_width(head);
        let room = self.width.saturating_sub(indent).max(20);
        for (n, line) in wrap(text, room).iter().enumerate() {
            if n == 0 {
                self.line(&format!("{head}{line}"));
            } else {
                self.line(&format!("{}{line}", " ".repeat(indent)));
            }
        }
    }

    /// Rows under heads, two spaces in. Where they are wider than the page, the last column comes under each row.
    pub fn table(&mut self, heads: &[(&str, Align)], rows: &[Vec<String>]) {
        let Some(((last, _), others)) = heads.split_last() else {
            return;
        };
        if self.fits(heads, rows) || others.is_empty() {
            return self.columns(heads, rows);
        }
        let under = |row: &Vec<String>| {
            let cell = row.get(others.len()).filter(|cell| !cell.is_empty());
            cell.map(|cell| format!("{}: {cell}", last.trim()))
        };
        // The columns are as wide for all rows.
        let mut text = std::mem::take(&mut self.text);
        self.columns(others, rows);
        let table = std::mem::replace(&mut self.text, std::mem::take(&mut text));
        let mut lines = table.lines();
        self.line(lines.next().unwrap_or_default());
        for (line, row) in lines.zip(rows) {
            self.line(line);
            if let Some(under) = under(row) {
                self.wrapped("      ", &under);
            }
        }
    }

    /// Whether the rows are no wider than the page.
    fn fits(&self, heads: &[(&str, Align)], rows: &[Vec<String>]) -> bool {
        let widths = widths(heads, rows);
        widths.iter().sum::<usize>() + 2 * widths.len() <= self.width
    }

    /// Rows under heads. What is wider than the page is cut.
    fn columns(&mut self, heads: &[(&str, Align)], rows: &[Vec<String>]) {
        let widths = widths(heads, rows);
        let line = |cells: &[String]| {
            let mut line = String::from(" ");
            for ((cell, width), (_, align)) in cells.iter().zip(&widths).zip(heads) {
                let pad = " ".repeat(width.saturating_sub(measure_text_width(cell)));
                line.push(' ');
                match align {
                    Align::Left => line.extend([cell.as_str(), &pad]),
                    Align::Right => line.extend([&pad, cell.as_str()]),
                }
                line.push(' ');
            }
            truncate_str(line.trim_end(), self.width, "…").into_owned()
        };
        let heads: Vec<String> = heads.iter().map(|(head, _)| (*head).to_owned()).collect();
        let lines: Vec<String> = rows.iter().map(|row| line(row)).collect();
        let head = self.dim(&line(&heads));
        self.line(&head);
        for line in lines {
            self.line(&line);
        }
    }
}

/// How wide each column is.
fn widths(heads: &[(&str, Align)], rows: &[Vec<String>]) -> Vec<usize> {
    let width = |(column, (head, _)): (usize, &(&str, Align))| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|cell| measure_text_width(cell));
        cells.chain([measure_text_width(head)]).max().unwrap_or(0)
    };
    heads.iter().enumerate().map(width).collect()
}

/// Lines of words, none wider than `room` unless a single word is.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let taken = measure_text_width(&lines[last]);
        if taken > 0 && taken + 1 + measure_text_width(word) > room {
            lines.push(word.to_owned());
        } else {
            if taken > 0 {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

/// `1,234,567`.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 item`, `1,000 items`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

/// `12.3 MB`, in steps of 1024 as AWS counts.
#[allow(clippy::cast_precision_loss)] // for people
pub(super) fn bytes(value: u64) -> String {
    let mut size = value as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if size < 1024.0 {
            return if unit == "B" {
                format!("{value} B")
            } else {
                format!("{size:.1} {unit}")
            };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TB")
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

/// A key on one line, cut where it is long. Keys are the users' text: what would move the cursor is shown
/// as a code.
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
        page.line(&format!("  and {} more (--output json shows all)", there - shown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_for_people() {
        assert_eq!(
            [number(0), number(999), number(1_234_567)],
            ["0", "999", "1,234,567"]
        );
        assert_eq!(
            [bytes(1023), bytes(1536), bytes(3 << 40)],
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
    fn a_table_that_is_too_wide_has_its_last_column_under_the_rows() {
        let mut page = Page::new(60, false);
        let heads = [
            ("step", Align::Left),
            ("units", Align::Right),
            ("at", Align::Left),
        ];
        let row = |step: &str, at: &str| vec![step.to_owned(), "1".to_owned(), at.to_owned()];
        page.table(&heads, &[row("a", "4,000 units/s"), row("b", "")]);
        page.table(
            &heads,
            &[row(&"long ".repeat(9), "4,000 units/s at first"), row("b", "")],
        );
        let text = page.into_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "  a         1  4,000 units/s");
        assert!(lines[3].ends_with("units") && lines[4].ends_with('1'), "{text}");
        assert_eq!(lines[5], "      at: 4,000 units/s at first");
        assert!(lines[6].starts_with("  b") && lines.len() == 7, "{text}");
    }

    #[test]
    fn text_is_wrapped_under_its_head() {
        let mut page = Page::new(0, false);
        page.wrapped("head ", &"word ".repeat(20));
        let text = page.into_text();
        assert!(text.lines().all(|line| line.len() <= NARROWEST), "{text}");
        assert!(
            text.lines()
                .nth(1)
                .is_some_and(|line| line.starts_with("     word"))
        );
    }
}

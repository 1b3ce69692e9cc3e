//! Tables for people: aligned columns, or a layout with several lines per row. No cell is cut.
//!
//! The first layout that fits is taken, for all rows of a table alike:
//!
//! 1. each row on one line;
//! 2. each row on one line, with its last text wrapped in the last column, unless that breaks a command in backticks;
//! 3. the last text below each row;
//! 4. the first cell on a line of its own, and the others in columns below it (by the layouts above), unless they are texts
//!    that do not fit beside each other;
//! 5. a list: the first cell, and below it each other cell with its head.

use super::next::copyable;
use super::wrapping::{columns, under, wrap};
use console::measure_text_width;

/// The least room in which text is wrapped as a column: less is hard to read.
const LEAST_TEXT: usize = 24;
/// How far the lines below a row are indented.
const BELOW: usize = 4;
/// How far columns below their first cell are indented.
const INSIDE: usize = 2;

/// Which way a column is aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A head and how the column below it is aligned.
pub type Head<'a> = (&'a str, Align);

/// A row: its cells, and sentences that are written below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    cells: Vec<String>,
    notes: Vec<String>,
}

impl From<Vec<String>> for Row {
    fn from(cells: Vec<String>) -> Self {
        Self {
            cells,
            notes: Vec::new(),
        }
    }
}

impl Row {
    /// With a sentence below it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// With the plan in each recommended command, before the room for it is measured.
    fn copyable(self) -> Self {
        let each = |texts: Vec<String>| texts.iter().map(|text| copyable(text).into_owned()).collect();
        Self {
            cells: each(self.cells),
            notes: each(self.notes),
        }
    }
}

/// A table on stdout. The first column is text; another one is a number column if all its cells are numbers.
pub fn table<R: Into<Row>>(heads: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let rows = rows.into_iter().map(Into::into).map(Row::copyable);
    within(columns(), heads, rows)
}

/// As [`table`], in this room.
pub fn within<R: Into<Row>>(room: usize, heads: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let rows: Vec<Row> = rows.into_iter().map(Into::into).collect();
    let align = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.cells.get(column));
        if column > 0 && cells.all(|cell| is_number(cell)) {
            Align::Right
        } else {
            Align::Left
        }
    };
    let heads: Vec<Head<'_>> = heads
        .iter()
        .enumerate()
        .map(|(n, head)| (*head, align(n)))
        .collect();
    lines(room, &heads, &rows).join("\n")
}

fn is_number(cell: &str) -> bool {
    cell.is_empty() || cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit() || c == '~')
}

/// The lines of a table in this room.
pub fn lines(room: usize, heads: &[Head<'_>], rows: &[Row]) -> Vec<String> {
    let laid = laid(room, heads, rows).or_else(|| label_above(room, heads, rows));
    let Some(laid) = laid else {
        return list(room, heads, rows);
    };
    let mut lines = laid.heads;
    for (below, row) in laid.rows.into_iter().zip(rows) {
        lines.extend(below);
        lines.extend(notes(room, row));
    }
    lines
}

/// The lines of the heads, and those of each row.
struct Laid {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn notes(room: usize, row: &Row) -> Vec<String> {
    let head = " ".repeat(BELOW);
    let lines = row.notes.iter().map(|note| under(&head, BELOW + 2, note, room));
    lines.flatten().collect()
}

/// Layouts 1 to 3.
fn laid(room: usize, heads: &[Head<'_>], rows: &[Row]) -> Option<Laid> {
    let widths = widths(heads, rows);
    if total(&widths) <= room {
        return Some(aligned(heads, rows, &widths));
    }
    let ((last, align), others) = heads.split_last()?;
    if *align == Align::Right || others.is_empty() {
        return None;
    }
    let taken = total(&widths[..others.len()]);
    let left = room.saturating_sub(taken + 2);
    if left >= LEAST_TEXT && commands_fit(rows, others.len(), left) {
        return Some(last_wrapped(heads, rows, &widths, left));
    }
    (taken <= room).then(|| {
        let mut laid = aligned(others, rows, &widths);
        for (lines, row) in laid.rows.iter_mut().zip(rows) {
            if let Some(cell) = row.cells.get(others.len()).filter(|cell| !cell.is_empty()) {
                let head = format!("{}{}: ", " ".repeat(BELOW), last.trim());
                lines.extend(under(&head, BELOW + 2, cell, room));
            }
        }
        laid
    })
}

/// Whether each command in backticks has room in a column: a command is copied, so it stays on one line if it can.
fn commands_fit(rows: &[Row], column: usize, room: usize) -> bool {
    let cells = rows.iter().filter_map(|row| row.cells.get(column));
    let mut commands = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    commands.all(|command| measure_text_width(command) + 2 <= room)
}

/// Layout 2.
fn last_wrapped(heads: &[Head<'_>], rows: &[Row], widths: &[usize], left: usize) -> Laid {
    let others = heads.len() - 1;
    let pad = " ".repeat(total(&widths[..others]) + 2);
    let mut laid = aligned(&heads[..others], rows, widths);
    let join = |line: &str, text: &str| {
        let fill = pad.len().saturating_sub(measure_text_width(line));
        format!("{line}{}{text}", " ".repeat(fill)).trim_end().to_owned()
    };
    if let Some(line) = laid.heads.first_mut() {
        *line = join(line, heads[others].0);
    }
    for (lines, row) in laid.rows.iter_mut().zip(rows) {
        let cell = row.cells.get(others).map_or("", String::as_str);
        let text = wrap(cell, left, left);
        let first = lines.pop().unwrap_or_default();
        lines.push(join(&first, text.first().map_or("", String::as_str)));
        lines.extend(text.iter().skip(1).map(|text| format!("{pad}{text}")));
    }
    laid
}

/// Layout 4.
fn label_above(room: usize, heads: &[Head<'_>], rows: &[Row]) -> Option<Laid> {
    let (label, others) = heads.split_first()?;
    let inner: Vec<Row> = rows
        .iter()
        .map(|row| Row::from(row.cells.iter().skip(1).cloned().collect::<Vec<_>>()))
        .collect();
    let room_inside = room.saturating_sub(INSIDE);
    // If texts do not fit beside each other, a list is easier to read.
    let are_texts = others.iter().all(|(_, align)| *align == Align::Left);
    if are_texts && total(&widths(others, &inner)) > room_inside {
        return None;
    }
    let inner = laid(room_inside, others, &inner)?;
    let pad = " ".repeat(INSIDE);
    let indented = |lines: Vec<String>| {
        lines
            .into_iter()
            .map(|line| format!("{pad}{line}"))
            .collect::<Vec<_>>()
    };
    let mut above = Laid {
        heads: vec![label.0.to_owned()],
        rows: Vec::new(),
    };
    above.heads.extend(indented(inner.heads));
    for (lines, row) in inner.rows.into_iter().zip(rows) {
        let mut all = label_lines(room, row);
        all.extend(indented(lines));
        above.rows.push(all);
    }
    Some(above)
}

fn label_lines(room: usize, row: &Row) -> Vec<String> {
    let label = row.cells.first().map_or("", String::as_str);
    under("", INSIDE, label, room)
}

/// Layout 5. Numbers follow each other, and each text has a line of its own.
fn list(room: usize, heads: &[Head<'_>], rows: &[Row]) -> Vec<String> {
    let pad = " ".repeat(INSIDE);
    let mut lines = Vec::new();
    for row in rows {
        lines.extend(label_lines(room, row));
        let cells = || {
            heads
                .iter()
                .zip(&row.cells)
                .skip(1)
                .filter(|(_, cell)| !cell.is_empty())
        };
        let numbers: Vec<String> = cells()
            .filter(|((_, align), _)| *align == Align::Right)
            .map(|((head, _), cell)| format!("{} {cell}", head.trim()))
            .collect();
        lines.extend(flow(&numbers, &pad, room));
        for ((head, _), cell) in cells().filter(|((_, align), _)| *align == Align::Left) {
            lines.extend(under(&format!("{pad}{}: ", head.trim()), BELOW, cell, room));
        }
        lines.extend(notes(room, row));
    }
    lines
}

/// Pairs one after the other, none of them broken.
fn flow(pairs: &[String], pad: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (n, pair) in pairs.iter().enumerate() {
        let end = if n + 1 < pairs.len() { ";" } else { "" };
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 1 + pair.len() + end.len() <= room => {
                line.push_str(&format!(" {pair}{end}"));
            }
            _ => lines.push(format!("{pad}{pair}{end}")),
        }
    }
    lines
}

/// Layout 1.
fn aligned(heads: &[Head<'_>], rows: &[Row], widths: &[usize]) -> Laid {
    let line = |cells: &[String]| {
        let padded = cells
            .iter()
            .zip(heads)
            .zip(widths)
            .map(|((cell, (_, align)), width)| {
                let pad = " ".repeat(width.saturating_sub(measure_text_width(cell)));
                match align {
                    Align::Left => format!("{cell}{pad}"),
                    Align::Right => format!("{pad}{cell}"),
                }
            });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let names: Vec<String> = heads.iter().map(|(head, _)| (*head).to_owned()).collect();
    Laid {
        heads: vec![line(&names)],
        rows: rows.iter().map(|row| vec![line(&row.cells)]).collect(),
    }
}

fn widths(heads: &[Head<'_>], rows: &[Row]) -> Vec<usize> {
    let width = |(column, (head, _)): (usize, &Head<'_>)| {
        let cells = rows.iter().filter_map(|row| row.cells.get(column));
        let cells = cells.map(|cell| measure_text_width(cell));
        cells.chain([measure_text_width(head)]).max().unwrap_or(0)
    };
    heads.iter().enumerate().map(width).collect()
}

/// Columns with two spaces between them.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn tables_line_up() {
        assert_eq!(
            within(80, &["name", "count"], [row(&["a", "10"]), row(&["long", "-"])]),
            "name  count\na        10\nlong      -"
        );
    }

    #[test]
    fn a_long_reason_is_wrapped_in_its_column() {
        let rows = [row(&["a", "1", "the quick brown fox jumps over the dog"])];
        assert_eq!(
            within(40, &["id", "n", "reason"], rows),
            "id  n  reason\na   1  the quick brown fox jumps over\n       the dog"
        );
    }

    #[test]
    fn a_command_is_not_broken_in_a_narrow_column() {
        let rows = [row(&[
            "a",
            "1",
            "correct it, then run `dynasplit dead-letters discard`",
        ])];
        let lines = within(44, &["id", "n", "outcome"], rows);
        assert!(lines.contains("`dynasplit dead-letters discard`"), "{lines}");
    }

    #[test]
    fn a_long_reason_beside_wide_columns_goes_below_its_row() {
        let rows = [row(&[
            "a-long-name-of-22-chars",
            "1",
            "a reason of several words",
        ])];
        assert_eq!(
            within(40, &["id", "n", "reason"], rows),
            "id                       n\na-long-name-of-22-chars  1\n    reason: a reason of several words"
        );
    }

    #[test]
    fn a_long_name_stands_above_its_figures() {
        let rows = [row(&["a-very-long-name-of-a-service", "1,000", "2"])];
        assert_eq!(
            within(40, &["service", "expected", "found"], rows),
            "service\n  expected  found\na-very-long-name-of-a-service\n     1,000      2"
        );
    }

    #[test]
    fn figures_that_fit_on_no_line_become_a_list() {
        let figure = "123,456,789,012";
        let rows = [Row::from(row(&["orders", figure, figure, figure, "why"])).note("a note")];
        assert_eq!(
            within(40, &["service", "put", "removed", "found", "reason"], rows),
            "orders\n  put 123,456,789,012;\n  removed 123,456,789,012;\n  found 123,456,789,012\n  reason: why\n    a note"
        );
    }
}

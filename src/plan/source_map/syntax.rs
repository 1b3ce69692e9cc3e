//! Syntax errors of YAML: their places, and their probable causes.

use crate::plan::mark::{Flaw, Mark, cut_off_hint};
use saphyr_parser::ScanError;

/// The parser's message for a tab after the `:` of a setting.
const NO_TAB_BEHIND_COLON: &str = "':' must be followed by a valid YAML whitespace";

/// The text with spaces in the place of the tab that the parser stumbled over. YAML lets a tab stand between a name's `:`
/// and its value; the parser does not.
pub(super) fn without_tab(text: &str, error: &ScanError) -> Option<String> {
    if error.info() != NO_TAB_BEHIND_COLON {
        return None;
    }
    let at = Mark::from(*error.marker());
    let start: usize = text.split_inclusive('\n').take(at.line - 1).map(str::len).sum();
    let line = text.get(start..)?;
    let skipped: usize = line.chars().take(at.column - 1).map(char::len_utf8).sum();
    let before = line.get(..skipped)?;
    let tabs = before.len() - before.trim_end_matches([' ', '\t']).len();
    if !before.ends_with([' ', '\t']) {
        return None;
    }
    let mut spaced = text.to_owned();
    spaced.replace_range(start + skipped - tabs..start + skipped, &" ".repeat(tabs));
    Some(spaced)
}

/// The error, at the place of its cause.
pub(super) fn flaw(error: &ScanError, text: &str) -> Flaw {
    let at = within(text, (*error.marker()).into());
    let line = text.lines().nth(at.line - 1).unwrap_or_default();
    let said = error.info();
    let (at, hint) = if let Some(tab) = tab_that_indents(text, at, said) {
        (
            tab,
            "indent with spaces, because YAML does not allow a tab there".to_owned(),
        )
    } else if let Some((place, comment)) = comment_that_ends_a_text(text, at, said) {
        (place, cut_off_hint(comment))
    } else if line.contains('{') {
        let hint = "put text with braces in quotes: 'COURSE#{course}'. If there is none, look for brackets without \
             a closing bracket";
        (at, hint.to_owned())
    } else {
        let hint = "check the indentation, and look for quotes and brackets without a closing one";
        (at, hint.to_owned())
    };
    crate::plan::mark::flaw(at, format!("this is not valid YAML: {said}"), hint)
}

/// The parser finds some errors only behind the last line; there is nothing to see there.
fn within(text: &str, at: Mark) -> Mark {
    match (text.lines().count(), text.lines().last()) {
        (lines, Some(last)) if at.line > lines => Mark {
            line: lines,
            column: last.chars().count() + 1,
        },
        _ => at,
    }
}

/// The tab in the indentation of a line. The parser names the line itself, or the first line of the text that the
/// line would continue.
fn tab_that_indents(text: &str, at: Mark, said: &str) -> Option<Mark> {
    let lines = text.lines().enumerate().skip(at.line - 1);
    let reach = if said.contains("tab") { usize::MAX } else { 1 };
    lines.take(reach).find_map(|(n, line)| {
        let indentation = &line[..line.len() - line.trim_start().len()];
        let before = indentation.find('\t')?;
        (indentation.len() < line.len()).then_some(Mark {
            line: n + 1,
            column: indentation[..before].chars().count() + 1,
        })
    })
}

/// A text without quotes ends at a comment: the next line does not belong to it, and is no YAML. The parser names
/// either the first line of the text, or the line after the comment.
fn comment_that_ends_a_text<'t>(text: &'t str, at: Mark, said: &str) -> Option<(Mark, &'t str)> {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().collect();
    let (before, from) = lines.split_at_checked(at.line - 1)?;
    let comment = |(n, line): (usize, &'t str)| {
        let begins = |begin: &usize| *begin == 0 || line[..*begin].ends_with([' ', '\t']);
        let begin = line.match_indices('#').map(|(begin, _)| begin).find(begins)?;
        let mark = Mark {
            line: n + 1,
            column: line[..begin].chars().count() + 1,
        };
        Some((mark, &line[begin..]))
    };
    if said.contains("comment") {
        return from.iter().copied().find_map(comment);
    }
    let last = before.iter().rev().find(|(_, line)| !line.trim().is_empty())?;
    comment(*last)
}

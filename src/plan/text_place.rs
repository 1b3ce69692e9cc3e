//! Where a character of a text stands in the file, whatever way YAML lets the text be written there.

use super::mark::Mark;
use saphyr_parser::ScalarStyle;

/// Follows a text through the file, character by character: quotes, escapes, line breaks and
/// indentation stand only in the file.
pub(super) fn align(file: &str, start: Mark, text: &str, style: ScalarStyle, offset: usize) -> Option<Mark> {
    let mut place = Cursor::new(file, start)?;
    match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => place.skip_over(&['\'', '"']),
        // The header (`|`, `>-`) ends with its line. Some parsers point behind it already.
        ScalarStyle::Literal | ScalarStyle::Folded if place.peek().is_some_and(|c| "|>".contains(c)) => {
            while place.next()? != '\n' {}
        }
        _ => {}
    }
    let mut end = place.mark;
    for (n, wanted) in text.chars().enumerate() {
        if wanted.is_whitespace() {
            if n == offset {
                return Some(end);
            }
            continue;
        }
        let here = loop {
            let here = place.mark;
            let found = place.next()?;
            if found == '\\' && style == ScalarStyle::DoubleQuoted {
                place.escape()?;
                if place.escaped_space {
                    continue;
                }
                break here;
            }
            if found == wanted {
                if found == '\'' && style == ScalarStyle::SingleQuoted {
                    place.next()?;
                }
                break here;
            }
        };
        if n == offset {
            return Some(here);
        }
        end = place.mark;
    }
    Some(end)
}

/// Walks through the file by characters.
struct Cursor<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    mark: Mark,
    escaped_space: bool,
}

impl<'t> Cursor<'t> {
    fn new(file: &'t str, at: Mark) -> Option<Self> {
        let line_start: usize = file.split_inclusive('\n').take(at.line - 1).map(str::len).sum();
        let line = file.get(line_start..)?;
        let skipped: usize = line.chars().take(at.column - 1).map(char::len_utf8).sum();
        let rest = line.get(skipped..)?.chars().peekable();
        Some(Self {
            rest,
            mark: at,
            escaped_space: false,
        })
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let found = self.rest.next()?;
        if found == '\n' {
            self.mark = Mark {
                line: self.mark.line + 1,
                column: 1,
            };
        } else {
            self.mark.column += 1;
        }
        Some(found)
    }

    fn skip_over(&mut self, any: &[char]) {
        if self.peek().is_some_and(|c| any.contains(&c)) {
            self.next();
        }
    }

    /// Takes what follows a backslash, and notes whether it spells white space.
    fn escape(&mut self) -> Option<()> {
        let kind = self.next()?;
        self.escaped_space = "ntr \n\tevfNLP_0ab".contains(kind) && !"0eab".contains(kind);
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        for _ in 0..digits {
            self.next()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::path::Path;
    use crate::plan::source_map::read;

    fn mark(line: usize, column: usize) -> Mark {
        Mark { line, column }
    }

    #[test]
    fn characters_of_a_text_are_found_in_the_file() {
        for (file, offset, expected) in [
            ("a: one ? two", 4, mark(1, 8)),
            ("a: one\n   ? two", 4, mark(2, 4)),
            ("a: 'one ? two'", 4, mark(1, 9)),
            ("a: 'it''s ? two'", 5, mark(1, 11)),
            ("a: '''' ", 1, mark(1, 7)),
            ("a: \"one \\\" ? two\"", 6, mark(1, 12)),
            ("a: \"\\x41\\nn ? two\"", 4, mark(1, 13)),
            ("a: |\n  one\n  ? two\n", 4, mark(3, 3)),
            ("a: >-\n  one\n\n  äö ? two\n", 7, mark(4, 6)),
            ("a: one", 3, mark(1, 7)),
            ("a: one", 99, mark(1, 7)),
        ] {
            assert_eq!(
                read(file)
                    .0
                    .unwrap()
                    .mark_within(&Path::root().field("a"), offset, file),
                expected,
                "{file}"
            );
        }
    }
}

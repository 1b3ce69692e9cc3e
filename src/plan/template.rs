//! Text with captures, like `COURSE#{course}`: the language of key patterns and key templates.

use std::fmt;

/// A pattern (read from source keys) or a template (filled into target keys).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template {
    pub parts: Vec<Part>,
}

/// A part of it. Two texts never stand side by side, and no text is empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Text(String),
    Capture(String),
    /// `{name:N}`: the number that the capture's text writes.
    Number(String),
}

/// Longest template, in bytes. A key has 2,048 at most, and a capture fills at least one.
const MAX_BYTES: usize = 4096;

/// Why a text is no template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TemplateFlaw {
    /// The character at which the problem is.
    pub offset: usize,
    pub message: String,
    pub hint: Option<String>,
}

fn flaw<T>(offset: usize, message: &str, hint: &str) -> Result<T, TemplateFlaw> {
    Err(TemplateFlaw {
        offset,
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    })
}

/// Reads a capture behind its `{`, which stands at the character `at`.
fn capture(at: usize, chars: &mut impl Iterator<Item = (usize, char)>) -> Result<Part, TemplateFlaw> {
    let mut name = String::new();
    let mut kind: Option<String> = None;
    loop {
        match chars.next() {
            Some((_, '}')) => break,
            Some((_, ':')) if kind.is_none() && !name.is_empty() => kind = Some(String::new()),
            Some((_, c)) if c.is_ascii_alphanumeric() || c == '_' || c == '-' => match &mut kind {
                Some(kind) => kind.push(c),
                None => name.push(c),
            },
            Some((at, c)) => {
                return flaw(
                    at,
                    &format!("the name of a capture contains `{c}`"),
                    "use letters, digits, `-` and `_`; write a literal brace twice: `{{`",
                );
            }
            None => {
                return flaw(at, "a `{` has no `}`", "write a literal brace twice: `{{`");
            }
        }
    }
    match kind.as_deref() {
        _ if name.is_empty() => flaw(at, "the capture has no name", "name it: `{id}`"),
        None => Ok(Part::Capture(name)),
        Some("N") => Ok(Part::Number(name)),
        Some(other) => flaw(
            at,
            &format!("`{{{name}:{other}}}` has an unknown type"),
            &format!("write `{{{name}:N}}` to make a number from text, or `{{{name}}}` for the text itself"),
        ),
    }
}

impl Template {
    /// Reads a template: `{name}` is a capture, `{name:N}` the number that it writes, `{{` and `}}` are braces.
    pub fn parse(text: &str) -> Result<Self, TemplateFlaw> {
        if text.len() > MAX_BYTES {
            let message = format!("it has {} bytes, more than {MAX_BYTES}", text.len());
            return flaw(0, &message, "a key has at most 2048 bytes");
        }
        let mut parts = vec![];
        let mut literal = String::new();
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '{' | '}' if chars.next_if(|(_, next)| *next == c).is_some() => literal.push(c),
                '}' => {
                    return flaw(at, "a `}` has no `{`", "write a literal brace twice: `}}`");
                }
                '{' => {
                    let capture = capture(at, &mut chars)?;
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(capture);
                }
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        if parts.is_empty() {
            return flaw(0, "it is empty", "a key attribute must not be empty");
        }
        Ok(Self { parts })
    }

    /// The additional rule of a *pattern*: the ends of its captures must be visible.
    pub fn check_pattern(&self) -> Result<(), TemplateFlaw> {
        for (n, pair) in self.parts.windows(2).enumerate() {
            if let [Part::Capture(first), Part::Capture(second)] = pair {
                return Err(TemplateFlaw {
                    offset: self.offset_of(n + 1),
                    message: format!(
                        "no text separates `{{{first}}}` from `{{{second}}}`, so the end of the first one \
                         is unknown"
                    ),
                    hint: Some("write the text that separates them in the keys".to_owned()),
                });
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for (n, part) in self.parts.iter().enumerate() {
            if let Part::Capture(name) = part
                && !seen.insert(name)
            {
                return Err(TemplateFlaw {
                    offset: self.offset_of(n),
                    message: format!("`{{{name}}}` is captured twice"),
                    hint: Some("give the second one another name".to_owned()),
                });
            }
        }
        Ok(())
    }

    /// The capture's name, if the template consists of one capture.
    pub fn lone(&self) -> Option<&str> {
        match &self.parts[..] {
            [Part::Capture(name) | Part::Number(name)] => Some(name),
            _ => None,
        }
    }

    /// The first part that makes a number from a capture: its name, and its first character.
    pub fn number(&self) -> Option<(&str, usize)> {
        self.parts.iter().enumerate().find_map(|(n, part)| match part {
            Part::Number(name) => Some((name.as_str(), self.offset_of(n))),
            Part::Text(_) | Part::Capture(_) => None,
        })
    }

    /// Names of the captures, in order.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture(name) | Part::Number(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// First character of a part, in the written form.
    fn offset_of(&self, part: usize) -> usize {
        let before = Self {
            parts: self.parts[..part].to_vec(),
        };
        before.to_string().chars().count()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Capture(name) => write!(f, "{{{name}}}")?,
                Part::Number(name) => write!(f, "{{{name}:N}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_captures_and_braces() {
        let template = Template::parse("A#{one}{{x}}{two}").unwrap();
        assert_eq!(
            template.parts,
            [
                Part::Text("A#".into()),
                Part::Capture("one".into()),
                Part::Text("{x}".into()),
                Part::Capture("two".into())
            ]
        );
        assert_eq!(template.lone(), None);
        assert_eq!(Template::parse("{a_1-B}").unwrap().lone(), Some("a_1-B"));
        let number = Template::parse("x{a:N}").unwrap();
        assert_eq!(number.parts[1], Part::Number("a".into()));
        assert_eq!(number.number(), Some(("a", 1)));
        assert_eq!(number.to_string(), "x{a:N}");
    }

    #[test]
    fn says_where_it_goes_wrong() {
        for (text, offset, message) in [
            ("", 0, "empty"),
            ("a{b", 1, "has no `}`"),
            ("a}b", 1, "has no `{`"),
            ("é{}", 1, "has no name"),
            ("a{b c}", 3, "` `"),
            ("a{b:S}", 1, "has an unknown type"),
            ("a{b:}", 1, "has an unknown type"),
            ("a{:N}", 2, "`:`"),
            ("a{b:N:N}", 5, "`:`"),
        ] {
            let flaw = Template::parse(text).unwrap_err();
            assert!(
                flaw.offset == offset && flaw.message.contains(message),
                "{text}: {flaw:?}"
            );
        }
        let flaw = Template::parse("x{a}{b}").unwrap().check_pattern().unwrap_err();
        assert_eq!(flaw.offset, 4);
        let flaw = Template::parse("{a}#{a}").unwrap().check_pattern().unwrap_err();
        assert!(flaw.offset == 4 && flaw.message.contains("twice"));
        assert!(Template::parse("{a}#{b}").unwrap().check_pattern().is_ok());
    }

    #[test]
    fn none_is_longer_than_any_key() {
        let names = |bytes: usize| format!("{{{}}}", "n".repeat(bytes - 2));
        assert!(Template::parse(&names(4096)).is_ok());
        let flaw = Template::parse(&names(4097)).unwrap_err();
        assert!(
            flaw.offset == 0 && flaw.message.contains("4097 bytes"),
            "{flaw:?}"
        );
        assert!(flaw.hint.unwrap().contains("2048"));
    }

    proptest! {
        #[test]
        fn writes_what_it_reads(text in "([a#{}]|\\{[a-c](:N)?\\}|\\{\\{|\\}\\}){0,8}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(template.to_string(), text.clone());
                prop_assert_eq!(Template::parse(&text).unwrap(), template);
            }
        }
    }
}

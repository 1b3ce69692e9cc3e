//! Pieces of a plan's text: scalars, expressions and comments, from values that can be anything.

use super::limits::SHOWN_CHARS;
use std::fmt::Write;

/// The width of the text.
const WIDTH: usize = 110;
/// Words that YAML, in one of its versions, reads as something else than text.
const WORDS: [&str; 10] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "none",
];

/// A text as a YAML scalar.
pub(super) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(plain)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// In double quotes, with every character that is not plain ASCII escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ if u32::from(c) <= 0xffff => write!(out, "\\u{:04X}", u32::from(c)).unwrap_or_default(),
            _ => write!(out, "\\U{:08X}", u32::from(c)).unwrap_or_default(),
        }
    }
    out.push('"');
    out
}

/// A condition: terms that are joined by spaces. It is a plain scalar, a block if it is long, or quoted.
pub(super) fn condition(indent: usize, name: &str, terms: &[String]) -> String {
    let pad = " ".repeat(indent);
    let text = terms.join(" ");
    let safe = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| (' '..='~').contains(&c))
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains("  ");
    if !safe {
        return format!("{pad}{name}: {}\n", quoted(&text));
    }
    if indent + name.len() + 2 + text.len() <= WIDTH {
        return format!("{pad}{name}: {text}\n");
    }
    let mut out = format!("{pad}{name}: >-\n");
    for term in terms {
        writeln!(out, "{pad}  {term}").unwrap_or_default();
    }
    out
}

/// A comment, in lines that are not too long.
pub(super) fn comment(indent: usize, text: &str) -> String {
    let text = &clean(text);
    let head = format!("{}#", " ".repeat(indent));
    // The lines below the first one of an indented text are indented further.
    let inside = text.chars().take_while(|c| *c == ' ').count();
    let next = format!("{head}{}", " ".repeat(if inside > 0 { inside + 2 } else { 0 }));
    let mut out = String::new();
    let mut line = head.clone();
    for word in text.split(' ') {
        if line.len() > head.len() && line.len() + 1 + word.len() > WIDTH {
            writeln!(out, "{line}").unwrap_or_default();
            line.clone_from(&next);
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{}", line.trim_end()).unwrap_or_default();
    out
}

/// Without characters that could end a comment, or that a terminal obeys.
pub(super) fn clean(text: &str) -> String {
    let plain = |c: char| (' '..='~').contains(&c) || c == '…' || c.is_alphabetic();
    text.chars().map(|c| if plain(c) { c } else { '?' }).collect()
}

/// A name or value from the table, for a comment.
pub(super) fn shown(text: &str) -> String {
    let mut out = clean(&text.chars().take(SHOWN_CHARS).collect::<String>());
    if text.chars().nth(SHOWN_CHARS).is_some() {
        out.push('…');
    }
    out
}

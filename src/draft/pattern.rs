//! Patterns of keys: `USER#` and anything behind it, or one fixed word.
//!
//! The patterns of a column never overlap: none is the beginning of another. So a value has at most one, and a condition
//! for each of them takes each value at most once.

use crate::model::Value;
use crate::plan::expr::{written_name, written_text};
use std::collections::BTreeMap;

/// What the values of a key attribute have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyPattern {
    /// Text that begins like this.
    Prefix(String),
    /// This text.
    Exact(String),
}

/// Delimiters behind which single-table designs write an id.
const DELIMITERS: [char; 4] = ['#', '|', ':', '/'];
/// Characters between the name and the value of an id: `employee_17`, `id=17`, `user-17`.
const JOINTS: [char; 3] = ['_', '=', '-'];
/// Longer words are ids.
const LONGEST_WORD: usize = 40;
/// More different words than these at one place are ids: names of people, codes of countries.
const MOST_WORDS: usize = 20;
const MOST_PREFIXES: usize = 40;
/// Values that a word has to be common to, if no delimiter shows that it is one.
const EVIDENCE: u64 = 3;
/// ElectroDB begins its keys with this, and then names the attribute of each part.
const ELECTRO: char = '$';

impl KeyPattern {
    /// Whether a value has it.
    pub fn matches(&self, value: &Value) -> bool {
        let Value::S(text) = value else { return false };
        match self {
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Exact(word) => text == word,
        }
    }

    /// For people: `USER#…`.
    pub fn shown(&self) -> String {
        match self {
            Self::Prefix(prefix) => format!("{prefix}…"),
            Self::Exact(word) => word.clone(),
        }
    }

    /// The letters of it.
    pub fn text(&self) -> &str {
        match self {
            Self::Prefix(text) | Self::Exact(text) => text,
        }
    }

    /// As a condition on a key attribute.
    pub fn condition(&self, attribute: &str) -> String {
        let name = written_name(attribute);
        match self {
            Self::Prefix(prefix) => format!("begins_with({name}, {})", written_text(prefix)),
            Self::Exact(word) => format!("{name} = {}", written_text(word)),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        self == other || matches!(self, Self::Prefix(prefix) if other.text().starts_with(prefix.as_str()))
    }
}

/// The beginning of a text that looks like a word of the application, not like an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Head<'t> {
    /// A word and a delimiter: `USER#`.
    Word(&'t str),
    /// A word and a joint: `user_`.
    Joined(&'t str),
    /// The whole text is a word in capitals, or one of ElectroDB: `METADATA`, `$task_1`.
    Capitals(&'t str),
    /// The whole text is a word: `profile`.
    Whole(&'t str),
}

/// Finds the patterns of a column: its different texts, each with its number of items.
pub(super) fn infer(texts: &BTreeMap<&str, u64>) -> Vec<KeyPattern> {
    let all: u64 = texts.values().sum();
    let mut heads: BTreeMap<Head<'_>, (u64, u64)> = BTreeMap::new();
    for (text, items) in texts {
        if let Some(head) = head(text) {
            let (found, different) = heads.entry(head).or_default();
            *found += items;
            *different += 1;
        }
    }
    let count = |which: fn(&Head<'_>) -> bool| heads.keys().filter(|head| which(head)).count();
    let words = count(|head| matches!(head, Head::Word(_)));
    let capitals = count(|head| matches!(head, Head::Capitals(_)));
    let wholes = count(|head| matches!(head, Head::Whole(_)));
    let accepted = heads.iter().filter(|(head, (items, different))| {
        let common = items * 100 >= all;
        match head {
            Head::Word(_) => words <= MOST_PREFIXES || common,
            Head::Joined(_) => common && *different >= EVIDENCE,
            Head::Capitals(_) => capitals <= MOST_WORDS || (common && *items >= EVIDENCE),
            Head::Whole(_) => common && *items >= EVIDENCE && wholes <= MOST_WORDS,
        }
    });
    let mut found: Vec<KeyPattern> = accepted
        .map(|(head, _)| match head {
            Head::Word(text) | Head::Joined(text) => KeyPattern::Prefix((*text).to_owned()),
            Head::Capitals(text) | Head::Whole(text) => KeyPattern::Exact((*text).to_owned()),
        })
        .collect();
    // A table of ids that happen to be words has as many heads as values.
    if found.len() > MOST_PREFIXES {
        found.clear();
    }
    let refined = found
        .iter()
        .flat_map(|pattern| named_parts(pattern, texts))
        .collect();
    apart(refined)
}

/// Without the patterns that another one covers.
fn apart(mut patterns: Vec<KeyPattern>) -> Vec<KeyPattern> {
    patterns.sort();
    patterns.dedup();
    let covered = |one: &KeyPattern| patterns.iter().any(|other| other != one && other.covers(one));
    patterns.iter().filter(|one| !covered(one)).cloned().collect()
}

/// ElectroDB writes `$service#attribute_value`: one pattern for each attribute, if there are several.
fn named_parts(pattern: &KeyPattern, texts: &BTreeMap<&str, u64>) -> Vec<KeyPattern> {
    let KeyPattern::Prefix(prefix) = pattern else {
        return vec![pattern.clone()];
    };
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    if prefix.starts_with(ELECTRO) {
        for text in texts.keys() {
            match text.strip_prefix(prefix.as_str()) {
                None => {}
                Some(rest) => match joined(rest) {
                    Some(name) => *parts.entry(name).or_default() += 1,
                    None => return vec![pattern.clone()],
                },
            }
        }
    }
    if parts.len() < 2 || parts.len() > MOST_WORDS {
        return vec![pattern.clone()];
    }
    let names = parts.into_keys();
    names
        .map(|name| KeyPattern::Prefix(format!("{prefix}{name}")))
        .collect()
}

fn head(text: &str) -> Option<Head<'_>> {
    match text.find(DELIMITERS) {
        Some(end) if is_word(&text[..end]) => return Some(Head::Word(&text[..=end])),
        Some(_) => {}
        None if is_word(text) => {
            let capital = |c: char| c.is_ascii_uppercase() || matches!(c, '_' | '-' | '$');
            // ElectroDB's names are no ids, whatever their letters are.
            return Some(if text.chars().all(capital) || text.starts_with(ELECTRO) {
                Head::Capitals(text)
            } else {
                Head::Whole(text)
            });
        }
        None => {}
    }
    joined(text).map(Head::Joined)
}

/// A word and the joint behind it.
fn joined(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic() && c != ELECTRO)?;
    let is_joint = text[end..].starts_with(JOINTS);
    (is_joint && (2..=LONGEST_WORD).contains(&end)).then(|| &text[..=end])
}

/// Whether a text looks like a word: letters, and no digits, except the version in `$employee_1`.
fn is_word(text: &str) -> bool {
    let stem = match text.rsplit_once('_') {
        Some((stem, version)) if text.starts_with(ELECTRO) && is_version(version) => stem,
        _ => text,
    };
    let letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | '.' | '$');
    text.len() <= LONGEST_WORD
        && stem.chars().all(letter)
        && stem.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'))
}

fn is_version(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(texts: &[&str]) -> Vec<String> {
        let mut column = BTreeMap::new();
        for text in texts {
            *column.entry(*text).or_default() += 1;
        }
        infer(&column).iter().map(KeyPattern::shown).collect()
    }

    #[test]
    fn words_before_a_delimiter_are_patterns_and_ids_are_not() {
        assert_eq!(found(&["USER#1", "USER#ann", "ORDER#7"]), ["ORDER#…", "USER#…"]);
        assert_eq!(found(&["BRANDS", "P#1", "P#2"]), ["P#…", "BRANDS"]);
        assert_eq!(found(&["profile", "profile", "profile", "x"]), ["profile"]);
        assert_eq!(
            found(&["ann@example.com", "0a1b#x", "2024-01-02T10:00:00Z", "7"]),
            [""; 0]
        );
        assert_eq!(found(&["user_1", "user_2", "user_3", "user_4"]), ["user_…"]);
    }

    #[test]
    fn the_parts_of_electro_keys_are_told_apart() {
        let keys = [
            "$app#employee_1",
            "$app#employee_2",
            "$app#office_scranton",
            "$app#office_x",
        ];
        assert_eq!(found(&keys), ["$app#employee_…", "$app#office_…"]);
        assert_eq!(found(&keys[..2]), ["$app#…"]);
        let sort = [
            "$tasks_1#task_x",
            "$tasks_1",
            "$assignments#tasks_1#x",
            "$tasksarchive_1#y",
        ];
        assert_eq!(
            found(&sort),
            ["$assignments#…", "$tasks_1#…", "$tasksarchive_1#…", "$tasks_1"]
        );
    }

    #[test]
    fn many_different_words_are_ids() {
        let names: Vec<String> = (b'a'..=b'z')
            .flat_map(|a| (b'a'..=b'z').map(move |b| format!("{}{}#x", char::from(a), char::from(b))))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(found(&names), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_value_has_two_patterns(
            texts in prop::collection::btree_map("[A-Ca-b$]{0,3}[#:_=1-]?[A-Ba_1#]{0,4}", 1u64..9, 0..60)
        ) {
            let column: BTreeMap<&str, u64> = texts.iter().map(|(text, n)| (text.as_str(), *n)).collect();
            let patterns = infer(&column);
            for text in texts.keys() {
                let value = Value::s(text.as_str());
                prop_assert!(patterns.iter().filter(|pattern| pattern.matches(&value)).count() <= 1);
            }
        }
    }
}

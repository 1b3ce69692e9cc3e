//! The shape of a key: its text without ids, so that items can be counted by kind.

use crate::model::{Key, Value};

/// Common delimiters of ids in single-table designs.
const DELIMITERS: [char; 4] = ['#', '|', ':', '/'];
/// Longer text without a delimiter is an id, not a word.
const LONGEST_WORD: usize = 24;

/// For people: `COURSE#… / METADATA`.
pub(super) fn key_shape(key: &Key) -> String {
    match &key.sort {
        Some(sort) => format!("{} / {}", part(&key.partition), part(sort)),
        None => part(&key.partition),
    }
}

fn part(value: &Value) -> String {
    let text = match value {
        Value::S(text) => text,
        Value::N(_) => return "number".to_owned(),
        _ => return "binary".to_owned(),
    };
    if let Some(end) = text.find(DELIMITERS)
        && text[..end].chars().count() <= LONGEST_WORD
        && !text[..end].contains(|c: char| c.is_ascii_digit())
    {
        return format!("{}…", &text[..=end]);
    }
    let is_word = text.len() <= LONGEST_WORD
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || matches!(c, '_' | '-' | '$'));
    if is_word { text.clone() } else { "text".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_out() {
        let shape = |partition: &str, sort: &str| {
            key_shape(&Key {
                partition: Value::s(partition),
                sort: Some(Value::s(sort)),
            })
        };
        assert_eq!(shape("COURSE#c1", "METADATA"), "COURSE#… / METADATA");
        assert_eq!(shape("course|1|2", "0a1b#x"), "course|… / text");
        assert_eq!(shape("ann@example.com", "Ümläut#1"), "text / Ümläut#…");
        let number = Key {
            partition: Value::N(5.into()),
            sort: None,
        };
        assert_eq!(key_shape(&number), "number");
    }
}

//! A line of an export.

use super::cursor::{Cursor, Unreadable};
use super::item::RawItem;
use super::known::Known;
use std::ops::Range;
use std::sync::Arc;

impl RawItem {
    /// The item of a line `{"Item": {...}}`, which stands at a place of a text. What is known of a name decides whether the attribute is
    /// read.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn of_line(
        text: &Arc<str>,
        line: Range<usize>,
        known: impl Fn(&str) -> Known,
    ) -> Result<Self, Unreadable> {
        let until = text.get(..line.end).ok_or(Unreadable)?;
        let mut cursor = Cursor::at(until, line.start);
        cursor.expect(b'{')?;
        let name = cursor.string()?;
        if name.raw != "Item" {
            return Err(Unreadable);
        }
        cursor.expect(b':')?;
        let item = Self::pass(text, &mut cursor, known)?;
        cursor.expect(b'}')?;
        cursor.end()?;
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cases::cases;
    use crate::model::{Item, item_of};
    use proptest::prelude::*;

    fn read(line: &str) -> Result<RawItem, Unreadable> {
        let text: Arc<str> = format!("x\n{line}\n{{}}").into();
        RawItem::of_line(&text, 2..2 + line.len(), |name| {
            Known::without_place(name == "PK")
        })
    }

    /// What a name or a value may be. Some of these are no values.
    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(r#"{"S":"a\u0041\"é"}"#.to_owned()),
            Just(r#"{"S":"\ud800"}"#.to_owned()),
            Just(r#"{ "N" : "1.50" }"#.to_owned()),
            Just(r#"{"N":"1e400"}"#.to_owned()),
            Just(r#"{"B":"3q2+7w=="}"#.to_owned()),
            Just(r#"{"B":"3q2+7w"}"#.to_owned()),
            // A letter that is none of base64, bits that are left over, and no letters.
            Just(r#"{"B":"3q2-7w=="}"#.to_owned()),
            Just(r#"{"B":"3q2+7x=="}"#.to_owned()),
            Just(r#"{"B":"===="}"#.to_owned()),
            Just(r#"{"BOOL":true}"#.to_owned()),
            Just(r#"{"NULL":false}"#.to_owned()),
            Just(r#"{"NULL":true}"#.to_owned()),
            Just(r#"{"SS":["a","b"]}"#.to_owned()),
            Just(r#"{"SS":["a","\u0061"]}"#.to_owned()),
            Just(r#"{"SS":[]}"#.to_owned()),
            Just(r#"{"NS":["1","2.0"]}"#.to_owned()),
            Just(r#"{"NS":["1","1.0"]}"#.to_owned()),
            Just(r#"{"BS":["AA==","AQ=="]}"#.to_owned()),
            Just(r#"{"BS":["AA==","AA=="]}"#.to_owned()),
            Just(r#"{"S":"a","N":"1"}"#.to_owned()),
            Just(r#"{"X":"a"}"#.to_owned()),
            Just("{}".to_owned()),
            Just("7".to_owned()),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let names = prop_oneof![Just("a"), Just("b"), Just(r"\u0061")];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3)
                    .prop_map(|values| format!(r#"{{"L":[{}]}}"#, values.join(","))),
                prop::collection::vec((names, inner), 0..3).prop_map(|entries| {
                    let entries = entries.iter().map(|(name, value)| format!(r#""{name}":{value}"#));
                    format!(r#"{{"M":{{{}}}}}"#, entries.collect::<Vec<_>>().join(", "))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(cases(512))]

        /// Whatever is read of a line, is what a complete reading says. What is not read, is left to that.
        #[test]
        fn what_is_read_is_what_a_complete_reading_says(
            entries in prop::collection::vec(
                (prop_oneof![Just("PK"), Just("a"), Just("b"), Just("c"), Just(r"\u0062")], value()), 0..5)
        ) {
            let entries = entries.iter().map(|(name, value)| format!(r#""{name}":{value}"#));
            let line = format!(r#" {{"Item":{{{}}}}}"#, entries.collect::<Vec<_>>().join(","));
            if let Ok(raw) = read(&line) {
                let complete: Item = item_of(line.trim().as_bytes()).expect("the complete reading takes it");
                prop_assert_eq!(raw.decoded().expect("an item"), complete);
            }
        }
    }

    #[test]
    fn an_ordinary_line_is_read() {
        let raw = read(r#"{"Item":{"PK":{"S":"x"},"a":{"M":{"n":{"NS":["1","2"]}}}}}"#).expect("an item");
        assert_eq!(raw.read.keys().collect::<Vec<_>>(), ["PK"]);
        assert_eq!(raw.decoded().expect("an item").len(), 2);
    }

    #[test]
    fn another_line_is_left_to_a_complete_reading() {
        for line in [
            r#"{"PK":{"S":"x"}}"#,
            r#"{"Item":{"PK":{"S":"x"}}"#,
            r#"{"Item":{"PK":{"S":"x"}},"b":1}"#,
            r#"{"Item":{"a":{"S":"x"},"a":{"S":"y"}}}"#,
            r#"{"Item":{"PK":{"S":"x"},"PK":{"S":"y"}}}"#,
            r#"{"Item":{"a":{"M":{"b":{"S":"x"},"b":{"S":"y"}}}}}"#,
            r#"{"Item":{"a":{"NS":["1","1.0"]}}}"#,
            r#"{"Item":{"a":{"SS":[]}}}"#,
            r#"{"Item":{"a":{"B":"3q2-7w=="}}}"#,
            r#"{"Item":{"a":{"B":"3q2+7x=="}}}"#,
            "$ion_1_0 {}",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}

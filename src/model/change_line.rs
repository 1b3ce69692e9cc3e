//! One line of an incremental export: the key of an item that changed. Its images are never read.

use super::Item;
use super::json::{item_from_json, json_kind};
use super::line_problem::LineProblem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value as Json;

/// A line: what DynamoDB says about the change, the key, and the images that are left out.
#[derive(Deserialize)]
struct ChangeLine {
    #[serde(rename = "Metadata")]
    metadata: Option<IgnoredAny>,
    #[serde(rename = "Keys")]
    keys: Option<Json>,
    #[serde(rename = "Item")]
    item: Option<IgnoredAny>,
}

/// The key attributes of a line of an incremental export in DynamoDB JSON: `{"Metadata": {...}, "Keys": {...}, ...}`.
///
/// # Errors
/// See [`LineProblem`].
pub fn changed_key_of(line: &[u8]) -> Result<Item, LineProblem> {
    // A list of values could be read as an object of these fields, too.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(LineProblem::NotAChange("another kind of value"));
    }
    let found: ChangeLine = serde_json::from_slice(line).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => LineProblem::NotAChange("another kind of value"),
        _ => LineProblem::ChangeSyntax(format!(
            "it breaks off or is damaged at column {}",
            error.column()
        )),
    })?;
    match (found.metadata, found.keys) {
        (Some(_), Some(keys @ Json::Object(_))) => Ok(item_from_json(keys)?),
        (Some(_), Some(other)) => Err(LineProblem::NotAChange(json_kind(&other))),
        _ if found.item.is_some() => Err(LineProblem::NotAChange("an item of a full export")),
        _ => Err(LineProblem::NotAChange("an object without `Metadata` and `Keys`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn only_the_key_of_a_change_is_read() {
        let put = br#"{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{"a":{"S":"x"}},"NewImage":{"a":{"S":"x"},"b":{"what":1}}}"#;
        let removed = br#"{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{"a":{"S":"x"}}}"#;
        let expected = Item::from([("a".to_owned(), Value::s("x"))]);
        assert_eq!(
            changed_key_of(put).unwrap(),
            expected,
            "the image is not looked at"
        );
        assert_eq!(changed_key_of(removed).unwrap(), expected);
    }

    #[test]
    fn what_is_no_change_is_named_without_its_contents() {
        let problem = |line: &str| changed_key_of(line.as_bytes()).unwrap_err().to_string();
        assert!(problem(r#"{"Item":{"a":{"S":"secret"}}}"#).contains("an item of a full export"));
        assert!(problem(r#"{"Metadata":{},"Keys":7}"#).contains("a number"));
        assert!(problem(r#"{"Keys":{"a":{"S":"secret"}}}"#).contains("without `Metadata`"));
        assert!(problem("[1]").contains("another kind of value"));
        assert!(problem(r#"{"Metadata":{},"Keys":{"a":{"S":"secret""#).contains("breaks off"));
        assert_eq!(
            problem(r#"{"Metadata":{},"Keys":{"a":{"N":"secret"}}}"#),
            "a: the number is not decimal notation"
        );
    }
}

//! One line of an export: one item.

use super::json::{is_wrapped, item_from_json, json_kind};
use super::line_problem::LineProblem;
use super::{Item, strip_marks};
use serde_json::Value as Json;

/// Reads the item of a line: `{"Item": {...}}` as in an export, in DynamoDB JSON or in Amazon Ion, or the bare item in JSON. It is without the marks of reverse writes,
/// which an export of a source contains after a cutover.
///
/// # Errors
/// See [`LineProblem`].
pub fn item_of(line: &[u8]) -> Result<Item, LineProblem> {
    let mut item = if line.starts_with(b"$ion_1_0") {
        of_ion(line)?
    } else {
        of_json(line)?
    };
    strip_marks(&mut item);
    Ok(item)
}

#[cfg(feature = "s3")]
use super::ion::item_of_ion as of_ion;

#[cfg(not(feature = "s3"))]
fn of_ion(_: &[u8]) -> Result<Item, LineProblem> {
    match super::BuildPart::S3.needed() {
        Ok(()) => Err(LineProblem::NotAnItem("Amazon Ion")),
        Err(missing) => Err(LineProblem::Ion(missing)),
    }
}

fn of_json(line: &[u8]) -> Result<Item, LineProblem> {
    let document: Json = serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        // Each line is a document of its own, so the line that serde_json counts says nothing.
        let what = match text.split_once(" at line ") {
            Some((what, _)) => format!("{what}, at column {}", error.column()),
            None => text,
        };
        LineProblem::Syntax(what)
    })?;
    let Json::Object(mut entries) = document else {
        return Err(LineProblem::NotAnItem(json_kind(&document)));
    };
    if entries.contains_key("Metadata") && entries.contains_key("Keys") {
        return Err(LineProblem::Incremental);
    }
    // A bare item may have an attribute of this name, too.
    let alone = entries.len() == 1;
    let item = match entries.get_mut("Item") {
        Some(item) if alone && is_wrapped(item) => item.take(),
        _ => Json::Object(entries),
    };
    if !item.is_object() {
        return Err(LineProblem::NotAnItem(json_kind(&item)));
    }
    Ok(item_from_json(item)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    #[test]
    fn a_wrapped_and_a_bare_item_are_the_same() {
        let wrapped = item_of(br#"{"Item":{"a":{"S":"x"},"Item":{"N":"1"}}}"#).unwrap();
        let bare = item_of(br#"{"a":{"S":"x"},"Item":{"N":"1"}}"#).unwrap();
        assert_eq!(wrapped, bare);
        assert_eq!(bare["Item"], Value::N(1.into()));
        // An attribute with this name, alone.
        assert_eq!(item_of(br#"{"Item":{"S":"x"}}"#).unwrap()["Item"], Value::s("x"));
    }

    #[test]
    fn the_marks_of_reverse_writes_are_no_part_of_an_item() {
        let marked = br#"{"Item":{"a":{"S":"x"},"dynasplit:mark:orders":{"S":"1/2/3"}}}"#;
        assert_eq!(
            item_of(marked).unwrap(),
            Item::from([("a".into(), Value::s("x"))])
        );
    }

    #[test]
    fn what_is_no_item_is_named_without_its_contents() {
        let problem = |line: &str| item_of(line.as_bytes()).unwrap_err().to_string();
        assert!(problem("[1]").starts_with("an item is expected here, not an array"));
        assert!(problem(r#"{"Item":7}"#).contains("not a number"));
        assert!(problem(r#"{"a":{"S":"secret""#).starts_with("this line is not JSON (EOF"));
        assert!(problem(r#"{"Metadata":{},"Keys":{},"NewImage":{}}"#).contains("incremental"));
        let value = problem(r#"{"Item":{"a":{"M":{"b":{"N":"secret"}}}}}"#);
        assert_eq!(value, "a.b: the number is not decimal notation");
    }
}

//! Items as DynamoDB writes them into an export in Amazon Ion.

use serde_json::Value;

/// A map of attributes in DynamoDB JSON, as a struct.
pub fn of_map(attributes: &Value) -> String {
    let attributes = attributes.as_object().expect("attributes").iter();
    let fields: Vec<String> = attributes
        .map(|(name, value)| format!("'{}':{}", name.replace('\'', "\\'"), of(value)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn of(value: &Value) -> String {
    let (kind, inner) = value
        .as_object()
        .and_then(|value| value.iter().next())
        .expect("a value with its type");
    match kind.as_str() {
        "S" => string(inner),
        "N" => number(inner),
        "B" => blob(inner),
        "BOOL" => inner.to_string(),
        "NULL" => "null".into(),
        "L" => list(inner, of),
        "M" => of_map(inner),
        "SS" => format!("$dynamodb_SS::{}", list(inner, string)),
        "NS" => format!("$dynamodb_NS::{}", list(inner, number)),
        "BS" => format!("$dynamodb_BS::{}", list(inner, blob)),
        other => panic!("a value of the type {other}"),
    }
}

fn list(values: &Value, of: impl Fn(&Value) -> String) -> String {
    let values: Vec<String> = values.as_array().expect("a list").iter().map(of).collect();
    format!("[{}]", values.join(","))
}

/// Escapes of JSON with four digits are escapes of Ion as well.
fn string(text: &Value) -> String {
    text.to_string()
}

fn blob(base64: &Value) -> String {
    format!("{{{{{}}}}}", base64.as_str().expect("base64"))
}

/// A decimal: with a point, or with `d` before the exponent.
fn number(text: &Value) -> String {
    let text = text.as_str().expect("a number").to_lowercase();
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa}d{}", exponent.trim_start_matches('+')),
        None if text.contains('.') => text,
        None => format!("{text}."),
    }
}

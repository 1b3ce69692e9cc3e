//! Writes values as DynamoDB JSON.

use crate::model::{Item, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io::Write as _;

/// Writes an item.
pub fn write_item(item: &Item, out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, (name, value)) in item.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

/// Writes a value with its type.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(value.type_name().as_bytes());
    out.extend_from_slice(b"\":");
    match value {
        Value::S(text) => write_text(text, out),
        Value::N(number) => shown(number, out),
        Value::B(bytes) => binary(bytes, out),
        Value::Bool(true) | Value::Null => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::L(values) => array(values, write_value, out),
        Value::M(entries) => write_item(entries, out),
        Value::Ss(members) => array(members, |text, out| write_text(text, out), out),
        Value::Ns(members) => array(members, shown, out),
        Value::Bs(members) => array(members, |bytes, out| binary(bytes, out), out),
    }
    out.push(b'}');
}

/// Writes a text in quotes.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte != b'"' && byte != b'\\' && byte >= b' ' {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            control => {
                // Writing to memory does not fail.
                let _ = write!(out, "\\u{control:04x}");
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
    out.push(b'"');
}

/// Numbers need no escapes.
fn shown(shown: &impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "\"{shown}\"");
}

fn binary(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(BASE64.encode(bytes).as_bytes());
    out.push(b'"');
}

fn array<T>(values: &[T], each: impl Fn(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    out.push(b'[');
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        each(value, out);
    }
    out.push(b']');
}

//! The size of a value, found while it is passed.

use super::cursor::{Cursor, Quoted, Unreadable};
use super::names::Names;
use crate::model::Number;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::borrow::Cow;

/// Passes a value, and returns the bytes that DynamoDB charges for it, as [`crate::model::Value::size`] does. Whatever it
/// accepts, [`super::read::value`] reads, but for the escapes of a string, which it looks at in both.
pub(super) fn size(cursor: &mut Cursor<'_>) -> Result<usize, Unreadable> {
    cursor.typed(|cursor, kind| {
        Ok(match kind {
            "S" => text(cursor.string()?)?,
            "N" => number(cursor.string()?)?,
            "B" => binary(cursor.string()?)?,
            "BOOL" => boolean(cursor)?,
            "NULL" => cursor.word("true").map(|()| 1)?,
            "L" => {
                let mut sum = 3;
                cursor.array(|cursor| size(cursor).map(|bytes| sum += bytes + 1))?;
                sum
            }
            "M" => {
                let mut sum = 3;
                let mut names = Names::default();
                cursor.object(|cursor, name| {
                    let said = name.said()?;
                    sum += said.len() + size(cursor)? + 1;
                    names.add(said).then_some(()).ok_or(Unreadable)
                })?;
                names.are_distinct().then_some(sum).ok_or(Unreadable)?
            }
            "SS" => members(cursor, text, Quoted::said)?,
            "NS" => members(cursor, number, plain_number)?,
            "BS" => members(cursor, binary, Quoted::said)?,
            _ => return Err(Unreadable),
        })
    })
}

fn boolean(cursor: &mut Cursor<'_>) -> Result<usize, Unreadable> {
    let word = if cursor.peek() == Some(b't') {
        "true"
    } else {
        "false"
    };
    cursor.word(word).map(|()| 1)
}

/// A set has members, and each of them once. `said` is the same for equal members.
fn members<'t>(
    cursor: &mut Cursor<'t>,
    each: impl Fn(Quoted<'t>) -> Result<usize, Unreadable>,
    said: impl Fn(Quoted<'t>) -> Result<Cow<'t, str>, Unreadable>,
) -> Result<usize, Unreadable> {
    let mut sum = 0;
    let mut all = Names::default();
    cursor.array(|cursor| {
        let member = cursor.string()?;
        sum += each(member)?;
        all.add(said(member)?).then_some(()).ok_or(Unreadable)
    })?;
    let is_set = !all.is_empty() && all.are_distinct();
    is_set.then_some(sum).ok_or(Unreadable)
}

/// A number in the one way that stands for all ways to write it.
fn plain_number(text: Quoted<'_>) -> Result<Cow<'_, str>, Unreadable> {
    let number = Number::parse(text.raw).map_err(|_| Unreadable)?;
    Ok(number.to_string().into())
}

fn text(text: Quoted<'_>) -> Result<usize, Unreadable> {
    text.said().map(|text| text.len())
}

fn number(text: Quoted<'_>) -> Result<usize, Unreadable> {
    Number::size_of(text.raw).map_err(|_| Unreadable)
}

/// Of base64 with padding.
fn binary(text: Quoted<'_>) -> Result<usize, Unreadable> {
    let bytes = text.raw.as_bytes();
    let padding = bytes
        .iter()
        .rev()
        .take(2)
        .take_while(|byte| **byte == b'=')
        .count();
    let (digits, _) = bytes.split_at(bytes.len() - padding);
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    // Bits that are left over must be zero: only the last four digits can have some.
    let last = &bytes[bytes.len() - bytes.len().min(4)..];
    if !bytes.len().is_multiple_of(4) || !digits.iter().all(is_digit) || BASE64.decode(last).is_err() {
        return Err(Unreadable);
    }
    Ok(bytes.len() / 4 * 3 - padding)
}

//! The size of a value, found while it is passed.

use super::cursor::{Cursor, Quoted, Unreadable};
use crate::model::Number;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

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
                cursor.object(|cursor, name| {
                    sum += text(name)? + size(cursor)? + 1;
                    Ok(())
                })?;
                sum
            }
            "SS" => members(cursor, text)?,
            "NS" => members(cursor, number)?,
            "BS" => members(cursor, binary)?,
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

fn members<'t>(
    cursor: &mut Cursor<'t>,
    each: impl Fn(Quoted<'t>) -> Result<usize, Unreadable>,
) -> Result<usize, Unreadable> {
    let mut sum = 0;
    cursor.array(|cursor| {
        sum += each(cursor.string()?)?;
        Ok(())
    })?;
    Ok(sum)
}

fn text(text: Quoted<'_>) -> Result<usize, Unreadable> {
    match text.is_escaped {
        false => Ok(text.raw.len()),
        true => text.to_text().map(|text| text.len()),
    }
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

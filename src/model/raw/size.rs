//! The size of a value, found while it is passed.

use super::cursor::{Cursor, Quoted, Unreadable};
use super::kind::Kind;
use super::names::{Names, are_distinct, has_distinct_members, has_distinct_names};
use crate::model::Number;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::borrow::Cow;

/// Passes a value, and returns the bytes that DynamoDB charges for it, as [`crate::model::Value::size`] does. Whatever it
/// accepts, [`super::read::value`] reads, but for the escapes of a string, which it looks at in both.
pub(super) fn size(cursor: &mut Cursor<'_>) -> Result<usize, Unreadable> {
    kind_and_size(cursor).map(|(_, size)| size)
}

/// The same, and the type.
pub(super) fn kind_and_size(cursor: &mut Cursor<'_>) -> Result<(Kind, usize), Unreadable> {
    cursor.typed(|cursor, kind| {
        let size = match kind {
            Kind::S => text(cursor.string()?)?,
            Kind::N => number(cursor.string()?)?,
            Kind::B => binary(cursor.string()?)?,
            Kind::Bool => boolean(cursor)?,
            Kind::Null => cursor.word("true").map(|()| 1)?,
            Kind::L => {
                let mut sum = 3;
                cursor.array(|cursor| size(cursor).map(|bytes| sum += bytes + 1))?;
                sum
            }
            Kind::M => {
                let start = cursor.place();
                let mut sum = 3;
                let mut names = Names::default();
                cursor.object(|cursor, name| {
                    names.add(name);
                    sum += name.said()?.len() + size(cursor)? + 1;
                    Ok(())
                })?;
                if !names.are_distinct() && !has_distinct_names(&mut cursor.again(start))? {
                    return Err(Unreadable);
                }
                sum
            }
            Kind::Ss => members(cursor, text)?,
            Kind::Ns => numbers(cursor)?,
            Kind::Bs => members(cursor, binary)?,
        };
        Ok((kind, size))
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

/// A set has members, and each of them once: no two of them say the same.
fn members<'t>(
    cursor: &mut Cursor<'t>,
    each: impl Fn(Quoted<'t>) -> Result<usize, Unreadable>,
) -> Result<usize, Unreadable> {
    let start = cursor.place();
    let mut sum = 0;
    let mut all = Names::default();
    cursor.array(|cursor| {
        let member = cursor.string()?;
        all.add(member);
        sum += each(member)?;
        Ok(())
    })?;
    if all.is_empty() || !all.are_distinct() && !has_distinct_members(&mut cursor.again(start))? {
        return Err(Unreadable);
    }
    Ok(sum)
}

/// The same of numbers, which can be written in several ways.
fn numbers(cursor: &mut Cursor<'_>) -> Result<usize, Unreadable> {
    let mut sum = 0;
    let mut all = Vec::new();
    cursor.array(|cursor| {
        let member = cursor.string()?;
        sum += number(member)?;
        all.push(plain_number(member)?);
        Ok(())
    })?;
    let is_set = !all.is_empty() && are_distinct(all);
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
    // All of them, so that the compiler looks at many at once.
    let are_digits = digits.iter().fold(true, |all, byte| all & is_digit(byte));
    // Bits that are left over must be zero: only the last four digits can have some, if they are not complete.
    let last = &bytes[bytes.len() - bytes.len().min(4)..];
    if !bytes.len().is_multiple_of(4) || !are_digits || padding > 0 && BASE64.decode(last).is_err() {
        return Err(Unreadable);
    }
    Ok(bytes.len() / 4 * 3 - padding)
}

//! Makes values of text.

use super::cursor::{Cursor, Quoted, Unreadable};
use super::kind::Kind;
use crate::model::{Item, Number, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Passes a value and returns it.
pub(super) fn value(cursor: &mut Cursor<'_>) -> Result<Value, Unreadable> {
    cursor.typed(|cursor, kind| {
        Ok(match kind {
            Kind::S => Value::S(cursor.string()?.to_text()?),
            Kind::N => Value::N(number(cursor.string()?)?),
            Kind::B => Value::B(binary(cursor.string()?)?),
            Kind::Bool => Value::Bool(boolean(cursor)?),
            Kind::Null => cursor.word("true").map(|()| Value::Null)?,
            Kind::L => {
                let mut values = Vec::new();
                cursor.array(|cursor| value(cursor).map(|value| values.push(value)))?;
                Value::L(values)
            }
            Kind::M => Value::M(item(cursor)?),
            Kind::Ss => Value::string_set(set(members(cursor, Quoted::to_text)?)?),
            Kind::Ns => Value::number_set(set(members(cursor, number)?)?),
            Kind::Bs => Value::binary_set(set(members(cursor, binary)?)?),
        })
    })
}

/// Passes an object of values and returns it.
pub(super) fn item(cursor: &mut Cursor<'_>) -> Result<Item, Unreadable> {
    let mut item = Item::new();
    cursor.object(|cursor, name| {
        let is_new = item.insert(name.to_text()?, value(cursor)?).is_none();
        is_new.then_some(()).ok_or(Unreadable)
    })?;
    Ok(item)
}

fn boolean(cursor: &mut Cursor<'_>) -> Result<bool, Unreadable> {
    let value = cursor.peek() == Some(b't');
    cursor.word(if value { "true" } else { "false" })?;
    Ok(value)
}

fn members<'t, T>(
    cursor: &mut Cursor<'t>,
    each: impl Fn(Quoted<'t>) -> Result<T, Unreadable>,
) -> Result<Vec<T>, Unreadable> {
    let mut members = Vec::new();
    cursor.array(|cursor| {
        members.push(each(cursor.string()?)?);
        Ok(())
    })?;
    Ok(members)
}

/// A set has members, and each of them once.
fn set<T: Ord>(mut members: Vec<T>) -> Result<Vec<T>, Unreadable> {
    members.sort_unstable();
    let is_set = !members.is_empty() && members.windows(2).all(|pair| pair[0] != pair[1]);
    is_set.then_some(members).ok_or(Unreadable)
}

fn number(text: Quoted<'_>) -> Result<Number, Unreadable> {
    Number::parse(text.raw).map_err(|_| Unreadable)
}

fn binary(text: Quoted<'_>) -> Result<Vec<u8>, Unreadable> {
    BASE64.decode(text.raw).map_err(|_| Unreadable)
}

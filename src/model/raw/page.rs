//! A page of a scan.

use super::cursor::{Cursor, Unreadable};
use super::item::RawItem;
use super::known::Known;
use super::read;
use crate::model::Item;
use std::sync::Arc;

/// The answer to a `Scan`.
#[derive(Debug, Default)]
pub struct RawPage {
    /// Its items.
    pub items: Vec<RawItem>,
    /// The key after which to continue; `None` at the end.
    pub last_key: Option<Item>,
    /// Read units that it used, if the engine says so.
    pub units: Option<f64>,
}

impl RawPage {
    /// Reads an answer: of its items, the attributes that somebody looks at.
    ///
    /// # Errors
    /// If anything in it is not as DynamoDB answers.
    pub fn read(answer: &[u8], is_looked_at: &dyn Fn(&str) -> bool) -> Result<Self, Unreadable> {
        let text: Arc<str> = std::str::from_utf8(answer).map_err(|_| Unreadable)?.into();
        let mut cursor = Cursor::at(&text, 0);
        let mut page = Self::default();
        let (mut lists, mut count) = (0, None);
        cursor.object(|cursor, name| match name.raw {
            // It may be one of those that are looked for.
            _ if name.is_escaped => Err(Unreadable),
            "Items" => {
                lists += 1;
                cursor.array(|cursor| {
                    page.items.push(RawItem::pass(&text, cursor, |name| {
                        Known::without_place(is_looked_at(name))
                    })?);
                    Ok(())
                })
            }
            "Count" => {
                count = Some(cursor.number()?);
                Ok(())
            }
            "LastEvaluatedKey" => {
                page.last_key = Some(read::item(cursor)?);
                Ok(())
            }
            "ConsumedCapacity" => cursor.object(|cursor, name| match name.raw {
                _ if name.is_escaped => Err(Unreadable),
                "CapacityUnits" => {
                    page.units = Some(cursor.number()?);
                    Ok(())
                }
                _ => cursor.skip(),
            }),
            _ => cursor.skip(),
        })?;
        cursor.end()?;
        #[allow(clippy::cast_precision_loss)] // a page has few items
        let is_whole = lists == 1 && count.is_none_or(|count| count == page.items.len() as f64);
        is_whole.then_some(page).ok_or(Unreadable)
    }
}

//! Files of items in DynamoDB JSON, as other tools write them.
//!
//! The file may be an S3 export (`{"Item": {...}}` per line), the output of `aws dynamodb scan` (`{"Items": [...],
//! "Count": ...}`, one page or several), bare items, or an array of items.

use super::json::{JsonError, is_wrapped, item_from_json, json_kind};
use super::{Item, strip_marks};
use serde_json::Value as Json;

/// Where an item stands in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItemPlace {
    /// The line, from 1: where the JSON document of the item begins, or where it breaks off.
    pub line: usize,
    /// The number of the item in the document, from 1, if there are several.
    pub item: Option<usize>,
}

/// Why a document contains no items.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DocumentProblem {
    /// Not JSON.
    #[error(
        "this is not JSON ({0}); each line must be one item in DynamoDB JSON, or the whole file one \
         answer of `aws dynamodb scan`"
    )]
    Syntax(String),
    /// Neither an item nor something that holds items.
    #[error("an item is expected here, not {0}; write it as {{\"Item\": {{\"name\": {{\"S\": \"text\"}}}}}}")]
    NotAnItem(&'static str),
    /// A line of an incremental export.
    #[error(
        "this is a line of an incremental export, which contains changes and not items; use a full export, \
         or the output of `aws dynamodb scan`"
    )]
    Incremental,
    /// A value that DynamoDB JSON does not know.
    #[error("{0}")]
    Value(JsonError),
}

/// Reads all documents, however they are laid out in lines, and gives each item to `each`.
///
/// # Errors
/// The first problem, of the file or of `each`, with its place.
pub fn items_of<E: From<DocumentProblem>>(
    bytes: &[u8],
    mut each: impl FnMut(ItemPlace, Item) -> Result<(), E>,
) -> Result<(), (ItemPlace, E)> {
    let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Json>();
    let (mut line, mut counted) = (1, 0);
    loop {
        let start = documents.byte_offset();
        let blank = bytes[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let begin = start + blank;
        line += newlines(&bytes[counted..begin]);
        counted = begin;
        match documents.next() {
            None => return Ok(()),
            Some(Ok(json)) => document(json, line, &mut each)?,
            Some(Err(error)) => {
                // serde_json counts lines from the file's beginning; its own text would repeat them.
                let at = if error.line() == 0 { line } else { error.line() };
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
                return Err((
                    ItemPlace { line: at, item: None },
                    DocumentProblem::Syntax(what).into(),
                ));
            }
        }
    }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn document<E: From<DocumentProblem>>(
    json: Json,
    line: usize,
    each: &mut impl FnMut(ItemPlace, Item) -> Result<(), E>,
) -> Result<(), (ItemPlace, E)> {
    let alone = ItemPlace { line, item: None };
    let mut many = |items: Vec<Json>| {
        items.into_iter().enumerate().try_for_each(|(index, item)| {
            let item_number = Some(index + 1);
            one(
                item,
                ItemPlace {
                    line,
                    item: item_number,
                },
                each,
            )
        })
    };
    let mut entries = match json {
        Json::Object(entries) => entries,
        Json::Array(items) => return many(items),
        other => return Err((alone, DocumentProblem::NotAnItem(json_kind(&other)).into())),
    };
    // An item may have attributes with these names. The values decide: an attribute's value is an object with a
    // type, which is no array and has no entries that are objects themselves.
    if matches!(entries.get("Items"), Some(Json::Array(_)))
        && let Some(Json::Array(items)) = entries.remove("Items")
    {
        return many(items);
    }
    if entries.len() == 1 && entries.get("Item").is_some_and(is_wrapped) {
        let item = entries.remove("Item").unwrap_or_default();
        return one(item, alone, each);
    }
    if entries.contains_key("Metadata") && entries.contains_key("Keys") {
        return Err((alone, DocumentProblem::Incremental.into()));
    }
    one(Json::Object(entries), alone, each)
}

fn one<E: From<DocumentProblem>>(
    json: Json,
    place: ItemPlace,
    each: &mut impl FnMut(ItemPlace, Item) -> Result<(), E>,
) -> Result<(), (ItemPlace, E)> {
    if !json.is_object() {
        return Err((place, DocumentProblem::NotAnItem(json_kind(&json)).into()));
    }
    let mut item = item_from_json(json).map_err(|error| (place, DocumentProblem::Value(error).into()))?;
    strip_marks(&mut item);
    each(place, item).map_err(|error| (place, error))
}

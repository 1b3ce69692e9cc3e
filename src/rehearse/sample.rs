//! The user's own sample items, read from a file of DynamoDB JSON.
//!
//! The file may be an S3 export (`{"Item": {...}}` per line), the output of `aws dynamodb scan` (`{"Items": [...],
//! "Count": ...}`, one page or several), bare items, or an array of items. The returned items can be loaded: every
//! item has the source's key, and no two have the same.

use crate::model::{
    AttributeKind, Compression, DocumentProblem, Item, ItemPlace, Key, KeyAttribute, KeySchema, Value,
    items_of,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// An item of the user's, with its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SampleItem {
    /// Primary key in the source.
    pub key: Key,
    /// The whole item.
    pub item: Item,
}

/// Why a sample file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The file cannot be read.
    #[error("cannot read the sample file '{}': {source}; check the path given to --sample", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// It is compressed, as the data files of an export are.
    #[error(
        "the sample file '{}' is compressed; unpack it first (gunzip -k FILE) and give the unpacked file",
        path.display()
    )]
    Compressed {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error(
        "the sample file '{}' contains no items; use the output of `aws dynamodb scan --table-name TABLE`, \
         or a data file of an S3 export",
        path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something in it is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1: where the JSON document of the item begins, or where it breaks off.
        line: usize,
        /// The problem, and how to fix it.
        problem: Box<LineProblem>,
    },
}

/// The problem of a line.
#[derive(Debug, thiserror::Error)]
pub enum LineProblem {
    /// No item can be read there.
    #[error("{}{source}", nth(*.item))]
    Document {
        /// The number of the item in the document, from 1, if there are several.
        item: Option<usize>,
        /// Where and what.
        source: DocumentProblem,
    },
    /// No key, or a key of another type.
    #[error(
        "{}the key attribute '{attribute}' must be there, as {kind}, and not empty; the plan names it \
         under source.keys", nth(*.item)
    )]
    Key {
        /// The number of the item in the document, from 1, if there are several.
        item: Option<usize>,
        /// The attribute.
        attribute: String,
        /// Its type.
        kind: AttributeKind,
    },
    /// The key of an earlier item.
    #[error("{}this item has the same key as the item at line {first}: {key}; remove one of them", nth(*.item))]
    Repeated {
        /// The number of the item in the document, from 1, if there are several.
        item: Option<usize>,
        /// Line of the earlier item.
        first: usize,
        /// The key.
        key: Key,
    },
}

impl From<DocumentProblem> for LineProblem {
    fn from(source: DocumentProblem) -> Self {
        Self::Document { item: None, source }
    }
}

impl LineProblem {
    fn of_item(self, number: Option<usize>) -> Self {
        match self {
            Self::Document { source, .. } => Self::Document { item: number, source },
            other => other,
        }
    }
}

fn nth(item: Option<usize>) -> String {
    item.map(|number| format!("item {number} of this document: "))
        .unwrap_or_default()
}

/// Reads a sample file.
///
/// # Errors
/// See [`SampleError`]; the first problem ends the reading.
pub fn read(path: &Path, keys: &KeySchema) -> Result<Vec<SampleItem>, SampleError> {
    let bytes = std::fs::read(path).map_err(|source| SampleError::Read {
        path: path.to_owned(),
        source,
    })?;
    if Compression::of_bytes(&bytes) != Compression::None {
        return Err(SampleError::Compressed {
            path: path.to_owned(),
        });
    }
    let items = parse(&bytes, keys).map_err(|(line, problem)| {
        let path = path.to_owned();
        SampleError::Line {
            path,
            line,
            problem: Box::new(problem),
        }
    })?;
    if items.is_empty() {
        return Err(SampleError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(items)
}

/// Reads all items, and checks their keys.
fn parse(bytes: &[u8], keys: &KeySchema) -> Result<Vec<SampleItem>, (usize, LineProblem)> {
    let mut items = Vec::new();
    // The line at which each key was seen.
    let mut lines: HashMap<Key, usize> = HashMap::new();
    let read = items_of(bytes, |ItemPlace { line, item: number }, item| {
        let key = usable_key(keys, &item).map_err(|attribute| LineProblem::Key {
            item: number,
            attribute: attribute.name.clone(),
            kind: attribute.kind,
        })?;
        if let Some(first) = lines.insert(key.clone(), line) {
            return Err(LineProblem::Repeated {
                item: number,
                first,
                key,
            });
        }
        items.push(SampleItem { key, item });
        Ok(())
    });
    match read {
        Ok(()) => Ok(items),
        Err((place, problem)) => Err((place.line, problem.of_item(place.item))),
    }
}

/// The key of an item, or the key attribute that is missing, empty or of another type.
pub(super) fn usable_key<'a>(keys: &'a KeySchema, item: &Item) -> Result<Key, &'a KeyAttribute> {
    let invalid = keys
        .attributes()
        .find(|attribute| match item.get(&attribute.name) {
            Some(Value::S(text)) if text.is_empty() => true,
            Some(Value::B(bytes)) if bytes.is_empty() => true,
            Some(value) => !attribute.kind.holds(value),
            None => true,
        });
    match (invalid, keys.key_of(item)) {
        (None, Some(key)) => Ok(key),
        (invalid, _) => Err(invalid.unwrap_or(&keys.partition)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn keys() -> KeySchema {
        let attribute = |name: &str, kind| KeyAttribute {
            name: name.into(),
            kind,
        };
        KeySchema {
            partition: attribute("pk", AttributeKind::S),
            sort: Some(attribute("sk", AttributeKind::N)),
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn item(n: u32) -> String {
        format!(r#"{{"pk":{{"S":"p"}},"sk":{{"N":"{n}"}},"x":{{"SS":["b","a"]}}}}"#)
    }

    #[test]
    fn reads_every_layout_alike() {
        let (a, b) = (item(1), item(2));
        let bare = read(file(&format!("{a}\n{b}\n")).path(), &keys()).unwrap();
        assert_eq!(bare.len(), 2);
        assert_eq!(bare[1].key.to_string(), "p / 2");
        let layouts = [
            format!("{{\"Item\":{a}}}\n\n{{\"Item\": {b}}}"),
            format!(
                "{{\n  \"Items\": [\n    {a},\n    {b}\n  ],\n  \"Count\": 2,\n  \"ScannedCount\": 2\n}}\n"
            ),
            format!("{{\"Items\":[{a}],\"Count\":1}}\n{{\"Items\":[{b}],\"Count\":1}}"),
            format!("[{a},\n{b}]"),
            format!("{{\"Item\":\n{a}\n}}\r\n{b}"),
        ];
        for layout in layouts {
            assert_eq!(read(file(&layout).path(), &keys()).unwrap(), bare, "{layout}");
        }
    }

    #[test]
    fn attributes_called_item_and_items_stay_attributes() {
        let keys = KeySchema {
            partition: KeyAttribute {
                name: "Item".into(),
                kind: AttributeKind::S,
            },
            sort: None,
        };
        let items = read(file(r#"{"Item":{"S":"x"}}"#).path(), &keys).unwrap();
        assert_eq!(items[0].key.to_string(), "x");
        let items = read(file(r#"{"Item":{"S":"x"},"Items":{"L":[]}}"#).path(), &keys).unwrap();
        assert_eq!(items[0].item.len(), 2);
    }

    #[test]
    fn errors_name_file_line_and_remedy() {
        let good = item(1);
        let cases = [
            (format!("{good}\n\n{{\"pk\":"), ":3: this is not JSON (EOF"),
            (format!("{good}\nnonsense"), ":2: this is not JSON"),
            (format!("{good}\n5"), ":2: an item is expected here, not a number"),
            (
                format!("\n{good}\n{{\"pk\":{{\"S\":\"p\"}}}}"),
                ":3: the key attribute 'sk' must be there, as N",
            ),
            (
                format!("{good}\n{{\"pk\":{{\"S\":\"\"}},\"sk\":{{\"N\":\"1\"}}}}"),
                ":2: the key attribute 'pk'",
            ),
            (
                format!("{good}\n{{\"a\":{{\"X\":\"p\"}}}}"),
                ":2: a: 'X' is not a DynamoDB type",
            ),
            (
                format!("[{good},{{\"a\":1}}]"),
                ":1: item 2 of this document: a: this is a number without",
            ),
            (
                format!("{good}\n{}\n{good}", item(2)),
                ":3: this item has the same key as the item at line 1: p / 1",
            ),
            (
                r#"{"Metadata":{},"Keys":{},"NewImage":{}}"#.into(),
                ":1: this is a line of an incremental",
            ),
        ];
        for (text, expected) in cases {
            let file = file(&text);
            let message = read(file.path(), &keys()).unwrap_err().to_string();
            assert!(message.contains(expected), "{text} gave: {message}");
            assert!(message.starts_with(file.path().to_str().unwrap()), "{message}");
        }
        for text in ["", " \n", r#"{"Items":[],"Count":0}"#] {
            assert!(
                matches!(read(file(text).path(), &keys()), Err(SampleError::Empty { .. })),
                "{text}"
            );
        }
        let mut gzip = tempfile::NamedTempFile::new().unwrap();
        gzip.write_all(&[0x1f, 0x8b, 8, 0]).unwrap();
        let message = read(gzip.path(), &keys()).unwrap_err().to_string();
        assert!(message.contains("gunzip"), "{message}");
        let missing = read(Path::new("no/such/file"), &keys()).unwrap_err().to_string();
        assert!(missing.contains("--sample"), "{missing}");
    }
}

//! Whether the targets hold what the plan says, read from the engine itself and judged without the product's code.

use std::fmt;

use bigdecimal::BigDecimal;

use crate::engine::{Engine, Item, Value};
use crate::support::contents::{Contents, Plain, PlainItem};
use crate::support::trial::{Mode, STAMP, Stamps, Trial};

/// Differences that are shown.
const SHOWN: usize = 5;

/// What is wrong with a run.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// What happened, in a few words that are the same in runs that fail alike.
    pub what: String,
    /// The rest of it.
    pub details: String,
    /// The first item that differs: its table and its key.
    pub item: Option<(String, Vec<Plain>)>,
}

impl Wrong {
    /// Something else than an item.
    pub fn because(what: impl Into<String>, details: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            details: details.into(),
            item: None,
        }
    }

    /// The same, found at another occasion.
    pub fn when(self, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..self
        }
    }

    /// The same, with more details.
    pub fn and(self, more: &str) -> Self {
        Self {
            details: self.details + more,
            ..self
        }
    }

    /// Whether two runs fail in the same way.
    pub fn is_like(&self, other: &Self) -> bool {
        self.what == other.what && self.item.is_some() == other.item.is_some()
    }

    /// The number of the source item that it is about: source keys and target keys end with it.
    pub fn item_number(&self) -> Option<usize> {
        let (_, key) = self.item.as_ref()?;
        let Plain::Text(text) = key.last()? else {
            return None;
        };
        text.rsplit('#').next()?.parse().ok()
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.details)
    }
}

/// How these targets differ from what the source says, in a few lines. Tombstones count; versions in reserved attributes
/// count after the split is complete. An expired item may be on one side only then, because each table removes its own.
pub fn differences(
    engine: &Engine,
    trial: &Trial,
    tables: &[&str],
    stamps: Stamps,
    now_ms: u64,
) -> Option<Wrong> {
    let source = contents(engine, &trial.source);
    let (mut told, mut item) = (Vec::new(), None);
    for (table, mut expected) in trial.expected_of(source) {
        if !tables.contains(&table) {
            continue;
        }
        let mut found = contents(engine, table);
        match stamps {
            Stamps::Gone => {
                found.retain(|_, item| !is_expired(item, now_ms));
                expected.retain(|_, item| !is_expired(item, now_ms));
            }
            Stamps::Stripped if trial.mode == Mode::Sequence || table == trial.names => {
                for item in found.values_mut() {
                    item.remove(STAMP);
                }
            }
            Stamps::Stripped => {}
        }
        let keys = found
            .keys()
            .chain(expected.keys().filter(|key| !found.contains_key(*key)));
        for key in keys {
            let (is, should) = (found.get(key), expected.get(key));
            if is != should {
                item.get_or_insert_with(|| (table.to_owned(), key.clone()));
                told.push(format!(
                    "{table}, key {}\n  holds       {}\n  should hold {}",
                    key.iter().map(word).collect::<Vec<_>>().join("/"),
                    words(is),
                    words(should)
                ));
            }
        }
    }
    if told.is_empty() {
        return None;
    }
    let count = told.len();
    told.truncate(SHOWN);
    Some(Wrong {
        what: String::new(),
        details: format!(
            "{count} {} wrong\n{}",
            if count == 1 { "item is" } else { "items are" },
            told.join("\n")
        ),
        item,
    })
}

fn is_expired(item: &PlainItem, now_ms: u64) -> bool {
    match item.get("expires") {
        Some(Plain::Number(at_s)) => {
            let now_s = BigDecimal::from(now_ms / 1000);
            *at_s <= now_s
        }
        _ => false,
    }
}

/// An item of the engine for people.
pub fn item_words(item: &Item) -> String {
    let item = item.iter().map(|(name, value)| (name.clone(), plain(value)));
    words(Some(&item.collect()))
}

/// An item for people.
fn words(item: Option<&PlainItem>) -> String {
    let Some(item) = item else {
        return "nothing".to_owned();
    };
    let words = item.iter().map(|(name, value)| format!("{name} {}", word(value)));
    words.collect::<Vec<_>>().join(", ")
}

fn word(value: &Plain) -> String {
    match value {
        Plain::Text(text) => text.clone(),
        Plain::Number(number) => number.to_string(),
        Plain::NumberSet(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            format!("{{{}}}", numbers.join(" "))
        }
        Plain::Bool(truth) => truth.to_string(),
        Plain::Null => "null".to_owned(),
        other => format!("{other:?}")
            .split('(')
            .next()
            .unwrap_or_default()
            .to_lowercase(),
    }
}

/// A table's items, by the values of their keys.
fn contents(engine: &Engine, table: &str) -> Contents {
    let items = engine.contents(table).into_iter();
    items
        .map(|(key, item)| {
            let item = item.iter().map(|(name, value)| (name.clone(), plain(value)));
            (key.iter().map(plain).collect(), item.collect())
        })
        .collect()
}

fn plain(value: &Value) -> Plain {
    match value {
        Value::S(text) => Plain::Text(text.clone()),
        Value::N(number) => Plain::Number(number.clone()),
        Value::B(bytes) => Plain::Bytes(bytes.clone()),
        Value::Bool(truth) => Plain::Bool(*truth),
        Value::Null => Plain::Null,
        Value::L(list) => Plain::List(list.iter().map(plain).collect()),
        Value::M(map) => Plain::Map(
            map.iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
        ),
        Value::Ss(set) => Plain::TextSet(set.clone()),
        Value::Ns(set) => Plain::NumberSet(set.clone()),
        Value::Bs(set) => Plain::BytesSet(set.clone()),
    }
}

//! Whether the targets hold what the plan says, read from the engine itself and judged without the product's code.

use crate::engine::{Engine, Value};
use crate::support::contents::{Contents, Plain};
use crate::support::trial::{Mode, STAMP, Trial};

/// Differences that are shown.
const SHOWN: usize = 5;

/// How the targets differ from what the source says, in a few lines. Versions in reserved attributes do not count;
/// tombstones do.
pub fn differences(engine: &Engine, trial: &Trial) -> Option<String> {
    let source = contents(engine, &trial.source);
    let mut told = Vec::new();
    for (table, expected) in trial.expected_of(source) {
        let mut found = contents(engine, table);
        if trial.mode == Mode::Sequence || table == trial.names {
            for item in found.values_mut() {
                item.remove(STAMP);
            }
        }
        let keys = found
            .keys()
            .chain(expected.keys().filter(|key| !found.contains_key(*key)));
        for key in keys {
            let (is, should) = (found.get(key), expected.get(key));
            if is != should {
                told.push(format!(
                    "{table} {key:?}\n  found    {is:?}\n  expected {should:?}"
                ));
            }
        }
    }
    if told.is_empty() {
        return None;
    }
    let count = told.len();
    told.truncate(SHOWN);
    Some(format!("{count} items differ:\n{}", told.join("\n")))
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

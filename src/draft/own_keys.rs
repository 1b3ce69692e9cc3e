//! Keys of its own for the table of a service, if its items have simple keys: the draft offers them as a comment.

use super::cluster::patterns;
use super::indexes::keys as keys_text;
use super::pattern::KeyPattern;
use super::yaml::scalar;
use crate::model::{AttributeKind, IndexFacts, Item, KeyAttribute, KeySchema, Value};

/// New keys, and how they are made of the old ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnKeys {
    /// What `where` must also require, so that no two items get one key.
    pub condition: Option<String>,
    /// The key of the table, as the plan writes it.
    pub keys: String,
    /// The settings of the transform.
    pub transform: String,
}

/// Makes them from the pattern of the partition key. The sort key has to be one fixed word, or one prefix and an id.
pub(super) fn own_keys(
    keys: &KeySchema,
    partition: &KeyPattern,
    items: &[&Item],
    indexes: &[&IndexFacts],
    service: &str,
) -> Option<OwnKeys> {
    let is_key = |name: &str| keys.attributes().any(|key| key.name == name);
    // An index on an old key would be empty, and a local one needs the old partition key.
    if indexes
        .iter()
        .any(|index| index.local || index.keys.attributes().any(|key| is_key(&key.name)))
    {
        return None;
    }
    let prefix = id_prefix(partition)?;
    has_ids(&keys.partition.name, prefix, items)?;
    let words = camel(service);
    let (id, place) = (format!("{words}Id"), format!("{words}Key"));
    let new = |name: &str| KeyAttribute {
        name: name.to_owned(),
        kind: AttributeKind::S,
    };
    let mut target = KeySchema {
        partition: new(&id),
        sort: None,
    };
    let mut from = vec![format!("{}: '{prefix}{{id}}'", scalar(&keys.partition.name))];
    let mut to = vec![format!("{id}: '{{id}}'")];
    let mut condition = None;
    if let Some(sort) = &keys.sort {
        let found = patterns(items, &sort.name);
        let [pattern] = found.as_slice() else { return None };
        let has = |item: &&Item| item.get(&sort.name).is_some_and(|value| pattern.matches(value));
        if !items.iter().all(has) {
            return None;
        }
        if let KeyPattern::Exact(_) = pattern {
            condition = Some(pattern.condition(&sort.name));
        } else {
            let prefix = id_prefix(pattern)?;
            has_ids(&sort.name, prefix, items)?;
            target.sort = Some(new(&place));
            from.push(format!("{}: '{prefix}{{place}}'", scalar(&sort.name)));
            to.push(format!("{place}: '{{place}}'"));
        }
    }
    let taken = |key: &KeyAttribute| items.iter().any(|item| item.contains_key(&key.name));
    if target.attributes().any(taken) {
        return None;
    }
    let old: Vec<String> = keys.attributes().map(|key| scalar(&key.name)).collect();
    Some(OwnKeys {
        condition,
        keys: keys_text(&target),
        transform: format!(
            "    transform:\n      keys:\n        from: {{ {} }}\n        to: {{ {} }}\n      drop: [{}]\n",
            from.join(", "),
            to.join(", "),
            old.join(", ")
        ),
    })
}

/// The text before an id: letters and a delimiter, which a template can contain as they are.
fn id_prefix(pattern: &KeyPattern) -> Option<&str> {
    match pattern {
        KeyPattern::Prefix(prefix) if prefix.ends_with(['#', '|', ':', '/']) => Some(prefix),
        _ => None,
    }
}

/// `Some` if each item has an id behind the prefix: a capture is never empty.
fn has_ids(attribute: &str, prefix: &str, items: &[&Item]) -> Option<()> {
    let has = |item: &&Item| matches!(item.get(attribute), Some(Value::S(text)) if text.len() > prefix.len() && text.starts_with(prefix));
    items.iter().all(has).then_some(())
}

/// `mall-store` becomes `mallStore`.
fn camel(service: &str) -> String {
    let mut out = String::new();
    for word in service
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let (first, rest) = word.split_at(1);
        if out.is_empty() {
            out.push_str(word);
        } else {
            out.push_str(&first.to_ascii_uppercase());
            out.push_str(rest);
        }
    }
    // A name may not begin with a digit without quotes.
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        format!("item{out}")
    } else {
        out
    }
}

//! Which attributes the items of a kind have, and which occur together.

use super::limits::COMPARED;
use crate::model::{Item, KeySchema};
use std::collections::BTreeMap;

/// The attributes of a kind, without the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Those that each item has.
    pub always: Vec<String>,
    /// Those that some items have.
    pub sometimes: Vec<String>,
    /// Groups of those that an item has all of, or none.
    pub together: Vec<Vec<String>>,
    /// Two such groups, of which each item has exactly one: it may be two kinds.
    pub either: Option<(Vec<String>, Vec<String>)>,
}

/// The part of a kind that must be behind each of two groups before they look like two kinds, in percent.
const SHARE: usize = 10;

pub(super) fn of(keys: &KeySchema, items: &[&Item]) -> Attributes {
    let is_key = |name: &str| keys.attributes().any(|key| key.name == name);
    let mut presence: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (n, item) in items.iter().enumerate() {
        for name in item.keys().filter(|name| !is_key(name)) {
            let bits = presence
                .entry(name)
                .or_insert_with(|| vec![0; items.len().div_ceil(64)]);
            bits[n / 64] |= 1 << (n % 64);
        }
    }
    let count = |bits: &[u64]| bits.iter().map(|word| word.count_ones() as usize).sum::<usize>();
    let mut found = Attributes::default();
    let mut groups: BTreeMap<&[u64], Vec<String>> = BTreeMap::new();
    for (name, bits) in &presence {
        if count(bits) == items.len() {
            found.always.push((*name).to_owned());
            continue;
        }
        found.sometimes.push((*name).to_owned());
        if groups.len() < COMPARED || groups.contains_key(bits.as_slice()) {
            groups.entry(bits).or_default().push((*name).to_owned());
        }
    }
    // In the order of their names, which does not depend on the order of the items.
    let mut groups: Vec<(Vec<String>, &[u64])> =
        groups.into_iter().map(|(bits, names)| (names, bits)).collect();
    groups.sort();
    let share = |bits: &[u64]| count(bits) * 100 >= items.len() * SHARE;
    for (n, (first, a)) in groups.iter().enumerate() {
        for (second, b) in &groups[n + 1..] {
            let disjoint = a.iter().zip(b.iter()).all(|(a, b)| a & b == 0);
            let all = count(a) + count(b) == items.len();
            if found.either.is_none() && disjoint && all && share(a) && share(b) {
                found.either = Some((first.clone(), second.clone()));
            }
        }
    }
    found.together = groups
        .into_iter()
        .map(|(names, _)| names)
        .filter(|names| names.len() > 1)
        .collect();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeKind, KeyAttribute, Value};

    #[test]
    fn attributes_that_occur_together_and_never_together_are_found() {
        let keys = KeySchema {
            partition: KeyAttribute {
                name: "id".into(),
                kind: AttributeKind::S,
            },
            sort: None,
        };
        let item = |names: &[&str]| -> Item {
            names
                .iter()
                .map(|name| ((*name).to_owned(), Value::s("x")))
                .collect()
        };
        let items = [
            item(&["id", "at", "email", "phone"]),
            item(&["id", "at", "vat", "company"]),
            item(&["id", "at", "vat", "company", "note"]),
        ];
        let items: Vec<&Item> = items.iter().collect();
        let found = of(&keys, &items);
        assert_eq!(found.always, ["at"]);
        assert_eq!(found.sometimes, ["company", "email", "note", "phone", "vat"]);
        assert_eq!(found.together, [["company", "vat"], ["email", "phone"]]);
        let (one, other) = found.either.unwrap();
        assert_eq!(
            (one.join(" "), other.join(" ")),
            ("company vat".into(), "email phone".into())
        );
    }
}

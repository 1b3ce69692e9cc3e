//! What looks wrong in the items of a sample.

use super::cluster::{Axis, Clusters, patterns};
use super::sample::Sample;
use super::suspect::{Suspect, Tally};
use super::time::{TimeCandidate, is_expiry};
use super::type_attribute::TypeAttribute;
use super::yaml::shown;
use crate::model::{Item, ItemExt, MAX_ITEM_BYTES, Number, REPLICATION_PREFIX, RESERVED_PREFIX, Value};
use std::collections::BTreeMap;

/// A number beyond this is no time in seconds (it is in the year 5138), but one in milliseconds or finer.
const LATEST_SECOND: i64 = 100_000_000_000;
/// Room for what dynasplit adds to an item until the split is complete.
const ROOM: usize = 1024;
/// An attribute belongs to a kind if this part of its items has it, in percent.
const USUAL: u64 = 50;
/// Attributes with problems that are reported.
const MOST: usize = 20;

/// Everything that looks wrong.
pub(super) fn find(
    sample: &Sample,
    clusters: &Clusters,
    kind: Option<&TypeAttribute>,
    times: &[TimeCandidate],
) -> Vec<Suspect> {
    let mut tally = Tally::new(&sample.keys);
    keys(sample, clusters, &mut tally);
    for item in &sample.items {
        one(sample, item, &mut tally);
        if let Some(kind) = kind.filter(|kind| kind.of(item).is_none()) {
            let what = format!(
                "items without the attribute `{}` that names the kind",
                shown(&kind.name)
            );
            tally.add("no-kind", what, item);
        }
    }
    mixed_types(sample, clusters, &mut tally);
    timestamps(sample, clusters, times, &mut tally);
    let mut list = sample.refused.clone();
    list.extend(tally.list());
    list
}

/// Keys that have no pattern, or one that hardly any other item has.
fn keys(sample: &Sample, clusters: &Clusters, tally: &mut Tally<'_>) {
    let name = &sample.keys.partition.name;
    match clusters.axis {
        Axis::Partition | Axis::Sort => {
            for place in &clusters.odd {
                tally.add(
                    "no-pattern",
                    "items whose keys have none of the patterns",
                    &sample.items[*place],
                );
            }
        }
        Axis::Type | Axis::Nothing => {
            let all: Vec<&Item> = sample.items.iter().collect();
            let patterns = patterns(&all, name);
            let has_none = |item: &&Item| {
                !item
                    .get(name)
                    .is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)))
            };
            let odd: Vec<&Item> = all.iter().copied().filter(has_none).collect();
            // If few keys have a pattern, its absence is no news.
            if odd.len() * 5 <= all.len() {
                for item in odd {
                    tally.add(
                        "no-pattern",
                        "items whose partition keys have none of the patterns",
                        item,
                    );
                }
            }
        }
    }
    for small in &clusters.small {
        let same = |other: &str| other != small.word && other.eq_ignore_ascii_case(&small.word);
        let meant = clusters.services.iter().find(|service| same(&service.word));
        let what = match meant {
            Some(meant) => format!(
                "`{}` may be a misspelt `{}`",
                shown(&small.word),
                shown(&meant.word)
            ),
            None => format!("`{}` is rare", shown(&small.word)),
        };
        for place in &small.items {
            tally.add("rare", what.clone(), &sample.items[*place]);
        }
    }
}

/// What is wrong with an item by itself.
fn one(sample: &Sample, item: &Item, tally: &mut Tally<'_>) {
    if item.size() > MAX_ITEM_BYTES - ROOM {
        tally.add(
            "too-large",
            "items that are almost too large for DynamoDB: the stamps of `sequence` mode may not fit",
            item,
        );
    }
    for (name, value) in item {
        if name.starts_with(RESERVED_PREFIX) {
            let what =
                format!("attributes that begin with `{RESERVED_PREFIX}`: such items become dead letters");
            tally.add("reserved", what, item);
        } else if name.starts_with(REPLICATION_PREFIX) {
            let what = format!("attributes that begin with `{REPLICATION_PREFIX}`: they are not copied");
            tally.add("global-table", what, item);
        }
        let is_ttl = sample.ttl_attribute.as_ref().is_some_and(|ttl| ttl == name);
        if is_ttl || (sample.ttl_attribute.is_none() && is_expiry(name)) {
            expiry(name, is_ttl, value, item, tally);
        }
    }
}

fn expiry(name: &str, is_ttl: bool, value: &Value, item: &Item, tally: &mut Tally<'_>) {
    let name = shown(name);
    match value {
        Value::N(at) if *at > Number::from(LATEST_SECOND) => {
            let what = format!(
                "`{name}` is in milliseconds or finer, but TTL needs seconds: these items never expire"
            );
            tally.add("ttl-milliseconds", what, item);
        }
        Value::N(_) => {}
        // Another attribute may be a date for people.
        _ if is_ttl || name.eq_ignore_ascii_case("ttl") => {
            let what = format!("`{name}` is no number, but TTL needs one: these items never expire");
            tally.add("ttl-type", what, item);
        }
        _ => {}
    }
}

/// Attributes whose values have several types among the items of one cluster and kind.
fn mixed_types(sample: &Sample, clusters: &Clusters, tally: &mut Tally<'_>) {
    let mut reported = 0;
    for service in &clusters.services {
        let mut types: BTreeMap<&str, BTreeMap<&'static str, Vec<usize>>> = BTreeMap::new();
        for place in &service.items {
            let values = sample.items[*place]
                .iter()
                .filter(|(_, value)| !matches!(value, Value::Null));
            for (name, value) in values {
                types
                    .entry(name)
                    .or_default()
                    .entry(value.type_name())
                    .or_default()
                    .push(*place);
            }
        }
        for (name, types) in types.iter().filter(|(_, types)| types.len() > 1) {
            reported += 1;
            if reported > MOST {
                return;
            }
            let usual = types
                .iter()
                .max_by_key(|(kind, places)| (places.len(), std::cmp::Reverse(**kind)));
            let Some((usual, _)) = usual else { continue };
            for (kind, places) in types.iter().filter(|(kind, _)| *kind != usual) {
                let what = format!(
                    "`{}` has the type {kind}, and {usual} in other items",
                    shown(name)
                );
                for place in places {
                    tally.add("mixed-types", what.clone(), &sample.items[*place]);
                }
            }
        }
    }
}

/// Items without the timestamp that most others have, or with another format.
fn timestamps(sample: &Sample, clusters: &Clusters, times: &[TimeCandidate], tally: &mut Tally<'_>) {
    let Some(best) = times
        .first()
        .filter(|best| best.role == super::time::Role::Updated)
    else {
        return;
    };
    let all = best.valid + best.other + best.missing;
    if best.valid * 100 < all * USUAL {
        return;
    }
    let name = shown(&best.attribute);
    for place in clusters.services.iter().flat_map(|service| &service.items) {
        let item = &sample.items[*place];
        match item.get(&best.attribute) {
            None => tally.add(
                "no-timestamp",
                format!("items without `{name}`, which most items have"),
                item,
            ),
            Some(value) => {
                let format = super::time_format::format_of(value).map(|found| found.format);
                if format.as_ref() != Some(&best.format) {
                    let what = format!("`{name}` has another format than in most items");
                    tally.add("timestamp-format", what, item);
                }
            }
        }
    }
}

//! Clusters of related kinds: each becomes a service.

use super::limits::{EXPRESSION_BYTES, LARGE_SAMPLE, RARE_ITEMS, SERVICES};
use super::pattern::{KeyPattern, infer};
use super::type_attribute::TypeAttribute;
use crate::model::{Item, KeySchema, Value};
use crate::plan::expr::{written_name, written_text};
use serde::Serialize;
use std::collections::BTreeMap;

/// What tells the services apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// The pattern of the partition key: items that share partitions stay together.
    Partition,
    /// The attribute that names the kind.
    Type,
    /// The pattern of the sort key.
    Sort,
    /// Nothing that was found: one service takes everything.
    Nothing,
}

/// Items that belong together.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// The condition that takes these items of the sample, and no others.
    pub condition: String,
    /// The text that it is about: a key pattern or a kind.
    pub word: String,
    /// Places of the items in the sample.
    pub items: Vec<usize>,
}

/// The sample, divided.
#[derive(Clone, Debug)]
pub(super) struct Clusters {
    pub axis: Axis,
    /// The services, the largest first.
    pub services: Vec<Cluster>,
    /// Clusters that are too small to be a service, or too many.
    pub small: Vec<Cluster>,
    /// Items that no cluster takes.
    pub odd: Vec<usize>,
}

/// A part of the items that has to have patterns before these divide the table.
const MOST: u64 = 80;
/// The same for the attribute that names the kind: an item without it belongs to no service.
const ALMOST_ALL: u64 = 95;

/// The patterns of a key attribute.
pub(super) fn patterns(items: &[&Item], attribute: &str) -> Vec<KeyPattern> {
    let mut texts: BTreeMap<&str, u64> = BTreeMap::new();
    for item in items {
        if let Some(Value::S(text)) = item.get(attribute) {
            *texts.entry(text).or_default() += 1;
        }
    }
    infer(&texts)
}

/// Divides the items of a sample.
pub(super) fn divide(keys: &KeySchema, items: &[Item], kind: Option<&TypeAttribute>) -> Clusters {
    let all: Vec<&Item> = items.iter().collect();
    let by_partition = by_patterns(&all, &keys.partition.name);
    if is_divided(&by_partition, items) {
        return sized(Axis::Partition, by_partition);
    }
    if let Some(kind) = kind.filter(|kind| kind.items * 100 >= items.len() as u64 * ALMOST_ALL) {
        let by_kind = by_kind(items, kind);
        if is_divided(&by_kind, items) {
            return sized(Axis::Type, by_kind);
        }
    }
    if let Some(sort) = &keys.sort {
        let by_sort = by_patterns(&all, &sort.name);
        if is_divided(&by_sort, items) {
            return sized(Axis::Sort, by_sort);
        }
    }
    let whole = Cluster {
        condition: format!("attribute_exists({})", written_name(&keys.partition.name)),
        word: String::new(),
        items: (0..items.len()).collect(),
    };
    let services = if items.is_empty() { Vec::new() } else { vec![whole] };
    Clusters {
        axis: Axis::Nothing,
        services,
        small: Vec::new(),
        odd: Vec::new(),
    }
}

/// Clusters, and the items that none of them takes.
type Divided = (Vec<Cluster>, Vec<usize>);

fn by_patterns(items: &[&Item], attribute: &str) -> Divided {
    let patterns = patterns(items, attribute);
    let mut clusters: Vec<Cluster> = patterns
        .iter()
        .map(|pattern| Cluster {
            condition: pattern.condition(attribute),
            word: pattern.text().to_owned(),
            items: Vec::new(),
        })
        .collect();
    let mut odd = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let value = item.get(attribute);
        match patterns
            .iter()
            .position(|pattern| value.is_some_and(|value| pattern.matches(value)))
        {
            Some(n) => clusters[n].items.push(place),
            None => odd.push(place),
        }
    }
    clusters.retain(|cluster| !cluster.items.is_empty());
    (clusters, odd)
}

fn by_kind(items: &[Item], kind: &TypeAttribute) -> Divided {
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut odd = Vec::new();
    for (place, item) in items.iter().enumerate() {
        match kind.of(item) {
            Some(value) => found.entry(value).or_default().push(place),
            None => odd.push(place),
        }
    }
    let name = written_name(&kind.name);
    let clusters = found.into_iter().map(|(value, items)| Cluster {
        condition: format!("{name} = {}", written_text(value)),
        word: value.to_owned(),
        items,
    });
    (clusters.collect(), odd)
}

fn is_rare(cluster: &Cluster, all: u64) -> bool {
    all >= LARGE_SAMPLE && cluster.items.len() as u64 <= RARE_ITEMS
}

/// Whether there are at least two services, which take most items.
fn is_divided((clusters, odd): &Divided, items: &[Item]) -> bool {
    let all = items.len() as u64;
    let services = clusters.iter().filter(|cluster| !is_rare(cluster, all)).count();
    services >= 2 && (all - odd.len() as u64) * 100 >= all * MOST
}

/// The largest clusters become services.
fn sized(axis: Axis, (mut clusters, odd): Divided) -> Clusters {
    let all = odd.len() as u64
        + clusters
            .iter()
            .map(|cluster| cluster.items.len() as u64)
            .sum::<u64>();
    clusters.sort_by(|a, b| {
        b.items
            .len()
            .cmp(&a.items.len())
            .then_with(|| a.word.cmp(&b.word))
    });
    let services = clusters.iter().filter(|cluster| !is_rare(cluster, all)).count();
    let mut services = services.min(SERVICES);
    let length = |clusters: &[Cluster]| clusters.iter().map(|one| one.condition.len() + 4).sum::<usize>();
    while services > 1 && length(&clusters[..services]) > EXPRESSION_BYTES {
        services -= 1;
    }
    let small = clusters.split_off(services);
    Clusters {
        axis,
        services: clusters,
        small,
        odd,
    }
}

impl Clusters {
    /// The condition of what stays behind, as terms; `None` if every item belongs to a service.
    pub fn left_behind(&self) -> Option<Vec<String>> {
        if self.odd.is_empty() && self.small.is_empty() {
            return None;
        }
        let small = alternatives(&self.small);
        let fits = small.iter().map(|term| term.len() + 1).sum::<usize>() <= EXPRESSION_BYTES;
        if self.odd.is_empty() && fits {
            return Some(small);
        }
        let mut terms = alternatives(&self.services);
        if let Some(first) = terms.first_mut() {
            first.insert_str(0, "NOT (");
        }
        if let Some(last) = terms.last_mut() {
            last.push(')');
        }
        Some(terms)
    }

    /// Whether [`Clusters::left_behind`] also takes kinds that nobody has seen.
    pub fn leaves_everything_else(&self) -> bool {
        self.left_behind()
            .is_some_and(|terms| terms[0].starts_with("NOT ("))
    }

    /// Places of the items that stay behind.
    pub fn left_behind_items(&self) -> Vec<usize> {
        let small = self.small.iter().flat_map(|cluster| cluster.items.iter());
        let mut places: Vec<usize> = self.odd.iter().chain(small).copied().collect();
        places.sort_unstable();
        places
    }
}

/// The conditions, joined by `OR`.
fn alternatives(clusters: &[Cluster]) -> Vec<String> {
    let last = clusters.len().saturating_sub(1);
    let each = clusters.iter().enumerate();
    each.map(|(n, cluster)| match n == last {
        true => cluster.condition.clone(),
        false => format!("{} OR", cluster.condition),
    })
    .collect()
}

//! Attributes that could order the versions of an item.

use super::time_format::{TimeFormat, format_of};
use crate::model::{Item, KeySchema, RESERVED_PREFIX, Value};
use crate::plan::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// What an attribute seems to be for, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The last write of the item.
    Updated,
    /// A counter of the item's writes.
    Counter,
    /// Another time.
    Other,
    /// The creation of the item.
    Created,
    /// The end of the item.
    Expiry,
}

/// An attribute that contains times, or counts writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimeCandidate {
    /// Its name.
    pub attribute: String,
    /// `N` or `S`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its most frequent format, as a plan writes it.
    pub format: String,
    /// What it seems to be for.
    pub role: Role,
    /// Items that have it in this format, of those that belong to a service.
    pub valid: u64,
    /// Items that have it in another format or type.
    pub other: u64,
    /// Items that lack it.
    pub missing: u64,
    /// Why a plan cannot use it; `None` if only a person can know.
    pub flaw: Option<String>,
}

/// Candidates that are reported.
const MOST: usize = 8;
const UPDATED: [&str; 8] = [
    "updat",
    "modif",
    "changed",
    "lastchange",
    "mtime",
    "lastwrite",
    "lastsaved",
    "savedat",
];
const CREATED: [&str; 4] = ["creat", "insert", "born", "registered"];
const EXPIRY: [&str; 5] = ["ttl", "expir", "deleteat", "deleteafter", "validuntil"];
const COUNTERS: [&str; 7] = [
    "version",
    "ver",
    "v",
    "rev",
    "revision",
    "lockversion",
    "versionnumber",
];

impl TimeCandidate {
    /// As the plan writes it.
    pub(super) fn setting(&self) -> String {
        format!(
            "{{ attribute: {}, type: {}, format: {} }}",
            super::yaml::scalar(&self.attribute),
            self.kind,
            super::yaml::scalar(&self.format)
        )
    }
}

fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn role(name: &str) -> Role {
    let plain = plain(name);
    let has = |hints: &[&str]| hints.iter().any(|hint| plain.contains(hint));
    // dynamodb-toolbox writes `_md` and `_ct`.
    match name {
        _ if name == "_md" || has(&UPDATED) => Role::Updated,
        _ if name == "_ct" || has(&CREATED) => Role::Created,
        _ if has(&EXPIRY) => Role::Expiry,
        _ => Role::Other,
    }
}

/// Whether an attribute seems to be the end of an item.
pub(super) fn is_expiry(name: &str) -> bool {
    role(name) == Role::Expiry
}

/// The candidates among items that belong to a service, the best first.
pub(super) fn candidates(keys: &KeySchema, items: &[&Item]) -> Vec<TimeCandidate> {
    let is_key = |name: &str| keys.attributes().any(|key| key.name == name);
    let mut formats: BTreeMap<&str, BTreeMap<TimeFormat, u64>> = BTreeMap::new();
    let mut present: BTreeMap<&str, u64> = BTreeMap::new();
    let mut small: BTreeMap<&str, u64> = BTreeMap::new();
    for item in items {
        let named = item
            .iter()
            .filter(|(name, _)| !is_key(name) && !name.starts_with(RESERVED_PREFIX));
        for (name, value) in named {
            *present.entry(name).or_default() += 1;
            if let Some(format) = format_of(value) {
                *formats.entry(name).or_default().entry(format).or_default() += 1;
            } else if matches!(value, Value::N(_)) && COUNTERS.contains(&plain(name).as_str()) {
                *small.entry(name).or_default() += 1;
            }
        }
    }
    let mut found: Vec<TimeCandidate> = formats
        .iter()
        .filter_map(|(name, formats)| of_attribute(name, formats, present[name], items))
        .collect();
    let counters = small.iter().filter(|(name, count)| **count * 2 > present[*name]);
    found.extend(counters.map(|(name, count)| counter(name, *count, present[name], items.len() as u64)));
    found.sort_by(|a, b| {
        let rank = |one: &TimeCandidate| (one.role, one.flaw.is_some(), u64::MAX - one.valid);
        rank(a).cmp(&rank(b)).then_with(|| a.attribute.cmp(&b.attribute))
    });
    found.truncate(MOST);
    found
}

fn of_attribute(
    name: &str,
    formats: &BTreeMap<TimeFormat, u64>,
    present: u64,
    items: &[&Item],
) -> Option<TimeCandidate> {
    let times: u64 = formats.values().sum();
    let role = role(name);
    // A price may look like a time; a name that says nothing needs better evidence.
    if times * 2 < present || (role == Role::Other && times * 10 < present * 9) {
        return None;
    }
    let (format, _) = formats
        .iter()
        .max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)))?;
    let timestamp = Timestamp {
        attribute: name.to_owned(),
        format: format.of_plan(),
    };
    // Any number is a version, but numbers of two formats do not grow with time.
    let valid = match format.is_number {
        true => formats[format],
        false => items
            .iter()
            .filter(|item| timestamp.version_of(item).is_some())
            .count() as u64,
    };
    let (missing, other) = (items.len() as u64 - present, present.saturating_sub(valid));
    let flaw = match (format.flaw, role) {
        (Some(flaw), _) => Some(flaw.to_owned()),
        (None, Role::Created) => Some("it does not change when an item is updated".to_owned()),
        (None, Role::Expiry) => Some("it is the end of the item, not the time of a write".to_owned()),
        _ if missing > 0 => Some(format!("it is missing in {missing} of {} items", items.len())),
        _ if other > 0 => Some(format!(
            "it has another format in {other} of {} items",
            items.len()
        )),
        _ => None,
    };
    let format_name = format.format.clone();
    Some(TimeCandidate {
        attribute: name.to_owned(),
        kind: format.kind().to_string(),
        format: format_name,
        role,
        valid,
        other,
        missing,
        flaw,
    })
}

fn counter(name: &str, count: u64, present: u64, items: u64) -> TimeCandidate {
    TimeCandidate {
        attribute: name.to_owned(),
        kind: "N".to_owned(),
        format: "number".to_owned(),
        role: Role::Counter,
        valid: count,
        other: present - count,
        missing: items - present,
        flaw: Some("a counter starts again when an item is deleted and created again".to_owned()),
    }
}

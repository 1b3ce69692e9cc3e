//! Guards: the conditions under which a write may land, as a pure predicate and as the expression that
//! DynamoDB evaluates. A property test holds the two against each other on real engines.

use crate::model::{Item, Number, SequenceNumber, TOMBSTONE_ATTRIBUTE, VERSION_ATTRIBUTE, Value, Version};
use std::collections::BTreeMap;

/// Where a target item shows its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionFields {
    /// Partition key of the target. Every item has it, so it shows whether an item exists.
    pub partition: String,
    /// The attribute in which live items show the version: the plan's timestamp if the shape keeps it under its own
    /// name, otherwise the reserved attribute. Tombstones always use the reserved one.
    pub live: String,
}

/// The condition under which a write lands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Guard {
    /// Tail, in stream order: the target has no item, or an item without a version, or with a version that is not
    /// newer.
    NotNewer(Version),
    /// Backfill with a version: the target is absent, or has an older version.
    Older(Version),
    /// Backfill without a version: the target is absent.
    Absent,
    /// Tail without a version, or with a version that went backwards: stream order decides. Also a bulk copy, because
    /// no lane writes meanwhile.
    Any,
    /// Repair: the target still is what was read (or still has the same version), and is no tombstone.
    Unchanged(Box<Item>),
}

/// A condition as DynamoDB takes it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GuardExpression {
    /// The expression; empty for no condition.
    pub text: String,
    /// Attribute names for its `#` placeholders.
    pub names: BTreeMap<String, String>,
    /// Values for its `:` placeholders.
    pub values: BTreeMap<String, Value>,
}

/// Attributes that [`Guard::Unchanged`] compares at most: an expression may have 4 KB and 300 operators
/// ([limits](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters)).
const MAX_COMPARED: usize = 140;

impl VersionFields {
    /// The versions that an item shows: in the live attribute and in the reserved one.
    pub(super) fn shown<'a>(&'a self, held: &'a Item) -> impl Iterator<Item = Version> + 'a {
        let reserved = (self.live != VERSION_ATTRIBUTE).then_some(VERSION_ATTRIBUTE);
        [Some(self.live.as_str()), reserved]
            .into_iter()
            .flatten()
            .filter_map(|name| held.get(name).and_then(Version::from_value))
    }
}

/// Whether two versions have the same type. DynamoDB orders only values of the same type.
pub(super) fn alike(a: &Version, b: &Version) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

impl Guard {
    /// The predicate: whether the write lands on the given contents of the target.
    #[must_use]
    pub fn allows(&self, fields: &VersionFields, held: Option<&Item>) -> bool {
        let Some(held) = held else {
            return !matches!(self, Self::Unchanged(_));
        };
        match self {
            Self::Any => true,
            Self::Absent => false,
            Self::NotNewer(version) => {
                let mut comparable = fields
                    .shown(held)
                    .filter(|shown| alike(shown, version))
                    .peekable();
                comparable.peek().is_none() || comparable.any(|shown| shown <= *version)
            }
            Self::Older(version) => fields
                .shown(held)
                .any(|shown| alike(&shown, version) && shown < *version),
            Self::Unchanged(read) => {
                compared(fields, read).all(|(name, value)| held.get(name) == Some(value))
                    && absent_versions(fields, read).all(|name| !held.contains_key(name))
                    && !held.contains_key(TOMBSTONE_ATTRIBUTE)
            }
        }
    }

    /// The expression with which DynamoDB makes the same decision.
    #[must_use]
    pub fn expression(&self, fields: &VersionFields) -> GuardExpression {
        match self {
            Self::Any => GuardExpression::default(),
            Self::Absent => GuardExpression {
                text: "attribute_not_exists(#p)".into(),
                names: BTreeMap::from([("#p".into(), fields.partition.clone())]),
                values: BTreeMap::new(),
            },
            Self::NotNewer(version) => compare(fields, version, "<=", true),
            Self::Older(version) => compare(fields, version, "<", false),
            Self::Unchanged(read) => unchanged(fields, read),
        }
    }
}

/// `absent OR version <op> :v [OR has no comparable version]`. A missing attribute makes `<` false, which is
/// why "no version" is asked for by type: `attribute_type` is false for a missing attribute too.
fn compare(fields: &VersionFields, version: &Version, operator: &str, unversioned: bool) -> GuardExpression {
    let mut names = BTreeMap::from([
        ("#p".to_owned(), fields.partition.clone()),
        ("#v".to_owned(), fields.live.clone()),
    ]);
    let value = version.to_value();
    let kind = value.type_name();
    let mut values = BTreeMap::from([(":v".to_owned(), value)]);
    let mut text = format!("attribute_not_exists(#p) OR #v {operator} :v");
    let mut untyped = "NOT attribute_type(#v, :t)".to_owned();
    if fields.live != VERSION_ATTRIBUTE {
        names.insert("#r".into(), VERSION_ATTRIBUTE.into());
        text.push_str(&format!(" OR #r {operator} :v"));
        untyped.push_str(" AND NOT attribute_type(#r, :t)");
    }
    if unversioned {
        values.insert(":t".into(), Value::s(kind));
        text.push_str(&format!(" OR ({untyped})"));
    }
    GuardExpression { text, names, values }
}

/// What [`Guard::Unchanged`] compares: first the versions, then as much of the rest as fits.
fn compared<'a>(fields: &'a VersionFields, read: &'a Item) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let is_version = |name: &str| name == VERSION_ATTRIBUTE || name == fields.live;
    let versions = read.iter().filter(move |(name, _)| is_version(name));
    let rest = read.iter().filter(move |(name, _)| !is_version(name));
    versions.chain(rest).take(MAX_COMPARED)
}

/// Version attributes that the read item did not have. A later writer may set one of them.
fn absent_versions<'a>(fields: &'a VersionFields, read: &'a Item) -> impl Iterator<Item = &'a str> {
    let reserved = (fields.live != VERSION_ATTRIBUTE).then_some(VERSION_ATTRIBUTE);
    [Some(fields.live.as_str()), reserved]
        .into_iter()
        .flatten()
        .filter(|name| !read.contains_key(*name))
}

fn unchanged(fields: &VersionFields, read: &Item) -> GuardExpression {
    let mut names = BTreeMap::from([("#d".to_owned(), TOMBSTONE_ATTRIBUTE.to_owned())]);
    let mut values = BTreeMap::new();
    let mut clauses = vec!["attribute_not_exists(#d)".to_owned()];
    for (index, (name, value)) in compared(fields, read).enumerate() {
        names.insert(format!("#a{index}"), name.clone());
        values.insert(format!(":a{index}"), value.clone());
        clauses.push(format!("#a{index} = :a{index}"));
    }
    for (index, name) in absent_versions(fields, read).enumerate() {
        names.insert(format!("#n{index}"), name.to_owned());
        clauses.push(format!("attribute_not_exists(#n{index})"));
    }
    GuardExpression {
        text: clauses.join(" AND "),
        names,
        values,
    }
}

/// The stamp of a record in `sequence` mode: generation, then sequence number, both of fixed width, so that
/// stamps order as text and every record of a later generation is newer.
#[must_use]
pub fn stamp(generation: u32, sequence: &SequenceNumber) -> Version {
    Version::Text(format!("{generation:010}:{}", sequence.padded()))
}

/// A tombstone: the target key and its version, in reserved attributes, and nothing else.
#[must_use]
pub fn tombstone(key: Item, version: Option<&Version>) -> Item {
    let mut item = key;
    item.insert(TOMBSTONE_ATTRIBUTE.to_owned(), Value::Bool(true));
    if let Some(version) = version {
        item.insert(VERSION_ATTRIBUTE.to_owned(), version.to_value());
    }
    item
}

/// A tombstone that records the epoch of the tombstone switch in which it was left. A sweep removes only tombstones
/// of earlier epochs: while the sweep runs, another command may switch tombstones on again, and needs those of its
/// own epoch.
#[must_use]
pub fn tombstone_of(epoch: u64, key: Item, version: Option<&Version>) -> Item {
    let mut item = tombstone(key, version);
    item.insert(
        TOMBSTONE_ATTRIBUTE.to_owned(),
        Value::N(Number::from(i64::try_from(epoch).unwrap_or(i64::MAX))),
    );
    item
}

/// The epoch of the switch in which a tombstone was left; 0 if it has no record of it.
#[must_use]
pub fn tombstone_epoch(item: &Item) -> u64 {
    match item.get(TOMBSTONE_ATTRIBUTE) {
        Some(Value::N(number)) => number.to_string().parse().unwrap_or(0),
        _ => 0,
    }
}

/// Whether a target item is a tombstone. To verification it is absent; to guards it is any other item.
#[must_use]
pub fn is_tombstone(item: &Item) -> bool {
    item.contains_key(TOMBSTONE_ATTRIBUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(live: &str) -> VersionFields {
        VersionFields {
            partition: "id".into(),
            live: live.into(),
        }
    }

    fn held(entries: &[(&str, Value)]) -> Item {
        let mut item = Item::from([("id".to_owned(), Value::s("x"))]);
        item.extend(
            entries
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        item
    }

    fn v(text: &str) -> Version {
        Version::Text(text.into())
    }

    #[test]
    fn a_tie_goes_to_the_tail_and_never_to_the_backfill() {
        let fields = fields("at");
        let target = held(&[("at", Value::s("5"))]);
        assert!(Guard::NotNewer(v("5")).allows(&fields, Some(&target)));
        assert!(!Guard::NotNewer(v("4")).allows(&fields, Some(&target)));
        assert!(!Guard::Older(v("5")).allows(&fields, Some(&target)));
        assert!(Guard::Older(v("6")).allows(&fields, Some(&target)));
        assert!(Guard::Older(v("0")).allows(&fields, None));
    }

    #[test]
    fn a_tombstone_stops_a_late_page() {
        let fields = fields("at");
        let dead = tombstone(held(&[]), Some(&v("5")));
        assert!(is_tombstone(&dead));
        assert_eq!(tombstone_epoch(&dead), 0);
        let dated = tombstone_of(1200, held(&[]), Some(&v("5")));
        assert!(is_tombstone(&dated));
        assert_eq!(tombstone_epoch(&dated), 1200);
        assert!(!Guard::Older(v("5")).allows(&fields, Some(&dead)));
        assert!(!Guard::Older(v("3")).allows(&fields, Some(&dead)));
        assert!(!Guard::Absent.allows(&fields, Some(&dead)));
        assert!(Guard::NotNewer(v("6")).allows(&fields, Some(&dead)));
        let unversioned = tombstone(held(&[]), None);
        assert!(!Guard::Older(v("9")).allows(&fields, Some(&unversioned)));
    }

    #[test]
    fn an_unversioned_target_is_the_tails_and_not_the_backfills() {
        let fields = fields("at");
        for target in [held(&[]), held(&[("at", Value::N(Number::from(9)))])] {
            assert!(Guard::NotNewer(v("1")).allows(&fields, Some(&target)));
            assert!(!Guard::Older(v("9")).allows(&fields, Some(&target)));
        }
    }

    #[test]
    fn stamps_of_a_later_generation_win() {
        let n = SequenceNumber::new;
        assert!(stamp(1, &n("9")) < stamp(1, &n("10")));
        assert!(stamp(1, &n("99999")) < stamp(2, &n("1")));
    }

    #[test]
    fn a_repair_needs_what_was_read() {
        let fields = fields("at");
        let read = held(&[("at", Value::s("5")), ("a", Value::s("b"))]);
        let guard = Guard::Unchanged(Box::new(read.clone()));
        assert!(guard.allows(&fields, Some(&read)));
        assert!(!guard.allows(&fields, None));
        assert!(!guard.allows(
            &fields,
            Some(&held(&[("at", Value::s("6")), ("a", Value::s("b"))]))
        ));
        assert!(!guard.allows(&fields, Some(&tombstone(read.clone(), None))));
        let bare = Guard::Unchanged(Box::new(held(&[])));
        assert!(
            !bare.allows(&fields, Some(&held(&[("at", Value::s("1"))]))),
            "a tail write since"
        );
    }
}

//! A target table: its indexes and settings.
//!
//! See [the quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html).

use super::report::Report;
use super::{keys, names};
use crate::model::{AttributeKind, KeySchema};
use crate::plan::IndexKeys;
use crate::plan::either::WordOr;
use crate::plan::path::Path;
use crate::plan::shape::Attributes;
use crate::plan::spec::{IncludeSpec, ProjectionWord, TableSpec, ThroughputSpec};
use std::collections::{BTreeMap, BTreeSet};

/// Most global indexes of a table (the quota's default; an account may ask for more, and then splits the
/// creation in two).
const MAX_GLOBAL: usize = 20;
/// Most local indexes of a table.
const MAX_LOCAL: usize = 5;
/// Most attributes that all `include` lists of a table may hold together.
const MAX_INCLUDED: usize = 100;
/// Most tags of a table.
const MAX_TAGS: usize = 50;

/// Checks the table's settings, and gives its indexes' keys.
pub(super) fn check(spec: &TableSpec, keys: &KeySchema, path: &Path, report: &mut Report) -> Vec<IndexKeys> {
    names::table(&spec.name, &path.field("name"), report);
    let indexes = indexes(spec, keys, path, report);
    one_type_each(spec, keys, &indexes, path, report);
    projections(spec, path, report);
    throughput(spec, path, report);
    tags(spec, path, report);
    if let Some(ttl) = &spec.ttl {
        let (table, path) = (path, path.field("ttl"));
        names::attribute(ttl, &path, report);
        let declared = indexes
            .iter()
            .flat_map(|index| index.keys.attributes())
            .find(|key| key.name == *ttl);
        if keys.attributes().any(|key| key.name == *ttl) {
            let hint = "name an attribute that holds epoch seconds";
            report.at(
                &path,
                format!("`{ttl}` is a key of the table, and a key cannot be the expiry of an item"),
                hint,
            );
        } else if let Some(key) = declared.filter(|key| {
            key.kind != AttributeKind::N
                && !report.is_faulty(&table.field("global-indexes"))
                && !report.is_faulty(&table.field("local-indexes"))
        }) {
            let message = format!(
                "`{ttl}` has type {} in an index, but an expiry is a number",
                key.kind
            );
            report.at(&path, message, "give it `type: N` there");
        }
    }
    if let Some(WordOr::Map(kms)) = &spec.encryption
        && (kms.kms_key.trim().is_empty() || kms.kms_key.contains(char::is_whitespace))
    {
        let hint = "write its ARN, its id, or its alias: alias/orders";
        report.at(
            &path.field("encryption").field("kms-key"),
            "this is not the name of a KMS key",
            hint,
        );
    }
    indexes
}

/// The path of an index, in the order in which [`check`] gives them: global ones first.
fn index_path(spec: &TableSpec, n: usize, path: &Path) -> Path {
    match n.checked_sub(spec.global_indexes.len()) {
        None => path.field("global-indexes").index(n),
        Some(local) => path.field("local-indexes").index(local),
    }
}

fn indexes(spec: &TableSpec, keys: &KeySchema, path: &Path, report: &mut Report) -> Vec<IndexKeys> {
    let mut indexes = vec![];
    for (n, index) in spec.global_indexes.iter().enumerate() {
        let path = path.field("global-indexes").index(n);
        let keys = keys::schema(&index.keys, &path.field("keys"), report);
        indexes.push(IndexKeys {
            name: index.name.clone(),
            keys,
            local: false,
        });
    }
    for (n, index) in spec.local_indexes.iter().enumerate() {
        let path = path.field("local-indexes").index(n);
        let sort = keys::attribute(&index.sort, &path.field("sort"), report);
        if sort.name == keys.partition.name {
            let message = format!("`{}` is already the table's partition key", sort.name);
            report.at(
                &path.field("sort"),
                message,
                "name another sort key: a local index has the table's partition key and its own sort key",
            );
        }
        let keys = KeySchema {
            partition: keys.partition.clone(),
            sort: Some(sort),
        };
        indexes.push(IndexKeys {
            name: index.name.clone(),
            keys,
            local: true,
        });
    }
    let mut seen = BTreeSet::new();
    for (n, index) in indexes.iter().enumerate() {
        let path = index_path(spec, n, path).field("name");
        names::table(&index.name, &path, report);
        if !seen.insert(&index.name) {
            report.at(
                &path,
                format!("two indexes are called `{}`", index.name),
                "give each a name of its own",
            );
        }
    }
    for (list, count, most) in [
        ("global-indexes", spec.global_indexes.len(), MAX_GLOBAL),
        ("local-indexes", spec.local_indexes.len(), MAX_LOCAL),
    ] {
        if count > most {
            report.at(
                &path.field(list),
                format!("the list has {count} entries"),
                format!("DynamoDB accepts at most {most} per table"),
            );
        }
    }
    if keys.sort.is_none() && !spec.local_indexes.is_empty() && !report.is_faulty(&path.field("keys")) {
        let hint = "give the table a sort key, or make it a global index";
        report.at(
            &path.field("local-indexes"),
            "a table without a sort key has no local indexes",
            hint,
        );
    }
    indexes
}

/// A table declares an attribute once, so all keys agree on its type.
fn one_type_each(
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
    path: &Path,
    report: &mut Report,
) {
    let mut declared: BTreeMap<&str, (AttributeKind, &str)> = BTreeMap::new();
    if !report.is_faulty(&path.field("keys")) {
        for key in keys.attributes() {
            declared.insert(&key.name, (key.kind, "the table's key"));
        }
    }
    for (n, index) in indexes.iter().enumerate() {
        if report.is_faulty(&index_path(spec, n, path)) {
            continue;
        }
        for key in index.keys.attributes() {
            let (kind, place) = *declared.entry(&key.name).or_insert((key.kind, &index.name));
            if kind != key.kind {
                report.at(
                    &index_path(spec, n, path),
                    format!(
                        "`{}` has type {} here and type {kind} in {place}",
                        key.name, key.kind
                    ),
                    "give the attribute the same type in all keys of the table: { name: ..., type: ... }",
                );
            }
        }
    }
}

fn projections(spec: &TableSpec, path: &Path, report: &mut Report) {
    let global = spec.global_indexes.iter().map(|index| &index.projection);
    let local = spec.local_indexes.iter().map(|index| &index.projection);
    let mut total = 0;
    for (n, projection) in global.chain(local).enumerate() {
        let Some(WordOr::<ProjectionWord, IncludeSpec>::Map(IncludeSpec { include })) = projection else {
            continue;
        };
        let path = index_path(spec, n, path).field("projection").field("include");
        total += include.len();
        if include.is_empty() {
            report.at(
                &path,
                "the list is empty",
                "name the attributes, or write `projection: keys-only`",
            );
        }
        let mut seen = BTreeSet::new();
        for (m, name) in include.iter().enumerate() {
            names::attribute(name, &path.index(m), report);
            if !seen.insert(name) {
                report.at(&path.index(m), format!("`{name}` is listed twice"), "remove one");
            }
        }
    }
    if total > MAX_INCLUDED {
        report.at_name(
            path,
            format!("the indexes of the table include {total} attributes"),
            format!(
                "DynamoDB accepts at most {MAX_INCLUDED} for all indexes of a table; write `projection: \
                 all`"
            ),
        );
    }
}

fn throughput(spec: &TableSpec, path: &Path, report: &mut Report) {
    let units = |units: Option<&ThroughputSpec>, path: &Path, report: &mut Report| {
        for (name, count) in units
            .iter()
            .flat_map(|units| [("read", units.read), ("write", units.write)])
        {
            if count == 0 {
                report.at(
                    &path.field(name),
                    "0 units are not allowed",
                    "write 1 or more, or `billing: on-demand` to pay per request",
                );
            }
        }
    };
    let provisioned = spec.billing.as_ref().and_then(WordOr::map);
    let billing_is_known = !report.is_faulty(&path.field("billing"));
    units(provisioned, &path.field("billing"), report);
    units(spec.max_on_demand.as_ref(), &path.field("max-on-demand"), report);
    units(
        spec.warm_throughput.as_ref(),
        &path.field("warm-throughput"),
        report,
    );
    if provisioned.is_some() && spec.max_on_demand.is_some() {
        report.at_name(
            &path.field("max-on-demand"),
            "this is an upper bound for on-demand throughput, but `billing` has provisioned units",
            "remove it, or write `billing: on-demand`",
        );
    }
    warm(
        spec.warm_throughput,
        provisioned,
        &path.field("warm-throughput"),
        report,
    );
    for (n, index) in spec.global_indexes.iter().enumerate() {
        let path = path.field("global-indexes").index(n);
        units(index.throughput.as_ref(), &path.field("throughput"), report);
        units(
            index.warm_throughput.as_ref(),
            &path.field("warm-throughput"),
            report,
        );
        if index.throughput.is_some() && provisioned.is_none() && billing_is_known {
            report.at_name(
                &path.field("throughput"),
                "the index has provisioned units, but the table is on-demand",
                "remove it, or give the table units: billing: { read: 10, write: 10 }",
            );
        }
        let own = index
            .throughput
            .as_ref()
            .or(provisioned)
            .filter(|_| provisioned.is_some());
        warm(index.warm_throughput, own, &path.field("warm-throughput"), report);
    }
}

/// The warm units are at least the provisioned units.
fn warm(
    warm: Option<ThroughputSpec>,
    provisioned: Option<&ThroughputSpec>,
    path: &Path,
    report: &mut Report,
) {
    if let (Some(warm), Some(provisioned)) = (warm, provisioned)
        && (warm.read < provisioned.read || warm.write < provisioned.write)
    {
        report.at_name(
            path,
            "the warm throughput is less than the provisioned units",
            "give at least as many units, or leave it out",
        );
    }
}

fn tags(spec: &TableSpec, path: &Path, report: &mut Report) {
    let path = path.field("tags");
    if spec.tags.len() > MAX_TAGS {
        report.at(
            &path,
            format!("{} tags", spec.tags.len()),
            format!("AWS accepts at most {MAX_TAGS} tags per table"),
        );
    }
    for (name, value) in &spec.tags {
        let path = path.field(name);
        if name.is_empty() || name.chars().count() > 128 || name.to_lowercase().starts_with("aws:") {
            report.at_name(
                &path,
                "AWS accepts no tag with this name",
                "use 1 to 128 characters that do not begin with `aws:`",
            );
        }
        if value.chars().count() > 256 {
            report.at(
                &path,
                "the value of the tag is too long",
                "AWS accepts at most 256 characters",
            );
        }
        for (at_name, text) in [(true, name), (false, value)] {
            if let Some(odd) = text.chars().find(|c| !is_tag_character(*c)) {
                let what = if at_name { "name" } else { "value" };
                let message = format!("AWS does not accept {odd:?} in the {what} of a tag");
                report.doubt_setting(
                    &path,
                    at_name,
                    message,
                    "use letters, digits, spaces and + - = . _ : / @ (an emulator may accept more)",
                );
            }
        }
    }
}

/// See [the restrictions of tags](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Tagging.html).
fn is_tag_character(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "+-=._:/@".contains(c)
}

/// An index whose key no item can have is a mistake in the transform or in the index.
pub(super) fn check_visible(
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
    shapes: &[&Attributes],
    path: &Path,
    report: &mut Report,
) {
    let hidden = |name: &str| {
        keys.attributes().all(|key| key.name != name) && shapes.iter().all(|shape| !shape.can_show(name))
    };
    let renamed = |name: &str| shapes.iter().find_map(|shape| shape.rename.get(name));
    let hint = |name: &str| match renamed(name) {
        Some(to) => format!("the transform calls it `{to}` here; use that name"),
        None => format!("the transform drops `{name}` or does not keep it; keep it, or remove this"),
    };
    for (n, index) in indexes.iter().enumerate() {
        for key in index.keys.attributes().filter(|key| hidden(&key.name)) {
            let message = format!(
                "no item can be in this index, because no item has `{}` in this table",
                key.name
            );
            report.at(&index_path(spec, n, path), message, hint(&key.name));
        }
    }
    if let Some(ttl) = spec.ttl.as_deref().filter(|name| hidden(name)) {
        report.at(
            &path.field("ttl"),
            format!("no item can expire, because no item has `{ttl}` in this table"),
            hint(ttl),
        );
    }
}

//! Names: of tables, attributes, roles and of things in the plan.
//!
//! See [the naming rules](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html).

use super::report::Report;
use crate::model::RESERVED_PREFIX;
use crate::plan::Place;
use crate::plan::path::Path;

/// Longest name of a split or a service: it is part of keys and of the state table's name.
const MAX_PLAN_NAME_CHARS: usize = 100;
/// Longest name of an attribute that is part of a key or an index, in bytes.
const MAX_ATTRIBUTE_NAME_BYTES: usize = 255;

fn plain(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// Name of a split or a service.
pub(super) fn plan_name(name: &str, what: &str, path: &Path, report: &mut Report) {
    if name.is_empty() || name.len() > MAX_PLAN_NAME_CHARS || !plain(name) {
        report.at(
            path,
            format!("`{name}` is not a valid name of a {what}"),
            format!("use 1 to {MAX_PLAN_NAME_CHARS} letters, digits, `-`, `_` and `.`"),
        );
    }
}

/// Name of a table or an index.
pub(super) fn table(name: &str, path: &Path, report: &mut Report) {
    if !(3..=255).contains(&name.len()) || !plain(name) {
        report.at(
            path,
            format!("DynamoDB accepts no table or index with the name `{name}`"),
            "use 3 to 255 letters, digits, `-`, `_` and `.`",
        );
    }
}

/// Name of an attribute that is a key, an index key, or set or renamed by the plan.
pub(super) fn attribute(name: &str, path: &Path, report: &mut Report) {
    if name.is_empty() {
        report.at(
            path,
            "an attribute name must not be empty",
            "write the attribute's name",
        );
    } else if name.len() > MAX_ATTRIBUTE_NAME_BYTES {
        report.at(
            path,
            format!("the attribute name has {} bytes", name.len()),
            format!("DynamoDB accepts at most {MAX_ATTRIBUTE_NAME_BYTES} bytes in keys and indexes"),
        );
    } else if name.starts_with(RESERVED_PREFIX) {
        report.at(
            path,
            format!("names that begin with `{RESERVED_PREFIX}` are reserved for dynasplit"),
            "choose another name; items with such an attribute cannot be copied",
        );
    }
}

/// An AWS region. This check does not know which regions exist; it refuses names that cannot be one.
pub(super) fn region(name: &str, path: &Path, report: &mut Report) {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(fine) {
        report.at(
            path,
            format!("`{name}` is not a region"),
            "write its code, like `eu-central-1`",
        );
    }
}

/// ARN of a role: `arn:aws:iam::123456789012:role/path/name`.
pub(super) fn role(arn: &str, path: &Path, report: &mut Report) {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let fine = matches!(&parts[..], ["arn", partition, "iam", "", account, role]
    if partition.starts_with("aws")
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && role.strip_prefix("role/").is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_/-".contains(c))
        }));
    if !fine {
        report.at(
            path,
            format!("`{arn}` is not the ARN of a role"),
            "write an ARN like arn:aws:iam::123456789012:role/dynasplit",
        );
    }
}

/// Checks the region of a table, and the role that accesses it.
pub(super) fn place(region: Option<&str>, role: Option<&str>, path: &Path, report: &mut Report) -> Place {
    if let Some(region) = region {
        self::region(region, &path.field("region"), report);
    }
    if let Some(role) = role {
        self::role(role, &path.field("role"), report);
    }
    Place {
        region: region.map(str::to_owned),
        role: role.map(str::to_owned),
    }
}

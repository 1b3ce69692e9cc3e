//! Buckets of S3 that the plan names.

use super::names;
use super::report::Report;
use crate::model::BuildPart;
use crate::plan::bucket_place::BucketPlace;
use crate::plan::path::Path;
use crate::plan::spec_s3::BucketSpec;

/// Longest prefix. A key of S3 has at most 1,024 bytes, and dynasplit adds names of services to it.
const MAX_PREFIX_BYTES: usize = 512;

/// A folder of a bucket. The path is that of the section.
pub(super) fn bucket(spec: &BucketSpec, path: &Path, report: &mut Report) -> BucketPlace {
    if let Err(missing) = BuildPart::S3.needed() {
        report.at(path, missing.problem(), missing.hint());
    }
    let name = spec.bucket.as_str();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let at_an_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let fine = (3..=63).contains(&name.len())
        && name.chars().all(plain)
        && at_an_end(name.chars().next())
        && at_an_end(name.chars().last());
    if !fine {
        report.at(
            &path.field("bucket"),
            format!("`{name}` is not the name of a bucket"),
            "write 3 to 63 lower-case letters, digits, `-` and `.`, without `s3://`; a folder of it is the `prefix`",
        );
    }
    let prefix = spec.prefix.as_deref().unwrap_or_default().trim_end_matches('/');
    let printable = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()/=".contains(c);
    if prefix.len() > MAX_PREFIX_BYTES
        || prefix.starts_with('/')
        || prefix.contains("//")
        || !prefix.chars().all(printable)
    {
        report.at(
            &path.field("prefix"),
            format!("`{prefix}` is not a prefix of keys that every tool can use"),
            format!("write names with `/` in between, like splits/shop: at most {MAX_PREFIX_BYTES} letters, digits and !-_.*'()=/"),
        );
    }
    if let Some(region) = &spec.region {
        names::region(region, &path.field("region"), report);
    }
    if let Some(owner) = &spec.owner
        && (owner.len() != 12 || !owner.bytes().all(|b| b.is_ascii_digit()))
    {
        report.at(
            &path.field("owner"),
            format!("`{owner}` is not the number of an account"),
            "write its 12 digits in quotes, like '123456789012'",
        );
    }
    let slash = if prefix.is_empty() { "" } else { "/" };
    BucketPlace {
        bucket: name.to_owned(),
        prefix: format!("{prefix}{slash}"),
        region: spec.region.clone(),
        owner: spec.owner.clone(),
    }
}

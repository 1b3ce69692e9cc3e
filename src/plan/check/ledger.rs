//! The ledger of a plan.

use super::report::Report;
use crate::model::BuildPart;
use crate::plan::LedgerPlace;
use crate::plan::path::Path;
use crate::plan::spec_ledger::LedgerSpec;

/// Longest prefix: the rest of a key is for the table, the stream, the shard and the position. S3 takes 1,024 bytes.
const MAX_PREFIX_BYTES: usize = 400;

/// Where the ledger is.
pub(super) fn ledger(spec: &LedgerSpec, split: &str, path: &Path, report: &mut Report) -> LedgerPlace {
    if let Err(missing) = BuildPart::S3.needed() {
        report.at(
            path,
            missing.to_string(),
            "use a build that has it, or remove `ledger`",
        );
    }
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    let bucket = &spec.bucket;
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(is_allowed) {
        report.at(
            &path.field("bucket"),
            format!("S3 accepts no bucket with the name `{bucket}`"),
            "write the name of the bucket alone: 3 to 63 lower-case letters, digits, `-` and `.`",
        );
    }
    let prefix = spec.prefix.as_deref().unwrap_or(split);
    let trimmed = prefix.trim_end_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/!-_.*'()=".contains(c);
    if trimmed.is_empty()
        || trimmed.starts_with('/')
        || trimmed.len() > MAX_PREFIX_BYTES
        || !trimmed.chars().all(is_plain)
        || trimmed
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
    {
        report.at(
            &path.field("prefix"),
            format!("`{prefix}` is no usable beginning of the ledger's keys"),
            format!(
                "use at most {MAX_PREFIX_BYTES} letters, digits, `-`, `_`, `.` and `/`, without a slash at the beginning, as in \
                 prefix: splits/courses"
            ),
        );
    }
    LedgerPlace {
        bucket: bucket.clone(),
        prefix: format!("{trimmed}/"),
        region: spec.region.clone(),
    }
}

//! Why an export cannot be used. Each error names the export or the object, and the next step.

use crate::dynamo::{Failure, FailureKind};
use crate::model::LineProblem;

/// Why an export cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A request failed. `next` says what to do.
    #[error("{failure}; {next}")]
    Request {
        /// The request and the answer.
        failure: Box<Failure>,
        /// The next step.
        next: String,
    },
    /// The manifest is not complete, or not one.
    #[error(
        "{name} is damaged: {reason}. Use another export, because nobody can tell which items are missing from this one"
    )]
    Manifest {
        /// The object.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// No checksum of the manifest.
    #[error(
        "{name} has no checksum beside it (.md5 or .checksum), so it may be incomplete. Copy the whole folder of the export, with its \
         checksums, or use another export"
    )]
    NoChecksum {
        /// The object.
        name: String,
    },
    /// An object is not the one that DynamoDB wrote.
    #[error(
        "{name} is not the object that DynamoDB wrote: {reason}. Restore it (a bucket with versions keeps the former one), or use \
         another export"
    )]
    Checksum {
        /// The object.
        name: String,
        /// What differs.
        reason: &'static str,
    },
    /// An object changed while it was read.
    #[error(
        "{name} was replaced while it was read. Find out what writes to the folder of the export, then run the command again"
    )]
    Replaced {
        /// The object.
        name: String,
    },
    /// A file cannot be unpacked.
    #[error("{name} cannot be unpacked ({reason}), although its checksum is right. Use another export")]
    Unpack {
        /// The object.
        name: String,
        /// The error of the decompression.
        reason: std::io::Error,
    },
    /// A file has another number of items.
    #[error("{name} has {found} items, and the manifest says {expected}. Use another export")]
    Count {
        /// The object.
        name: String,
        /// By the manifest.
        expected: u64,
        /// In the file.
        found: u64,
    },
    /// A line is not an item.
    #[error(
        "{name}:{line}: {problem}. Nothing of this file was copied beyond the line before. Use another export"
    )]
    Line {
        /// The object.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The problem.
        problem: LineProblem,
    },
    /// An object is too large for what it should be.
    #[error("{name} is larger than {} MiB, so it is no manifest of an export: check the folder of the export", .most >> 20)]
    TooLarge {
        /// The object.
        name: String,
        /// The limit in bytes.
        most: u64,
    },
    /// More objects than an import takes.
    #[error(
        "{name} has more than {found} objects, and an import takes 50,000: shape larger files (--file-size)"
    )]
    TooMany {
        /// The folder.
        name: String,
        /// How many were counted.
        found: usize,
    },
    /// An incremental export.
    #[error(
        "{export} is an export of another kind ({kind}), which does not contain all items. Use a full export"
    )]
    NotFull {
        /// Its ARN.
        export: String,
        /// Its kind.
        kind: String,
    },
    /// A full export, where an incremental one is needed.
    #[error("{export} is an export of another kind ({kind}), which does not say what changed within a time")]
    NotIncremental {
        /// Its ARN.
        export: String,
        /// Its kind.
        kind: String,
    },
    /// An incremental export of another time than was asked for.
    #[error(
        "{export} is about the time from {found}, and the export that was requested is about the time from {expected}"
    )]
    OtherWindow {
        /// Its ARN.
        export: String,
        /// Its window.
        found: String,
        /// The window that was asked for.
        expected: String,
    },
    /// An export with a filter.
    #[error("{export} was made with a filter, so it does not contain all items. Use an export without one")]
    Filtered {
        /// Its ARN.
        export: String,
    },
    /// Another format.
    #[error(
        "{export} has the format {format}, which dynasplit does not read. Export the table with --export-format DYNAMODB_JSON"
    )]
    Format {
        /// Its ARN.
        export: String,
        /// Its format.
        format: String,
    },
    /// The export is not complete.
    #[error(
        "{export} is not complete ({status}): run the command again when `aws dynamodb describe-export` says COMPLETED"
    )]
    NotComplete {
        /// Its ARN.
        export: String,
        /// Its status.
        status: String,
    },
    /// The export failed.
    #[error(
        "DynamoDB could not make {export}: {reason}. Fix the cause, and run the command again, which requests a new export"
    )]
    Failed {
        /// Its ARN.
        export: String,
        /// The code and message of DynamoDB.
        reason: String,
    },
    /// An export of another table.
    #[error(
        "{export} is an export of {found}, and the table to be read is {expected}. Use an export of that table"
    )]
    OtherTable {
        /// The ARN of the export.
        export: String,
        /// Its table.
        found: String,
        /// The table that should be read.
        expected: String,
    },
}

impl ExportError {
    /// A request that failed, with the next step.
    pub(super) fn of(failure: Failure) -> Self {
        let next = next(&failure);
        Self::Request {
            failure: Box::new(failure),
            next,
        }
    }

    /// The failure of a request that may succeed later.
    #[must_use]
    pub fn passing(&self) -> Option<&Failure> {
        match self {
            Self::Request { failure, .. } => Some(&**failure).filter(|failure| failure.passes()),
            _ => None,
        }
    }

    /// The failed request, if one failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Request { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

/// The region of a bucket that is not in the region of the client; [`super::Bucket`] notes it in the message.
pub(super) const OTHER_REGION: &str = "the bucket is in the region ";

fn next(failure: &Failure) -> String {
    if let Some(region) = failure.message.strip_prefix(OTHER_REGION) {
        return format!("run the command again with --s3-region {region}");
    }
    match (&failure.kind, failure.code.as_str()) {
        (_, "NoSuchBucket") => "check the name of the bucket".into(),
        (FailureKind::Missing, "NoSuchKey") => {
            "the object was removed, or the folder is not that of an export: restore it, or use another export".into()
        }
        (FailureKind::Missing, "ExportNotFoundException") => {
            "check the ARN, the region and the account (DynamoDB knows an export for 35 days; later, name its folder in S3)".into()
        }
        (_, "PointInTimeRecoveryUnavailableException") => {
            "an export needs point-in-time recovery: enable it for the source (aws dynamodb update-continuous-backups), and run the \
             command again"
                .into()
        }
        (_, "InvalidExportTimeException") => {
            "DynamoDB exports only times within the restorable period of the table (aws dynamodb describe-continuous-backups): run the \
             command again if the period contains this time by now"
                .into()
        }
        (_, "ExportConflictException") => {
            "another request for this export is under way: wait some seconds, and run the command again".into()
        }
        (_, "LimitExceededException") => {
            "too many exports of this account are under way (AWS allows 300 at once, and 100 TB): wait until some have ended, and run \
             the command again"
                .into()
        }
        (FailureKind::Denied, _) => {
            let (action, resource) = failure.denied();
            let or_missing = if action == "s3:PutObject" || action == "s3:ListBucket" {
                " (S3 gives the same answer if the bucket belongs to another account than the one that was expected)"
            } else if action == "s3:GetObject" {
                " (S3 gives the same answer if the bucket belongs to another account than the one that was expected, and, to a caller \
                 that may not list the bucket, if the object does not exist)"
            } else {
                ""
            };
            format!(
                "allow {action} on {resource} to the role or user that runs dynasplit, and run the command again{or_missing}"
            )
        }
        (_, "InvalidObjectState") => "the object is archived: restore it from its storage class, and run the command again".into(),
        (_, code) if code.starts_with("KMS.") => {
            "check that the key that encrypts the objects is enabled, and that its policy allows kms:Decrypt to the role or user that \
             runs dynasplit"
                .into()
        }
        _ => failure.hint().unwrap_or_else(|| "run the command again after the cause is fixed".into()),
    }
}

impl From<crate::fault::Lost> for ExportError {
    /// Treats it as a request that was sent and never answered.
    fn from(lost: crate::fault::Lost) -> Self {
        Self::of(lost.into())
    }
}

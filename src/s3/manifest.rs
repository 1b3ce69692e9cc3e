//! The manifest of an export: its summary, its files, and their checksums. Pure.

use super::error::ExportError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

const FULL: &str = "FULL_EXPORT";
const INCREMENTAL: &str = "INCREMENTAL_EXPORT";

/// An MD5 sum.
pub(super) type Sum = [u8; 16];

/// What an export says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The ARN of the export.
    pub arn: String,
    /// The table that was exported.
    pub table_arn: String,
    /// Its id, which another table of the same name does not have.
    pub table_id: String,
    /// The export time, in milliseconds since 1970. The export contains everything up to a minute before, and nothing that came more than
    /// a minute later. Of an incremental export, it is the end of its window.
    pub export_time_ms: u64,
    /// The window of an incremental export; `None`: it is a full one.
    pub window: Option<ExportWindow>,
    /// How many items there are; in an incremental export, how many keys changed.
    pub items: u64,
}

/// The time that an incremental export is about, in milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExportWindow {
    /// Changes at or after this moment are in the export.
    pub from_ms: u64,
    /// Changes at or after this moment are not.
    pub to_ms: u64,
}

/// Which kind of export is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ExportKind {
    /// All items.
    Full,
    /// The keys that changed within a window.
    Incremental,
}

/// A data file of an export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Its key in the bucket.
    pub key: String,
    /// How many items it has.
    pub items: u64,
    /// Its ETag when DynamoDB had written it.
    pub etag: String,
    pub(super) md5: Sum,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SummaryDocument {
    export_arn: String,
    table_arn: String,
    table_id: String,
    export_time: Option<String>,
    export_from_time: Option<String>,
    export_to_time: Option<String>,
    item_count: u64,
    output_format: String,
    export_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileDocument {
    item_count: u64,
    md5_checksum: String,
    etag: String,
    data_file_s3_key: String,
}

/// The MD5 sum of some bytes.
pub(super) fn sum(bytes: &[u8]) -> Sum {
    Md5::digest(bytes).into()
}

/// An MD5 sum as AWS writes it: in base64, or in hexadecimal digits.
pub(super) fn read_sum(text: &str) -> Option<Sum> {
    let text = text.trim().trim_matches('"');
    if text.len() == 32 {
        let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).step_by(2).map(digit).collect();
        return bytes?.try_into().ok();
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

impl Summary {
    /// Reads `manifest-summary.json`. `name` is shown in errors.
    pub(super) fn read(bytes: &[u8], name: &str, wanted: ExportKind) -> Result<Self, ExportError> {
        let broken = |reason: String| ExportError::Manifest {
            name: name.to_owned(),
            reason,
        };
        let found: SummaryDocument =
            serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        let kind = found.export_type.unwrap_or_else(|| FULL.to_owned());
        let formats: &[&str] = match wanted {
            ExportKind::Full if kind != FULL => {
                return Err(ExportError::NotFull {
                    export: found.export_arn,
                    kind,
                });
            }
            ExportKind::Full => &["DYNAMODB_JSON", "ION"],
            ExportKind::Incremental if kind != INCREMENTAL => {
                return Err(ExportError::NotIncremental {
                    export: found.export_arn,
                    kind,
                });
            }
            ExportKind::Incremental => &["DYNAMODB_JSON"],
        };
        if !formats.contains(&found.output_format.as_str()) {
            return Err(ExportError::Format {
                export: found.export_arn,
                format: found.output_format,
            });
        }
        let moment = |time: &Option<String>, field: &str| {
            let time = time.as_deref().map(humantime::parse_rfc3339).and_then(Result::ok);
            let since_1970 = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            since_1970
                .map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
                .ok_or_else(|| broken(format!("it has no {field}")))
        };
        let window = match wanted {
            ExportKind::Full => None,
            ExportKind::Incremental => Some(ExportWindow {
                from_ms: moment(&found.export_from_time, "exportFromTime")?,
                to_ms: moment(&found.export_to_time, "exportToTime")?,
            }),
        };
        Ok(Self {
            export_time_ms: match window {
                Some(window) => window.to_ms,
                None => moment(&found.export_time, "exportTime")?,
            },
            window,
            arn: found.export_arn,
            table_arn: found.table_arn,
            table_id: found.table_id,
            items: found.item_count,
        })
    }
}

/// Reads `manifest-files.json`. The files must be as many as the summary needs for its items, and each must be named once.
pub(super) fn read_files(
    bytes: &[u8],
    name: &str,
    summary: &Summary,
    resolve: impl Fn(&str) -> String,
) -> Result<Vec<FileEntry>, ExportError> {
    let broken = |reason: String| ExportError::Manifest {
        name: name.to_owned(),
        reason,
    };
    let mut files = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let wrong = |what: &dyn std::fmt::Display| broken(format!("line {}: {what}", at + 1));
        let found: FileDocument = serde_json::from_slice(line).map_err(|error| wrong(&error))?;
        let md5 = read_sum(&found.md5_checksum).ok_or_else(|| wrong(&"md5Checksum is not an MD5 sum"))?;
        files.push(FileEntry {
            key: resolve(&found.data_file_s3_key),
            items: found.item_count,
            etag: found.etag.trim_matches('"').to_owned(),
            md5,
        });
    }
    let keys: BTreeSet<&str> = files.iter().map(|file| file.key.as_str()).collect();
    if keys.len() != files.len() {
        return Err(broken("it names a file twice".into()));
    }
    let items: u64 = files.iter().map(|file| file.items).sum();
    if items != summary.items {
        return Err(broken(format!(
            "its files have {items} items, and the export has {}: files are missing",
            summary.items
        )));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = r#"{"version":"2020-06-30",
        "exportArn":"arn:aws:dynamodb:us-east-1:123456789012:table/Live/export/01234567890123-a1b2c3d4",
        "startTime":"2020-11-04T07:28:34.028Z","endTime":"2020-11-04T07:33:43.897Z",
        "tableArn":"arn:aws:dynamodb:us-east-1:123456789012:table/Live","tableId":"12345a12-abcd-123a-ab12-1234abc12345",
        "exportTime":"2020-11-04T07:28:34.028Z","s3Bucket":"mine","s3Prefix":"2020-Nov","s3SseAlgorithm":"AES256",
        "s3SseKmsKeyId":null,"manifestFilesS3Key":"AWSDynamoDB/01/manifest-files.json","billedSizeBytes":0,"itemCount":8,
        "outputFormat":"DYNAMODB_JSON","exportType":"FULL_EXPORT"}"#;
    const FILES: &str = r#"{"itemCount":8,"md5Checksum":"sQMSpEILNgoQmarvDFonGQ==","etag":"af83d6f217c19b8b0fff8023d8ca4716-1","dataFileS3Key":"AWSDynamoDB/01/data/a.json.gz"}
{"itemCount":0,"md5Checksum":"b10312a4420b360a1099aaef0c5a2719","etag":"\"x\"","dataFileS3Key":"AWSDynamoDB/01/data/b.json.gz"}
"#;

    fn summary() -> Summary {
        Summary::read(SUMMARY.as_bytes(), "manifest-summary.json", ExportKind::Full).unwrap()
    }

    fn files(text: &str) -> Result<Vec<FileEntry>, ExportError> {
        read_files(text.as_bytes(), "manifest-files.json", &summary(), str::to_owned)
    }

    #[test]
    fn a_manifest_is_read_as_aws_documents_it() {
        let summary = summary();
        assert_eq!((summary.items, summary.export_time_ms), (8, 1_604_474_914_028));
        let files = files(FILES).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!((files[0].items, files[1].etag.as_str()), (8, "x"));
        assert_eq!(files[0].md5, files[1].md5, "in base64 and in hexadecimal digits");
    }

    #[test]
    fn a_manifest_that_lacks_a_line_or_a_part_of_one_is_refused() {
        let first = FILES.lines().nth(1).unwrap();
        let told = files(first).unwrap_err().to_string();
        assert!(told.contains("have 0 items, and the export has 8"), "{told}");
        let told = files(&FILES[..40]).unwrap_err().to_string();
        assert!(told.contains("line 1"), "{told}");
        let twice = FILES.replace("b.json", "a.json");
        assert!(files(&twice).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn other_kinds_of_exports_are_refused() {
        let full = |text: &str| Summary::read(text.as_bytes(), "s", ExportKind::Full);
        let read = |text: &str| full(text).unwrap_err().to_string();
        assert!(read(&SUMMARY.replace("FULL_EXPORT", "INCREMENTAL_EXPORT")).contains("INCREMENTAL_EXPORT"));
        assert!(read(&SUMMARY.replace("DYNAMODB_JSON", "PARQUET")).contains("--export-format DYNAMODB_JSON"));
        assert!(full(&SUMMARY.replace("DYNAMODB_JSON", "ION")).is_ok());
        assert!(read(&SUMMARY.replace("\"exportTime\"", "\"otherTime\"")).contains("exportTime"));
        assert!(read(&SUMMARY[..100]).contains("EOF"));
    }

    #[test]
    fn an_incremental_export_says_its_window_and_a_full_one_is_refused_in_its_place() {
        let incremental = SUMMARY.replace("FULL_EXPORT", "INCREMENTAL_EXPORT").replace(
            r#""exportTime":"2020-11-04T07:28:34.028Z""#,
            r#""exportFromTime":"2020-11-04T06:00:00Z","exportToTime":"2020-11-04T07:00:00.000Z""#,
        );
        let read = |text: &str| Summary::read(text.as_bytes(), "s", ExportKind::Incremental);
        let window = read(&incremental).unwrap().window.unwrap();
        assert_eq!(
            (window.from_ms, window.to_ms),
            (1_604_469_600_000, 1_604_473_200_000)
        );
        let told = |text: &str| read(text).unwrap_err().to_string();
        assert!(told(SUMMARY).contains("FULL_EXPORT"));
        assert!(told(&incremental.replace("DYNAMODB_JSON", "ION")).contains("DYNAMODB_JSON"));
        assert!(told(&incremental.replace("exportToTime", "x")).contains("exportToTime"));
    }
}

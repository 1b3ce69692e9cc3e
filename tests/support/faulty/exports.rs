//! Exports as DynamoDB makes them: into a folder that an S3 server serves, with a manifest and checksums, files in any order, an empty
//! one, and items of any moment of the undefined minute, some of them twice.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::{Value, json};

use super::answer::Answer;
use super::backend::{Backend, tables};
use super::call::Call;
use super::chance;
use super::ion;

/// Files of an export that have items.
const FILES: usize = 5;
/// The id of every table here, where the engine gives none.
const TABLE_ID: &str = "12345a12-abcd-123a-ab12-1234abc12345";

/// The exports of an engine.
pub struct Exports {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where an S3 server finds its buckets.
    root: Option<PathBuf>,
    /// How far the engine's clock is ahead.
    ahead: Duration,
    /// Former states of tables, within the undefined minute before the next export time.
    before: BTreeMap<String, Vec<Value>>,
    made: BTreeMap<String, Made>,
    recovery_off: bool,
    /// Exports are written in Amazon Ion.
    ion: bool,
    fails: Option<String>,
}

#[derive(Clone)]
struct Made {
    token: String,
    table_arn: String,
    table_id: String,
    bucket: String,
    prefix: String,
    time_ms: u64,
    /// The states that the items are taken of.
    states: Vec<Vec<Value>>,
    looks: u32,
    failed: Option<String>,
}

impl Exports {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no thread panicked")
    }

    /// Exports go here: a folder for each bucket.
    pub fn into(&self, root: &Path) {
        self.state().root = Some(root.to_owned());
    }

    /// Whether point-in-time recovery is on.
    pub fn recovery(&self, on: bool) {
        self.state().recovery_off = !on;
    }

    /// Exports are written in Amazon Ion from now on.
    pub fn in_ion(&self) {
        self.state().ion = true;
    }

    /// The next export fails.
    pub fn fail_next(&self, code: &str) {
        self.state().fails = Some(code.to_owned());
    }

    /// How many exports were made.
    pub fn count(&self) -> usize {
        self.state().made.len()
    }

    /// The engine's time, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let now = SystemTime::now() + self.state().ahead;
        let since = now.duration_since(UNIX_EPOCH).expect("a clock past 1970");
        u64::try_from(since.as_millis()).expect("a time of this age")
    }

    /// The engine's time, as in the header of an answer.
    pub(super) fn date(&self) -> String {
        let ms = i64::try_from(self.now_ms()).expect("a time of this age");
        let time = aws_sdk_dynamodb::primitives::DateTime::from_millis(ms);
        time.fmt(aws_sdk_dynamodb::primitives::DateTimeFormat::HttpDate)
            .expect("a date")
    }

    /// Time passes for the engine. What a table holds now may be in the next export.
    pub(super) async fn pass(&self, time: Duration, table: &str, backend: &Backend) {
        let items = scan(backend, table).await;
        let mut state = self.state();
        state.ahead += time;
        state.before.insert(table.to_owned(), items);
    }

    /// Makes an export without a request of the product, with the present items and this time.
    pub(super) async fn make(&self, backend: &Backend, table: &str, bucket: &str, time_ms: u64) -> String {
        let (table_arn, table_id) = table_of(backend, table).await;
        let made = Made {
            token: String::new(),
            table_arn,
            table_id,
            bucket: bucket.to_owned(),
            prefix: "by-hand".to_owned(),
            time_ms,
            states: vec![scan(backend, table).await],
            looks: 9,
            failed: None,
        };
        let export = self.begin(made.clone());
        self.write(&export, &made);
        export
    }

    fn begin(&self, made: Made) -> String {
        let mut state = self.state();
        let arn = format!("{}/export/{:014}-a1b2c3d4", made.table_arn, state.made.len() + 1);
        state.made.insert(arn.clone(), made);
        arn
    }

    /// The answer to a call about exports.
    pub(super) async fn answer(&self, call: &Call, backend: &Backend) -> Option<Answer> {
        match call.operation.as_str() {
            "ExportTableToPointInTime" => Some(self.request(&call.json(), backend).await),
            "DescribeExport" => Some(self.describe(&call.json(), backend).await),
            "DescribeContinuousBackups" => Some(self.backups()),
            _ => None,
        }
    }

    fn backups(&self) -> Answer {
        let status = if self.state().recovery_off {
            "DISABLED"
        } else {
            "ENABLED"
        };
        Answer::ok(&json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": status }
        } }))
    }

    async fn request(&self, body: &Value, backend: &Backend) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (arn, token) = (text("TableArn"), text("ClientToken"));
        {
            let state = self.state();
            if state.recovery_off {
                let message = "Point in time recovery is not enabled for the table";
                return Answer::error("PointInTimeRecoveryUnavailableException", message);
            }
            if let Some((export, made)) = state.made.iter().find(|(_, made)| made.token == token) {
                return described(export, made);
            }
        }
        let table = arn.rsplit('/').next().unwrap_or_default();
        let now = scan(backend, table).await;
        let mut states = vec![now];
        states.extend(self.state().before.get(table).cloned());
        let made = Made {
            token,
            table_arn: arn.clone(),
            table_id: table_of(backend, table).await.1,
            bucket: text("S3Bucket"),
            prefix: text("S3Prefix"),
            time_ms: self.now_ms(),
            states,
            looks: 0,
            failed: self.state().fails.take(),
        };
        let export = self.begin(made.clone());
        described(&export, &made)
    }

    async fn describe(&self, body: &Value, backend: &Backend) -> Answer {
        let arn = body["ExportArn"].as_str().unwrap_or_default().to_owned();
        let Some(mut made) = self.state().made.get(&arn).cloned() else {
            return Answer::error("ExportNotFoundException", "The specified export was not found.");
        };
        made.looks += 1;
        if made.looks == 2 && made.failed.is_none() {
            let table = made.table_arn.rsplit('/').next().unwrap_or_default().to_owned();
            // What came within a minute after the export time may be in it.
            made.states.push(scan(backend, &table).await);
            self.write(&arn, &made);
        }
        self.state().made.insert(arn.clone(), made.clone());
        described(&arn, &made)
    }

    /// Writes the files and the manifest.
    fn write(&self, arn: &str, made: &Made) {
        let root = self.state().root.clone().expect("a place for exports");
        let is_ion = self.state().ion;
        let id = arn.rsplit('/').next().expect("an id");
        let base = match made.prefix.trim_matches('/') {
            "" => format!("AWSDynamoDB/{id}"),
            prefix => format!("{prefix}/AWSDynamoDB/{id}"),
        };
        let bucket = root.join(&made.bucket);
        let folder = bucket.join(&base);
        fs::create_dir_all(folder.join("data")).expect("a folder");
        let mut chance = chance::at(self.seed, &["export"], made.states.len() as u64);
        let mut files: Vec<Vec<String>> = vec![Vec::new(); FILES + 1];
        for choices in by_key(&made.states) {
            // Once, or twice in different states.
            for _ in 0..if chance.random_bool(0.2) { 2 } else { 1 } {
                if let Some(Some(item)) = choices.choose(&mut chance) {
                    let file = chance.random_range(0..FILES);
                    files[file].push(match is_ion {
                        false => json!({ "Item": item }).to_string(),
                        true => format!("$ion_1_0 {{Item:{}}}", ion::of_map(item)),
                    });
                }
            }
        }
        let mut lines = Vec::new();
        let mut items = 0;
        for (at, mut file) in files.into_iter().enumerate() {
            file.shuffle(&mut chance);
            items += file.len();
            let mut text = file.join("\n");
            if !text.is_empty() {
                text.push('\n');
            }
            let packed = packed(text.as_bytes());
            let end = if is_ion { "ion" } else { "json" };
            let key = format!("{base}/data/{:016x}.{end}.gz", chance.random::<u64>());
            fs::write(bucket.join(&key), &packed).expect("a file");
            let (hex, base64) = sums(&packed);
            // The ETag of an object that was written in several parts is no sum.
            let etag = if at % 2 == 0 { hex } else { format!("{hex}-1") };
            lines.push(
                json!({ "itemCount": file.len(), "md5Checksum": base64, "etag": etag, "dataFileS3Key": key })
                    .to_string(),
            );
        }
        lines.shuffle(&mut chance);
        let time =
            |ms: u64| humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string();
        let summary = json!({
            "version": "2020-06-30", "exportArn": arn, "startTime": time(made.time_ms), "endTime": time(made.time_ms),
            "tableArn": made.table_arn, "tableId": made.table_id, "exportTime": time(made.time_ms), "s3Bucket": made.bucket,
            "s3Prefix": made.prefix, "s3SseAlgorithm": "AES256", "s3SseKmsKeyId": null,
            "manifestFilesS3Key": format!("{base}/manifest-files.json"), "billedSizeBytes": 0, "itemCount": items,
            "outputFormat": if is_ion { "ION" } else { "DYNAMODB_JSON" }, "exportType": "FULL_EXPORT"
        });
        for (name, text) in [
            ("manifest-files", lines.join("\n") + "\n"),
            ("manifest-summary", summary.to_string()),
        ] {
            fs::write(folder.join(format!("{name}.json")), &text).expect("a file");
            fs::write(folder.join(format!("{name}.md5")), sums(text.as_bytes()).1).expect("a file");
        }
        fs::write(folder.join("_started"), "").expect("a file");
    }
}

/// For each key, the item in each state, or nothing.
fn by_key(states: &[Vec<Value>]) -> Vec<Vec<Option<Value>>> {
    let mut found: BTreeMap<String, Vec<Option<Value>>> = BTreeMap::new();
    for (at, state) in states.iter().enumerate() {
        for item in state {
            let key = format!("{}{}", item["PK"], item["SK"]);
            found.entry(key).or_insert_with(|| vec![None; states.len()])[at] = Some(item.clone());
        }
    }
    found.into_values().collect()
}

fn described(arn: &str, made: &Made) -> Answer {
    let id = arn.rsplit('/').next().unwrap_or_default();
    let status = match (&made.failed, made.looks) {
        (_, 0..2) => "IN_PROGRESS",
        (Some(_), _) => "FAILED",
        (None, _) => "COMPLETED",
    };
    #[expect(clippy::cast_precision_loss, reason = "a time of this age")]
    let time = made.time_ms as f64 / 1000.0;
    let mut description = json!({
        "ExportArn": arn, "ExportStatus": status, "TableArn": made.table_arn, "TableId": made.table_id, "ExportTime": time,
        "S3Bucket": made.bucket, "S3Prefix": made.prefix, "ExportFormat": "DYNAMODB_JSON", "ExportType": "FULL_EXPORT",
        "ClientToken": made.token
    });
    match status {
        "COMPLETED" => {
            let prefix = made.prefix.trim_matches('/');
            let slash = if prefix.is_empty() { "" } else { "/" };
            description["ExportManifest"] =
                format!("{prefix}{slash}AWSDynamoDB/{id}/manifest-summary.json").into();
        }
        "FAILED" => {
            description["FailureCode"] = made.failed.clone().into();
            description["FailureMessage"] = "as the test says".into();
        }
        _ => {}
    }
    Answer::ok(&json!({ "ExportDescription": description }))
}

/// The ARN and the id of a table.
async fn table_of(backend: &Backend, table: &str) -> (String, String) {
    let answer = backend
        .ask(&tables("DescribeTable"), &json!({ "TableName": table }))
        .await;
    let answer = answer.expect("the table is described");
    let arn = answer["Table"]["TableArn"].as_str().expect("an ARN").to_owned();
    (
        arn,
        answer["Table"]["TableId"].as_str().unwrap_or(TABLE_ID).to_owned(),
    )
}

async fn scan(backend: &Backend, table: &str) -> Vec<Value> {
    let (mut items, mut start) = (Vec::new(), Value::Null);
    loop {
        let mut body = json!({ "TableName": table, "ConsistentRead": true });
        if !start.is_null() {
            body["ExclusiveStartKey"] = start;
        }
        let answer = backend
            .ask(&tables("Scan"), &body)
            .await
            .expect("the table is read");
        items.extend(answer["Items"].as_array().cloned().unwrap_or_default());
        start = answer["LastEvaluatedKey"].clone();
        if start.is_null() {
            return items;
        }
    }
}

/// Packed as DynamoDB packs a file.
pub fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

/// The MD5 sum in hexadecimal digits, and in base64.
pub fn sums(bytes: &[u8]) -> (String, String) {
    let sum = Md5::digest(bytes);
    let hex = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    (hex, STANDARD.encode(sum))
}

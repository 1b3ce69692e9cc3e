//! Exports as DynamoDB makes them: into a folder that an S3 server serves, with a manifest and checksums, files in any order, an empty
//! one, and items of any moment of the undefined minute, some of them twice. Incremental exports have the changes of a window
//! ([`Changes`]), in any order, and their data files are in a folder that all exports share.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

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
use super::changes::Changes;
use super::ion;
use super::stream::Streams;

/// Files of an export that have items.
const FILES: usize = 5;
/// The id of every table here, where the engine gives none.
const TABLE_ID: &str = "12345a12-abcd-123a-ab12-1234abc12345";

/// DynamoDB exports only what is this long ago.
const DELAY_MS: u64 = 5 * 60_000;
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// What is wrong with an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// It is of an earlier table of the same name.
    OtherId,
    /// It is of another table.
    OtherTable,
    /// It has a filter.
    Filtered,
    /// It is about another time.
    OtherWindow,
    /// It is a full one.
    Full,
}

/// The exports of an engine.
pub struct Exports {
    seed: u64,
    changes: Arc<Changes>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where an S3 server finds its buckets.
    root: Option<PathBuf>,
    /// Former states of tables, within the undefined minute before the next export time.
    before: BTreeMap<String, Vec<Value>>,
    made: BTreeMap<String, Made>,
    recovery_off: bool,
    /// Exports are written in Amazon Ion.
    ion: bool,
    fails: Option<String>,
    refuses: Option<String>,
    lies: Option<Lie>,
    earliest_ms: Option<u64>,
}

/// What an incremental export is about.
#[derive(Clone, Copy)]
struct Window {
    from: u64,
    to: u64,
    old_images: bool,
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
    /// Of an incremental export.
    window: Option<Window>,
    lie: Option<Lie>,
}

impl Exports {
    pub(super) fn new(seed: u64, changes: Arc<Changes>) -> Self {
        Self {
            seed,
            changes,
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

    /// The next request is refused.
    pub fn refuse_next(&self, code: &str) {
        self.state().refuses = Some(code.to_owned());
    }

    /// Something is wrong with the next export.
    pub fn lie_next(&self, lie: Lie) {
        self.state().lies = Some(lie);
    }

    /// Recovery knows no earlier time.
    pub fn recovery_begins(&self, at_ms: u64) {
        self.state().earliest_ms = Some(at_ms);
    }

    /// What was written, and when.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The windows of the incremental exports, in the order of their requests.
    pub fn windows(&self) -> Vec<(u64, u64)> {
        let state = self.state();
        let windows = state.made.values().filter_map(|made| made.window);
        windows.map(|window| (window.from, window.to)).collect()
    }

    /// How many exports were made.
    pub fn count(&self) -> usize {
        self.state().made.len()
    }

    /// The engine's time, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.changes.now_ms()
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
        self.changes.pass(time);
        let mut state = self.state();
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
            window: None,
            lie: None,
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
    pub(super) async fn answer(&self, call: &Call, backend: &Backend, streams: &Streams) -> Option<Answer> {
        match call.operation.as_str() {
            "ExportTableToPointInTime" => {
                let body = call.json();
                let table = body["TableArn"].as_str().unwrap_or_default();
                let table = table.rsplit('/').next().unwrap_or_default();
                streams.take_in(table).await.expect("the engine answers");
                Some(self.request(&body, backend).await)
            }
            "DescribeExport" => Some(self.describe(&call.json(), backend).await),
            "DescribeContinuousBackups" => Some(self.backups()),
            _ => None,
        }
    }

    fn backups(&self) -> Answer {
        if self.state().recovery_off {
            return Answer::ok(&json!({ "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" }
            } }));
        }
        let (earliest, latest) = self.restorable();
        Answer::ok(&json!({ "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": {
                "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35,
                "EarliestRestorableDateTime": seconds(earliest), "LatestRestorableDateTime": seconds(latest)
            }
        } }))
    }

    /// The time that exports can be about.
    fn restorable(&self) -> (u64, u64) {
        let now = self.now_ms();
        let earliest = self.state().earliest_ms;
        (earliest.unwrap_or(now - 35 * DAY_MS), now - DELAY_MS)
    }

    /// The window that a request names, and whether it wants old images; or the answer that refuses it.
    fn window(&self, body: &Value) -> Result<Option<Window>, Answer> {
        if body["ExportType"] != "INCREMENTAL_EXPORT" {
            return Ok(None);
        }
        let asked = &body["IncrementalExportSpecification"];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time of this age"
        )]
        let ms = |name: &str| (asked[name].as_f64().expect("a time") * 1000.0).round() as u64;
        let (from, to) = (ms("ExportFromTime"), ms("ExportToTime"));
        let (earliest, latest) = self.restorable();
        let length = to.saturating_sub(from);
        if from < earliest || to > latest || !(15 * MINUTE_MS..=DAY_MS).contains(&length) {
            let message = "The specified ExportFromTime or ExportToTime is outside of the point in time recovery window.";
            return Err(Answer::error("InvalidExportTimeException", message));
        }
        Ok(Some(Window {
            from,
            to,
            old_images: asked["ExportViewType"] == "NEW_AND_OLD_IMAGES",
        }))
    }

    async fn request(&self, body: &Value, backend: &Backend) -> Answer {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (arn, token) = (text("TableArn"), text("ClientToken"));
        {
            let mut state = self.state();
            if let Some(code) = state.refuses.take() {
                return Answer::error(&code, "as the test says");
            }
            if state.recovery_off {
                let message = "Point in time recovery is not enabled for the table";
                return Answer::error("PointInTimeRecoveryUnavailableException", message);
            }
            if let Some((export, made)) = state.made.iter().find(|(_, made)| made.token == token) {
                return described(export, made);
            }
        }
        let window = match self.window(body) {
            Ok(window) => window,
            Err(refused) => return refused,
        };
        let table = arn.rsplit('/').next().unwrap_or_default();
        let now = scan(backend, table).await;
        let mut states = vec![now];
        states.extend(self.state().before.get(table).cloned());
        let (failed, lie) = {
            let mut state = self.state();
            (state.fails.take(), state.lies.take())
        };
        let made = Made {
            token,
            table_arn: arn.clone(),
            table_id: table_of(backend, table).await.1,
            bucket: text("S3Bucket"),
            prefix: text("S3Prefix"),
            time_ms: self.now_ms(),
            states,
            looks: 0,
            failed,
            window,
            lie,
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
        let kind = made.window.map_or("export", |_| id);
        let mut chance = chance::at(self.seed, &[kind], made.states.len() as u64);
        let mut files: Vec<Vec<String>> = vec![Vec::new(); FILES + 1];
        if let Some(Window { from, to, old_images }) = made.window {
            let table = made.table_arn.rsplit('/').next().unwrap_or_default();
            for line in self.changes.lines(table, (from, to), old_images) {
                files[chance.random_range(0..FILES)].push(line);
            }
        }
        let states = made.window.is_none().then_some(made.states.as_slice());
        for choices in by_key(states.unwrap_or_default()) {
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
            // The data files of incremental exports are in one folder.
            let home = made
                .window
                .map_or(base.as_str(), |_| base.rsplit_once('/').expect("a folder").0);
            let key = format!("{home}/data/{:016x}.{end}.gz", chance.random::<u64>());
            fs::create_dir_all(bucket.join(home).join("data")).expect("a folder");
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
        let mut summary = json!({
            "version": "2020-06-30", "exportArn": arn, "startTime": time(made.time_ms), "endTime": time(made.time_ms),
            "tableArn": made.table_arn, "tableId": made.table_id, "exportTime": time(made.time_ms), "s3Bucket": made.bucket,
            "s3Prefix": made.prefix, "s3SseAlgorithm": "AES256", "s3SseKmsKeyId": null,
            "manifestFilesS3Key": format!("{base}/manifest-files.json"), "billedSizeBytes": 0, "itemCount": items,
            "outputFormat": if is_ion { "ION" } else { "DYNAMODB_JSON" }, "exportType": "FULL_EXPORT"
        });
        if let Some(Window { from, to, .. }) = made.window.filter(|_| made.lie != Some(Lie::Full)) {
            let summary = summary.as_object_mut().expect("a summary");
            summary.remove("exportTime");
            let shift = if made.lie == Some(Lie::OtherWindow) {
                MINUTE_MS
            } else {
                0
            };
            summary.insert("exportFromTime".into(), time(from + shift).into());
            summary.insert("exportToTime".into(), time(to + shift).into());
            summary.insert("outputView".into(), "NEW_IMAGE".into());
            summary.insert("exportType".into(), "INCREMENTAL_EXPORT".into());
        }
        match made.lie {
            Some(Lie::OtherId) => summary["tableId"] = "another-id".into(),
            Some(Lie::OtherTable) => summary["tableArn"] = format!("{}-2", made.table_arn).into(),
            _ => {}
        }
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

#[expect(clippy::cast_precision_loss, reason = "a time of this age")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn described(arn: &str, made: &Made) -> Answer {
    let id = arn.rsplit('/').next().unwrap_or_default();
    let status = match (&made.failed, made.looks) {
        (_, 0..2) => "IN_PROGRESS",
        (Some(_), _) => "FAILED",
        (None, _) => "COMPLETED",
    };
    let mut description = json!({
        "ExportArn": arn, "ExportStatus": status, "TableArn": made.table_arn, "TableId": made.table_id,
        "ExportTime": seconds(made.time_ms),
        "S3Bucket": made.bucket, "S3Prefix": made.prefix, "ExportFormat": "DYNAMODB_JSON", "ExportType": "FULL_EXPORT",
        "ClientToken": made.token
    });
    if let Some(Window { from, to, .. }) = made.window {
        let description = description.as_object_mut().expect("a description");
        description.remove("ExportTime");
        description.insert("ExportType".into(), "INCREMENTAL_EXPORT".into());
        let window = json!({ "ExportFromTime": seconds(from), "ExportToTime": seconds(to), "ExportViewType": "NEW_IMAGE" });
        description.insert("IncrementalExportSpecification".into(), window);
        if status == "COMPLETED" {
            description.insert("BilledSizeBytes".into(), 1_000_000.into());
        }
    }
    if made.lie == Some(Lie::Filtered) {
        description["FilterSpecification"] = json!({ "FilterExpression": "a = :a" });
    }
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

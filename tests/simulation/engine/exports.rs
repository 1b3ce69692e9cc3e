//! Exports: DynamoDB writes the items of a table, or the changes of a window, to objects. What is in a full export of the time T was
//! there at some moment between T minus a minute and T plus a minute, another one for each item.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value as Json, json};

use super::objects::Object;
use super::refusal::Refusal;
use super::request::Request;
use super::table::{Place, Table};
use super::value::{Item, item_json};
use super::{Arrival, Engine};

/// A client token holds for so long.
const TOKEN_MS: u64 = 8 * 60 * 60 * 1000;
/// What is written so shortly before or after the time of an export may be in it or not.
const UNDEFINED_MS: u64 = 60_000;
/// A window ends before this long ago.
const LATEST_MS: u64 = 5 * 60 * 1000;
const SHORTEST_WINDOW_MS: u64 = 15 * 60 * 1000;
const LONGEST_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;

/// An export.
#[derive(Debug)]
pub struct Export {
    arn: String,
    id: String,
    table: String,
    table_id: String,
    request: Json,
    /// The time that it is of: when it was asked for.
    time_ms: u64,
    ends_ms: u64,
    window: Option<(u64, u64)>,
    fails: bool,
    rng: StdRng,
    has_ended: bool,
}

impl Export {
    fn prefix(&self) -> String {
        let prefix = self.request["S3Prefix"].as_str().unwrap_or_default();
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{prefix}{slash}AWSDynamoDB/{}/", self.id)
    }

    fn described(&self) -> Json {
        let status = match (self.has_ended, self.fails) {
            (false, _) => "IN_PROGRESS",
            (true, false) => "COMPLETED",
            (true, true) => "FAILED",
        };
        let mut description = json!({
            "ExportArn": self.arn,
            "ExportStatus": status,
            "TableArn": self.request["TableArn"],
            "TableId": self.table_id,
            "ClientToken": self.request["ClientToken"],
            "S3Bucket": self.request["S3Bucket"],
            "S3Prefix": self.request["S3Prefix"],
            "ExportFormat": "DYNAMODB_JSON",
        });
        match self.window {
            None => {
                description["ExportType"] = json!("FULL_EXPORT");
                description["ExportTime"] = json!(self.time_ms / 1000);
            }
            Some((from, to)) => {
                description["ExportType"] = json!("INCREMENTAL_EXPORT");
                description["IncrementalExportSpecification"] = json!({
                    "ExportFromTime": from / 1000, "ExportToTime": to / 1000, "ExportViewType": "NEW_IMAGE",
                });
            }
        }
        match status {
            "COMPLETED" => {
                description["ExportManifest"] = json!(format!("{}manifest-summary.json", self.prefix()));
                description["BilledSizeBytes"] = json!(1_000_000);
            }
            "FAILED" => {
                description["FailureCode"] = json!("InternalServerError");
                description["FailureMessage"] = json!("as the seed says");
            }
            _ => {}
        }
        json!({ "ExportDescription": description })
    }
}

impl Engine {
    /// From now on, a table can be restored to each moment, and exported.
    pub fn keep_restorable(&mut self, table: &str, now_ms: u64) {
        if let Some(table) = self.tables.get_mut(table) {
            table.restorable_from_ms.get_or_insert(now_ms);
        }
    }

    pub(super) fn export_table(&mut self, at: Arrival, body: &Json) -> Result<Json, Refusal> {
        const KNOWN: [&str; 7] = [
            "TableArn",
            "S3Bucket",
            "S3Prefix",
            "ExportFormat",
            "ExportType",
            "IncrementalExportSpecification",
            "ClientToken",
        ];
        let request = Request::of(body, &KNOWN)?;
        let token = request.text("ClientToken")?;
        let mut known = self.exports.iter().rev();
        if let Some(same) =
            known.find(|known| known.request["ClientToken"] == token && at.now_ms < known.time_ms + TOKEN_MS)
        {
            return match same.request == *body {
                true => Ok(same.described()),
                false => Err(Refusal::service(
                    "ExportConflictException",
                    "the token has other parameters",
                )),
            };
        }
        if request.text("ExportFormat")? != "DYNAMODB_JSON" {
            return Err(Refusal::unsupported("exports in another format"));
        }
        let arn = request.text("TableArn")?;
        let name = arn.rsplit('/').next().unwrap_or_default();
        if !self.buckets.contains_key(request.text("S3Bucket")?) {
            return Err(Refusal::invalid("there is no such bucket"));
        }
        let table = self.usable(at, name)?;
        let off = || {
            let message = "Point in time recovery is not enabled";
            Refusal::service("PointInTimeRecoveryUnavailableException", message)
        };
        let earliest_ms = table.restorable_from_ms.ok_or_else(off)?;
        let window = match request.optional("ExportType") {
            None | Some("FULL_EXPORT") => None,
            Some("INCREMENTAL_EXPORT") => {
                let specification = request.member("IncrementalExportSpecification")?;
                let ms = |name: &str| {
                    let seconds = specification[name].as_f64();
                    seconds.map_or(0, |seconds| (seconds * 1000.0).round() as u64)
                };
                let (from, to) = (ms("ExportFromTime"), ms("ExportToTime"));
                let is_right = from >= earliest_ms / 1000 * 1000
                    && to + LATEST_MS <= at.now_ms
                    && (SHORTEST_WINDOW_MS..=LONGEST_WINDOW_MS).contains(&to.saturating_sub(from));
                if !is_right {
                    let message = format!("the window from {from} to {to} at {}", at.now_ms);
                    return Err(Refusal::service("InvalidExportTimeException", message));
                }
                Some((from, to))
            }
            Some(other) => return Err(Refusal::unsupported(format!("ExportType {other}"))),
        };
        let (table, table_id) = (table.name.clone(), table.id.clone());
        let number = self.exports.len();
        let mut rng = self.jobs.chances(1_000_000 + number);
        let (shortest, longest) = self.jobs.lasts_ms;
        let id = format!("{:014}-a1b2c3d4", number + 1);
        self.exports.push(Export {
            arn: format!("{arn}/export/{id}"),
            id,
            table,
            table_id,
            request: body.clone(),
            time_ms: at.now_ms,
            // It may contain what is written up to a minute later.
            ends_ms: at.now_ms + UNDEFINED_MS + rng.random_range(shortest..=longest),
            window,
            fails: rng.random_range(0..100) < self.jobs.fails,
            rng,
            has_ended: false,
        });
        Ok(self.exports[number].described())
    }

    pub(super) fn describe_export(&mut self, body: &Json) -> Result<Json, Refusal> {
        let arn = Request::of(body, &["ExportArn"])?.text("ExportArn")?;
        let found = self.exports.iter().find(|export| export.arn == arn);
        let found = found.ok_or_else(|| Refusal::service("ExportNotFoundException", arn))?;
        Ok(found.described())
    }

    /// What exports have done until now.
    pub(super) fn end_exports(&mut self, now_ms: u64) {
        for place in 0..self.exports.len() {
            let export = &mut self.exports[place];
            if export.has_ended || now_ms < export.ends_ms {
                continue;
            }
            export.has_ended = true;
            self.happened.push(match (export.fails, export.window) {
                (true, _) => "export failed",
                (false, None) => "export ended",
                (false, Some(_)) => "incremental export ended",
            });
            if export.fails {
                continue;
            }
            let (rng, table) = (&mut export.rng, self.tables.get(&export.table));
            let lines = match (table, export.window) {
                (None, _) => Vec::new(),
                (Some(table), None) => items(table, export.time_ms, rng),
                (Some(table), Some(window)) => changes(table, window),
            };
            let objects = written(export, lines);
            let bucket = export.request["S3Bucket"].as_str().unwrap_or_default();
            if let Some(bucket) = self.buckets.get_mut(bucket) {
                bucket.extend(objects);
            }
        }
    }
}

/// Each item as it was at a moment of its own, near this time.
fn items(table: &Table, time_ms: u64, rng: &mut StdRng) -> Vec<Json> {
    let mut lines = Vec::new();
    for (place, versions) in table.histories() {
        let moment = rng.random_range(time_ms - UNDEFINED_MS..=time_ms + UNDEFINED_MS);
        if let Some(item) = as_of(&versions, moment).filter(|_| is_there(table, &place)) {
            lines.push(json!({ "Item": item_json(item) }));
        }
    }
    lines
}

/// A place is one of this table: its key can be made.
fn is_there(table: &Table, place: &Place) -> bool {
    table.sort.is_some() == place.sort.is_some()
}

/// What an item was at a moment.
fn as_of<'a>(versions: &[(u64, Option<&'a Item>)], moment_ms: u64) -> Option<&'a Item> {
    let before = versions.iter().rev().find(|(since, _)| *since <= moment_ms);
    before.and_then(|(_, item)| *item)
}

/// The keys that were written in a window, each with its last state. What was created and deleted within it is not there.
fn changes(table: &Table, (from_ms, to_ms): (u64, u64)) -> Vec<Json> {
    let mut lines = Vec::new();
    for (place, versions) in table.histories() {
        let within = |at: &u64| (from_ms..to_ms).contains(at);
        let Some((at, _)) = versions.iter().rfind(|(at, _)| within(at)) else {
            continue;
        };
        let [before, after] = [from_ms.saturating_sub(1), to_ms - 1].map(|moment| as_of(&versions, moment));
        if before.is_none() && after.is_none() {
            continue;
        }
        let mut line = json!({
            "Metadata": { "WriteTimestampMicros": { "N": (at * 1000).to_string() } },
            "Keys": item_json(&table.key_at(&place)),
        });
        if let Some(item) = after {
            line["NewImage"] = item_json(item);
        }
        lines.push(line);
    }
    lines
}

/// The objects of an export: files with some of the lines each, in any order, one of them empty; and the manifest.
fn written(export: &mut Export, mut lines: Vec<Json>) -> BTreeMap<String, Object> {
    let (prefix, rng) = (export.prefix(), &mut export.rng);
    lines.shuffle(rng);
    let count = rng.random_range(1..4);
    let mut files = vec![Vec::new(); count];
    for line in &lines {
        files[rng.random_range(0..count)].push(line);
    }
    let empty = rng.random_range(0..=count);
    files.insert(empty, Vec::new());
    let mut objects = BTreeMap::new();
    let mut listed = Vec::new();
    for (place, file) in files.iter().enumerate() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        for line in file {
            writeln!(packed, "{line}").expect("memory");
        }
        let object = Object::of(packed.finish().expect("memory"));
        let key = format!("{prefix}data/{place:02}.json.gz");
        listed.push(json!({
            "itemCount": file.len(), "md5Checksum": object.sum(), "etag": object.etag, "dataFileS3Key": key,
        }));
        objects.insert(key, object);
    }
    listed.shuffle(rng);
    let listed: String = listed.iter().map(|line| format!("{line}\n")).collect();
    let mut summary = json!({
        "version": "2020-06-30", "exportArn": export.arn,
        "startTime": time(export.time_ms), "endTime": time(export.ends_ms),
        "tableArn": export.request["TableArn"], "tableId": export.table_id,
        "s3Bucket": export.request["S3Bucket"], "s3Prefix": export.request["S3Prefix"],
        "manifestFilesS3Key": format!("{prefix}manifest-files.json"),
        "billedSizeBytes": 0, "itemCount": lines.len(), "outputFormat": "DYNAMODB_JSON",
    });
    match export.window {
        None => {
            summary["exportTime"] = json!(time(export.time_ms));
            summary["exportType"] = json!("FULL_EXPORT");
        }
        Some((from, to)) => {
            summary["exportFromTime"] = json!(time(from));
            summary["exportToTime"] = json!(time(to));
            summary["outputView"] = json!("NEW_IMAGE");
            summary["exportType"] = json!("INCREMENTAL_EXPORT");
        }
    }
    let sums = ["md5", "checksum"][rng.random_range(0..2)];
    for (name, text) in [
        ("manifest-files", listed),
        ("manifest-summary", summary.to_string()),
    ] {
        let object = Object::of(text.into_bytes());
        objects.insert(
            format!("{prefix}{name}.{sums}"),
            Object::of(object.sum().into_bytes()),
        );
        objects.insert(format!("{prefix}{name}.json"), object);
    }
    objects.insert(format!("{prefix}_started"), Object::of(Vec::new()));
    objects
}

/// A time as the manifest has it, in whole seconds.
fn time(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(ms / 1000);
    humantime::format_rfc3339_millis(time).to_string()
}

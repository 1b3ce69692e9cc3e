//! S3 and imports of the simulated engine behave as AWS documents them.

use std::collections::BTreeSet;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};

use super::{HABITS, NOW, create};
use crate::engine::{Answer, Arrival, Engine, JobHabits};

const BUCKET: &str = "bucket";

fn engine(jobs: JobHabits) -> Engine {
    let mut engine = Engine::new(HABITS);
    engine.make_bucket(BUCKET);
    engine.set_jobs(jobs);
    engine
}

fn ask(engine: &mut Engine, operation: &str, mut body: Json) -> Answer {
    body["Bucket"] = json!(BUCKET);
    engine.answer(NOW, &format!("S3.{operation}"), &body)
}

fn put(engine: &mut Engine, key: &str, bytes: &[u8]) -> Answer {
    let body = json!({ "Key": key, "Body": STANDARD.encode(bytes), "if-none-match": "*" });
    ask(engine, "PutObject", body)
}

#[test]
fn conditions_of_writes_and_copies_hold() {
    let mut engine = engine(JobHabits::default());
    let first = put(&mut engine, "a/1", b"one");
    let etag = first.body["Headers"]["etag"].clone();
    assert_eq!((first.status, put(&mut engine, "a/1", b"two").status), (200, 412));
    let copy = |etag: &Json| json!({ "Key": "b/1", "x-amz-copy-source": "bucket/a/1", "x-amz-copy-source-if-match": etag });
    assert_eq!(
        ask(&mut engine, "CopyObject", copy(&json!("\"other\""))).status,
        412
    );
    assert_eq!(
        ask(&mut engine, "HeadObject", json!({ "Key": "b/1" })).status,
        404
    );
    assert_eq!(ask(&mut engine, "CopyObject", copy(&etag)).status, 200);
    let replaced = json!({ "Key": "a/1", "Body": STANDARD.encode(b"two"), "if-match": etag });
    assert_eq!(ask(&mut engine, "PutObject", replaced.clone()).status, 200);
    assert_eq!(ask(&mut engine, "PutObject", replaced).status, 412);
    let part = ask(
        &mut engine,
        "GetObject",
        json!({ "Key": "b/1", "range": "bytes=1-90" }),
    );
    assert_eq!(
        (part.status, &part.body["Bytes"]),
        (206, &json!(STANDARD.encode(b"ne")))
    );
    assert_eq!(part.body["Headers"]["content-range"], "bytes 1-2/3");
    put(&mut engine, "empty", b"");
    let empty = ask(
        &mut engine,
        "GetObject",
        json!({ "Key": "empty", "range": "bytes=0-90" }),
    );
    assert_eq!(empty.status, 416);
    assert!(engine.unsupported.is_empty(), "{:?}", engine.unsupported);
    ask(&mut engine, "DeleteObject", json!({ "Key": "a/1" }));
    assert_eq!(ask(&mut engine, "GetObject", json!({ "Key": "a/1" })).status, 404);
    assert!(engine.unsupported.is_empty(), "{:?}", engine.unsupported);
    ask(&mut engine, "RestoreObject", json!({ "Key": "a/1" }));
    ask(
        &mut engine,
        "HeadObject",
        json!({ "Key": "a/1", "x-amz-new": "" }),
    );
    assert_eq!(engine.unsupported.len(), 2);
}

#[test]
fn lists_have_pages_and_folders() {
    let mut engine = engine(JobHabits::default());
    let keys: BTreeSet<String> = (0..12)
        .map(|place| format!("a/{}/{place:02}", place % 3))
        .collect();
    for key in &keys {
        put(&mut engine, key, b"x");
    }
    put(&mut engine, "b", b"x");
    let mut listed = |delimiter: Option<&str>, element: &str| {
        let (mut found, mut token, mut pages) = (BTreeSet::new(), None::<String>, 0);
        loop {
            let mut body = json!({ "list-type": "2", "prefix": "a/" });
            if let Some(delimiter) = delimiter {
                body["delimiter"] = json!(delimiter);
            }
            if let Some(token) = &token {
                body["continuation-token"] = json!(token);
            }
            let page = ask(&mut engine, "ListObjectsV2", body);
            let text = page.body["Xml"].as_str().expect("XML").to_owned();
            let values = |name: &str| -> Vec<String> {
                let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
                let parts = text.split(&begin).skip(1);
                parts
                    .filter_map(|part| Some(part.split_once(&end)?.0.to_owned()))
                    .collect()
            };
            found.extend(values(element));
            pages += 1;
            token = values("NextContinuationToken").pop();
            if token.is_none() {
                return (found, pages);
            }
        }
    };
    assert_eq!(listed(None, "Key"), (keys, 3));
    let folders = ["a/0/", "a/1/", "a/2/"].map(str::to_owned);
    assert_eq!(listed(Some("/"), "Prefix"), (BTreeSet::from(folders), 1));
}

/// An import of two objects with one key in both, and what becomes of it.
fn imported(jobs: JobHabits) -> (Engine, Vec<Json>) {
    let mut engine = engine(jobs);
    for (object, keys) in [["p1", "same"], ["p2", "same"]].into_iter().enumerate() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        for key in keys {
            let item = json!({ "Item": { "pk": { "S": key }, "sk": { "S": "s" }, "of": { "N": object.to_string() } } });
            writeln!(packed, "{item}").expect("memory");
        }
        let key = format!("in/{object}");
        put(&mut engine, &key, &packed.finish().expect("memory"));
    }
    put(&mut engine, "elsewhere", b"no items");
    let mut parameters = create();
    parameters
        .as_object_mut()
        .expect("members")
        .remove("StreamSpecification");
    let request = json!({
        "ClientToken": "t", "S3BucketSource": { "S3Bucket": BUCKET, "S3KeyPrefix": "in/" },
        "InputFormat": "DYNAMODB_JSON", "InputCompressionType": "GZIP", "TableCreationParameters": parameters,
    });
    let asked = engine.answer(NOW, "ImportTable", &request);
    assert_eq!(asked.status, 200, "{asked:?}");
    assert_eq!(
        engine.answer(NOW, "ImportTable", &request),
        asked,
        "the same token"
    );
    let mut other = request.clone();
    other["ClientToken"] = json!("other");
    assert_eq!(engine.answer(NOW, "ImportTable", &other).status, 400);
    let describe = json!({ "ImportArn": asked.body["ImportTableDescription"]["ImportArn"] });
    let later = [0, jobs.lasts_ms.1].map(|ms| Arrival {
        now_ms: NOW.now_ms + ms,
        stale_ms: 0,
    });
    let table = json!({ "TableName": "tab" });
    let told = later.map(|at| {
        let import = engine.answer(at, "DescribeImport", &describe).body["ImportTableDescription"].take();
        let table = engine.answer(at, "DescribeTable", &table).body["Table"].take();
        json!([
            import["ImportStatus"],
            table["TableStatus"],
            table["TableId"] == import["TableId"]
        ])
    });
    assert!(engine.unsupported.is_empty(), "{:?}", engine.unsupported);
    (engine, told.into())
}

#[test]
fn an_import_makes_a_table_in_which_a_random_duplicate_wins() {
    let mut winners = BTreeSet::new();
    for seed in 0..16 {
        let jobs = JobHabits {
            seed,
            ..JobHabits::default()
        };
        let (engine, told) = imported(jobs);
        assert_eq!(
            told,
            [
                json!(["IN_PROGRESS", "CREATING", true]),
                json!(["COMPLETED", "ACTIVE", true])
            ]
        );
        let items = engine.contents("tab");
        assert_eq!(items.len(), 3);
        let same = items.iter().find(|(_, item)| item["pk"].json()["S"] == "same");
        winners.insert(same.expect("one of both").1["of"].json().to_string());
    }
    assert_eq!(winners.len(), 2, "each of both wins for some seed");
}

#[test]
fn an_import_that_fails_leaves_no_table_or_a_part_of_the_items() {
    let mut left = BTreeSet::new();
    for seed in 0..32 {
        let jobs = JobHabits {
            seed,
            fails: 100,
            ..JobHabits::default()
        };
        let (engine, told) = imported(jobs);
        assert_eq!(told[1][0], "FAILED");
        let has_table = engine.has_table("tab");
        assert_eq!(told[1][1] == "ACTIVE", has_table);
        left.insert(has_table.then(|| engine.contents("tab").len()));
    }
    assert!(left.contains(&None) && left.len() > 2, "{left:?}");
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Lines of the files that the manifest of an export names, and the files.
fn exported(engine: &Engine, manifest: &str) -> (Vec<Json>, usize) {
    let folder = manifest.strip_suffix("manifest-summary.json").expect("a folder");
    let objects: std::collections::BTreeMap<_, _> = engine.objects(BUCKET, folder).into_iter().collect();
    let listed = String::from_utf8(objects[&format!("{folder}manifest-files.json")].clone());
    let listed = listed.expect("text");
    let mut lines = Vec::new();
    for file in listed.lines() {
        let file: Json = serde_json::from_str(file).expect("JSON");
        let packed = &objects[file["dataFileS3Key"].as_str().expect("a key")];
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(&packed[..]), &mut text)
            .expect("GZIP");
        assert_eq!(file["itemCount"], text.lines().count());
        lines.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Json>(line).expect("JSON")),
        );
    }
    (lines, listed.lines().count())
}

/// The lines of an export. Items 0 to 9 are there for long; each has a new version 30 seconds before the export is asked for, and
/// another one 30 seconds later. Item 20 was deleted two minutes before, and item 21 comes and goes an hour before.
fn lines_of(seed: u64, window: Option<(u64, u64)>) -> Vec<Json> {
    let mut engine = engine(JobHabits {
        seed,
        ..JobHabits::default()
    });
    let asked_ms = NOW.now_ms + DAY_MS;
    let at = |now_ms| Arrival { now_ms, stale_ms: 0 };
    engine.answer(NOW, "CreateTable", &create());
    engine.keep_restorable("tab", NOW.now_ms);
    let put = |engine: &mut Engine, now_ms: u64, key: u64, version: u64| {
        let item =
            json!({ "pk": { "S": key.to_string() }, "sk": { "S": "s" }, "v": { "N": version.to_string() } });
        engine.answer(
            at(now_ms),
            "PutItem",
            &json!({ "TableName": "tab", "Item": item }),
        )
    };
    let delete = |engine: &mut Engine, now_ms: u64, key: u64| {
        let key = json!({ "pk": { "S": key.to_string() }, "sk": { "S": "s" } });
        engine.answer(
            at(now_ms),
            "DeleteItem",
            &json!({ "TableName": "tab", "Key": key }),
        )
    };
    for key in (0..10).chain([20]) {
        put(&mut engine, NOW.now_ms + 1000, key, 1);
    }
    put(&mut engine, asked_ms - DAY_MS / 24, 21, 1);
    delete(&mut engine, asked_ms - DAY_MS / 24 + 5, 21);
    delete(&mut engine, asked_ms - 120_000, 20);
    for key in 0..10 {
        put(&mut engine, asked_ms - 30_000, key, 2);
    }
    let mut request = json!({
        "TableArn": "arn:aws:dynamodb:us-east-1:111122223333:table/tab", "S3Bucket": BUCKET, "S3Prefix": "out",
        "ExportFormat": "DYNAMODB_JSON", "ClientToken": "t",
    });
    if let Some((from, to)) = window {
        request["ExportType"] = json!("INCREMENTAL_EXPORT");
        request["IncrementalExportSpecification"] = json!({ "ExportFromTime": from / 1000, "ExportToTime": to / 1000, "ExportViewType": "NEW_IMAGE" });
    }
    let asked = engine.answer(at(asked_ms), "ExportTableToPointInTime", &request);
    assert_eq!(asked.status, 200, "{asked:?}");
    for key in 0..10 {
        put(&mut engine, asked_ms + 30_000, key, 3);
    }
    let arn = json!({ "ExportArn": asked.body["ExportDescription"]["ExportArn"] });
    let told = engine.answer(at(asked_ms + 90_000), "DescribeExport", &arn);
    let description = &told.body["ExportDescription"];
    assert_eq!(description["ExportStatus"], "COMPLETED", "{told:?}");
    let (lines, files) = exported(
        &engine,
        description["ExportManifest"].as_str().expect("a manifest"),
    );
    assert!(files > 1 && engine.unsupported.is_empty());
    lines
}

#[test]
fn a_full_export_has_each_item_as_it_was_within_a_minute() {
    let mut seen = BTreeSet::new();
    for seed in 0..8 {
        let lines = lines_of(seed, None);
        assert_eq!(lines.len(), 10, "what was deleted before is not in it");
        seen.extend(lines.iter().map(|line| line["Item"]["v"]["N"].to_string()));
    }
    assert_eq!(seen.into_iter().collect::<String>(), "\"1\"\"2\"\"3\"");
}

#[test]
fn an_incremental_export_has_the_last_state_of_each_key_in_its_window() {
    let to_ms = NOW.now_ms + DAY_MS - 5 * 60 * 1000;
    let lines = lines_of(1, Some((to_ms - DAY_MS / 2, to_ms)));
    assert!(lines.is_empty(), "item 21 came and went: {lines:?}");
    let from_ms = NOW.now_ms;
    let lines = lines_of(1, Some((from_ms, from_ms + DAY_MS / 2)));
    assert_eq!(lines.len(), 11);
    assert!(lines.iter().all(|line| line["NewImage"]["v"]["N"] == "1"));
}

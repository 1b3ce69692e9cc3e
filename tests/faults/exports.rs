//! Copies of an export instead of a scan: an export that is too early, the undefined minute, files in any order and items in them
//! twice, deaths in the middle, and everything that may be wrong with an export.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::course::{HABITS, begin, delete, end, order, put, set};
use crate::support::contents;
use crate::support::faulty::Script;
use crate::support::faulty::exports::{packed, sums};
use crate::support::long::in_the_long_run;
use crate::support::mutator::Habits;
use crate::support::objects::{Objects, Wrong};
use crate::support::process::{Cli, Done, Running, obstacles};
use crate::support::stage::Stage;
use crate::support::table;
use crate::support::trial::Mode;

const BUCKET: &str = "exports";
const START: [&str; 4] = ["export", "start", "--to", "s3://exports/split"];
/// Longer than the undefined minute.
const LATER: Duration = Duration::from_secs(90);

/// A split, an S3 server, and commands that use both.
struct Scene {
    stage: Stage,
    objects: Objects,
    cli: Cli,
}

impl Scene {
    async fn set(seed: u64, mode: Mode) -> Self {
        let objects = Objects::start(&[BUCKET]).await;
        let stage = set(Script::quiet(seed).shards(2), mode).await;
        stage.engine.faults().exports().into(objects.root());
        let cli = stage.cli.with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
        Self { stage, objects, cli }
    }

    async fn put(&self, ids: std::ops::Range<usize>) {
        for id in ids {
            put(&self.stage, id, 1, "there before").await;
        }
    }

    /// Waits until `export start` waits for AWS's clock, and lets the time pass.
    async fn pass(&self) {
        let acknowledged = |status: &Value| status["backfill_record"]["export"]["acknowledged_ms"].is_u64();
        self.cli.until("the acknowledgement", acknowledged).await;
        self.stage
            .engine
            .faults()
            .pass(LATER, &self.stage.trial.source)
            .await;
    }

    /// Requests an export, and returns its ARN.
    async fn export(&self) -> String {
        let start = self.cli.start(&START);
        self.pass().await;
        let done = start.end().await.with_code(&START, 0);
        arn(&done)
    }

    /// The folder of an export.
    fn folder(&self, arn: &str) -> PathBuf {
        let id = arn.rsplit('/').next().expect("an id");
        let folder = |prefix: &str| {
            self.objects
                .root()
                .join(BUCKET)
                .join(prefix)
                .join("AWSDynamoDB")
                .join(id)
        };
        ["split", "by-hand"]
            .map(folder)
            .into_iter()
            .find(|path| path.exists())
            .expect("an export")
    }

    async fn copy(&self, arn: &str) -> Done {
        self.cli.succeed(&["backfill", "--from-export", arn]).await
    }

    /// A copy that must be refused, with this in its message.
    async fn refused(&self, from: &str, expected: &[&str]) -> Done {
        let words = ["backfill", "--from-export", from];
        let done = self.cli.run(&words).await.with_code(&words, 1);
        for text in expected {
            assert!(done.stderr.contains(text), "{text:?} is not in {}", done.stderr);
        }
        done
    }

    async fn end(&self, tail: Running) {
        end(&self.stage, tail).await;
    }
}

fn arn(done: &Done) -> String {
    let arn = done
        .stdout
        .split_whitespace()
        .find(|word| word.starts_with("arn:"));
    arn.unwrap_or_else(|| panic!("no ARN in {}", done.stdout))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_copied_beside_writers_and_nothing_of_the_source_is_read() {
    in_the_long_run!(an_export_is_copied_beside_writers_and_nothing_of_the_source_is_read);
    for mode in [Mode::Sequence, Mode::Timestamp] {
        let scene = Scene::set(70, mode).await;
        let habits = Habits { keys: 300, ..HABITS };
        let writers = scene.stage.write(habits).await;
        let tail = begin(&scene.stage).await;
        let arn = scene.export().await;
        let status = scene.cli.status().await;
        assert!(
            status["next"]
                .to_string()
                .contains(&format!("--from-export {arn}")),
            "{status:#}"
        );
        assert!(obstacles(&status).contains("waits for an export"), "{status:#}");
        let words = ["backfill", "--from-export", &arn, "--output", "json"];
        let (first, second) = (scene.cli.start(&words), scene.cli.start(&words));
        let first = first.end().await.with_code(&words, 0);
        second.end().await.with_code(&words, 0);
        let faults = scene.stage.engine.faults();
        assert_eq!(
            faults.asked("Scan", &scene.stage.trial.source),
            0,
            "no read unit of the source"
        );
        let report: Value = serde_json::from_str(&first.stdout).expect("a report");
        assert_eq!(report["read_milliunits"], 0);
        assert!(report["scanned"].as_u64().expect("a count") > 100, "{report:#}");
        writers.stop().await;
        scene.end(tail).await;
    }
}

/// The lanes delete really until tombstones are on. What an earlier export contains may have been deleted by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_from_before_the_tombstones_is_refused() {
    in_the_long_run!(an_export_from_before_the_tombstones_is_refused);
    for mode in [Mode::Sequence, Mode::Timestamp] {
        let scene = Scene::set(71, mode).await;
        let (faults, source) = (scene.stage.engine.faults(), &scene.stage.trial.source);
        scene.put(0..20).await;
        let tail = begin(&scene.stage).await;
        let early = faults.export(source, BUCKET, faults.exports().now_ms()).await;
        for id in 0..10 {
            delete(&scene.stage, id).await;
        }
        scene.cli.until_caught_up().await;
        scene
            .refused(&early, &["before tombstones were on", "dynasplit export start"])
            .await;
        let status = scene.cli.status().await;
        assert!(status["backfill_record"].is_null(), "{status:#}");
        assert_eq!(status["tombstones"], serde_json::json!({}), "{status:#}");
        let arn = scene.export().await;
        // Its time is within the undefined minute after the acknowledgement.
        let status = scene.cli.status().await;
        let acknowledged = status["backfill_record"]["export"]["acknowledged_ms"]
            .as_u64()
            .expect("a time");
        let close = faults.export(source, BUCKET, acknowledged + 59_000).await;
        scene
            .refused(
                &close,
                &["is 1.0 s too early", "may contain items that were really deleted"],
            )
            .await;
        scene.refused(&early, &["too early"]).await;
        let plain = scene.cli.run(&["backfill"]).await.with_code(&["backfill"], 1);
        assert!(
            plain.stderr.contains("cannot continue with a scan"),
            "{}",
            plain.stderr
        );
        assert!(
            plain.stderr.contains(&format!("--from-export {arn}")),
            "{}",
            plain.stderr
        );
        scene.copy(&arn).await;
        scene.end(tail).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_began_does_not_continue_with_an_export_and_the_other_way_round() {
    in_the_long_run!(a_scan_that_began_does_not_continue_with_an_export_and_the_other_way_round);
    let scene = Scene::set(72, Mode::Sequence).await;
    scene.put(0..20).await;
    let tail = begin(&scene.stage).await;
    let dying = scene.cli.armed("backfill.checkpoint.before=kill");
    assert_eq!(
        dying.run(&["backfill"]).await.killed_at(),
        Some("backfill.checkpoint.before")
    );
    let faults = scene.stage.engine.faults();
    let late = faults.exports().now_ms() + 3_600_000;
    let export = faults.export(&scene.stage.trial.source, BUCKET, late).await;
    scene
        .refused(&export, &["began with a scan", "run `dynasplit backfill "])
        .await;
    let refused = scene.cli.run(&START).await.with_code(&START, 1);
    assert!(refused.stderr.contains("has begun to copy"), "{}", refused.stderr);
    scene.cli.succeed(&["backfill"]).await;
    scene.end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_goes_on_in_the_middle_of_a_file() {
    in_the_long_run!(a_process_that_dies_goes_on_in_the_middle_of_a_file);
    let scene = Scene::set(73, Mode::Timestamp).await;
    // Each file has several pages.
    let name = "n".repeat(60_000);
    let items = (0..150).map(|id| order(id, 1, &name));
    table::put_all(&scene.stage.client, &scene.stage.trial.source, items).await;
    let tail = begin(&scene.stage).await;
    for point in [
        "export.acknowledged",
        "export.request.before",
        "export.request.after",
    ] {
        let start = scene.cli.armed(&format!("{point}=kill")).start(&START);
        scene.pass().await;
        assert_eq!(start.end().await.killed_at(), Some(point));
    }
    let arn = arn(&scene.cli.succeed(&START).await);
    assert_eq!(
        scene.stage.engine.faults().exports().count(),
        1,
        "a token asks for one export"
    );
    let words = ["backfill", "--from-export", &arn, "--workers", "1"];
    for fault in [
        "backfill.page-read@2",
        "backfill.checkpoint.after@2",
        "backfill.put.after@70",
    ] {
        let dying = scene.cli.armed(&format!("{fault}=kill"));
        let point = fault.split('@').next();
        assert_eq!(dying.run(&words).await.killed_at(), point, "{fault}");
        delete(&scene.stage, fault.len()).await;
    }
    // For a while, the process that died counts as running.
    let advised = |status: &Value| status["next"].to_string().contains(&arn);
    let status = scene.cli.until("the advice to go on", advised).await;
    assert!(
        obstacles(&status).contains("no process continues it"),
        "{status:#}"
    );
    // Files that are copied belong to this export.
    let words = ["export", "cancel"];
    let refused = scene.cli.run(&words).await.with_code(&words, 1);
    assert!(refused.stderr.contains("has begun"), "{}", refused.stderr);
    scene.copy(&arn).await;
    scene.end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_export_is_told_and_the_same_command_goes_on() {
    in_the_long_run!(what_is_wrong_with_an_export_is_told_and_the_same_command_goes_on);
    let scene = Scene::set(74, Mode::Sequence).await;
    scene.put(0..60).await;
    let tail = begin(&scene.stage).await;
    let arn = scene.export().await;
    let folder = scene.folder(&arn);
    let objects = &scene.objects;
    let error = |code, message: &str, region| Wrong::Error(403, code, message.to_owned(), region);
    let user = "User: arn:aws:iam::111122223333:user/ann is not authorized to perform:";
    for (path, wrong, expected) in [
        (
            "manifest-summary",
            error("AccessDenied", "Access Denied", None),
            [
                "allow s3:GetObject on arn:aws:s3:::exports/split/",
                "another account",
            ],
        ),
        (
            "/data/",
            error(
                "AccessDenied",
                &format!("{user} kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/k because"),
                None,
            ),
            [
                "allow kms:Decrypt on arn:aws:kms:eu-west-1:1:key/k",
                "s3:GetObject on s3://exports/split/",
            ],
        ),
        (
            "/data/",
            error("KMS.DisabledException", "the key is disabled", None),
            ["KMS.DisabledException", "enabled"],
        ),
        (
            "manifest-files.json",
            error("PermanentRedirect", "use the endpoint", Some("eu-west-9")),
            ["the bucket is in the region eu-west-9", "--s3-region eu-west-9"],
        ),
        (
            "/exports/",
            Wrong::Error(404, "NoSuchBucket", String::new(), None),
            ["NoSuchBucket", "check the name of the bucket"],
        ),
    ] {
        objects.wrong(path, wrong, u32::MAX);
        scene.refused(&arn, &expected).await;
        objects.behave();
    }
    // A part of the manifest is missing, with a checksum that is right for it.
    let manifest = fs::read_to_string(folder.join("manifest-files.json")).expect("a manifest");
    let cut = manifest
        .lines()
        .find(|line| !line.contains("\"itemCount\":0"))
        .expect("a file")
        .len();
    fs::write(folder.join("manifest-files.json"), &manifest[..cut]).expect("a file");
    scene
        .refused(&arn, &["manifest-files.json is damaged", "its MD5 sum"])
        .await;
    fs::write(
        folder.join("manifest-files.md5"),
        sums(&manifest.as_bytes()[..cut]).1,
    )
    .expect("a file");
    scene.refused(&arn, &["files are missing"]).await;
    fs::remove_file(folder.join("manifest-files.md5")).expect("a file");
    scene.refused(&arn, &["has no checksum beside it"]).await;
    fs::write(folder.join("manifest-files.json"), &manifest).expect("a file");
    fs::write(
        folder.join("manifest-files.checksum"),
        sums(manifest.as_bytes()).1,
    )
    .expect("a file");
    // A file is gone, and then another one.
    let data: Vec<PathBuf> = fs::read_dir(folder.join("data"))
        .expect("files")
        .map(|entry| entry.expect("a file").path())
        .collect();
    let whole = |path: &PathBuf| fs::read(path).expect("a file");
    let file = data
        .iter()
        .find(|path| whole(path).len() > 60)
        .expect("a file with items")
        .clone();
    let before = whole(&file);
    fs::remove_file(&file).expect("a file");
    scene
        .refused(&arn, &["NoSuchKey", "restore it, or use another export"])
        .await;
    fs::write(
        &file,
        packed(b"{\"Item\":{\"PK\":{\"S\":\"x\"},\"SK\":{\"S\":\"y\"}}}\n"),
    )
    .expect("a file");
    scene
        .refused(&arn, &["is not the object that DynamoDB wrote", "MD5"])
        .await;
    fs::write(&file, &before).expect("a file");
    let other = scene
        .stage
        .engine
        .faults()
        .export(&scene.stage.trial.orders, BUCKET, u64::from(u32::MAX))
        .await;
    scene
        .refused(&other, &["is an export of", "Use an export of that table"])
        .await;
    scene
        .refused(&format!("{arn}0"), &["ExportNotFoundException", "35 days"])
        .await;
    // What passes is waited for, and an ETag that says nothing is no obstacle.
    objects.wrong(
        "/data/",
        Wrong::Error(503, "SlowDown", "Reduce your request rate".into(), None),
        5,
    );
    objects.wrong("/data/", Wrong::CutOff, 3);
    objects.wrong("/data/", Wrong::ETag("\"ffff-7\"".into()), u32::MAX);
    let folder = format!(
        "s3://{BUCKET}/{}/",
        folder
            .strip_prefix(objects.root().join(BUCKET))
            .expect("below")
            .display()
    );
    scene.copy(&folder).await;
    scene.end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_in_amazon_ion_is_copied_and_compared() {
    let scene = Scene::set(76, Mode::Sequence).await;
    scene.stage.engine.faults().exports().in_ion();
    scene.put(0..20).await;
    let blob = |bytes: &[u8]| Blob::new(bytes);
    let number = |text: &str| AttributeValue::N(text.to_owned());
    let mut odd = order(20, 1, "it's \"odd\"\n\\ \u{7f}\u{1F980}");
    let values = [
        ("whole", number("99999999999999999999999999999999999999")),
        ("tiny", number("-1.5E-120")),
        ("raw", AttributeValue::B(blob(b"\0\xff"))),
        ("yes", AttributeValue::Bool(true)),
        ("nothing", AttributeValue::Null(true)),
        ("words", AttributeValue::Ss(vec!["b".into(), "a".into()])),
        ("numbers", AttributeValue::Ns(vec!["1.5".into(), "-2".into()])),
        ("blobs", AttributeValue::Bs(vec![blob(b"x"), blob(b"")])),
        (
            "it's",
            AttributeValue::L(vec![AttributeValue::M(
                [("in side".to_owned(), number("0"))].into(),
            )]),
        ),
    ];
    odd.extend(values.map(|(name, value)| (name.to_owned(), value)));
    table::put_all(&scene.stage.client, &scene.stage.trial.source, [odd]).await;
    let tail = begin(&scene.stage).await;
    let arn = scene.export().await;
    scene.copy(&arn).await;
    scene.cli.until_caught_up().await;
    let compared = scene.cli.succeed(&["verify", "--source-export", &arn]).await;
    assert!(
        compared.stdout.contains("clean: every compared target"),
        "{}",
        compared.stdout
    );
    scene.end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_no_item_stops_the_copy_and_is_named() {
    let scene = Scene::set(75, Mode::Sequence).await;
    scene.put(0..60).await;
    let tail = begin(&scene.stage).await;
    let arn = scene.export().await;
    let folder = scene.folder(&arn);
    let manifest = fs::read_to_string(folder.join("manifest-files.json")).expect("a manifest");
    let replace = |name: &str, text: &[u8]| {
        fs::write(folder.join(name), text).expect("a file");
    };
    // A file that is what the manifest says, and not what an export contains.
    let mut lines: Vec<Value> = manifest
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let entry = lines
        .iter_mut()
        .find(|line| line["itemCount"].as_u64() > Some(1))
        .expect("a file");
    let key = entry["dataFileS3Key"].as_str().expect("a key").to_owned();
    let items = usize::try_from(entry["itemCount"].as_u64().expect("a count")).expect("few");
    let file = scene.objects.root().join(BUCKET).join(&key);
    let good = fs::read(&file).expect("a file");
    let text = "not JSON\n".repeat(items);
    let bad = packed(text.as_bytes());
    (entry["md5Checksum"], entry["etag"]) = (sums(&bad).1.into(), sums(&bad).0.into());
    let changed: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&file, &bad).expect("a file");
    replace("manifest-files.json", changed.as_bytes());
    replace("manifest-files.md5", sums(changed.as_bytes()).1.as_bytes());
    scene
        .refused(&arn, &[&format!("s3://{BUCKET}/{key}:1: this line is not JSON")])
        .await;
    // The backfill has begun with that list of files.
    fs::write(&file, &good).expect("a file");
    replace("manifest-files.json", manifest.as_bytes());
    replace("manifest-files.md5", sums(manifest.as_bytes()).1.as_bytes());
    scene
        .refused(&arn, &["the list of files of the export", "is another one"])
        .await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dynamodb_refuses_is_told_and_a_failed_export_is_requested_again() {
    in_the_long_run!(what_dynamodb_refuses_is_told_and_a_failed_export_is_requested_again);
    let scene = Scene::set(76, Mode::Sequence).await;
    scene.put(0..20).await;
    let tail = begin(&scene.stage).await;
    let exports = scene.stage.engine.faults().exports();
    exports.recovery(false);
    let start = scene.cli.start(&START);
    scene.pass().await;
    let refused = start.end().await.with_code(&START, 1);
    assert!(
        refused.stderr.contains("enable it for the source"),
        "{}",
        refused.stderr
    );
    // Without recovery, there is a way back to a scan, and from there to an export again.
    let words = ["export", "cancel"];
    let cancelled = scene.cli.succeed(&words).await;
    assert!(
        cancelled.stdout.contains("it scans the source"),
        "{}",
        cancelled.stdout
    );
    assert!(
        cancelled.stdout.contains("run `dynasplit backfill "),
        "{}",
        cancelled.stdout
    );
    exports.recovery(true);
    exports.fail_next("S3NoSuchBucket");
    let start = scene.cli.start(&START);
    scene.pass().await;
    let failed = start.end().await.with_code(&START, 1);
    assert!(failed.stderr.contains("S3NoSuchBucket"), "{}", failed.stderr);
    // The bucket is known from before.
    let arn = arn(&scene.cli.succeed(&START).await);
    assert_eq!(exports.count(), 2);
    scene.copy(&arn).await;
    scene.end(tail).await;
}

/// What was removed meanwhile does not come back, whichever way is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_waits_for_an_export_scans_after_a_cancel() {
    in_the_long_run!(a_backfill_that_waits_for_an_export_scans_after_a_cancel);
    let scene = Scene::set(79, Mode::Sequence).await;
    scene.put(0..30).await;
    let tail = begin(&scene.stage).await;
    let arn = scene.export().await;
    let words = ["backfill"];
    let waits = scene.cli.run(&words).await.with_code(&words, 1);
    assert!(
        waits.stderr.contains("dynasplit export cancel"),
        "{}",
        waits.stderr
    );
    let words = ["export", "cancel"];
    let cancelled = scene.cli.succeed(&words).await;
    assert!(cancelled.stdout.contains(&arn), "{}", cancelled.stdout);
    scene.cli.succeed(&words).await;
    scene.refused(&arn, &["began with a scan"]).await;
    let scan = scene.cli.succeed(&["backfill", "--output", "json"]).await;
    let report: Value = serde_json::from_str(&scan.stdout).expect("a report");
    assert_eq!(report["scanned"], 30, "{report:#}");
    let refused = scene.cli.run(&words).await.with_code(&words, 1);
    assert!(refused.stderr.contains("no backfill waits"), "{}", refused.stderr);
    scene.cli.until_caught_up().await;
    scene.cli.succeed(&["verify"]).await;
    scene.end(tail).await;
}

/// Each of these files has several pages, so that the end of the file comes after items of it could have been copied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_file_that_is_another_one_nothing_is_copied() {
    in_the_long_run!(of_a_file_that_is_another_one_nothing_is_copied);
    let scene = Scene::set(77, Mode::Sequence).await;
    scene.put(0..40).await;
    let tail = begin(&scene.stage).await;
    let arn = scene.export().await;
    let folder = scene.folder(&arn);
    let manifest = fs::read_to_string(folder.join("manifest-files.json")).expect("a manifest");
    let lines: Vec<Value> = manifest
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let entry = lines
        .iter()
        .find(|line| line["itemCount"].as_u64() > Some(0))
        .expect("a file");
    let key = entry["dataFileS3Key"].as_str().expect("a key");
    let file = scene.objects.root().join(BUCKET).join(key);
    let good = fs::read(&file).expect("a file");
    let name = "n".repeat(300_000);
    let item = |id: u32| {
        format!(
            "{{\"Item\":{{\"PK\":{{\"S\":\"ACC#x\"}},\"SK\":{{\"S\":\"DOC#x{id}\"}},\"kind\":{{\"S\":\"order\"}},\
             \"name\":{{\"S\":\"{name}\"}}}}}}\n"
        )
    };
    fs::write(&file, packed((0..12).map(item).collect::<String>().as_bytes())).expect("a file");
    scene
        .refused(&arn, &["is not the object that DynamoDB wrote", "MD5"])
        .await;
    let orders = contents::read(&scene.stage.client, &scene.stage.trial.orders).await;
    let invented = format!("{:?}", orders.keys()).contains("DOC#x");
    assert!(!invented, "nothing of it was copied");
    // Even if a server gives it the ETag of the manifest, the file does not count as copied.
    let etag = entry["etag"].as_str().expect("an ETag").to_owned();
    scene.objects.wrong(key, Wrong::ETag(etag), u32::MAX);
    scene
        .refused(&arn, &["its MD5 sum is not that of the manifest"])
        .await;
    scene.objects.behave();
    fs::write(&file, good).expect("a file");
    let status = scene.cli.status().await;
    assert!(obstacles(&status).contains("not finished"), "{status:#}");
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_from_before_a_restart_of_the_tail_is_refused() {
    let scene = Scene::set(78, Mode::Sequence).await;
    scene.put(0..20).await;
    let tail = begin(&scene.stage).await;
    scene.cli.until_caught_up().await;
    let arn = scene.export().await;
    tail.kill().await;
    // Lanes that have read something, and a restart that is not one of several at once.
    let restart = ["replicate", "--restart-tail"];
    let tail = scene.cli.start(&restart);
    let restarted = |status: &Value| obstacles(status).contains("a repair is mandatory");
    scene.cli.until("the restart", restarted).await;
    scene.cli.until_captured().await;
    scene
        .refused(&arn, &["the tail was restarted", "dynasplit abandon"])
        .await;
    tail.signal("TERM");
    tail.end().await.with_code(&restart, 0);
}

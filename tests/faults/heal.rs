//! Gaps that are healed from incremental exports: what the exports name is healed beside a live tail, what they cannot name is left for the
//! verify, a process dies at each step, and everything that may be wrong with an export.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dynasplit::state::{HealRecord, SplitRecord, Store};
use serde_json::Value;

use super::course::{self, HABITS, copied, delete, order, put, stream, until_seen};
use super::restarts::switch;
use crate::support::age::set_back;
use crate::support::contents;
use crate::support::failpoints;
use crate::support::faulty::exports::{packed, sums};
use crate::support::faulty::{Lie, Script};
use crate::support::long::in_the_long_run;
use crate::support::objects::{Objects, Wrong};
use crate::support::process::{Cli, Done, Running, obstacles};
use crate::support::stage::Stage;
use crate::support::table;
use crate::support::trial::{Mode, Stamps};

const BUCKET: &str = "heals";
const HEAL: [&str; 7] = [
    "heal",
    "--from-exports",
    "--to",
    "s3://heals/gap",
    "--yes",
    "--output",
    "json",
];
const CONTINUE: [&str; 5] = ["heal", "--from-exports", "--yes", "--output", "json"];
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Longer than the margin behind the pin, and DynamoDB's delay, together.
const LATER: Duration = Duration::from_secs(25 * 60);

/// A split, an S3 server, and commands that use both.
struct Scene {
    stage: Stage,
    objects: Objects,
    cli: Cli,
}

impl Scene {
    async fn set(seed: u64, mode: Mode) -> Self {
        let objects = Objects::start(&[BUCKET]).await;
        let stage = course::set(Script::quiet(seed).shards(2), mode).await;
        stage.engine.faults().exports().into(objects.root());
        let cli = stage.cli.with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
        Self { stage, objects, cli }
    }

    async fn put(&self, ids: std::ops::Range<usize>, at: u64, name: &str) {
        for id in ids {
            put(&self.stage, id, at, name).await;
        }
    }

    /// A split that has copied 30 items and followed one more, and whose tail has stopped.
    async fn followed(seed: u64, mode: Mode) -> Self {
        let scene = Self::set(seed, mode).await;
        scene.put(0..30, 1, "there before").await;
        let tail = copied(&scene.stage).await;
        put(&scene.stage, 60, 1, "comes and goes").await;
        until_seen(&scene.stage, "orders", 1).await;
        scene.cli.until_caught_up().await;
        scene.stop(tail).await;
        scene.date(2 * DAY_MS).await;
        scene
    }

    /// What was written so far was written so long ago. Only the item 60 came just now.
    async fn date(&self, ago_ms: u64) {
        stream(&self.stage).take_in().await;
        let changes = self.stage.engine.faults().exports().changes();
        changes.age(&self.stage.trial.source, ago_ms);
        changes.date_item(&self.stage.trial.source, "DOC#60", changes.now_ms());
    }

    /// The journal.
    async fn record(&self) -> HealRecord {
        let store = Store::new(self.stage.client.clone(), &self.stage.trial.state_table());
        let found = store.get::<HealRecord>(HealRecord::NAME).await;
        found.expect("the state can be read").expect("a journal").value
    }

    /// The stream forgets what it holds, and nobody has followed it for a day.
    async fn forgotten(&self) {
        for shard in stream(&self.stage).shards().await {
            stream(&self.stage).trim(&shard.id).await;
        }
        set_back(&self.stage, DAY_MS).await;
        let store = Store::new(self.stage.client.clone(), &self.stage.trial.state_table());
        let captured = SplitRecord::change(&store, |record| {
            for stream in &mut record.streams {
                stream.captured_ms = stream.captured_ms.map(|at| at - DAY_MS - HOUR_MS);
            }
        });
        captured.await.expect("the state can be written");
    }

    /// Time passes by DynamoDB's clock.
    async fn pass(&self) {
        stream(&self.stage).take_in().await;
        let faults = self.stage.engine.faults();
        faults.pass(LATER, &self.stage.trial.source).await;
    }

    /// A split with a gap: items were changed, deleted and created, some of them half a day ago. The item 60 came before the tail stopped, and
    /// went after that, so no export names it.
    async fn gap(seed: u64, mode: Mode) -> Self {
        let scene = Self::followed(seed, mode).await;
        scene.put(0..5, 2, "changed early").await;
        delete(&scene.stage, 5).await;
        scene.date(12 * HOUR_MS).await;
        scene.put(10..15, 2, "changed").await;
        for id in 15..18 {
            delete(&scene.stage, id).await;
        }
        scene.put(40..45, 1, "created").await;
        delete(&scene.stage, 60).await;
        stream(&scene.stage).take_in().await;
        scene.forgotten().await;
        scene
    }

    /// A worker notices the gap, and stops.
    async fn noticed(&self) -> Value {
        let tail = self.cli.start(&["replicate"]);
        let noticed = |status: &Value| obstacles(status).contains("gap in orders");
        let status = self.cli.until("the gap", noticed).await;
        tail.signal("TERM");
        tail.end().await.with_code(&["replicate"], 3);
        status
    }

    async fn heal(&self) -> Value {
        json(&self.cli.succeed(&HEAL).await)
    }

    /// A heal that must fail, with this in its message.
    async fn refused(&self, words: &[&str], expected: &[&str]) -> Done {
        let done = self.cli.run(words).await.with_code(words, 1);
        for text in expected {
            assert!(done.stderr.contains(text), "{text:?} is not in {}", done.stderr);
        }
        done
    }

    async fn follow(&self) -> Running {
        let tail = self.cli.start(&["replicate"]);
        self.cli.until_captured().await;
        tail
    }

    async fn stop(&self, tail: Running) {
        tail.signal("TERM");
        tail.end().await.with_code(&["replicate"], 0);
    }

    /// The folder of an export.
    fn folder(&self, arn: &str) -> PathBuf {
        let id = arn.rsplit('/').next().expect("an id");
        self.objects.root().join(BUCKET).join("gap/AWSDynamoDB").join(id)
    }

    /// The tables differ in exactly these orders: they have them, and should not.
    async fn extra(&self, expected: &[usize]) {
        for (table, wanted) in self.stage.trial.expected(&self.stage.client).await {
            let found = contents::read(&self.stage.client, table).await;
            let extra: Vec<_> = found.keys().filter(|key| !wanted.contains_key(*key)).collect();
            let is_named = |id: &usize| {
                extra
                    .iter()
                    .any(|key| format!("{key:?}").contains(&format!("{id}\"")))
            };
            let is_of_orders = table == self.stage.trial.orders || table == self.stage.trial.names;
            if is_of_orders {
                assert_eq!(extra.len(), expected.len(), "{table}: {extra:?}");
                assert!(expected.iter().all(is_named), "{table}: {extra:?}");
            }
            let missing: Vec<_> = wanted.keys().filter(|key| !found.contains_key(*key)).collect();
            assert!(missing.is_empty(), "{table} lacks {missing:?}");
        }
    }

    /// A complete repair and a clean verify end the duty, and every table is as it should be.
    async fn end(&self, tail: Running) {
        self.cli.until_caught_up().await;
        let words = ["verify", "--repair"];
        let repaired = self.cli.run(&words).await;
        assert!([Some(0), Some(3)].contains(&repaired.code), "{}", repaired.stderr);
        let before = self.cli.status().await;
        let is_required = obstacles(&before).contains("repair");
        assert_eq!(is_required, repaired.code == Some(3), "{before:#}");
        self.cli.succeed(&["verify"]).await;
        let status = self.cli.status().await;
        assert_eq!(status["obstacles"], serde_json::json!([]), "{status:#}");
        self.stage
            .trial
            .assert_equal(&self.stage.client, Stamps::Stripped)
            .await;
        self.stop(tail).await;
    }
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {}", done.stdout))
}

/// Missing and different items are healed by the keys of two exports. An item that came and went within one of them is in none: it is left to
/// the verify, so the duty to repair stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_healed_and_what_came_and_went_is_left_to_the_verify() {
    in_the_long_run!(a_gap_is_healed_and_what_came_and_went_is_left_to_the_verify);
    for mode in [Mode::Sequence, Mode::Timestamp] {
        let scene = Scene::gap(90, mode).await;
        let status = scene.noticed().await;
        let forecast = json(
            &scene
                .cli
                .succeed(&["heal", "--from-exports", "--dry-run", "--output", "json"])
                .await,
        );
        assert_eq!(
            (&forecast["exports"], &forecast["restarts"]),
            (&2.into(), &true.into())
        );
        assert!(
            forecast["changes"].as_u64().is_some_and(|changes| changes > 0),
            "{forecast:#}"
        );
        let after = scene.cli.status().await;
        assert_eq!(
            after["lanes"][0]["gap"], status["lanes"][0]["gap"],
            "nothing was changed"
        );
        assert!(after["heal"].is_null());
        // It waits until DynamoDB can export the time behind the pin, and shows so.
        let healing = scene.cli.start(&HEAL);
        let waits = |status: &Value| {
            let running = status["running"].to_string();
            running.contains("can export the changes until") && status["heal"]["healed"] == 1
        };
        scene.cli.until("the wait for the second export", waits).await;
        let status = scene.cli.status().await;
        assert!(
            obstacles(&status).contains("the heal of a gap has not ended"),
            "{status:#}"
        );
        let refused = scene.cli.run(&HEAL).await.with_code(&HEAL, 1);
        assert!(
            refused.stderr.contains("another repair of this split is running"),
            "{}",
            refused.stderr
        );
        scene.pass().await;
        let healed = json(&healing.end().await.with_code(&HEAL, 0));
        // Early: six keys; and in the second export, eight that changed or went, and five that came.
        assert_eq!(healed["keys"], 19, "{healed:#}");
        // Each of them is in two tables.
        assert_eq!(healed["repaired"], 38, "{healed:#}");
        assert_eq!(healed["exports"].as_array().map(Vec::len), Some(2), "{healed:#}");
        assert_eq!(healed["billed_bytes"], 2_000_000);
        assert!(
            healed["next"].to_string().contains("dynasplit replicate"),
            "{healed:#}"
        );
        scene.extra(&[60]).await;
        let tail = scene.follow().await;
        let status = scene.cli.status().await;
        assert!(status["heal"]["finished_ms"].is_u64(), "{status:#}");
        assert_eq!(status["tombstones"], serde_json::json!({}), "{status:#}");
        assert!(obstacles(&status).contains("a repair is mandatory"), "{status:#}");
        assert!(
            status["next"].to_string().contains("verify --repair"),
            "{status:#}"
        );
        // Once more changes nothing.
        let again = scene.heal().await;
        assert_eq!(
            (&again["keys"], &again["repaired"]),
            (&healed["keys"], &healed["repaired"])
        );
        assert_eq!(scene.stage.engine.faults().exports().count(), 2);
        scene.cli.until_caught_up().await;
        let words = ["verify", "--output", "json"];
        let verified = json(&scene.cli.run(&words).await.with_code(&words, 3));
        assert_eq!(verified["total_mismatches"], 2, "{verified:#}");
        assert!(
            verified["mismatches"].to_string().contains("extra"),
            "{verified:#}"
        );
        scene.end(tail).await;
        scene.refused(&HEAL, &["there is nothing to heal"]).await;
    }
}

/// The tail follows and the applications write while the keys are read again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_healed_beside_writers_and_a_live_tail() {
    in_the_long_run!(a_gap_is_healed_beside_writers_and_a_live_tail);
    for mode in [Mode::Sequence, Mode::Timestamp] {
        let scene = Scene::set(91, mode).await;
        let mutator = scene.stage.write(HABITS).await;
        let tail = copied(&scene.stage).await;
        course::until_more(&scene.stage, "orders", 30).await;
        scene.stop(tail).await;
        let written = mutator.so_far().total();
        let more = async {
            while mutator.so_far().total() < written + 150 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        course::in_time("writes that are lost", more).await;
        scene.forgotten().await;
        scene.pass().await;
        let healing = scene.cli.start(&HEAL);
        let pinned = |status: &Value| !status["heal"].is_null();
        scene.cli.until("the pin", pinned).await;
        let tail = scene.follow().await;
        let done = healing.end().await;
        assert!([Some(0), Some(3)].contains(&done.code), "{}", done.stderr);
        let healed = json(&done);
        assert!(healed["repaired"].as_u64() > Some(0), "{healed:#}");
        mutator.stop().await;
        scene.end(tail).await;
    }
}

/// Between two streams, no record tells of what was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_while_the_stream_was_off_is_healed() {
    let scene = Scene::followed(92, Mode::Sequence).await;
    switch(&scene.stage, false).await;
    scene.put(0..4, 2, "changed").await;
    delete(&scene.stage, 7).await;
    stream(&scene.stage).take_in().await;
    switch(&scene.stage, true).await;
    scene.pass().await;
    let healed = scene.heal().await;
    assert_eq!(healed["repaired"], 10, "{healed:#}");
    scene.extra(&[]).await;
    let tail = scene.follow().await;
    scene.end(tail).await;
}

/// A write at the very moment at which one export ends and the next one begins is in one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_at_the_seam_of_two_exports_is_healed() {
    in_the_long_run!(a_change_at_the_seam_of_two_exports_is_healed);
    let scene = Scene::followed(93, Mode::Sequence).await;
    put(&scene.stage, 3, 2, "changed at the seam").await;
    stream(&scene.stage).take_in().await;
    scene.forgotten().await;
    scene.pass().await;
    let dying = scene.cli.armed("heal.begun=kill").run(&HEAL).await;
    assert_eq!(dying.killed_at(), Some("heal.begun"), "{}", dying.stderr);
    let record = scene.record().await;
    assert_eq!(record.windows.len(), 2, "{record:#?}");
    let seam_ms = record.windows[0].to_ms;
    let changes = scene.stage.engine.faults().exports().changes();
    changes.date_last(&scene.stage.trial.source, 1, seam_ms);
    let healed = json(&scene.cli.succeed(&CONTINUE).await);
    assert!(healed["repaired"].as_u64() >= Some(2), "{healed:#}");
    let tail = scene.follow().await;
    scene.cli.until_caught_up().await;
    scene.cli.succeed(&["verify"]).await;
    scene.end(tail).await;
}

/// A process dies at each step; the same command goes on, asks for no export twice, and reads on at the line that it had reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_at_any_step_is_continued_by_the_same_command() {
    in_the_long_run!(a_process_that_dies_at_any_step_is_continued_by_the_same_command);
    let scene = Scene::gap(94, Mode::Sequence).await;
    // One file of an export has several pages.
    let name = "n".repeat(60_000);
    let items = (100..260).map(|id| order(id, 1, &name));
    table::put_all(&scene.stage.client, &scene.stage.trial.source, items).await;
    scene.pass().await;
    let points: BTreeSet<String> = failpoints::points()
        .filter(|point| failpoints::is_of_heal(point))
        .collect();
    assert_eq!(points.len(), 8, "{points:?}");
    // In the order in which a heal reaches them.
    let faults = [
        "restart.begun",
        "capture.pinned",
        "heal.pinned",
        "state.heal.put.before",
        "state.heal.put.after",
        "heal.begun",
        "export.request.before",
        "export.request.after",
        "export.request.after",
        "heal.tombstones-on",
        "repair.put.before",
        "repair.put.after@3",
        "heal.page",
        "heal.page@2",
        "state.heal.put.after@3",
        "heal.window-done",
        "heal.page@4",
        "tombstones.landed",
        "tombstones.off",
        "tombstones.swept",
        "heal.swept",
    ];
    let named: BTreeSet<String> = faults
        .iter()
        .filter_map(|fault| fault.split('@').next())
        .map(str::to_owned)
        .collect();
    assert!(points.is_subset(&named), "{points:?}");
    for fault in faults {
        let dying = scene.cli.armed(&format!("{fault}=kill")).run(&HEAL).await;
        assert_eq!(
            dying.killed_at(),
            fault.split('@').next(),
            "{fault}: {}",
            dying.stderr
        );
    }
    // For a while, the process that died counts as running.
    let interrupted = |status: &Value| obstacles(status).contains("the heal of a gap was interrupted");
    let status = scene.cli.until("the end of the process", interrupted).await;
    assert!(
        obstacles(&status).contains("heal --from-exports --yes"),
        "{status:#}"
    );
    let healed = json(&scene.cli.succeed(&CONTINUE).await);
    let exports = scene.stage.engine.faults().exports();
    assert_eq!(exports.count(), 2, "a token asks for one export: {healed:#}");
    let windows = exports.windows();
    assert_eq!(windows[0].1, windows[1].0, "without a break");
    scene.extra(&[60]).await;
    let tail = scene.follow().await;
    scene.end(tail).await;
}

/// Each of these is told in one error, nothing is lost, and the same command goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_export_is_told_and_the_same_command_goes_on() {
    in_the_long_run!(what_is_wrong_with_an_export_is_told_and_the_same_command_goes_on);
    let scene = Scene::gap(95, Mode::Sequence).await;
    scene.pass().await;
    let exports = scene.stage.engine.faults().exports();
    scene
        .refused(&CONTINUE, &["no bucket is known", "--to s3://BUCKET/PREFIX"])
        .await;
    for (code, expected) in [
        (
            "PointInTimeRecoveryUnavailableException",
            "enable it for the source",
        ),
        ("InvalidExportTimeException", "within the restorable period"),
        (
            "ExportConflictException",
            "another request for this export is under way",
        ),
        ("LimitExceededException", "AWS allows 300 at once"),
    ] {
        exports.refuse_next(code);
        scene.refused(&HEAL, &[code, expected]).await;
    }
    exports.fail_next("S3NoSuchBucket");
    scene
        .refused(&HEAL, &["S3NoSuchBucket", "which requests a new export"])
        .await;
    let again = [&CONTINUE[..], &["--new-exports"]].concat();
    for (lie, expected) in [
        (Lie::OtherId, "(table id another-id)"),
        (Lie::OtherTable, "is an export of"),
        (Lie::Filtered, "was made with a filter"),
        (Lie::OtherWindow, "is about the time from"),
        (Lie::Full, "FULL_EXPORT"),
    ] {
        exports.lie_next(lie);
        scene.refused(&again, &[expected, "--new-exports"]).await;
        scene.refused(&CONTINUE, &[expected]).await;
    }
    let dying = scene.cli.armed("heal.tombstones-on=kill").run(&again).await;
    assert_eq!(dying.killed_at(), Some("heal.tombstones-on"), "{}", dying.stderr);
    let record = scene.record().await;
    let arn = record.windows[0]
        .request
        .clone()
        .and_then(|request| request.arn)
        .expect("an ARN");
    let folder = scene.folder(&arn);
    let objects = &scene.objects;
    let error = |code, message: &str, region| Wrong::Error(403, code, message.to_owned(), region);
    for (path, wrong, expected) in [
        (
            "manifest-files.json",
            error("PermanentRedirect", "use the endpoint", Some("eu-west-9")),
            ["the bucket is in the region eu-west-9", "--s3-region eu-west-9"],
        ),
        (
            "manifest-summary",
            error("AccessDenied", "Access Denied", None),
            ["allow s3:GetObject on arn:aws:s3:::heals/gap/", "another account"],
        ),
        (
            "/data/",
            error("KMS.DisabledException", "the key is disabled", None),
            ["KMS.DisabledException", "enabled"],
        ),
    ] {
        objects.wrong(path, wrong, u32::MAX);
        scene.refused(&CONTINUE, &expected).await;
        objects.behave();
    }
    let manifest = fs::read_to_string(folder.join("manifest-files.json")).expect("a manifest");
    let write = |name: &str, text: &[u8]| fs::write(folder.join(name), text).expect("a file");
    // One whole line, which has not all items.
    let cut = manifest
        .lines()
        .find(|line| !line.contains("\"itemCount\":0"))
        .expect("a file")
        .as_bytes();
    write("manifest-files.json", cut);
    scene
        .refused(&CONTINUE, &["manifest-files.json is damaged", "its MD5 sum"])
        .await;
    write("manifest-files.md5", sums(cut).1.as_bytes());
    scene
        .refused(&CONTINUE, &["files are missing", "--new-exports"])
        .await;
    write("manifest-files.json", manifest.as_bytes());
    write("manifest-files.md5", sums(manifest.as_bytes()).1.as_bytes());
    // A file that is gone, another one, and one whose line is no change.
    let lines: Vec<Value> = manifest
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let entry = lines
        .iter()
        .find(|line| line["itemCount"].as_u64() > Some(0))
        .expect("a file");
    let file = objects
        .root()
        .join(BUCKET)
        .join(entry["dataFileS3Key"].as_str().expect("a key"));
    let good = fs::read(&file).expect("a file");
    fs::remove_file(&file).expect("a file");
    scene.refused(&CONTINUE, &["NoSuchKey"]).await;
    let items = usize::try_from(entry["itemCount"].as_u64().expect("a count")).expect("few");
    let bad = packed(
        "{\"Item\":{\"PK\":{\"S\":\"x\"},\"SK\":{\"S\":\"y\"}}}\n"
            .repeat(items)
            .as_bytes(),
    );
    fs::write(&file, &bad).expect("a file");
    scene
        .refused(&CONTINUE, &["is not the object that DynamoDB wrote", "MD5"])
        .await;
    let mut changed = lines.clone();
    let place = lines.iter().position(|line| line == entry).expect("a line");
    (changed[place]["md5Checksum"], changed[place]["etag"]) = (sums(&bad).1.into(), sums(&bad).0.into());
    let changed: String = changed.iter().map(|line| format!("{line}\n")).collect();
    write("manifest-files.json", changed.as_bytes());
    write("manifest-files.md5", sums(changed.as_bytes()).1.as_bytes());
    scene
        .refused(
            &CONTINUE,
            &["is another one than when the heal began", "--new-exports"],
        )
        .await;
    fs::write(&file, &good).expect("a file");
    write("manifest-files.json", manifest.as_bytes());
    write("manifest-files.md5", sums(manifest.as_bytes()).1.as_bytes());
    // What passes is waited for.
    objects.wrong(
        "/data/",
        Wrong::Error(503, "SlowDown", "Reduce your request rate".into(), None),
        5,
    );
    objects.wrong("/data/", Wrong::CutOff, 3);
    let healed = json(&scene.cli.succeed(&CONTINUE).await);
    assert_eq!(healed["keys"], 19, "{healed:#}");
    scene.extra(&[60]).await;
    let tail = scene.follow().await;
    scene.end(tail).await;
}

/// Nothing is restarted or requested if exports cannot heal the gap, and each refusal names the way that always works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_that_exports_cannot_heal_is_refused_before_anything_is_changed() {
    in_the_long_run!(a_gap_that_exports_cannot_heal_is_refused_before_anything_is_changed);
    let scene = Scene::set(96, Mode::Sequence).await;
    scene.put(0..10, 1, "there before").await;
    let tail = copied(&scene.stage).await;
    scene.cli.until_caught_up().await;
    scene.refused(&HEAL, &["there is nothing to heal"]).await;
    scene.stop(tail).await;
    put(&scene.stage, 3, 2, "changed").await;
    scene.forgotten().await;
    scene.pass().await;
    let unconfirmed = &HEAL[..4];
    let done = scene.cli.run(unconfirmed).await.with_code(unconfirmed, 2);
    assert!(done.stderr.contains("confirm it with --yes"), "{}", done.stderr);
    let exports = scene.stage.engine.faults().exports();
    exports.recovery(false);
    scene
        .refused(&HEAL, &["point-in-time recovery of", "is off", "verify --repair"])
        .await;
    exports.recovery(true);
    exports.recovery_begins(exports.now_ms() - 12 * HOUR_MS);
    scene
        .refused(&HEAL, &["keeps them only since", "verify --repair"])
        .await;
    exports.recovery_begins(exports.now_ms() - 2 * DAY_MS);
    let status = scene.cli.status().await;
    assert!(
        !obstacles(&status).contains("a repair is mandatory"),
        "the tail was not restarted: {status:#}"
    );
    assert!(status["heal"].is_null() && exports.count() == 0, "{status:#}");
    let healed = scene.heal().await;
    assert_eq!(healed["repaired"], 2, "{healed:#}");
    let tail = scene.follow().await;
    scene.end(tail).await;
}

/// A vouch does not say which item of the table belongs to a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapping_that_is_only_vouched_for_is_refused() {
    let mut scene = Scene::set(97, Mode::Sequence).await;
    let proven = "from: { PK: 'ACC#{account}', SK: 'DOC#{document}' }\n        to: { id: '{account}', document: '{document}' }";
    let vouched = "from: { name: '{name}', SK: 'DOC#{document}' }\n        to: { id: '{name}', document: '{document}' }\n        \
                   vouch: nobody gives two documents one name here";
    let cli = scene.stage.edited(proven, vouched);
    scene.stage.cli = cli.clone();
    scene.cli = cli.with_variable("AWS_ENDPOINT_URL_S3", scene.objects.endpoint());
    scene.put(0..3, 1, "a name").await;
    let tail = scene.cli.begin().await;
    scene
        .refused(
            &HEAL,
            &["the key mapping of names is not proven", "verify --repair"],
        )
        .await;
    scene.stop(tail).await;
}

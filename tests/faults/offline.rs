//! A split of a table whose writers are stopped: exports, shaped files and imports, deaths at each step, imports that fail, and
//! everything that would lose an item or delete a table of somebody else.

use std::fs;
use std::path::PathBuf;

use aws_sdk_dynamodb::types::{TimeToLiveSpecification, TimeToLiveStatus};
use serde_json::Value;

use super::course::set;
use crate::support::faulty::exports::packed;
use crate::support::faulty::imports::ImportEnd;
use crate::support::faulty::{Fault, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::objects::{Objects, Wrong};
use crate::support::process::{Cli, Done};
use crate::support::stage::Stage;
use crate::support::table::{self, SdkItem, item, key, number, text};
use crate::support::trial::{Mode, Stamps};

const BUCKET: &str = "exports";
const TO: &str = "s3://exports/offline";

/// A source at rest, an S3 server, and commands that use both.
struct Scene {
    stage: Stage,
    objects: Objects,
    cli: Cli,
}

impl Scene {
    async fn set(seed: u64) -> Self {
        let objects = Objects::start(&[BUCKET]).await;
        let stage = set(Script::quiet(seed), Mode::Timestamp).await;
        stage.engine.faults().exports().into(objects.root());
        stage.engine.faults().imports().of(objects.root());
        let cli = stage.cli.with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
        let scene = Self { stage, objects, cli };
        scene.put_all(0..60).await;
        scene
    }

    async fn put_all(&self, ids: std::ops::Range<usize>) {
        let items = ids.map(source_item);
        table::put_all(&self.stage.client, &self.stage.trial.source, items).await;
    }

    /// The writers have stopped a while ago.
    fn stopped(&self) -> String {
        (self.stage.engine.faults().exports().now_ms() - 90_000).to_string()
    }

    fn words<'a>(&self, step: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["offline", step, "--to", TO, "--output", "json"], more].concat()
    }

    async fn step(&self, step: &str, more: &[&str], code: i32) -> Done {
        let words = self.words(step, more);
        self.cli.run(&words).await.with_code(&words, code)
    }

    async fn run(&self, more: &[&str], code: i32) -> Done {
        self.step("run", more, code).await
    }

    /// A command that must be refused, with this in its message.
    async fn refused(&self, step: &str, more: &[&str], expected: &[&str]) -> Done {
        let done = self.step(step, more, 1).await;
        let told = done.stdout.clone() + &done.stderr;
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in expected {
            assert!(told.contains(text), "{text:?} is not in {told}");
        }
        done
    }

    /// Everything is as it should be.
    async fn exact(&self, done: &Done) {
        let report: Value = serde_json::from_str(&done.stdout).expect("one document");
        assert_eq!(report["done"], true, "{report:#}");
        self.stage
            .trial
            .assert_equal(&self.stage.client, Stamps::Gone)
            .await;
    }

    fn file(&self, path: &str) -> PathBuf {
        self.objects.root().join(BUCKET).join("offline").join(path)
    }

    /// A shaped file of a service.
    fn shaped(&self, service: &str) -> PathBuf {
        let folder = self.file(&format!("shaped-1/tables/{service}"));
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .expect("shaped files")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        files.remove(0)
    }

    /// The folder of the export, and one of its files with items.
    fn exported(&self) -> (PathBuf, PathBuf) {
        let folder = fs::read_dir(self.file("export/AWSDynamoDB"))
            .expect("exports")
            .next();
        let folder = folder.expect("an export").expect("an entry").path();
        let mut files = fs::read_dir(folder.join("data"))
            .expect("files")
            .map(|entry| entry.expect("an entry").path());
        let data = files.find(|path| fs::metadata(path).expect("a file").len() > 60);
        (folder, data.expect("a file with items"))
    }

    async fn exists(&self, table: &str) -> bool {
        let asked = self.stage.client.describe_table().table_name(table).send();
        asked.await.is_ok()
    }

    async fn delete_table(&self, table: &str) {
        let deleted = self.stage.client.delete_table().table_name(table).send();
        deleted.await.expect("the table is deleted");
    }
}

/// Orders, invoices with and without a name, and archived items, which are left behind.
fn source_item(id: usize) -> SdkItem {
    let kind = ["order", "invoice", "archive"][id % 3];
    let mut item = item(
        &format!("ACC#{}", id / 3),
        &format!("DOC#{id}"),
        [
            ("kind", text(kind)),
            ("at", number(id)),
            ("amount", number(id * 7)),
        ],
    );
    if id.is_multiple_of(2) {
        item.insert("name".into(), text(format!("name {id}")));
    }
    item
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_at_rest_is_split_with_no_write_of_the_product() {
    let scene = Scene::set(80).await;
    // The stop was just now, so that the undefined minute must pass.
    let stopped = scene.stage.engine.faults().exports().now_ms().to_string();
    let words = scene.words("run", &["--writers-stopped", &stopped]);
    let mut running = scene.cli.start(&words);
    let source = &scene.stage.trial.source;
    running.until_told("began the journal").await;
    assert_eq!(
        scene.stage.engine.faults().exports().count(),
        0,
        "a minute is missing"
    );
    let faults = scene.stage.engine.faults();
    faults.pass(std::time::Duration::from_secs(90), source).await;
    let done = running.end().await.with_code(&words, 0);
    scene.exact(&done).await;
    for table in [
        &scene.stage.trial.orders,
        &scene.stage.trial.invoices,
        &scene.stage.trial.names,
    ] {
        for write in ["PutItem", "BatchWriteItem", "UpdateItem"] {
            assert_eq!(faults.asked(write, table), 0, "{write} on {table}");
        }
    }
    let ttl = scene
        .stage
        .client
        .describe_time_to_live()
        .table_name(&scene.stage.trial.invoices);
    let ttl = ttl.send().await.expect("an answer").time_to_live_description;
    let ttl = ttl.and_then(|ttl| ttl.time_to_live_status);
    assert_eq!(ttl, Some(TimeToLiveStatus::Enabled), "after the comparison");
    // Nothing is left to do, and nothing is done.
    let again = scene.run(&[], 0).await;
    assert_eq!(faults.imports().count(), 3);
    assert!(again.stdout.contains("start the services"), "{}", again.stdout);
    let status = scene.step("status", &[], 0).await;
    assert!(
        status.stdout.contains("\"step\": \"verify\""),
        "{}",
        status.stdout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_each_step_is_continued_by_the_same_command() {
    let scene = Scene::set(81).await;
    let stopped = scene.stopped();
    let words = scene.words("run", &["--writers-stopped", &stopped, "--threads", "1"]);
    for point in [
        "s3.object.before",
        "s3.object.after",
        "export.request.before",
        "export.request.after",
        "offline.exported",
        // In the middle of the files, and behind one of them.
        "s3.object.after@4",
        "offline.file-shaped@2",
        "import.request.before",
        "import.request.after",
        "import.request.after@2",
        "import.ended",
        "s3.object.before",
        "offline.verified",
        "complete.ttl.before",
    ] {
        let dying = scene.cli.armed(&format!("{point}=kill"));
        let done = dying.run(&words).await;
        assert_eq!(done.killed_at(), point.split('@').next(), "{}", done.stderr);
    }
    let done = scene.run(&[], 0).await;
    scene.exact(&done).await;
    let faults = scene.stage.engine.faults();
    assert_eq!(
        (faults.exports().count(), faults.imports().count()),
        (1, 3),
        "each was made once"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_and_a_slow_server_change_nothing() {
    let scene = Scene::set(82).await;
    let lossy = "s3.object.after@/3=error,import.request.after=error,export.request.after=error";
    scene.objects.wrong(
        "/data/",
        Wrong::Error(503, "SlowDown", "Reduce your request rate".into(), None),
        4,
    );
    scene.objects.wrong("/data/", Wrong::CutOff, 2);
    let words = scene.words("run", &["--writers-stopped", "1"]);
    let stopped = scene.stopped();
    let words: Vec<&str> = words
        .into_iter()
        .map(|word| if word == "1" { stopped.as_str() } else { word })
        .collect();
    let mut done = scene.cli.armed(lossy).run(&words).await;
    // It knows its own journal again, although the answer to a change of it was lost.
    assert!(!done.stderr.contains("another process"), "{}", done.stderr);
    // A lost answer to ImportTable or to the request of the export ends the command, which then continues.
    for _ in 0..3 {
        if done.code == Some(0) {
            break;
        }
        done = scene.cli.run(&words).await;
    }
    scene.exact(&done.with_code(&words, 0)).await;
    assert_eq!(scene.stage.engine.faults().imports().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_the_one_that_began_last_continues() {
    let scene = Scene::set(83).await;
    let stopped = scene.stopped();
    let words = scene.words("run", &["--writers-stopped", &stopped]);
    let mut first = scene.cli.armed("offline.file-shaped=stop").start(&words);
    first.until_stopped().await;
    let done = scene.run(&[], 0).await;
    first.signal("CONT");
    let ended = first.end().await.with_code(&words, 4);
    assert!(
        ended.stderr.contains("another process continues"),
        "{}",
        ended.stderr
    );
    scene.exact(&done).await;
    assert_eq!(scene.stage.engine.faults().imports().count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_after_the_stop_is_found_and_not_by_the_copied_export() {
    let scene = Scene::set(84).await;
    let stopped = scene.stopped();
    scene.step("export", &["--writers-stopped", &stopped], 0).await;
    scene.step("shape", &[], 0).await;
    scene.step("import", &[], 0).await;
    // A writer that nobody knew of.
    scene.put_all(60..61).await;
    let trial = &scene.stage.trial;
    let delete = scene.stage.client.delete_item().table_name(&trial.source);
    let deleted = delete.set_key(Some(key("ACC#1", "DOC#3"))).send();
    deleted.await.expect("the item is deleted");
    let status = scene.step("status", &[], 0).await;
    let status: Value = serde_json::from_str(&status.stdout).expect("one document");
    let copied = status["export"].as_str().expect("an ARN");
    scene
        .refused("verify", &["--against", copied], &["is the one that was copied"])
        .await;
    let words = scene.words("verify", &[]);
    let found = scene.cli.run(&words).await.with_code(&words, 3);
    let report: Value = serde_json::from_str(&found.stdout).expect("one document");
    assert_eq!(report["comparison"]["clean"], false);
    let orders = &report["comparison"]["services"][0]["mismatches"];
    assert_eq!(
        (&orders["missing"], &orders["extra"]),
        (&1.into(), &1.into()),
        "{report:#}"
    );
    let ttl = scene
        .stage
        .client
        .describe_time_to_live()
        .table_name(&trial.invoices);
    let ttl = ttl.send().await.expect("an answer").time_to_live_description;
    assert_ne!(
        ttl.and_then(|ttl| ttl.time_to_live_status),
        Some(TimeToLiveStatus::Enabled),
        "TTL stays off"
    );
    // A later export shows it as well, and reads nothing of the source.
    let faults = scene.stage.engine.faults();
    let later = faults
        .export(&trial.source, BUCKET, faults.exports().now_ms() + 600_000)
        .await;
    let scans = faults.asked("Scan", &trial.source);
    let words = scene.words("verify", &["--against", &later]);
    let found = scene.cli.run(&words).await.with_code(&words, 3);
    assert!(
        found.stdout.contains(&later) || found.stderr.contains(&later),
        "{}",
        found.stderr
    );
    assert_eq!(faults.asked("Scan", &trial.source), scans);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_fails_is_told_and_only_its_own_table_is_deleted() {
    in_the_long_run!(an_import_that_fails_is_told_and_only_its_own_table_is_deleted);
    let scene = Scene::set(85).await;
    let stopped = scene.stopped();
    let trial = &scene.stage.trial;
    let imports = scene.stage.engine.faults().imports();
    imports.end_next([
        ImportEnd::FailedLate("ItemValidationError"),
        ImportEnd::FailedEarly("S3AccessDenied"),
        ImportEnd::Completed,
    ]);
    scene
        .refused(
            "run",
            &["--writers-stopped", &stopped],
            &[
                "the import of orders into",
                "ItemValidationError",
                "log-group:/aws-dynamodb/imports",
                "--delete-partial",
                "the import of invoices into",
                "S3AccessDenied",
                "It left no table",
            ],
        )
        .await;
    assert!(scene.exists(&trial.orders).await && !scene.exists(&trial.invoices).await);
    // Without the option, nothing is deleted.
    scene
        .refused("run", &[], &["has only a part of the items", "--delete-partial"])
        .await;
    assert!(scene.exists(&trial.orders).await);
    // Somebody made another table of that name.
    scene.delete_table(&trial.orders).await;
    table::create_with(&scene.stage.client, &trial.orders, &["PK", "SK"], false).await;
    scene
        .refused(
            "run",
            &["--delete-partial"],
            &[
                "nothing shows that the import made it",
                "dynasplit does not delete it",
            ],
        )
        .await;
    assert!(scene.exists(&trial.orders).await);
    scene.delete_table(&trial.orders).await;
    imports.end_next([ImportEnd::Short]);
    scene
        .refused(
            "run",
            &["--delete-partial"],
            &[
                "items were read",
                "were imported, and 0 had errors",
                "--delete-partial",
            ],
        )
        .await;
    // A death behind the deletion; the next process waits until no such request can come any more.
    let dying = scene.cli.armed("import.partial-table.after=kill");
    let words = scene.words("run", &["--delete-partial"]);
    assert_eq!(
        dying.run(&words).await.killed_at(),
        Some("import.partial-table.after")
    );
    let done = scene.run(&[], 0).await;
    scene.exact(&done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_objects_of_the_split_are_imported() {
    let scene = Scene::set(86).await;
    let stopped = scene.stopped();
    scene.step("export", &["--writers-stopped", &stopped], 0).await;
    scene
        .refused("import", &[], &["is not shaped", "offline shape"])
        .await;
    // Of the export, a file is another one, a part of the manifest is missing, or a file cannot be written on this machine.
    let (folder, data) = scene.exported();
    let before = fs::read(&data).expect("a file");
    fs::write(
        &data,
        packed(b"{\"Item\":{\"PK\":{\"S\":\"x\"},\"SK\":{\"S\":\"y\"}}}\n"),
    )
    .expect("a file");
    scene
        .refused("shape", &[], &["is not the object that DynamoDB wrote"])
        .await;
    fs::write(&data, &before).expect("a file");
    let manifest = fs::read(folder.join("manifest-files.json")).expect("a manifest");
    fs::write(
        folder.join("manifest-files.json"),
        &manifest[..manifest.len() / 2],
    )
    .expect("a manifest");
    scene
        .refused("shape", &[], &["manifest-files.json is damaged"])
        .await;
    fs::write(folder.join("manifest-files.json"), &manifest).expect("a manifest");
    let words = scene.words("shape", &[]);
    let nowhere = scene.cli.with_variable("TMPDIR", "/nowhere");
    let done = nowhere.run(&words).await.with_code(&words, 1);
    assert!(
        done.stderr.contains("name another one (TMPDIR)"),
        "{}",
        done.stderr
    );
    scene.step("shape", &[], 0).await;
    let file = scene.shaped("orders");
    let before = fs::read(&file).expect("an object");
    let other = file.with_file_name("99999-001.json.gz");
    fs::write(&other, &before).expect("an object");
    scene
        .refused("import", &[], &["was not written by this split", "remove it"])
        .await;
    fs::remove_file(&other).expect("an object");
    fs::write(&file, &before[..before.len() - 1]).expect("an object");
    scene
        .refused("import", &[], &["is not the object that dynasplit wrote"])
        .await;
    fs::remove_file(&file).expect("an object");
    scene.refused("import", &[], &["was removed", "begin anew"]).await;
    assert_eq!(scene.stage.engine.faults().imports().count(), 0);
    fs::write(&file, &before).expect("an object");
    let done = scene.run(&[], 0).await;
    scene.exact(&done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_end_is_refused_before_it_begins() {
    let scene = Scene::set(87).await;
    let (client, trial) = (&scene.stage.client, &scene.stage.trial);
    let faults = scene.stage.engine.faults();
    let stopped = scene.stopped();
    let begin = ["--writers-stopped", stopped.as_str()];
    scene.cli.succeed(&["apply"]).await;
    scene
        .refused("run", &begin, &["a live split of this plan has begun"])
        .await;
    let given_up = ["abandon", "--delete-targets", "--delete-state", "--yes"];
    scene.cli.succeed(&given_up).await;
    scene
        .refused("run", &[], &["--writers-stopped", "stop them"])
        .await;
    scene
        .refused(
            "run",
            &["--writers-stopped", "2100-01-01T00:00:00Z"],
            &["by the clock of AWS it is"],
        )
        .await;
    scene
        .refused("import", &[], &["no split was begun in", "`offline run`"])
        .await;
    faults.exports().recovery(false);
    scene
        .refused(
            "run",
            &begin,
            &["point-in-time recovery", "update-continuous-backups"],
        )
        .await;
    faults.exports().recovery(true);
    ttl(client, &trial.source, true).await;
    scene
        .refused("run", &begin, &["TTL of", "is on (expires)", "switch it off"])
        .await;
    ttl(client, &trial.source, false).await;
    table::create_with(client, &trial.names, &["id", "document"], false).await;
    scene
        .refused("run", &begin, &["exists, and an import makes a new one"])
        .await;
    scene.delete_table(&trial.names).await;
    let early = faults
        .export(&trial.source, BUCKET, faults.exports().now_ms() - 60_000)
        .await;
    scene
        .refused(
            "run",
            &[&begin[..], &["--export", &early]].concat(),
            &["is too early", "later export"],
        )
        .await;
    for (path, wrong, expected) in [
        (
            "offline/journal.json",
            Wrong::Error(403, "AccessDenied", "Access Denied".into(), None),
            "allow s3:GetObject on arn:aws:s3:::exports/offline/journal.json",
        ),
        (
            "/exports/",
            Wrong::Error(
                301,
                "PermanentRedirect",
                "use the endpoint".into(),
                Some("eu-west-9"),
            ),
            "--s3-region eu-west-9",
        ),
    ] {
        scene.objects.wrong(path, wrong, u32::MAX);
        scene.refused("run", &begin, &[expected]).await;
        scene.objects.behave();
    }
    // The plan cannot be imported.
    for (from, to, expected) in [
        (
            "  - name: invoices",
            "      local-indexes: [{ name: by-at, sort: { name: at, type: N } }]\n  - name: invoices",
            "has the local index by-at",
        ),
        (
            "  - name: invoices",
            "      adopted: true\n  - name: invoices",
            "is adopted, and an import makes a new table",
        ),
    ] {
        let cli = scene.stage.edited(from, to);
        let cli = cli.with_variable("AWS_ENDPOINT_URL_S3", scene.objects.endpoint());
        let words = scene.words("run", &begin);
        let done = cli.run(&words).await.with_code(&words, 1);
        assert!(
            done.stdout.contains(expected) || done.stderr.contains(expected),
            "{} {}",
            done.stdout,
            done.stderr
        );
    }
    // A permission that is missing is named, and the same command continues.
    let denied = faults.rule(Rule::new(Fault::Denied).on(&["ImportTable"]));
    scene.refused("run", &begin, &["dynamodb:ImportTable"]).await;
    denied.off();
    let done = scene.run(&[], 0).await;
    scene.exact(&done).await;
}

async fn ttl(client: &aws_sdk_dynamodb::Client, table: &str, on: bool) {
    let specification = TimeToLiveSpecification::builder()
        .enabled(on)
        .attribute_name("expires")
        .build()
        .expect("a specification");
    let update = client.update_time_to_live().table_name(table);
    let updated = update.time_to_live_specification(specification).send();
    updated.await.expect("TTL is changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_no_table_can_hold_stops_before_the_imports_until_the_plan_is_right() {
    let scene = Scene::set(88).await;
    let lost = item("ACC#9", "DOC#999", [("kind", text("receipt")), ("at", number(1))]);
    table::put(&scene.stage.client, &scene.stage.trial.source, lost).await;
    let stopped = scene.stopped();
    let done = scene.run(&["--writers-stopped", &stopped], 3).await;
    let report: Value = serde_json::from_str(&done.stdout).expect("one document");
    assert_eq!(report["shaped"]["refused"][0]["items"], 1, "{report:#}");
    scene
        .refused("import", &[], &["items were refused", "offline shape"])
        .await;
    assert_eq!(scene.stage.engine.faults().imports().count(), 0);
    let words = scene.words("run", &[]);
    let cli = scene
        .stage
        .edited(
            "left-behind: kind = 'archive'",
            "left-behind: kind = 'archive' OR kind = 'receipt'",
        )
        .with_variable("AWS_ENDPOINT_URL_S3", scene.objects.endpoint());
    let done = cli.run(&words).await.with_code(&words, 0);
    scene.exact(&done).await;
    assert_eq!(
        scene.stage.engine.faults().exports().count(),
        1,
        "the same export is shaped again"
    );
    assert!(scene.file("shaped-2").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ignores_conditions_is_refused() {
    let scene = Scene::set(89).await;
    scene.objects.ignore_conditions();
    let stopped = scene.stopped();
    scene
        .refused(
            "run",
            &["--writers-stopped", &stopped],
            &["ignores the conditions of writes"],
        )
        .await;
}

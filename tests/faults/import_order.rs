//! The import order: a live split whose tables DynamoDB makes of objects in S3. Deaths at each step, processes that were replaced,
//! imports that fail, and everything that would lose an item or touch a table that is left to an import.

use std::time::Duration;

use dynasplit::state::{ImportPhase, ImportsRecord, ShardRecord, StateError, Store};
use serde_json::Value;
use tempfile::TempDir;

use super::course::{HABITS, end, set};
use crate::support::faulty::Script;
use crate::support::faulty::imports::ImportEnd;
use crate::support::long::in_the_long_run;
use crate::support::mutator::Mutator;
use crate::support::objects::Objects;
use crate::support::process::{Cli, Done, Running, obstacles};
use crate::support::stage::Stage;
use crate::support::table::{self, SdkItem, item, number, text};
use crate::support::trial::Mode;

const BUCKET: &str = "imports";
const IMPORT: &[&str] = &["backfill", "--order", "import", "--segments", "4"];
const AUTO: &[&str] = &["backfill", "--order", "auto", "--output", "json"];
const RETRY: &[&str] = &["backfill", "--order", "import", "--delete-partial"];
const CONCURRENT: &[&str] = &["backfill", "--order", "concurrent"];

/// A live source, an S3 server, and commands that use both.
struct Scene {
    stage: Stage,
    objects: Objects,
    directory: TempDir,
}

impl Scene {
    async fn set(seed: u64, mode: Mode) -> Self {
        Self::with(seed, mode, "").await
    }

    /// With something more in the plan of the service `orders`.
    async fn with(seed: u64, mode: Mode, of_orders: &str) -> Self {
        let objects = Objects::start(&[BUCKET]).await;
        let mut stage = set(Script::quiet(seed), mode).await;
        stage.engine.faults().imports().of(objects.root());
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("plan.yaml");
        std::fs::write(&path, plan(&stage, of_orders)).expect("the plan is written");
        stage.cli = stage
            .cli
            .with_plan(path)
            .with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
        table::put_all(&stage.client, &stage.trial.source, (1000..1060).map(source_item)).await;
        Self {
            stage,
            objects,
            directory,
        }
    }

    async fn writers(&self) -> Mutator {
        self.stage.write(HABITS).await
    }

    /// Leaves the tables to an import, and follows the stream.
    async fn begin(&self) -> Running {
        self.stage.cli.succeed(&["apply", "--for-import"]).await;
        let tail = self.stage.cli.start(&["replicate"]);
        self.stage.cli.until_captured().await;
        tail
    }

    /// A command that must be refused, with this in its message.
    async fn refused(&self, words: &[&str], expected: &[&str]) -> Done {
        let done = self.stage.cli.run(words).await.with_code(words, 1);
        let told = done.stdout.clone() + &done.stderr;
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in expected {
            assert!(told.contains(text), "{text:?} is not in {told}");
        }
        done
    }

    async fn dies(&self, words: &[&str], point: &str) {
        let done = self.stage.cli.armed(&format!("{point}=kill")).run(words).await;
        assert_eq!(done.killed_at(), point.split('@').next(), "{}", done.stderr);
    }

    fn imports(&self) -> usize {
        self.stage.engine.faults().imports().count()
    }

    async fn exists(&self, table: &str) -> bool {
        let asked = self.stage.client.describe_table().table_name(table).send();
        asked.await.is_ok()
    }

    /// Once nobody writes any more: every table is exact, and a verify says so.
    async fn exact(self, writers: Option<Mutator>, tail: Running) {
        if let Some(writers) = writers {
            writers.stop().await;
        }
        self.stage.cli.until_caught_up().await;
        self.stage.cli.succeed(&["verify"]).await;
        end(&self.stage, tail).await;
    }

    /// Commands for another plan.
    fn with_plan(&self, text: &str) -> Cli {
        let path = self.directory.path().join("another.yaml");
        std::fs::write(&path, text).expect("the plan is written");
        self.stage.cli.with_plan(path)
    }

    /// Waits until the import of a service is that far.
    async fn until_phase(&self, service: &str, phase: ImportPhase) {
        loop {
            let record = self.store().get::<ImportsRecord>(ImportsRecord::NAME).await;
            let record = record.expect("the state can be read");
            let known = record.and_then(|record| record.value.services.get(service)?.import.clone());
            if known.is_some_and(|import| import.phase == phase) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn store(&self) -> Store {
        Store::new(self.stage.client.clone(), &self.stage.trial.state_table())
    }
}

/// The plan of the trial with a section `s3`, and with something more in its service `orders`.
fn plan(stage: &Stage, of_orders: &str) -> String {
    let section = format!("s3: {{ bucket: {BUCKET}, prefix: live }}\nunrouted:");
    let plan = stage.trial.plan().replace("unrouted:", &section);
    plan.replace("  - name: invoices", &format!("{of_orders}  - name: invoices"))
}

/// Orders, invoices and archived items, some with a name. Their keys are not those of the writers.
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
async fn live_tables_are_imported_and_the_lanes_continue() {
    for mode in [Mode::Sequence, Mode::Timestamp] {
        let scene = Scene::set(90, mode).await;
        let writers = scene.writers().await;
        let tail = scene.begin().await;
        let trial = &scene.stage.trial;
        let tables = [&trial.orders, &trial.invoices, &trial.names];
        for table in tables {
            assert!(!scene.exists(table).await, "{table} is left to an import");
        }
        let words = [IMPORT, &["--output", "json"]].concat();
        let done = scene.stage.cli.succeed(&words).await;
        let report: Value = serde_json::from_str(&done.stdout).expect("one document");
        assert_eq!(report["order"], "import");
        assert_eq!(scene.imports(), 3);
        let status = scene.stage.cli.status().await;
        assert_eq!(status["backfill_record"]["order"], "import");
        assert_eq!(
            status["tombstones"],
            serde_json::json!({}),
            "every lane continues"
        );
        let faults = scene.stage.engine.faults();
        for table in tables {
            for write in ["BatchWriteItem", "BatchExecuteStatement"] {
                assert_eq!(faults.asked(write, table), 0, "{write} on {table}");
            }
            assert_eq!(faults.asked("Scan", table), 0, "nothing is swept in {table}");
        }
        // The same command has nothing left to do.
        scene.stage.cli.succeed(&["backfill"]).await;
        assert_eq!(scene.imports(), 3);
        scene.exact(Some(writers), tail).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_each_step_is_continued_by_the_same_command() {
    in_the_long_run!(a_death_at_each_step_is_continued_by_the_same_command);
    // Deletion protection is a setting that an import cannot set.
    let protected = "      deletion-protection: true\n";
    let scene = Scene::with(91, Mode::Sequence, protected).await;
    let writers = scene.writers().await;
    for point in [
        "apply.state-table.after",
        "state.split.put.after",
        "state.split.put.after@2",
        "state.service.put.before",
        "state.service.put.after@2",
    ] {
        scene.dies(&["apply", "--for-import"], point).await;
    }
    let tail = scene.begin().await;
    for point in [
        "state.backfill.put.before",
        "state.backfill.put.after",
        "state.segment.put.after@2",
        "bulk.holding",
        "bulk.held",
        "backfill.page-read",
        "s3.object.before",
        "s3.object.after@2",
        "backfill.checkpoint.before",
        "backfill.checkpoint.after",
        "backfill.copied",
        "bulk.landed",
        "import.claimed",
        "s3.copy.before",
        "s3.copy.after@2",
        "import.copied",
        "state.import.put.after@5",
        "import.request.before",
        "import.request.after",
        "import.request.after@2",
        "import.ended",
        "import.setting.before",
        "import.setting.after",
        "import.ready",
        // Only once: the dying process may already have sent the request that frees the next lane.
        "import.freed",
    ] {
        scene.dies(IMPORT, point).await;
    }
    scene.stage.cli.succeed(IMPORT).await;
    assert_eq!(scene.imports(), 3, "each table was imported once");
    scene.exact(Some(writers), tail).await;
}

/// A process is suspended before it writes an object, and another one takes its segment over. What the first one still writes is in
/// no table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replaced_process_writes_is_not_imported() {
    in_the_long_run!(what_a_replaced_process_writes_is_not_imported);
    let scene = Scene::set(92, Mode::Sequence).await;
    let tail = scene.begin().await;
    let mut first = scene.stage.cli.armed("s3.object.before@4=stop").start(IMPORT);
    first.until_stopped_at("s3.object.before").await;
    // The item that it holds is deleted: a copy of it would be extra for good, because its lane has passed the delete.
    let source = &scene.stage.trial.source;
    for id in (1000..1060).step_by(3) {
        let delete = scene.stage.client.delete_item().table_name(source);
        let key = table::key(&format!("ACC#{}", id / 3), &format!("DOC#{id}"));
        delete
            .set_key(Some(key))
            .send()
            .await
            .expect("the item is deleted");
    }
    let second = scene.stage.cli.armed("import.claimed=stop");
    let mut second = second.start(IMPORT);
    second.until_stopped_at("import.claimed").await;
    let before = scene.objects.asked("/shaped/");
    first.signal("CONT");
    let written = async {
        while scene.objects.asked("/shaped/") == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    super::course::in_time("the late object", written).await;
    second.signal("CONT");
    second.end().await.with_code(IMPORT, 0);
    // It finds that everything is done, or that it was replaced.
    let _ended = first.end().await;
    scene.exact(None, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_the_segments_and_import_each_table_once() {
    in_the_long_run!(two_processes_share_the_segments_and_import_each_table_once);
    let scene = Scene::set(93, Mode::Sequence).await;
    let writers = scene.writers().await;
    let tail = scene.begin().await;
    let words = [IMPORT, &["--workers", "1"]].concat();
    let first = scene.stage.cli.start(&words);
    let second = scene.stage.cli.start(&words);
    for running in [first, second] {
        running.end().await.with_code(&words, 0);
    }
    assert_eq!(scene.imports(), 3);
    scene.exact(Some(writers), tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_fails_is_told_and_tried_again() {
    in_the_long_run!(an_import_that_fails_is_told_and_tried_again);
    let scene = Scene::set(94, Mode::Sequence).await;
    let writers = scene.writers().await;
    let tail = scene.begin().await;
    let imports = scene.stage.engine.faults().imports();
    imports.end_next([
        ImportEnd::FailedLate("ItemValidationError"),
        ImportEnd::FailedEarly("S3AccessDenied"),
        ImportEnd::Completed,
    ]);
    scene
        .refused(
            IMPORT,
            &[
                "the import of orders into",
                "ItemValidationError",
                "log-group:/aws-dynamodb/imports",
                "aws logs tail /aws-dynamodb/imports --region us-east-1",
                "--delete-partial",
                "--order concurrent",
                "the import of invoices into",
                "S3AccessDenied",
            ],
        )
        .await;
    let status = scene.stage.cli.status().await;
    assert!(
        status["tombstones"].get("names").is_none(),
        "the lane of the table that is ready continues: {status:#}"
    );
    assert_eq!(status["tombstones"]["orders"]["phase"], "held", "{status:#}");
    // Without the option, the partial table stays.
    scene
        .refused(IMPORT, &["has only a part of the items", "--delete-partial"])
        .await;
    assert!(scene.exists(&scene.stage.trial.orders).await);
    scene.dies(RETRY, "import.partial-table.after").await;
    scene.stage.cli.succeed(RETRY).await;
    assert_eq!(scene.imports(), 5, "two were tried again");
    scene.exact(Some(writers), tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_import_keeps_no_other_table_waiting() {
    in_the_long_run!(a_failed_import_keeps_no_other_table_waiting);
    let scene = Scene::set(107, Mode::Sequence).await;
    let writers = scene.writers().await;
    let tail = scene.begin().await;
    let imports = scene.stage.engine.faults().imports();
    imports.end_next([ImportEnd::FailedLate("ItemValidationError")]);
    // Dies when one import is on record as failed, and no lane continues yet.
    let doomed = scene.stage.cli.armed("import.ready@*=delay:600000").start(IMPORT);
    scene.until_phase("orders", ImportPhase::Failed).await;
    scene.until_phase("names", ImportPhase::Ready).await;
    doomed.kill().await;
    let held = |status: &Value| status["tombstones"]["names"]["phase"] == "held";
    assert!(
        held(&scene.stage.cli.status().await),
        "the lane of names is on hold"
    );
    scene.refused(IMPORT, &["the import of orders into"]).await;
    let status = scene.stage.cli.status().await;
    for service in ["invoices", "names"] {
        let lane = &status["tombstones"][service];
        assert!(lane.is_null(), "the lane of {service} continues: {status:#}");
    }
    scene.stage.cli.succeed(RETRY).await;
    scene.exact(Some(writers), tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_up_after_a_failed_import_its_partial_table_is_an_early_page() {
    in_the_long_run!(given_up_after_a_failed_import_its_partial_table_is_an_early_page);
    let scene = Scene::set(95, Mode::Sequence).await;
    let writers = scene.writers().await;
    let tail = scene.begin().await;
    let imports = scene.stage.engine.faults().imports();
    imports.end_next([
        ImportEnd::FailedLate("ItemValidationError"),
        ImportEnd::FailedEarly("S3AccessDenied"),
        ImportEnd::Completed,
    ]);
    scene.refused(IMPORT, &["--order concurrent"]).await;
    for point in ["bulk.given-up", "import.given-up", "backfill.page-read"] {
        scene.dies(CONCURRENT, point).await;
    }
    scene.stage.cli.succeed(CONCURRENT).await;
    assert_eq!(scene.imports(), 3, "nothing more is imported");
    scene.exact(Some(writers), tail).await;
}

/// A process is suspended when it is about to delete the partial table. DynamoDB deletes by name, so its request would also delete the
/// table that the copy fills after the order was given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_up_while_a_partial_table_is_deleted_its_table_stays() {
    in_the_long_run!(given_up_while_a_partial_table_is_deleted_its_table_stays);
    let scene = Scene::set(108, Mode::Sequence).await;
    let writers = scene.writers().await;
    let tail = scene.begin().await;
    let imports = scene.stage.engine.faults().imports();
    imports.end_next([ImportEnd::FailedLate("ItemValidationError")]);
    scene.refused(IMPORT, &["--delete-partial"]).await;
    let suspended = scene.stage.cli.armed("import.partial-table.before=stop");
    let mut suspended = suspended.start(RETRY);
    suspended.until_stopped_at("import.partial-table.before").await;
    let mut given_up = scene.stage.cli.start(CONCURRENT);
    while !given_up.has_ended() && !given_up.told().contains("request to delete a partial table") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    suspended.signal("CONT");
    let _ended = suspended.end().await;
    // From the copy on, the tables must be there: without one, the copy would wait for it.
    let trial = &scene.stage.trial;
    while !given_up.has_ended() {
        let status = scene.stage.cli.status().await;
        if !obstacles(&status).contains("awaiting-import") {
            for table in [&trial.orders, &trial.invoices, &trial.names] {
                assert!(
                    scene.exists(table).await,
                    "{table} was deleted after the copy had begun"
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    given_up.end().await.with_code(CONCURRENT, 0);
    for table in [&trial.orders, &trial.invoices, &trial.names] {
        assert!(
            scene.exists(table).await,
            "{table} was deleted after it was filled"
        );
    }
    scene.exact(Some(writers), tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_up_again_a_table_that_took_the_name_of_a_created_one_is_not_filled() {
    in_the_long_run!(given_up_again_a_table_that_took_the_name_of_a_created_one_is_not_filled);
    let scene = Scene::set(109, Mode::Sequence).await;
    let (client, trial) = (&scene.stage.client, &scene.stage.trial);
    let tail = scene.begin().await;
    scene.dies(IMPORT, "import.claimed").await;
    scene.dies(CONCURRENT, "state.service.put.after").await;
    let mut created = Vec::new();
    for table in [&trial.orders, &trial.invoices, &trial.names] {
        if scene.exists(table).await {
            created.push(table);
        }
    }
    let [table] = created[..] else {
        panic!("one table is created and recorded: {created:?}");
    };
    // Somebody makes another table under its name, with the same keys and an item.
    let described = client.describe_table().table_name(table).send().await;
    let described = described.expect("a table").table.expect("a table");
    let keys: Vec<&str> = described
        .key_schema
        .iter()
        .flatten()
        .map(|key| key.attribute_name())
        .collect();
    client
        .delete_table()
        .table_name(table)
        .send()
        .await
        .expect("it is deleted");
    table::create_with(client, table, &keys, false).await;
    let foreign: SdkItem = keys
        .iter()
        .map(|key| ((*key).to_owned(), text("foreign")))
        .collect();
    table::put_all(client, table, [foreign]).await;
    scene.refused(CONCURRENT, &["holds items already"]).await;
    client
        .delete_table()
        .table_name(table)
        .send()
        .await
        .expect("it is deleted");
    scene.stage.cli.succeed(CONCURRENT).await;
    scene.exact(None, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_be_given_up_at_each_step() {
    in_the_long_run!(it_may_be_given_up_at_each_step);
    for (seed, point) in (960..).zip([
        "state.backfill.put.after",
        "backfill.checkpoint.after@2",
        "import.claimed",
        "import.request.before",
        "import.request.after",
        "import.freed",
    ]) {
        let scene = Scene::set(seed, Mode::Sequence).await;
        let writers = scene.writers().await;
        let tail = scene.begin().await;
        scene.dies(IMPORT, point).await;
        scene.stage.cli.succeed(CONCURRENT).await;
        let status = scene.stage.cli.status().await;
        assert_eq!(status["backfill_record"]["order"], "concurrent");
        assert_eq!(status["tombstones"], serde_json::json!({}), "{status:#}");
        scene.exact(Some(writers), tail).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_backfill_creates_the_tables_if_no_import_is_possible() {
    in_the_long_run!(a_plain_backfill_creates_the_tables_if_no_import_is_possible);
    let scene = Scene::set(97, Mode::Sequence).await;
    let writers = scene.writers().await;
    let tail = scene.begin().await;
    age(&scene, 13 * 3_600_000, tail).await;
    scene
        .refused(
            IMPORT,
            &[
                "the import order is not possible",
                "more than half of the 24 hours",
            ],
        )
        .await;
    let tail = scene.stage.cli.start(&["replicate"]);
    let done = scene.stage.cli.succeed(&["backfill", "--output", "json"]).await;
    let report: Value = serde_json::from_str(&done.stdout).expect("one document");
    assert_eq!(report["order"], "concurrent", "{report:#}");
    assert_eq!(scene.imports(), 0);
    scene.exact(Some(writers), tail).await;
}

/// AWS may have raised the quotas of an account, so an operator who asks for the order gets a warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_beyond_the_quotas_are_not_chosen_and_are_told() {
    in_the_long_run!(imports_beyond_the_quotas_are_not_chosen_and_are_told);
    let told = "where 48 imports of the account run already, and an account makes at most 50";
    let scene = Scene::set(99, Mode::Sequence).await;
    scene.stage.engine.faults().imports().others_run(48);
    let tail = scene.begin().await;
    let done = scene.stage.cli.succeed(IMPORT).await;
    let warned = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        warned.contains(told) && warned.contains("DynamoDB will refuse these imports"),
        "{warned}"
    );
    assert_eq!(scene.imports(), 3, "it is the operator who decides");
    scene.exact(None, tail).await;

    let scene = Scene::set(99, Mode::Sequence).await;
    scene.stage.engine.faults().imports().others_run(48);
    let tail = scene.begin().await;
    let done = scene.stage.cli.succeed(AUTO).await;
    let report: Value = serde_json::from_str(&done.stdout).expect("one document");
    assert_eq!(report["order"], "concurrent", "{report:#}");
    let reason = report["order_reason"].as_str().expect("a reason");
    assert!(reason.contains(told), "{reason}");
    assert_eq!(scene.imports(), 0);
    scene.exact(None, tail).await;

    let scene = Scene::set(99, Mode::Sequence).await;
    scene.stage.engine.faults().imports().others_run(47);
    let tail = scene.begin().await;
    let done = scene.stage.cli.succeed(AUTO).await;
    let report: Value = serde_json::from_str(&done.stdout).expect("one document");
    assert_eq!(report["order"], "import", "{report:#}");
    scene.exact(None, tail).await;
}

/// The lanes are so far behind that they could not catch up after an import: the order is given up before the first request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_imported_if_the_lanes_could_not_catch_up_afterwards() {
    in_the_long_run!(nothing_is_imported_if_the_lanes_could_not_catch_up_afterwards);
    let scene = Scene::set(98, Mode::Sequence).await;
    let tail = scene.begin().await;
    scene.dies(IMPORT, "bulk.landed").await;
    // Below the twelve hours at which every hold is given up: it is the import that does not fit any more.
    age(&scene, 11 * 3_600_000 + 2_700_000, tail).await;
    let fill = [IMPORT, &["--output", "json"]].concat();
    let filling = scene.stage.cli.start(&fill);
    let given_up = |status: &Value| status["backfill_record"]["order"] == "concurrent";
    let status = scene
        .stage
        .cli
        .until("an end of the import order", given_up)
        .await;
    let told = status["backfill_record"]["order_reason"].to_string();
    assert!(told.contains("an import may take twice the"), "{told}");
    let tail = scene.stage.cli.start(&["replicate"]);
    filling.end().await.with_code(&fill, 0);
    assert_eq!(scene.imports(), 0);
    scene.exact(None, tail).await;
}

/// Ends the tail, and makes the places of the lanes so much older.
async fn age(scene: &Scene, by_ms: u64, tail: Running) {
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
    let store = scene.store();
    let shards = store.list::<ShardRecord>(ShardRecord::PREFIX).await;
    for (name, _) in shards.expect("the state can be read") {
        let aged = store.change::<ShardRecord, StateError>(&name, |found| {
            let mut record = found.expect("it is there");
            for state in record.lanes.values_mut() {
                state.complete_to_ms = state.complete_to_ms.saturating_sub(by_ms);
            }
            Ok(record)
        });
        aged.await.expect("the state can be written");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_leaves_tables_alone_that_wait_for_an_import() {
    in_the_long_run!(every_command_leaves_tables_alone_that_wait_for_an_import);
    let scene = Scene::set(99, Mode::Sequence).await;
    let tail = scene.begin().await;
    for point in [None, Some("import.request.after@3")] {
        if let Some(point) = point {
            scene.dies(IMPORT, point).await;
        }
        let status = scene.stage.cli.status().await;
        assert!(obstacles(&status).contains("awaiting-import"), "{status:#}");
        // A process that just died may still be shown as running.
        let next = status["next"].to_string();
        assert!(next.contains("backfill") && !next.contains("apply"), "{status:#}");
        // Neither lost, nor created.
        let applied = scene.stage.cli.succeed(&["apply"]).await;
        assert!(applied.stdout.contains("left to an import"), "{}", applied.stdout);
        assert_eq!(scene.stage.cli.status().await["repair_required"], Value::Null);
        for words in [
            &["verify"][..],
            &["verify", "--anyway"],
            &["verify", "--repair"],
            &["verify", "--service", "orders"],
        ] {
            scene
                .refused(words, &["the table of", "is left to an import"])
                .await;
        }
        for words in [
            &["complete", "--yes"][..],
            &["switched", "--service", "orders"],
            &["cutover", "--service", "orders", "--yes"],
            &["backfill", "--order", "bulk"],
            &["abandon", "--service", "orders", "--yes"],
        ] {
            let done = scene.stage.cli.run(words).await;
            assert_ne!(done.code, Some(0), "{words:?}: {}", done.stdout);
        }
        let trial = &scene.stage.trial;
        for table in [&trial.orders, &trial.invoices, &trial.names] {
            let deleted = scene.stage.engine.faults().asked("DeleteTable", table);
            let created = scene.stage.engine.faults().asked("CreateTable", table);
            assert_eq!((deleted, created), (0, 0), "{table}");
        }
    }
    scene
        .refused(
            &["abandon", "--delete-targets", "--yes"],
            &["an import cannot be cancelled"],
        )
        .await;
    scene.stage.cli.succeed(IMPORT).await;
    assert_eq!(scene.imports(), 3);
    scene.exact(None, tail).await;
}

/// One bad item makes a whole import fail, so it never gets into an object.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_no_table_takes_is_a_dead_letter_and_not_imported() {
    in_the_long_run!(an_item_that_no_table_takes_is_a_dead_letter_and_not_imported);
    let index = "      global-indexes:\n        - { name: by-amount, keys: { partition: { name: amount, type: N } } }\n";
    let scene = Scene::with(100, Mode::Sequence, index).await;
    let bad = item(
        "ACC#1",
        "DOC#1",
        [("kind", text("order")), ("amount", text("much"))],
    );
    let source = scene.stage.trial.source.clone();
    table::put_all(&scene.stage.client, &source, [bad]).await;
    let tail = scene.begin().await;
    // The dead letter is the backfill's, or already that of the lane, which has met the item, too.
    let done = scene.stage.cli.run(IMPORT).await;
    assert!(matches!(done.code, Some(0 | 3)), "{}", done.stderr);
    assert_eq!(scene.stage.cli.status().await["dead_letters"]["orders"], 1);
    assert_eq!(scene.imports(), 3);
    let fixed = item("ACC#1", "DOC#1", [("kind", text("order")), ("amount", number(5))]);
    table::put_all(&scene.stage.client, &source, [fixed]).await;
    scene.stage.cli.until_caught_up().await;
    scene.stage.cli.succeed(&["dead-letters", "reconcile"]).await;
    scene.exact(None, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_import_cannot_do_is_refused_before_the_lanes_are_held() {
    let scene = Scene::set(101, Mode::Sequence).await;
    let trial = &scene.stage.trial;
    let cli = &scene.stage.cli;
    // Without the section, with a local index, and with a table of that name.
    let plain = scene.with_plan(&scene.stage.trial.plan());
    let words = ["apply", "--for-import"];
    let done = plain.run(&words).await.with_code(&words, 1);
    assert!(done.stderr.contains("no section `s3`"), "{}", done.stderr);
    let index = "      local-indexes: [{ name: by-at, sort: { name: at, type: N } }]\n";
    let local = scene.with_plan(&plan(&scene.stage, index));
    let done = local.run(&words).await.with_code(&words, 1);
    let line = done
        .stderr
        .split_whitespace()
        .any(|word| word.starts_with("another.yaml:") || word.contains("/another.yaml:"));
    assert!(
        line && done.stderr.contains("local index by-at"),
        "{}",
        done.stderr
    );
    table::create_with(&scene.stage.client, &trial.orders, &["PK", "SK"], false).await;
    scene
        .refused(&words, &["exists, and an import makes a new one"])
        .await;
    let deleted = scene.stage.client.delete_table().table_name(&trial.orders);
    deleted.send().await.expect("the table is deleted");
    let tail = scene.begin().await;
    // A table that somebody made since then, and a server that ignores conditions.
    table::create_with(&scene.stage.client, &trial.orders, &["PK", "SK"], false).await;
    scene
        .refused(IMPORT, &["exists, and an import makes a new one"])
        .await;
    let deleted = scene.stage.client.delete_table().table_name(&trial.orders);
    deleted.send().await.expect("the table is deleted");
    let words = [
        "backfill",
        "--order",
        "import",
        "--from-export",
        "s3://a/AWSDynamoDB/1/",
    ];
    let done = cli.run(&words).await;
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    cli.succeed(IMPORT).await;
    scene.exact(None, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ignores_conditions_is_refused() {
    let scene = Scene::set(102, Mode::Sequence).await;
    let tail = scene.begin().await;
    scene.objects.ignore_conditions();
    scene
        .refused(IMPORT, &["ignores the conditions of writes and copies"])
        .await;
    assert_eq!(scene.imports(), 0);
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// The object that the record names was replaced or removed by somebody: it is not imported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_somebody_replaced_is_not_imported() {
    in_the_long_run!(an_object_that_somebody_replaced_is_not_imported);
    let scene = Scene::set(103, Mode::Sequence).await;
    let tail = scene.begin().await;
    scene.dies(IMPORT, "bulk.landed").await;
    let object = shaped(&scene);
    let before = std::fs::read(&object).expect("an object");
    std::fs::write(&object, b"something else").expect("an object");
    scene
        .refused(IMPORT, &["is not the object that dynasplit wrote"])
        .await;
    std::fs::remove_file(&object).expect("an object");
    scene.refused(IMPORT, &["or was removed"]).await;
    assert_eq!(scene.imports(), 0);
    std::fs::write(&object, before).expect("an object");
    scene.stage.cli.succeed(IMPORT).await;
    let record = scene.store().get::<ImportsRecord>(ImportsRecord::NAME).await;
    let record = record.expect("the state can be read").expect("a record");
    assert_eq!(record.value.services.len(), 3);
    scene.exact(None, tail).await;
}

/// An object of the service `orders`.
fn shaped(scene: &Scene) -> std::path::PathBuf {
    fn find(folder: &std::path::Path) -> Option<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).ok()?;
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths.into_iter().find_map(|path| match path.is_dir() {
            true => find(&path),
            false if path.to_string_lossy().contains("/shaped/orders/") => Some(path),
            false => None,
        })
    }
    find(&scene.objects.root().join(BUCKET)).expect("a shaped object")
}

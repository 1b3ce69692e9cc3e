//! A verify that several processes share: its result is that of one process, whoever dies or stands still.

use std::collections::BTreeSet;
use std::time::Duration;

use dynasplit::state::{SharedVerifyRecord, Store, VerifyRecord, VerifyTaskRecord};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::mutator::Habits;
use crate::support::objects::Objects;
use crate::support::process::{Cli, Done, Running};
use crate::support::stage::Stage;
use crate::support::table::{self, SdkItem, item, key, number, text};
use crate::support::trial::Mode;

const BUCKET: &str = "shared";
const CLEAN: i32 = 0;
const REFUSED: i32 = 1;
const NOT_CLEAN: i32 = 3;
const SEGMENTS: [&str; 4] = ["--segments", "4", "--output", "json"];
/// Tasks of such a verify: the segments of three targets and of the source, and the ranges.
const OF_TARGETS: usize = 12;
const OF_SOURCE: usize = 4;

const HABITS: Habits = Habits {
    keys: 60,
    writers: 2,
    pause: Duration::from_millis(60),
    backwards: 0,
};

/// A split whose backfill has ended, with a tail that runs, and an S3 server.
struct Scene {
    stage: Stage,
    objects: Objects,
    cli: Cli,
    tail: Running,
    directory: TempDir,
}

fn source_item(id: usize) -> SdkItem {
    let kind = ["order", "invoice", "archive"][id % 3];
    let mut item = item(
        &format!("ACC#{id}"),
        "DOC#x",
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

impl Scene {
    async fn on(engine: Engine, items: usize) -> Self {
        let objects = Objects::start(&[BUCKET]).await;
        let stage = Stage::set(engine, Mode::Timestamp).await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("plan.yaml");
        let section = format!("s3: {{ bucket: {BUCKET}, prefix: of }}\nunrouted:");
        std::fs::write(&path, stage.trial.plan().replace("unrouted:", &section))
            .expect("the plan is written");
        let cli = stage
            .cli
            .with_plan(path)
            .with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
        table::put_all(&stage.client, &stage.trial.source, (0..items).map(source_item)).await;
        cli.succeed(&["apply"]).await;
        let tail = cli.start(&["replicate"]);
        cli.until_captured().await;
        cli.succeed(&["backfill"]).await;
        cli.until_caught_up().await;
        Self {
            stage,
            objects,
            cli,
            tail,
            directory,
        }
    }

    async fn set() -> Self {
        Self::on(Engine::embedded().await, 300).await
    }

    /// Plants a difference of each class, and returns how often each class is there.
    async fn spoil(&self) {
        let (client, trial) = (&self.stage.client, &self.stage.trial);
        // Orders have ids that 3 divides. Two are missing, one is extra, two are different, one belongs elsewhere.
        for id in [3, 33] {
            table::delete(client, &trial.orders, key(&format!("ACC#{id}"), "DOC#x")).await;
        }
        table::put(client, &trial.orders, source_item(100_002)).await;
        for id in [6, 66] {
            let mut other = source_item(id);
            other.insert("amount".into(), number(1));
            table::put(client, &trial.orders, other).await;
        }
        table::put(client, &trial.orders, source_item(4)).await;
        let invoice = |id: &str| {
            [("account", text(id)), ("document", text("x"))].map(|(name, value)| (name.to_owned(), value))
        };
        table::delete(client, &trial.invoices, invoice("7").into()).await;
    }

    /// The arguments of a process that shares the verify of this name.
    fn sharing<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["verify", "--shared", name], &SEGMENTS[..], more].concat()
    }

    async fn share(&self, name: &str, more: &[&str]) -> Done {
        self.cli.run(&Self::sharing(name, more)).await
    }

    async fn single(&self) -> Done {
        self.cli.run(&["verify", "--output", "json"]).await
    }

    fn store(&self) -> Store {
        Store::new(self.stage.client.clone(), &self.stage.trial.state_table())
    }

    async fn record(&self) -> SharedVerifyRecord {
        let found = self
            .store()
            .get::<SharedVerifyRecord>(SharedVerifyRecord::NAME)
            .await;
        found.expect("it can be read").expect("a shared verify").value
    }

    /// Nothing is left of the tasks and of what the scans wrote.
    async fn assert_removed(&self) {
        let tasks = self
            .store()
            .list::<VerifyTaskRecord>(VerifyTaskRecord::PREFIX)
            .await;
        assert_eq!(tasks.expect("they can be read").len(), 0, "tasks are left");
        assert!(self.record().await.end.expect("it has ended").removed);
        let scans = files(&self.objects.root().join(BUCKET))
            .into_iter()
            .filter(|path| path.contains("/scans/"));
        assert_eq!(scans.collect::<Vec<_>>(), Vec::<String>::new());
    }
}

/// The files below a folder, without what the server keeps beside them.
fn files(root: &std::path::Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

fn result(done: &Done) -> Value {
    let read = serde_json::from_str(&done.stdout);
    read.unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
}

/// What a result says about the tables, whoever found it in which order.
fn findings(done: &Done) -> (Option<i32>, Value, BTreeSet<String>) {
    let mut result = result(done);
    let mismatches = result["mismatches"].as_array().expect("a list");
    let mismatches = mismatches.iter().map(ToString::to_string).collect();
    for service in result["report"]["services"].as_array_mut().expect("services") {
        // Keys are read as often as they need.
        service["rechecked"] = Value::Null;
    }
    let told = [
        "report",
        "clean",
        "recorded",
        "total_mismatches",
        "unrouted",
        "total_invalid",
    ];
    let told: Vec<Value> = told.iter().map(|name| result[*name].clone()).collect();
    (done.code, told.into(), mismatches)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_a_verify_find_what_one_finds() {
    in_the_long_run!(processes_that_share_a_verify_find_what_one_finds);
    let scene = Scene::set().await;
    let one = scene.single().await;
    let [first, second] = [scene.share("clean", &[]), scene.share("clean", &[])];
    let (first, second) = tokio::join!(first, second);
    for shared in [&first, &second] {
        assert_eq!(findings(shared), findings(&one), "{}", shared.stderr);
    }
    assert_eq!(one.code, Some(CLEAN));
    scene.assert_removed().await;
    let kept = scene.store().get::<VerifyRecord>(VerifyRecord::NAME).await;
    let kept = kept.expect("it can be read").expect("a verify").value;
    assert!(
        kept.clean && kept.started_ms <= scene.record().await.began_ms,
        "{kept:?}"
    );

    scene.spoil().await;
    // The name stands for the verify that has ended: its result is shown again.
    let again = scene.share("clean", &[]).await;
    assert_eq!(findings(&again), findings(&one));
    let notes = result(&again)["notes"].to_string();
    assert!(
        notes.contains("the shared verify 'clean', which ended"),
        "{notes}"
    );
    let list = scene.directory.path().join("mismatches.jsonl");
    let list = list.to_str().expect("a path");
    let few = ["--limit", "2", "--list", list];
    let (first, second) = tokio::join!(scene.share("spoiled", &few), scene.share("spoiled", &[]));
    let one = scene.single().await;
    assert_eq!(one.code, Some(NOT_CLEAN), "{}", one.stdout);
    assert_eq!(findings(&second), findings(&one), "{}", second.stderr);
    let (code, told, some) = findings(&first);
    assert_eq!((code, &told), (one.code, &findings(&one).1));
    assert_eq!(some.len(), 2, "as many as this process was told to show");
    let listed = std::fs::read_to_string(list).expect("the list");
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    assert_eq!(listed, findings(&one).2, "all are in the list");
    let orders = &result(&one)["report"]["services"][0]["mismatches"];
    for (class, count) in [("missing", 2), ("extra", 1), ("different", 2), ("misrouted", 1)] {
        assert_eq!(orders[class], count, "{class}: {orders}");
    }
    scene.assert_removed().await;
    scene.tail.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_differs_or_has_no_folder_is_refused() {
    let scene = Scene::set().await;
    let refused = |done: Done, expected: &str| {
        assert_eq!(done.code, Some(REFUSED), "{}", done.stdout);
        let told = (done.stdout.clone() + &done.stderr)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(told.contains(expected), "{expected:?} is not in {told}");
    };
    let bare = scene.stage.cli.run(&["verify", "--shared", "one"]).await;
    refused(bare, "the plan has no section `s3`");
    // One that is under way: its process was killed.
    let words = Scene::sharing("one", &[]);
    let killed = scene.cli.armed("verify.task-done@3=kill").run(&words).await;
    assert_eq!(killed.killed_at(), Some("verify.task-done"), "{}", killed.stderr);
    let status = scene.cli.status().await;
    let shown = &status["shared_verify"];
    assert_eq!(
        (&shown["name"], &shown["parts"]),
        (&"one".into(), &OF_TARGETS.into()),
        "{shown}"
    );
    assert_eq!(shown["phase"], "reading the targets");
    for (more, named) in [
        (&["--service", "orders"][..], "--service"),
        (&["--patience", "9"], "--patience"),
    ] {
        refused(scene.share("one", more).await, named);
    }
    refused(
        scene
            .cli
            .run(&["verify", "--shared", "one", "--segments", "5"])
            .await,
        "--segments",
    );
    refused(
        scene.share("two", &[]).await,
        "the shared verify 'one' is under way",
    );
    // What it gives up is removed at the end.
    let given_up = scene.record().await.id;
    let other = scene.share("two", &["--replace"]).await;
    assert_eq!(other.code, Some(CLEAN), "{}", other.stderr);
    scene.assert_removed().await;
    let left = files(scene.objects.root());
    assert!(!left.iter().any(|path| path.contains(&given_up)), "{left:?}");
    assert!(scene.cli.status().await.get("shared_verify").is_none());
    scene.tail.kill().await;
}

/// A process dies in each phase, beside writers. Two others go on with what it has done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_dies_in_each_phase_and_the_others_finish() {
    in_the_long_run!(a_process_dies_in_each_phase_and_the_others_finish);
    let scene = Scene::set().await;
    let writers = scene.stage.write(HABITS).await;
    for (phase, point) in [
        ("begin", "s3.object.after".to_owned()),
        ("begun", "state.shared-verify.put.after".into()),
        ("targets", "verify.task-done@2".into()),
        ("source", format!("verify.task-done@{}", OF_TARGETS + 1)),
        (
            "ranges",
            format!("verify.task-done@{}", OF_TARGETS + OF_SOURCE + 1),
        ),
        ("kept", "verify.kept".into()),
        ("ended", "verify.ended".into()),
        ("removed", "s3.delete.after@2".into()),
    ] {
        let words = Scene::sharing(phase, &[]);
        let done = scene.cli.armed(&format!("{point}=kill")).run(&words).await;
        assert_eq!(
            done.killed_at(),
            point.split('@').next(),
            "{phase}: {}",
            done.stderr
        );
        let (first, second) = tokio::join!(scene.share(phase, &[]), scene.share(phase, &[]));
        for done in [first, second] {
            assert_eq!(done.code, Some(CLEAN), "{phase}: {}{}", done.stdout, done.stderr);
        }
        scene.assert_removed().await;
    }
    writers.stop().await;
    scene.tail.kill().await;
}

/// A process is suspended with what it has read of the targets, and another one reads all of that again. What the first one has read
/// counts for nothing when it wakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_wakes_after_its_lease_commits_nothing() {
    in_the_long_run!(a_process_that_wakes_after_its_lease_commits_nothing);
    let scene = Scene::set().await;
    let words = Scene::sharing("woken", &[]);
    let mut first = scene.cli.armed("s3.object.before@2=stop").start(&words);
    first.until_stopped_at("s3.object.before").await;
    // It has read every target. From here on, some items are missing, and no lane brings them back.
    scene.spoil().await;
    let last = format!("verify.task-done@{OF_TARGETS}=stop");
    let mut second = scene.cli.armed(&last).start(&words);
    second.until_stopped_at("verify.task-done").await;
    first.signal("CONT");
    first.until_told("another worker took the lease").await;
    second.signal("CONT");
    let (first, second) = tokio::join!(first.end(), second.end());
    let one = scene.single().await;
    assert_eq!(one.code, Some(NOT_CLEAN), "{}", one.stderr);
    assert_eq!(findings(&first), findings(&one), "{}", first.stderr);
    assert_eq!(findings(&second), findings(&one), "{}", second.stderr);
    scene.tail.kill().await;
}

//! A service whose table receives everything: it is moved while others write what it only has copies of, and no copy is ever
//! written back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::shop::{CUTOVER, ROLLBACK, end};
use crate::support::contents::{self, Contents, Plain};
use crate::support::long::in_the_long_run;
use crate::support::process::{Cli, Done, LIMIT, Running, obstacles};
use crate::support::stage::{LEASE_SECONDS, Stage};
use crate::support::table::{self, SdkItem, item, number};
use crate::support::trial::Mode;
use crate::support::{Engine, unique};

const PRUNE: &[&str] = &["prune", "--target", "--service", "people", "--no-backup", "--yes"];

/// Where a prune of a table dies, in an order in which something is left for each.
const DEATHS: &[&str] = &[
    "state.prune.put.before",
    "state.prune.put.after",
    "prune.delete.before",
    "prune.page",
    "prune.delete.after",
];

const POLL: Duration = Duration::from_millis(300);

/// A verified split, whose tail runs. `people` copies everything, and `orders` has a table of its own.
struct Scene {
    stage: Stage,
    cli: Cli,
    people: String,
    tail: Running,
    _folder: TempDir,
}

/// Somebody who writes orders to the source all the time.
struct Orders {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

impl Orders {
    /// Stops, and says how often it wrote.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the writer ends")
    }
}

fn plan(source: &str, people: &str) -> String {
    let hooks = [
        "fence",
        "unfence",
        "fence-target",
        "unfence-target",
        "switch",
        "rollback",
    ];
    let hooks: String = hooks
        .map(|hook| format!("  {hook}: {{ run: ['true'] }}\n"))
        .concat();
    let (orders, split) = (unique("orders"), unique("all"));
    format!(
        "version: 1
split: {split}
source:
  table: {source}
  keys: {{ partition: PK, sort: SK }}
timestamp: none
unrouted: {{ left-behind: \"begins_with(PK, 'SES#')\" }}
fence: {{ prove-for: 1 }}
drain: {{ quiet-for: 1 }}
hooks:
{hooks}services:
  - name: orders
    where: begins_with(PK, 'ORD#')
    table: {{ name: {orders}, keys: {{ partition: PK, sort: SK }} }}
  - name: people
    where: begins_with(PK, 'PER#')
    copy: everything
    irrelevant: begins_with(PK, 'ORD#')
    table: {{ name: {people}, keys: {{ partition: id, sort: part }} }}
    transform:
      keys: {{ from: {{ PK: '{{id}}', SK: '{{part}}' }}, to: {{ id: '{{id}}', part: '{{part}}' }} }}
      drop: [PK, SK]
      rename: {{ amount: total }}
"
    )
}

impl Scene {
    async fn open(engine: Engine) -> Self {
        let stage = Stage::set(engine, Mode::Sequence).await;
        let folder = tempfile::tempdir().expect("a folder");
        let (path, people) = (folder.path().join("plan.yaml"), unique("people"));
        std::fs::write(&path, plan(&stage.trial.source, &people)).expect("the plan is written");
        let items = ["PER#1", "PER#2", "ORD#1", "ORD#2", "ORD#3", "SES#1"];
        for key in items {
            let item = item(key, "x", [("n", number(1)), ("amount", number(7))]);
            table::put(&stage.client, &stage.trial.source, item).await;
        }
        let cli = Cli::new(path, stage.engine.endpoint(), LEASE_SECONDS);
        let tail = cli.begin().await;
        let scene = Self {
            stage,
            cli,
            people,
            tail,
            _folder: folder,
        };
        scene.run(&["backfill"]).await.with_code(&["backfill"], 0);
        scene.run(&["verify"]).await.with_code(&["verify"], 0);
        scene
    }

    /// Runs a command, and once more if the worker was starved.
    async fn run(&self, words: &[&str]) -> Done {
        let began = Instant::now();
        loop {
            let done = self.cli.run(words).await;
            let said = format!("{}{}", done.stdout, done.stderr);
            if done.code == Some(0) || !said.contains("no live worker") || began.elapsed() >= LIMIT {
                return done;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn source(&self) -> Contents {
        contents::read(&self.stage.client, &self.stage.trial.source).await
    }

    async fn table(&self) -> Contents {
        contents::read(&self.stage.client, &self.people).await
    }

    /// The item of a service's own table under a key of the source.
    fn own(key: &str, n: u64) -> SdkItem {
        let mut own = item(key, "x", [("n", number(n)), ("total", number(7))]);
        for (from, to) in [("PK", "id"), ("SK", "part")] {
            let value = own.remove(from).expect("a key");
            own.insert(to.to_owned(), value);
        }
        own
    }

    async fn writes(&self, key: &str, n: u64) {
        table::put(&self.stage.client, &self.people, Self::own(key, n)).await;
    }

    async fn deletes(&self, key: &str) {
        let mut own = Self::own(key, 1);
        own.retain(|name, _| ["id", "part"].contains(&name.as_str()));
        table::delete(&self.stage.client, &self.people, own).await;
    }

    /// The `n` of an item of the source.
    async fn n(&self, key: &str) -> Option<u64> {
        let (client, source) = (&self.stage.client, &self.stage.trial.source);
        let found = table::get(client, source, table::key(key, "x")).await?;
        Some(found["n"].as_n().expect("a number").parse().expect("a number"))
    }

    async fn until_source(&self, key: &str, n: Option<u64>) {
        let began = Instant::now();
        while self.n(key).await != n {
            assert!(began.elapsed() < LIMIT, "{key} does not come back: {n:?}");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn until_told(&self, kind: &str, is: bool) {
        let what = format!("{kind}: {is}");
        self.cli
            .until(&what, |status| obstacles(status).contains(kind) == is)
            .await;
    }

    fn write_orders(&self) -> Orders {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, client) = (Arc::clone(&stop), self.stage.client.clone());
        let source = self.stage.trial.source.clone();
        let task = tokio::spawn(async move {
            let mut n = 1;
            while !stopped.load(Ordering::Relaxed) {
                n += 1;
                let order = item("ORD#1", "x", [("n", number(n)), ("amount", number(7))]);
                table::put(&client, &source, order).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            n
        });
        Orders { stop, task }
    }
}

/// There, back, and what becomes of copies meanwhile.
async fn there_and_back(engine: Engine) {
    let scene = Scene::open(engine).await;
    assert_eq!(
        scene.table().await.len(),
        scene.source().await.len(),
        "everything is copied"
    );
    // The writers of others go on: neither the fence nor the check is about what they write.
    let orders = scene.write_orders();
    scene.run(CUTOVER).await.with_code(CUTOVER, 0);
    scene.writes("PER#1", 100).await;
    scene.writes("PER#9", 9).await;
    scene.deletes("PER#2").await;
    scene.until_source("PER#1", Some(100)).await;
    scene.until_source("PER#9", Some(9)).await;
    scene.until_source("PER#2", None).await;
    // Copies of others: a delete is not carried back, and a write is listed.
    scene.deletes("ORD#2").await;
    scene.writes("ORD#3", 5).await;
    scene.until_told("reverse-dead-letters", true).await;
    refused(&scene, ROLLBACK, 3, "could not be carried back").await;
    scene.writes("ORD#3", 1).await;
    scene.until_told("reverse-dead-letters", false).await;
    assert_eq!(
        (scene.n("ORD#2").await, scene.n("ORD#3").await),
        (Some(1), Some(1))
    );
    let told = obstacles(&scene.cli.look().await).to_string();
    assert!(!told.contains("stray-writes"), "orders are no strays: {told}");
    let rolled_back = scene.run(ROLLBACK).await.with_code(ROLLBACK, 0);
    drop(rolled_back);
    scene.until_told("repair-required", true).await;
    let last = orders.end().await;
    assert!(last > 50, "{last}");
    let repair = ["verify", "--repair"];
    let repaired = scene.run(&repair).await;
    assert!(matches!(repaired.code, Some(0 | 3)), "{}", repaired.stderr);
    scene.cli.until_caught_up().await;
    scene.run(&["verify"]).await.with_code(&["verify"], 0);
    assert_eq!(
        scene.table().await.len(),
        scene.source().await.len(),
        "every copy is there again"
    );
    // Once more, and for good.
    scene.run(CUTOVER).await.with_code(CUTOVER, 0);
    scene.writes("PER#1", 200).await;
    refused(&scene, PRUNE, 1, "people is not completed").await;
    let complete = ["complete", "--service", "people", "--yes"];
    scene.run(&complete).await.with_code(&complete, 0);
    assert_eq!(scene.n("PER#1").await, Some(200));
    let late = item("ORD#3", "x", [("n", number(3)), ("amount", number(7))]);
    table::put(&scene.stage.client, &scene.stage.trial.source, late).await;
    scene.cli.until_caught_up().await;
    let told = obstacles(&scene.cli.look().await).to_string();
    assert!(
        !told.contains("written-after-switch"),
        "orders are not late: {told}"
    );
    pruned(&scene).await;
    let told = obstacles(&scene.cli.look().await).to_string();
    assert!(!told.contains("reverse"), "nothing is carried back: {told}");
    end(scene.tail).await;
}

async fn refused(scene: &Scene, words: &[&str], code: i32, says: &str) {
    let refused = scene.run(words).await.with_code(words, code);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains(says), "{words:?}: {said}");
}

/// A prune is suspended before a delete. The service changes the item, and the prune goes on.
async fn overtaken(scene: &Scene, change: SdkItem, says: &str) {
    table::put(&scene.stage.client, &scene.people, Scene::own("ORD#7", 1)).await;
    let mut pruning = scene.cli.armed("prune.delete.before=stop").start(PRUNE);
    pruning.until_stopped_at("prune.delete.before").await;
    table::put(&scene.stage.client, &scene.people, change.clone()).await;
    pruning.signal("CONT");
    let done = pruning.end().await.with_code(PRUNE, 3);
    assert!(done.stdout.contains(says), "{says}: {}", done.stdout);
    let table = scene.table().await;
    assert!(
        table.values().any(|held| *held == contents::plain_item(&change)),
        "{table:?}"
    );
}

/// Irrelevant copies are removed from the table of a completed service, and nothing else.
async fn pruned(scene: &Scene) {
    let (before, source) = (scene.table().await, scene.source().await);
    refused(scene, &PRUNE[..5], 2, "--yes").await;
    let unsafe_ = ["prune", "--target", "--service", "people", "--yes"];
    refused(
        scene,
        &unsafe_,
        3,
        &format!("there is no backup of {}", scene.people),
    )
    .await;
    let orders = ["prune", "--target", "--service", "orders", "--no-backup", "--yes"];
    refused(scene, &orders, 1, "declares no items").await;
    let dry = [&PRUNE[..5], &["--dry-run", "--output", "json"]].concat();
    let counted = scene.run(&dry).await.with_code(&dry, 0).stdout;
    let counted: serde_json::Value = serde_json::from_str(&counted).expect("JSON");
    let counts = ["scanned", "deleted", "own", "kept"].map(|name| counted[name].as_u64());
    // The service has deleted the copy of an order, and the repair has brought it back.
    let scanned = u64::try_from(before.len()).ok();
    assert_eq!(counts, [scanned, Some(3), Some(2), Some(1)], "{counted}");
    assert_eq!(scene.table().await, before, "nothing was deleted");
    for point in DEATHS {
        let done = scene.cli.armed(&format!("{point}=kill")).run(PRUNE).await;
        assert_eq!(done.killed_at(), Some(*point), "{}", done.stderr);
    }
    scene.run(PRUNE).await.with_code(PRUNE, 0);
    let mut left = before;
    left.retain(|key, _| !matches!(&key[0], Plain::Text(id) if id.starts_with("ORD#")));
    assert_eq!(scene.table().await, left);
    assert_eq!(scene.source().await, source, "nobody touches the source");
    overtaken(scene, Scene::own("ORD#7", 2), "somebody changed them after").await;
    let mut added = Scene::own("ORD#7", 1);
    added.insert("added".into(), number(1));
    overtaken(scene, added, "put back").await;
    scene.run(PRUNE).await.with_code(PRUNE, 0);
    assert_eq!(scene.table().await, left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_everything_moves_and_comes_back() {
    in_the_long_run!(a_table_of_everything_moves_and_comes_back);
    there_and_back(Engine::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_local_moves_a_table_of_everything() {
    in_the_long_run!(dynamodb_local_moves_a_table_of_everything);
    there_and_back(Engine::genuine_dedicated().await).await;
}

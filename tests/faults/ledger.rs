//! The ledger of all changes in S3: what it holds, what it gives to a lane that is far behind, and everything that would lose a record
//! of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dynasplit::ledger::LedgerObject;
use dynasplit::model::{Position, RawRecord};
use dynasplit::state::{LaneState, ShardRecord, Store, VerifyRecord};
use serde_json::Value;
use tempfile::TempDir;

use super::course::{self, HABITS, begin, copied, seen, stream, until_more, until_seen};
use crate::support::failpoints;
use crate::support::faulty::{Fault, Reason, Rule, Script, Switch, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::objects::{Objects, Wrong};
use crate::support::process::{Running, lane, lanes, obstacles};
use crate::support::stage::Stage;
use crate::support::table::{self, item, number, text};
use crate::support::trial::{Mode, Stamps};

const HOUR_MS: u64 = 3_600_000;
const WEEK_MS: u64 = 7 * 24 * HOUR_MS;
const BUCKET: &str = "history";
/// The points of the ledger, at each of which a process dies here.
const POINTS: [&str; 2] = ["ledger.recorded", "ledger.written"];

/// A split with a ledger.
struct Scene {
    stage: Stage,
    objects: Objects,
    /// For another plan.
    folder: TempDir,
}

impl Scene {
    async fn set(script: Script, mode: Mode) -> Self {
        let objects = Objects::start(&[BUCKET]).await;
        let mut stage = course::set(script, mode).await;
        let ledger = format!("version: 1\nledger: {{ bucket: {BUCKET}, prefix: splits/all }}");
        let cli = stage.edited("version: 1", &ledger);
        stage.cli = cli.with_variable("AWS_ENDPOINT_URL_S3", objects.endpoint());
        let folder = tempfile::tempdir().expect("a temporary directory");
        Self {
            stage,
            objects,
            folder,
        }
    }

    /// Waits until the ledger has every record that another lane has seen.
    async fn until_written(&self, other: &str) {
        let all = |status: &Value| {
            let records = status["ledger"]["records"].as_u64();
            records.is_some_and(|records| records >= seen(status, other))
        };
        self.stage.cli.until("the ledger", all).await;
    }

    async fn show(&self, more: &[&str]) -> Vec<Value> {
        let words = [
            &["ledger", "show", "--limit", "1000000", "--output", "json"],
            more,
        ]
        .concat();
        let done = self.stage.cli.succeed(&words).await;
        let found: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!(found["more"], 0);
        found["changes"].as_array().expect("changes").clone()
    }

    /// The ledger has no hole, and its last image of each item is what the source holds.
    async fn assert_whole(&self) {
        let checked = self
            .stage
            .cli
            .succeed(&["ledger", "check", "--output", "json"])
            .await;
        let checked: Value = serde_json::from_str(&checked.stdout).expect("JSON");
        let mut items: BTreeMap<String, Value> = BTreeMap::new();
        for change in self.show(&[]).await {
            let key = change["key"].to_string();
            let before = items.get(&key).cloned().unwrap_or(Value::Null);
            assert_eq!(
                change["old"], before,
                "each image follows the one before: {checked:#}"
            );
            items.insert(key, change["new"].clone());
        }
        items.retain(|_, item| !item.is_null());
        let source = self
            .stage
            .client
            .scan()
            .table_name(&self.stage.trial.source)
            .consistent_read(true);
        let source = source.into_paginator().items().send().try_collect().await;
        let source = source.expect("the source can be read");
        assert_eq!(items.len(), source.len(), "the ledger tells the source");
        for item in source {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
            let (pk, sk) = (text("PK").expect("a key"), text("SK").expect("a key"));
            let key = serde_json::json!({ "PK": { "S": pk }, "SK": { "S": sk } });
            let image = &items[&key.to_string()];
            assert_eq!(
                image.as_object().map(serde_json::Map::len),
                Some(item.len()),
                "{image}"
            );
            for name in ["kind", "name"] {
                assert_eq!(image[name]["S"].as_str(), text(name).as_deref(), "{image}");
            }
            let at = item.get("at").and_then(|value| value.as_n().ok());
            assert_eq!(image["at"]["N"].as_str(), at.map(String::as_str), "{image}");
        }
    }

    async fn stop(&self, tail: Running) {
        tail.signal("TERM");
        tail.end().await.with_code(&["replicate"], 0);
    }

    /// Changes a lane in the record of every shard, as time would change it without a worker.
    async fn age(&self, is_meant: impl Fn(&str) -> bool, age: impl Fn(&mut LaneState)) {
        let store = Store::new(self.stage.client.clone(), &self.stage.trial.state_table());
        let shards = store.list::<ShardRecord>(ShardRecord::PREFIX).await;
        for (name, stored) in shards.expect("the state can be read") {
            let mut record = stored.value;
            let lanes = record.lanes.iter_mut().filter(|(lane, _)| is_meant(lane));
            lanes.for_each(|(_, state)| age(state));
            let saved = store.put(&name, record, stored.revision).await;
            saved.expect("nobody else writes");
        }
    }

    /// Changes the record of the last verify.
    async fn change_verify(&self, change: impl FnOnce(&mut VerifyRecord)) {
        let store = Store::new(self.stage.client.clone(), &self.stage.trial.state_table());
        let stored = store.get::<VerifyRecord>(VerifyRecord::NAME).await;
        let stored = stored.expect("the state can be read").expect("a verify");
        let mut record = stored.value;
        change(&mut record);
        let saved = store.put(VerifyRecord::NAME, record, stored.revision).await;
        saved.expect("nobody else writes");
    }

    /// Waits until the ledger is complete up to this moment. Nobody writes to the source any more.
    async fn until_ledger_caught_up(&self) {
        let quiet = Instant::now();
        let is_complete = |status: &Value| {
            let since = u64::try_from(quiet.elapsed().as_millis()).expect("a short time");
            let lag = status["ledger"]["lag_ms"].as_u64();
            lag.is_some_and(|lag| lag + 1000 < since)
        };
        self.stage
            .cli
            .until("the end of the ledger's lag", is_complete)
            .await;
    }

    /// Makes the records of the ledger older. (Their times decide how far a lane is behind.)
    fn age_objects(&self, ms: u64) {
        for file in self.files() {
            let bytes = fs::read(&file).expect("an object");
            let mut object = LedgerObject::unpack(&bytes).expect("an object");
            for line in &mut object.lines {
                let mut record = RawRecord::from_line(line).expect("a record");
                record.created_ms = record.created_ms.map(|at| at - ms);
                *line = record.to_line();
            }
            let header = &mut object.header;
            header.complete_to_ms -= ms;
            header.newest_ms = header.newest_ms.map(|at| at - ms);
            header.kept_from_ms = header.kept_from_ms.saturating_sub(ms);
            fs::write(file, object.pack().expect("bytes")).expect("the object is written");
        }
    }

    /// A week passes: the stream forgets everything, and a lane has been held up all the time, while the ledger was written.
    async fn a_week_passes(&self, held: &str) -> usize {
        let mut forgotten = 0;
        for shard in stream(&self.stage).shards().await {
            forgotten += stream(&self.stage).trim(&shard.id).await;
        }
        self.age_objects(WEEK_MS);
        self.age(
            |lane| lane == held,
            |state| state.complete_to_ms = state.complete_to_ms.saturating_sub(WEEK_MS),
        )
        .await;
        let began_before = |state: &mut LaneState| {
            state.kept_from_ms = state.kept_from_ms.map(|from| from.saturating_sub(WEEK_MS));
            if state.finished() {
                state.complete_to_ms = state.complete_to_ms.saturating_sub(WEEK_MS);
            }
        };
        self.age(|lane| ShardRecord::of_ledger(lane).is_some(), began_before)
            .await;
        forgotten
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.objects.root().join(BUCKET)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                match path.is_dir() {
                    true => folders.push(path),
                    false if path.extension().is_some_and(|extension| extension == "gz") => found.push(path),
                    false => {}
                }
            }
        }
        found.sort();
        found
    }
}

/// A rule by which the table of orders accepts no writes.
fn unwritable(stage: &Stage) -> Switch {
    let reason = Reason::of(true).next().expect("a reason");
    let rule = Rule::new(Fault::Throttled(Throttle::Provisioned, reason)).table(&stage.trial.orders);
    stage.engine.faults().rule(rule)
}

/// Every record arrives in the ledger once and in order: shards split, two workers share them, S3 fails and answers too late, and a
/// worker dies between an object and its checkpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_in_the_ledger_whatever_dies_and_fails() {
    in_the_long_run!(every_record_is_in_the_ledger_whatever_dies_and_fails);
    let scene = Scene::set(Script::quiet(61).shards(2), Mode::Sequence).await;
    let stage = &scene.stage;
    stage.cli.succeed(&["apply"]).await;
    // Before the capture: the stream still keeps these, so the ledger begins with them.
    course::put(stage, 1, 1, "before").await;
    let mutator = stage.write(HABITS).await;
    let points = failpoints::points().filter(|point| failpoints::is_of_ledger(point));
    assert_eq!(
        points.collect::<BTreeSet<String>>(),
        BTreeSet::from(POINTS.map(str::to_owned))
    );
    let written: Vec<String> = failpoints::points()
        .filter(|point| point.contains(".object."))
        .collect();
    assert_eq!(written.len(), 2, "both sides of the write of an object");
    for point in POINTS.into_iter().chain(written.iter().map(String::as_str)) {
        let dying = stage.cli.armed(&format!("{point}@2=kill")).start(&["replicate"]);
        let done = dying.end().await;
        assert_eq!(done.killed_at(), Some(point), "{}", done.stderr);
    }
    let unwell = || Wrong::Error(503, "SlowDown", "Please reduce your request rate.".into(), None);
    scene.objects.wrong("/history/splits", unwell(), 3);
    let first = stage
        .cli
        .armed(&format!("{}@/3=error", written[1]))
        .start(&["replicate"]);
    let second = stage.cli.start(&["replicate"]);
    until_more(stage, "orders", 40).await;
    stream(stage).split_all().await;
    until_more(stage, "orders", 40).await;
    mutator.stop().await;
    stage.cli.succeed(&["backfill"]).await;
    stage.cli.until_caught_up().await;
    scene.until_ledger_caught_up().await;
    scene.stop(first).await;
    scene.stop(second).await;
    scene.assert_whole().await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    // A closed shard has its end in the chain.
    let checked = stage.cli.succeed(&["ledger", "check", "--output", "json"]).await;
    let checked: Value = serde_json::from_str(&checked.stdout).expect("JSON");
    let chains = checked["chains"].as_array().expect("chains");
    let closed = chains.iter().filter(|chain| chain["ended"] == true).count();
    assert_eq!((closed, chains.len()), (2, 6), "{checked:#}");
    assert!(
        checked["bucket"]["settings"]["removal"].is_object()
            || checked["bucket"]["settings"]["removal"] == "absent",
        "{checked:#}"
    );
}

/// A table accepts no writes for a week, and the stream forgets everything: its lane reads the ledger, and the others the stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_a_week_behind_reads_the_ledger_and_loses_nothing() {
    in_the_long_run!(a_lane_that_is_a_week_behind_reads_the_ledger_and_loses_nothing);
    for mode in [Mode::Timestamp, Mode::Sequence] {
        let scene = Scene::set(Script::quiet(62), mode).await;
        let stage = &scene.stage;
        let mutator = stage.write(HABITS).await;
        let tail = copied(stage).await;
        until_more(stage, "orders", 20).await;
        let held = unwritable(stage);
        held.until(3).await;
        until_more(stage, "invoices", 60).await;
        stream(stage).split_all().await;
        until_more(stage, "invoices", 60).await;
        stream(stage).roll_all().await;
        until_more(stage, "invoices", 30).await;
        mutator.stop().await;
        for id in 0..20 {
            course::delete(stage, id).await;
        }
        course::put(stage, 900, 900_000, "while it is held").await;
        let all = stream(stage)
            .shards()
            .await
            .iter()
            .map(|shard| shard.records)
            .sum::<usize>() as u64;
        until_seen(stage, "invoices", all).await;
        scene.until_ledger_caught_up().await;
        scene.stop(tail).await;
        let forgotten = scene.a_week_passes("orders").await;
        assert!(forgotten > 100, "{forgotten}");

        let tail = stage.cli.start(&["replicate"]);
        let behind = |status: &Value| status["ledger"]["lanes"] == serde_json::json!(["orders"]);
        let status = stage.cli.until("a lane that depends on the ledger", behind).await;
        assert!(lanes(&status).all(|lane| lane["gap"].is_null()), "{status:#}");
        held.off();
        // What comes now is read from the stream.
        course::put(stage, 901, 900_001, "after the week").await;
        stage.cli.until_caught_up().await;
        scene.until_ledger_caught_up().await;
        scene.assert_whole().await;
        course::end(stage, tail).await;
    }
}

/// The same, but an object is missing: then the lane has a gap, and says which one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_in_the_ledger_is_a_gap_of_the_lane_that_needs_it() {
    let scene = Scene::set(Script::quiet(63), Mode::Timestamp).await;
    let stage = &scene.stage;
    let tail = copied(stage).await;
    let held = unwritable(stage);
    for round in 0..4 {
        for id in 0..5 {
            course::put(stage, round * 5 + id, 1, "held").await;
        }
        until_seen(stage, "invoices", 5 * (round as u64 + 1)).await;
        scene.until_written("invoices").await;
    }
    scene.stop(tail).await;
    scene.a_week_passes("orders").await;
    held.off();
    let files = scene.files();
    assert!(files.len() > 3, "{files:?}");
    let hole = files[files.len() - 2].clone();
    fs::remove_file(&hole).expect("a file");
    let found = stage
        .cli
        .run(&["ledger", "check"])
        .await
        .with_code(&["ledger", "check"], 3);
    assert!(
        found.stdout.contains("no object has the records"),
        "{}",
        found.stdout
    );

    let tail = stage.cli.start(&["replicate"]);
    let lost = |status: &Value| lane(status, "orders")["gap"].is_string();
    let status = stage.cli.until("the gap", lost).await;
    let gap = lane(&status, "orders")["gap"].to_string();
    let name = hole.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(
        gap.contains(&name) && gap.contains("the ledger is broken"),
        "{gap}"
    );
    assert!(lane(&status, "invoices")["gap"].is_null(), "{status:#}");
    tail.kill().await;
}

/// A clean verify is a week old, and the stream has forgotten what changed since: the ledger has it, also of shards that ended. If an
/// object is missing, the comparison says which one, and proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_since_a_verify_of_last_week_is_read_from_the_ledger() {
    let scene = Scene::set(Script::quiet(68), Mode::Timestamp).await;
    let stage = &scene.stage;
    let tail = copied(stage).await;
    course::put(stage, 30, 1, "before").await;
    stage.cli.until_caught_up().await;
    scene.until_ledger_caught_up().await;
    stage.cli.succeed(&["verify"]).await;
    for id in 0..5 {
        course::put(stage, id, 1, "on Tuesday").await;
    }
    until_seen(stage, "orders", 6).await;
    scene.until_written("orders").await;
    stream(stage).split_all().await;
    for id in 5..9 {
        course::put(stage, id, 1, "on Wednesday").await;
    }
    course::delete(stage, 30).await;
    stage.cli.until_caught_up().await;
    scene.until_ledger_caught_up().await;
    scene.stop(tail).await;
    assert!(scene.a_week_passes("nobody").await >= 11);
    let verified_last_week = |record: &mut VerifyRecord| {
        let places = record.places.as_mut().expect("the places of the lanes");
        places.complete_to_ms -= WEEK_MS;
    };
    scene.change_verify(verified_last_week).await;
    // What comes after the week is in the stream, and maybe in the ledger already.
    let tail = stage.cli.start(&["replicate"]);
    course::put(stage, 40, 1, "today").await;
    stage.cli.until_caught_up().await;

    let words = ["verify", "--changed", "--output", "json"];
    let needed: Vec<PathBuf> = scene
        .files()
        .into_iter()
        .filter(|file| {
            let object = LedgerObject::unpack(&fs::read(file).expect("an object")).expect("an object");
            object
                .lines
                .iter()
                .any(|line| line.contains("on Tuesday") || line.contains("on Wednesday"))
        })
        .collect();
    assert!(needed.len() >= 2, "before and after the split: {needed:?}");
    for hole in &needed {
        let bytes = fs::read(hole).expect("an object");
        fs::remove_file(hole).expect("a file");
        let refused = stage.cli.run(&words).await;
        let name = hole.file_name().expect("a name").to_string_lossy().into_owned();
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(
            refused.code != Some(0) && said.contains(&name) && said.contains("the ledger is broken"),
            "{said}"
        );
        fs::write(hole, bytes).expect("the object is back");
    }
    let compared: Value = serde_json::from_str(&stage.cli.succeed(&words).await.stdout).expect("JSON");
    assert_eq!(compared["clean"], true, "{compared:#}");
    let changes = &compared["changes"];
    assert_eq!(changes["records"], 11, "{compared:#}");
    let from_ledger = changes["from_ledger"].as_u64();
    assert!(from_ledger.is_some_and(|records| records >= 10), "{compared:#}");
    let orders = |service: &&Value| service["service"] == "orders";
    let services = changes["services"].as_array().expect("services");
    assert_eq!(
        services.iter().find(orders).expect("orders")["keys"],
        11,
        "{changes:#}"
    );
    course::end(stage, tail).await;
}

/// Nothing could be written for a day. The lanes have lost nothing, and the ledger begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_of_the_ledger_concerns_no_other_lane_and_has_a_restart() {
    in_the_long_run!(a_gap_of_the_ledger_concerns_no_other_lane_and_has_a_restart);
    let scene = Scene::set(Script::quiet(64), Mode::Timestamp).await;
    let stage = &scene.stage;
    let tail = copied(stage).await;
    // A ledger that keeps nothing yet has nothing to lose: it begins late.
    course::put(stage, 30, 1, "in the ledger").await;
    let keeps = |status: &Value| status["ledger"]["records"] == 1;
    stage.cli.until("a first record in the ledger", keeps).await;
    let denied = Wrong::Error(403, "AccessDenied", "Access Denied".into(), None);
    scene.objects.wrong("/history/splits", denied, u32::MAX);
    for id in 0..10 {
        course::put(stage, id, 1, "not in the ledger").await;
    }
    let blocked = |status: &Value| status["ledger"]["blocked"].to_string().contains("s3:PutObject");
    stage.cli.until("a ledger that cannot be written", blocked).await;
    stage.cli.until_caught_up().await;
    tail.kill().await;
    for shard in stream(stage).shards().await {
        stream(stage).trim(&shard.id).await;
    }
    let is_ledger = |lane: &str| ShardRecord::of_ledger(lane).is_some();
    scene
        .age(is_ledger, |state| state.complete_to_ms -= 25 * HOUR_MS)
        .await;
    scene.objects.behave();

    let tail = stage.cli.start(&["replicate"]);
    let lost = |status: &Value| status["ledger"]["gap"].is_string();
    let status = stage.cli.until("the gap of the ledger", lost).await;
    assert!(lanes(&status).all(|lane| lane["gap"].is_null()), "{status:#}");
    assert!(obstacles(&status).contains("--restart-ledger"), "{status:#}");
    course::put(stage, 20, 1, "after the gap").await;
    let second = stage.cli.start(&["replicate", "--restart-ledger"]);
    let whole = |status: &Value| status["ledger"]["gap"].is_null() && status["ledger"]["records"] == 1;
    stage.cli.until("a ledger that begins anew", whole).await;
    scene.stop(second).await;
    course::end(stage, tail).await;
    stage.cli.succeed(&["ledger", "check"]).await;
}

/// A shard is closed while records of it are only in the memory of the worker: the object that says that the shard has ended has them.
/// The answer to the write of this object is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_object_of_a_closed_shard_has_what_was_not_written_before() {
    /// With this lease, a record waits in memory for minutes until it is written.
    const LONG: u64 = 20;
    let scene = Scene::set(Script::quiet(67), Mode::Timestamp).await;
    let stage = &scene.stage;
    let tail = begin(stage).await;
    for id in 0..3 {
        course::put(stage, id, 1, "written before").await;
    }
    let are_written = |status: &Value| status["ledger"]["records"] == 3;
    stage
        .cli
        .until("the first records in the ledger", are_written)
        .await;
    scene.stop(tail).await;
    let before = scene.files();

    for id in 2..7 {
        course::put(stage, id, 2, "in memory").await;
    }
    course::delete(stage, 0).await;
    stream(stage).roll_all().await;
    let patient = stage.cli.with_lease(LONG).armed("s3.object.after=error");
    let tail = patient.start(&["replicate"]);
    let written = async {
        while scene.files().len() == before.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    course::in_time("the last object of the shard", written).await;
    let files = scene.files();
    let last: Vec<&PathBuf> = files.iter().filter(|file| !before.contains(file)).collect();
    let [last] = last[..] else {
        panic!("one object was written: {last:?}");
    };
    let last = LedgerObject::unpack(&fs::read(last).expect("an object")).expect("an object");
    assert_eq!((last.header.to, last.lines.len()), (Position::End, 6));
    let all = |status: &Value| status["ledger"]["records"] == 9;
    stage.cli.until("its records in the ledger", all).await;
    assert_eq!(
        scene.files(),
        files,
        "no second object, although an answer was lost"
    );
    scene.assert_whole().await;
    let checked = stage.cli.succeed(&["ledger", "check", "--output", "json"]).await;
    let checked: Value = serde_json::from_str(&checked.stdout).expect("JSON");
    let chains = checked["chains"].as_array().expect("chains");
    let ended = chains.iter().filter(|chain| chain["ended"] == true);
    assert_eq!(ended.count(), 1, "{checked:#}");
    scene.stop(tail).await;
}

/// Without conditions of writes, two workers could overwrite each other's objects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_ignores_conditions_is_refused() {
    let scene = Scene::set(Script::quiet(65), Mode::Timestamp).await;
    scene.objects.ignore_conditions();
    let refused = scene.stage.cli.run(&["apply"]).await.with_code(&["apply"], 1);
    assert!(
        refused.stderr.contains("ignores the conditions of writes"),
        "{}",
        refused.stderr
    );
    let state = scene.stage.trial.state_table();
    let described = scene.stage.client.describe_table().table_name(state).send().await;
    assert!(
        described.is_err(),
        "nothing was created before the bucket was tried"
    );
}

/// Every change of an item is shown, and a table that something else has changed is brought in order by the keys of the ledger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_an_item_is_shown_and_its_key_is_read_again() {
    in_the_long_run!(the_history_of_an_item_is_shown_and_its_key_is_read_again);
    let scene = Scene::set(Script::quiet(66), Mode::Timestamp).await;
    let stage = &scene.stage;
    let tail = begin(stage).await;
    for (at, name) in [(1, "first"), (2, "second"), (3, "third")] {
        course::put(stage, 7, at, name).await;
    }
    course::put(stage, 8, 1, "deleted later").await;
    course::delete(stage, 8).await;
    stage.cli.succeed(&["backfill"]).await;
    until_seen(stage, "orders", 5).await;
    scene.until_written("orders").await;
    let key = r#"{"PK":{"S":"ACC#1"},"SK":{"S":"DOC#7"}}"#;
    let names = |changes: &[Value]| -> Vec<String> {
        let names = changes
            .iter()
            .map(|change| change["new"]["name"]["S"].to_string());
        names.collect()
    };
    let changes = scene.show(&["--key", key]).await;
    assert_eq!(
        names(&changes),
        ["\"first\"", "\"second\"", "\"third\""],
        "{changes:#?}"
    );
    assert_eq!(scene.show(&["--since", "4000000000000"]).await, [Value::Null; 0]);
    let told = stage.cli.succeed(&["ledger", "show", "--key", key]).await.stdout;
    assert!(
        told.contains("name: {\"S\":\"second\"} -> {\"S\":\"third\"}"),
        "{told}"
    );
    let wrong = stage.cli.run(&["ledger", "show", "--key", "ACC#1"]).await;
    assert!(
        wrong
            .with_code(&["ledger", "show"], 2)
            .stderr
            .contains("is not a key of the source")
    );

    // A worker whose plan lacks the ledger would leave it to others.
    let without = stage.cli.with_plan(stage.trial.write_plan(scene.folder.path()));
    let refused = without.run(&["replicate"]).await.with_code(&["replicate"], 1);
    assert!(
        refused.stderr.contains("another ledger (none)"),
        "{}",
        refused.stderr
    );

    // Something else deletes the item, and puts one that the source has deleted.
    let orders = &stage.trial.orders;
    table::delete(&stage.client, orders, table::key("ACC#1", "DOC#7")).await;
    let back = [("kind", text("order")), ("at", number(1)), ("name", text("back"))];
    table::put(&stage.client, orders, item("ACC#1", "DOC#8", back)).await;
    let words = ["ledger", "replay", "--service", "orders", "--output", "json"];
    let replayed = stage.cli.succeed(&words).await.stdout;
    let replayed: Value = serde_json::from_str(&replayed).expect("JSON");
    assert_eq!(
        (&replayed["keys"], &replayed["repaired"]),
        (&2.into(), &2.into()),
        "{replayed:#}"
    );
    course::end(stage, tail).await;
}

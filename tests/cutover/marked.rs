//! The drain by canary: markers in every open shard, also while shards split, and a shard that no marker reaches. No marker stays.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::application::Application;
use super::deaths::die;
use super::shop::{CANCEL, CANCEL_ROLLBACK, CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::Engine;
use crate::support::contents::{self, Plain};
use crate::support::faulty::stream::key_text;
use crate::support::faulty::{Call, Fault, FaultKind, Reason, Rule, Script, Throttle, place_of};
use crate::support::long::in_the_long_run;
use crate::support::process::{LIMIT, obstacles};
use crate::support::table::{self, item, number};
use crate::support::trial::Mode;

/// The points of the markers.
pub const POINTS: &[&str] = &[
    "marker.put.before",
    "marker.put.after",
    "cutover.marked",
    "marker.delete.before",
    "marker.delete.after",
    "cutover.markers-removed",
];
/// No shard is given up.
const PATIENT: &str = "{ by: canary, canary-for: 600 }";
/// A shard without a marker is given up soon.
const HASTY: &str = "{ by: canary, canary-for: 2, quiet-for: 1 }";

/// Between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(100);

/// No marker is in a table.
async fn assert_no_marker(shop: &Shop) {
    for table in [&shop.stage.trial.source, &shop.people] {
        let found = contents::read(&shop.stage.client, table).await;
        let is_marker = |part: &Plain| matches!(part, Plain::Text(text) if text.contains("dynasplit:"));
        let left: Vec<_> = found.keys().filter(|key| key.iter().any(is_marker)).collect();
        assert!(left.is_empty(), "{table} holds markers: {left:?}");
    }
}

/// What the journal says about markers, oldest first.
async fn told(shop: &Shop) -> Vec<String> {
    let stand = shop.stand().await;
    let events = stand["events"].as_array().expect("events").clone();
    let what = events.iter().filter_map(|event| event["what"].as_str());
    what.filter(|what| what.contains("marker"))
        .map(str::to_owned)
        .collect()
}

async fn until_source(application: &Application) {
    let before = application.written().await.source;
    until_written(application, |written| written.source >= before + 20).await;
}

async fn until_target(application: &Application) {
    let before = application.written().await.target;
    until_written(application, |written| written.target >= before + 20).await;
}

/// There and back. No lane, no verify and no watcher takes a marker for an item.
async fn there_and_back(engine: Engine, mode: Mode) {
    let (shop, tail, application) = Shop::open_drained(engine, mode, PATIENT).await;
    shop.cutover().await;
    let there = told(&shop).await;
    assert!(
        there.iter().any(|what| what.contains("is read beyond one")),
        "{there:?}"
    );
    assert_no_marker(&shop).await;
    until_target(&application).await;
    shop.succeed(ROLLBACK).await;
    let back = told(&shop).await;
    assert!(
        back.last()
            .is_some_and(|what| what.contains("is read beyond one")),
        "{back:?}"
    );
    assert_no_marker(&shop).await;
    until_source(&application).await;
    shop.verify().await;
    shop.assert_both_sides(&application.end().await).await;
    assert_eq!(obstacles(&shop.cli.status().await), "[]");
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_by_canary_leaves_no_trace_in_sequence_mode() {
    in_the_long_run!(a_drain_by_canary_leaves_no_trace_in_sequence_mode);
    there_and_back(Engine::embedded().await, Mode::Sequence).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_by_canary_leaves_no_trace_on_dynamodb_local() {
    in_the_long_run!(a_drain_by_canary_leaves_no_trace_on_dynamodb_local);
    there_and_back(Engine::genuine_dedicated().await, Mode::Timestamp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_by_canary_reaches_every_shard_while_shards_split_and_roll() {
    in_the_long_run!(a_drain_by_canary_reaches_every_shard_while_shards_split_and_roll);
    let script = Script::quiet(0).shards(5).reshard_every(40).listed_at_once(2);
    there_and_back(Engine::scripted(script).await, Mode::Timestamp).await;
}

/// Commands die at each request and each step of the markers, and are continued or cancelled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_die_beside_markers_and_none_stays() {
    in_the_long_run!(commands_die_beside_markers_and_none_stays);
    let engine = Engine::scripted(Script::quiet(0).shards(2)).await;
    let (shop, tail, application) = Shop::open_drained(engine, Mode::Sequence, PATIENT).await;
    // The first marker of a command is that before the fence.
    die_at(&shop, CUTOVER, "marker.put.after", 1).await;
    for (point, pass) in [
        ("marker.put.before", 3),
        ("marker.put.after", 3),
        ("cutover.marked", 1),
    ] {
        die_at(&shop, CUTOVER, point, pass).await;
        shop.succeed(CANCEL).await;
        assert_no_marker(&shop).await;
        until_source(&application).await;
        die_at(&shop, CUTOVER, point, pass).await;
    }
    for point in [
        "marker.delete.before",
        "marker.delete.after",
        "cutover.markers-removed",
    ] {
        die(&shop, CANCEL, point).await;
        shop.succeed(CANCEL).await;
        assert_no_marker(&shop).await;
        die_at(&shop, CUTOVER, "cutover.marked", 1).await;
    }
    // The service writes its own table already.
    for point in [
        "marker.delete.before",
        "marker.delete.after",
        "cutover.markers-removed",
    ] {
        die(&shop, CUTOVER, point).await;
        until_target(&application).await;
    }
    shop.cutover().await;
    assert_no_marker(&shop).await;
    die(&shop, ROLLBACK, "marker.put.after").await;
    shop.succeed(CANCEL_ROLLBACK).await;
    assert_no_marker(&shop).await;
    until_target(&application).await;
    die(&shop, ROLLBACK, "cutover.marked").await;
    die(&shop, ROLLBACK, "marker.delete.after").await;
    shop.succeed(ROLLBACK).await;
    assert_no_marker(&shop).await;
    until_source(&application).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

async fn die_at(shop: &Shop, words: &[&str], point: &str, pass: u32) {
    let died = shop
        .run(&shop.cli.armed(&format!("{point}@{pass}=kill")), words)
        .await;
    assert_eq!(died.killed_at(), Some(point), "{words:?}: {}", died.stderr);
}

/// Requests that put a marker, and lie in the lower half of the key space if this is asked for.
fn markers(call: &Call, lower_half: bool) -> bool {
    let item: Value = call.json()["Item"].clone();
    let is_marker = item.to_string().contains("dynasplit:marker#");
    is_marker && (!lower_half || place_of(&key_text(&item)) < 1 << 31)
}

fn refused(lower_half: bool) -> Rule {
    let reason = Reason::of(true).next().expect("a reason");
    let throttled = Fault::Throttled(Throttle::Provisioned, reason);
    let on = Rule::new(throttled).on(&["PutItem"]);
    on.when(move |call| markers(call, lower_half))
}

/// All shards split after the fence, before a marker was written: the children have to show one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_that_split_during_the_drain_show_a_marker_in_each_child() {
    in_the_long_run!(shards_that_split_during_the_drain_show_a_marker_in_each_child);
    let engine = Engine::scripted(Script::quiet(0).shards(3)).await;
    let (shop, tail, application) = Shop::open_drained(engine, Mode::Sequence, PATIENT).await;
    let faults = shop.stage.engine.faults();
    let held = faults.rule(refused(false));
    let cutting = shop.cli.start(CUTOVER);
    // The one before the fence, and some of the drain.
    held.until(8).await;
    assert_eq!(shop.stand().await["step"], "drain");
    faults.stream(&shop.stage.trial.source).split_all().await;
    assert_eq!(faults.count(FaultKind::Split), 3);
    held.off();
    cutting.end().await.with_code(CUTOVER, 0);
    let there = told(&shop).await;
    assert!(
        there.iter().any(|what| what.contains("each of 9 shards")),
        "{there:?}"
    );
    until_target(&application).await;
    shop.assert_both_sides(&application.end().await).await;
    assert_no_marker(&shop).await;
    end(tail).await;
}

/// No marker reaches one shard: after the deadline, its drain rests on its silence, and the command and the journal say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_no_marker_reaches_is_drained_by_quiet_and_named() {
    in_the_long_run!(a_shard_that_no_marker_reaches_is_drained_by_quiet_and_named);
    let engine = Engine::scripted(Script::quiet(0).shards(2)).await;
    let (shop, tail, application) = Shop::open_drained(engine, Mode::Timestamp, HASTY).await;
    let unreachable = shop.stage.engine.faults().rule(refused(true));
    let done = shop.cutover().await;
    unreachable.off();
    let there = told(&shop).await;
    let said = "1 of 2 shards showed no marker within 2 s";
    assert!(there.iter().any(|what| what.contains(said)), "{there:?}");
    assert!(done.stderr.contains(said), "{}\n{}", done.stdout, done.stderr);
    until_target(&application).await;
    shop.assert_both_sides(&application.end().await).await;
    assert_no_marker(&shop).await;
    end(tail).await;
}

/// The stream shows the last write much later than a drain by quiet waits: by canary, the switch waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_shown_very_late_arrives_before_the_switch() {
    in_the_long_run!(a_record_that_is_shown_very_late_arrives_before_the_switch);
    let engine = Engine::scripted(Script::quiet(0)).await;
    let (shop, tail, application) = Shop::open_drained(engine, Mode::Sequence, PATIENT).await;
    let written = application.end().await;
    shop.cli.until_caught_up().await;
    // What is read before the fence is not late.
    let mut cutting = shop.cli.armed("cutover.fencing=stop").start(CUTOVER);
    cutting.until_stopped_at("cutover.fencing").await;
    let faults = shop.stage.engine.faults();
    let stream = faults.stream(&shop.stage.trial.source);
    stream.empty_pages(u64::MAX / 2).await;
    let late = item("PER#900", "P", [("n", number(1)), ("amount", number(10))]);
    table::put(&shop.stage.client, &shop.stage.trial.source, late).await;
    let puts = faults.record(&["PutItem"], &shop.stage.trial.source);
    cutting.signal("CONT");
    // Three rounds of markers: longer than a drain by quiet.
    let began = Instant::now();
    while puts.count() < 3 * 4 {
        let is_slow = began.elapsed() >= LIMIT;
        assert!(!is_slow, "{} markers: {:#}", puts.count(), shop.stand().await);
        tokio::time::sleep(POLL).await;
    }
    assert_eq!(shop.stand().await["step"], "drain");
    assert_eq!(shop.calls("switch"), 0);
    stream.full_pages().await;
    cutting.end().await.with_code(CUTOVER, 0);
    let people = contents::read(&shop.stage.client, &shop.people).await;
    let arrived = people.keys().any(|key| key[0] == Plain::Text("900".into()));
    assert!(arrived && people.len() == written.people.len() + 1, "{people:?}");
    end(tail).await;
}

/// The permission is missing: nobody is stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markers_that_cannot_be_written_are_noticed_before_the_fence() {
    in_the_long_run!(markers_that_cannot_be_written_are_noticed_before_the_fence);
    let engine = Engine::scripted(Script::quiet(0)).await;
    let (shop, tail, application) = Shop::open_drained(engine, Mode::Sequence, PATIENT).await;
    let denied = Rule::new(Fault::Denied)
        .on(&["PutItem"])
        .when(|call| markers(call, false));
    let denied = shop.stage.engine.faults().rule(denied);
    let refused = shop.run(&shop.cli, CUTOVER).await.with_code(CUTOVER, 3);
    assert!(refused.stdout.contains("dynamodb:PutItem"), "{}", refused.stdout);
    assert_eq!(shop.calls("fence"), 0);
    denied.off();
    shop.cutover().await;
    until_target(&application).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

//! A death at every failpoint. Each scene is a split of its own, whose processes die in the order in which a split comes
//! to the points; the same command then goes on, and in the end everything is exact.
use aws_sdk_dynamodb::Client;
use futures::future::{LocalBoxFuture, join_all};

use crate::crashes::backups::Backups;
use crate::crashes::deaths::{Deaths, points};
use crate::crashes::exporting::{exporting, importing, offline, sharing};
use crate::crashes::reserved_items::document;
use crate::crashes::scene::{Scene, succeed_soon};
use crate::support::long::in_the_long_run;
use crate::support::process::Cli;
use crate::support::stage::Stage;
use crate::support::table::{self, text};
use crate::support::trial::Mode;
use crate::support::{Engine, contents};

const REPLICATE: &[&str] = &["replicate"];
const SERVE: &[&str] = &["replicate", "--listen", "0"];
const TUNE: &[&str] = &["tune", "--workers", "4"];
const BACKFILL: &[&str] = &["backfill"];
/// Fewer segments than there are by default: those of an earlier round that are too many are removed.
const FEWER: &[&str] = &["backfill", "--segments", "8"];
const BULK: &[&str] = &["backfill", "--order", "bulk"];
/// With so many segments, the processes count each other.
const BULK_SHARED: &[&str] = &["backfill", "--order", "bulk", "--segments", "100"];
const VERIFY_ORDERS: &[&str] = &["verify", "--service", "orders"];
const VERIFY_CHANGED: &[&str] = &["verify", "--changed"];
const REPAIR: &[&str] = &["verify", "--repair", "--discard-target-writes"];
const ABANDON_SERVICE: &[&str] = &["abandon", "--service", "names", "--delete-table", "--yes"];
const ABANDON: &[&str] = &[
    "abandon",
    "--delete-targets",
    "--delete-state",
    "--disable-stream",
    "--yes",
];
const SWITCHED: &[&str] = &["switched", "--service", "invoices"];
const RECONCILE: &[&str] = &["dead-letters", "reconcile"];
const COMPLETE: &[&str] = &["complete", "--yes", "--quiet-for", "1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_dies_at_every_failpoint_and_nothing_is_lost() {
    in_the_long_run!(a_process_dies_at_every_failpoint_and_nothing_is_lost);
    let began = std::time::Instant::now();
    // Four or five at once: more of them, beside the runs under fire, would take the time of the processors from each other.
    let scenes: [Vec<(&str, LocalBoxFuture<'_, Deaths>)>; 2] = [
        vec![
            ("beginning", Box::pin(beginning())),
            ("copying", Box::pin(copying())),
            ("repairs", Box::pin(repair_scene())),
            ("ending", Box::pin(ending())),
        ],
        vec![
            ("bulk", Box::pin(bulk())),
            ("giving bulk up", Box::pin(giving_bulk_up())),
            ("adding", Box::pin(adding())),
            ("abandoning", Box::pin(abandoning())),
            ("exporting", Box::pin(exporting())),
            ("offline", Box::pin(offline())),
            ("importing", Box::pin(importing())),
            ("sharing", Box::pin(sharing())),
        ],
    ];
    let mut deaths = Deaths::default();
    for scenes in scenes {
        let timed = scenes.into_iter().map(|(name, scene)| async move {
            let deaths = scene.await;
            eprintln!(
                "{name}: {} deaths in {} s",
                deaths.total(),
                began.elapsed().as_secs()
            );
            deaths
        });
        for scene in join_all(timed).await {
            deaths.add(&scene);
        }
    }
    eprintln!(
        "{} deaths at {} failpoints in {} s: {deaths}",
        deaths.total(),
        points().count(),
        began.elapsed().as_secs()
    );
    assert!(deaths.missed().is_empty(), "nobody died at {:?}", deaths.missed());
}

/// `apply`, the capture, and the tail while tombstones are off.
async fn beginning() -> Deaths {
    let mut deaths = Deaths::default();
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, false).await;
    let cli = scene.cli();
    let apply = [
        "apply.state-table.before",
        "apply.state-table.after",
        "apply.stream.before",
        "apply.stream.after",
        "state.split.put.before",
        "state.split.put.after",
        "apply.target-table.before",
        "apply.target-table.after",
        "state.service.put.before",
        "state.service.put.after",
    ];
    deaths.die_at(cli, &["apply"], &apply).await;
    cli.succeed(&["apply"]).await;
    let tune = ["state.tuning.put.before", "state.tuning.put.after"];
    deaths.die_at(cli, TUNE, &tune).await;
    let capture = [
        "state.worker.put.before",
        "state.worker.put.after",
        "lease.taken",
        "state.shard.put.before",
        "state.shard.put.after",
        "capture.pinned",
        "capture.done",
    ];
    deaths.die_at(cli, REPLICATE, &capture).await;
    let chart = ["state.chart.put.before", "state.chart.put.after"];
    deaths.die_at(cli, SERVE, &chart).await;
    let follow = [
        "tail.put.before",
        "tail.put.after",
        "tail.delete.before",
        "tail.delete.after",
        "tail.checkpoint.before",
        "tail.checkpoint.after",
    ];
    deaths.die_at(cli, REPLICATE, &follow).await;
    for number_of in 0..4 {
        scene.reserved_items().put_invalid(number_of, 5).await;
    }
    let letters = [
        "state.letter-part.put.before",
        "state.letter-part.put.after",
        "state.letter.put.before",
        "state.letter.put.after",
    ];
    deaths.die_at(cli, REPLICATE, &letters).await;
    for point in [
        "lease.given-back.before",
        "lease.given-back.after",
        "state.worker.delete.before",
        "state.worker.delete.after",
    ] {
        let mut tail = Deaths::doomed(cli, REPLICATE, point);
        // It has a lease to give back. Before that, it would end at once.
        tail.until_told("reading shard").await;
        tail.signal("TERM");
        deaths.expect(tail, point).await;
    }
    let tail = scene.tail().await;
    // Not clean: there are dead letters.
    cli.run(BACKFILL).await.with_code(BACKFILL, 3);
    settle_letters(&scene, &mut deaths).await;
    scene.end(tail).await;
    deaths
}

/// The letters of [`beginning`], while a tail runs. Only repaired items are settled; the others wait.
async fn settle_letters(scene: &Scene, deaths: &mut Deaths) {
    let cli = scene.cli();
    scene.reserved_items().put(0, 10).await;
    cli.until_caught_up().await;
    for point in ["letters.put.before", "letters.put.after"] {
        scene.reserved_items().lose(0).await;
        deaths.die(cli, RECONCILE, point).await;
    }
    scene.reserved_items().delete(3).await;
    cli.until_caught_up().await;
    for point in ["letters.bury.before", "letters.bury.after"] {
        scene.reserved_items().invent(3).await;
        deaths.die(cli, RECONCILE, point).await;
    }
    for number_of in 1..3 {
        scene.reserved_items().put(number_of, 10).await;
    }
    cli.until_caught_up().await;
    let settled = [
        "state.letter.delete.before",
        "state.letter.delete.after",
        "state.letter-part.delete.before",
        "state.letter-part.delete.after",
    ];
    deaths.die_at(cli, RECONCILE, &settled).await;
    succeed_soon(cli, RECONCILE).await;
}

/// `apply`, where somebody has made a table without all that the plan wants of it.
async fn adding() -> Deaths {
    let mut deaths = Deaths::default();
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let (client, orders) = (&stage.client, &stage.trial.orders);
    table::create_with(client, orders, &[table::PK, table::SK], false).await;
    let name = format!("      name: {orders}\n");
    let wanted = "      point-in-time-recovery: true\n      tags: { team: orders }\n";
    let backups = Backups::before(stage.engine.endpoint());
    let cli = stage
        .edited(&name, &format!("{name}{wanted}"))
        .at(backups.endpoint());
    let apply = [
        "apply.recovery.before",
        "apply.recovery.after",
        "apply.tags.before",
        "apply.tags.after",
    ];
    deaths.die_at(&cli, &["apply"], &apply).await;
    cli.succeed(&["apply"]).await;
    assert!(backups.has(orders));
    assert_eq!(tags(client, orders).await, ["team: orders"]);
    deaths
}

async fn tags(client: &Client, table: &str) -> Vec<String> {
    let described = client.describe_table().table_name(table).send().await;
    let described = described.expect("the table can be described");
    let arn = described.table().and_then(|table| table.table_arn());
    let listed = client
        .list_tags_of_resource()
        .resource_arn(arn.expect("an ARN"))
        .send()
        .await
        .expect("its tags can be listed");
    let tags = listed.tags().iter();
    tags.map(|tag| format!("{}: {}", tag.key(), tag.value()))
        .collect()
}

/// The backfill, the tail while tombstones are on, and a service that is added.
async fn copying() -> Deaths {
    let mut deaths = Deaths::default();
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, true).await;
    let plan = scene.stage.trial.plan();
    let names = plan.find("  - name: names").map(|at| &plan[at..]);
    let few = scene.stage.edited(names.expect("the last service"), "");
    few.succeed(&["apply"]).await;
    let tail = few.start(REPLICATE);
    few.until_captured().await;
    let open = [
        "state.backfill.put.before",
        "state.backfill.put.after",
        "state.segment.put.before",
        "state.segment.put.after",
    ];
    deaths.die_at(&few, BACKFILL, &open).await;
    tail.kill().await;
    let tail = Deaths::doomed(&few, REPLICATE, "tombstones.acknowledging");
    until_worker(&few, 1).await;
    deaths.die(&few, BACKFILL, "tombstones.on").await;
    deaths.expect(tail, "tombstones.acknowledging").await;
    deaths
        .die_at(&few, REPLICATE, &["tail.bury.before", "tail.bury.after"])
        .await;
    let tail = few.start(REPLICATE);
    let copy = [
        "tombstones.on-acknowledged",
        "probe.put.before",
        "probe.put.after",
        "probe.insert.before",
        "probe.insert.after",
        "backfill.page-read",
        "backfill.put.before",
        "backfill.put.after",
        "backfill.checkpoint.before",
        "backfill.checkpoint.after",
        "backfill.copied",
        "tombstones.landed",
        "tombstones.rechecked",
        "tombstones.off",
        "tombstones.off-acknowledged",
        "sweep.delete.before",
        "sweep.delete.after",
        "tombstones.swept",
        "tombstones.done",
        "backfill.swept",
    ];
    deaths.die_at(&few, BACKFILL, &copy).await;
    few.succeed(BACKFILL).await;
    tail.kill().await;

    let cli = scene.cli();
    cli.succeed(&["apply"]).await;
    let tail = scene.tail().await;
    let added = ["state.segment.delete.before", "state.segment.delete.after"];
    deaths.die_at(cli, FEWER, &added).await;
    cli.succeed(BACKFILL).await;
    scene.end(tail).await;
    deaths
}

/// The bulk order.
async fn bulk() -> Deaths {
    let mut deaths = Deaths::default();
    let scene = Scene::open(Engine::embedded().await, Mode::Timestamp, true).await;
    let cli = scene.cli();
    cli.succeed(&["apply"]).await;
    let tail = scene.tail().await;
    let copy = [
        "bulk.holding",
        "bulk.held",
        "state.member.put.before",
        "state.member.put.after",
        "bulk.put.before",
        "bulk.put.after",
        "state.member.delete.before",
        "state.member.delete.after",
        "bulk.landed",
        "bulk.freed",
    ];
    deaths.die_at(cli, BULK_SHARED, &copy).await;
    cli.succeed(BULK_SHARED).await;
    scene.end(tail).await;
    deaths
}

/// A bulk copy that is given up in the middle.
async fn giving_bulk_up() -> Deaths {
    let mut deaths = Deaths::default();
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, true).await;
    let cli = scene.cli();
    cli.succeed(&["apply"]).await;
    let tail = scene.tail().await;
    deaths.die(cli, BULK, "backfill.checkpoint.after").await;
    deaths.die(cli, BACKFILL, "bulk.given-up").await;
    cli.succeed(BACKFILL).await;
    scene.end(tail).await;
    deaths
}

/// Timestamps that go backwards, repairs, and a tail that is begun anew.
async fn repair_scene() -> Deaths {
    let mut deaths = Deaths::default();
    let scene = Scene::open(Engine::embedded().await, Mode::Timestamp, true).await;
    let cli = scene.cli();
    cli.succeed(&["apply"]).await;
    scene.tail().await.kill().await;
    deaths.die(cli, BACKFILL, "tombstones.on-acknowledged").await;
    // Tombstones are on: what goes backwards now is looked at again at the end.
    for number_of in 0..2 {
        scene.reserved_items().put(number_of, 100).await;
        scene.reserved_items().put(number_of, 50).await;
    }
    deaths
        .die_at(
            cli,
            REPLICATE,
            &["state.recheck.put.before", "state.recheck.put.after"],
        )
        .await;
    let tail = scene.tail().await;
    scene.reserved_items().delete(1).await;
    cli.until_caught_up().await;
    assert_rechecks(&scene).await;
    // Every page is copied: what is missing from now on is no page's.
    deaths.die(cli, BACKFILL, "tombstones.landed").await;
    for (point, missing) in [
        ("recheck.put.before", true),
        ("recheck.put.after", true),
        ("recheck.bury.before", false),
        ("recheck.bury.after", false),
    ] {
        damage(&scene, missing).await;
        deaths.die(cli, BACKFILL, point).await;
    }
    deaths
        .die_at(
            cli,
            BACKFILL,
            &["state.recheck.delete.before", "state.recheck.delete.after"],
        )
        .await;
    cli.succeed(BACKFILL).await;
    repairs(&scene, &mut deaths).await;
    tail.kill().await;
    let restart = ["replicate", "--restart-tail"];
    deaths.die(cli, &restart, "restart.begun").await;
    let tail = cli.start(&restart);
    cli.until_captured().await;
    // What was written while nobody read is found by the repair.
    succeed_repair(cli).await;
    scene.end(tail).await;
    deaths
}

async fn repairs(scene: &Scene, deaths: &mut Deaths) {
    let cli = scene.cli();
    succeed_soon(cli, VERIFY_ORDERS).await;
    damage(scene, true).await;
    for point in ["state.proof.delete.before", "state.proof.delete.after"] {
        deaths.die(cli, VERIFY_ORDERS, point).await;
        // After the second death, there is none to remove.
        succeed_repair(cli).await;
        succeed_soon(cli, VERIFY_ORDERS).await;
        damage(scene, true).await;
    }
    for (point, missing) in [
        ("state.repair.put.before", true),
        ("state.repair.put.after", true),
        ("state.verify.put.before", true),
        ("state.verify.put.after", true),
        ("state.activity.put.before", true),
        ("state.activity.put.after", true),
        ("repair.put.before", true),
        ("repair.put.after", true),
        ("repair.bury.before", false),
        ("repair.bury.after", false),
    ] {
        damage(scene, missing).await;
        deaths.die(cli, REPAIR, point).await;
    }
    succeed_repair(cli).await;
}

/// The own order 0 is missing, or the own order 1 is too much.
async fn damage(scene: &Scene, missing: bool) {
    if missing {
        scene.reserved_items().lose(0).await;
    } else {
        scene.reserved_items().invent(1).await;
    }
}

/// The end, on the genuine engine, whose stream had a shard that was closed before the capture.
async fn ending() -> Deaths {
    let mut deaths = Deaths::default();
    let scene = Scene::open(Engine::genuine_dedicated().await, Mode::Sequence, true).await;
    let cli = scene.cli();
    cli.succeed(&["apply"]).await;
    scene.stage.engine.roll_shards().await;
    let history = ["state.history.put.before", "state.history.put.after"];
    deaths.die_at(cli, REPLICATE, &history).await;
    let tail = scene.tail().await;
    cli.succeed(BACKFILL).await;
    let Scene { stage, writers } = scene;
    writers.stop().await;
    stage.cli.until_caught_up().await;
    let proof = ["state.proof.put.before", "state.proof.put.after"];
    deaths.die_at(&stage.cli, VERIFY_ORDERS, &proof).await;
    succeed_soon(&stage.cli, &["verify"]).await;
    let changes = ["state.changes.put.before", "state.changes.put.after"];
    deaths.die_at(&stage.cli, VERIFY_CHANGED, &changes).await;
    succeed_soon(&stage.cli, VERIFY_CHANGED).await;
    let switch = ["switched.recording", "switched.acknowledged"];
    deaths.die_at(&stage.cli, SWITCHED, &switch).await;
    let points = [
        "complete.begun",
        "complete.workers-gone",
        "complete.strip.before",
        "complete.strip.after",
        "complete.ttl.before",
        "complete.ttl.after",
    ];
    deaths.die_at(&stage.cli, COMPLETE, &points).await;
    crate::crashes::scene::finish(&stage, tail, COMPLETE).await;
    deaths
}

/// A service is given up, then the whole split. The source is not touched.
async fn abandoning() -> Deaths {
    let mut deaths = Deaths::default();
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, false).await;
    let Scene { stage, writers } = scene;
    let cli = &stage.cli;
    cli.succeed(&["apply"]).await;
    writers.stop().await;
    let before = contents::read(&stage.client, &stage.trial.source).await;
    let service = [
        "abandon.marked",
        "abandon.target-table.before",
        "abandon.target-table.after",
        "state.service.delete.before",
        "state.service.delete.after",
        "abandon.forgotten",
    ];
    deaths.die_at(cli, ABANDON_SERVICE, &service).await;
    succeed_soon(cli, ABANDON_SERVICE).await;
    let plan = stage.trial.plan();
    let names = plan.find("  - name: names").expect("the last service");
    let fewer = stage.edited(&plan[names..], "");
    let split = [
        "abandon.stream.before",
        "abandon.stream.after",
        "abandon.state-table.before",
        "abandon.state-table.after",
    ];
    deaths.die_at(&fewer, ABANDON, &split).await;
    let tables = stage
        .client
        .list_tables()
        .send()
        .await
        .expect("tables are listed");
    assert_eq!(tables.table_names(), std::slice::from_ref(&stage.trial.source));
    assert!(contents::read(&stage.client, &stage.trial.source).await == before);
    deaths
}

/// Repairs until nothing is left to repair: what the tail wrote at the same moment is looked at once more.
async fn succeed_repair(cli: &Cli) {
    succeed_soon(cli, REPAIR).await;
}

/// Waits until so many workers give signs of life.
async fn until_worker(cli: &Cli, count: usize) {
    cli.until("a worker", |status| {
        status["workers"]
            .as_array()
            .is_some_and(|workers| workers.len() >= count)
    })
    .await;
}

/// Both own orders are on the recheck list.
async fn assert_rechecks(scene: &Scene) {
    let client: &Client = &scene.stage.client;
    let found = client
        .query()
        .table_name(scene.stage.trial.state_table())
        .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
        .expression_attribute_values(":pk", text("split"))
        .expression_attribute_values(":prefix", text("RECHECK#orders"))
        .send()
        .await
        .expect("the state can be read");
    let records: Vec<&String> = found
        .items()
        .iter()
        .filter_map(|item| item["record"].as_s().ok())
        .collect();
    for own in [0, 1].map(document) {
        assert!(
            records.iter().any(|record| record.contains(&own)),
            "{own} is not on the recheck list: {records:?}"
        );
    }
}

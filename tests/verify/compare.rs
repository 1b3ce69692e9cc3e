//! What is compared, and what is told.

use super::bench::{
    Bench, CARTS, ORDERS, SOURCE, USERS, cart, key, named, options, order, phase, target_key, target_of,
    user, with,
};
use super::proxy::Action;
use crate::support::table::{SdkItem, delete, item, number, put, put_all, text};
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::state::SplitRecord;
use dynasplit::status::split_status;
use dynasplit::verify::VerifyOptions;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

fn seconds_ago(ago: u64) -> AttributeValue {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    number(now - ago)
}

#[tokio::test]
async fn equal_tables_are_clean_and_it_is_recorded() {
    let bench = Bench::new().await;
    bench.fill().await;
    // Equal to a reader, though written in another way; a stamp is not what a reader sees.
    let set = |members: [&str; 2]| AttributeValue::Ns(members.map(str::to_owned).to_vec());
    bench
        .put(
            SOURCE,
            with(
                with(order(100, 1), "price", number("1.0")),
                "sizes",
                set(["2", "10"]),
            ),
        )
        .await;
    let target = with(
        with(order(100, 1), "price", number("1")),
        "sizes",
        set(["1e1", "2.00"]),
    );
    bench
        .put(ORDERS, with(target, "dynasplit:version", number(1)))
        .await;

    let result = bench.verify(options()).await;
    assert!(result.clean && result.recorded, "{result:?}");
    assert_eq!(named(&result), BTreeSet::new());
    let counts: Vec<_> = result
        .report
        .services
        .iter()
        .map(|service| (service.expected, service.found, service.equal))
        .collect();
    assert_eq!(counts, [(31, 31, 31), (30, 30, 30), (30, 30, 30)]);
    assert!(
        result.read_milliunits.source > 0 && result.read_milliunits.targets > 0,
        "{result:?}"
    );
    // Every lane is drained, so no worker is missing.
    assert!(
        !result.notes.iter().any(|note| note.contains("no tail worker")),
        "{:?}",
        result.notes
    );

    let record = bench.record().await;
    assert!(record.clean && record.repaired == 0, "{record:?}");
    assert_eq!(
        (
            record.services["orders"].expected,
            record.services["orders"].found
        ),
        (31, 31)
    );
    assert_eq!(
        record.services["carts"].fingerprint,
        bench.split.plan.service("carts").unwrap().fingerprint
    );
}

/// Spoils the tables in every way, and answers what is to be found.
async fn spoil(bench: &Bench) -> BTreeSet<String> {
    bench.put(SOURCE, order(200, 1)).await;
    bench.put(SOURCE, cart(200, 1)).await;
    bench.put(ORDERS, order(201, 1)).await;
    bench.put(CARTS, target_of(&cart(201, 1)).1).await;
    bench.put(USERS, user(201, "extra@x")).await;
    bench.put(SOURCE, with(order(202, 2), "n", number(7))).await;
    bench.put(ORDERS, order(202, 1)).await;
    bench
        .put(SOURCE, with(order(203, 2), "moved", text("elsewhere")))
        .await;
    bench.put(ORDERS, order(203, 1)).await;
    bench.put(SOURCE, user(204, "same@x")).await;
    bench.put(SOURCE, user(205, "same@x")).await;
    bench.put(USERS, user(204, "same@x")).await;
    let expires = |n| with(order(n, 1), "expires", seconds_ago(100));
    bench.put(SOURCE, expires(206)).await;
    bench.put(ORDERS, expires(207)).await;
    [
        "orders missing ORDER#200 / x <- ORDER#200 / x",
        "carts missing 200 / x <- CART#200 / x",
        "orders extra ORDER#201 / x <- ",
        "carts extra 201 / x <- ",
        "users extra extra@x <- ",
        "orders different ORDER#202 / x <- ORDER#202 / x",
        "orders misrouted ORDER#203 / x <- ORDER#203 / x",
        "users collision same@x <- USER#204 / x + USER#205 / x",
        "orders expired ORDER#206 / x <- ORDER#206 / x",
        "orders expired ORDER#207 / x <- ",
    ]
    .map(str::to_owned)
    .into()
}

#[tokio::test]
async fn every_class_is_named_with_its_keys() {
    let bench = Bench::new().await;
    bench.fill().await;
    let expected = spoil(&bench).await;
    let result = bench.verify(options()).await;
    assert_eq!(named(&result), expected);
    assert_eq!(result.total_mismatches, 8);
    assert!(!result.clean && !bench.record().await.clean);
    let orders = &result.report.services[0];
    assert_eq!((orders.equal, orders.candidates), (30, 6));
    assert_eq!((orders.mismatches.expired, orders.unsettled), (2, 0));
    assert_eq!(bench.record().await.services["orders"].mismatches["missing"], 1);
}

#[tokio::test]
async fn expired_items_alone_are_no_fault() {
    let bench = Bench::new().await;
    let expires = with(order(1, 1), "expires", seconds_ago(100));
    bench.put(SOURCE, expires).await;
    let result = bench.verify(options()).await;
    assert!(result.clean, "{result:?}");
    assert_eq!(result.report.services[0].mismatches.expired, 1);
}

#[tokio::test]
async fn the_list_is_whole_where_the_result_is_cut() {
    let bench = Bench::new().await;
    let expected = spoil(&bench).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mismatches.jsonl");
    let options = VerifyOptions {
        limit: 3,
        list: Some(path.clone()),
        ..options()
    };
    let result = bench.verify(options.clone()).await;
    assert_eq!((result.mismatches.len(), result.total_mismatches), (3, 8));
    assert!(result.mismatches.iter().all(|mismatch| mismatch.class.is_fault()));
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), expected.len());
    assert!(lines.iter().any(|line| line["class"] == "collision"));

    let nowhere = VerifyOptions {
        list: Some(dir.path().join("none/x.jsonl")),
        ..options
    };
    let text = bench.refused(nowhere).await;
    assert!(text.contains("none/x.jsonl"), "{text}");
}

#[tokio::test]
async fn little_memory_is_enough() {
    let bench = Bench::new().await;
    let orders: Vec<SdkItem> = (0..2000).map(|n| order(n, 1)).collect();
    put_all(&bench.client, SOURCE, orders.clone()).await;
    put_all(
        &bench.client,
        ORDERS,
        orders.into_iter().filter(|item| item["PK"] != text("ORDER#1234")),
    )
    .await;
    let result = bench
        .verify(VerifyOptions {
            memory_bytes: Some(6 * 1024),
            ..options()
        })
        .await;
    assert_eq!(
        named(&result),
        ["orders missing ORDER#1234 / x <- ORDER#1234 / x".to_owned()].into()
    );
    assert_eq!(result.report.services[0].equal, 1999);
}

#[tokio::test]
async fn what_nobody_takes_or_can_be_shaped_is_not_clean() {
    let bench = Bench::new().await;
    bench.put(SOURCE, item("LOST#1", "x", [])).await;
    let result = bench.verify(options()).await;
    assert!(!result.clean && result.unrouted == 1, "{result:?}");

    let bench = Bench::new().await;
    bench
        .put(SOURCE, item("USER#1", "x", [("email", number(3))]))
        .await;
    let result = bench.verify(options()).await;
    assert!(
        !result.clean && result.report.services[2].invalid == 1,
        "{result:?}"
    );
}

#[tokio::test]
async fn tombstones_are_absent_items() {
    let bench = Bench::new().await;
    bench.fill().await;
    let tombstone = item(
        "ORDER#500",
        "x",
        [("dynasplit:tombstone", AttributeValue::Bool(true))],
    );
    bench.put(ORDERS, tombstone).await;
    SplitRecord::change(&bench.split.store, |record| {
        assert!(record.switch.turn_on("repair", ["orders"]));
    })
    .await
    .unwrap();
    let result = bench.verify(options()).await;
    assert!(result.clean, "{result:?}");
    assert_eq!(result.report.services[0].tombstones, 1);
    assert!(result.notes.iter().any(|note| note.contains("tombstones are on")));
}

/// The services that were found to be exact, as `status` shows them.
async fn proven(bench: &Bench) -> Vec<String> {
    let status = split_status(&bench.split).await.unwrap();
    status.proven.into_keys().collect()
}

#[tokio::test]
async fn some_services_alone_prove_themselves_and_nothing_of_the_whole() {
    let bench = Bench::new().await;
    bench.fill().await;
    assert!(bench.verify(options()).await.recorded);
    bench.put(CARTS, target_of(&cart(201, 1)).1).await;
    let only = |name: &str| VerifyOptions {
        services: Some(vec![name.to_owned()]),
        ..options()
    };
    let orders = bench.verify(only("orders")).await;
    assert!(orders.clean && !orders.recorded);
    assert!(bench.record().await.clean);
    // A fault found by a part is a fault of the whole.
    assert!(!bench.verify(only("carts")).await.clean);
    assert!(!bench.record().await.clean);
    assert_eq!(proven(&bench).await, ["orders"], "and not of the others");
    bench.verify(only("orders")).await;
    assert!(!bench.record().await.clean);
    // One of the whole that finds the fault proves those that have none.
    let whole = bench.verify(options()).await;
    assert!(!whole.clean && whole.recorded);
    assert_eq!(whole.proven, ["orders", "users"]);
    assert_eq!(proven(&bench).await, ["orders", "users"]);
    // After a repair, nothing is proven, whatever it wrote.
    bench.put(CARTS, target_of(&cart(202, 1)).1).await;
    let repair = VerifyOptions {
        repair: true,
        discard_target_writes: true,
        ..only("carts")
    };
    assert!(bench.verify(repair).await.repaired > 0);
    assert_eq!(proven(&bench).await, [""; 0]);
    assert!(bench.verify(only("carts")).await.clean);
    assert_eq!(proven(&bench).await, ["carts"]);

    let text = bench.refused(only("shoes")).await;
    assert!(text.contains("shoes") && text.contains("carts"), "{text}");
}

#[tokio::test]
async fn a_source_that_comes_up_late_is_found_for_a_key_that_does_not_tell_it() {
    // When the target is looked at again, the source was read.
    let hold = |operation: &str, request: &str| match operation {
        "GetItem" if request.contains(r#""TableName":"Users""#) => Action::Hold,
        _ => Action::Pass,
    };
    let (bench, proxy) = Bench::behind(Arc::new(hold)).await;
    bench.put(USERS, user(1, "late@x")).await;
    let (running, _view) = bench.start(options());
    proxy.holds().await;
    bench.put(SOURCE, user(1, "late@x")).await;
    proxy.release();
    let result = running.await.unwrap().unwrap();
    assert!(result.clean, "{result:?}");
    assert_eq!(result.report.services[2].candidates, 1);
    assert_eq!(bench.contents(USERS).await.len(), 1);
    assert_eq!(key("late@x").to_string(), "late@x");
}

/// Copies as a tail does, but late: each write of the source arrives after half a second.
async fn lagging_copier(client: aws_sdk_dynamodb::Client, mut written: mpsc::UnboundedReceiver<Written>) {
    while let Some((at, source, deleted)) = written.recv().await {
        tokio::time::sleep_until(at + Duration::from_millis(500)).await;
        let (table, target) = target_of(&source);
        if deleted {
            delete(&client, table, target_key(table, &target)).await;
        } else {
            put(&client, table, target).await;
        }
    }
}

/// When, what, and whether it was deleted.
type Written = (tokio::time::Instant, SdkItem, bool);

#[tokio::test]
async fn lag_is_not_corruption() {
    let bench = Bench::new().await;
    bench.fill().await;
    let (send, written) = mpsc::unbounded_channel();
    let copier = tokio::spawn(lagging_copier(bench.client.clone(), written));
    let client = bench.client.clone();
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone();
    let writer = tokio::spawn(async move {
        let mut at = 1;
        while !stopped.is_cancelled() {
            at += 1;
            let n = rand::random_range(0..30);
            let source = if at % 2 == 0 {
                with(order(n, at), "rev", number(at))
            } else {
                with(cart(n, at), "rev", number(at))
            };
            let deleted = at % 5 == 0;
            if deleted {
                let key = crate::support::table::key(source["PK"].as_s().unwrap(), "x");
                delete(&client, SOURCE, key).await;
            } else {
                put(&client, SOURCE, source.clone()).await;
            }
            send.send((tokio::time::Instant::now(), source, deleted)).unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        at
    });
    tokio::time::sleep(Duration::from_millis(400)).await;
    let (mut looked_again, mut changed) = (0, 0);
    // Much longer than the lag: a machine that stands still for a moment makes more of it.
    let patient = VerifyOptions {
        patience: Some(Duration::from_secs(6)),
        ..options()
    };
    for _ in 0..3 {
        let result = bench.verify(patient.clone()).await;
        assert_eq!(named(&result), BTreeSet::new(), "{result:?}");
        looked_again += result.report.services[0].rechecked + result.report.services[1].rechecked;
        changed += result
            .report
            .services
            .iter()
            .map(|service| service.changed)
            .sum::<u64>();
    }
    // The test says something only if there was lag to be seen.
    assert!(looked_again > 0);
    assert!(changed > 0, "what changed while it was read is told");
    stop.cancel();
    assert!(writer.await.unwrap() > 20);
    copier.await.unwrap();
    let result = bench.verify(options()).await;
    assert!(result.clean, "{result:?}");
}

#[tokio::test]
async fn throttling_is_waited_for_and_shown_and_a_missing_table_is_not() {
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    let throttle = move |operation: &str, request: &str| {
        let scan = operation == "Scan" && request.contains(r#""TableName":"Carts""#);
        if scan && !opened.load(Ordering::SeqCst) {
            Action::Throttle
        } else {
            Action::Pass
        }
    };
    let (bench, _proxy) = Bench::behind(Arc::new(throttle)).await;
    bench.fill().await;
    let (running, mut view) = bench.start(options());
    let blocked = |view: &dynasplit::verify::VerifyView| {
        let limit = view.limits.get("carts").map(ToString::to_string);
        limit.is_some_and(|why| why.contains("throttled: ProvisionedThroughputExceededException"))
    };
    view.wait_for(blocked).await.unwrap();
    open.store(true, Ordering::SeqCst);
    assert!(running.await.unwrap().unwrap().clean);
    // That our reads still give way for a while is no throttling.
    assert!(!blocked(&view.borrow()));

    bench
        .client
        .delete_table()
        .table_name(CARTS)
        .send()
        .await
        .unwrap();
    let text = bench.refused(options()).await;
    assert!(text.contains("dynamodb:Scan on Carts failed"), "{text}");
    assert!(
        bench.record().await.clean,
        "a comparison that was not made says nothing"
    );
}

/// The options of a command without `--patience`.
fn patient_by_the_lanes() -> VerifyOptions {
    VerifyOptions {
        patience: None,
        ..options()
    }
}

/// The lane was current when the comparison began. Then its worker died, and the next one took over two leases later.
#[tokio::test]
async fn a_change_that_a_dead_worker_delays_is_no_mismatch() {
    let bench = Bench::patient().await;
    bench.fill().await;
    bench.following().await;
    bench.put(SOURCE, order(700, 1)).await;
    let (verify, mut view) = bench.start(patient_by_the_lanes());
    phase(&mut view, "reading different keys again").await;
    let timing = bench.split.timing;
    // A change takes no longer than this while a worker lives.
    tokio::time::sleep((timing.idle + timing.landed()) * 2).await;
    assert!(
        !verify.is_finished(),
        "the lane stands still, so nothing is known"
    );
    bench.put(ORDERS, target_of(&order(700, 1)).1).await;
    bench.complete_to(bench.split.now_ms()).await;
    let result = verify.await.unwrap().unwrap();
    assert_eq!(named(&result), BTreeSet::new(), "{result:?}");
    assert!(result.clean && result.recorded, "{result:?}");
    assert_eq!(result.report.services[0].changed, 1);
}

#[tokio::test]
async fn a_difference_that_the_lane_has_passed_is_a_mismatch() {
    let bench = Bench::patient().await;
    bench.fill().await;
    bench.following().await;
    bench.put(SOURCE, order(700, 1)).await;
    let moves = async {
        loop {
            bench.complete_to(bench.split.now_ms()).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let result = tokio::select! {
        () = moves => unreachable!("it never ends"),
        result = bench.verify(patient_by_the_lanes()) => result,
    };
    assert_eq!(named(&result).len(), 1, "{result:?}");
    assert_eq!(result.report.services[0].mismatches.missing, 1);
}

//! A service that is added later, and tables that somebody else owns.

use super::running::{Running, only};
use crate::support::Engine;
use crate::support::contents::{Plain, PlainItem};
use crate::support::table::{create, create_with, item, number, put, put_all};
use dynasplit::backfill::BackfillOptions;
use dynasplit::lifecycle::apply;

const PLAN: &str = "
version: 1
split: added
source:
  table: Source
  keys: { partition: PK, sort: SK }
timestamp: none
unrouted: fail
services:
  - name: first
    where: attribute_exists(PK)
    table:
      name: First
      keys: { partition: PK, sort: SK }
";
const SECOND: &str = "  - name: second
    where: n < 100
    table:
      name: Second
      keys: { partition: PK, sort: SK }
    transform: { keep: [n] }
";
const THIRD: &str = "  - name: third
    where: n >= 100
    table:
      name: Third
      keys: { partition: PK, sort: SK }
      adopted: true
      ttl: expires
";

fn n(item: &PlainItem) -> bool {
    let Plain::Number(n) = &item["n"] else {
        panic!("{item:?}")
    };
    n.cmp(&bigdecimal::BigDecimal::from(100)).is_lt()
}

async fn write(running: &Running, values: std::ops::Range<u32>) {
    let items = values.map(|n| item(&format!("I#{}", n % 20), &n.to_string(), [("n", number(n))]));
    put_all(&running.client, running.source(), items).await;
}

async fn mark(running: &Running) {
    let marked = item("I#3", "3", [("n", number(3)), ("mark", number(1))]);
    put(&running.client, running.target("first"), marked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_added_gets_a_lane_and_a_backfill_of_its_own() {
    let engine = Engine::embedded().await;
    let mut running = Running::open(&engine, PLAN).await;
    create(&running.client, running.source()).await;
    write(&running, 0..150).await;
    running.begin().await;
    running.drained().await;
    running.backfill(BackfillOptions::default()).await;
    write(&running, 150..160).await;
    running.drained().await;
    running.stop_tail().await;
    running.assert_holds("first", |item| Some(item.clone())).await;
    mark(&running).await;

    // The table of the third is its owner's.
    running.replan(&format!("{PLAN}{SECOND}{THIRD}")).await;
    let refused = apply(
        &running.split,
        dynasplit::lifecycle::ApplyOptions::default(),
        &|_| {},
    )
    .await
    .unwrap_err()
    .to_string();
    assert!(refused.contains("adopted"), "{refused}");
    create_with(&running.client, running.target("third"), &["PK", "SK"], false).await;
    let applied = apply(
        &running.split,
        dynasplit::lifecycle::ApplyOptions::default(),
        &|_| {},
    )
    .await
    .unwrap();
    let created: Vec<bool> = applied.tables.iter().map(|table| table.created).collect();
    assert_eq!(created, [false, true, false]);

    running.start_tail(Default::default()).await;
    let (report, ()) = tokio::join!(
        running.backfill(BackfillOptions::default()),
        write(&running, 160..190)
    );
    let filled: Vec<&str> = report.lanes.iter().map(|lane| lane.lane.as_str()).collect();
    assert_eq!(filled, ["second", "third"], "the first has its copy");
    running.drained().await;
    let held = running.held("first").await;
    let key = ["I#3", "3"].map(|part| Plain::Text(part.into())).to_vec();
    assert!(held[&key].contains_key("mark"), "nobody wrote it again");
    assert_eq!(held.len(), 190, "and its lane went on");
    running
        .assert_holds("second", |item| n(item).then(|| only(item, &["PK", "SK", "n"])))
        .await;
    running
        .assert_holds("third", |item| (!n(item)).then(|| item.clone()))
        .await;

    // Nothing is left to do.
    let again = running.backfill(BackfillOptions::default()).await;
    assert!(again.already_finished);
    running.stop_tail().await;
}

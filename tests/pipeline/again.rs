//! A finished backfill does nothing more.

use super::running::Running;
use crate::support::Engine;
use crate::support::contents::Plain;
use crate::support::long::in_the_long_run;
use crate::support::table::{create, item, number, put, put_all, text};
use dynasplit::backfill::BackfillOptions;
use dynasplit::state::{SplitRecord, TombstonePhase};

const PLAN: &str = "
version: 1
split: again
source:
  table: Source
  keys: { partition: PK, sort: SK }
timestamp: { attribute: at, type: N }
unrouted: fail
services:
  - name: copy
    where: attribute_exists(PK)
    table:
      name: Copy
      keys: { partition: PK, sort: SK }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_of_five_thousand_items_is_done_once() {
    in_the_long_run!(a_backfill_of_five_thousand_items_is_done_once);
    let engine = Engine::embedded().await;
    let mut running = Running::open(&engine, PLAN).await;
    let (client, source) = (running.client.clone(), running.source().to_owned());
    create(&client, &source).await;
    let items = (0..5000).map(|n| {
        item(
            &format!("I#{}", n % 97),
            &n.to_string(),
            [("at", number(n)), ("t", text("x"))],
        )
    });
    // Before the stream is captured, so that the tail has nothing to do.
    put_all(&client, &source, items).await;
    running.begin().await;
    running.drained().await;
    let first = running.backfill(BackfillOptions::default()).await;
    assert!(!first.already_finished);
    // On a machine that stands still for longer than a lease, a page is read again.
    assert!(first.scanned >= 5000, "{first:?}");
    let copied = first.lanes.iter().find(|lane| lane.lane == "copy");
    let copied = copied.expect("the service").counters;
    assert_eq!(copied.put + copied.superseded, 5000, "{first:?}");
    running.assert_holds("copy", |item| Some(item.clone())).await;

    // Whoever writes it again takes the mark away.
    let mark = item("I#1", "1", [("at", number(1)), ("mark", number(1))]);
    put(&client, running.target("copy"), mark).await;
    let second = running.backfill(BackfillOptions::default()).await;
    assert!(second.already_finished);
    assert_eq!(
        (second.scanned, &second.lanes),
        (first.scanned, &first.lanes),
        "what the first one did"
    );
    let held = running.held("copy").await;
    let key = ["I#1", "1"].map(|part| Plain::Text(part.into())).to_vec();
    assert!(held[&key].contains_key("mark"));

    // One that came when the copy had ended was killed before its sweep.
    let store = running.split.store.clone();
    let unswept = SplitRecord::change(&store, |record| {
        assert!(record.switch.turn_on("backfill", ["copy"]));
        let since = record.switch.claim("backfill").unwrap();
        assert!(
            record
                .switch
                .release("backfill", since, &["copy".to_owned()].into())
        );
    });
    let unswept = unswept.await.unwrap();
    assert_eq!(unswept.switch.of("copy").phase, TombstonePhase::Sweeping);
    let third = running.backfill(BackfillOptions::default()).await;
    assert!(
        !third.already_finished && third.scanned == first.scanned,
        "{third:?}"
    );
    assert!(SplitRecord::read(&store).await.unwrap().value.switch.is_off());
    running.stop_tail().await;
}

//! The check under the fence finds what went wrong after the last verify, on either side, and the cutover is cancelled.

use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};

use dynasplit::state::{ChangesRecord, StateError};
use dynasplit::tail::TipReader;
use tokio_util::sync::CancellationToken;

use super::shop::{CUTOVER, Shop, end};
use crate::support::long::in_the_long_run;
use crate::support::table::{self, item, key, number, text};
use crate::support::trial::Mode;

/// More than a page of the stream holds.
const MANY: usize = 1200;

/// An own person, beyond those of the application.
const PERSON: u64 = 900;

async fn put_person(shop: &Shop, n: u64) {
    let person = item(
        &format!("PER#{PERSON}"),
        "P",
        [("n", number(n)), ("amount", number(n * 10))],
    );
    table::put(&shop.stage.client, &shop.stage.trial.source, person).await;
}

async fn lose_person(shop: &Shop) {
    let mut lost = key(&PERSON.to_string(), "P");
    for (from, to) in [("PK", "id"), ("SK", "part")] {
        let value = lost.remove(from).expect("a key");
        lost.insert(to.into(), value);
    }
    table::delete(&shop.stage.client, &shop.people, lost).await;
}

/// Switches the stream of the people's own table on.
async fn enable_stream(shop: &Shop) {
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .expect("a stream");
    let enabled = shop
        .stage
        .client
        .update_table()
        .table_name(&shop.people)
        .stream_specification(stream);
    enabled.send().await.expect("the stream is enabled");
}

/// Refused, the application goes on with the source, and the damage can be repaired.
async fn assert_cancelled(shop: &Shop) {
    let cancelled = shop.cli.run(CUTOVER).await.with_code(CUTOVER, 3);
    assert!(
        cancelled
            .stdout
            .contains(&format!("hold what the source says: {PERSON} / P")),
        "{}\n{}",
        cancelled.stdout,
        cancelled.stderr
    );
    assert_eq!(shop.phase().await, "replicating");
    assert_eq!(shop.calls("switch"), 0);
    let repair = ["verify", "--repair", "--discard-target-writes"];
    shop.cli.run(&repair).await.with_code(&repair, 3);
    shop.verify().await;
    shop.cutover().await;
}

/// A write of the lane that was lost: the source's stream shows that the item changed since the verify.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_lost_after_the_verify_cancels_the_cutover() {
    in_the_long_run!(a_change_that_was_lost_after_the_verify_cancels_the_cutover);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    put_person(&shop, 1).await;
    application.end().await;
    shop.cli.until_caught_up().await;
    lose_person(&shop).await;
    assert_cancelled(&shop).await;
    end(tail).await;
}

/// The same, and another process continues the cutover after the first one died under the fence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_continues_under_the_fence_finds_it_too() {
    in_the_long_run!(a_process_that_continues_under_the_fence_finds_it_too);
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    put_person(&shop, 1).await;
    application.end().await;
    shop.cli.until_caught_up().await;
    lose_person(&shop).await;
    let died = shop.cli.armed("cutover.fencing=kill").run(CUTOVER).await;
    assert_eq!(died.killed_at(), Some("cutover.fencing"), "{}", died.stderr);
    assert_cancelled(&shop).await;
    end(tail).await;
}

/// A write of somebody else to the service's table: only the stream of that table shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_write_of_the_target_after_the_verify_cancels_the_cutover() {
    in_the_long_run!(a_foreign_write_of_the_target_after_the_verify_cancels_the_cutover);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    put_person(&shop, 1).await;
    application.end().await;
    enable_stream(&shop).await;
    shop.cli.until_caught_up().await;
    shop.verify().await;
    lose_person(&shop).await;
    assert_cancelled(&shop).await;
    end(tail).await;
}

/// The comparison of the changes seems to be much later than every write so far: as many minutes as two clocks may differ by are read in
/// any case.
async fn seem_later(shop: &Shop) {
    let store = shop.cli.open().await.store;
    let later = |found: Option<ChangesRecord>| {
        let mut record = found.expect("the changes were compared");
        record.changes.started_ms += 60 * 60 * 1000;
        Ok::<_, StateError>(record)
    };
    let name = ChangesRecord::record_name("people");
    let changed = store.change::<ChangesRecord, StateError>(&name, later);
    changed.await.expect("the record is changed");
}

/// A verify of the changes sees no foreign write of a key that did not change. It must not make the cutover look at less of the table's
/// stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_write_cancels_the_cutover_although_the_changes_were_compared_since() {
    in_the_long_run!(a_foreign_write_cancels_the_cutover_although_the_changes_were_compared_since);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    put_person(&shop, 1).await;
    application.end().await;
    enable_stream(&shop).await;
    shop.cli.until_caught_up().await;
    shop.verify().await;
    lose_person(&shop).await;
    let compared = shop.cli.succeed(&["verify", "--changed"]).await;
    assert!(
        compared.stdout.contains("This does not count"),
        "{}",
        compared.stdout
    );
    seem_later(&shop).await;
    assert_cancelled(&shop).await;
    end(tail).await;
}

/// All changes of the last moments are read before the fence, and not only the first page of them: the pause does not pay for the
/// others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_changes_of_the_last_minute_are_read_before_the_fence() {
    in_the_long_run!(the_changes_of_the_last_minute_are_read_before_the_fence);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    application.end().await;
    shop.cli.until_caught_up().await;
    enable_stream(&shop).await;
    for n in 0..MANY {
        let person = [("id", text(format!("many{n}"))), ("part", text("P"))];
        let person = person.map(|(name, value)| (name.to_owned(), value));
        table::put(&shop.stage.client, &shop.people, person.into()).await;
    }
    let split = shop.cli.open().await;
    let reader = TipReader::open(&split, "people").await.expect("it is opened");
    let mut reader = reader.keeping_keys(0).await.expect("it is opened");
    let followed = reader.follow(usize::MAX, &CancellationToken::new()).await;
    assert!(followed.expect("the stream is read"));
    assert_eq!(reader.keys.len(), MANY);
    end(tail).await;
}
